"""Two small problems, programs for them, and files of rows."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

ADD = "def add(a, b):\n    return a + b\n"
WRONG = "def add(a, b):\n    return a - b\n"
ECHO = "print(input())\n"

PROBLEMS = [
    {
        "id": "Toy/0",
        "description": "Add two numbers.",
        "entry_point": "add",
        "starter_code": 'def add(a, b):\n    """Add two numbers."""\n',
        "canonical_solution": 'def add(a, b):\n    """Add two numbers."""\n    return a + b\n',
        "tests": [{"args": [1, 2], "expected": 3}, {"args": [2, 5], "expected": 7}],
    },
    {
        "id": "Toy/1",
        "description": "Echo a line.",
        "canonical_solution": ECHO,
        "tests": [{"stdin": "a b\n", "stdout": "a b\n"}],
    },
]


@dataclasses.dataclass(frozen=True)
class Ran:
    """What a command did."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        """What it printed with --json."""
        return json.loads(self.out)


Command = Callable[..., Ran]


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def write_lines(path: Path, *rows: Any) -> Path:
    """A file with a JSON value a line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
