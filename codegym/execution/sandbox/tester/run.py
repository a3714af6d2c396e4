"""Test code in a process of its own, joined by a socket to the child that runs the program.

The tester sees a function that looks like the candidate. Each call travels to the child and its
answer back (`peer.py`), so that the program shares no memory with what judges it. The child can
say anything on the socket; all it can reach that way is a wrong answer.

The test code runs whole and in the order written, as the script `__main__`; then what it only
defines is found and run (`finding.py`). It arrives in a file that only this process reads, after it
was forked, and its verdict is in another that no other process has.
"""

from __future__ import annotations

import ast
import bisect
import functools
import json
import os
import sys
from typing import Any

from ..child import ending, nodes
from ..child import run as child
from ..child.loading import describe, load, new_module
from ..child.task import Confinement, Inherited, Order, Task, settle
from ..protocol import ExitReason, code_of
from . import finding, pytest_part
from .crossing import CannotCrossError
from .peer import CANDIDATE, Peer, TooLargeError
from .raised import blamed_on_program

_PROBLEM_FILE = "test.py"
_SOCKET, _CODES, _VERDICT = 3, 4, 5  # descriptors that a child gets
_ANY_LENGTH = 1 << 30
_NODE_CLASSES = frozenset({"ListNode", "TreeNode"})


def run_candidate(
    inherited: Inherited, descriptors: list[int], confinement: Confinement, order: Order
) -> None:
    """Loads the program and answers calls until the tester hangs up. Never returns."""
    task = settle(inherited, descriptors, confinement, order)
    namespace = new_module("program")
    program = load(task, namespace)
    task.begin()
    try:
        exec(program.begin(), namespace)
        task.report.mark_loaded()
        peer = Peer(
            _SOCKET,
            first=1,
            classes_here=namespace,
            may_send=lambda kind: kind.__module__ in ("program", "__main__", nodes.__name__),
            strict=False,
            most_sent=task.report.size,
            most_received=_ANY_LENGTH,
        )
        peer.entry = child.resolve(namespace, task.entry_point or "")
        peer.greet()
        peer.serve()
    except TooLargeError:
        task.report.write(ExitReason.OUTPUT_LIMIT)
        os._exit(0)
    except BaseException as error:
        child.write_error(task.report, error)
    ending.flush()
    os._exit(0)


def run_tester(
    inherited: Inherited, descriptors: list[int], confinement: Confinement, order: Order
) -> None:
    """Runs the test code and leaves the verdict in a file that it alone has. Never returns."""
    inherited.barrier.forbid_writing()
    task = settle(inherited, descriptors, confinement, order)
    test = json.loads(os.pread(_CODES, os.fstat(_CODES).st_size, 0))[task.index]
    task.begin()
    run = _Run(task, **test)
    reason, said = run.verdict()
    passed = run.passed(reason).to_bytes(4, "little")
    os.write(_VERDICT, code_of(reason) + passed + json.dumps(said).encode("ascii"))
    os._exit(0)


def _is_success(code: object) -> bool:
    """Whether an exit code is None, 0 or False; an object of the program's is not asked."""
    return code is None or (type(code) in (int, bool) and code == 0)


class _Words:
    """What test code gives names to, and what it imports by name.

    Attributes:
        bound: Names that it gives a value anywhere.
        imported: Names of modules in its `import` statements.
    """

    def __init__(self, *codes: str) -> None:
        self.bound: set[str] = set()
        self.imported: set[str] = set()
        for code in codes:
            try:
                tree = ast.parse(code)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue
            for node in ast.walk(tree):
                self._note(node)

    def _note(self, node: ast.AST) -> None:
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            self.bound.add(node.id)
        elif isinstance(node, ast.arg):
            self.bound.add(node.arg)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            self.bound.add(node.name)
        elif isinstance(node, ast.Import):
            self._import(*(alias.name for alias in node.names))
        elif isinstance(node, ast.ImportFrom) and node.module:
            self._import(*(f"{node.module}.{alias.name}" for alias in node.names))

    def _import(self, *names: str) -> None:
        for name in names:
            parts = name.split(".")
            self.imported.update(".".join(parts[: end + 1]) for end in range(len(parts)))


