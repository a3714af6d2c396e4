"""What is public is said in ``__all__``, exists, is documented, and lives where it says."""

from __future__ import annotations

import importlib
import inspect

import pytest

import codegym

ROOMS = [
    "codegym",
    "codegym.commands",
    "codegym.envs",
    "codegym.errors",
    "codegym.execution",
    "codegym.grading",
    "codegym.integrations",
    "codegym.masks",
    "codegym.problems",
    "codegym.programs",
    "codegym.rewards",
    "codegym.serving",
    "codegym.start_states",
    "codegym.tokenization",
    "codegym.wrappers",
]


@pytest.mark.parametrize("name", ROOMS)
def test_all_is_sorted_exists_and_is_documented(name: str) -> None:
    room = importlib.import_module(name)
    assert room.__doc__
    assert len(set(room.__all__)) == len(room.__all__)
    for public in room.__all__:
        value = getattr(room, public)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), f"{name}.{public} has no docstring"


def test_nothing_else_leaks_from_the_root() -> None:
    public = {name for name in vars(codegym) if not name.startswith("_")} | {"__version__"}
    assert public - set(codegym.__all__) <= {"registration", "serving", "commands"}


def test_every_error_is_in_the_tree_that_the_docstring_draws() -> None:
    for name in codegym.errors.__all__:
        error = getattr(codegym.errors, name)
        assert issubclass(error, codegym.CodegymError | Warning)
        assert name in (codegym.errors.__doc__ or "")


def test_the_version_is_that_of_the_package() -> None:
    from importlib.metadata import version

    assert codegym.__version__ == version("codegym")
