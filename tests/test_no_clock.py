"""No test fails because a machine is busy: none reads a clock, and none gives up waiting.

A test waits for an event (`waiting.py`), holds programs until it lets them go
(`execution/held.py`), or gives the code a clock of its own making. What is refused here is read
off the source of the tests; programs that they run as text are not looked into.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

TESTS = Path(__file__).parent
WAITING = TESTS / "waiting.py"
CLOCKS = {"time", "monotonic", "perf_counter", "process_time", "thread_time"}
CLOCKS |= {f"{name}_ns" for name in CLOCKS}
ALARMS = {"alarm", "setitimer", "getloadavg", "settimeout", "wait_for", "Timer"}
DATES = {"now", "utcnow", "today"}
WAITS = {"acquire", "communicate", "exception", "get", "join", "result", "wait"}
MEASURED = {"cpu_seconds", "seconds", "wall_seconds"}


def complaints(source: str, *, sleeps: bool = False) -> Iterator[str]:
    """What in a test depends on how fast the machine is.

    Args:
        source: The text of a test file.
        sleeps: Whether it may call `time.sleep`.
    """
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(value=ast.Name(id="time"), attr=name) if name in CLOCKS:
                yield f"{node.lineno}: reads a clock, time.{name}: give the code one of your making"
            case ast.Attribute(value=ast.Name(id="time"), attr="sleep") if not sleeps:
                yield f"{node.lineno}: sleeps and hopes: wait_until() what it sleeps for"
            case ast.ImportFrom(module="time") | ast.Import(names=[ast.alias("time", str())]):
                yield f"{node.lineno}: hides the module time: write `import time`"
            case ast.Attribute(value=ast.Name(id="datetime" | "date"), attr=name) if name in DATES:
                yield f"{node.lineno}: reads a clock, {name}(): give the code one of your making"
            case ast.keyword(arg="deadline", value=value) if not _harmless(value):
                yield f"{node.lineno}: has a deadline: leave it out"
            case ast.Attribute(value=ast.Name(), attr=name) if name in ALARMS:
                yield f"{node.lineno}: {name}() depends on the clock or on others' load"
            case ast.keyword(arg="timeout", value=value) if not _harmless(value):
                yield f"{node.lineno}: gives up waiting: leave out the timeout"
            case ast.Call(
                func=ast.Attribute(attr=name), args=[ast.Constant(value=int() | float())]
            ) if name in WAITS and not _harmless(node.args[0]):
                yield f"{node.lineno}: {name}() gives up waiting: leave out the time"
            case ast.Compare():
                sides = [node.left, *node.comparators]
                for less, operator, more in zip(sides, node.ops, sides[1:], strict=False):
                    if isinstance(operator, ast.Gt | ast.GtE):
                        less, more = more, less
                    elif not isinstance(operator, ast.Lt | ast.LtE):
                        continue
                    match less, more:
                        case ast.Attribute(attr=name), bound if name in MEASURED and _fixed(bound):
                            yield f"{node.lineno}: bounds {name}, which grows on a busy machine"


def _fixed(node: ast.expr) -> bool:
    """Whether this is a number of the test's own; what a made-up clock says has another name."""
    return isinstance(node, ast.Constant) or (isinstance(node, ast.Name) and node.id.isupper())


def _harmless(node: ast.expr) -> bool:
    """Whether this is no time to wait, or as long as it takes."""
    return isinstance(node, ast.Constant) and node.value in (None, 0)


@pytest.mark.parametrize(
    "path", sorted(TESTS.rglob("*.py")), ids=lambda p: str(p.relative_to(TESTS))
)
def test_no_test_depends_on_a_clock(path: Path) -> None:
    assert list(complaints(path.read_text(), sleeps=path == WAITING)) == []


def test_no_example_of_hypothesis_has_a_deadline() -> None:
    assert settings.default is not None
    assert settings.default.deadline is None


@pytest.mark.parametrize(
    "line",
    [
        "began = time.monotonic()",
        "while time.perf_counter() < end: pass",
        "from time import perf_counter",
        "time.sleep(0.1)",
        "future.result(timeout=30)",
        "future.result(30)",
        "thread.join(5)",
        "subprocess.run(command, timeout=60)",
        "signal.alarm(10)",
        "assert seen.wall_seconds < 1.2",
        "assert 0 < seen.wall_seconds < LIMIT",
        "assert 1.2 >= seen.wall_seconds",
        "import time as t",
        "datetime.now()",
        "settings(deadline=200)",
        "connection.settimeout(5)",
        "asyncio.wait_for(future, 5)",
    ],
)
def test_what_depends_on_a_clock_is_found(line: str) -> None:
    assert len(list(complaints(line))) == 1


@pytest.mark.parametrize(
    "line",
    [
        "future.result()",
        "wait(futures, timeout=0)",
        "', '.join(names)",
        "Observation(wall_seconds=1.0)",
        "assert used.cpu_seconds >= 0.09",
        "assert 0.09 < used.cpu_seconds",
        "settings(deadline=None)",
    ],
)
def test_what_does_not_is_let_pass(line: str) -> None:
    assert list(complaints(line)) == []
