"""Large and strange answers are decoded and compared in a helper with limits, never here."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from codegym.errors import ClosedError, WorkerError
from codegym.execution import encode_value
from codegym.grading import comparer
from codegym.grading.comparer import Comparer
from codegym.problems import CallTest, StdinTest
from tests.execution.process_tree import alive, children_of
from tests.waiting import wait_until

LARGE = list(range(5_000))
ONE = CallTest((), 1)


def check(
    comparer: Comparer, answer: Any, expected: Any, *, comparison: Any = "exact", **options: Any
) -> str | None:
    """What is wrong with an answer, which may be given as bytes."""
    encoded = answer if isinstance(answer, bytes) else encode_value(answer)
    test = CallTest((), expected, **options)
    accepted = [test.expected, *test.alternatives]
    return comparer.check_value(encoded, test, comparison, lambda: encode_value(accepted))


@pytest.fixture(name="asked")
def fixture_asked() -> Iterator[Comparer]:
    made = Comparer()
    yield made
    made.close()


def helpers() -> set[int]:
    """Living helper processes of this one."""
    return {pid for pid in children_of(os.getpid()) if b"comparer_process" in _command(pid)}


def _command(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""


def test_small_answers_need_no_helper(asked: Comparer) -> None:
    before = helpers()
    assert check(asked, [1, (2, "x"), {3: 0.5}], [1, (2, "x"), {3: 0.5}]) is None
    assert check(asked, 2, LARGE) is not None
    assert asked.check_output("1 2\n", StdinTest("", "1  2"), "tolerant") is None
    assert asked.check_output("x" * 10**5, StdinTest("", "x" * 10**5), "tolerant") is None
    assert helpers() == before


HELPED = {
    "a long value": (encode_value(LARGE), LARGE),
    "a long text": (encode_value("x" * 20_000), "x" * 20_000),
    "many brackets": (encode_value([[]] * 1_200), [[]] * 1_200),
    "a decimal": (b'[{"D":"0.5"}]', [0.5]),
    "a fraction": (b'[{"F":[1,2]}]', [0.5]),
}


@pytest.mark.parametrize(("answer", "expected"), HELPED.values(), ids=HELPED)
def test_what_is_large_or_strange_needs_a_helper(
    asked: Comparer, answer: bytes, expected: Any
) -> None:
    before = helpers()
    assert check(asked, answer, expected) is None
    assert len(helpers() - before) == 1


def test_long_output_that_differs_needs_a_helper(asked: Comparer) -> None:
    before = helpers()
    assert asked.check_output("1 " * 10_000, StdinTest("", "1"), "tolerant") is not None
    assert len(helpers() - before) == 1


def test_a_helper_may_have_used_its_time_on_earlier_answers(
    asked: Comparer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check(asked, LARGE, LARGE) is None
    monkeypatch.setattr(comparer._Helper, "_cpu_seconds", lambda _: 1e6)
    assert check(asked, LARGE, LARGE) is None


def test_alternatives_count_here_as_well(asked: Comparer) -> None:
    assert check(asked, 2, 1, alternatives=(2,)) is None
    assert check(asked, 3, 1, alternatives=(2,)) is not None


def test_large_and_strange_answers_are_compared_in_a_helper(asked: Comparer) -> None:
    assert check(asked, LARGE, LARGE) is None
    assert check(asked, [*LARGE[:-1], 0], LARGE) is not None
    near = [*LARGE[:-1], LARGE[-1] + 1e-7]
    assert check(asked, LARGE, near, comparison="tolerant") is None
    assert check(asked, LARGE, near, comparison="exact") is not None
    assert check(asked, b'{"D":"0.5"}', 0.5) is None
    assert check(asked, b'{"F":[1,3]}', 0.34, tolerance=0.01) is None
    assert check(asked, b'{"D":"sNaN"}', 1) == "Expected 1, got Decimal('sNaN')."
    assert check(asked, tuple(LARGE), LARGE, alternatives=(tuple(LARGE),)) is None
    assert len(helpers()) == 1
    lines = "\n".join(map(str, LARGE))
    assert asked.check_output(lines, StdinTest("", lines + "\n\n"), "tolerant") is None
    assert asked.check_output(lines + "\n\udcff", StdinTest("", lines), "tolerant") is not None
    assert asked.check_output("1" * 10**6 + "x", StdinTest("", "2.5"), "tolerant") is not None


def test_both_places_say_the_same(asked: Comparer) -> None:
    values = [1, "text", [1, (2,)], {"k": {3}}, 10**5000, (b"\xff",), range(3), [None] * 100]
    for value in values:
        here = check(asked, value, "another")
        padded = encode_value(value) + b" " * (1 << 15)  # JSON allows it, and it is not small
        assert check(asked, padded, "another") == here
        assert here is not None


def colliding(count: int) -> bytes:
    """A set whose items all have the same hash: to build it takes the square of `count`."""
    items = ",".join('{"i":"%x"}' % (i * (2**61 - 1)) for i in range(count))
    return b'{"s":[%s]}' % items.encode()


_DIGITS = tuple(random.Random(seed).getrandbits(4 * 10**6) for seed in (0, 1))
SLOW = {
    "items that collide": colliding(100_000),
    "a fraction of many digits": b'{"F":[{"i":"%x"},{"i":"%x"}]}' % _DIGITS,
}


@pytest.mark.parametrize("answer", SLOW.values(), ids=SLOW)
def test_an_answer_that_takes_too_long_is_a_wrong_one(
    asked: Comparer, answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparer, "_BASE_SECONDS", 0.1)
    monkeypatch.setattr(comparer, "_SECONDS_EACH", 0.0)
    complaint = check(asked, answer, 1)
    assert complaint is not None
    assert "s to compare" in complaint
    assert helpers() == set()  # it was killed, and the next one is as good
    monkeypatch.undo()
    assert check(asked, LARGE, LARGE) is None


def test_an_answer_that_takes_too_much_memory_is_a_wrong_one(
    asked: Comparer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparer, "_MEMORY_EACH", 0)
    monkeypatch.setattr(comparer, "_BASE_MEMORY", 8 << 20)
    answer = b"[" + b"[]," * 200_000 + b"1]"
    assert check(asked, answer, 1) == "The answer took more than 8 MiB of memory to compare."
    monkeypatch.undo()
    assert check(asked, answer, [*([] for _ in range(200_000)), 1]) is None


ODD = {
    "deep": b"[" * 10**5 + b"]" * 10**5,
    "deep, with an end of its own": b'{"t":[' * 10**5 + b"]}" * 10**5,
    "a number of a million digits": b"1" * 10**6,
    "cut": b'{"i":"0x' + b"1" * 10**5,
    "no text": b"\xff" * 10**5,
    "spaces": b" " * 10**6,
    "decimals in a set": b'{"s":[{"D":"sNaN"}]}',
    "duplicate keys": b'{"F":[1,2],"F":[1,0]}',
    "lone surrogates": b'["' + b"\\ud800" * 10**5 + b'"]',
    "a range without end": b'[{"r":[0,{"i":"' + b"f" * 10**5 + b'"},1]}]',
    "an endless decimal": b'{"D":"1e999999999999999999"}',
}


@pytest.mark.parametrize("comparison", ["exact", "tolerant"])
@pytest.mark.parametrize("answer", ODD.values(), ids=ODD)
def test_odd_bytes_are_wrong_answers(asked: Comparer, answer: bytes, comparison: Any) -> None:
    for expected in (1, 0.5, 1j, [1], {1}, {1: 2}, "x"):
        assert check(asked, answer, expected, comparison=comparison) is not None
        assert check(asked, answer, expected, comparison=comparison, tolerance=1.0) is not None


def test_a_helper_that_dies_is_replaced(asked: Comparer) -> None:
    assert check(asked, LARGE, LARGE) is None
    (pid,) = helpers()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not alive(pid))
    assert check(asked, LARGE, LARGE) is None


def test_helpers_that_always_die_are_a_fault_of_ours(
    asked: Comparer, monkeypatch: pytest.MonkeyPatch
) -> None:
    died = "import os, sys; os.write(int(sys.argv[2]), b'A')"
    monkeypatch.setattr(comparer, "_START", died)
    with pytest.raises(WorkerError, match="died on 2 attempts"):
        check(asked, LARGE, LARGE)
    monkeypatch.setattr(comparer, "_START", "no Python")
    with pytest.raises(WorkerError, match="died on 2 attempts"):
        check(asked, LARGE, LARGE)
    monkeypatch.undo()
    assert check(asked, LARGE, LARGE) is None


def test_a_closed_checker_ends_its_helpers_and_whoever_waits() -> None:
    asked = Comparer()
    assert check(asked, LARGE, LARGE) is None
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(check, asked, colliding(200_000), 1)
        wait_until(lambda: any(map(_computes, helpers())))
        asked.close()
        with pytest.raises(ClosedError):
            waiting.result()
    assert helpers() == set()
    asked.close()
    with pytest.raises(ClosedError):
        check(asked, LARGE, LARGE)


def _computes(pid: int) -> bool:
    """Whether it has used CPU time since it started: half a second of it."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            user = int(file.read().rpartition(")")[2].split()[11])
    except OSError:
        return False
    return user * 2 > os.sysconf("SC_CLK_TCK")


