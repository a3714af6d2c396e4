"""What verl is given: rows, a reward function, an agent loop. verl itself is not imported."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any, Never

import numpy as np
import pytest

from codegym.errors import (
    ConfigurationError,
    ExecutionError,
    ProblemError,
    UnknownNameError,
    WorkerError,
)
from codegym.execution import FakeExecutor
from codegym.grading import Grader
from codegym.integrations import completions, verl
from codegym.integrations.problem_json import problem_from_json, problem_to_json
from codegym.problems import (
    CallTest,
    Checker,
    CodeTest,
    LinkedList,
    Problem,
    StdinTest,
    load_problems,
)
from codegym.problems.rows import problem_of, row_of
from codegym.problems.sources.eurus2 import EURUS2
from codegym.problems.sources.verl import VERL
from codegym.tokenization import ByteTokenizer

ADD = Problem(
    "add", "Add x and y.", "", (CallTest((1, 2), 3), CallTest((4, 4), 8)), entry_point="f"
)
RIGHT = "Sum them.\n```python\ndef f(x, y):\n    return x + y\n```\n"
HALF = "```python\ndef f(x, y):\n    if x == 1:\n        return 3\n    return 9\n```"
KEYS = {"score", "acc", "pass_ratio", "verdict"}


def break_down(request: object) -> Never:
    raise WorkerError("the machine is broken")


@pytest.fixture
def broken_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    grader = Grader(FakeExecutor(break_down))
    monkeypatch.setattr(completions, "_shared_grader", lambda: grader)
    yield
    grader.close()


def scored(problem: Problem, answer: str, **arguments: Any) -> dict[str, Any]:
    [row] = verl.rows([problem])
    return asyncio.run(
        verl.compute_score(
            data_source=row["data_source"],
            solution_str=answer,
            ground_truth=row["reward_model"]["ground_truth"],
            extra_info=row["extra_info"],
            **arguments,
        )
    )


def test_a_row_holds_the_problem_and_asks_it() -> None:
    problems = load_problems("apps_plus", data="sample")[:3]
    made = verl.rows(problems, split="test", system="Be brief.", agent_name="codegym")
    assert [row["extra_info"]["index"] for row in made] == [0, 1, 2]
    for row, problem in zip(made, problems, strict=True):
        assert problem_from_json(row["reward_model"]["ground_truth"]) == problem
        assert row["extra_info"]["problem_id"] == problem.id
        assert row["extra_info"]["split"] == "test"
        assert (row["data_source"], row["agent_name"]) == (f"codegym/{problem.source}", "codegym")
        assert [message["role"] for message in row["prompt"]] == ["system", "user"]
        assert problem.description.strip() in row["prompt"][1]["content"]
        assert problem.canonical_solution not in row["prompt"][1]["content"]


def test_a_problem_survives_as_text_whatever_its_values_are() -> None:
    tests = (
        CallTest(((1, [2, {3}]),), {1: (2,)}, kwargs=(("k", 10**40),), alternatives=(b"x", None)),
        CallTest((LinkedList((1, 2)),), float("inf"), tolerance=0.5, expression="f(1)"),
        StdinTest("ä\u2028\x00\n", "1\n"),
        CodeTest("assert f(1) == 2", "f", checks=(1,), classes=(("A", ("b",)),)),
    )
    problem = Problem(
        "p/1", "Do.", "x = 1\n", tests, "def f", "f", "easy", "mine", "import re\n", "exact",
        ("numpy",), metadata={"not": object()},
    )  # fmt: skip
    again = problem_from_json(problem_to_json(problem))
    assert again == problem
    assert again.tests == problem.tests
    check = "def check(input, output, expected): return True"
    checked = dataclasses.replace(
        problem, tests=tests[2:3], any_order=0, checker=Checker(check), comparison="tolerant"
    )
    assert problem_from_json(problem_to_json(checked)).checker == Checker(check)
    assert (again.id, again.source, again.difficulty) == ("p/1", "mine", "easy")
    assert type(again.tests[0].args[0]) is tuple  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "text", ["", "{}", '{"codegym_problem":1}', '{"codegym_problem":{"d":[]}}']
)
def test_what_is_no_problem_is_refused_as_such(text: str) -> None:
    with pytest.raises(ProblemError, match="rows again"):
        problem_from_json(text)


def test_right_half_right_and_no_program_are_told_apart_under_the_same_keys() -> None:
    right, half, none = (scored(ADD, answer) for answer in (RIGHT, HALF, "```c\n;\n```"))
    assert set(right) == set(half) == set(none) == KEYS
    assert (right["score"], right["acc"], right["verdict"]) == (1.0, 1.0, "accepted")
    assert (half["score"], half["acc"], half["pass_ratio"]) == (0.0, 0.0, 0.5)
    assert (none["score"], none["verdict"]) == (0.0, "compile_error")


def test_reward_and_limits_come_from_reward_kwargs() -> None:
    assert scored(ADD, HALF, reward="pass_ratio")["score"] == 0.5
    assert scored(ADD, HALF, reward="stepcoder")["score"] == -0.3
    endless = "```python\ndef f(x, y):\n    while True: pass\n```"
    limits = {"cpu_seconds": 0.05, "wall_seconds": 5.0}
    assert scored(ADD, endless, limits=limits)["verdict"] == "time_limit"
    with pytest.raises(UnknownNameError, match="cpu_seconds"):
        scored(ADD, RIGHT, limits={"cpu_second": 1.0})
    with pytest.raises(UnknownNameError, match="pass_ratio"):
        scored(ADD, RIGHT, reward="pass_ration")


def test_what_verl_hands_in_with_a_reward_model_is_taken_and_a_typo_is_not() -> None:
    handed_in = {"reward_router_address": "localhost:1", "reward_model_tokenizer": object()}
    assert scored(ADD, RIGHT, **handed_in)["score"] == 1.0
    with pytest.raises(TypeError):
        scored(ADD, RIGHT, rewards="binary")


@pytest.mark.parametrize(
    ("ground_truth", "right", "wrong"),
    [
        (
            {"inputs": ["1 2\n", "3 4\n"], "outputs": ["3\n", "7\n"]},
            "print(sum(map(int, input().split())))",
            "print(3)",
        ),
        (
            {"fn_name": "add", "inputs": ["1\n2", "3\n4"], "outputs": ["3", "7"]},
            "def add(a, b):\n    return a + b",
            "def add(a, b):\n    return 3",
        ),
        (
            {"fn_name": "add", "inputs": [[1, 2], [3, 4]], "outputs": [3, 7]},
            "class Solution:\n    def add(self, a, b):\n        return a + b",
            "def add(a, b):\n    return 3",
        ),
        (
            {"fn_name": "add", "assert_case": ["assert add(1, 2) == 3", "assert add(3, 4) == 7"]},
            "def add(a, b):\n    return a + b",
            "def add(a, b):\n    return 3",
        ),
    ],
    ids=["stdin", "call with JSON lines", "call with lists", "asserts"],
)
@pytest.mark.parametrize("form", [json.dumps, dict, lambda truth: arrays(truth)])
def test_verls_own_code_rows_are_read(
    ground_truth: dict[str, Any], right: str, wrong: str, form: Callable[[Any], Any]
) -> None:
    tests = form(ground_truth)

    def score(program: str) -> dict[str, Any]:
        answer = f"```python\n{program}\n```"
        return asyncio.run(verl.compute_score("taco", answer, tests, {"index": 7}))

    assert score(right)["verdict"] == "accepted"
    assert score(wrong)["verdict"] == "wrong_answer"


def arrays(value: Any) -> Any:
    """A row's value as pandas reads it from parquet: lists are arrays of objects."""
    if isinstance(value, dict):
        return {key: arrays(one) for key, one in value.items()}
    if not isinstance(value, list):
        return np.int64(value) if isinstance(value, int) else value
    made = np.empty(len(value), dtype=object)
    made[:] = [arrays(one) for one in value]
    return made


