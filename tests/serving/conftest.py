"""One server for the whole room."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest

from codegym.execution import LocalExecutor, installed_packages

MISSING = [
    name for name in ("httpx2", "starlette", "uvicorn") if not importlib.util.find_spec(name)
]
collect_ignore_glob = ["test_*.py"] if MISSING else []


def pytest_report_collectionfinish() -> list[str]:
    """Says why nothing of this room is tried."""
    missing = " and ".join(MISSING)
    how = "pip install -e '.[serve]'"
    return [f"tests/serving is skipped: {missing} not installed, {how}"] if MISSING else []


@pytest.fixture(scope="session")
def local() -> Iterator[LocalExecutor]:
    """What the server runs programs on."""
    packages = ("numpy",) if installed_packages(("numpy",)) else ()
    with LocalExecutor(workers=2, packages=packages) as executor:
        yield executor


@pytest.fixture(scope="session")
def url(local: LocalExecutor) -> Iterator[str]:
    """The URL of a server."""
    from tests.serving.asking import serving

    with serving(local) as url:
        yield url
