"""When the sample stands in for APPS+: only offline, never silently, and for no other source."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import http.server
import importlib
import json
import os
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import pytest

import codegym
from codegym.errors import (
    ConfigurationError,
    DataFormatError,
    DataNotFoundError,
    OfflineError,
    SampleDataWarning,
)
from codegym.problems import SOURCES, Source, load, load_problems
from codegym.problems.files import connection, download
from codegym.problems.files.locate import cache_folder
from codegym.problems.sources.apps_plus import APPS_PLUS

pytest.importorskip("pooch")

CLOSED = "http://127.0.0.1:1/data.json"  # nobody listens there
ENV_ID = "CodeGen-APPSPlus-v0"
ROW = {
    "question": "Add.",
    "starter_code": "def add(a, b):\n",
    "canonical_solution": "def add(a, b):\n    return a + b\n",
    "inputs": [[1, 2]],
    "outputs": [3],
}
HUMANEVAL_ROW = {
    "task_id": "HumanEval/0",
    "prompt": 'def size(x):\n    """Size."""\n',
    "entry_point": "size",
    "canonical_solution": "    return abs(x)\n",
    "test": "def check(candidate):\n    assert candidate(-3) == 3\n",
}
Aim = Callable[[str], None]


@pytest.fixture
def aim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Aim:
    """A fresh machine, whose APPS+ comes from the address that is given; at first from nowhere."""
    monkeypatch.delenv("CODEGYM_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for seconds in ("_CONNECT_SECONDS", "_READ_SECONDS"):  # a busy machine may be slow to answer
        monkeypatch.setattr(download, seconds, 3600)

    def aim(url: str) -> None:
        files = (dataclasses.replace(APPS_PLUS.files[0], url=url),)
        source = dataclasses.replace(APPS_PLUS, files=files)
        monkeypatch.setitem(load._REGISTERED, "apps_plus", source)

    aim(CLOSED)
    return aim


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers each path that is a number with that status; others break in the middle."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        status = self.path.rpartition("/")[2]
        if not status.isdigit():
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b'[{"question"')
            return
        self.send_response(int(status))
        body = json.dumps([ROW]).encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []
    handler = type("Handler", (Answers,), {"asked": asked})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}", asked
        running.shutdown()
        thread.join()


apps_plus = functools.partial(load_problems, "apps_plus")


@contextlib.contextmanager
def nothing_warned() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_offline_the_sample_stands_in_and_warns(aim: Aim) -> None:
    with pytest.warns(SampleDataWarning) as caught:
        problems = load_problems("apps_plus")
    (warning,) = caught
    for told in (
        "THIS IS NOT APPS+", "curl -L", CLOSED, "$CODEGYM_DATA", 'data="sample"',
        "data='sample'", "allow_sample=False",
    ):  # fmt: skip
        assert told in str(warning.message)
    assert problems.ids == load_problems("apps_plus", data="sample").ids
    assert problems.report.stands_in_for == "apps_plus"
    line = "apps_plus_sample: 60 rows read, 60 usable, 0 skipped, in place of apps_plus, which"
    assert str(problems.report).startswith(line)
    assert problems.report.summary().startswith(line)


SEVERAL_LOADS = f"""
import dataclasses, warnings
import gymnasium
from codegym.problems import load, load_problems
from codegym.problems.files import download

spec = load._REGISTERED["apps_plus"]
files = (dataclasses.replace(spec.files[0], url={CLOSED!r}),)
load._REGISTERED["apps_plus"] = dataclasses.replace(spec, files=files)
download._CONNECT_SECONDS = 3600
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    load_problems("apps_plus")
print("ignored", flush=True)
for split in ("train", "test"):
    load_problems("apps_plus", split=split)
    with warnings.catch_warnings():  # which makes Python forget what was shown where
        pass
load_problems("apps_plus")
for _ in range(2):
    gymnasium.make({ENV_ID!r}).close()