@pytest.mark.parametrize(
    "truth",
    [
        {"inputs": ["1 2\n"], "outputs": ["3\n\n0.5"]},
        {"fn_name": "add", "inputs": ["1\n2", "3\n4"], "outputs": ["3", "7"]},
        {"fn_name": "add", "inputs": [[1, 2], [3, 4]], "outputs": [3, 7]},
        {"fn_name": "add", "assert_case": ["assert add(1, 2) == 3", "assert add(3, 4) == 7"]},
        [{"input": "1 2\n", "output": "3\n", "testtype": "stdin"}],
        [{"input": "1\n2", "output": "3", "testtype": "functional", "fn_name": "add"}],
    ],
)
@pytest.mark.parametrize("starter", ["", "class Solution:\n    def add(self, a, b):\n"])
def test_a_row_means_the_same_to_the_reward_and_to_who_loads_it(truth: Any, starter: str) -> None:
    extra = {"index": 7, "starter_code": starter}
    rewarded = verl.problem_of_row("taco", json.dumps(truth), extra)
    row = {
        "prompt": [{"role": "user", "content": "Add."}],
        "reward_model": {"ground_truth": json.dumps(truth)},
        "extra_info": extra,
    }
    for source in (VERL, EURUS2):
        loaded = problem_of(source, row_of(row, 0))
        for field in (
            "tests", "entry_point", "prelude", "comparison", "packages", "starter_code",
        ):  # fmt: skip
            assert getattr(rewarded, field) == getattr(loaded, field), field


