"""Cases that need a Ray of two CPUs; `test_ray_executor.py` runs this file in its own process.

Ray changes a process for good: threads, signal handlers, environment. It must not do that to the
process in which the other tests run.
"""

from __future__ import annotations

import copy
import dataclasses
import gzip
import json
import os
import pickle
import signal
import tempfile
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from pathlib import Path
from typing import Any

import pytest

from codegym.errors import (
    ClosedError,
    ConfigurationError,
    ExecutionError,
    UnknownNameError,
    WorkerError,
)
from codegym.execution import (
    Call,
    ExecutionLimits,
    Executor,
    ExitReason,
    LocalExecutor,
    Observation,
    RayExecutor,
    Request,
    Result,
    Stdin,
    TestCode,
)
from codegym.grading import Grader
from codegym.problems import (
    BinaryTree,
    CallTest,
    Checker,
    LinkedList,
    Problem,
    StdinTest,
    load_problems,
)
from tests.execution.held import HELD, UNTIMED, let_go_until_done, wait_for_held
from tests.execution.patient_ray import start_without_deadline
from tests.execution.process_tree import below, mentioning, wait_until_dead
from tests.waiting import wait_until

LIMITS = ExecutionLimits(
    cpu_seconds=1.0, wall_seconds=3600.0, memory_bytes=128 * 2**20, output_bytes=2**16
)
PACKAGES = ("sortedcontainers", "gymnasium")
BRIEF = dataclasses.replace(LIMITS, wall_seconds=1.5)
START_SECONDS = 3600.0  # however busy the machine is, Ray has time to start an actor


@pytest.fixture(scope="session", autouse=True)
def ray() -> Iterator[Any]:
    """A Ray that is the user's, not an executor's. Nothing of it is left at the end."""
    import ray

    start_without_deadline()
    ray.init(
        address="local",
        num_cpus=2,
        object_store_memory=80 * 2**20,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
    )
    yield ray
    family = below(os.getpid())
    ray.shutdown()
    wait_until_dead(family)


@pytest.fixture(scope="session")
def executor(ray: Any) -> Iterator[RayExecutor]:
    with RayExecutor(
        workers=2,
        cpus_per_worker=0.5,
        start_seconds=START_SECONDS,
        packages=PACKAGES,
    ) as executor:
        yield executor


def square(value: int) -> Request:
    return Request("def f(x):\n    return x * x\n", (Call((value,)),), entry_point="f")


def waiting() -> Request:
    return Request(f"{HELD}print(1)", (Stdin(""),), limits=UNTIMED)


def value_of(expression: str) -> Request:
    source = f"def f():\n    return {expression}\n"
    return Request(source, (Call(),), entry_point="f", limits=LIMITS)


def private_folders() -> set[Path]:
    """Of the workers; driver and actors have one place for temporary files."""
    return set(Path(tempfile.gettempdir()).glob("codegym-*"))


def actors(doing: str = "") -> list[int]:
    """Processes of all living actors; Ray names a process for what it does."""
    return sorted(below(os.getpid()).intersection(mentioning(f"ray::_Actor{doing}")))


def busy_actor(*, besides: int = 0) -> int:
    """An actor that has a request; one that was killed just now may not be gone yet."""
    return wait_until(lambda: [pid for pid in actors(".run") if pid != besides])[0]


def same(ours: Observation, theirs: Observation) -> bool:
    """Equal but for what is measured."""
    measured = {"cpu_seconds", "wall_seconds", "peak_memory_bytes"}
    if ours.reason is ExitReason.OUTPUT_LIMIT:
        measured.add("stdout")  # how much of it was read before the kill
    return all(
        repr(getattr(ours, name)) == repr(getattr(theirs, name))
        for name in Observation.__dataclass_fields__
        if name not in measured
    )


