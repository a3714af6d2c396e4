"""The FGO mask, by hand and against an oracle that shares no code with it.

The oracle (`recorded.py`) runs in this process: the programs are reference solutions and their
variations, not a policy's.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from codegym.grading import Grader
from codegym.masks import executed_bytes, loss_mask, statement_coverage
from codegym.problems import CallTest, Problem, flawed_solution, load_problems
from codegym.programs import Program
from codegym.tokenization import ByteTokenizer, MiniTokenizer, Tokenizer

from . import recorded


def statements_that_run(problem: Problem, text: str) -> set[recorded.Key]:
    """What of `text` runs on the problem's tests."""
    ran: set[recorded.Key] = set()
    for test in problem.tests:
        assert isinstance(test, CallTest)
        args, kwargs = copy.deepcopy((test.args, dict(test.kwargs)))

        def use(namespace: dict[str, Any], args: Any = args, kwargs: Any = kwargs) -> None:
            name = str(problem.entry_point)
            if name not in namespace and "Solution" in namespace:
                name = f"Solution().{name.removeprefix('Solution().')}"
            eval(name, namespace)(*args, **kwargs)

        # A reference solution's own imports come first.
        ran |= recorded.run(text, use, prelude=problem.prelude)
    return ran


def oracle(bits: list[bool], tokenizer: Tokenizer, ids: list[int]) -> list[int]:
    """1 exactly if a token has a byte of a statement that ran."""
    mask, position = [], 0
    for token_id in ids:
        size = len(tokenizer.token_bytes(token_id))
        mask.append(int(any(bits[position : position + size])))
        position += size
    return mask


def mini_programs() -> Iterator[tuple[Problem, str]]:
    problems = load_problems("mini", split="train", size=280, seed=5)
    for i, problem in enumerate(problems):
        rng = np.random.default_rng(i)
        yield problem, flawed_solution(problem, rng) if i % 4 else problem.canonical_solution


def real_programs(data_dir: Any) -> Iterator[tuple[Problem, str]]:
    file = data_dir / "leetcode_as_appsplus.json.gz"
    for problem in load_problems("apps_plus", data=file).sample(220, seed=0):
        plain = all(isinstance(t, CallTest) and t.expression is None for t in problem.tests)
        nodes = "ListNode" in problem.canonical_solution or "Tree" in problem.canonical_solution
        if plain and not nodes and problem.entry_point:
            yield problem, problem.canonical_solution


def compare(programs: Iterator[tuple[Problem, str]], grader: Grader, least: int) -> None:
    compared = partial = 0
    tokenizers: list[Tokenizer] = [MiniTokenizer(), ByteTokenizer()]
    for problem, text in programs:
        try:
            ran = statements_that_run(problem, text)
        except (TimeoutError, SyntaxError):
            continue
        bits = recorded.executed_bytes(text, ran)
        grade = grader.grade(problem, text)
        for tokenizer in tokenizers:
            ids = tokenizer.encode(text)
            mask = loss_mask(Program(text), grade.executed_lines, tokenizer, ids).tolist()
            expected = oracle(bits, tokenizer, ids)
            assert mask == expected, f"{problem.id}\n{text}\n{sorted(ran)}"
        compared += 1
        partial += 0 < sum(mask) < len(mask)
    assert compared >= least
    assert partial >= least / 20, "programs that run only in part must be among them"


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with Grader() as grader:
        yield grader


def test_mask_equals_the_oracle_on_200_mini_programs(grader: Grader) -> None:
    compare(mini_programs(), grader, least=200)


def test_mask_equals_the_oracle_on_real_programs(data_dir: Any, grader: Grader) -> None:
    compare(real_programs(data_dir), grader, least=150)


PROGRAM = Program(
    "def f(x):  # one\n"
    '    """Doc."""\n'
    "\n"
    "    # two\n"
    "    if x:\n"
    "        return (1 +\n"
    "                2)\n"
    "    else:\n"
    "        y = 3; return y\n"
)


def masked_text(executed: set[int]) -> str:
    tokenizer = ByteTokenizer()
    mask = loss_mask(PROGRAM, executed, tokenizer, tokenizer.encode(PROGRAM.text))
    return "".join(c for c, bit in zip(PROGRAM.text, mask, strict=True) if bit)


def test_by_hand() -> None:
    then = "def f(x):  \n    if x:\n        return (1 +\n                2)\n"
    assert masked_text({1, 5, 6}) == then
    assert masked_text({1, 5, 7}) == then  # any line of a statement stands for all of it
    assert masked_text({1, 5, 9}) == (
        "def f(x):  \n    if x:\n    else:\n        y = 3; return y\n"
    )


def test_appended_dead_code_adds_nothing() -> None:
    tokenizer = ByteTokenizer()
    text = PROGRAM.text + "    if False:\n        x = 1\n"
    mask = loss_mask(Program(text), {1, 5, 6}, tokenizer, tokenizer.encode(text))
    assert mask[len(PROGRAM.text) :].sum() == 0
    assert mask.sum() == len(masked_text({1, 5, 6}))


def test_nothing_ran_means_all_ones_and_the_end_token_counts() -> None:
    tokenizer = ByteTokenizer()
    ids = [*tokenizer.encode("return ("), tokenizer.end_id]
    assert loss_mask(Program("return ("), set(), tokenizer, ids).tolist() == [1] * 9
    ids = [*tokenizer.encode("a=1\n#b\n"), tokenizer.end_id]
    assert loss_mask(Program("a=1\n#b\n"), {1}, tokenizer, ids).tolist() == [1] * 4 + [0] * 3 + [1]


def test_a_token_that_touches_an_executed_statement_counts_whole() -> None:
    class Pairs(ByteTokenizer):
        def token_bytes(self, token_id: int) -> bytes:
            return bytes([token_id, token_id])

    program = Program("aa\n\n# \n##")
    ids = [ord("a"), ord("\n"), ord("#")]
    assert loss_mask(program, {1}, Pairs(), ids).tolist() == [1, 1, 0]


def test_given_code_shifts_the_spans() -> None:
    tokenizer = ByteTokenizer()
    program = Program("a = 1\nif a:\n    b = 2\n")
    ids = tokenizer.encode("if a:\n    b = 2\n")
    mask = loss_mask(program, {1, 2}, tokenizer, ids, start=6)
    assert mask.tolist() == [1] * 6 + [0] * 10


def test_coverage_counts_statements() -> None:
    assert statement_coverage(PROGRAM, {1, 5, 6}) == 3 / 6  # def, if, return, else, y, return
    assert statement_coverage(Program(""), set()) == 0.0


def test_bytes_beyond_ascii() -> None:
    program = Program("x = 'é'  # ü\ny = 1\n")
    mask = executed_bytes(program, {1})
    assert mask.sum() == len("x = 'é'  \n".encode())
