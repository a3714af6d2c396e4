"""Pages for users and contributors name what exists."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import codegym

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"]
OPTIONS_OF_OTHERS = {"custom-rm-path", "logdir", "repo-type", "wheel-dir"}


@pytest.mark.parametrize("name", PAGES)
def test_links_to_files_lead_somewhere(name: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / name).read_text())
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("name", PAGES)
def test_commands_of_make_exist(name: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    commands = re.findall(r"[`$ ]make ([a-z][a-z-]+)(?=[` ]|$)", (ROOT / name).read_text(), re.M)
    quoted = [command for command in commands if f"`make {command}" in (ROOT / name).read_text()]
    assert [command for command in quoted if not re.search(rf"^{command}:", makefile, re.M)] == []


def test_all_say_the_same_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(), re.M)
    assert citation is not None
    assert {project["version"], citation[1], codegym.__version__} == {codegym.__version__}


def test_the_readme_is_short() -> None:
    assert 600 <= len((ROOT / "README.md").read_text().split()) <= 900


def test_options_that_are_named_exist() -> None:
    code = (ROOT / folder for folder in ("codegym", "agents", "benchmarks", "docs", "tests"))
    known = {
        word
        for folder in code
        for path in folder.rglob("*.py")
        for word in re.findall(r"[a-z0-9_]+", path.read_text())
    }
    pages = [path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts]
    unknown = [
        f"{path.name}: --{option}"
        for path in [*pages, ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
        for option in re.findall(r"(?<![\w-])--([a-z][a-z0-9.-]*[a-z0-9])", path.read_text())
        for part in option.split(".")
        if option not in OPTIONS_OF_OTHERS
        and not {part.replace("-", "_"), part.removeprefix("no-").replace("-", "_")} & known
    ]
    assert not unknown