class _Run:
    """One run of test code.

    Args:
        task: The prelude, and how large an answer may be.
        source: The test code.
        name: What it calls the candidate.
        setup: Code that is run before it, in its namespace.
        checks: Lines of the source on which something begins that counts as one test.
        classes: Classes of the program, with the names that their objects may be asked for.
    """

    def __init__(
        self,
        task: Task,
        source: str,
        name: str,
        setup: str,
        checks: list[int],
        classes: list[list[Any]],
    ) -> None:
        self._source, self._name, self._setup = source, name, setup
        self._checks = checks
        self._prelude = task.prelude
        self._namespace = new_module("__main__")
        self._namespace["ListNode"], self._namespace["TreeNode"] = nodes.ListNode, nodes.TreeNode
        self._classes: dict[str, Any] = {"__name__": self._namespace["__name__"]}
        self._known = _NODE_CLASSES
        self._words = functools.cache(lambda: _Words(source, setup))
        self._outcomes = finding.Outcomes()
        self._peer = Peer(
            _SOCKET,
            first=0,
            classes_here=self._classes,
            may_send=self._may_send,
            strict=True,
            most_sent=_ANY_LENGTH,
            most_received=4 * task.report.size,
            classes=dict(classes),
            lets_stop="StopIteration" in source,
        )

    def verdict(self) -> tuple[ExitReason, dict[str, Any] | None]:
        """How it ended, and the exception if it was one; `KILLED` if the candidate has gone."""
        failures = self._outcomes.failures
        try:
            self._peer.wait()
            self._prepare()
            exec(compile(self._source, _PROBLEM_FILE, "exec", dont_inherit=True), self._namespace)
        except SystemExit as end:
            if blamed_on_program(end) or not _is_success(end.code):
                failures.append(end)
        except BaseException as error:
            failures.append(error)
        try:
            if not failures:
                finding.run_found(self._namespace, self._source, self._outcomes)
        except BaseException as error:
            failures.append(error)
        return self._judged(failures)

    def passed(self, reason: ExitReason) -> int:
        """How many checks passed; fewer than there are, unless all did."""
        total = max(1, len(self._checks))
        if reason is ExitReason.FINISHED:
            return total
        if self._outcomes.passed or not self._outcomes.failures:
            return min(self._outcomes.passed, total - 1)
        return min(self._passed_before(self._outcomes.failures[0]), total - 1)

    def _passed_before(self, error: BaseException) -> int:
        """How many checks the code had left behind when it was stopped."""
        lines: dict[str, int] = {}
        trace = error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == _PROBLEM_FILE:
                lines.setdefault(trace.tb_frame.f_code.co_name, trace.tb_lineno or 0)
            trace = trace.tb_next
        line = lines.get("check", lines.get("<module>", 0))
        return max(0, bisect.bisect(self._checks, line) - 1)

    def _prepare(self) -> None:
        exec(compile(self._prelude, "prelude.py", "exec", dont_inherit=True), self._namespace)

        def candidate(*args: Any, **kwargs: Any) -> Any:
            return self._peer.ask(CANDIDATE, *args, **kwargs)

        candidate.__name__ = candidate.__qualname__ = self._name
        candidate = self._peer.entry_class(self._name) or candidate
        self._namespace.setdefault("candidate", candidate)
        self._namespace[self._name] = candidate
        exec(compile(self._setup, "setup.py", "exec", dont_inherit=True), self._namespace)
        mine = self._namespace["__name__"]
        classes = {n: v for n, v in self._namespace.items() if isinstance(v, type)}
        self._classes |= classes
        own = (c.__name__ for c in classes.values() if c.__module__ == mine)
        self._known = _NODE_CLASSES.union(own)
        if "unittest" in self._source:
            self._outcomes.watch_unittest()
        if "pytest" in self._source:
            sys.modules["pytest"] = pytest_part.module(self._run_found)

    def _run_found(self) -> int:
        before = len(self._outcomes.failures)
        finding.run_found(self._namespace, self._source, self._outcomes)
        self._source = ""  # everything was found
        return int(len(self._outcomes.failures) > before)

    def _may_send(self, kind: type) -> bool:
        """Instances of classes that the program has as well, or that are nothing but data."""
        if kind.__module__ not in (self._namespace["__name__"], nodes.__name__):
            return False
        methods = [n for n, v in vars(kind).items() if callable(v) and not n.startswith("__")]
        return kind.__name__ in self._known or (kind.__base__ is object and not methods)

    def _judged(self, failures: list[BaseException]) -> tuple[ExitReason, dict[str, Any] | None]:
        peer = self._peer
        if peer.gone:
            return ExitReason.KILLED, None
        fault = self._fault(failures)
        if fault is not None:
            return ExitReason.TEST_BROKEN, fault
        for error in failures:
            described = blamed_on_program(error)
            if described is not None:
                return ExitReason.EXCEPTION, described
        if failures:
            return ExitReason.TEST_FAILED, {**describe(failures[0]), "line": None}
        return ExitReason.FINISHED, None

    def _fault(self, failures: list[BaseException]) -> dict[str, Any] | None:
        """What is wrong with the test code itself, if anything is."""
        if self._peer.fault:
            return {"type": "CannotCrossError", "message": self._peer.fault, "line": None}
        for error in failures:
            if isinstance(error, CannotCrossError | pytest_part.UnsupportedError) or (
                self._is_own(error) and not blamed_on_program(error)
            ):
                return {**describe(error), "line": None}
        if self._peer.answers == 0:
            message = "it never called the program"
            return {"type": "TestError", "message": message, "line": None}
        return None

    def _is_own(self, error: BaseException) -> bool:
        """Whether no answer of the program's can be the reason of an exception."""
        if self._peer.answers == 0:
            return True
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        in_test = trace is not None and trace.tb_frame.f_code.co_filename == _PROBLEM_FILE
        if not in_test or isinstance(error, UnboundLocalError):
            return False
        if isinstance(error, NameError):
            return error.name not in self._words().bound
        return isinstance(error, ImportError) and error.name in self._words().imported
