"""Every Python example of README and docs runs when it is pasted."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.execution.patient_ray import DID_NOT_START, patient_environment
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


OF_RAY = [example for example in EXAMPLES if "RayExecutor" in example]
OTHERS = [example for example in EXAMPLES if example not in OF_RAY]
_PATIENTLY = """
from tests.execution.patient_ray import start_without_deadline
start_without_deadline()
"""


@pytest.mark.parametrize("example", OTHERS, ids=range(len(OTHERS)))
def test_example(example: str, tmp_path: Path) -> None:
    done = _run(example, tmp_path, None)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("example", OF_RAY, ids=range(len(OF_RAY)))
def test_example_of_ray(example: str, tmp_path: Path) -> None:
    """However busy the machine is, Ray has time to start."""
    example = example.replace("RayExecutor()", "RayExecutor(start_seconds=3600.0)")
    with patient_environment() as variables:
        variables["PYTHONPATH"] = str(ROOT)
        done = _run(_PATIENTLY + example, tmp_path, variables)
    if done.returncode == DID_NOT_START:
        pytest.skip("Ray ended itself each time that it was started; there is none to test with")
    assert done.returncode == 0, done.stderr
    assert done.stdout


def _run(
    example: str, folder: Path, variables: dict[str, str] | None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PYTHON, "-c", example],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_there_are_examples_of_at_most_30_lines() -> None:
    assert len(EXAMPLES) >= 2
    assert all(len(example.splitlines()) <= 30 for example in EXAMPLES)
