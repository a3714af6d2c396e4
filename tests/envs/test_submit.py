"""Whole continuations: what is taken, what is refused, and stop sequences across tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from codegym.envs import CodeVectorEnv, CompletionFormat
from codegym.errors import (
    ClosedError,
    CodegymError,
    ConfigurationError,
    InvalidActionError,
    ResetNeededError,
)
from codegym.grading import Grader
from codegym.problems import ProblemSet

from .executors import Late, MadeUp
from .player import Player
from .reference import Writer, assert_same, single_plays


@pytest.fixture
def envs(problems: ProblemSet) -> Any:
    with Grader(MadeUp(problems)) as grader:
        envs = CodeVectorEnv(
            2, problems=problems, grader=grader, tokenizer="byte", context_length=100,
            max_new_tokens=8, prompt_format=CompletionFormat(("\ndef", "#")),
        )  # fmt: skip
        yield envs
        envs.close()


@pytest.mark.parametrize(
    ("text", "taken", "terminated", "program"),
    [
        ("abc", 3, None, "abc"),
        ("abcdefgh", 8, False, "abcdefgh"),
        ("abcdefghijk", 8, False, "abcdefgh"),  # over the budget
        ("abc$", 4, True, "abc"),
        ("ab$cd", 3, True, "ab"),  # the end token in the middle
        ("abcdefg$", 8, True, "abcdefg"),  # on the last token of the budget
        ("abcdefgh$", 8, False, "abcdefgh"),
        ("x\ndefy", 5, True, "x"),
        ("x#", 2, True, "x"),
        ("x\nde$", 5, True, "x\nde"),
        ("abc\ndefg", 7, True, "abc"),
        ("abcd\ndef", 8, True, "abcd"),  # on the last token of the budget
        ("abcde\ndef", 8, False, "abcde\nde"),
    ],
)
@pytest.mark.parametrize("pieces", [1, 2, 3])
def test_where_a_continuation_ends(
    envs: CodeVectorEnv, text: str, taken: int, terminated: bool | None, program: str, pieces: int
) -> None:
    _, infos = envs.reset(seed=0, options={"problem_id": "echo"})
    tokens = [envs.tokenizer.end_id if c == "$" else ord(c) for c in text]
    count = 0
    for part in np.array_split(np.array(tokens), pieces):
        if len(part) and count < taken:
            count += envs.submit(1, part)
    assert count == taken
    obs, _, ends, cuts, infos = envs.collect()
    expected = [] if terminated is None else [terminated]
    assert ends.tolist() == [False, True in expected]
    assert cuts.tolist() == [False, False in expected]
    if terminated is not None:
        start = int(infos["start_length"][1])
        rest = [envs.tokenizer.pad_id] * (100 - start - taken)
        assert infos["program"][1] == program
        assert obs["attention_mask"][1].sum() == start + taken
        assert obs["input_ids"][1, start:].tolist() == tokens[:taken] + rest


@pytest.mark.parametrize("judging", ["sync", "async"])
@pytest.mark.parametrize("lane", ["tokens", "sequences", "both"])
def test_lanes_agree_where_programs_have_stop_sequences(
    problems: ProblemSet, lane: str, judging: Any
) -> None:
    arguments: dict[str, Any] = {
        "problems": problems, "tokenizer": "byte", "context_length": 130, "max_new_tokens": 60,
        "prompt_format": CompletionFormat(("\ndef", "ab", "abc", "#")), "start": "lines",
    }  # fmt: skip
    executor = Late(MadeUp(problems), seed=1)
    with Grader(executor) as grader, Grader(MadeUp(problems)) as quick:
        envs = CodeVectorEnv(4, judging=judging, copy=False, grader=grader, **arguments)
        writer = Writer(envs.tokenizer, "abcdef\n\nx", end=0.02)
        plays = Player(envs, writer, lane=lane, budget=70, seed=2).play(8)
        for i in range(4):
            expected = single_plays(
                writer, i, seed=2, episodes=8, budget=70, grader=quick, **arguments
            )
            assert_same(plays[i], expected)
        ends = [(p.terminated, p.last_obs["attention_mask"].sum()) for ps in plays for p in ps if p]
        assert {end for end, _ in ends} == {True, False}
        envs.close()
    executor.close()


BAD: list[tuple[Any, Any, type[CodegymError], str]] = [
    (2, [97], ConfigurationError, "0 to 1, got 2"),
    (-1, [97], ConfigurationError, "got -1"),
    (True, [97], ConfigurationError, "got True"),
    ("0", [97], ConfigurationError, "got '0'"),
    (0.0, [97], ConfigurationError, "got 0.0"),
    (0, [], InvalidActionError, "at least one"),
    (0, 97, InvalidActionError, "flat sequence"),
    (0, [[97]], InvalidActionError, "flat sequence"),
    (0, [97.0], InvalidActionError, "float64"),
    (0, "abc", InvalidActionError, "flat sequence"),
    (0, [97, 258], InvalidActionError, "token 1 of the continuation is 258"),
    (0, [-1], InvalidActionError, "token 0"),
]


@pytest.mark.parametrize(("index", "tokens", "error", "message"), BAD)
def test_bad_continuations(
    envs: CodeVectorEnv, index: Any, tokens: Any, error: Any, message: str
) -> None:
    envs.reset(seed=0)
    before = envs.collect()[0]
    with pytest.raises(error, match=message):
        envs.submit(index, tokens)
    assert_same(envs.collect()[0], before)


def test_continuations_out_of_order(envs: CodeVectorEnv) -> None:
    with pytest.raises(ResetNeededError, match="was not reset"):
        envs.submit(0, [97])
    with pytest.raises(ResetNeededError, match=r"collect\(\) was called before the first reset"):
        envs.collect()
    envs.reset(seed=0)
    envs.submit(0, [envs.tokenizer.end_id])
    with pytest.raises(ResetNeededError, match="being judged"):
        envs.submit(0, [97])
    assert envs.collect()[2][0]
    with pytest.raises(ResetNeededError, match="has ended"):
        envs.submit(0, [97])
    assert envs.collect()[4]["_problem_id"].tolist() == [True, False]
    assert envs.submit(np.int64(0), np.array([97], dtype=np.uint8)) == 1
    envs.close()
    with pytest.raises(ClosedError):
        envs.submit(0, [97])
    with pytest.raises(ClosedError):
        envs.collect()
