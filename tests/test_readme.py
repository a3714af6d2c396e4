"""Every Python example of README and docs runs when it is pasted."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.python import PYTHON

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLES = [
    example
    for page in PAGES
    for _, example in re.findall(
        r"^(`{3,})python\n(.*?)^\1$", page.read_text(), flags=re.DOTALL | re.MULTILINE
    )
]


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_example(example: str, tmp_path: Path) -> None:
    # However busy the machine is, Ray has time to start an actor.
    example = example.replace("RayExecutor()", "RayExecutor(start_seconds=3600.0)")
    done = subprocess.run(
        [*PYTHON, "-c", example],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_there_are_examples_of_at_most_30_lines() -> None:
    assert len(EXAMPLES) >= 2
    assert all(len(example.splitlines()) <= 30 for example in EXAMPLES)
