"""What a program can import and read besides the standard library: what was named, nothing else."""

from __future__ import annotations

import importlib.machinery
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import codegym
from codegym.errors import ConfigurationError
from codegym.execution import (
    Call,
    LocalExecutor,
    TestCode,
    describe_isolation,
    installed_packages,
)
from codegym.execution.sandbox.fence import landlock
from codegym.execution.sandbox.fence.packages import Packages, folders

from .conftest import Run, bind

ROOT = Path(__file__).parents[2]
needs_files = pytest.mark.skipif(not describe_isolation().files, reason="no Landlock here")


def install(
    folder: Path, name: str, files: list[str], requires: Sequence[str] = (), record: bool = True
) -> None:
    """Puts a package into a folder, as an installer would."""
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(f"where = {file!r}\n")
    if not record:
        info = folder / f"{name}-1.0.egg-info"
        info.mkdir()
        return
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    needs = "".join(f"Requires-Dist: {each}\n" for each in requires)
    (info / "METADATA").write_text(f"Name: {name}\nVersion: 1.0\n{needs}\nRequires-Dist: other\n")
    listed = [*files, f"{name}-1.0.dist-info/METADATA", f"../../../bin/{name}"]
    (info / "RECORD").write_text("".join(f"{file},sha256=x,1\n" for file in listed))


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site-packages"
    folder.mkdir()
    install(folder, "plain", ["plain/__init__.py", "plain/inner/a.py", "plain.libs/lib.so"])
    install(folder, "Py_Single", ["single.py", "__pycache__/single.cpython-311.pyc"])
    install(folder, "wants", ["wants/__init__.py"], ["py-single>=2; python_version > '3'", "deep"])
    files = ["shared/deep/__init__.py", "shared/deep/x/y.py", "shared/more/__init__.py"]
    install(folder, "deep", files, ["plain"])
    install(folder, "other", ["shared/other/__init__.py", "secret.py"])
    install(folder, "extras", ["extras/__init__.py"], ["other; extra == 'all'", "gone"])
    install(folder, "old", ["old/__init__.py"], record=False)
    install(folder, "codegym", ["codegym/__init__.py"])
    install(folder, "friend", ["friend/__init__.py"], ["codegym"])
    return folder


def seen(site: Path, *names: str) -> tuple[list[str], set[str]]:
    found = Packages(names, [str(site)])
    return found.names, {os.path.relpath(path, site) for path in found.paths}


def test_a_package_is_what_its_installer_recorded(site: Path) -> None:
    names, paths = seen(site, "plain")
    assert names == ["plain"]
    assert paths == {"plain", "plain.libs", "plain-1.0.dist-info"}


def test_a_module_may_have_another_name_than_its_distribution(site: Path) -> None:
    names, paths = seen(site, "single")
    assert names == ["single"]
    info = "Py_Single-1.0.dist-info"
    assert paths == {"single.py", "__pycache__/single.cpython-311.pyc", info}


def test_what_a_package_requires_comes_with_it_but_no_extras(site: Path) -> None:
    names, paths = seen(site, "wants")
    assert names == ["plain", "shared", "single", "wants"]
    assert {"shared/deep", "shared/more"} <= paths
    assert not {"shared", "shared/other", "secret.py"} & paths
    assert seen(site, "extras")[0] == ["extras"]


def test_a_package_without_a_record_is_found_by_its_name(site: Path) -> None:
    assert seen(site, "old") == (["old"], {"old", "old-1.0.egg-info"})


def test_what_is_missing_is_left_out_and_codegym_always(site: Path) -> None:
    assert seen(site, "nothing", "codegym", "json") == ([], set())
    assert seen(site, "friend")[0] == ["friend"]
    assert not any("codegym" in path for path in seen(site, "friend")[1])


def test_what_a_package_puts_into_codegym_or_hides_of_the_library_is_left_out(site: Path) -> None:
    install(site, "guest", ["guest/__init__.py", "codegym/guest.py", "colorsys.py"])
    assert seen(site, "guest")[0] == ["guest"]


def test_only_top_level_names_that_were_named_are_found(site: Path) -> None:
    finder = Packages(["deep"], [str(site)])
    assert finder.find_spec("secret") is None
    found = Packages(["wants"], [str(site)])
    spec = found.find_spec("plain")
    assert isinstance(spec, importlib.machinery.ModuleSpec)
    assert spec.origin == str(site / "plain" / "__init__.py")
    assert found.find_spec("plain", ["somewhere"]) is None
    assert str(site) not in sys.path_importer_cache


