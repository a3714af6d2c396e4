"""Finds and runs the tests that test code only defines, as pytest and unittest would.

Found are, in the order in which they were defined: functions `test*`, classes `Test*` with methods
`test*`, and classes derived from `unittest.TestCase`, whose tests run in unittest's order. What the
code ran itself (a function or class that it names elsewhere, tests that `unittest.main()` or a
runner of its own started) is not run again. With them run `setup_module`, `setup_function`,
`setup_class`, `setup_method` and their teardowns, fixtures of the module, and all of unittest's.

A test that fails does not keep the others from being run.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import sys
from collections.abc import Callable, Iterator
from typing import Any

from . import pytest_part

_PREFIX = "test"


class Outcomes:
    """What became of the tests that were run one by one.

    Attributes:
        passed: How many passed.
        failures: What was raised by the others.
    """

    def __init__(self) -> None:
        self.passed = 0
        self.failures: list[BaseException] = []
        self._started: set[type] = set()

    def watch_unittest(self) -> None:
        """Notes the outcome of every test that unittest runs, whoever runs it."""
        import unittest

        def noted(name: str, note: Callable[..., None]) -> None:
            original = getattr(unittest.TestResult, name)

            def method(result: Any, *args: Any) -> Any:
                note(*args)
                return original(result, *args)

            setattr(unittest.TestResult, name, method)

        def fails(test: Any, error: Any) -> None:
            test.no_pass = True
            self.failures.append(error[1])

        def part_ends(test: Any, _: Any, error: Any) -> None:
            if error is not None:
                fails(test, error)

        noted("startTest", lambda test: self._started.add(type(test)))
        noted("addFailure", fails)
        noted("addError", fails)
        noted("addSubTest", part_ends)
        noted("addUnexpectedSuccess", lambda test: fails(test, (None, _unexpected(), None)))
        noted("addSkip", lambda test, _: setattr(test, "no_pass", True))
        noted("stopTest", self._stopped)

    def _stopped(self, test: Any) -> None:
        self.passed += not getattr(test, "no_pass", False)

    def run(self, test: Callable[[], Any]) -> None:
        """Runs one test and notes what became of it."""
        try:
            test()
        except pytest_part.Skipped:
            return
        except BaseException as error:  # a program may raise SystemExit
            self.failures.append(error)
        else:
            self.passed += 1

    def run_cases(self, cases: type) -> None:
        """Runs the tests of a class derived from `unittest.TestCase`, unless they were run."""
        import unittest

        if cases not in self._started:
            unittest.defaultTestLoader.loadTestsFromTestCase(cases).run(unittest.TestResult())


def _unexpected() -> BaseException:
    return AssertionError("unexpected success")


def run_found(namespace: dict[str, Any], source: str, outcomes: Outcomes) -> None:
    """Runs what the executed test code `source` has defined and has not run."""
    found = [(name, value) for name, value in namespace.items() if _may_be_test(name, value)]
    own = [(name, value) for name, value in found if value.__module__ == namespace["__name__"]]
    if not own:
        return
    named = _names_used(source)
    fixtures = _Fixtures(namespace)
    _call(namespace, "setup_module")
    for name, value in own:
        if _is_case(value):
            outcomes.run_cases(value)
        elif name not in named and isinstance(value, type):
            _run_class(value, fixtures, outcomes)
        elif name not in named:
            around = (namespace.get("setup_function"), namespace.get("teardown_function"))
            for test in _variants(value, value, fixtures, around):
                outcomes.run(test)
    fixtures.close()
    _call(namespace, "teardown_module")


def _may_be_test(name: str, value: Any) -> bool:
    if isinstance(value, type):
        return _is_case(value) or name.startswith("Test")
    return name.startswith(_PREFIX) and inspect.isfunction(value)


def _is_case(value: Any) -> bool:
    unittest = sys.modules.get("unittest")
    return isinstance(value, type) and unittest is not None and issubclass(value, unittest.TestCase)


def _names_used(source: str) -> set[str]:
    """Names that the code uses outside of their own definition."""
    used: set[str] = set()

    def visit(node: ast.AST, inside: tuple[str, ...]) -> None:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            inside = (*inside, node.name)
        if isinstance(node, ast.Name) and node.id not in inside:
            used.add(node.id)
        for child in ast.iter_child_nodes(node):
            visit(child, inside)

    visit(ast.parse(source), ())
    return used


def _run_class(group: type, fixtures: _Fixtures, outcomes: Outcomes) -> None:
    names = list(dict.fromkeys(itertools.chain(*map(vars, reversed(group.__mro__)))))
    _call(vars(group), "setup_class", group)
    for name in names:
        function = getattr(group, name)
        if name.startswith(_PREFIX) and callable(function):
            for variant in _variants(function, None, fixtures, (None, None), group):
                outcomes.run(variant)
    _call(vars(group), "teardown_class", group)


def _call(names: Any, name: str, owner: type | None = None) -> None:
    function = getattr(owner, name, None) if owner is not None else names.get(name)
    if function is not None:
        function(*[None] * len(inspect.signature(function).parameters))


def _variants(
    function: Any,
    bound: Any,
    fixtures: _Fixtures,
    around: tuple[Any, Any],
    group: type | None = None,
) -> Iterator[Callable[[], Any]]:
    """One test for each combination of its parameters."""
    marks = [*getattr(function, "parameter_sets", []), *getattr(group, "parameter_sets", [])]
    for rows in itertools.product(*reversed(marks)):
        given = {name: value for row in rows for name, value in row.items()}

        def test(given: dict[str, Any] = given) -> None:
            if inspect.iscoroutinefunction(function):
                raise pytest_part.UnsupportedError("a test that is a coroutine")
            one = bound
            before, after = around
            if group is not None:
                owner = group()
                one = getattr(owner, function.__name__)
                before = getattr(owner, "setup_method", getattr(owner, "setup", None))
                after = getattr(owner, "teardown_method", getattr(owner, "teardown", None))
            _around(before, one)
            try:
                fixtures.call(one, given)
            finally:
                _around(after, one)

        yield test


def _around(function: Any, test: Any) -> None:
    if function is not None:
        function(*[test] * len(inspect.signature(function).parameters))


class _Fixtures:
    """Values that tests ask for by the names of their parameters."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._lasting: dict[str, Any] = {}
        self._open: list[Iterator[Any]] = []

    def call(self, test: Any, given: dict[str, Any]) -> None:
        """Runs a test with what it asks for."""
        known: dict[str, Any] = dict(given)
        opened: list[Iterator[Any]] = []
        try:
            test(**{name: self._value(name, known, opened) for name in _parameters(test)})
        finally:
            _finish(opened)

    def _value(self, name: str, known: dict[str, Any], opened: list[Iterator[Any]]) -> Any:
        if name in known:
            return known[name]
        if name in self._lasting:
            return self._lasting[name]
        function = self._namespace.get(name)
        scope = getattr(function, "fixture_scope", None)
        if scope is None:
            raise pytest_part.UnsupportedError(f"the fixture {name!r}")
        lasts = scope != "function"
        values = {n: self._value(n, known, opened) for n in _parameters(function)}
        value = function(**values)  # type: ignore[misc]
        if inspect.isgenerator(value):
            (self._open if lasts else opened).append(value)
            value = next(value)
        (self._lasting if lasts else known)[name] = value
        return value

    def close(self) -> None:
        """Ends the fixtures that last longer than a test."""
        _finish(self._open)


def _finish(opened: list[Iterator[Any]]) -> None:
    for generator in reversed(opened):
        next(generator, None)


def _parameters(function: Any) -> list[str]:
    return [
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is parameter.empty
    ]
