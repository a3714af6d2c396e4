"""Renews the lock files: the exact versions that `make` installs, one file for each Python.

`make lock` runs this. For every Python that pyproject.toml names, pip resolves all extras of
codegym, the build backend and pip itself in a fresh virtual environment, installs none of it, and
what it chose becomes ``requirements/lock-py3.X.txt`` in pip's constraints format. Only the standard
library is used, so any supported Python can run it.

With ``--lowest`` it prints the other end instead: the lowest versions that pyproject.toml allows of
what codegym itself asks for, which `make test-lowest` installs.

A lock names public versions only (``2.13.0`` for ``2.13.0+cpu``) and no CUDA packages: on which
machine it was made does not show in it.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FOLDER = Path(__file__).parent

CUDA = re.compile(r"cuda-|nvidia-|triton$")
"""Packages that a torch made for CUDA brings along, and a torch for the CPU does not."""

# What an editable install by hatchling needs besides pyproject's [build-system] requires.
_EDITABLE = "editables"
_EXTRAS = "dev"  # the extra that contains all others

_HEADER = """\
# The exact versions that `make` installs on Python {version}: constraints of pip, not requirements.
#     pip install --constraint requirements/lock-py{version}.txt --editable ".[agents]"
# `make lock` renews this file (requirements/lock.py) with what pip chooses for pyproject.toml.
# The CUDA packages of torch (cuda-*, nvidia-*, triton) are left out: torch itself says which it
# needs, and its builds for the CPU need none.
"""


class LockError(Exception):
    """A lock could not be made; the message tells why and what to do."""


def read_project() -> dict[str, Any]:
    """The content of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def supported_versions(project: dict[str, Any]) -> list[str]:
    """The Python versions that the classifiers name, such as ``"3.11"``."""
    pattern = re.compile(r"Programming Language :: Python :: (3\.\d+)")
    matches = map(pattern.fullmatch, project["project"]["classifiers"])
    return [match[1] for match in matches if match]


def lock_path(version: str) -> Path:
    """Where the lock of a Python version lies."""
    return FOLDER / f"lock-py{version}.txt"


def read_lock(path: Path) -> dict[str, str]:
    """Normalised names and versions of a lock file.

    Raises:
        LockError: If a line is neither a comment nor ``name==version``.
    """
    pins = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        match = re.fullmatch(r"([a-z0-9-]+)==([0-9][0-9A-Za-z.!]*)", line)
        if match is None:
            raise LockError(
                f"{path.name}:{number}: expected name==version, the name in lower case with "
                f"hyphens and the version without a local suffix, got {line!r}. "
                "`make lock` writes such files."
            )
        pins[match[1]] = match[2]
    return pins


def normalize(name: str) -> str:
    """The form in which names of packages are compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins_of(report: dict[str, Any]) -> dict[str, str]:
    """What belongs into a lock, from an installation report of pip, sorted by name."""
    pins = {}
    for item in report["install"]:
        name = normalize(item["metadata"]["name"])
        if name != "codegym" and not CUDA.match(name):
            pins[name] = item["metadata"]["version"].partition("+")[0]
    return dict(sorted(pins.items()))


def render(version: str, pins: dict[str, str]) -> str:
    """The text of a lock file."""
    lines = "".join(f"{name}=={pin}\n" for name, pin in pins.items())
    return _HEADER.format(version=version) + lines


def lowest(project: dict[str, Any]) -> dict[str, str]:
    """The lower bounds of all direct requirements, the build backend's aside.

    Raises:
        LockError: If a requirement has none.
    """
    extras = project["project"]["optional-dependencies"].values()
    lines = [*project["project"]["dependencies"], *(line for extra in extras for line in extra)]
    pins = {}
    for line in (line for line in lines if not line.startswith("codegym[")):
        match = re.match(r"([A-Za-z0-9._-]+)>=([0-9.]+)", line)
        if match is None:
            raise LockError(f"Expected name>=version in pyproject.toml, got {line!r}.")
        pins[normalize(match[1])] = match[2]
    return dict(sorted(pins.items()))


def version_of(python: str) -> str | None:
    """``"3.11"`` for an interpreter of that version; None if the command runs no Python."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def resolve(python: str, project: dict[str, Any]) -> dict[str, str]:
    """The newest versions that pyproject.toml allows on this interpreter.

    Raises:
        LockError: If pip fails.
    """
    wanted = [f"{ROOT}[{_EXTRAS}]", *project["build-system"]["requires"], _EDITABLE, "pip"]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        _run([python, "-m", "venv", f"{folder}/venv"])
        pip = [f"{folder}/venv/bin/python", "-m", "pip", "install", "--quiet"]
        _run([*pip, "--upgrade", "pip"])
        _run([*pip, "--dry-run", "--ignore-installed", "--report", str(report), *wanted])
        return pins_of(json.loads(report.read_text(encoding="utf-8")))


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LockError(f"{' '.join(command)} failed:\n{done.stderr}")


def renew(python: str, project: dict[str, Any]) -> str | None:
    """Writes the lock of one interpreter.

    Returns:
        Its Python version; None if the command runs no Python.

    Raises:
        LockError: If codegym does not support this version, or pip fails.
    """
    version = version_of(python)
    if version is None:
        return None
    supported = supported_versions(project)
    if version not in supported:
        raise LockError(
            f"Expected a Python of {', '.join(supported)}, got {python}, which is {version}. "
            "Name others (make lock PYTHONS=...), or add this version to pyproject.toml first."
        )
    path = lock_path(version)
    pins = resolve(python, project)
    before = read_lock(path) if path.exists() else pins
    path.write_text(render(version, pins), encoding="utf-8")
    print(f"{path.name}: renewed with {python}, {len(pins)} packages")
    for name in sorted(before.keys() | pins.keys()):
        if before.get(name) != pins.get(name):
            print(f"    {name}: {before.get(name, 'absent')} -> {pins.get(name, 'absent')}")
    return version


def main(arguments: Sequence[str]) -> int:
    """Renews the locks of these Pythons.

    Returns:
        1 if the lock of a supported Python is left as it was, else 0.
    """
    parser = argparse.ArgumentParser(description="Renews the lock files in requirements/.")
    parser.add_argument(
        "pythons", nargs="*", help="commands or paths; default: python3.X for each supported one"
    )
    parser.add_argument("--lowest", action="store_true", help="print the lowest versions instead")
    options = parser.parse_args(arguments)
    project = read_project()
    if options.lowest:
        print("\n".join(f"{name}=={pin}" for name, pin in lowest(project).items()))
        return 0
    supported = supported_versions(project)
    given = options.pythons
    try:
        renewed = {
            python: renew(python, project)
            for python in given or [f"python{version}" for version in supported]
        }
    except LockError as error:
        print(f"make lock: {error}", file=sys.stderr)
        return 1
    for python in (python for python, version in renewed.items() if version is None):
        print(f"make lock: {python} is no Python that runs here.", file=sys.stderr)
    left = [version for version in supported if version not in renewed.values()]
    for version in left:
        print(
            f"make lock: {lock_path(version).name} was NOT renewed. All locks are renewed on one "
            f'day: name a Python {version}, as in make lock PYTHONS="python3.11 /path/to/python".',
            file=sys.stderr,
        )
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