def test_is_an_executor_and_answers_in_order(executor: RayExecutor) -> None:
    assert isinstance(executor, Executor)
    assert executor.workers == 2
    assert copy.deepcopy(executor) is executor
    futures = [executor.submit(square(i)) for i in range(30)]
    assert [f.result().observations[0].value for f in futures] == [i * i for i in range(30)]


HOSTILE = {
    "never ends": "while True: pass",
    "memory": "x = bytearray(2**30)",
    "output": "while True: print('x' * 1000)",
    "leaves": "import os\nos._exit(0)",
    "raises": "def f(x):\n    return x\n\nf(1)\nraise KeyError('gone')",
    "no program": "def f(:\n",
    "kills its parents": "import os\nfor p in (os.getppid(), 0, -1, 1): os.kill(p, 9)",
    "forks": "import os\nwhile True: os.fork()",
    "looks for Ray": "import glob\nprint(glob.glob('/tmp/**', recursive=True))",
    "opens a socket": "import socket\nsocket.socket()",
    "says done": "print('ok')\nraise SystemExit(3)",
    "no text": "import sys\nsys.stdout.buffer.write(bytes(range(256)))",
}


def test_the_same_is_seen_as_locally(executor: RayExecutor) -> None:
    values = ["{1: {2, 3}}", "frozenset({1})", "object()", "[float('nan')]", "2**5000", "b'\\xff'"]
    # As deep as a value may be before it is no plain data: it has to cross one more fence here.
    values += [f"eval('[' * {depth} + ']' * {depth})" for depth in (20, 80)]
    deep = "def f(n):\n    x = []\n    for _ in range(n):\n        x = [x]\n    return x\n"
    depths = (100, 200, 300, 400, 480, 520, 600, 800, 900, 950, 1000, 2000)
    test = TestCode("def check(c):\n    assert c(2) == 4\ncheck(f)\n", "f")
    tree = "import collections\nclass T:\n    pass\n"
    requests = [
        *(Request(source, (Stdin(""), Stdin("1")), limits=LIMITS) for source in HOSTILE.values()),
        *(value_of(value) for value in values),
        Request(deep, tuple(Call((n,)) for n in depths), entry_point="f", limits=LIMITS),
        Request(
            "print(1 / int(input()))", (Stdin("1"), Stdin("0"), Stdin("2")), stop_on_error=True
        ),
        Request("def f(x):\n    return x * 2\n", (test,), entry_point="f", limits=LIMITS),
        Request("def f(x):\n    return x * 3\n", (test,), entry_point="f", limits=LIMITS),
        Request(
            "def f(x):\n    return x\n",
            (Call((LinkedList((1, 2)),)), Call((BinaryTree((1, None, 2)),)), Call(({(1,)},))),
            entry_point="f",
            limits=LIMITS,
            prelude=tree,
            coverage=False,
        ),
    ]
    before = actors()
    sleeps = "import time\ntime.sleep(9999)"
    requests.append(Request(sleeps, (Stdin(""),), limits=BRIEF, coverage=False))
    with LocalExecutor(workers=2) as local:
        theirs = [local.submit(request) for request in requests]
        ours = [executor.submit(request) for request in requests]
        for request, one, other in zip(requests, ours, theirs, strict=True):
            pairs = zip(one.result().observations, other.result().observations, strict=True)
            for mine, yours in pairs:
                assert same(mine, yours), (request.program, mine, yours)
    assert set(before) <= set(actors())  # no program brought its actor down


def test_requests_and_results_survive_the_journey() -> None:
    given = (Stdin("a\ud800"), Call((LinkedList((1,)), {2}), (("k", 3),)), TestCode("x", "check"))
    request = Request("p", given, entry_point="f", limits=LIMITS)
    assert pickle.loads(pickle.dumps(request)) == request
    # An answer travels as the bytes that the program left, whatever they are.
    result = Result((Observation(ExitReason.FINISHED, answer=b'{"i":"\xff'),))
    assert repr(pickle.loads(pickle.dumps(result))) == repr(result)


