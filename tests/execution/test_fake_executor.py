"""What a fake executor is told wrongly is an error that says what to write."""

from __future__ import annotations

from typing import Any

import pytest

from codegym.errors import ConfigurationError
from codegym.execution import ExitReason, FakeExecutor, Observation, Request, encode_value


def seen_by(*seen: Any) -> tuple[Observation, ...]:
    executor = FakeExecutor(lambda _: seen)
    return executor.submit(Request("", ())).result().observations


def test_answers_are_bytes() -> None:
    six = Observation(ExitReason.FINISHED, answer=encode_value(6))
    assert seen_by(six)[0].value == 6
    wrong: Any = 6
    with pytest.raises(ConfigurationError, match=r"int: write .*encode_value\(6\)"):
        seen_by(six, Observation(ExitReason.FINISHED, answer=wrong))


def test_only_observations_are_observations() -> None:
    with pytest.raises(ConfigurationError, match="must return an Observation for each input, got"):
        seen_by("6")
