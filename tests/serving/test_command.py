"""`codegym serve`: it says where it is, stops when it is told to, and names what is wrong."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest

from codegym.commands import main
from codegym.errors import ConfigurationError
from codegym.serving import command, serve
from codegym.serving.command import open_server
from tests.python import PYTHON
from tests.serving.asking import HeldExecutor, post

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_stop(number: signal.Signals) -> None:
    pytest.importorskip("tyro", reason="tyro is not installed: pip install -e '.[cli]'")
    words = [*PYTHON, "-m", "codegym", "serve", "--port", "0"]
    with subprocess.Popen(
        [*words, "--workers", "1"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said.startswith("codegym serve: http://127.0.0.1:"), said + process.stdout.read()
        url = said.split()[2].rstrip(",")
        status, answer = post(url, "/run_code", code="print(1)", language="python")
        assert (status, answer["run_result"]["stdout"]) == (200, "1\n")
        process.send_signal(number)
        rest = process.stdout.read()
    assert (process.returncode, rest) == (0, "")


def test_an_answer_does_not_wait_for_its_head_to_be_acknowledged() -> None:
    with (
        command._listen("127.0.0.1", 0) as listening,
        socket.create_connection(listening.getsockname()),
        listening.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"Cannot listen on port {port}"):
            serve(port=port, workers=1)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"port": 70_000}, "port must be an int from 0 to 65535"),
        ({"host": "no host"}, "There is no address 'no host'"),
        ({"run_seconds": 10}, "run_seconds must be 12 or more, which a request asks for"),
        ({"memory_mb": 100}, "memory_mb must be 512 or more"),
        ({"packages": ("numpy", "no_such_package"), "port": 0}, "has no package no_such_package"),
        ({"workers": 0}, "workers must be a positive int"),
        ({"queue": 0}, "queue must be a positive int"),
        ({"body_mb": 0}, "body_mb must be a positive int"),
        ({"memory_mb": 1.5}, "memory_mb must be a positive int"),
        ({"run_seconds": -1}, "run_seconds must be a positive finite number"),
        ({"isolation": "Strict"}, "Did you mean 'strict'"),
        ({"packages": ("a b",)}, "without dots"),
    ],
)
def test_arguments_without_meaning(arguments: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        serve(**arguments)


def test_each_package_that_is_named_counts(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tyro", reason="tyro is not installed: pip install -e '.[cli]'")
    names = ("no_such_a", "no_such_b")
    words = [word for name in names for word in ("--packages", name)]
    assert main(["serve", "--port", "0", "--workers", "1", *words]) == 2
    assert "no_such_a, no_such_b" in capsys.readouterr().err


def test_the_command_line_names_what_is_wrong_in_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("tyro", reason="tyro is not installed: pip install -e '.[cli]'")
    assert main(["serve", "--workers", "0"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("ConfigurationError: workers must be a positive int")
    assert said.count("\n") == 1


def test_an_address_of_the_next_version() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with open_server(HeldExecutor(), host="::1") as server:
        assert server.url == f"http://[::1]:{server.port}"


def test_other_paths_and_methods(url: str) -> None:
    assert httpx2.get(f"{url}/run_code", timeout=None).status_code == 405
    assert httpx2.get(f"{url}/", timeout=None).status_code == 404
    health = httpx2.get(f"{url}/health", timeout=None).json()
    assert (health["status"], health["workers"], health["server"]) == ("ok", 2, "codegym")


@pytest.mark.parametrize("missing", ["starlette.applications", "uvicorn"])
def test_without_its_packages_it_says_what_to_install(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with (
        pytest.raises(ConfigurationError, match=r"pip install -e '\.\[serve\]'"),
        open_server(HeldExecutor()),
    ):
        pass
