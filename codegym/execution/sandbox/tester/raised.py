"""Exceptions that cross between processes, with the classes by which code catches them.

An exception is described by the names of its classes, its arguments and its text. The other side
builds one of its own builtin and standard-library classes, and of those that its namespace has; a
class that is only known over there gets a stand-in with the same name, below the nearest of its
bases that is known here. Modules are looked up among those that are loaded, never imported.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable
from typing import Any

from ..child.loading import describe

_OWN_MODULES = frozenset({"program", "__main__"})
_NO_BUSINESS = frozenset({"unittest"})  # a program that raises SkipTest is not skipped
_MOST_CLASSES = 100


def describe_error(error: BaseException) -> tuple[dict[str, Any], list[Any]]:
    """What is said of an exception, and the values that go with it: arguments, then attributes."""
    kinds = type(error).__mro__[:_MOST_CLASSES]
    args: Any = error.args if isinstance(error.args, tuple) else ()
    if isinstance(error, OSError):
        args = OSError.__reduce__(error)[1]  # with the names of files, which `args` has not
    own = {n: v for n, v in vars(error).items() if not n.startswith("_")}
    described: dict[str, Any] = {
        **describe(error),
        "classes": [[kind.__module__, kind.__qualname__] for kind in kinds if kind is not object],
        "text": _text(error),
        "args": len(args),
        "names": list(own),
    }
    return described, [*args, *own.values()]


def _text(error: BaseException) -> str:
    try:
        return str.__str__(str(error))
    except BaseException:
        return ""


def rebuild_error(
    said: dict[str, Any], values: list[Any], find_class: Callable[[str], type | None]
) -> BaseException:
    """An exception that is caught here by what would have caught it over there.

    Raises:
        Exception: Of any type, if it is described in a way that :func:`describe_error` has not.
    """
    count = said["args"]
    args, attributes = values[:count], dict(zip(said["names"], values[count:], strict=True))
    known: list[type] = []
    exact = False
    for number, (module, name) in enumerate(said["classes"][:_MOST_CLASSES]):
        found = _known(module, name, find_class)
        if found is not None and not any(issubclass(kind, found) for kind in known):
            known.append(found)
            exact |= number == 0
    if not known:
        raise ValueError("no exception")
    name = str(said["classes"][0][1]).rpartition(".")[2]
    kind = known[0] if exact else _stand_in(name, known)
    try:
        error = _made(kind, args)
    except (TypeError, ValueError):  # a group, whose arguments must be exceptions
        kind = _stand_in(name, [Exception if issubclass(kind, Exception) else BaseException])
        error = _made(kind, args)
        exact = False
    vars(error).update({str(n): v for n, v in attributes.items() if not str(n).startswith("_")})
    if not exact and _text(error) != said["text"]:
        text = str(said["text"])
        kind.__str__ = lambda _: text  # type: ignore[method-assign,assignment,misc]
    vars(error)["_key_of_the_other_side"] = int(said["key"])
    vars(error)["_described"] = {
        "type": str(said["type"]),
        "message": str(said["message"]),
        "line": said["line"],
    }
    return error


def _known(module: Any, name: Any, find_class: Callable[[str], type | None]) -> type | None:
    if module in _OWN_MODULES:
        found: Any = find_class(name)
    elif module == "builtins":
        found = getattr(builtins, name, None)
    elif _library(str(module)) and module in sys.modules:
        found = vars(sys.modules[module]).get(name)
    else:
        return None
    return found if isinstance(found, type) and issubclass(found, BaseException) else None


def _library(module: str) -> bool:
    root = module.partition(".")[0]
    return root in sys.stdlib_module_names and root not in _NO_BUSINESS


def _stand_in(name: str, bases: list[type]) -> type:
    try:
        return type(name, tuple(bases), {})
    except TypeError:  # two bases that do not go together in memory
        return type(name, (bases[0],), {})


def _made(kind: type, args: list[Any]) -> BaseException:
    """An exception with these arguments, without running an initialiser that is Python code."""
    builtin: Any = next(base for base in kind.__mro__ if base.__module__ == "builtins")
    error: Any = kind.__new__(kind, *args)
    try:
        builtin.__init__(error, *args)
    except TypeError:
        error.args = tuple(args)
    return error  # type: ignore[no-any-return]


def blamed_on_program(error: BaseException) -> dict[str, Any] | None:
    """Type, message and line of an exception that the other side raised; None for any other."""
    found = getattr(error, "__dict__", {}).get("_described")
    return found if isinstance(found, dict) else None