"""


def test_it_warns_once_in_a_process_and_first_when_warnings_are_shown(aim: Aim) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SEVERAL_LOADS],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"},
    )
    assert done.returncode == 0, done.stdout
    before, _, after = done.stdout.partition("ignored")
    assert before.count("THIS IS NOT APPS+") == 0
    assert after.count("THIS IS NOT APPS+") == 1


def test_with_warnings_as_errors_every_load_fails(aim: Aim) -> None:
    for _ in range(2):
        with nothing_warned(), pytest.raises(SampleDataWarning):
            load_problems("apps_plus")


def test_the_warning_points_to_the_caller(aim: Aim) -> None:
    with pytest.warns(SampleDataWarning) as caught:
        load_problems("apps_plus")
    assert caught[0].filename == __file__


def test_the_first_line_that_a_user_types(aim: Aim) -> None:
    with pytest.warns(SampleDataWarning):
        env: Any = gymnasium.make(ENV_ID)
    _, info = env.reset(seed=0)
    assert info["source"] == "apps_plus_sample"
    *_, info = env.step(env.unwrapped.tokenizer.end_id)
    assert info["source"] == "apps_plus_sample"
    assert env.unwrapped.problems.report.stands_in_for == "apps_plus"
    env.close()


def test_the_vector_environment_says_it_as_well(aim: Aim) -> None:
    with pytest.warns(SampleDataWarning) as caught:
        envs = gymnasium.make_vec(ENV_ID, num_envs=2)
    assert len(caught) == 1
    _, infos = envs.reset(seed=0)
    assert infos["source"].tolist() == ["apps_plus_sample"] * 2
    envs.close()


def test_who_names_the_sample_is_not_warned_and_no_network_is_asked(
    aim: Aim, server: tuple[str, list[str]]
) -> None:
    url, asked = server
    aim(f"{url}/200")
    with nothing_warned():
        env: Any = gymnasium.make(ENV_ID, data="sample", allow_sample=False)
    assert env.reset(seed=0)[1]["source"] == "apps_plus_sample"
    assert env.unwrapped.problems.report.stands_in_for is None
    assert asked == []
    env.close()


def test_an_argument_refuses_the_sample(aim: Aim) -> None:
    with nothing_warned():
        with pytest.raises(OfflineError, match='data="sample"'):
            load_problems("apps_plus", allow_sample=False)
        with pytest.raises(OfflineError, match="no connection"):
            gymnasium.make(ENV_ID, allow_sample=False)
        with pytest.raises(OfflineError):
            gymnasium.make_vec(ENV_ID, num_envs=2, allow_sample=False)
    for load_them in (functools.partial(gymnasium.make, ENV_ID), apps_plus):
        with pytest.raises(ConfigurationError, match="allow_sample must be True or False, got 'no"):
            load_them(allow_sample="no")  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_a_refused_address_is_an_error(
    aim: Aim, server: tuple[str, list[str]], status: int
) -> None:
    url, asked = server
    aim(f"{url}/{status}")
    with nothing_warned(), pytest.raises(DataNotFoundError, match=str(status)) as caught:
        load_problems("apps_plus")
    assert not isinstance(caught.value, OfflineError)
    assert len(asked) == 1


def test_a_connection_that_breaks_is_an_error(aim: Aim, server: tuple[str, list[str]]) -> None:
    aim(f"{server[0]}/breaks")
    with nothing_warned(), pytest.raises(DataNotFoundError) as caught:
        load_problems("apps_plus")
    assert not isinstance(caught.value, OfflineError)


def test_a_damaged_file_is_an_error(aim: Aim) -> None:
    target = cache_folder() / APPS_PLUS.files[0].name
    target.parent.mkdir(parents=True)
    target.write_text(json.dumps([ROW]))
    checksum = hashlib.sha256(b"another file").hexdigest()
    target.with_name(target.name + ".sha256").write_text(checksum)
    with nothing_warned(), pytest.raises(DataFormatError, match="SHA-256"):
        load_problems("apps_plus")


def missing(name: str) -> Any:
    raise ImportError(name)


def test_offline_the_sample_stands_in_without_the_packages_for_downloads_too(
    aim: Aim, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.warns(SampleDataWarning, match="no connection"):
        assert load_problems("apps_plus").report.stands_in_for == "apps_plus"
    with nothing_warned(), pytest.raises(OfflineError, match="no connection"):
        load_problems("apps_plus", allow_sample=False)


def test_a_missing_package_is_an_error_that_names_both_ways_out(
    aim: Aim, server: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    aim(f"{server[0]}/200")
    monkeypatch.setattr(importlib, "import_module", missing)
    with nothing_warned(), pytest.raises(DataNotFoundError) as caught:
        load_problems("apps_plus")
    assert not isinstance(caught.value, OfflineError)
    assert "pip install -e '.[download]'" in str(caught.value)
    assert 'data="sample"' in str(caught.value)


def test_what_is_on_the_machine_comes_first(
    aim: Aim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = APPS_PLUS.files[0].name
    cache_folder().mkdir(parents=True)
    (cache_folder() / name).write_text(json.dumps([ROW]))
    with nothing_warned():
        assert load_problems("apps_plus")[0].source == "apps_plus"
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / name).write_text(json.dumps([ROW, {**ROW, "id": 2}]))
    monkeypatch.setenv("CODEGYM_DATA", str(tmp_path / "data"))
    with nothing_warned():
        assert len(load_problems("apps_plus")) == 2


def test_data_that_is_named_and_not_there_is_an_error(aim: Aim, tmp_path: Path) -> None:
    for data in (tmp_path, tmp_path / "none.json", "none.json"):
        with nothing_warned(), pytest.raises(DataNotFoundError):
            load_problems("apps_plus", data=data)


def test_a_server_that_answers_is_asked(aim: Aim, server: tuple[str, list[str]]) -> None:
    aim(f"{server[0]}/200")
    with nothing_warned():
        assert load_problems("apps_plus")[0].source == "apps_plus"
    aim(CLOSED)  # now it is in the cache
    with nothing_warned():
        assert len(load_problems("apps_plus")) == 1


@pytest.mark.parametrize(
    "source",
    [s.name for s in SOURCES.values() if isinstance(s, Source) and s.files and s.sample is None],
)
def test_no_other_source_gets_a_stand_in(
    aim: Aim, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    other = load._REGISTERED[source]
    assert isinstance(other, Source)
    monkeypatch.setattr("codegym.problems.files.locate.require_parquet", str)  # as if it were here
    files = tuple(dataclasses.replace(file, url=CLOSED) for file in other.files)
    changed = dataclasses.replace(other, files=files)
    monkeypatch.setitem(load._REGISTERED, source, changed)
    with nothing_warned(), pytest.raises(OfflineError) as caught:
        load_problems(source)
    assert "sample" not in str(caught.value)
    env_ids = [i for i, kwargs in codegym.ENVIRONMENTS.items() if kwargs["source"] == source]
    for env_id in env_ids:
        with nothing_warned(), pytest.raises(OfflineError):
            gymnasium.make(env_id)


@pytest.mark.parametrize("source", sorted(set(SOURCES) - {"apps_plus", "mini"}))
def test_data_sample_for_a_source_without_one(aim: Aim, source: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot read: it has no sample") as caught:
        load_problems(source, data="sample")
    assert f"'{source}'" in str(caught.value)
    assert "./sample" in str(caught.value)


def test_data_that_names_a_set_which_the_id_cannot_read(aim: Aim, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="'humaneval' names another source"):
        gymnasium.make(ENV_ID, data="humaneval")
    with pytest.raises(ConfigurationError, match="must be the path"):
        gymnasium.make(ENV_ID, data=5)
    path = tmp_path / "HumanEval.jsonl"
    path.write_text(json.dumps(HUMANEVAL_ROW) + "\n")
    with pytest.raises(DataFormatError, match="can be read as source 'humaneval'") as caught:
        gymnasium.make(ENV_ID, data=str(path))
    assert "APPS+ rows" in str(caught.value)


def test_a_folder_or_a_file_may_be_called_sample(
    aim: Aim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("sample").write_text(json.dumps([ROW]))
    for data in ("./sample", Path("sample")):
        assert load_problems("apps_plus", data=data)[0].source == "apps_plus"


# ---- the connection


def test_a_name_that_is_not_resolved_is_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ConnectionError, match=r"not resolved.*not known"):
        connection.check_connection("https://nowhere.invalid/x", 60)


@pytest.mark.parametrize("stalls", ["getaddrinfo", "create_connection"])
def test_a_network_that_says_nothing_is_given_up(
    aim: Aim, monkeypatch: pytest.MonkeyPatch, stalls: str
) -> None:
    released = threading.Event()

    def stall(*args: Any, **kwargs: Any) -> Any:
        released.wait()
        raise OSError("too late")

    monkeypatch.setattr(socket, stalls, stall)
    monkeypatch.setattr(download, "_CONNECT_SECONDS", 0.05)
    with pytest.warns(SampleDataWarning, match="no answer within"):
        load_problems("apps_plus")
    released.set()


def test_an_address_that_stalls_does_not_hide_one_that_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    released = threading.Event()
    addresses = [(2, 1, 6, "", ("192.0.2.1", 443)), (2, 1, 6, "", ("192.0.2.2", 443))]

    def connect(address: tuple[str, int], timeout: float) -> Any:
        if address[0] == "192.0.2.1":
            released.wait()
            raise OSError("too late")
        return socket.socket()

    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
    monkeypatch.setattr(socket, "create_connection", connect)
    connection.check_connection("https://192.0.2.1/x", 60)
    released.set()


def test_the_proxy_is_what_is_connected_to(
    aim: Aim, server: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, asked = server
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    aim("http://data.invalid/200")
    with pytest.warns(SampleDataWarning, match=r"no connection to 127\.0\.0\.1:1"):
        load_problems("apps_plus")
    monkeypatch.setenv("http_proxy", url)
    with nothing_warned():
        assert load_problems("apps_plus")[0].source == "apps_plus"
    assert asked == ["http://data.invalid/200"]
