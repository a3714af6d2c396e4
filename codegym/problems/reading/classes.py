"""Which classes a reference solution has, and what of their objects a test may ask for.

Test code asks an object of the program for no other names: so no program can invent an object that
says yes to whatever a test asks of a number or a text.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator

from codegym.errors import ProblemError
from codegym.problems.problem import Classes, CodeTest, Problem
from codegym.problems.reading.python_code import parse_python

__all__ = ["with_classes"]


_OF_DATACLASSES = ("__eq__", "__lt__", "__le__", "__gt__", "__ge__", "__repr__")


def with_classes(problem: Problem) -> Problem:
    """The problem, its test code told of the classes of its reference solution.

    Args:
        problem: What a row holds. Without a reference solution, its starter code is read.
    """
    code = problem.canonical_solution or problem.starter_code
    if "class " not in code or not any(isinstance(test, CodeTest) for test in problem.tests):
        return problem
    try:
        body = parse_python(code).body
    except ProblemError:  # of another version of Python, or only the opening of a program
        return problem
    found = {node.name: _names(node) for node in body if isinstance(node, ast.ClassDef)}
    for node in body:
        if isinstance(node, ast.ClassDef):
            for base in node.bases:
                inherited = found.get(base.id, ()) if isinstance(base, ast.Name) else ()
                found[node.name] = tuple(sorted({*found[node.name], *inherited}))
    owner, is_method, _ = (problem.entry_point or "").partition("().")
    if is_method:  # nobody sees its objects
        found.pop(owner, None)
    classes: Classes = tuple(found.items())
    if not classes:
        return problem
    return dataclasses.replace(
        problem,
        tests=tuple(
            dataclasses.replace(test, classes=classes) if isinstance(test, CodeTest) else test
            for test in problem.tests
        ),
    )


def _names(node: ast.ClassDef) -> tuple[str, ...]:
    """Methods and attributes of the class, and attributes that its methods set."""
    made = _OF_DATACLASSES if any("dataclass" in ast.dump(d) for d in node.decorator_list) else ()
    return tuple(sorted({*_of_class(node), *_of_objects(node), *made}))


def _of_class(node: ast.ClassDef) -> Iterator[str]:
    for one in node.body:
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield one.name
        elif isinstance(one, ast.Assign):
            yield from (each.id for each in one.targets if isinstance(each, ast.Name))
        elif isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
            yield one.target.id


def _of_objects(node: ast.ClassDef) -> Iterator[str]:
    for one in ast.walk(node):
        if (
            isinstance(one, ast.Attribute)
            and isinstance(one.ctx, ast.Store)
            and isinstance(one.value, ast.Name)
            and one.value.id == "self"
        ):
            yield one.attr
