"""Programs of which it is certain that one call leaves nothing behind for the next.

Such calls may be answered in one process, each in a fresh module, and are as separate as in
processes of their own; for small functions that is several times faster. What is certain is found
from the syntax tree, before anything of the program runs. A program is *plain* if it

- is made of the nodes below: no `with`, `async`, `match`, and no assignment to an attribute;
- takes attributes only by the names of methods of plain data, of the functions of a few modules
  without state, and of functions of its own, if no object that it can get hold of has something of
  that name already: no name leads to a frame, a class or a module;
- uses `typing` in annotations only, and on types that are written out there: its caches outlive a
  module;
- uses no name but its own, those functions, and builtins that neither print nor look around;
- makes no text of objects (`str`, f-strings, `%`): that of a function holds its address, which
  tells how much memory was used before;
- catches only exceptions that do not tell how much memory or stack is left.

So nothing that outlives a module can be reached: not by `sys`, a class of the library, a default
of a shared function, a traceback, `getattr`, `str.format`, or a finalizer. Whatever is not certain
is not plain; that costs time and never a verdict.
"""

from __future__ import annotations

import builtins
import collections
import functools
import importlib
import types
import typing
from typing import Any

MOST_BYTES = 1 << 14
"""Longer programs are not looked at."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NODES = _words(
    "Module FunctionDef ClassDef Return Assign AugAssign AnnAssign Delete For While If Expr Pass "
    "Break Continue Assert Raise Try ExceptHandler Import ImportFrom alias Global Nonlocal "
    "BoolOp NamedExpr BinOp UnaryOp Lambda IfExp Dict Set ListComp SetComp DictComp GeneratorExp "
    "Yield YieldFrom Compare Call Constant Attribute Subscript Starred "
    "Name List Tuple Slice comprehension arguments arg keyword Load Store Del And Or Add Sub Mult "
    "Div Mod Pow LShift RShift BitOr BitXor BitAnd FloorDiv Invert Not UAdd USub Eq NotEq Lt LtE "
    "Gt GtE Is IsNot In NotIn"
)
_BUILTINS = _words(
    "abs all any bin bool bytes chr complex dict divmod enumerate filter float frozenset hex int "
    "isinstance iter len list map max min next oct ord pow range reversed round set slice sorted "
    "str sum tuple zip staticmethod ArithmeticError AssertionError IndexError KeyError "
    "LookupError NotImplementedError OverflowError StopIteration TypeError ValueError "
    "ZeroDivisionError"
)
_CAUGHT = _words(
    "AssertionError IndexError KeyError LookupError StopIteration TypeError ValueError "
    "ZeroDivisionError"
)
_MODULES = {
    "bisect": "bisect bisect_left bisect_right insort insort_left insort_right",
    "collections": "Counter OrderedDict defaultdict deque",
    "functools": "cache cmp_to_key lru_cache reduce",
    "heapq": "heapify heappop heappush heappushpop heapreplace merge nlargest nsmallest",
    "itertools": "accumulate chain combinations combinations_with_replacement compress count cycle "
    "dropwhile filterfalse groupby islice pairwise permutations product repeat starmap takewhile "
    "zip_longest",
    "math": "acos asin atan atan2 ceil comb copysign cos degrees dist e exp fabs factorial floor "
    "fmod fsum gcd hypot inf isclose isfinite isinf isnan isqrt lcm log log10 log1p log2 modf nan "
    "perm pi pow prod radians sin sqrt tan tau trunc",
    "operator": "add and_ eq floordiv ge gt itemgetter le lshift lt mod mul ne neg not_ or_ pow "
    "rshift sub truediv xor",
    "string": "ascii_letters ascii_lowercase ascii_uppercase digits hexdigits octdigits "
    "punctuation whitespace",
    "typing": "Any Callable Deque DefaultDict Dict FrozenSet Iterable Iterator List Optional "
    "Sequence Set Tuple Union",
}
_DATA: tuple[type, ...] = (list, dict, set, frozenset, tuple, int, float, complex, str, bytes)
_DATA += (collections.Counter, collections.OrderedDict, collections.defaultdict, collections.deque)
_UNSAFE_METHODS = frozenset({"format", "format_map"})  # they take attributes by name
_METHODS = frozenset(
    name
    for kind in _DATA
    for name in dir(kind)
    if not name.startswith("_") and name not in _UNSAFE_METHODS
)
_MEMBERS = {module: _words(names) for module, names in _MODULES.items()}
_ATTRIBUTES = _METHODS.union(*_MEMBERS.values())
_WITHIN_REACH: tuple[Any, ...] = (
    *(value for value in vars(types).values() if isinstance(value, type)),
    *(value for value in vars(builtins).values() if isinstance(value, type)),
    *(importlib.import_module(module) for module in _MODULES),
    *(getattr(importlib.import_module(m), n) for m, names in _MEMBERS.items() for n in names),
    *(functools.partial, functools.lru_cache(len)),
)
_TAKEN = frozenset(name for one in _WITHIN_REACH for name in dir(one)) - _ATTRIBUTES
"""Names that are attributes of what a program can get hold of, and may lead anywhere."""
_SAFE = {id(importlib.import_module(module)) for module in _MODULES}.union(
    id(getattr(importlib.import_module(module), name))
    for module, names in _MEMBERS.items()
    for name in names
)
"""What a prelude may have given a name to, by identity."""
_OF_TYPING = {
    id(typing),
    *(id(getattr(typing, name)) for name in _MEMBERS["typing"]),
}
_IN_ANNOTATIONS = _words("Name Attribute Subscript Tuple List Constant BinOp BitOr Load")


def is_plain(tree: Any, given: dict[str, Any]) -> bool:
    """Whether calls of a program can share a process.

    Args:
        tree: The program's syntax tree, an `ast.Module`.
        given: The names that its module has before it runs, its prelude's among them.
    """
    nodes = _below(tree)
    if any(type(node).__name__ not in _NODES for node in nodes):
        return False
    names = _Names(nodes, given)
    names.note_annotations(nodes)
    return names.hide_nothing() and all(names.allow(node) for node in nodes)


def _below(node: Any) -> list[Any]:
    found = [node]
    for one in found:  # grows meanwhile
        for field in one._fields:
            value = getattr(one, field, None)
            several = value if isinstance(value, list) else [value]
            found += [each for each in several if hasattr(each, "_fields")]
    return found


def _is_safe(value: Any) -> bool:
    return id(value) in _SAFE or type(value) in (int, float, str)


class _Names:
    """The names of a program."""

    def __init__(self, nodes: list[Any], given: dict[str, Any]) -> None:
        self._own: set[str] = set()
        self._classes: set[str] = set()
        self._functions: set[str] = set()
        self._bases: set[int] = set()
        self._typing = {name for name, value in given.items() if id(value) in _OF_TYPING}
        self._annotating: set[int] = set()
        self._kinds: set[int] = set()  # what `isinstance` asks for
        self._given = given
        for node in nodes:
            kind = type(node).__name__
            if kind == "Name" and type(node.ctx).__name__ != "Load":
                self._own.add(node.id)
            elif kind == "arg":
                self._own.add(node.arg)
            elif kind == "alias":
                self._own.add(node.asname or node.name)
                if node.name == "typing":
                    self._typing.add(node.asname or node.name)
            elif kind == "ImportFrom" and node.module == "typing":
                self._typing.update(alias.asname or alias.name for alias in node.names)
            elif kind == "ExceptHandler" and node.name:
                self._own.add(node.name)
            elif kind == "FunctionDef":
                self._own.add(node.name)
                self._functions.add(node.name)
            elif kind in ("Global", "Nonlocal"):
                self._own.update(node.names)
            elif kind == "Call" and getattr(node.func, "id", None) == "isinstance":
                self._kinds.update(id(part) for asked in node.args[1:] for part in _below(asked))
            elif kind == "ClassDef":
                self._classes.add(node.name)
                self._bases.update(map(id, node.bases))

    def note_annotations(self, nodes: list[Any]) -> None:
        """Notes the nodes of annotations that are made of types alone."""
        for node in nodes:
            for field in ("annotation", "returns"):
                found = getattr(node, field, None)
                parts = [] if found is None else _below(found)
                if all(type(part).__name__ in _IN_ANNOTATIONS for part in parts) and all(
                    self._is_type(part) for part in parts
                ):
                    self._annotating.update(map(id, parts))

    def _is_type(self, node: Any) -> bool:
        kind = type(node).__name__
        if kind == "Constant":
            return node.value is None or node.value is ... or type(node.value) is str
        if kind == "Name":
            return node.id in self._typing or (node.id in _BUILTINS and node.id not in self._own)
        return True

    def hide_nothing(self) -> bool:
        """Whether own names are safe to read also where another of that name is meant.

        Which one is meant is only known when it runs: a function may have a variable `open`, and
        another read the builtin.
        """
        own = self._own | self._classes
        return all(
            (name == "_" or not name.startswith("_"))
            and (name in _BUILTINS or not hasattr(builtins, name))
            and (name not in self._given or _is_safe(self._given[name]))
            for name in own
        )

    def allow(self, node: Any) -> bool:
        """Whether a node keeps to the rules."""
        check = _CHECKS.get(type(node).__name__)
        return check is None or check(self, node)

    def _name(self, node: Any) -> bool:
        if type(node.ctx).__name__ != "Load":
            return True
        if node.id in self._classes:
            return False  # an instance in a set is ordered by its address
        if id(node) in self._bases:
            return bool(node.id == "object")
        if node.id in self._typing:
            return id(node) in self._annotating
        if node.id == "str" and node.id not in self._own:
            return id(node) in self._annotating or id(node) in self._kinds
        if node.id in self._own or node.id in _BUILTINS:
            return True
        return node.id in self._given and _is_safe(self._given[node.id])

    def _attribute(self, node: Any) -> bool:
        own = node.attr in self._functions and node.attr not in _TAKEN
        return type(node.ctx).__name__ == "Load" and (own or node.attr in _ATTRIBUTES)

    def _class(self, node: Any) -> bool:
        return not (node.keywords or node.decorator_list)

    def _constant(self, node: Any) -> bool:
        return not (type(node.value) in (str, bytes) and "%" in str(node.value))

    def _import(self, node: Any) -> bool:
        return all(alias.name in _MODULES for alias in node.names)

    def _import_from(self, node: Any) -> bool:
        members = _MEMBERS.get(node.module, frozenset()) if not node.level else frozenset()
        return all(alias.name in members for alias in node.names)

    def _try(self, node: Any) -> bool:
        return not node.finalbody

    def _handler(self, node: Any) -> bool:
        caught = getattr(node.type, "elts", [node.type])
        return all(getattr(kind, "id", None) in _CAUGHT - self._own for kind in caught)


_CHECKS = {
    "Name": _Names._name,
    "Attribute": _Names._attribute,
    "Constant": _Names._constant,
    "ClassDef": _Names._class,
    "Import": _Names._import,
    "ImportFrom": _Names._import_from,
    "Try": _Names._try,
    "ExceptHandler": _Names._handler,
}
