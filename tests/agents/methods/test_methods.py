"""What all methods keep: they are short, listed, and start from the command line."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from agents.methods import METHODS
from agents.methods.__main__ import listing, run_named
from agents.run_settings import RunSettings
from codegym.errors import UnknownNameError
from tests.python import PYTHON

ROOT = Path(__file__).parents[3]
TINY_RUN = (
    "--model-width 16 --model-layers 1 --problems 4 --num-envs 8 --episodes 8 --max-new-tokens 4 "
    "--iterations 1 --eval-every 0 --workers 1"
)


def _command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PYTHON, "-m", "agents.methods", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_one_short_file_that_names_its_paper(name: str) -> None:
    module = importlib.import_module(f"agents.methods.{name}")
    text = (ROOT / "agents" / "methods" / f"{name}.py").read_text()
    assert len(text.splitlines()) <= 150
    docstring = str(module.__doc__)
    assert METHODS[name].paper in docstring
    assert "What differs from the paper" in docstring
    assert f"python -m agents.methods {name}" in docstring
    assert issubclass(module.Args, RunSettings)
    assert module.Args().out == Path("runs") / name
    assert callable(module.run)


def test_the_list_has_a_line_for_each() -> None:
    lines = listing().splitlines()
    assert [line.split()[0] for line in lines[2:]] == list(METHODS)
    assert all(len(line) <= 100 for line in lines)


def test_the_page_has_a_row_for_each() -> None:
    page = (ROOT / "docs" / "methods.md").read_text()
    for name, entry in METHODS.items():
        row = (
            f"| [{entry.title}](https://arxiv.org/abs/{entry.paper}) | {entry.idea} | "
            f"{entry.needs} | `agents/methods/{name}.py` |"
        )
        assert row in page


def test_a_list_needs_no_torch() -> None:
    program = (
        "import runpy, sys; sys.argv[:] = ['methods']; "
        "runpy.run_module('agents.methods', run_name='__main__'); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == listing()


def test_a_misspelt_name_is_told_the_right_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["methods", "vinepo"])
    with pytest.raises(UnknownNameError, match=r"'vinepo'.*'vineppo'"):
        run_named()


def test_the_command_runs_and_goes_on(tmp_path: Path) -> None:
    run = _command("prorl", *TINY_RUN.split(), "--group", "4", "--out", str(tmp_path / "out"))
    assert run.returncode == 0, run.stderr
    assert "ProRL: 1 iterations" in run.stdout
    resumed = _command("prorl", "--resume", str(tmp_path / "out" / "checkpoints" / "000001"))
    assert resumed.returncode == 0, resumed.stderr
