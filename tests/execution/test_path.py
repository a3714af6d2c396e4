"""The page that draws the way of a program names what is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "from_grade_to_fork.md").read_text()
LINE = re.compile(r"^.{18} +([\w.]+)(?:, \w+)? +((?:grading|execution|sandbox)/[\w/]+\.py)?", re.M)


def test_the_page_names_functions_that_exist() -> None:
    drawing = PAGE.split("```")[1]
    file, named = "", []
    for function, where in LINE.findall(drawing):
        file = where or file
        path = ROOT / "codegym" / file.replace("sandbox/", "execution/sandbox/")
        _, _, name = function.rpartition(".")
        assert f"def {name}(" in path.read_text(), (function, file)
        named.append(function)
    assert len(named) == 11  # ten until the fork, and what the child then does
