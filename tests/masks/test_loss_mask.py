"""The FGO mask, by hand and against an oracle that shares no code with it.

The oracle traces with ``sys.settrace`` in this process (the programs are reference solutions and
their variations, not a policy's), finds statements with Python's own ``ast`` and comments with its
own ``tokenize``, and walks bytes one by one.
"""

from __future__ import annotations

import ast
import copy
import io
import sys
import tokenize
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from codegym.grading import Grader
from codegym.masks import executed_bytes, loss_mask, statement_coverage
from codegym.problems import CallTest, Problem, load_problems
from codegym.problems.mini import flawed_solution
from codegym.programs import Program
from codegym.tokenization import ByteTokenizer, MiniTokenizer, Tokenizer

MAX_EVENTS = 20_000


class TooLongError(Exception):
    pass


def traced_lines(problem: Problem, text: str) -> set[int]:
    """Lines of `text` that run on the problem's tests."""
    seen: set[int] = set()
    events = 0

    def trace(frame: Any, event: str, _: Any) -> Any:
        nonlocal events
        if frame.f_code.co_filename != "<oracle>":
            return None
        if event == "line":
            events += 1
            if events > MAX_EVENTS:
                raise TooLongError
            seen.add(frame.f_lineno)
        return trace

    code = compile(text, "<oracle>", "exec")
    for test in problem.tests:
        assert isinstance(test, CallTest)
        namespace: dict[str, Any] = {"__name__": "oracle"}
        exec(problem.prelude, namespace)  # a reference solution's own imports
        previous = sys.gettrace()
        sys.settrace(trace)
        try:
            exec(code, namespace)
            call = eval(str(problem.entry_point), namespace)
            args, kwargs = copy.deepcopy((test.args, dict(test.kwargs)))
            call(*args, **kwargs)
        except TooLongError:
            raise
        except Exception:  # a flawed program may crash: its lines count
            pass
        finally:
            sys.settrace(previous)
    return seen


def owners(text: str) -> dict[int, range]:
    """Line to the lines whose execution proves that its statement took effect."""
    lines = text.splitlines()
    code_lines = {n for n, line in enumerate(lines, 1) if line.strip() and line.strip()[0] != "#"}
    owned: dict[int, range] = {}
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.stmt) or isinstance(node, ast.Global | ast.Nonlocal):
            continue
        last = node.end_lineno or node.lineno
        body = getattr(node, "body", None)
        if body:
            first = min(
                [body[0].lineno, *[d.lineno for d in getattr(body[0], "decorator_list", [])]]
            )
            last = node.lineno
            while last + 1 < first and (last + 1) in code_lines:
                last += 1
        for line in range(node.lineno, last + 1):
            owned[line] = range(node.lineno, last + 1)
        for decorator in getattr(node, "decorator_list", []):
            for line in range(decorator.lineno, (decorator.end_lineno or 0) + 1):
                owned[line] = range(decorator.lineno, (decorator.end_lineno or 0) + 1)
        for block in (getattr(node, "orelse", None), getattr(node, "finalbody", None)):
            if block and lines[block[0].lineno - 1].split()[0] != "elif":
                keyword = block[0].lineno - 1
                while keyword not in code_lines:
                    keyword -= 1
                owned.setdefault(keyword, range(block[0].lineno, (block[-1].end_lineno or 0) + 1))
        for block in (body, getattr(node, "orelse", None), getattr(node, "finalbody", None)):
            for declaration in block or []:  # code-free: in force when its block runs
                if isinstance(declaration, ast.Global | ast.Nonlocal):
                    whole = range(block[0].lineno, (block[-1].end_lineno or 0) + 1)
                    owned[declaration.lineno] = whole
        for handler in getattr(node, "handlers", []):
            owned[handler.lineno] = range(handler.lineno, handler.lineno + 1)
        if isinstance(node, ast.Try):
            owned[node.lineno] = range(node.lineno, (node.body[-1].end_lineno or 0) + 1)
    return owned


def oracle(text: str, executed: set[int], tokenizer: Tokenizer, ids: list[int]) -> list[int]:
    """1 exactly if a token has a byte of code on a line whose statement ran."""
    comment: set[tuple[int, int]] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            start = len(token.line[: token.start[1]].encode())
            comment |= {(token.start[0], start + i) for i in range(len(token.string.encode()))}
    owned = owners(text)
    bits: list[int] = []
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        ran = number in owned and any(other in executed for other in owned[number])
        bits += [int(ran and (number, i) not in comment) for i in range(len(line.encode()))]
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
    for source, file in (
        ("apps_plus", "leetcode_as_appsplus.json.gz"),
        ("mbpp", "sanitized-mbpp.json"),
    ):
        for problem in load_problems(source, data=data_dir / file).sample(150, seed=0):
            plain = all(isinstance(t, CallTest) and t.expression is None for t in problem.tests)
            nodes = "ListNode" in problem.canonical_solution or "Tree" in problem.canonical_solution
            if plain and not nodes and problem.entry_point:
                yield problem, problem.canonical_solution


def compare(programs: Iterator[tuple[Problem, str]], grader: Grader, least: int) -> None:
    compared = partial = 0
    tokenizers: list[Tokenizer] = [MiniTokenizer(), ByteTokenizer()]
    for problem, text in programs:
        try:
            executed = traced_lines(problem, text)
        except (TooLongError, SyntaxError):
            continue
        grade = grader.grade(problem, text)
        for tokenizer in tokenizers:
            ids = tokenizer.encode(text)
            mask = loss_mask(Program(text), grade.executed_lines, tokenizer, ids).tolist()
            expected = oracle(text, executed, tokenizer, ids)
            assert mask == expected, f"{problem.id}\n{text}\n{sorted(executed)}"
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
    assert statement_coverage(PROGRAM, {1, 5, 6}) == 3 / 7  # def, doc, if, return, else, y, return
    assert statement_coverage(Program(""), set()) == 0.0


def test_bytes_beyond_ascii() -> None:
    program = Program("x = 'é'  # ü\ny = 1\n")
    mask = executed_bytes(program, {1})
    assert mask.sum() == len("x = 'é'  \n".encode())
