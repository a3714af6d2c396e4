"""The value of an expression that needs no program to be run: literals, and pure calls on them.

Nothing is executed: the syntax tree is walked, and only a short list of operations is known.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from codegym.problems.annotated import tree_values
from codegym.problems.problem import BinaryTree, LinkedList

__all__ = ["NotLiteralError", "literal_value"]

_MOST_ITEMS = 1_000_000
_MOST_BITS = 100_000

_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.BitOr: operator.or_,
}
_UNARY: Mapping[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
    ast.Invert: operator.invert,
}
_PURE: Mapping[str, Callable[..., Any]] = {
    "abs": abs,
    "bool": bool,
    "dict": dict,
    "float": float,
    "frozenset": frozenset,
    "int": int,
    "len": len,
    "list": list,
    "max": max,
    "min": min,
    "range": range,
    "round": round,
    "set": set,
    "sorted": sorted,
    "str": str,
    "sum": sum,
    "tuple": tuple,
}
_NAMES: Mapping[str, float] = {
    "inf": math.inf,
    "math.inf": math.inf,
    "math.pi": math.pi,
    "math.e": math.e,
    "math.nan": math.nan,
}
_NODE_MAKERS: Mapping[str, Callable[[list[Any]], Any]] = {
    "list_node": lambda values: LinkedList(tuple(values)),
    "tree_node": lambda values: BinaryTree(tree_values(list(values))),
}


class NotLiteralError(Exception):
    """An expression has no value that can be known without running code. Internal to the room."""


def literal_value(node: ast.expr, *, hidden: Iterable[str] = ()) -> Any:
    """The value of an expression, as plain data.

    Args:
        node: The expression. ``list_node([...])`` and ``tree_node([...])`` give
            :class:`LinkedList` and :class:`BinaryTree`.
        hidden: Names that mean something else where the expression stands.

    Raises:
        NotLiteralError: If it is no literal, or its value would be unreasonably large.
    """
    try:
        value = _Folder(frozenset(hidden)).value(node)
    except NotLiteralError:
        raise
    except (ArithmeticError, TypeError, ValueError, LookupError, RecursionError) as error:
        raise NotLiteralError(str(error)) from error
    if isinstance(value, range):
        raise NotLiteralError("a range is no plain data")
    return value


class _Folder:
    """Walks one expression."""

    def __init__(self, hidden: frozenset[str]) -> None:
        self._hidden = hidden

    def value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=value) if value is not Ellipsis:
                return value
            case ast.List(elts=items):
                return [self.value(item) for item in items]
            case ast.Tuple(elts=items):
                return tuple(self.value(item) for item in items)
            case ast.Set(elts=items):
                return {self.value(item) for item in items}
            case ast.Dict(keys=keys, values=values):
                return {self._key(k): self.value(v) for k, v in zip(keys, values, strict=True)}
            case ast.UnaryOp(op=op, operand=operand):
                return _UNARY[type(op)](self.value(operand))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                return self._binary(op, self.value(left), self.value(right))
            case ast.Call(func=ast.Name(id=name), args=args) if name not in self._hidden:
                return self._call(name, args, node.keywords)
            case ast.Name() | ast.Attribute() if ast.unparse(node) in _NAMES:
                name = ast.unparse(node)
                if name.split(".")[0] not in self._hidden:
                    return _NAMES[name]
        raise NotLiteralError(ast.dump(node)[:80])

    def _key(self, node: ast.expr | None) -> Any:
        if node is None:
            raise NotLiteralError("** in a dictionary")
        return self.value(node)

    def _binary(self, op: ast.operator, left: Any, right: Any) -> Any:
        if isinstance(op, ast.Mod) and isinstance(left, str | bytes):
            raise NotLiteralError("text formatting")
        if isinstance(op, ast.Mult):
            for a, b in ((left, right), (right, left)):
                if isinstance(a, str | bytes | list | tuple) and isinstance(b, int):
                    _at_most(len(a) * b, _MOST_ITEMS)
        if isinstance(op, ast.Mult | ast.Pow) and isinstance(left, int) and isinstance(right, int):
            bits = left.bit_length() * (abs(right) if isinstance(op, ast.Pow) else 1)
            _at_most(bits, _MOST_BITS)
        return _BINARY[type(op)](left, right)

    def _call(self, name: str, args: list[ast.expr], keywords: list[ast.keyword]) -> Any:
        if name in _NODE_MAKERS and len(args) == 1 and not keywords:
            return _NODE_MAKERS[name](self.value(args[0]) or [])
        if name not in _PURE or any(isinstance(a, ast.Starred) for a in args):
            raise NotLiteralError(name)
        values = [self.value(a) for a in args]
        options = {k.arg: self.value(k.value) for k in keywords if k.arg}
        if len(options) != len(keywords):
            raise NotLiteralError("** in a call")
        for value in values:
            if isinstance(value, range):
                _at_most(len(value), _MOST_ITEMS)
            if isinstance(value, set | frozenset) and name in {"list", "tuple", "str"}:
                raise NotLiteralError("the order of a set is not known")
        return _PURE[name](*values, **options)


def _at_most(size: int, limit: int) -> None:
    if size > limit:
        raise NotLiteralError(f"size {size}")
