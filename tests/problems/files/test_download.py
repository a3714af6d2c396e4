"""Downloads, from a server on this machine."""

from __future__ import annotations

import functools
import hashlib
import http.server
import importlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from codegym.errors import DataFormatError
from codegym.problems.files import download as module
from codegym.problems.files.download import download, verify

pytest.importorskip("pooch")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "rows.jsonl").write_bytes(b'{"a": 1}\n')
    handler = functools.partial(Quiet, directory=str(tmp_path / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(module, "_CONNECT_SECONDS", 3600)
    monkeypatch.setattr(module, "_READ_SECONDS", 3600)


def anything(path: Path) -> None:
    """Whatever is received is what was expected."""


def test_a_file_is_downloaded_with_its_checksum(tmp_path: Path, server: str) -> None:
    target = tmp_path / "cache" / "deep" / "rows.jsonl"
    assert download(f"{server}/rows.jsonl", target, anything) == target
    assert target.read_bytes() == b'{"a": 1}\n'
    checksum = target.with_name("rows.jsonl.sha256").read_text().strip()
    assert checksum == hashlib.sha256(target.read_bytes()).hexdigest()
    assert sorted(p.name for p in target.parent.iterdir()) == ["rows.jsonl", "rows.jsonl.sha256"]
    verify(target)


def test_what_fails_leaves_nothing_behind(tmp_path: Path, server: str) -> None:
    target = tmp_path / "cache" / "rows.jsonl"
    with pytest.raises(OSError, match="404"):
        download(f"{server}/none.jsonl", target, anything)
    with pytest.raises(OSError, match="Error"):
        download("http://127.0.0.1:1/rows.jsonl", target, anything)
    assert list(target.parent.iterdir()) == []


def test_what_is_not_expected_is_not_kept_and_said(tmp_path: Path, server: str) -> None:
    def check(path: Path) -> None:
        raise DataFormatError(f"{path} holds {path.read_text()!r}. Expected numbers.")

    target = tmp_path / "cache" / "rows.jsonl"
    with pytest.raises(OSError, match=r"not kept: rows.jsonl holds .*a.*Expected numbers"):
        download(f"{server}/rows.jsonl", target, check)
    assert list(target.parent.iterdir()) == []
    download(f"{server}/rows.jsonl", target, anything)
    verify(target)


def test_what_a_killed_download_left_is_in_nobodys_way(tmp_path: Path, server: str) -> None:
    target = tmp_path / "cache" / "rows.jsonl"
    for name in ("rows.jsonl.part", "rows.jsonl.abc"):
        (target.parent / name).mkdir(parents=True)
        (target.parent / name / "rows.jsonl").write_text("half a fi")
    target.with_name("rows.jsonl.sha256").write_text("0" * 64 + "\n")
    download(f"{server}/rows.jsonl", target, anything)
    assert target.read_bytes() == b'{"a": 1}\n'
    verify(target)


class InTwoHalves(Quiet):
    """Each answer is another file; the first one ends when it is allowed to."""

    answers: Iterator[int]
    half: threading.Event
    go_on: threading.Event

    def do_GET(self) -> None:
        number = next(self.answers)
        body = whole(number)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:500_000])
        self.wfile.flush()
        if number == 0:
            self.half.set()
            self.go_on.wait()
        self.wfile.write(body[500_000:])


def whole(number: int) -> bytes:
    return json.dumps([number] * 300_000).encode()


def test_two_downloads_at_once_leave_a_whole_file(tmp_path: Path) -> None:
    half, go_on = threading.Event(), threading.Event()
    places = {"answers": iter(range(2)), "half": half, "go_on": go_on}
    handler = type("Handler", (InTwoHalves,), places)
    target = tmp_path / "cache" / "rows.json"
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        serving = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        serving.start()
        url = f"http://127.0.0.1:{running.server_address[1]}/rows.json"
        failed: list[BaseException] = []

        def first() -> None:
            try:
                download(url, target, anything)
            except BaseException as error:
                failed.append(error)

        downloading = threading.Thread(target=first)
        downloading.start()
        half.wait()
        download(url, target, anything)
        assert target.read_bytes() == whole(1)
        verify(target)
        go_on.set()
        downloading.join()
        running.shutdown()
        serving.join()
    assert failed == []
    assert target.read_bytes() == whole(0)
    verify(target)
    names = sorted(path.name for path in target.parent.iterdir())
    assert names == ["rows.json", "rows.json.sha256"]


@pytest.mark.parametrize(("first", "last"), [(0, 1), (1, 0)])
def test_a_checksum_of_whoever_came_second_refuses_nobody(
    tmp_path: Path, first: int, last: int
) -> None:
    """Two that write at once write their checksums in one order and their files in another."""
    target = tmp_path / "rows.json"
    contents = [b"old", b"new"]
    digests = [hashlib.sha256(content).hexdigest() for content in contents]
    target.with_name("rows.json.sha256").write_text("".join(f"{d}\n" for d in digests))
    for number in (first, last):
        target.write_bytes(contents[number])
        verify(target)
    target.write_bytes(b"another")
    with pytest.raises(DataFormatError, match="SHA-256 differs"):
        verify(target)


def missing(name: str) -> object:
    raise ImportError(name)


def test_without_the_optional_package_the_error_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: str
) -> None:
    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(OSError, match=r"pip install -e '\.\[download\]'") as caught:
        download(f"{server}/rows.jsonl", tmp_path / "rows.jsonl", anything)
    assert not isinstance(caught.value, ConnectionError)


@pytest.mark.parametrize("proxy", ["", "http://127.0.0.1:1", "127.0.0.1:1", "socks5://[::1]:1"])
def test_without_the_optional_package_it_is_still_seen_that_there_is_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setattr(importlib, "import_module", missing)
    monkeypatch.delenv("no_proxy")
    monkeypatch.setenv("all_proxy", proxy)
    url = "http://data.invalid/rows.jsonl" if proxy else "http://127.0.0.1:1/rows.jsonl"
    with pytest.raises(ConnectionError, match=r"no connection to .*:1,"):
        download(url, tmp_path / "rows.jsonl", anything)
