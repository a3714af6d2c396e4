"""What is no request is refused before anything runs, and the executor goes on."""

from __future__ import annotations

from typing import Any

import pytest

from codegym.errors import ConfigurationError
from codegym.execution import Call, LocalExecutor, Request, Stdin, TestCode

PROGRAM = "def f(x):\n    return x\n"
CODE = "assert f(1) == 1"


@pytest.mark.parametrize("request_", ["print(1)", None, 3, [Stdin("")]])
def test_only_requests_are_run(request_: Any, executor: LocalExecutor) -> None:
    with pytest.raises(ConfigurationError, match="An executor runs a Request"):
        executor.submit(request_)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("program", None),
        ("program", b""),
        ("prelude", None),
        ("inputs", None),
        ("inputs", "abc"),
        ("inputs", ()),
        ("entry_point", 5),
        ("entry_point", "a.b"),
        ("entry_point", "class"),
        ("limits", None),
        ("limits", {"cpu_seconds": 1}),
        ("coverage", "no"),
        ("stop_on_error", 7),
        ("packages", None),
        ("packages", "numpy"),
        ("packages", (1,)),
        ("packages", ("a b",)),
    ],
)
def test_a_field_of_another_type(name: str, value: Any, executor: LocalExecutor) -> None:
    fields: dict[str, Any] = {"program": PROGRAM, "inputs": (Call((1,)),), "entry_point": "f"}
    with pytest.raises(ConfigurationError, match=name):
        executor.submit(Request(**fields | {name: value}))
    assert executor.run(Request(**fields)).observations[0].value == 1


@pytest.mark.parametrize(
    "given",
    [
        "text",
        Stdin(b"a"),  # type: ignore[arg-type]
        Stdin(None),  # type: ignore[arg-type]
        Call(3),  # type: ignore[arg-type]
        Call((), {"x": 1}),  # type: ignore[arg-type]
        Call((), ((1, 2),)),  # type: ignore[arg-type]
        Call((), (), 5),  # type: ignore[arg-type]
        TestCode(None, "f"),  # type: ignore[arg-type]
        TestCode(CODE, "no name"),
        TestCode(CODE, "f", None),  # type: ignore[arg-type]
        TestCode(CODE, "f", checks=("a",)),  # type: ignore[arg-type]
        TestCode(CODE, "f", checks=(2,)),
        TestCode(CODE, "f", classes=7),  # type: ignore[arg-type]
        TestCode(CODE, "f", classes=("x",)),  # type: ignore[arg-type]
        TestCode(CODE, "f", classes=(("A", "push"),)),  # type: ignore[arg-type]
    ],
)
def test_an_input_of_another_type(given: Any, executor: LocalExecutor) -> None:
    with pytest.raises(ConfigurationError, match="An input of a Request must be"):
        executor.submit(Request(PROGRAM, (given,), "f"))


@pytest.mark.parametrize("name", ["python", "packages"])
def test_arguments_of_an_executor(name: str) -> None:
    settings: dict[str, Any] = {name: 5}
    with pytest.raises(ConfigurationError, match=name):
        LocalExecutor(**settings)


def test_marks_of_lines_that_do_not_exist_are_dropped(executor: LocalExecutor) -> None:
    """A program can write into the memory that its lines are noted in."""
    forges = (
        "import sys\nframe = sys._getframe()\nwhile frame:\n"
        "    for one in list(frame.f_locals.values()):\n"
        "        memory = getattr(getattr(one, 'report', None), '_memory', None)\n"
        "        if memory is not None: memory[12:40] = bytes([1]) * 28\n"
        "    frame = frame.f_back\ndef f(x): return x\n"
    )
    seen = executor.run(Request(forges, (Call((1,)),), "f")).observations[0]
    assert len(seen.executed_lines) > 5  # it did reach the memory
    assert set(seen.executed_lines) <= set(range(1, forges.count("\n") + 2))
