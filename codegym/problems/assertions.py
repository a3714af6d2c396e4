"""Test code to call/expected pairs, by syntax tree and without running anything.

Three roads, the first that fits:

1. *pair*: ``assert f(1, [2]) == 3``: arguments and expected value are literals;
2. *expression*: ``assert set(f(x)) == {1}``: what is compared is computed from the answer by a
   few known functions, in the program's process, and compared with a literal outside;
3. *code*: everything else stays test code and runs in a process of its own.

An expression never contains what is expected of it: nothing that is compared with, subtracted
from or passed beside the answer is left in it.
"""

from __future__ import annotations

import ast
import builtins
import copy
import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

from codegym.errors import ProblemError
from codegym.problems.literals import NotLiteralError, literal_value
from codegym.problems.problem import BinaryTree, CallTest, CodeTest, LinkedList, UnitTest
from codegym.problems.python_code import parse_expression, parse_python

__all__ = ["read_asserts", "read_check"]

_WRAPPERS = {
    *("abs", "bool", "dict", "float", "frozenset", "int", "len", "list", "max", "min", "round"),
    *("set", "sorted", "str", "sum", "tuple"),
}
_BUILTINS = frozenset(dir(builtins))


def read_check(
    code: str, *, entry_point: str, prelude: str = "", support: str = ""
) -> tuple[UnitTest, ...]:
    """The tests of code that defines ``check(candidate)``, as HumanEval and LeetCodeDataset do.

    Args:
        code: The test code.
        entry_point: What `candidate` is, ``"name"`` or ``"Class().name"``.
        prelude: Code that every program runs after; expressions may use its names.
        support: Definitions that the test code relies on.

    Returns:
        Pairs and expressions in order, then at most one :class:`CodeTest` with what is left.

    Raises:
        ProblemError: If it is no Python, defines no ``check`` or tests nothing.
    """
    tree = _parse(code)
    checks = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "check"]
    if len(checks) != 1 or len(checks[0].args.args) != 1:
        raise ProblemError("the test code must define one function check(candidate)")
    check = checks[0]
    candidate = check.args.args[0].arg
    names = {candidate} | ({entry_point} if entry_point.isidentifier() else set())
    around = [n for n in tree.body if n is not check and not _is_call_of(n, "check")]
    reader = _Reader(entry_point, names, _bound(_parse(prelude)), _bound(*around, *check.body))
    tests, rest = reader.split(check.body)
    if rest:
        alias = f"{entry_point} = {candidate}" if entry_point in names else ""
        left = copy.copy(check)
        left.body = rest
        parts = [prelude, support, alias, *map(ast.unparse, around), ast.unparse(left)]
        source = "\n".join([*filter(None, parts), f"check({candidate})", ""])
        tests.append(CodeTest(source, candidate))
    return _not_empty(tests)


def read_asserts(
    asserts: Sequence[str], *, entry_point: str, prelude: str = "", support: str = ""
) -> tuple[UnitTest, ...]:
    """The tests of assert statements that call the entry point by its name, as in MBPP.

    Args:
        asserts: Pieces of test code.
        entry_point: The name they call, or ``"Class().name"``, which they call as ``candidate``.
        prelude: Code that every program runs after; expressions may use its names.
        support: Definitions that the test code relies on.

    Returns:
        Pairs and expressions in order, then at most one :class:`CodeTest` with what is left.

    Raises:
        ProblemError: If a piece is no Python, or nothing is tested.
    """
    statements = [node for text in asserts for node in _parse(text).body]
    name = entry_point if entry_point.isidentifier() else "candidate"
    reader = _Reader(entry_point, {name}, _bound(_parse(prelude)), _bound(*statements))
    tests, rest = reader.split(statements)
    if rest:
        parts = [prelude, support, *map(ast.unparse, rest), ""]
        tests.append(CodeTest("\n".join(part for part in parts if part) + "\n", name))
    return _not_empty(tests)


