"""A case as a grader is given it, and what an adapter is: plain data that goes into containment."""

from __future__ import annotations

import ast
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

__all__ = ["Adapter", "Road", "Task", "Verdict"]

Road = Literal["lines", "calls", "code"]
"""Standard input and output, calls of a function, or test code."""


@dataclasses.dataclass(frozen=True, slots=True)
class Task:
    """One program and the tests of its problem.

    Attributes:
        road: What `tests` holds.
        program: Python source.
        tests: Pairs: input and output (`"lines"`), the `repr` of the arguments and of the expected
            value (`"calls"`), or source and the name it calls the program by (`"code"`).
        entry_point: The function to call, or None.
        limits: CPU seconds, wall seconds and bytes of memory, for graders that take them.
    """

    road: Road
    program: str
    tests: tuple[tuple[str, str], ...]
    entry_point: str | None
    limits: tuple[float, float, int]

    def to_json(self) -> str:
        """As text."""
        return json.dumps(dataclasses.asdict(self))

    @staticmethod
    def from_json(text: str) -> Task:
        """The inverse of :meth:`to_json`."""
        fields = json.loads(text)
        fields["tests"] = tuple(map(tuple, fields["tests"]))
        fields["limits"] = tuple(fields["limits"])
        return Task(**fields)

    def values(self) -> list[tuple[list[Any], Any]]:
        """Arguments and expected value of each call."""
        return [(list(ast.literal_eval(a)), ast.literal_eval(b)) for a, b in self.tests]

    @property
    def name(self) -> str | None:
        """The name of the function or method to call."""
        return self.entry_point and self.entry_point.rpartition(".")[2]

    @property
    def fenced(self) -> str:
        """The program as a model would write it."""
        return f"```python\n{self.program}\n```"

    @property
    def survives_json(self) -> bool:
        """Whether JSON can hold every value of its calls."""
        if self.road != "calls":
            return True
        return all(json.loads(json.dumps(v)) == v for pair in self.values() for v in pair)


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """What a grader said: whether it accepted, and its own words."""

    accepted: bool
    words: str


@dataclasses.dataclass(frozen=True, slots=True)
class Adapter:
    """How one grader is asked.

    Attributes:
        name: Short name, and that of the folder with its sources.
        source: Its public repository.
        function: The function of its own that is called, unmodified.
        roads: What it can be asked about.
        grade: Asks it; the path is the folder with its sources.
        methods: Whether a function may be a method of `class Solution`.
        no_arguments: Whether a call may have none.
        exact: Whether it compares with Python's `==`.
        any_value: Whether values may be more than JSON can hold.
        remote: Programs are meant to run on another machine: effects are not counted, what they
            see there is no secret, and a sandbox that died is a rejection.
        remark: What a reader must know.
    """

    name: str
    source: str
    function: str
    roads: tuple[Road, ...]
    grade: Callable[[Task, Path], Verdict]
    methods: bool = True
    no_arguments: bool = True
    exact: bool = False
    any_value: bool = False
    remote: bool = False
    remark: str = ""

    def can_ask(self, task: Task) -> bool:
        """Whether the grader's interface can express the task."""
        return (
            task.road in self.roads
            and (self.no_arguments or all(arguments != "()" for arguments, _ in task.tests))
            and (self.methods or "class Solution" not in task.program)
            and (self.any_value or task.survives_json)
        )
