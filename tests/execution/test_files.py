"""Files that a program finds in its folder, and files that it leaves there."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from codegym.errors import ConfigurationError
from codegym.execution import (
    Call,
    ExecutionLimits,
    ExitReason,
    LocalExecutor,
    Observation,
    Request,
    Stdin,
    TestCode,
)
from codegym.execution.files import check_files

LIMITS = ExecutionLimits(cpu_seconds=60.0, wall_seconds=3600.0, file_bytes=16 * 2**20)


def seen(executor: LocalExecutor, program: str, **fields: Any) -> tuple[Observation, ...]:
    request = Request(program, fields.pop("inputs", (Stdin(""),)), limits=LIMITS, **fields)
    return executor.run(request).observations


def test_every_input_finds_the_files_as_they_were_given(executor: LocalExecutor) -> None:
    program = (
        "with open('a/b.bin', 'r+b') as file:\n"
        "    print(file.read())\n"
        "    file.write(input().encode())\n"
    )
    observations = seen(
        executor,
        program,
        inputs=(Stdin("1"), Stdin("2")),
        files=(("a/b.bin", b"\0\xff"), ("empty", b"")),
        fetch=("a/b.bin", "empty", "none"),
    )
    assert [one.stdout for one in observations] == ["b'\\x00\\xff'\n"] * 2
    assert [one.files for one in observations] == [
        (("a/b.bin", b"\0\xff" + number), ("empty", b"")) for number in (b"1", b"2")
    ]


def test_a_script_can_import_them(executor: LocalExecutor) -> None:
    files = (("helper.py", b"X = 5\n"), ("pack/__init__.py", b""), ("pack/inner.py", b"Y = 6\n"))
    (one,) = seen(executor, "import helper, pack.inner\nprint(helper.X, pack.inner.Y)", files=files)
    assert one.stdout == "5 6\n"


def test_calls_and_test_code_find_them_too(executor: LocalExecutor) -> None:
    observations = seen(
        executor,
        "def f(x):\n    open('out', 'w').write(str(x))\n    return open('in').read()\n",
        inputs=(Call((1,)), Call((2,)), TestCode("assert f(3) == 'text'", "f", "", (1,))),
        entry_point="f",
        files=(("in", b"text"),),
        fetch=("out",),
    )
    assert [one.reason for one in observations] == [ExitReason.FINISHED] * 3
    assert [one.files for one in observations] == [(("out", b"%d" % n),) for n in (1, 2, 3)]


def test_the_next_request_finds_nothing(executor: LocalExecutor) -> None:
    seen(executor, "open('mine', 'w').write('x')", files=(("given", b"x"),))
    (one,) = seen(executor, "import os\nprint(os.listdir('.'))", fetch=("mine", "given"))
    assert (one.stdout, one.files) == ("[]\n", ())


@pytest.mark.parametrize(
    "program",
    [
        "os.symlink('/etc/passwd', 'x')",
        "os.symlink('/etc', 'd')",
        "os.symlink('.', 'd'); open('passwd', 'w').write('root')",
        "os.mkdir('x'); os.mkdir('d'); os.mkdir('d/passwd')",
        "os.mkfifo('x')",
    ],
)
def test_nothing_is_followed_out_of_the_folder(executor: LocalExecutor, program: str) -> None:
    (one,) = seen(executor, f"import os\n{program}", fetch=("x", "d/passwd"))
    assert one.files == ()


def test_a_killed_program_leaves_what_it_has_written(executor: LocalExecutor) -> None:
    program = "import ctypes\nopen('x', 'w').write('y')\nctypes.string_at(0)"
    (one,) = seen(executor, program, fetch=("x",))
    assert one.reason is ExitReason.KILLED
    assert one.exit_code == -11
    assert one.files == (("x", b"y"),)


def test_a_file_under_many_names_is_too_much(executor: LocalExecutor) -> None:
    program = (
        "import os\n"
        "with open('x', 'wb') as file: file.write(bytes(2**22))\n"
        "for n in range(20): os.link('x', f'x{n}')\n"
    )
    names = tuple(f"x{n}" for n in range(20))
    (one,) = seen(executor, program, fetch=names)
    assert (one.reason, one.files) == (ExitReason.OUTPUT_LIMIT, ())
    (one,) = seen(executor, program, fetch=names[:7])
    assert one.reason is ExitReason.FINISHED
    assert sum(len(data) for _, data in one.files) == 7 * 2**22


@pytest.mark.parametrize(
    "fields",
    [
        {"files": (("../x", b""),)},
        {"files": (("/x", b""),)},
        {"files": (("a//b", b""),)},
        {"files": (("a/./b", b""),)},
        {"files": (("", b""),)},
        {"files": (("a\0", b""),)},
        {"files": (("\ud800", b""),)},
        {"files": (("a" * 256, b""),)},
        {"files": (("a/" * 1_000 + "a", b""),)},
        {"files": (("a", "text"),)},
        {"files": ("ab",)},
        {"files": (5,)},
        {"files": None},
        {"files": (("a", b""), ("a", b""))},
        {"files": (("a/b", b""), ("a", b""))},
        {"files": (("a", bytes(32 * 2**20 + 1)),)},
        {"files": tuple((str(n), b"") for n in range(1_001))},
        {"fetch": ("..",)},
        {"fetch": "name"},
        {"fetch": (b"name",)},
    ],
    ids=lambda fields: f"{fields!r:.40}",
)
def test_what_can_be_no_file_is_refused(executor: LocalExecutor, fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"Request\.f|A file of a Request"):
        executor.submit(Request("", (Stdin(""),), **fields))


def test_names_are_checked_in_memory_of_their_own_size() -> None:
    deep = "a/" * 900
    files = tuple((f"{number}/{deep}b", b"") for number in range(500))
    tracemalloc.start()
    try:
        check_files(files, ())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * sum(len(name) for name, _ in files)


@pytest.mark.parametrize("names", [("a/b", "a"), ("a", "a-b", "a/b/c"), ("x", "a/b", "x")])
def test_no_name_is_a_file_and_a_folder(names: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError, match="twice, or as a file and as a folder"):
        check_files(tuple((name, b"") for name in names), ())
    check_files((("a", b""), ("a-b/c", b""), ("ab", b"")), ())