def test_a_dropped_checker_ends_its_helpers() -> None:
    asked = Comparer()
    assert check(asked, LARGE, LARGE) is None
    del asked
    assert wait_until(lambda: not helpers())


def test_many_threads_ask_at_a_time(asked: Comparer) -> None:
    answers = [[*LARGE[:-1], i % 2] for i in range(64)]
    expected = [*LARGE[:-1], 1]
    with ThreadPoolExecutor(8) as threads:
        seen = list(threads.map(lambda answer: check(asked, answer, expected) is None, answers))
    assert seen == [bool(i % 2) for i in range(64)]
    assert len(helpers()) <= 8


def test_a_helper_outlives_the_thread_that_started_it(asked: Comparer) -> None:
    starter = threading.Thread(target=check, args=(asked, LARGE, LARGE))
    starter.start()
    starter.join()
    before = helpers()
    assert check(asked, LARGE, LARGE) is None
    assert helpers() == before


def test_a_fork_gets_helpers_of_its_own(asked: Comparer) -> None:
    assert check(asked, LARGE, LARGE) is None
    before = helpers()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            good = check(asked, LARGE, LARGE) is None and len(helpers()) == 1
            asked.close()
            code = 0 if good and not helpers() else 1
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert check(asked, LARGE, LARGE) is None
    assert helpers() == before


