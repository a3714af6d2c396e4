"""One pool for the whole room, and a short way to run a program on it."""

from __future__ import annotations

import glob
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator

import pytest

from codegym.execution import (
    Call,
    ExecutionLimits,
    LocalExecutor,
    Observation,
    Request,
    Stdin,
    TestCode,
)

Run = Callable[..., Observation]
LIMITS = ExecutionLimits(cpu_seconds=1.0, wall_seconds=3600.0, memory_bytes=256 * 2**20)
"""Of CPU time, which a busy machine leaves as it is; no honest program is near it."""


@pytest.fixture(scope="session", autouse=True)
def interrupts() -> None:
    """What tests start can be interrupted, also if a shell started the tests with `&`."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def find_python(version: str) -> str | None:
    """An interpreter of this version, or None."""
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        return sys.executable
    pattern = os.path.expanduser(f"~/.pyenv/versions/{version}.*/bin/python3")
    return shutil.which(f"python{version}", path=os.defpath) or next(iter(glob.glob(pattern)), None)


def bind(executor: LocalExecutor) -> Run:
    def run(
        program: str, given: Stdin | Call | TestCode | str = "", **settings: object
    ) -> Observation:
        if isinstance(given, str):
            given = Stdin(given)
        if not isinstance(given, Stdin):
            settings.setdefault("entry_point", "f")
        settings.setdefault("limits", LIMITS)
        request = Request(program, (given,), **settings)  # type: ignore[arg-type]
        return executor.run(request).observations[0]

    return run


@pytest.fixture(scope="session")
def executor() -> Iterator[LocalExecutor]:
    with LocalExecutor(workers=1) as executor:
        yield executor


@pytest.fixture(scope="session")
def run(executor: LocalExecutor) -> Run:
    return bind(executor)


@pytest.fixture(scope="session", params=["3.11", "3.12", "3.13"])
def run_on(request: pytest.FixtureRequest) -> Iterator[Run]:
    """`run` on each interpreter that is here."""
    python = find_python(request.param)
    if python is None:
        pytest.skip(f"no Python {request.param} on this machine")
    with LocalExecutor(workers=1, python=python) as executor:
        yield bind(executor)