@pytest.mark.parametrize("shares", [False, True])
def test_a_virtual_environment_shares_packages_only_if_it_was_made_to(
    tmp_path: Path, shares: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    own = tmp_path / "lib" / version / "site-packages"
    own.mkdir(parents=True)
    system = tmp_path / "system"
    system.mkdir()
    (tmp_path / "pyvenv.cfg").write_text(f"include-system-site-packages = {str(shares).lower()}\n")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    monkeypatch.setattr("site.getsitepackages", lambda _: [str(system)])
    assert folders() == [str(own), *([str(system)] if shares else [])]


@pytest.mark.parametrize("names", ["numpy", ["numpy.linalg"], [""], [3], ["codegym"]])
def test_names_that_are_none(names: object) -> None:
    with pytest.raises(ConfigurationError):
        LocalExecutor(packages=names)  # type: ignore[arg-type]


def test_what_is_installed_is_told() -> None:
    assert {"numpy"} <= installed_packages(["numpy", "no_such_package"]) <= {"numpy"}
    with LocalExecutor(workers=1, packages=["gymnasium", "no_such_package"]) as executor:
        assert {"gymnasium", "numpy", "cloudpickle"} <= executor.packages
        assert "no_such_package" not in executor.packages


def test_a_request_adds_packages_and_what_is_missing_is_no_fault_of_the_program() -> None:
    program = "import gymnasium\nprint('there')"
    with LocalExecutor(workers=1, packages=()) as executor:
        run = bind(executor)
        assert run(program).error_type == "ModuleNotFoundError"
        assert run(program, packages=("gymnasium",)).stdout == "there\n"
        with pytest.raises(ConfigurationError, match="no_such_package"):
            run(program, packages=("numpy", "no_such_package"))


@pytest.fixture(scope="module")
def bare() -> Iterator[Run]:
    with LocalExecutor(workers=1) as executor:
        yield bind(executor)


@pytest.fixture(scope="module")
def with_numpy() -> Iterator[Run]:
    with LocalExecutor(workers=1, packages=["numpy"]) as executor:
        yield bind(executor)


ASKS = """
import importlib.metadata, importlib.util
def f():
    listed = {one.metadata["Name"].lower() for one in importlib.metadata.distributions()}
    names = [name for name in ("numpy", "sortedcontainers", "gymnasium") if name in listed]
    return [name for name in names if importlib.util.find_spec(name)] + [len(listed)]
"""


def test_a_program_finds_its_own_packages_whatever_another_was_allowed() -> None:
    with LocalExecutor(workers=1, packages=["sortedcontainers"]) as executor:
        run = bind(executor)

        def found(*packages: str) -> Any:
            return run(ASKS, Call(), packages=packages).value

        every = found("gymnasium")
        assert every[:-1] == ["numpy", "sortedcontainers", "gymnasium"]
        assert found("numpy") == ["numpy", "sortedcontainers", 2]
        assert found() == ["sortedcontainers", 1]
        check = TestCode(
            f"{ASKS}\nassert f() == candidate() == ['sortedcontainers', 1]", "candidate"
        )
        assert run(ASKS, check).reason == "finished"  # the tester sees no more
        assert found("gymnasium") == every


def test_what_was_not_named_cannot_be_imported(with_numpy: Run, bare: Run) -> None:
    asks = "try: import {0}\nexcept ModuleNotFoundError: print('no')\nelse: print('yes')"
    names = ("numpy", "gymnasium", "pytest", "pip")
    assert [with_numpy(asks.format(name)).stdout for name in names] == ["yes\n", *["no\n"] * 3]
    assert [bare(asks.format(name)).stdout for name in names] == ["no\n"] * 4
    assert bare("import sys\nprint([p for p in sys.path if 'packages' in p])").stdout == "[]\n"


def test_metadata_is_that_of_what_was_named(with_numpy: Run) -> None:
    asks = "from importlib import metadata\nprint(metadata.version('numpy') > '1', {!r} in {})"
    every = "[d.name for d in metadata.distributions()]"
    assert with_numpy(asks.format("pytest", every)).stdout == "True False\n"
    assert with_numpy(asks.format("numpy", every)).stdout == "True True\n"


READS = """
import sys
refused = 0
for path in {paths!r}:
    try:
        open(path).close()
        print(path)
    except PermissionError:
        refused += 1
print(refused)
"""


def readable(paths: list[Path]) -> str:
    for path in paths:
        assert path.is_file()
    return READS.format(paths=[str(path) for path in paths])


def of_the_base() -> list[Path]:
    """Some files of packages of the interpreter that a virtual environment was made from."""
    return list(Path(os.__file__).parent.glob("site-packages/*/__init__.py"))[:5]


@needs_files
def test_what_was_not_named_cannot_be_read(with_numpy: Run, bare: Run) -> None:
    import gymnasium
    import numpy

    others = [Path(gymnasium.__file__), *of_the_base()]
    ours = [*Path(codegym.__file__).parent.rglob("*.py"), ROOT / "pyproject.toml"]
    asked = [*others, *ours]
    assert with_numpy(readable(asked)).stdout == f"{len(asked)}\n"
    named = Path(numpy.__file__)
    assert with_numpy(readable([named])).stdout == f"{named}\n0\n"
    assert bare(readable([named])).stdout == "1\n"


@needs_files
def test_the_standard_library_and_shared_libraries_can_be_read(bare: Run) -> None:
    program = """
import bz2, ctypes, curses, hashlib, json, lzma, sqlite3, ssl, unittest, xml.etree.ElementTree
import zoneinfo
ctypes.CDLL("libm.so.6")
print(zoneinfo.ZoneInfo("Europe/Paris"))
"""
    assert bare(program).stdout == "Europe/Paris\n"


LOOKS = """
import codegym, sys
from codegym.execution import *
place = codegym.__file__
cheat = f"import sys\\nsys.path.insert(0, {sys.argv[1]!r})\\nimport codegym.problems\\nprint('in')"
reads = f"print(open({sys.argv[2]!r}, 'rb').read(1))"
with LocalExecutor(workers=1, isolation="strict") as executor:
    for program in (cheat, reads, "print(42)"):
        seen = executor.run(Request(program, (Stdin(""),))).observations[0]
        print(seen.error_type or seen.stdout.strip())
"""


def look(tmp_path: Path, path: Path, file: Path, *prefix: str) -> list[str]:
    """What two programs find that look for a codegym in `path`, and what a third one prints."""
    environment = {**os.environ, "PYTHONPATH": str(path), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [*prefix, sys.executable, "-c", LOOKS, str(path), str(file)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


HIDDEN = {"ModuleNotFoundError", "PermissionError"}


@needs_files
def test_codegym_cannot_be_seen_wherever_it_lies(tmp_path: Path) -> None:
    place = tmp_path / "lib" / "python3" / "dist-packages"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(codegym.__file__).parent, place / "codegym", ignore=ignored)
    imported, read, right = look(tmp_path, place, place / "codegym" / "__init__.py")
    assert {imported, read} <= HIDDEN
    assert right == "42"


@needs_files
def test_codegym_cannot_be_seen_in_an_archive(tmp_path: Path) -> None:
    place = tmp_path / "codegym.zip"
    folder = Path(codegym.__file__).parent
    with zipfile.ZipFile(place, "w") as archive:
        for path in folder.rglob("*"):
            if path.suffix != ".pyc":
                archive.write(path, path.relative_to(folder.parent))
    imported, read, right = look(tmp_path, place, place)
    assert {imported, read} <= HIDDEN
    assert right == "42"


@needs_files
@pytest.mark.parametrize(
    "place", ["/usr/local/lib/python3.11/site-packages", "/usr/local/lib/ours"]
)
def test_codegym_cannot_be_seen_below_usr_local_lib(tmp_path: Path, place: str) -> None:
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("needs root and unshare, to put something there that only the test sees")
    folder = Path(codegym.__file__).parent
    steps = (
        "mount --make-rprivate / && mount -t tmpfs -o size=64m none /usr/local/lib && "
        f'mkdir -p {place} && cp -r {folder} {place}/ && exec "$@"'
    )
    if subprocess.run(["unshare", "--mount", "sh", "-c", steps, "sh", "true"]).returncode != 0:
        pytest.skip("this root may not mount anything")
    prefix = ["unshare", "--mount", "sh", "-c", steps, "sh"]
    imported, read, right = look(
        tmp_path, Path(place), Path(place, "codegym", "__init__.py"), *prefix
    )
    assert {imported, read} <= HIDDEN
    assert right == "42"


def test_no_folder_of_shared_libraries_holds_packages() -> None:
    found = landlock.shared_libraries()
    assert any(".so" in path for path in found)
    for path in filter(os.path.isdir, found):
        assert os.path.basename(path) not in ("lib", "lib64")
        for folder, _, _ in os.walk(path):
            assert not folder.endswith(("site-packages", "dist-packages"))


def test_folders_of_packages_in_the_standard_library_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library, elsewhere, ours = tmp_path / "python3", tmp_path / "elsewhere", tmp_path / "ours"
    for folder in (library / "json", library / "dist-packages", elsewhere / "secret", ours):
        folder.mkdir(parents=True)
    for name, target in (("site-packages", elsewhere), ("itself", library), ("linked", ours)):
        (library / name).symlink_to(target)
    (library / "abc.py").touch()
    monkeypatch.setattr(landlock, "_standard_library", lambda: {str(library)})
    seen = dict(landlock.visible([], [str(ours)]))
    below = {os.path.relpath(path, tmp_path): rights for path, rights in seen.items()}
    inside = {path: rights for path, rights in below.items() if not path.startswith("..")}
    only_names, all_of_it = 1 << 3, 1 << 3 | 1 << 2
    expected = {"python3": only_names, "python3/json": all_of_it, "python3/abc.py": all_of_it}
    assert inside == expected
