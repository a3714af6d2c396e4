"""Start distributions without memory, jump start, and their names."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from codegym.errors import ConfigurationError, StartStateError, UnknownNameError
from codegym.start_states import (
    EmptyPrefix,
    GivenPrefixes,
    JumpStart,
    LinePrefixes,
    Reference,
    StartStates,
    UniformPrefixes,
    make_start_states,
)

HEADER = "def f(x):\n"
REFERENCE = Reference(
    "p",
    HEADER + "    if x:\n        x = 1\n\n    for i in x:\n        x = 2\n    return x\n",
    HEADER,
)


def test_empty() -> None:
    start = EmptyPrefix().draw(REFERENCE, np.random.default_rng(0))
    assert (start.prefix, start.stage, start.num_stages) == ("", 0, 1)


def test_uniform_draws_every_conditional_equally_often() -> None:
    rng = np.random.default_rng(0)
    drawn = Counter(UniformPrefixes().draw(REFERENCE, rng).prefix for _ in range(2000))
    assert set(drawn) == {"", "    if x:\n        x = 1\n\n"}
    assert abs(drawn[""] - 1000) < 130  # four standard deviations


def test_lines_skip_blank_ones() -> None:
    head = "    if x:\n"
    assert LinePrefixes().prefixes(REFERENCE) == [
        "",
        head,
        head + "        x = 1\n\n",
        head + "        x = 1\n\n    for i in x:\n",
        head + "        x = 1\n\n    for i in x:\n        x = 2\n",
    ]


def test_given_prefixes_must_be_prefixes() -> None:
    starts = GivenPrefixes({"p": ["    if x:\n"]})
    assert starts.num_stages(REFERENCE) == 2
    assert starts.num_stages(Reference("unnamed", "pass\n")) == 1
    with pytest.raises(StartStateError, match="part at character 7"):
        GivenPrefixes({"p": ["    if y:\n"]}).draw(REFERENCE, np.random.default_rng(0))


def test_jump_start_shortens_while_the_learner_keeps_up() -> None:
    starts = JumpStart(horizons=3, window=2, tolerance=0.1)
    rng = np.random.default_rng(0)
    seen = []
    for _ in range(8):
        start = starts.draw(REFERENCE, rng)
        seen.append((start.stage, start.prefix))
        starts.update(REFERENCE, start, solved=True)
    assert [stage for stage, _ in seen] == [2, 2, 1, 1, 0, 0, 0, 0]
    assert seen[-1][1] == ""
    assert len(seen[0][1]) > len(seen[2][1]) > 0


def test_jump_start_waits_for_a_learner_that_fails() -> None:
    starts = JumpStart(horizons=3, window=2)
    for _ in range(20):
        starts.update(REFERENCE, starts.draw(REFERENCE, np.random.default_rng(0)), solved=False)
    assert starts.describe(REFERENCE)["stage"] == 2
    copy = JumpStart(horizons=3, window=2)
    copy.load_state_dict(starts.state_dict())
    assert copy.state_dict() == starts.state_dict()


def test_a_header_that_the_program_lacks_is_refused() -> None:
    with pytest.raises(StartStateError, match="does not begin"):
        Reference("p", "x = 1\n", "def f")


@pytest.mark.parametrize("name", ["empty", "cccs", "uniform", "lines", "jsrl"])
def test_names(name: str) -> None:
    starts = make_start_states(name)
    assert isinstance(starts, StartStates)
    assert make_start_states(starts) is starts
    fresh = make_start_states(name)
    fresh.load_state_dict(starts.state_dict())


def test_wrong_names_are_errors_that_suggest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'cccs'"):
        make_start_states("ccs")
    with pytest.raises(ConfigurationError, match="got int"):
        make_start_states(3)  # type: ignore[arg-type]
