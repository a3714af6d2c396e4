"""Objects of a program's own classes, as its tester sees them: data, and names to ask for.

A tester asks an object for the names that the problem lists for its class, and the program answers:
`stack.push(1)` fetches a function `push` from the other side and calls it. Any other name is no
attribute. So no program can invent an object that has what a text or a number has, and always says
yes. Nor does it decide what equals an expected value: its `__eq__` and the like are asked only
about two objects of its own. Nor does its `__exit__` hear of an exception in a `with` block: it
could swallow the failure of an assert.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

LookUp = Callable[[Any, str], Any]
"""Asks the other side for an attribute of an object, or of the entry point (None)."""

_COMPARISONS = frozenset(["__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"])
_BINARY = "add sub mul matmul truediv floordiv mod divmod pow lshift rshift and or xor"
_OTHERS = """
    len iter next reversed contains getitem setitem delitem call enter exit str repr format bool int
    float complex index round trunc floor ceil abs neg pos invert
"""
_SPECIAL = _COMPARISONS.union(
    (f"__{name}__" for name in _OTHERS.split()),
    (f"__{kind}{name}__" for name in _BINARY.split() for kind in ("", "r", "i")),
)


_OF_LIBRARY = {"_GeneratorContextManager": ("__enter__", "__exit__")}
"""What `contextlib.contextmanager` makes, which a program returns as easily as its own objects."""


class Foreign:
    """An object of one of the program's own classes."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} object of the program>"


class ForeignClasses:
    """Stands for the classes of the other side.

    Args:
        known: Names that objects may be asked for, by the name of their class.
        look_up: How they are asked.
    """

    def __init__(self, known: Mapping[str, Sequence[str]], look_up: LookUp) -> None:
        self._known = {**_OF_LIBRARY, **known}
        self._look_up = look_up
        self._made: dict[tuple[str, type], type] = {}
        self._entries: dict[str, type] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def names_of(self, kind: type) -> Sequence[str]:
        """What objects of one of the classes made here may be asked for; nothing for any other."""
        return self._known.get(kind.__name__, ()) if issubclass(kind, Foreign) else ()

    def find(self, name: str, base: type = object) -> type:
        """The class of this name whose objects hold what those of `base` do."""
        if (name, base) not in self._made:
            # Of `class Stack(list)`: lists, and instances of what the test calls Stack.
            bases = (Foreign,) if base is object else (self._entries.get(name, Foreign), base)
            self._made[name, base] = type(name, bases, self._members(name, base))
        return self._made[name, base]

    def entry(self, name: str, make: Callable[..., Any]) -> type:
        """The class of this name, if it is what the test code calls; `make` makes its objects."""
        look_up = functools.partial(self._attribute, name, None)
        members = {
            "__call__": lambda _, *args, **kwargs: make(*args, **kwargs),
            "__getattr__": lambda _, attribute: look_up(attribute),
        }
        kind = type("EntryPoint", (type,), members)
        made: type = kind(name, (Foreign,), self._members(name, object))
        self._made[name, object] = self._entries[name] = made
        return made

    def _members(self, name: str, base: type) -> dict[str, Any]:
        names = self._known.get(name, ())
        members: dict[str, Any] = {n: self._special(n) for n in names if n in _SPECIAL}
        # What finds an object in a set is asked for while a message is read: by identity.
        members["__hash__"] = base.__hash__
        members["__getattr__"] = lambda one, attribute: self._attribute(name, one, attribute)
        members["__setattr__"] = lambda one, attribute, value: self._set(
            name, one, attribute, value
        )
        return members

    def _attribute(self, name: str, owner: Any, attribute: str) -> Any:
        if attribute.startswith("__") or attribute not in self._known.get(name, ()):
            raise AttributeError(f"{name!r} object has no attribute {attribute!r}")
        found = self._look_up(owner, attribute)
        if owner is not None:  # what the test changes in it is to arrive, though nobody holds it
            vars(owner).setdefault("__found__", {})[attribute] = found
        return found

    def _set(self, name: str, owner: Any, attribute: str, value: Any) -> None:
        """Sets what the other side's class may have its say about; all else is data."""
        if attribute in self._known.get(name, ()):
            self._look_up(owner, "__setattr__")(attribute, value)
        else:
            object.__setattr__(owner, attribute, value)

    def _special(self, name: str) -> Callable[..., Any]:
        def method(one: Any, /, *args: Any, **kwargs: Any) -> Any:
            if name == "__exit__":
                self._look_up(one, name)(None, None, None)
                return False
            if name in _COMPARISONS and not isinstance(args[0], Foreign):
                return NotImplemented
            try:
                return self._look_up(one, name)(*args, **kwargs)
            except RuntimeError as error:
                if name == "__next__" and isinstance(error.__cause__, StopIteration):
                    raise error.__cause__ from None
                raise

        return method
