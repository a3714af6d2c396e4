"""The pool: retries, closing, threads, forks, and nothing left behind."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from codegym.errors import (
    ClosedError,
    ConfigurationError,
    IsolationError,
    IsolationWarning,
    UnknownNameError,
    WorkerError,
)
from codegym.execution import (
    Call,
    Executor,
    ExitReason,
    LocalExecutor,
    Request,
    Result,
    Stdin,
    describe_isolation,
    isolation,
)
from tests.python import PYTHON
from tests.waiting import wait_until

from .held import HELD, NAME, UNTIMED, let_go, wait_for_held
from .process_tree import below, left_behind, parents, wait_until_dead

WAITING = Request(f"{HELD}print(1)", (Stdin(""),), limits=UNTIMED)


def request(value: int) -> Request:
    return Request("def f(x):\n    return x * x\n", (Call((value,)),), entry_point="f")


def own_workers() -> set[int]:
    return {pid for pid in below(os.getpid()) if "sandbox.worker" in command(pid)}


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def test_is_an_executor_and_answers_in_order() -> None:
    with LocalExecutor(workers=2) as pool:
        assert isinstance(pool, Executor)
        futures = [pool.submit(request(i)) for i in range(30)]
        assert [f.result().observations[0].value for f in futures] == [i * i for i in range(30)]


def test_usable_from_many_threads() -> None:
    results: list[int] = []
    with LocalExecutor(workers=2) as pool:

        def work(start: int) -> None:
            numbers = range(start, start + 5)
            results.extend(pool.run(request(i)).observations[0].value for i in numbers)

        threads = [threading.Thread(target=work, args=(10 * n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(results) == sorted(i * i for n in range(6) for i in range(10 * n, 10 * n + 5))


def test_a_killed_worker_loses_no_result() -> None:
    before = own_workers()
    with LocalExecutor(workers=1) as pool:
        pool.run(request(1))
        future = pool.submit(WAITING)
        (program,) = wait_for_held(os.getpid())
        families = {pid: below(pid) for pid in own_workers() - before}
        os.kill(max(families, key=lambda pid: len(families[pid])), signal.SIGKILL)
        let_go(*wait_for_held(os.getpid(), besides=[program]))
        assert future.result().observations[0].stdout == "1\n"


def test_a_worker_that_dies_again_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from codegym.execution.worker_process import WorkerProcess

    def die(self: WorkerProcess, *_: object) -> None:
        self._process.kill()
        raise EOFError("killed by the test")

    with LocalExecutor(workers=1) as pool:
        assert pool.run(request(2)).observations[0].value == 4
        with monkeypatch.context() as patch:
            patch.setattr(WorkerProcess, "exchange", die)
            with pytest.raises(WorkerError, match="2 attempts"):
                pool.run(request(3))
        assert pool.run(request(3)).observations[0].value == 9


def test_close_ends_everything_and_can_be_repeated() -> None:
    pool = LocalExecutor(workers=1)
    futures: list[Future[Result]] = [pool.submit(WAITING) for _ in range(4)]
    wait_for_held(os.getpid())
    pool.close()
    pool.close()
    assert all(future.done() for future in futures)
    for future in futures:  # whose programs would never end
        with pytest.raises(ClosedError):
            future.result()
    with pytest.raises(ClosedError):
        pool.submit(request(1))


def test_a_close_during_the_first_submit_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from codegym.execution import local

    executor = LocalExecutor(workers=1)
    make = local._Pool

    def close_meanwhile(*settings: Any) -> local._Pool:
        executor.close()
        return make(*settings)

    before = threading.active_count()
    monkeypatch.setattr(local, "_Pool", close_meanwhile)
    with pytest.raises(ClosedError):
        executor.submit(request(1))
    assert threading.active_count() == before


def test_forgotten_pools_close_themselves() -> None:
    before = own_workers()
    LocalExecutor(workers=1).run(request(1))
    gc.collect()
    wait_until(lambda: own_workers() <= before)


def test_no_processes_descriptors_or_files_are_left(tmp_path: Path) -> None:
    program = """
import gc, os, tempfile, glob
from codegym.execution import *
with LocalExecutor(workers=1) as pool:
    pool.run(Request("open('left', 'w').write('x')", (Stdin(""),)))
    pool.run(Request("import os\\nos._exit(1)", (Stdin(""),) * 3))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        pool.run(Request("print(1)", (Stdin(""), Stdin(""))))
    assert len(os.listdir("/proc/self/fd")) == before
