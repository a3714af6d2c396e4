"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Examples may take as long as a busy machine makes them take.
settings.register_profile("codegym", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("codegym")


def _find_data() -> Path | None:
    candidates = [os.environ.get("CODEGYM_DATA"), Path(__file__).parents[2] / "shared" / "data"]
    for candidate in candidates:
        if candidate and (Path(candidate) / "HumanEval.jsonl.gz").is_file():
            return Path(candidate)
    return None


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with real problems; tests that need it are skipped where it is absent."""
    found = _find_data()
    if found is None:
        pytest.skip("real data sets are not here: set CODEGYM_DATA to the folder that holds them")
    return found
