"""Which packages beside the standard library the programs of a problem may import.

A data set names the packages that its judge has. A problem whose reference solution imports one
of them needs it: where it is not installed, the problem is unavailable, and says so. Of the
others, those that are installed may be imported.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib.util
from collections.abc import Iterable, Sequence

from codegym.errors import ConfigurationError, ProblemError
from codegym.problems.problem import CodeTest, Problem
from codegym.problems.reading.python_code import parse_python

__all__ = ["check_packages", "is_installed", "with_packages"]


def with_packages(problem: Problem, offered: Sequence[str], allowed: Sequence[str]) -> Problem:
    """The problem with the packages that its programs may import.

    Args:
        problem: What a row holds; the packages that it names itself are needed.
        offered: Packages of its data set's judge.
        allowed: Packages that the user allows, installed all of them.

    Raises:
        ProblemError: If a package that it needs is not installed.
    """
    needed = {*problem.packages, *_imports(problem, offered)}
    missing = sorted(name for name in needed if not is_installed(name))
    if missing:
        raise ProblemError(
            f"it is unavailable: it needs the package {missing[0]!r}, which is not installed "
            f"(pip install {' '.join(missing)})"
        )
    names = needed | set(filter(is_installed, offered)) | set(allowed)
    return dataclasses.replace(problem, packages=tuple(sorted(names))) if names else problem


def check_packages(packages: Iterable[str]) -> tuple[str, ...]:
    """The names of packages that a user allows.

    Raises:
        ConfigurationError: If one is not a name of a package, or is not installed.
    """
    if isinstance(packages, str):
        raise ConfigurationError(f"packages must be a sequence of names, got {packages!r}.")
    names = tuple(packages)
    for name in names:
        if not isinstance(name, str) or not name.isidentifier():
            raise ConfigurationError(
                f'packages must be names as they are imported, such as "numpy"; got {name!r}.'
            )
        if not is_installed(name):
            raise ConfigurationError(
                f"packages allows {name!r}, which is not installed: pip install it, or leave it "
                "out."
            )
    return names


@functools.cache
def is_installed(name: str) -> bool:
    """Whether a top-level package can be imported here. It is not imported."""
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _imports(problem: Problem, offered: Sequence[str]) -> set[str]:
    """Those that the reference solution and what runs with it cannot do without.

    Imports in a ``try`` have something in their place.
    """
    codes = [problem.prelude, problem.canonical_solution]
    codes += [test.source for test in problem.tests if isinstance(test, CodeTest)]
    found: set[str] = set()
    for code in codes:
        if any(name in code for name in offered):
            try:
                found |= _imports_of(parse_python(code))
            except ProblemError:
                continue  # of another version of Python
    return found & set(offered)


def _imports_of(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add((node.module or "").split(".")[0])
        elif not isinstance(node, ast.Try):
            found |= _imports_of(node)
    return found