def test_real_programs_get_the_same_verdicts(executor: RayExecutor, data_dir: Path) -> None:
    problems = {p.id: p for p in load_problems("humaneval", data=data_dir / "HumanEval.jsonl.gz")}
    with gzip.open(data_dir / "humaneval_codegen16b_samples.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in file]
    pairs = [
        (problems[row["task_id"]], program) for row in rows[::10] for program in row["programs"][:1]
    ]
    pairs += [(problem, problem.canonical_solution) for problem in list(problems.values())[::10]]
    with LocalExecutor(workers=2, packages=PACKAGES) as local:
        theirs = Grader(local, LIMITS).grade_many(pairs)
    ours = Grader(executor, LIMITS).grade_many(pairs)
    assert [grade.verdict for grade in ours] == [grade.verdict for grade in theirs]
    assert [grade.executed_lines for grade in ours] == [grade.executed_lines for grade in theirs]
    assert len({grade.verdict for grade in ours}) > 2


def test_programs_may_import_what_was_named(executor: RayExecutor) -> None:
    asks = "import importlib.util\nprint([importlib.util.find_spec(n) is not None for n in {}])"
    program = asks.format(("sortedcontainers", "gymnasium", "pytest"))

    def seen(*packages: str) -> str:
        request = Request(program, (Stdin(""),), packages=packages)
        return executor.run(request).observations[0].stdout

    assert seen() == "[True, True, False]\n"
    assert seen("pytest") == "[True, True, True]\n"


def test_a_slow_program_holds_up_no_other(executor: RayExecutor) -> None:
    slow = executor.submit(waiting())
    futures = [executor.submit(square(i)) for i in range(20)]
    assert [f.result().observations[0].value for f in futures] == [i * i for i in range(20)]
    assert not slow.done()
    let_go_until_done([slow])
    assert slow.result().observations[0].stdout == "1\n"


def test_a_killed_actor_loses_no_result(executor: RayExecutor) -> None:
    pids = actors()
    futures = [executor.submit(waiting()) for _ in range(6)]
    wait_for_held(os.getpid())
    os.kill(busy_actor(), signal.SIGKILL)
    let_go_until_done(futures)
    assert [f.result().observations[0].stdout for f in futures] == ["1\n"] * 6
    wait_until(lambda: len(actors()) == 2)  # Ray has restarted it
    assert len(set(actors()) & set(pids)) == 1


def test_actors_that_die_unnoticed_lose_no_result(executor: RayExecutor) -> None:
    for pid in actors():
        os.kill(pid, signal.SIGKILL)
    # Whoever tries it first, the other is dead too, and has not yet been found to be.
    assert executor.submit(square(3)).result().observations[0].value == 9
    futures = [executor.submit(square(i)) for i in range(6)]
    values = [f.result().observations[0].value for f in futures]
    assert values == [0, 1, 4, 9, 16, 25]


def test_a_request_that_loses_two_actors_is_an_error(executor: RayExecutor) -> None:
    future = executor.submit(waiting())
    first = busy_actor()
    os.kill(first, signal.SIGKILL)
    os.kill(busy_actor(besides=first), signal.SIGKILL)
    with pytest.raises(WorkerError, match="Ray actor was lost") as caught:
        future.result()
    assert type(caught.value) is WorkerError
    assert executor.run(square(3)).observations[0].value == 9


def test_our_errors_keep_their_type(executor: RayExecutor) -> None:
    with pytest.raises(ConfigurationError, match="plain data"):
        executor.submit(Request("", (Call((object(),)),), entry_point="f"))
    with pytest.raises(ConfigurationError, match="inputs is empty"):
        executor.submit(Request("", ()))
    with pytest.raises(ExecutionError, match="prelude") as caught:
        executor.run(Request("", (Stdin(""),), prelude="import no_such_module"))
    assert type(caught.value) is ExecutionError
    assert executor.run(square(4)).observations[0].value == 16


def test_arguments_without_meaning_are_refused(executor: RayExecutor) -> None:
    for arguments in (
        {"workers": 0},
        {"workers": True},
        {"cpus_per_worker": -1},
        {"cpus_per_worker": "1"},
        {"start_seconds": float("nan")},
        {"packages": "numpy"},
    ):
        (name,) = arguments
        with pytest.raises(ConfigurationError, match=name):
            RayExecutor(**arguments)
    with pytest.raises(UnknownNameError, match="strict"):
        RayExecutor(isolation="strickt")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="already"):
        RayExecutor(address="192.0.2.1:6379")
    before = actors()
    with pytest.raises(WorkerError, match="python=") as caught:
        RayExecutor(workers=1, cpus_per_worker=0, python="/no/such/python")
    assert type(caught.value) is WorkerError
    with pytest.raises(WorkerError, match=r"started \d of 3 actors in 2 s.*2 CPUs"):
        RayExecutor(workers=3, start_seconds=2.0)
    wait_until(lambda: set(actors()) <= set(before))  # one of an earlier test may have been ending