@dataclasses.dataclass(frozen=True)
class _Reader:
    """Reads the statements of one test function.

    Attributes:
        entry_point: What an expression calls.
        names: Names that mean the candidate in the test code.
        promised: Names that the prelude binds in the program's namespace.
        local: Names that the test code itself binds; no expression may use them.
    """

    entry_point: str
    names: set[str]
    promised: set[str]
    local: set[str]

    def split(self, statements: Sequence[ast.stmt]) -> tuple[list[UnitTest], list[ast.stmt]]:
        """Converted tests, and the statements that must stay code (none if they test nothing)."""
        tests: list[UnitTest] = []
        rest: list[ast.stmt] = []
        for statement in statements:
            found = self._statement(statement)
            if found is None:
                rest.append(statement)
            else:
                tests += found
        return tests, rest if any(self._tests_something(s) for s in rest) else []

    def _statement(self, statement: ast.stmt) -> list[CallTest] | None:
        if not isinstance(statement, ast.Assert):
            return None
        try:
            return [t for claim in _conjuncts(statement.test) for t in self._claim(claim)]
        except NotLiteralError:
            return None

    def _tests_something(self, statement: ast.stmt) -> bool:
        """Whether it asserts, or hands the candidate or its answer to something that may."""
        return any(
            isinstance(node, ast.Assert | ast.Raise)
            or (isinstance(node, ast.Call) and any(map(self._mentions, _arguments(node))))
            for node in ast.walk(statement)
        )

    def _claim(self, claim: ast.expr) -> Iterator[CallTest]:
        """The test that an asserted expression means; none if it is true by itself."""
        match claim:
            case ast.Constant(value=value) if value:
                return
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                yield self._answer(_call("bool", operand), False)
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                yield self._comparison(left, op, right)
            case ast.Call(func=ast.Name(id="is_same_list" | "is_same_tree"), args=[left, right]):
                yield self._same_nodes(left, right)
            case ast.Call(func=ast.Attribute(value=ast.Name(id="math"), attr="isclose")):
                yield self._is_close(claim)
            case ast.Call(func=ast.Name(id=name)) if name in self.names:
                yield self._answer(_call("bool", claim), True)
            case _:
                raise NotLiteralError("no known form of assert")

    def _comparison(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> CallTest:
        if isinstance(op, ast.Eq):
            if not self._mentions(left):
                left, right = right, left
            return self._answer(left, self._literal(right))
        if isinstance(op, ast.Is) and isinstance(right, ast.Constant):
            if right.value is not None and not isinstance(right.value, bool):
                raise NotLiteralError("identity of a value")
            return self._answer(_call("repr", left), repr(right.value))
        if isinstance(op, ast.In) and isinstance(right, ast.List | ast.Tuple | ast.Set):
            values = [self._literal(item) for item in right.elts]
            if values:
                test = self._answer(left, values[0])
                return dataclasses.replace(test, alternatives=tuple(values[1:]))
        if isinstance(op, ast.Lt | ast.LtE):
            return self._distance(left, op, right)
        raise NotLiteralError("comparison")

    def _distance(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> CallTest:
        """``abs(f(x) - c) < tolerance``."""
        match left:
            case ast.Call(
                func=ast.Name(id="abs") | ast.Attribute(attr="fabs"),
                args=[ast.BinOp(left=a, op=ast.Sub(), right=b)],
            ):
                answer, expected = (a, b) if self._mentions(a) else (b, a)
                tolerance = _number(self._literal(right))
                if isinstance(op, ast.Lt):
                    tolerance = math.nextafter(tolerance, 0.0)
                value = _number(self._literal(expected))
                return dataclasses.replace(self._answer(answer, value), tolerance=tolerance)
        raise NotLiteralError("comparison")

    def _is_close(self, claim: ast.Call) -> CallTest:
        """``math.isclose(f(x), c, rel_tol=r, abs_tol=a)``."""
        if len(claim.args) != 2 or {k.arg for k in claim.keywords} - {"rel_tol", "abs_tol"}:
            raise NotLiteralError("isclose")
        options = {k.arg: _number(self._literal(k.value)) for k in claim.keywords}
        left, right = claim.args
        answer, other = (left, right) if self._mentions(left) else (right, left)
        value = _number(self._literal(other))
        relative, absolute = options.get("rel_tol", 1e-9), options.get("abs_tol", 0.0)
        if not (0 <= relative < 1 and absolute >= 0 and math.isfinite(value)):
            raise NotLiteralError("isclose")
        # isclose measures by the larger of both numbers: up to |c| / (1 - r) on the far side, so
        # the middle of what it accepts lies a little beyond c.
        nearest = max(abs(value) * relative, absolute)
        farthest = max(abs(value) * relative / (1 - relative), absolute)
        middle = value + math.copysign((farthest - nearest) / 2, value)
        test = self._answer(answer, middle if farthest > nearest * (1 + 1e-6) else value)
        return dataclasses.replace(test, tolerance=(farthest + nearest) / 2)

    def _same_nodes(self, left: ast.expr, right: ast.expr) -> CallTest:
        if not self._mentions(left):
            left, right = right, left
        expected = self._literal(right)
        if not isinstance(expected, LinkedList | BinaryTree) or not self._is_plain_call(left):
            raise NotLiteralError("nodes")
        return self._answer(left, expected)

    def _answer(self, node: ast.expr, expected: Any) -> CallTest:
        """The test that `node`, which is computed from the candidate's answer, is `expected`."""
        if self._is_plain_call(node):
            assert isinstance(node, ast.Call)
            try:
                args = tuple(self._literal(a) for a in node.args)
                kwargs = tuple((k.arg or "", self._literal(k.value)) for k in node.keywords)
                return CallTest(args=args, kwargs=kwargs, expected=expected)
            except NotLiteralError:
                pass
        self._require_known_form(node)
        return CallTest(args=(), expected=expected, expression=self._expression(node))

    def _require_known_form(self, node: ast.expr) -> None:
        """Only functions of the answer alone may stand around the candidate's call."""
        match node:
            case ast.Call() if self._is_plain_call(node):
                for part in _arguments(node):
                    self._require_independent(part)
            case ast.Call(func=ast.Name(id="repr"), args=[inner]) if not node.keywords:
                self._require_known_form(inner)
            case ast.Call(func=ast.Name(id=name), args=[inner, *others]) if name in _WRAPPERS:
                for other in (*others, *(k.value for k in node.keywords)):
                    self._literal(other)
                if others and name != "round":
                    raise NotLiteralError("something beside the answer")
                self._require_known_form(inner)
            case ast.Subscript(value=inner, slice=ast.Constant() | ast.UnaryOp()):
                self._require_known_form(inner)
            case _:
                raise NotLiteralError("no known function of the answer")

    def _require_independent(self, node: ast.expr) -> None:
        """Arguments may use what every program has: builtins and the names of the prelude."""
        known = (_BUILTINS | self.promised | self.names) - self.local | _comprehension_names(node)
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and part.id not in known:
                raise NotLiteralError(part.id)
            if isinstance(part, ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom):
                raise NotLiteralError("statement-like expression")

    def _expression(self, node: ast.expr) -> str:
        target = parse_expression(self.entry_point)
        if target is None:
            raise ProblemError(f"the entry point {self.entry_point!r} is no Python")
        return ast.unparse(_Rename(self.names, target).visit(copy.deepcopy(node)))

    def _is_plain_call(self, node: ast.expr) -> bool:
        return (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in self.names
            and not any(isinstance(a, ast.Starred) for a in node.args)
            and all(k.arg for k in node.keywords)
        )

    def _literal(self, node: ast.expr) -> Any:
        return literal_value(node, hidden=self.local | self.names)

    def _mentions(self, node: ast.expr) -> bool:
        return any(isinstance(n, ast.Name) and n.id in self.names for n in ast.walk(node))


class _Rename(ast.NodeTransformer):
    """Puts the entry point where the test code names the candidate."""

    def __init__(self, names: set[str], target: ast.expr) -> None:
        self._names, self._target = names, target

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._target if node.id in self._names else node


def _parse(code: str) -> ast.Module:
    return parse_python(code, what="the test code")


def _conjuncts(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
        return [part for value in node.values for part in _conjuncts(value)]
    return [node]


def _bound(*nodes: ast.AST) -> set[str]:
    """Names that are bound anywhere in code (a name bound in an inner function counts too)."""
    names: set[str] = set()
    for node in (inner for outer in nodes for inner in ast.walk(outer)):
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names |= {(alias.asname or alias.name).split(".")[0] for alias in aliases}
    return names


def _comprehension_names(node: ast.expr) -> set[str]:
    inner = (n for n in ast.walk(node) if isinstance(n, ast.comprehension | ast.arguments))
    return {
        part.id if isinstance(part, ast.Name) else part.arg
        for scope in inner
        for part in ast.walk(scope.target if isinstance(scope, ast.comprehension) else scope)
        if isinstance(part, ast.Name | ast.arg)
    }


def _arguments(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def _is_call_of(node: ast.stmt, name: str) -> bool:
    match node:
        case ast.Expr(value=ast.Call(func=ast.Name(id=called))):
            return called == name
    return False


def _call(name: str, argument: ast.expr) -> ast.Call:
    return ast.Call(func=ast.Name(id=name, ctx=ast.Load()), args=[argument], keywords=[])


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise NotLiteralError("no number")
    return value


def _not_empty(tests: list[UnitTest]) -> tuple[UnitTest, ...]:
    if not tests:
        raise ProblemError("the test code asserts nothing about the function")
    return tuple(tests)
