"""The part of pytest that test code may use here, under its own name; any other use is refused.

`raises` (with `match`, as a context or with a function), `approx`, `mark.parametrize`, `param`,
`fixture` (of this module, with `scope`), `skip`, `fail`, `main`; other marks do nothing, but those
that change what a failure means (`skip`, `skipif`, `xfail`, `usefixtures`) are refused.
"""

from __future__ import annotations

import decimal
import math
import re
import types
from collections.abc import Callable, Mapping
from typing import Any

NAMES = ("approx", "fail", "fixture", "main", "mark", "param", "raises", "skip")
REFUSED_MARKS = ("skip", "skipif", "xfail", "usefixtures", "filterwarnings", "asyncio")


_NUMBERS: Any = (int, float, complex, decimal.Decimal)


class UnsupportedError(BaseException):
    """The test code asks for a part of pytest that is not here."""


class Skipped(BaseException):
    """The test code leaves a test out."""


class ExceptionInfo:
    """What `raises` caught."""

    def __init__(self) -> None:
        self.value: Any = None

    @property
    def type(self) -> Any:
        """The exception's class."""
        return type(self.value)

    def match(self, pattern: str) -> bool:
        """Whether the text has the pattern, else an AssertionError."""
        text = str(self.value)
        assert re.search(pattern, text), f"{pattern!r} does not match {text!r}"
        return True


class _Raises:
    def __init__(self, expected: Any, match: str | None) -> None:
        self._expected = expected
        self._match = match
        self._info = ExceptionInfo()

    def __enter__(self) -> ExceptionInfo:
        return self._info

    def __exit__(self, kind: Any, value: Any, _trace: Any) -> bool:
        assert kind is not None, f"DID NOT RAISE {self._expected!r}"
        if not issubclass(kind, self._expected):
            return False
        self._info.value = value
        if self._match is not None:
            self._info.match(self._match)
        return True


def raises(expected: Any, *call: Any, match: str | None = None, **kwargs: Any) -> Any:
    """`pytest.raises`: a context, or the call of a function."""
    context = _Raises(expected, match)
    if not call:
        return context
    with context as info:
        call[0](*call[1:], **kwargs)
    return info


class approx:  # noqa: N801 (pytest's name)
    """`pytest.approx` of a number, or of a list, tuple or dict of numbers."""

    __hash__ = None  # type: ignore[assignment]
    __array_ufunc__ = None
    __array_priority__ = 100

    def __init__(
        self,
        expected: Any,
        rel: Any = None,
        abs: Any = None,  # noqa: A002 (pytest's name)
        nan_ok: bool = False,
    ) -> None:
        self.expected = expected
        self._options: dict[str, Any] = {"rel": rel, "abs": abs, "nan_ok": nan_ok}

    def __repr__(self) -> str:
        return f"approx({self.expected!r})"

    def __eq__(self, actual: object) -> bool:
        expected = self.expected
        if isinstance(expected, Mapping):
            return (
                isinstance(actual, Mapping)
                and expected.keys() == actual.keys()
                and all(self._same(actual[key], expected[key]) for key in expected)
            )
        if isinstance(expected, list | tuple):
            return (
                isinstance(actual, list | tuple)
                and len(actual) == len(expected)
                and all(map(self._same, actual, expected))
            )
        return self._same(actual, expected)

    def _same(self, actual: Any, expected: Any) -> bool:
        if isinstance(expected, bool):
            return isinstance(actual, bool) and actual == expected
        if actual == expected:
            return True
        if not isinstance(expected, _NUMBERS):
            return False
        if not isinstance(actual, _NUMBERS):
            return False
        if _is_nan(expected) or _is_nan(actual):
            return self._options["nan_ok"] and _is_nan(expected) and _is_nan(actual)
        if math.isinf(abs(expected)):
            return False
        number: Any = type(expected) if isinstance(expected, decimal.Decimal) else float
        absolute, relative = self._options["abs"], self._options["rel"]
        tolerance = number("1e-12") if absolute is None else absolute
        if relative is not None or absolute is None:
            share = number("1e-6") if relative is None else relative
            tolerance = max(tolerance, share * abs(expected))
        return bool(abs(expected - actual) <= tolerance)


def _is_nan(value: Any) -> bool:
    return bool(value != value)


def fail(reason: str = "", **_: Any) -> None:
    """Fails the test."""
    raise AssertionError(reason)


def skip(reason: str = "", **_: Any) -> None:
    """Leaves the rest of the test out."""
    raise Skipped(reason)


def param(*values: Any, **options: Any) -> Any:
    """One row of `parametrize`."""
    if options.keys() - {"id"}:
        raise UnsupportedError("pytest.param with marks")
    return types.SimpleNamespace(row=values)


def parametrize(names: Any, rows: Any, **options: Any) -> Callable[[Any], Any]:
    """Runs a test once for each row of arguments."""
    if options.keys() - {"ids"}:
        raise UnsupportedError(f"parametrize with {sorted(options)}")
    listed = [n.strip() for n in names.split(",") if n.strip()] if isinstance(names, str) else names
    sets = []
    for row in rows:
        given = row.row if isinstance(row, types.SimpleNamespace) else row
        alone = len(listed) == 1 and not isinstance(row, types.SimpleNamespace)
        sets.append(dict(zip(listed, (given,) if alone else given, strict=True)))

    def mark_rows(test: Any) -> Any:
        test.parameter_sets = [*getattr(test, "parameter_sets", []), sets]
        return test

    return mark_rows


class _Marks:
    def __getattr__(self, name: str) -> Any:
        if name == "parametrize":
            return parametrize
        if name in REFUSED_MARKS:
            raise UnsupportedError(f"pytest.mark.{name}")
        return _NoMark()


class _NoMark:
    def __call__(self, *args: Any, **_: Any) -> Any:
        return args[0] if len(args) == 1 and callable(args[0]) else self


mark = _Marks()


def fixture(function: Any = None, *, scope: str = "function") -> Any:
    """Marks a function as one whose value tests ask for by its name."""
    if function is None:
        return lambda given: fixture(given, scope=scope)
    function.fixture_scope = scope
    return function


def module(run: Callable[[], int]) -> types.ModuleType:
    """The module that stands under the name `pytest`; `run` is its `main`."""
    made = types.ModuleType("pytest")
    vars(made).update({name: globals()[name] for name in NAMES if name != "main"})
    vars(made).update(main=lambda *_, **__: run(), __getattr__=_missing)
    return made


def _missing(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise UnsupportedError(f"pytest.{name}")