@pytest.mark.parametrize(
    "ground_truth",
    [None, "", "42", "no JSON", "[]", '{"inputs": [], "outputs": []}', '{"inputs": ["1"]}',
     '{"inputs": ["1"], "outputs": ["1", "2"]}', '{"assert_case": ["assert f()"]}',
     '{"fn_name": 3, "inputs": ["1"], "outputs": ["1"]}'],
)  # fmt: skip
def test_a_row_without_usable_tests_is_an_error_that_names_it(ground_truth: Any) -> None:
    with pytest.raises(ProblemError, match="'taco/7' cannot be graded"):
        asyncio.run(verl.compute_score("taco", RIGHT, ground_truth, {"index": 7}))


@pytest.mark.usefixtures("broken_machine")
def test_a_failure_of_the_machine_is_raised_and_never_a_score() -> None:
    with pytest.raises(ExecutionError, match="broken"):
        scored(ADD, RIGHT)


def test_many_rewards_at_once_share_a_grader_and_read_a_row_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    verl._remembered.cache_clear()
    [row] = verl.rows([ADD])
    ground_truth = row["reward_model"]["ground_truth"]

    async def all_at_once() -> list[dict[str, Any]]:
        answers = [f"```python\ndef f(x, y):\n    return x + y + {n % 4}\n```" for n in range(40)]
        calls = (verl.compute_score("codegym/x", a, ground_truth, {}) for a in answers)
        return list(await asyncio.gather(*calls))

    made: list[Grader] = []
    prepare = Grader.__init__

    def count(grader: Grader, *arguments: Any, **named: Any) -> None:
        made.append(grader)
        prepare(grader, *arguments, **named)

    monkeypatch.setattr(Grader, "__init__", count)
    scores = asyncio.run(all_at_once())
    assert [score["score"] for score in scores] == [1.0, 0.0, 0.0, 0.0] * 10
    assert len(made) <= 1
    assert verl._remembered.cache_info().misses == 1


class Loop:
    """Stands for verl's single-turn loop: it answers what it is told to."""

    def __init__(self, *, tokenizer: Any, answer: list[int], name: str = "") -> None:
        self.answer = answer

    async def run(self, sampling_params: dict[str, Any], **row: Any) -> types.SimpleNamespace:
        mask = [1] * (len(self.answer) - 1) + [0]
        return types.SimpleNamespace(
            response_ids=self.answer, response_mask=mask, reward_score=None, extra_fields={}
        )


class ChatTokenizer(ByteTokenizer):
    """A tokenizer with the method of ``transformers`` that verl calls."""

    def decode(self, token_ids: Any, skip_special_tokens: bool = True) -> str:
        return super().decode(token_ids)


@pytest.fixture
def verls_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("verl.experimental.agent_loop.single_turn_agent_loop")
    module.SingleTurnAgentLoop = Loop  # type: ignore[attr-defined]
    for name in ("verl", "verl.experimental", "verl.experimental.agent_loop"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)


@pytest.mark.usefixtures("verls_loop")
def test_the_agent_loop_masks_what_did_not_run_and_keeps_verls_own_zeros() -> None:
    tokenizer = ChatTokenizer()
    answer = "```python\ndef f(x, y):\n    if x > 9:\n        return 0\n    return x + y\n```"
    ids = [*tokenizer.encode(answer), tokenizer.end_id]
    loop = verl.FGOAgentLoop(tokenizer=tokenizer, answer=ids, reward="stepcoder", name="codegym")
    [row] = verl.rows([ADD])
    output = asyncio.run(loop.run({}, **row))
    unrun = "        return 0\n"
    start = answer.index(unrun)
    expected = [1] * len(ids)
    expected[start : start + len(unrun)] = [0] * len(unrun)
    expected[-1] = 0
    assert output.response_mask == expected
    assert output.reward_score == 1.0
    assert output.extra_fields["reward_extra_info"]["verdict"] == "accepted"


@pytest.mark.usefixtures("verls_loop", "broken_machine")
def test_a_failure_of_the_machine_ends_the_agent_loop() -> None:
    tokenizer = ChatTokenizer()
    loop = verl.FGOAgentLoop(tokenizer=tokenizer, answer=tokenizer.encode(RIGHT))
    with pytest.raises(ExecutionError, match="broken"):
        asyncio.run(loop.run({}, **verl.rows([ADD])[0]))


@pytest.mark.usefixtures("verls_loop")
def test_the_agent_loop_refuses_what_has_no_meaning_before_it_answers() -> None:
    for wrong in ({"outside": 2}, {"reward": "none"}, {"limits": {"cpu_seconds": -1}}):
        with pytest.raises(ConfigurationError):
            verl.FGOAgentLoop(tokenizer=ChatTokenizer(), answer=[], **wrong)


def test_without_verl_the_agent_loop_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "verl", None)
    with pytest.raises(ConfigurationError, match="pip install verl"):
        verl.FGOAgentLoop(tokenizer=ChatTokenizer())
