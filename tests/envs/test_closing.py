"""Closing and forking while grades are pending: clear errors, no hang, nothing left running."""

from __future__ import annotations

import os
import subprocess
import threading
from typing import Any

import numpy as np
import pytest

from codegym.envs import CodeVectorEnv
from codegym.errors import ClosedError
from codegym.grading import Grader
from codegym.problems import ProblemSet
from tests.execution.held import UNTIMED
from tests.execution.process_tree import children_of
from tests.python import PYTHON
from tests.waiting import let_it_get_stuck, wait_until

from .executors import Late, MadeUp
from .test_judging import in_thread

ENDLESS = "while True:\n    pass\n"


def children() -> set[int]:
    return children_of(os.getpid())


def envs_that_judge(problems: ProblemSet, judging: Any) -> CodeVectorEnv:
    """Both sub-environments are in an endless program, in workers of the environment's own."""
    envs = CodeVectorEnv(
        2, problems=problems, tokenizer="byte", context_length=200, judging=judging,
        limits=UNTIMED,
    )  # fmt: skip
    envs.reset(seed=0, options={"problem_id": "echo"})
    for i in range(2):
        envs.submit(i, [*ENDLESS.encode(), *b"#" * i, envs.tokenizer.end_id])
    assert envs.collect(wait=False)[4]["judging"].all()
    return envs


@pytest.mark.parametrize("judging", ["sync", "async"])
def test_closing_ends_the_workers(problems: ProblemSet, judging: Any) -> None:
    before, threads = children(), threading.active_count()
    envs = envs_that_judge(problems, judging)
    wait_until(lambda: len(children() - before) > 0)
    envs.close()  # the programs would never end
    envs.close()
    wait_until(lambda: children() <= before)
    wait_until(lambda: threading.active_count() <= threads)
    for call in (lambda: envs.step(np.array([1, 1])), envs.collect, envs.reset):
        with pytest.raises(ClosedError, match="was closed"):
            call()


@pytest.mark.parametrize("judging", ["sync", "async"])
def test_a_step_that_waits_is_woken_by_close(problems: ProblemSet, judging: Any) -> None:
    envs = envs_that_judge(problems, judging)
    thread, results = in_thread(envs.step, np.array([97, 97]))
    let_it_get_stuck(thread)
    assert thread.is_alive()
    envs.close()
    thread.join()
    assert isinstance(results[0], ClosedError)


def test_closing_leaves_a_grader_to_its_owner(problems: ProblemSet) -> None:
    executor = Late(MadeUp(problems))
    executor.hold(True)
    with Grader(executor) as grader:
        arguments: dict[str, Any] = {"problems": problems, "grader": grader, "tokenizer": "byte"}
        envs = CodeVectorEnv(2, judging="async", **arguments)
        envs.reset(seed=0)
        envs.step(np.full(2, envs.tokenizer.end_id))
        thread, results = in_thread(envs.step, np.array([97, 97]))
        let_it_get_stuck(thread)
        assert thread.is_alive()
        envs.close()
        executor.hold(False)
        thread.join()
        assert isinstance(results[0], ClosedError)
        other = CodeVectorEnv(2, **arguments)
        other.reset(seed=0)
        assert other.step(np.full(2, envs.tokenizer.end_id))[2].all()
    executor.close()


FORK = """
import os, sys, warnings
import numpy as np
import codegym
from codegym.errors import EpisodeError
warnings.simplefilter("ignore", DeprecationWarning)
envs = codegym.CodeVectorEnv(2, judging=sys.argv[1], size=3, tokenizer="mini", context_length=400)
envs.reset(seed=0)
envs.step(np.full(2, envs.tokenizer.end_id))
child = os.fork()
if child == 0:
    for call in (
        lambda: envs.step(np.zeros(2, dtype=int)), envs.collect, envs.reset,
        lambda: envs.submit(0, [1]),
    ):
        try:
            call()
        except EpisodeError as error:
            assert "in each process" in str(error)
        else:
            sys.exit(3)
    envs.close()
    own = codegym.CodeVectorEnv(1, size=3, tokenizer="mini", context_length=400)
    own.reset(seed=0)
    assert own.step(np.array([own.tokenizer.end_id]))[2].all()
    own.close()
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
ended = np.zeros(2, dtype=bool)
while sys.argv[1] == "async" and not ended.all():
    ended |= envs.step(np.zeros(2, dtype=int))[2]
envs.close()
"""


@pytest.mark.parametrize("judging", ["sync", "async"])
def test_a_fork_is_told_to_make_its_own(judging: str) -> None:
    run = subprocess.run(
        [*PYTHON, "-c", FORK, judging],
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stderr) == (0, "")


def test_an_environment_that_is_dropped_leaves_nothing(problems: ProblemSet) -> None:
    before = children()
    envs = envs_that_judge(problems, "async")
    del envs
    import gc

    gc.collect()
    wait_until(lambda: children() <= before)