assert not os.listdir(tempfile.gettempdir()), os.listdir(tempfile.gettempdir())
"""
    run = subprocess.run(
        [*PYTHON, "-c", program],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_workers_die_with_their_parent(how: signal.Signals, tmp_path: Path) -> None:
    program = f"""
import threading
from codegym.execution import *
pool = LocalExecutor(workers=2)
limits = ExecutionLimits(cpu_seconds=3600.0, wall_seconds=3600.0)
busy = "import ctypes\\nctypes.CDLL(None).prctl(15, b'{NAME}')\\nwhile True: pass"
futures = [pool.submit(Request(busy, (Stdin(""),), limits=limits)) for _ in range(2)]
threading.Event().wait()
"""
    with parents(tmp_path, program) as [parent]:
        wait_for_held(parent.pid, 2)
        descendants = below(parent.pid)
        assert len(descendants) >= 4  # two workers, two children
        parent.send_signal(how)
        parent.communicate()
    wait_until_dead(descendants)
    assert left_behind(tmp_path) == []


def test_a_fork_of_the_parent_gets_its_own_workers() -> None:
    program = """
import os, sys, warnings
from codegym.execution import *
warnings.simplefilter("ignore", DeprecationWarning)
pool = LocalExecutor(workers=1)
ask = lambda: pool.run(Request("print(7)", (Stdin(""),))).observations[0].stdout
assert ask() == "7\\n"
child = os.fork()
if child == 0:
    assert ask() == "7\\n"
    pool.close()
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
assert ask() == "7\\n"
"""
    run = subprocess.run([*PYTHON, "-c", program], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")


def test_arguments_without_meaning_are_refused() -> None:
    for workers in (0, -1, 1.5, True):
        with pytest.raises(ConfigurationError, match="workers"):
            LocalExecutor(workers=workers)  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="strict"):
        LocalExecutor(isolation="strickt")  # type: ignore[arg-type]
    with pytest.raises(WorkerError, match="python="):
        LocalExecutor(python="/no/such/python")
    with pytest.raises(WorkerError, match=r"3\.11"):
        LocalExecutor(python="/bin/true")


def test_strict_refuses_and_auto_warns_where_something_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lacking = isolation.Isolation(
        python=(3, 11), files=False, calls=True, threads=True, namespaces=False
    )
    monkeypatch.setattr(isolation, "describe_isolation", lambda _: lacking)
    with pytest.raises(IsolationError, match="files"):
        LocalExecutor(isolation="strict")
    with pytest.warns(IsolationWarning, match="files"):
        LocalExecutor(isolation="auto").close()
    LocalExecutor(isolation="none").close()
    assert "NO  files" in str(lacking)


def test_isolation_is_described_and_none_means_none() -> None:
    here = describe_isolation()
    assert here.python == sys.version_info[:3]
    with LocalExecutor(workers=1, isolation="none") as pool:
        seen = pool.run(Request("import os\nprint(os.listdir('/') != [])", (Stdin(""),)))
        assert seen.observations[0].stdout == "True\n"


def test_a_program_that_kills_its_supervisor_hurts_itself_only() -> None:
    # Without isolation nothing stops the signal; the other inputs are still run.
    program = (
        "import os\nif input() == 'kill':\n    os.kill(os.getppid(), 9)\n    input()\nprint('ok')"
    )
    inputs = (Stdin("a"), Stdin("kill\n"), Stdin("b"))
    with LocalExecutor(workers=1, isolation="none") as pool:
        seen = pool.run(Request(program, inputs, limits=UNTIMED)).observations
    assert [o.stdout for o in seen] == ["ok\n", "", "ok\n"]
    assert seen[1].reason is ExitReason.KILLED


def test_children_left_behind_without_isolation_are_killed() -> None:
    program = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(1000)
    os._exit(0)
print("parent")
"""
    before = below(os.getpid())
    with LocalExecutor(workers=1, isolation="none") as pool:
        seen = pool.run(Request(program, (Stdin(""),), limits=UNTIMED)).observations[0]
        assert seen.stdout == "parent\n"
        left = below(os.getpid()) - before
        assert len([pid for pid in left if "sandbox" in command(pid)]) <= 2


def test_the_interpreter_may_be_named_relative_to_where_one_stands() -> None:
    path = os.path.relpath(sys.executable)
    assert not os.path.isabs(path)
    with LocalExecutor(workers=1, python=path) as executor:
        assert executor.run(Request("print(1)", (Stdin(""),))).observations[0].stdout == "1\n"
