"""What a program says of itself decides nothing but its own answer, and raises nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from codegym.execution import ExitReason, LocalExecutor
from codegym.execution.sandbox.child import report
from codegym.grading import Grader, Verdict
from codegym.problems import CallTest, CodeTest, Problem, StdinTest

from .forge import FORGE
from .held import UNTIMED

FINISHED = ExitReason.FINISHED

CODE = CodeTest("def check(c):\n    assert c(3) == 6\n    assert c(5) == 10\ncheck(f)\n", "f")
PROBLEMS = {
    "call": Problem("call", "", "", (CallTest((3,), 6), CallTest((5,), 10)), entry_point="f"),
    "script": Problem("script", "", "", (StdinTest("3\n", "6\n"), StdinTest("5\n", "10\n"))),
    "code": Problem("code", "", "", (CODE,), entry_point="f"),
}
TAKE_BACK = """
import os
taken = b""
for number in (1, 2):
    try:
        pipe = os.open(f"/proc/self/fd/{number}", os.O_RDONLY | os.O_NONBLOCK)
        taken += os.read(pipe, 100)
    except OSError:
        pass
"""
"""Pipes can be opened again for reading: what a child said on one could be taken back."""
FIND = """
import sys
frame = sys._getframe()
while "task" not in frame.f_locals:
    frame = frame.f_back
task = frame.f_locals["task"]
"""
CODES = [bytes((number,)) for number in (*range(len(ExitReason) + 1), *b"BWSAX", 255)]
BODIES = [b"", b"null", b"7", b'{"c":[1]}', b'{"type": 1}', b"\xff\x00", b"[" * 5000, b"1" * 5000]


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with LocalExecutor(workers=1) as executor:
        yield Grader(executor, UNTIMED, cache_size=0)


@pytest.mark.parametrize("kind", PROBLEMS)
def test_nothing_of_ours_can_be_taken_from_its_pipes(grader: Grader, kind: str) -> None:
    """Were anything told there, one try in a few would find it."""
    program = f"{TAKE_BACK}\nassert not taken, taken\n"
    program += "def f(x): return 2 * x\nif __name__ == '__main__': print(2 * int(input()))\n"
    for _ in range(10):
        grade = grader.grade(PROBLEMS[kind], program)
        assert grade.solved, grade


@pytest.mark.parametrize("kind", PROBLEMS)
@pytest.mark.parametrize("said", [b"X", b"P", b"C", b"S", b"SS", b""])
def test_what_it_says_there_is_only_output(grader: Grader, kind: str, said: bytes) -> None:
    program = f"{TAKE_BACK}\nos.write(1, {said!r})\nos._exit(0)\n"
    # A script may leave so; what it printed then counts.
    wanted = Verdict.WRONG_ANSWER if kind == "script" else Verdict.RUNTIME_ERROR
    assert grader.grade(PROBLEMS[kind], program).verdict is wanted


@pytest.mark.parametrize("kind", PROBLEMS)
@pytest.mark.parametrize("when", ["loaded", "called"])
def test_no_report_of_its_own_is_a_right_answer(grader: Grader, kind: str, when: str) -> None:
    if kind == "script" and when == "called":
        pytest.skip("a script is not called")
    verdicts = set()
    for code in CODES:
        for body in BODIES:
            attack = f"{FIND}{FORGE}\ntask.report.mark_loaded()\n"
            attack += f"forge(task.report, {code!r}, {body!r})\n"
            attack += "import os; os._exit(0)\n"
            if when == "called":
                inner = attack.replace("\n", "\n    ")
                attack = f"def f(x):\n    {inner}\n"
            grade = grader.grade(PROBLEMS[kind], attack)
            assert not grade.solved, (code, body)
            verdicts.add(grade.verdict)
    assert Verdict.COMPILE_ERROR not in verdicts
    assert Verdict.WRONG_ANSWER in verdicts or Verdict.RUNTIME_ERROR in verdicts


def test_a_forged_series_tells_nothing_impossible() -> None:
    memory = report.new_memory(1 << 20)
    told = report.Report(memory, 1 << 17, 5)
    assert told.append(FINISHED, b"1", 0.5)
    assert told.append(FINISHED, b"2", float("nan"))
    assert told.append(FINISHED, b"3", -1.0)
    assert [cpu for _, _, cpu, _, _ in told.read_series(1.0)] == [0.5, 1.0, 1.0]
    assert told.append(FINISHED, b"4", 0.5)
    lines = report._ENTRY.pack(1, 1000, 0, 0.5, b"\x01") + bytes(4 * 1000) + b"5"
    marks = report._ENTRY.pack(1, 0, 5000, 0.5, b"\x01") + bytes(8 * 5000) + b"6"
    for forged in (lines, marks):  # more than the program has, more than there can be
        end = told._used + len(forged)
        memory[told._body + told._used : told._body + end] = forged
        memory[:8] = (end + 1).to_bytes(8, "little")
        assert [one[1] for one in told.read_series(1.0)] == [b"1", b"2", b"3", b"4"]


def test_the_name_of_a_type_can_be_printed(grader: Grader) -> None:
    attack = f"{FIND}{FORGE}\ntask.report.mark_loaded()\n"
    attack += r"""forge(task.report, b'\x01', b'{"o":"\\ud800\\u001b[2J"}')"""
    attack += "\nimport os; os._exit(0)\n"
    grade = grader.grade(PROBLEMS["call"], "def f(x):\n    " + attack.replace("\n", "\n    "))
    assert grade.error_message is not None
    assert "object" in grade.error_message
    assert grade.error_message.isprintable()


def test_the_tester_is_out_of_reach(grader: Grader) -> None:
    """Its verdict is in a file of its own: no descriptor, no memory, no process leads there."""
    attacks = [
        "import os\nfor number in range(3, 64):\n    try: os.write(number, b'Rnull')\n"
        "    except OSError: pass\nos._exit(0)\n",
        f"{FIND}{FORGE}\nforge(task.report, b'\\x01', b'null')\nimport os; os._exit(0)\n",
        "import os\nfor pid in range(os.getpid() - 20, os.getpid() + 20):\n"
        "    for number in range(3, 12):\n"
        "        try: os.write(os.open(f'/proc/{pid}/fd/{number}', os.O_WRONLY), b'Rnull')\n"
        "        except OSError: pass\n"
        "def f(x): return 7\n",
    ]
    for attack in attacks:
        assert not grader.grade(PROBLEMS["code"], attack).solved
