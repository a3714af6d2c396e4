"""The lock files fit pyproject.toml and, in a run of `make test`, what is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from requirements import lock

PROJECT = lock.read_project()
VERSIONS = lock.supported_versions(PROJECT)
locked_run = pytest.mark.skipif(
    "CODEGYM_LOCKED" not in os.environ, reason="only `make test` installs what the lock says"
)


def direct_requirements() -> list[Requirement]:
    extras = PROJECT["project"]["optional-dependencies"].values()
    lines = [
        *PROJECT["build-system"]["requires"],
        *PROJECT["project"]["dependencies"],
        *(line for extra in extras for line in extra),
    ]
    return [found for line in lines if (found := Requirement(line)).name != "codegym"]


def installed_requirements() -> dict[str, str]:
    """Names and versions of all that codegym with its extras needs here, directly or not."""
    found: dict[str, str] = {}
    queue = [("codegym", extra) for extra in ("", "dev")]
    seen = set(queue)
    while queue:
        name, extra = queue.pop()
        distribution = metadata.distribution(name)
        found[name] = distribution.version
        for requirement in map(Requirement, distribution.requires or ()):
            if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
                continue
            for wanted in ("", *requirement.extras):
                key = (lock.normalize(requirement.name), wanted)
                if key not in seen:
                    seen.add(key)
                    queue.append(key)
    del found["codegym"]
    return found


def test_each_python_that_the_project_allows_has_a_lock_and_no_other_has() -> None:
    allowed = SpecifierSet(PROJECT["project"]["requires-python"])
    assert [f"3.{minor}" for minor in range(30) if f"3.{minor}" in allowed] == VERSIONS
    there = set(lock.FOLDER.glob("lock-*.txt"))
    assert there == {lock.lock_path(version) for version in VERSIONS}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_lock_keeps_to_the_ranges_of_the_project(version: str) -> None:
    pins = lock.read_lock(lock.lock_path(version))
    misfits = [
        str(requirement)
        for requirement in direct_requirements()
        if not requirement.specifier.contains(pins.get(lock.normalize(requirement.name), "0"))
    ]
    assert misfits == [], "`make lock` renews the lock files"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_lock_is_what_the_script_writes(version: str) -> None:
    path = lock.lock_path(version)
    pins = lock.read_lock(path)
    assert path.read_text() == lock.render(version, dict(sorted(pins.items())))
    assert not [name for name in pins if lock.CUDA.match(name)]


def test_torch_is_locked_to_the_same_version_everywhere() -> None:
    assert len({lock.read_lock(lock.lock_path(version))["torch"] for version in VERSIONS}) == 1


@locked_run
def test_what_is_installed_is_what_the_lock_says() -> None:
    pins = lock.read_lock(lock.lock_path(f"{sys.version_info[0]}.{sys.version_info[1]}"))
    needed = {
        name: version.partition("+")[0]
        for name, version in installed_requirements().items()
        if not lock.CUDA.match(name)
    }
    for name in ("pip", "hatchling", "editables"):
        needed[name] = metadata.version(name)
    assert {name: pins.get(name) for name in needed} == needed


def test_a_lock_that_pip_could_not_use_on_another_machine_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lock.txt"
    for line in ("torch==2.13.0+cpu", "--index-url https://localhost", "NumPy==2.0", "numpy>=2"):
        path.write_text(f"# header\n\n{line}\n")
        with pytest.raises(lock.LockError, match=r"lock\.txt:3: expected name==version"):
            lock.read_lock(path)


def test_a_report_of_pip_becomes_public_versions_without_cuda() -> None:
    versions = {"Torch": "2.13.0+cpu", "nvidia-x": "1", "triton": "3", "codegym": "0", "a_b": "1!2"}
    install = [{"metadata": {"name": n, "version": v}} for n, v in versions.items()]
    pins = lock.pins_of({"install": install})
    assert list(pins.items()) == [("a-b", "1!2"), ("torch", "2.13.0")]
    assert Version(pins["a-b"]).epoch == 1


def test_the_script_tells_which_locks_it_renewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def resolve(python: str, project: dict[str, Any]) -> dict[str, str]:
        return {"numpy": "2.0"}

    monkeypatch.setattr(lock, "FOLDER", tmp_path)
    monkeypatch.setattr(lock, "resolve", resolve)
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    lock.lock_path(here).write_text("numpy==1.0\n")
    assert lock.main([sys.executable, "/no/such/python"]) == 1
    said = capsys.readouterr()
    assert f"lock-py{here}.txt: renewed" in said.out
    assert "numpy: 1.0 -> 2.0" in said.out
    assert "/no/such/python is no Python" in said.err
    for version in VERSIONS:
        assert (f"lock-py{version}.txt was NOT renewed" in said.err) == (version != here)
    assert lock.read_lock(lock.lock_path(here)) == {"numpy": "2.0"}


def test_the_lowest_versions_are_the_lower_bounds_of_the_ranges() -> None:
    pins = lock.lowest(PROJECT)
    for requirement in direct_requirements():
        if requirement.name != "hatchling":
            lowest = pins[lock.normalize(requirement.name)]
            assert requirement.specifier.contains(lowest)
            assert f">={lowest}" in str(requirement.specifier)


def test_the_script_refuses_a_python_that_the_project_does_not_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lock.main([fake_python(tmp_path, "3.14")]) == 1
    assert f"Expected a Python of {', '.join(VERSIONS)}, got" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("target", ["train", "test", "test-latest"])
def test_make_names_the_pythons_that_have_a_lock(tmp_path: Path, target: str) -> None:
    def make(python: str) -> str:
        folders = [f"VENV={tmp_path / 'venv'}", f"LATEST={tmp_path / 'latest'}"]
        done = subprocess.run(
            ["make", target, f"PYTHON={python}", *folders],
            cwd=lock.ROOT,
            capture_output=True,
            text=True,
        )
        assert done.returncode != 0
        assert not (tmp_path / "venv").exists()
        assert not (tmp_path / "latest").exists()
        return done.stderr

    for version in ("3.10", "3.14"):
        python = fake_python(tmp_path, version)
        said = make(python)
        assert "expected a Python with a lock file in requirements/" in said
        assert f"{' '.join(VERSIONS)}. PYTHON={python} is Python {version}." in said
    assert "PYTHON=/no/such/python is no Python that runs here" in make("/no/such/python")


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_deletes_no_virtual_environment_but_its_own(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(lock.ROOT / name, tmp_path)
    shutil.copytree(lock.FOLDER, tmp_path / "requirements")
    python = fake_python(tmp_path, VERSIONS[0])

    def make(target: str, venv: Path) -> subprocess.CompletedProcess[str]:
        command = ["make", target, f"PYTHON={python}", f"VENV={venv}"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    for venv in (theirs, ours):
        venv.mkdir()
        (venv / "pyvenv.cfg").touch()
    (ours / ".made-by-make").touch()
    done = make("train", theirs)
    assert done.returncode != 0
    assert "somebody else's and stays as it is" in done.stderr
    assert make("clean", theirs).returncode == 0
    assert (theirs / "pyvenv.cfg").exists()
    assert "ours is made anew" in make("train", ours).stdout
    assert not (ours / "pyvenv.cfg").exists()
    assert make("clean", ours).returncode == 0
    assert not ours.exists()


def fake_python(folder: Path, version: str) -> str:
    path = folder / f"python{version}"
    path.write_text(f"#!/bin/sh\necho {version}\n")
    path.chmod(0o755)
    return str(path)
