"""The Ray executor, each time in a process of its own: Ray changes the process that uses it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from codegym.errors import ConfigurationError
from codegym.execution import RayExecutor
from tests.execution.patient_ray import DID_NOT_START, patient_environment
from tests.python import PYTHON

ROOT = Path(__file__).parents[2]


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[ray]'")
    with patient_environment() as variables:
        yield variables


def run(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(
        [*PYTHON, *command],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode == DID_NOT_START:
        pytest.skip("Ray ended itself each time that it was started; there is none to test with")
    assert done.returncode == 0, done.stdout


def test_cases_on_two_workers(environment: dict[str, str]) -> None:
    options = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "--durations=12"]
    run(["-m", "pytest", *options, "tests/execution/ray_cases.py"], environment)


def test_a_ray_of_its_own_ends_with_the_last_executor(environment: dict[str, str]) -> None:
    program = """
import os
from codegym.execution import *
from tests.execution.patient_ray import start_without_deadline
from tests.execution.process_tree import below, wait_until_dead
start_without_deadline()
def ask(pool, text):
    return pool.run(Request(f"print({text!r})", (Stdin(""),))).observations[0].stdout
first = RayExecutor(workers=1, cpus_per_worker=0.5, start_seconds=3600.0)
with RayExecutor(workers=1, cpus_per_worker=0.5, start_seconds=3600.0) as second:
    assert ask(first, "a") + ask(second, "b") == "a\\nb\\n"
    first.close()
    assert ask(second, "c") == "c\\n"
    family = below(os.getpid())
    assert len(family) > 4, family
import ray
assert not ray.is_initialized()
wait_until_dead(family)
"""
    run(["-c", program], environment)


def test_a_ray_that_did_not_start_is_started_anew_and_leaves_nothing(
    environment: dict[str, str],
) -> None:
    program = """
import gc, sys
from codegym.execution import *
import ray._private.services as services
from tests.execution.patient_ray import RayletEndedError, start_without_deadline
left = []
sys.unraisablehook = left.append
start_without_deadline()
get_node, asked = services.get_node, []
def ended_at_first(address, node):
    asked.append(node)
    if len(asked) == 1:
        raise RayletEndedError
    return get_node(address, node)
services.get_node = ended_at_first
with RayExecutor(workers=1, cpus_per_worker=0.5, start_seconds=3600.0) as pool:
    assert pool.run(Request("print(1)", (Stdin(""),))).observations[0].stdout == "1\\n"
assert len(set(asked)) == 2, asked
gc.collect()
assert not left, [one.exc_value for one in left]
"""
    run(["-c", program], environment)


def test_without_ray_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigurationError, match=r"pip install -e '\.\[ray\]'"):
        RayExecutor()


def test_ray_is_not_imported_before_it_is_needed() -> None:
    run(["-c", "import codegym.execution, sys\nassert 'ray' not in sys.modules"], dict(os.environ))
