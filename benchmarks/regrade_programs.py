"""What is scored: programs that a model wrote, and programs that want a reward and do no work.

The second kind are the cheats and the wrong answers of the conformance suite that can be put as
calls of a function or as standard input, and one right program for each of their problems. Wrong
answers that only print something else than they should are left out: they are about comparing.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from benchmarks.peers.task import Task
from codegym.problems import CallTest, StdinTest
from conformance import cheats, wrong
from conformance.case import DOUBLE_CALLS, DOUBLE_CODE, Case

__all__ = ["PROBLEMS", "Asked", "Puzzle", "asked", "model_written"]

PROBLEMS = "HumanEval.jsonl.gz"
"""The file of HumanEval's problems in the folder of the data sets."""
_SAMPLES = "humaneval_codegen16b_samples.jsonl.gz"
_PRINTING = "wrong: prints "
_LIMITS = (1.0, 3.0, 2**28)


class Puzzle(NamedTuple):
    """A problem that programs are asked about, by calls of `f` or by standard input.

    Attributes:
        id: Its id.
        calls: Its tests if they are calls.
        lines: Its tests if they are inputs and outputs.
    """

    id: str
    calls: tuple[CallTest, ...] = ()
    lines: tuple[StdinTest, ...] = ()

    @property
    def description(self) -> str:
        """What a model is told; no two problems have the same."""
        return f"{'Return' if self.calls else 'Print'} what the tests of {self.id} expect."

    @property
    def starter(self) -> str:
        """The opening part that completions continue."""
        return f'def f(*args):\n    """{self.description}"""\n' if self.calls else ""

    @property
    def ground_truth(self) -> str:
        """The tests as trainers have them in their data sets: JSON text."""
        if self.lines:
            columns: dict[str, Any] = {
                "inputs": [test.stdin for test in self.lines],
                "outputs": [test.stdout for test in self.lines],
            }
        else:
            columns = {
                "inputs": [list(test.args) for test in self.calls],
                "outputs": [test.expected for test in self.calls],
                "fn_name": "f",
            }
        return json.dumps(columns)

    def row(self) -> dict[str, Any]:
        """The problem in the format of the source `custom`."""
        calls = [{"args": list(test.args), "expected": test.expected} for test in self.calls]
        lines = [{"stdin": test.stdin, "stdout": test.stdout} for test in self.lines]
        row = {"id": self.id, "description": self.description, "tests": [*calls, *lines]}
        return row | ({"entry_point": "f", "starter_code": self.starter} if calls else {})

    def right(self) -> str:
        """A program that is right: it knows the answers."""
        if self.lines:
            answers = {test.stdin: test.stdout for test in self.lines}
            return f"import sys\nprint({answers!r}[sys.stdin.read()], end='')\n"
        answers = {repr(test.args): test.expected for test in self.calls}
        return f"def f(*args):\n    return {answers!r}[repr(args)]\n"


class Asked(NamedTuple):
    """A program that graders are asked about.

    Attributes:
        name: The name of its case in the conformance suite, or what it is.
        kind: What a grader must do.
        puzzle: Its problem.
        program: The source.
    """

    name: str
    kind: Literal["accept", "reject"]
    puzzle: Puzzle
    program: str

    def text(self, *, completes: bool) -> str:
        """What the model wrote: the program, or a completion that brings it."""
        return f"\n{self.program}" if completes else self.program

    def task(self, *, completes: bool) -> Task:
        """What a grader is given."""
        program = self.puzzle.starter * completes + self.text(completes=completes)
        if self.puzzle.lines:
            pairs = [(test.stdin, test.stdout) for test in self.puzzle.lines]
        else:
            pairs = [(repr(test.args), repr(test.expected)) for test in self.puzzle.calls]
        name = None if self.puzzle.lines else "f"
        return Task("lines" if self.puzzle.lines else "calls", program, tuple(pairs), name, _LIMITS)


def asked(every: int = 1) -> list[Asked]:
    """The programs that want a reward, then a right program for each of their problems.

    Args:
        every: Only every so many-th case.
    """
    puzzles: dict[str, Puzzle] = {}
    programs = []
    wrong_answers = [case for case in wrong.CASES if not case.name.startswith(_PRINTING)]
    for case in [*cheats.CASES, *wrong_answers][::every]:
        calls, lines = _tests(case)
        if calls or lines:
            made = Puzzle(f"{'calls' if calls else 'lines'}-{len(puzzles) + 1}", calls, lines)
            puzzle = puzzles.setdefault(repr((calls, lines)), made)
            programs.append(Asked(case.name, "reject", puzzle, case.program))
    return programs + [
        Asked(f"right: {puzzle.id}", "accept", puzzle, puzzle.right())
        for puzzle in puzzles.values()
    ]


def _tests(case: Case) -> tuple[tuple[CallTest, ...], tuple[StdinTest, ...]]:
    """The tests of a case; none where they are test code that is more than calls."""
    if case.tests == DOUBLE_CODE:
        return DOUBLE_CALLS[:2], ()  # what it asserts
    calls = tuple(test for test in case.tests if isinstance(test, CallTest))
    lines = tuple(dict.fromkeys(test for test in case.tests if isinstance(test, StdinTest)))
    return calls, lines


def model_written(data: Path, most: int | None = None) -> Iterator[tuple[dict[str, Any], str]]:
    """HumanEval's rows and the completions that a language model wrote for them.

    The programs are whole. As a completion each is put behind the prompt, whose function, which
    consists of a docstring, it defines anew.

    Args:
        data: The folder of the data sets.
        most: How many, spread over the file; None: all.
    """
    rows = {row["task_id"]: row for row in _rows(data / PROBLEMS)}
    pairs = [
        (rows[written["task_id"]], f"\n{program}")
        for written in _rows(data / _SAMPLES)
        for program in written["programs"]
    ]
    yield from pairs[:: 1 if most is None else max(1, len(pairs) // most)][:most]


def _rows(path: Path) -> Sequence[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]
