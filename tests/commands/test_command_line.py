"""The command itself: names, help, exit status, and what it needs."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from codegym.commands import main
from codegym.commands.command_line import COMMANDS

from .toy import Command

ROOT = Path(__file__).parents[2]


def test_the_script_and_the_module_are_the_same(command: Command) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"codegym": "codegym.commands:main"}
    ran = subprocess.run(
        [sys.executable, "-m", "codegym", "--help"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert ran.returncode == 0
    assert ran.stdout == command("--help").out


def test_every_command_is_listed_and_has_help(command: Command) -> None:
    listed = command()
    assert listed.status == 2
    for name, (_, what) in COMMANDS.items():
        assert f"{name} " in listed.out
        assert what in listed.out
        ran = command(*name.split(), "--help")
        assert ran.status == 0
        assert f"codegym {name}" in ran.out
        assert ("--json" in ran.out) == (name != "serve")


def test_a_typo_gets_a_suggestion_and_2(command: Command) -> None:
    ran = command("dokter")
    assert ran.status == 2
    assert "Did you mean 'doctor'?" in ran.err
    ran = command("data", "valdate")
    assert ran.status == 2
    assert "Did you mean 'data validate'?" in ran.err
    assert command("grade", "--sauce").status == 2


def test_the_first_word_of_a_command_of_two_lists_those(command: Command) -> None:
    ran = command("data", "--help")
    assert ran.status == 0
    assert "data validate" in ran.out
    assert "regrade" not in ran.out
    assert command("data").status == 2


def test_the_version_is_that_of_the_package(command: Command) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert command("--version").out.strip() == f"codegym {project['version']}"


def test_an_interrupt_is_130_and_no_traceback(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(words: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("codegym.commands.command_line.run", interrupted)
    ran = command("envs")
    assert ran.status == 130
    assert "Traceback" not in ran.err


def test_without_the_extra_it_says_in_a_line_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tyro", None)
    assert main(["envs"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "the command needs tyro: pip install -e '.[cli]'" in told


def test_importing_the_room_loads_none_of_the_extra() -> None:
    code = "import sys, codegym.commands; print({'rich', 'tyro', 'pyarrow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_codegym_can_be_imported_on_windows_to_say_what_it_needs() -> None:
    """There is no fcntl there; all else of the standard library is the same in name."""
    code = (
        "import asyncio, multiprocessing, sys, gymnasium, rich.console, rich.progress, tyro\n"
        "sys.modules['fcntl'] = sys.modules['resource'] = None\n"
        "sys.platform = 'win32'\n"
        "from codegym.commands import main\n"
        "sys.exit(main(['doctor']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "this is Windows. Use Linux" in done.stderr
