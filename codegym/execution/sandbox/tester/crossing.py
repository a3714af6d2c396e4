"""Values that a tester and the program it calls hand each other, as one graph that both know.

What can change or has an identity (lists, dicts, sets, bytearrays, deques, nodes, tuples,
functions, iterators) gets a key when it crosses for the first time, and both sides remember which
of their objects the key means. So an object that comes back is the same object, and with each
message go the objects that changed since the last one: work in place is seen by everybody who
holds them. An object that the program holds no more can neither be changed nor seen there until
the test names it again, so until then it is not looked at: a test may keep thousands of answers.

A message is flat JSON, whatever the depth of the values: `{"x": keys of what this side holds no
more, "d": [[key, kind, detail, items], ...], "v": values}`. An item is `None`, a boolean, float,
string or small int as itself, `[key]`, or `{tag: body}` for anything else that cannot change::

    i int (hex)   c complex   b bytes (hex)   D Decimal   F Fraction   R range   S date or time
    B builtin     E Ellipsis and the like     V view of a dict         n numpy's bool

Kinds: `l` list, `d` dict, `s` set, `y` bytearray, `q` deque, `n` instance with attributes; `t`
tuple and `f` frozenset, each after the items that it needs; `c` function, `g` iterator, which stay
where they are and are asked; `o` any other object, of which only the type's name crosses.

The program's side is hostile. What it sends becomes plain data, or an error; no name that it sends
is ever imported. A function that it hangs on an object, a named tuple or an exception is nothing
that a test could call: `answer.equals(expected)` would be true whatever is expected.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import itertools
import operator
import sys
import types
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from . import atoms
from .foreign import ForeignClasses

_MOST_NESTED = 100  # tuples in tuples; everything else may be nested to any depth
_MUTABLE: Mapping[str, type] = {
    "l": list,
    "d": dict,
    "s": set,
    "y": bytearray,
    "q": collections.deque,
}
_PLAIN = frozenset({int, float, str, bool, type(None)})
_AS_THEY_ARE = _PLAIN - {int}
_WHOLE = frozenset({int, bool})
_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, types.MethodType)


class CannotCrossError(BaseException):
    """The test code hands the program something that cannot leave its process."""


class Shared:
    """An object that both sides know."""

    __slots__ = ("detail", "kind", "state", "value")

    def __init__(self, value: Any, kind: str, detail: Any) -> None:
        self.value = value
        self.kind = kind
        self.detail = detail
        self.state: Any = None  # what was in it when the other side last heard of it


class Uncallable:
    """A function or class from the program, where a test must not call it.

    It goes back as what it is, and equals that.
    """

    __slots__ = ("function",)

    def __init__(self, function: Any) -> None:
        self.function = function

    def __eq__(self, other: object) -> bool:
        return self.function is (other.function if type(other) is Uncallable else other)

    def __hash__(self) -> int:
        return hash(self.function)


class Crossing:
    """One side's knowledge of what both sides know.

    Args:
        first: 0 or 1; keys are `first + 2`, `first + 4` and so on. The other side has the other.
        find_class: The class that stands for a name here, or None.
        may_send: Whether instances of a class may cross.
        shell: Makes the function (`"c"`) or iterator (`"g"`) that asks the other side for a key.
        strict: Whether a value that cannot cross is an error; else its type's name goes.
        classes: Classes of the other side that are unknown here.
    """

    def __init__(
        self,
        first: int,
        *,
        find_class: Callable[[str], type | None],
        may_send: Callable[[type], bool],
        shell: Callable[[str, int, str], Any],
        strict: bool,
        classes: ForeignClasses,
    ) -> None:
        self._next = first
        self._find_class = find_class
        self._may_send = may_send
        self._shell = shell
        self._strict = strict
        self._classes = classes
        self._shared: dict[int, Shared] = {}
        self._keys: dict[int, int] = {}
        # Those of them that the program may hold, and that may hold others. Of the rest it is known
        # here, if this is the program's side, which they hold.
        self._awake: dict[int, Shared] = {}
        self._at_rest: dict[int, list[int]] = {}
        self._held_at_rest: collections.Counter[int] = collections.Counter()
        self._until_search = 0
        self._waiting: list[int] = []
        self._defined: list[list[Any]] = []
        self._named_tuples: dict[str, Any] = {}

    def owned(self, key: Any, kinds: str) -> Any:
        """An object of this side's that the other may ask for.

        Raises:
            ValueError: If there is none of one of these kinds.
        """
        found = self._shared.get(key) if type(key) is int else None
        if found is None or found.kind not in kinds or key % 2 != self._next % 2:
            raise ValueError(key)
        self._wake(key)
        return found.value

    def key_of(self, value: Any) -> int | None:
        """The key of an object that is to be named in a message, if both sides know it."""
        key = self._keys.get(id(value))
        if key is not None:
            self._wake(key)
        return key

    def keep(self, value: Any, kind: str) -> int:
        """The key of an object that is only ever named."""
        return self._keys.get(id(value)) or self._new_key(value, kind, "")

    # What goes out

    def pack(self, values: Iterable[Any]) -> dict[str, Any]:
        """The part of a message that carries `values`, and what changed.

        Raises:
            CannotCrossError: If this side is strict and a value cannot cross.
        """
        forgotten = self._forget_dead() if self._strict else []
        self._waiting = [key for key, one in self._awake.items() if _changed(one)]
        released = forgotten if self._strict else self._let_rest()
        self._defined = []
        items = [self._item(value, 0) for value in values]
        for key in self._waiting:  # grows meanwhile
            one = self._shared[key]
            one.state = _state(one)
            self._defined.append([key, one.kind, one.detail, self._body(one)])
        return {"x": released, "d": self._defined, "v": items}

    def _let_rest(self) -> list[int]:
        """What nobody here holds any more, but the other side may: it rests until it is named."""
        rest: list[int] = []
        changed = set(self._waiting)
        keys = list(self._awake)
        while keys:
            again: list[int] = []
            for key in keys:
                one = self._awake.get(key)
                if one is None or key in changed:
                    continue
                if sys.getrefcount(one.value) > _ONLY_HERE + self._held_at_rest[key]:
                    continue
                if weakref.getweakrefcount(one.value):
                    continue
                del self._awake[key]
                rest.append(key)
                self._at_rest[key] = held = self._held_by(one)
                self._held_at_rest.update(held)
                again += held
            keys = again
        return rest

    def _held_by(self, one: Shared) -> list[int]:
        """The keys in an object, as often as it and what is remembered of it hold each."""
        base: Any = {"t": tuple, "f": frozenset}.get(one.kind)
        items = one.state if base is None else base.__iter__(one.value)
        held = [key for item in items if (key := self._keys.get(id(item))) is not None]
        return held * 2 if base is None else held

    def _wake(self, key: int) -> None:
        """An object is named again: both sides look at it, and at what it holds."""
        waiting = [key]
        while waiting:
            key = waiting.pop()
            one = self._shared.get(key)
            if one is None or key in self._awake or not _holds(one):
                continue
            self._awake[key] = one
            if self._strict:
                if _changed(one):
                    self._waiting.append(key)
                waiting += self._held_by(one)
            else:
                held = self._at_rest.pop(key)
                self._held_at_rest.subtract(held)
                waiting += held

    def _forget_dead(self) -> list[int]:
        """Drops what nobody here holds any more: it cannot be asked for again.

        Where thousands of objects are held, only from time to time.
        """
        self._until_search -= 1
        if self._until_search > 0:
            return []
        self._until_search = len(self._shared) // 64
        dead = []
        for key in list(self._shared):
            one = self._shared[key]  # lets go of the one before, and of what only that one held
            if one.kind != "e" and sys.getrefcount(one.value) <= _ONLY_HERE:
                self._drop(key)
                dead.append(key)
        return dead

    def _drop(self, key: int) -> None:
        if not self._strict:
            self._wake(key)
            self._held_at_rest.pop(key, None)
        one = self._shared.pop(key, None)
        if one is not None:
            self._awake.pop(key, None)
            del self._keys[id(one.value)]

    def _body(self, one: Shared) -> list[Any]:
        if one.kind == "y":
            return [one.state[0].hex()]
        kinds = set(map(type, one.state))
        if kinds <= _AS_THEY_ARE:
            return list(one.state)
        if kinds <= _WHOLE and min(one.state) > -atoms.SMALL and max(one.state) < atoms.SMALL:
            return list(one.state)
        return [self._item(item, 0) for item in one.state]

    def _item(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind in _AS_THEY_ARE:
            return value
        if kind is Uncallable:
            value = value.function
        known = self.key_of(value)
        if known is not None:
            return [known]
        atom = atoms.encode(value, kind, functions=self._strict)
        if atom is not None:
            return atom
        if not self._strict and kind.__module__ == "numpy" and hasattr(kind, "tolist"):
            plain = value.tolist()
            return {"n": int(plain)} if isinstance(plain, bool) else self._item(plain, depth)
        if issubclass(kind, (tuple, frozenset)):
            return self._fixed(value, kind, depth)
        if isinstance(value, atoms.VIEWS):
            named = next(n for n, view in zip("kvi", atoms.VIEWS, strict=True) if kind is view)
            return {"V": [named, [self._item(item, depth + 1) for item in value]]}
        return [self._new(value, kind)]

    def _fixed(self, value: Any, kind: type, depth: int) -> Any:
        is_tuple = issubclass(kind, tuple)
        if depth > _MOST_NESTED:
            return self._cannot(value, "is nested too deeply")
        base: Any = tuple if is_tuple else frozenset
        items = [self._item(item, depth + 1) for item in base.__iter__(value)]
        names = " ".join([kind.__name__, *kind._fields]) if hasattr(kind, "_fields") else ""
        key = self._new_key(value, "t" if is_tuple else "f", names)
        self._defined.append([key, "t" if is_tuple else "f", names, items])
        return [key]

    def _new(self, value: Any, kind: type) -> int:
        for name, base in _MUTABLE.items():
            if issubclass(kind, base):
                return self._wait(value, name, _variety(value, kind) or self._own_name(kind))
        if not self._strict and isinstance(value, contextlib._GeneratorContextManager):
            return self._wait(value, "o", kind.__name__)
        if isinstance(value, _FUNCTIONS) or (callable(value) and not isinstance(value, type)):
            return self._wait(value, "c", self._own_name(kind) or _name_of_function(value))
        if hasattr(kind, "__next__") and hasattr(kind, "__iter__"):
            named = "generator" if kind is types.GeneratorType else self._own_name(kind)
            return self._wait(value, "g", named)
        if self._may_send(kind):
            return self._wait(value, "n", kind.__name__)
        return int(self._cannot(value, "cannot leave the process of the test")[0])

    def _own_name(self, kind: type) -> str:
        own = not self._strict and self._may_send(kind) and kind.__name__ not in _VARIETIES
        return kind.__name__ if own else ""

    def _cannot(self, value: Any, why: str) -> list[int]:
        name = type(value).__name__
        if self._strict:
            raise CannotCrossError(f"an object of type {name} {why}")
        return [self._wait(value, "o", name)]

    def _wait(self, value: Any, kind: str, detail: Any) -> int:
        key = self._new_key(value, kind, str(detail)[:100])
        self._waiting.append(key)
        return key

    def _new_key(self, value: Any, kind: str, detail: str) -> int:
        self._next += 2
        self._share(self._next, Shared(value, kind, detail))
        return self._next

    def _share(self, key: int, one: Shared) -> None:
        self._shared[key] = one
        self._keys[id(one.value)] = key
        if _holds(one):
            self._awake[key] = one

    # What comes in

    def unpack(self, message: dict[str, Any]) -> list[Any]:
        """The values of a message; what changed is changed.

        Raises:
            Exception: Of any type, if the message is none of :meth:`pack`'s.
        """
        for key in message["x"]:
            if self._strict:  # a program forgets nothing that a test may hold
                self._awake.pop(key, None)
            else:
                self._drop(key)
        fill = []
        for key, kind, detail, items in message["d"]:
            one = self._shared.get(key)
            if one is None and kind not in "tf":
                one = self._learn(key, kind, self._empty(kind, detail, key), detail)
            if one is not None:
                if one.kind != kind or kind in "tf":
                    raise ValueError("another kind")
                self._wake(key)
                fill.append((one, items))
        for key, kind, detail, items in message["d"]:
            if kind in "tf":
                make = self._tuple_class(detail) if kind == "t" else frozenset
                self._learn(key, kind, make(self._values(items)), detail)
        # Instances first: they may be keys of dicts, and hashed by what they hold.
        for one, items in sorted(fill, key=lambda pair: pair[0].kind != "n"):
            if one.kind in "ldsyqn":
                values = self._values(items)
                if one.kind == "n":
                    may_call = self._classes.names_of(type(one.value))
                    values[1::2] = [
                        value if name in may_call else self.uncallable(value)
                        for name, value in zip(values[::2], values[1::2], strict=True)
                    ]
                _fill(one, values)
                one.state = _state(one)
        return self._values(message["v"])

    def uncallable(self, value: Any) -> Any:
        """A value that a test may look at; if it can be called, not more."""
        return Uncallable(value) if self._strict and callable(value) else value

    def _learn(self, key: Any, kind: str, value: Any, detail: str) -> Shared:
        if type(key) is not int or key <= 1 or key % 2 == self._next % 2 or key in self._shared:
            raise ValueError("not a key of the other side's")
        one = Shared(value, kind, detail)
        self._share(key, one)
        return one

    def _values(self, items: list[Any]) -> list[Any]:
        if set(map(type, items)) <= _PLAIN:
            return list(items)
        return [self._value(item) for item in items]

    def _value(self, item: Any) -> Any:
        if type(item) is list:
            self._wake(item[0])
            return self._shared[item[0]].value
        if type(item) is not dict:
            return item
        ((tag, body),) = item.items()
        if tag == "V":
            return atoms.view(body[0], self._values(body[1]))
        return atoms.decode(tag, body, functions=not self._strict)

    def _empty(self, kind: str, detail: Any, key: int) -> Any:
        if not isinstance(detail, str):
            raise ValueError("no detail")
        if kind == "n":
            found: Any = self._find_class(detail)
            if found is not None and found.__new__ is object.__new__:
                return found.__new__(found)
        if kind in "no" or detail in self._classes:
            made: Any = self._classes.find(detail, _MUTABLE.get(kind, object))
            return made.__new__(made)
        if kind in "cg":
            return self._shell(kind, key, detail)
        return _VARIETIES.get(detail, _MUTABLE[kind])()

    def _tuple_class(self, names: str) -> Callable[[list[Any]], Any]:
        """What makes a tuple, or a named one of these fields."""
        if not names:
            return tuple
        name, *fields = names.split(" ")
        known: Any = self._find_class(name)
        if known is not None and issubclass(known, tuple) and list(known._fields) == fields:
            return known._make  # type: ignore[no-any-return]
        made: Any = self._named_tuples.get(names)
        if made is None:
            made = self._named_tuples[names] = collections.namedtuple(name, fields)
        return lambda items: made._make(map(self.uncallable, items))


_VARIETIES: Mapping[str, Callable[[], Any]] = {
    "Counter": collections.Counter,
    "OrderedDict": collections.OrderedDict,
    "defaultdict": collections.defaultdict,
    **{
        f"defaultdict {kind.__name__}": functools.partial(collections.defaultdict, kind)
        for kind in (int, list, set, dict, str, float)
    },
}


def _name_of_function(value: Any) -> str:
    return str(getattr(value, "__name__", "function"))


def _variety(value: Any, kind: type) -> str:
    if kind is collections.defaultdict:
        name = f"defaultdict {getattr(value.default_factory, '__name__', '')}"
        return name if name in _VARIETIES else "defaultdict"
    return kind.__name__ if kind in (collections.Counter, collections.OrderedDict) else ""


def _attributes(value: Any) -> dict[str, Any]:
    """What an instance holds: its dictionary, and its slots."""
    own = getattr(value, "__dict__", {})
    found = {name: own[name] for name in own if not name.startswith("__")}
    for base in type(value).__mro__:
        names = base.__dict__.get("__slots__", ())
        for name in (names,) if isinstance(names, str) else names:
            if not name.startswith("__") and hasattr(value, name):
                found[name] = getattr(value, name)
    return found


def _pairs(value: Mapping[Any, Any]) -> list[Any]:
    return list(itertools.chain.from_iterable(dict.items(value)))  # type: ignore[arg-type]


_STATES: Mapping[str, Callable[[Any], list[Any]]] = {
    "l": list.copy,
    "d": _pairs,
    "s": lambda value: list(set.__iter__(value)),
    "y": lambda value: [bytes(value)],
    "q": lambda value: list(collections.deque.__iter__(value)),
    "n": lambda value: _pairs(_attributes(value)),
}


def _state(one: Shared) -> list[Any]:
    """What is in an object, one level deep; nothing for one that cannot change."""
    state = _STATES.get(one.kind)
    return [] if state is None else state(one.value)


def _holds(one: Shared) -> bool:
    """Whether an object may hold others, or change."""
    return one.kind in _STATES or one.kind in "tf"


def _changed(one: Shared) -> bool:
    if one.kind not in _STATES:
        return False
    before, now = one.state, _state(one)
    if one.kind == "y":
        return bool(before != now)
    return len(before) != len(now) or not all(map(operator.is_, before, now))


def _fill(one: Shared, items: list[Any]) -> None:
    value = one.value
    if one.kind == "l":
        value[:] = items
    elif one.kind == "y":
        value[:] = bytes.fromhex(items[0])
    elif one.kind == "n":
        _set_attributes(value, dict(zip(items[::2], items[1::2], strict=True)))
    else:
        value.clear()
        if one.kind == "d":
            dict.update(value, zip(items[::2], items[1::2], strict=True))
        elif one.kind == "s":
            value.update(items)
        else:
            value.extend(items)


def _set_attributes(value: Any, attributes: dict[str, Any]) -> None:
    for name in attributes:
        if not name.isidentifier() or name.startswith("__"):
            raise ValueError("no name of an attribute")
    for name in _attributes(value).keys() - attributes.keys():
        object.__delattr__(value, name)
    for name, content in attributes.items():
        object.__setattr__(value, name, content)


_LONELY = Shared(object(), "o", "")
_ONLY_HERE = sys.getrefcount(_LONELY.value)
"""What `sys.getrefcount` says of an object that nothing but its `Shared` holds."""
