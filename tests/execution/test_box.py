"""The private directory of programs is emptied and removed, whatever they made of it."""

from __future__ import annotations

import os
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from codegym.execution import LocalExecutor
from codegym.execution.sandbox.fence.box import empty_box, remove_box

from .conftest import Run

MEMORY = "/dev/shm"


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Path]:
    # Some disks take milliseconds for each directory that is removed.
    base = MEMORY if os.access(MEMORY, os.W_OK) else tmp_path
    folder = Path(tempfile.mkdtemp(dir=base))
    yield folder
    remove_box(str(folder))
    assert not folder.exists()


@pytest.fixture
def few_descriptors() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 8, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def nest(folder: Path, depth: int) -> None:
    here = os.getcwd()
    os.chdir(folder)
    for _ in range(depth):
        os.mkdir("a")
        os.chdir("a")
    os.chdir(here)


@pytest.mark.usefixtures("few_descriptors")
def test_directories_deeper_than_any_path_are_removed(box: Path) -> None:
    nest(box, 2_500)
    empty_box(str(box))
    assert os.listdir(box) == []


def test_names_links_and_modes_of_all_kinds_are_removed(box: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o755)
    (outside / "kept").write_text("kept")
    locked = box / "locked"
    (locked / "inner" / "empty").mkdir(parents=True)
    (locked / "inner" / "file").write_text("x")
    for name in ("\udcff\n", "-rf", " ", "a" * 255, "*"):
        (box / name).mkdir()
        (locked / name).write_text("x")
    (box / "link").symlink_to(outside)
    (locked / "link").symlink_to(outside)
    (locked / "nowhere").symlink_to("/no/such/file")
    os.mkfifo(locked / "pipe")
    for folder, mode in ((locked / "inner" / "empty", 0), (locked / "inner", 0o500), (locked, 0)):
        folder.chmod(mode)
    box.chmod(0)
    empty_box(str(box))
    assert os.listdir(box) == []
    assert box.stat().st_mode & 0o777 == 0o700
    assert outside.stat().st_mode & 0o777 == 0o755
    assert (outside / "kept").read_text() == "kept"


def test_many_entries_are_removed_in_portions(box: Path) -> None:
    (box / "inner").mkdir()
    for number in range(1_500):
        (box / "inner" / str(number)).touch()
        (box / str(number)).symlink_to("x")
    empty_box(str(box))
    assert os.listdir(box) == []


def test_a_directory_that_is_gone_is_made_anew(box: Path) -> None:
    box.rmdir()
    empty_box(str(box))
    assert box.stat().st_mode & 0o777 == 0o700


def test_a_link_in_its_place_is_not_followed(box: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("kept")
    box.rmdir()
    box.symlink_to(tmp_path)
    with pytest.raises(NotADirectoryError):
        empty_box(str(box))
    assert (tmp_path / "kept").read_text() == "kept"
    box.unlink()


DEEP = "import os\nfor _ in range(1500):\n    os.mkdir('a'); os.chdir('a')\nprint(6)"


def test_a_program_that_nests_directories_harms_nobody(executor: LocalExecutor, run: Run) -> None:
    assert run(DEEP).stdout == "6\n"
    assert run("import os\nprint(os.listdir('.'))").stdout == "[]\n"
