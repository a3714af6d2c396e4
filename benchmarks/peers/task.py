"""A program and its tests as a grader is given them: plain data that goes to another process."""

from __future__ import annotations

import ast
import functools
import json
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

__all__ = ["Road", "Task", "Verdict", "asserts_of", "calls_of"]

Road = Literal["lines", "calls", "code", "check"]
"""Standard input and output, calls of a function, test code, or a function `check(candidate)`."""


class Task(NamedTuple):
    """One program and the tests of its problem.

    Attributes:
        road: What `tests` holds.
        program: Python source.
        tests: Pairs: input and output (`"lines"`), the `repr` of the arguments and of the expected
            value (`"calls"`), source and the name it calls the program by (`"code"`), or one pair
            of the source of `check` and the entry point (`"check"`).
        entry_point: The function to call, or None.
        limits: CPU seconds, wall seconds and bytes of memory, for graders that take them.
    """

    road: Road
    program: str
    tests: tuple[tuple[str, str], ...]
    entry_point: str | None
    limits: tuple[float, float, int]

    def to_json(self) -> str:
        """The task as text."""
        return json.dumps(self._asdict())

    @staticmethod
    def from_json(text: str) -> Task:
        """The inverse of :meth:`to_json`."""
        fields = json.loads(text)
        fields["tests"] = tuple(map(tuple, fields["tests"]))
        fields["limits"] = tuple(fields["limits"])
        return Task(**fields)

    @property
    def name(self) -> str | None:
        """The name of the function or method to call."""
        return self.entry_point and self.entry_point.rpartition(".")[2]

    @property
    def fenced(self) -> str:
        """The program as a model would write it."""
        return f"```python\n{self.program}\n```"


class Verdict(NamedTuple):
    """What a grader said: whether it accepted, and its own words."""

    accepted: bool
    words: str


@functools.cache  # a call that is timed finds it done
def calls_of(task: Task) -> Sequence[tuple[list[Any], Any]] | None:
    """Arguments and expected value of each call; None where the tests are more than such pairs."""
    if task.road == "check":
        pairs = [_pair(text) for text in asserts_of(task.tests[0][0]) or [""]]
        return None if None in pairs else [pair for pair in pairs if pair is not None]
    if task.road != "calls":
        return None
    return [(list(ast.literal_eval(a)), ast.literal_eval(b)) for a, b in task.tests]


def asserts_of(check: str) -> list[str] | None:
    """The asserts on `candidate` one by one; None where `check` does more than assert."""
    body = next(
        node.body
        for node in ast.parse(check).body
        if isinstance(node, ast.FunctionDef) and node.name == "check"
    )
    if not all(isinstance(statement, ast.Assert) for statement in body):
        return None
    return [text for text in map(ast.unparse, body) if "candidate" in text]


def _pair(text: str) -> tuple[list[Any], Any] | None:
    """`assert candidate(1, 2) == 3` as arguments and expected value; None for anything else."""
    match ast.parse(text).body:
        case [
            ast.Assert(
                test=ast.Compare(
                    left=ast.Call(func=ast.Name(id="candidate"), args=args, keywords=[]),
                    ops=[ast.Eq()],
                    comparators=[right],
                )
            )
        ]:
            try:
                return list(map(ast.literal_eval, args)), ast.literal_eval(right)
            except ValueError:
                return None
    return None
