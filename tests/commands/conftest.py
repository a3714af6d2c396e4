"""Fixtures of the tests of commands: the problems as a file, and the command in this process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from codegym.commands import main

from .toy import PROBLEMS, Command, Ran


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A file of the two problems, in a folder of its own."""
    (tmp_path / "problems").mkdir()
    path = tmp_path / "problems" / "toy.jsonl"
    path.write_text("".join(json.dumps(problem) + "\n" for problem in PROBLEMS))
    return path


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs the command in this process."""

    def run(*words: object) -> Ran:
        capsys.readouterr()
        try:
            status = main([str(word) for word in words])
        except SystemExit as end:  # tyro's way to end
            status = end.code if isinstance(end.code, int) else 1
        out, err = capsys.readouterr()
        return Ran(status, out, err)

    return run


@pytest.fixture
def grade(command: Command, toy: Path) -> Command:
    """Runs `codegym grade --json` on samples of the two problems."""

    def run(samples: Path, *words: object) -> Ran:
        fixed = ("--source", "custom", "--data", toy, "--workers", 1, "--json")
        return command("grade", samples, *fixed, *words)

    return run
