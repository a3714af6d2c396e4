"""Where data is looked for and kept: what is wrong there is said, and nothing stands in for it."""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import json
import os
import pwd
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from codegym.errors import DataFormatError, DataNotFoundError, OfflineError, SampleDataWarning
from codegym.problems import ProblemSet, Source, load, load_problems
from codegym.problems.files import download
from codegym.problems.files.locate import cache_folder

pytest.importorskip("pooch")

CLOSED = "http://127.0.0.1:1/data"  # nobody listens there
APPS_PLUS = json.dumps(
    [
        {
            "question": "Add.",
            "starter_code": "def add(a, b):\n",
            "canonical_solution": "def add(a, b):\n    return a + b\n",
            "inputs": [[1, 2]],
            "outputs": [3],
        }
    ]
).encode()
LEETCODE_ROW = json.dumps(
    {
        "task_id": "a",
        "prompt": "",
        "completion": "class Solution:\n    def f(self, x):\n        return x\n",
        "entry_point": "Solution().f",
        "test": "def check(candidate):\n    assert candidate(x = 1) == 1\n",
        "query": "Return x.",
    }
).encode()
GOOD = {"apps_plus": APPS_PLUS, "leetcode": LEETCODE_ROW + b"\n"}
Load = Callable[..., ProblemSet]


@pytest.fixture(autouse=True)
def fresh_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CODEGYM_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for seconds in ("_CONNECT_SECONDS", "_READ_SECONDS"):  # a busy machine may be slow to answer
        monkeypatch.setattr(download, seconds, 3600)


@pytest.fixture
def from_url(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Loads a source, whose files come from an address, where a warning is an error."""

    def load_from(source: str, url: str = CLOSED, **arguments: Any) -> ProblemSet:
        spec = load._REGISTERED[source]
        assert isinstance(spec, Source)
        files = tuple(dataclasses.replace(file, url=url) for file in spec.files)
        changed = dataclasses.replace(spec, files=files)
        monkeypatch.setitem(load._REGISTERED, source, changed)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return load_problems(source, **arguments)

    return load_from


@contextlib.contextmanager
def serving(body: bytes) -> Iterator[str]:
    """A server that says this and hangs up, without saying before how much it is."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}/data"
        running.shutdown()
        thread.join()


# ---- what is received


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Log in to the network of this hotel</html>",
        b"",
        b'{"error": "too many requests"}',
        b"[]",
        APPS_PLUS[:-40],
    ],
    ids=["page", "nothing", "other JSON", "no rows", "cut list"],
)
@pytest.mark.parametrize("source", ["apps_plus", "leetcode"])
def test_what_is_no_data_set_is_not_kept(from_url: Load, source: str, body: bytes) -> None:
    with (
        serving(body) as url,
        pytest.raises(DataNotFoundError, match=r"(?s)came .* not kept.* rows: .*curl") as caught,
    ):
        from_url(source, url, split="test")
    assert not isinstance(caught.value, OfflineError)
    assert "can be used as" in str(caught.value) or "Expected" in str(caught.value)
    assert [path for path in cache_folder().rglob("*") if path.is_file()] == []
    with serving(GOOD[source]) as url:
        assert from_url(source, url).report.source == source


def test_lines_that_are_cut_off_are_not_kept(from_url: Load) -> None:
    with (
        serving(LEETCODE_ROW + b"\n" + LEETCODE_ROW[:-30]) as url,
        pytest.raises(DataNotFoundError, match="cut off: in its last row, the line is not JSON"),
    ):
        from_url("leetcode", url, split="test")
    assert list(cache_folder().iterdir()) == []


# ---- the proxy