def test_close_fails_what_is_pending_and_leaves_nothing(executor: RayExecutor) -> None:
    others, folders = actors(), private_folders()
    pool = RayExecutor(workers=2, cpus_per_worker=0, start_seconds=START_SECONDS)
    ours = set(actors()) - set(others)
    assert len(ours) == 2
    futures: list[Future[Result]] = [pool.submit(waiting()) for _ in range(4)]
    cancelled = pool.submit(square(1))
    assert cancelled.cancel()
    wait_for_held(os.getpid(), 2)
    assert len(private_folders() - folders) == 2
    family = ours.union(*map(below, ours))
    pool.close()
    pool.close()
    assert all(future.done() for future in futures)  # whose programs would never end
    for future in futures:
        with pytest.raises(ClosedError):
            future.result()
    with pytest.raises(CancelledError):
        cancelled.result()
    with pytest.raises(ClosedError):
        pool.submit(square(1))
    wait_until_dead(family)
    assert actors() == others
    assert private_folders() == folders


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_is_told_so(executor: RayExecutor) -> None:
    child = os.fork()
    if child == 0:
        try:
            executor.submit(square(1))
        except ExecutionError as error:
            executor.close()  # harmless here
            os._exit(0 if "fork" in str(error) else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert executor.run(square(5)).observations[0].value == 25


def test_checkers_are_run_there_as_well(executor: RayExecutor) -> None:
    grader = Grader(executor, LIMITS)
    source = "def check(input, output, expected):\n    return sorted(output) == sorted(expected)\n"
    called = Problem(
        "c", "", "", (CallTest((3,), [0, 1, 2]),), entry_point="f", checker=Checker(source)
    )
    assert grader.grade(called, "def f(n): return list(range(n))[::-1]").verdict == "accepted"
    assert grader.grade(called, "def f(n): return 1").verdict == "judge_error"
    script = Checker("import sys\nprint(int(open(sys.argv[3]).read() == 'b\\n'))", "script")
    printed = Problem("p", "", "", (StdinTest("", "a"),), checker=script)
    assert grader.grade(printed, "print('b')").verdict == "accepted"
    assert grader.grade(printed, "print('a')").verdict == "wrong_answer"


def test_a_ray_that_is_shut_down_is_an_error_and_no_hang(ray: Any) -> None:
    """Last, for it takes Ray away from all others."""
    assert ray.is_initialized()  # executors were closed before, but the user had started it
    with RayExecutor(workers=2, cpus_per_worker=0, start_seconds=START_SECONDS) as pool:
        futures = [pool.submit(waiting()) for _ in range(4)]
        wait_for_held(os.getpid(), 2)
        family = below(os.getpid())
        ray.shutdown()
        for future in [*futures, pool.submit(square(1))]:
            with pytest.raises(WorkerError, match="Ray"):
                future.result()
        assert not ray.is_initialized()
    wait_until_dead(family)
