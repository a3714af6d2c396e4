"""Test code is told which names the objects of a reference solution have."""

from __future__ import annotations

from codegym.problems import Problem
from codegym.problems.problem import CallTest, CodeTest, UnitTest
from codegym.problems.reading.classes import with_classes

CODE = CodeTest("assert Box().get()", "Box")
SOLUTION = """
class Base:
    def shared(self): self.seen = 1
class Box(Base):
    limit = 3
    name: str = ""
    def __len__(self): return 0
    def get(self):
        self.inner, other.outer = 1, 2
        local = 3
"""


def classes(solution: str, *tests: UnitTest, entry: str = "Box", starter: str = "") -> object:
    problem = Problem("p", "d", solution, tests or (CODE,), starter, entry)
    found = with_classes(problem).tests[0]
    return dict(found.classes) if isinstance(found, CodeTest) else None


def test_names_are_those_of_the_class_its_bases_and_its_objects() -> None:
    own = {"__len__", "get", "inner", "limit", "name"}
    found = classes(SOLUTION)
    assert {name: set(names) for name, names in found.items()} == {  # type: ignore[attr-defined]
        "Base": {"shared", "seen"},
        "Box": {*own, "shared", "seen"},
    }


def test_a_dataclass_is_compared_and_shown() -> None:
    found = classes("import dataclasses\n@dataclasses.dataclass(frozen=True)\nclass P: x: int = 0")
    assert {"x", "__eq__", "__repr__"} <= set(found["P"])  # type: ignore[index]


def test_the_starter_code_stands_in_for_a_solution() -> None:
    assert classes("", starter="class Box:\n    def get(self): ...\n") == {"Box": ("get",)}
    assert classes("", starter="class Box:\n    def get(self):\n") == {}


def test_the_class_of_a_method_that_is_called_shows_nothing() -> None:
    solution = "class Solution:\n    def f(self): pass\nclass Node: val = 0"
    assert classes(solution, entry="Solution().f") == {"Node": ("val",)}


def test_other_tests_are_left_alone() -> None:
    assert classes(SOLUTION, CallTest((), 1)) is None
    assert classes("def f(): pass", entry="f") == {}