@pytest.mark.parametrize(
    "proxy",
    [
        "http://127.0.0.1:99999", "http://127.0.0.1:abc", "http://[::1", "http://", "http://:80",
        "http://a..b:80", "http://127.0.0.1:0", "http://a b:80", "ftp://127.0.0.1:1", "ftp://x",
        "http:/127.0.0.1:1", f"http://{'a' * 70}.x:80",
    ],
)  # fmt: skip
def test_a_malformed_proxy_is_an_error(
    from_url: Load, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    with pytest.raises(DataNotFoundError, match=r"proxy .* is malformed: expected") as caught:
        from_url("apps_plus", "http://data.invalid/x")
    assert not isinstance(caught.value, OfflineError)
    assert repr(proxy) in str(caught.value)


def test_a_malformed_proxy_does_not_show_its_password(
    from_url: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://me:secret@127.0.0.1:abc")
    with pytest.raises(DataNotFoundError, match=r"'127\.0\.0\.1:abc' is malformed") as caught:
        from_url("apps_plus", "http://data.invalid/x")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("proxy", ["127.0.0.1:1", "http://me:x@127.0.0.1:1/", "socks4a://[::1]:1"])
def test_a_proxy_that_does_not_answer_is_no_connection(
    from_url: Load, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    with pytest.raises(OfflineError, match=r"no connection to (127\.0\.0\.1|::1):1,"):
        from_url("apps_plus", "http://data.invalid/x", allow_sample=False)


# ---- places that are none


@pytest.mark.parametrize("arguments", [{}, {"data": "~/x.json"}], ids=["cache", "data"])
def test_a_user_without_a_home(
    from_url: Load, monkeypatch: pytest.MonkeyPatch, arguments: dict[str, str]
) -> None:
    def unknown(uid: int) -> Any:
        raise KeyError(uid)

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(DataNotFoundError, match=r"'~/.*no such home folder. Set \$HOME") as caught:
        from_url("apps_plus", **arguments)
    assert not isinstance(caught.value, OfflineError)
    assert len(from_url("apps_plus", data="sample")) == 60  # needs no place


@pytest.mark.parametrize("place", ["XDG_CACHE_HOME", "CODEGYM_DATA", "data"])
def test_a_place_that_can_not_be_asked(
    from_url: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str
) -> None:
    """Its name is too long, which the system says of it as it says that it may not be read."""
    path = str(tmp_path / ("x" * 300))
    if place != "data":
        monkeypatch.setenv(place, path)
    with pytest.raises(DataNotFoundError, match="xxx") as caught:
        from_url("apps_plus", **({"data": path} if place == "data" else {}))
    assert not isinstance(caught.value, OfflineError)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("place", ["XDG_CACHE_HOME", "CODEGYM_DATA", "data"])
def test_a_place_that_may_not_be_read(
    from_url: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str
) -> None:
    folder = tmp_path / "private"
    (folder / "codegym").mkdir(parents=True)
    folder.chmod(0)
    if place != "data":
        monkeypatch.setenv(place, str(folder))
    try:
        with pytest.raises(DataNotFoundError, match=r"cannot be read .*Permission denied"):
            from_url("apps_plus", **({"data": folder} if place == "data" else {}))
    finally:
        folder.chmod(0o700)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(from_url: Load, tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_bytes(APPS_PLUS)
    (tmp_path / "rows.json").chmod(0)
    with pytest.raises(DataNotFoundError, match=r"cannot be read .*Permission denied"):
        from_url("apps_plus", data=tmp_path / "rows.json")


# ---- data that was named


def test_a_variable_that_names_no_folder(
    from_url: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "apps_plus.json"
    file.write_bytes(APPS_PLUS)
    cached = cache_folder() / file.name
    cached.parent.mkdir(parents=True)
    cached.write_bytes(APPS_PLUS)
    for path, what in ((file, "a file"), (tmp_path / "none", "not there")):
        monkeypatch.setenv("CODEGYM_DATA", str(path))
        with pytest.raises(DataNotFoundError, match=f"which is {what}. Expected a folder") as error:
            from_url("apps_plus")
        assert f"$CODEGYM_DATA is '{path}'" in str(error.value)


@pytest.mark.parametrize("folder", ["one without the file", ""])
def test_a_variable_that_leads_to_no_file_is_no_reason_to_fail_offline(
    from_url: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: str
) -> None:
    monkeypatch.setenv("CODEGYM_DATA", str(tmp_path) if folder else "")
    told = f"now {tmp_path}" if folder else "not set"
    with pytest.raises(SampleDataWarning, match=told):
        from_url("apps_plus")


@pytest.mark.parametrize("place", ["cache", "variable", "data"])
@pytest.mark.parametrize("what", ["link", "folder"])
def test_what_is_no_file_in_the_place_of_one(
    from_url: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str, what: str
) -> None:
    folder = cache_folder() if place == "cache" else tmp_path / "mine"
    folder.mkdir(parents=True)
    if place == "variable":
        monkeypatch.setenv("CODEGYM_DATA", str(folder))
    path = folder / "apps_plus.json"
    path.symlink_to(tmp_path / "none") if what == "link" else path.mkdir()
    told = "a link to nothing" if what == "link" else "no file"
    with pytest.raises(DataNotFoundError, match=f"apps_plus.json is {told}") as caught:
        from_url("apps_plus", **({"data": folder} if place == "data" else {}))
    assert not isinstance(caught.value, OfflineError)


def test_a_cache_that_is_a_link_to_nothing(from_url: Load, tmp_path: Path) -> None:
    cache_folder().parent.mkdir()
    cache_folder().symlink_to(tmp_path / "unplugged")
    with pytest.raises(DataNotFoundError, match="codegym is a link to nothing"):
        from_url("apps_plus")


def test_files_of_other_names_are_in_nobodys_way(from_url: Load, tmp_path: Path) -> None:
    for name in ("data", "APPS_Plus"):  # folders, in a checkout of the data set
        (tmp_path / name).write_text("")
    (tmp_path / "data.json").write_bytes(APPS_PLUS)
    assert len(from_url("apps_plus", data=tmp_path)) == 1


def test_checksums_that_are_none(from_url: Load) -> None:
    file = cache_folder() / "apps_plus.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(APPS_PLUS)
    file.with_name(file.name + ".sha256").write_bytes(b"\xff\xfe")
    with pytest.raises(DataFormatError, match="SHA-256 differs"):
        from_url("apps_plus")
