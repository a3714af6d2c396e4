"""Downloads, from a server on this machine."""

from __future__ import annotations

import functools
import hashlib
import http.server
import importlib
import threading

import pytest

from codegym.problems import download as module
from codegym.problems.download import download, verify

pytest.importorskip("pooch")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path):
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
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(module, "_CONNECT_SECONDS", 3600)
    monkeypatch.setattr(module, "_READ_SECONDS", 3600)


def test_a_file_is_downloaded_with_its_checksum(tmp_path, server):
    target = tmp_path / "cache" / "deep" / "rows.jsonl"
    assert download(f"{server}/rows.jsonl", target) == target
    assert target.read_bytes() == b'{"a": 1}\n'
    checksum = target.with_name("rows.jsonl.sha256").read_text().strip()
    assert checksum == hashlib.sha256(target.read_bytes()).hexdigest()
    assert sorted(p.name for p in target.parent.iterdir()) == ["rows.jsonl", "rows.jsonl.sha256"]
    verify(target)


def test_what_fails_leaves_nothing_behind(tmp_path, server):
    target = tmp_path / "cache" / "rows.jsonl"
    with pytest.raises(OSError, match="404"):
        download(f"{server}/none.jsonl", target)
    with pytest.raises(OSError, match="Error"):
        download("http://127.0.0.1:1/rows.jsonl", target)
    assert list(target.parent.iterdir()) == []


def test_without_the_optional_package_the_error_says_which(tmp_path, monkeypatch):
    def missing(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr(module, "importlib", importlib)
    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(OSError, match=r"codegym\[download\]"):
        download("http://127.0.0.1:1/rows.jsonl", tmp_path / "rows.jsonl")