_TRAINER = """
import sys, threading
from codegym.grading.comparer import Comparer
from tests.grading.test_comparer import LARGE, check, colliding, helpers
comparer = Comparer()
check(comparer, LARGE, LARGE)
print(*helpers(), flush=True)
check(comparer, colliding(400_000), 1)
"""


def test_no_helper_outlives_the_trainer() -> None:
    trainer = subprocess.Popen([sys.executable, "-c", _TRAINER], stdout=subprocess.PIPE, text=True)
    assert trainer.stdout is not None
    with trainer, trainer.stdout:
        pid = int(trainer.stdout.readline())
        assert alive(pid)
        trainer.kill()
    assert wait_until(lambda: not alive(pid))


_ATTEMPTS = """
import os, socket, sys
from codegym.grading import confined
folder = sys.argv[1]
confined.close_in()
attempts = {
    "read a file": lambda: open(os.__file__),
    "write a file": lambda: open(folder + "/new", "w"),
    "remove a file": lambda: os.unlink(folder + "/old"),
    "make a folder": lambda: os.mkdir(folder + "/new"),
    "open a socket": lambda: socket.socket(),
    "start a process": lambda: os.fork(),
    "become another program": lambda: os.execv("/bin/true", ["true"]),
    "signal a process": lambda: os.kill(os.getppid(), 0),
    "change a limit": lambda: os.nice(1),
}
for name, attempt in attempts.items():
    try:
        attempt()
    except OSError:
        continue
    print(name, flush=True)
print("alive")
"""


def test_a_helper_can_do_nothing_but_compute(tmp_path: Any) -> None:
    (tmp_path / "old").touch()
    done = subprocess.run(
        [sys.executable, "-c", _ATTEMPTS, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "alive\n"
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
