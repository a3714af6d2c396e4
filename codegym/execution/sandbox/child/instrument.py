"""Marks of executed statements, put into the syntax tree of a program before it is compiled.

Before a statement comes a probe, which the program sees by no name, frame or exception:

    for MEMORY[5] in ONCE: break

Its constants, the memory that the report is written to and an iterator over one item, take the
place of two strings of bytes once the tree is compiled. The iterator is exhausted after its
first turn, so that later link cost three instructions. The program's own instructions and their
places in the source, and so its tracebacks, stay what they were.

A program that takes its code objects to pieces finds the probes, and the memory that it shares
with its supervisor anyway.
"""

from __future__ import annotations

import ast
import mmap
from collections.abc import Iterable, Iterator
from types import CodeType
from typing import Any, NamedTuple

from ..protocol import Position

_MEMORY = b"\0codegym: memory"
_ONCE = b"\0codegym: once, %d"
_MARK = 1
_STORE = ast.Store()
_MOST_BLOCKS = 20  # that CPython nests; a probe is one more
_MOST_HEADERS = 64  # of one statement that a probe notes: each one notes those before it
_BLOCKS = frozenset({"body", "orelse", "finalbody", "handlers", "cases"})
_WITHOUT_CODE = (ast.Global, ast.Nonlocal)


class Marks(NamedTuple):
    """Where in shared memory executed lines and statements are noted.

    Attributes:
        memory: Shared with whoever reads it.
        line: Place of the mark of line 0.
        lines: Number of lines that have a mark.
        statement: Place of the mark of the first statement that has one.
        statements: Largest number of them.
    """

    memory: mmap.mmap
    line: int
    lines: int
    statement: int
    statements: int


class Instrument:
    """Puts probes before the statements of a program that no line tells of, or before all.

    These are statements that begin in the middle of a line, and annotations without a value.

    Args:
        text: The program.
        marks: What the probes write to.
        every_line: Whether executed lines are noted as well: those on which an expression of an
            executed statement begins, bodies of lambdas left out.

    Attributes:
        positions: Positions of the statements that have a mark of their own, in their order.
    """

    def __init__(self, text: str, marks: Marks, *, every_line: bool) -> None:
        self.positions: list[Position] = []
        self._source = text.encode().splitlines()
        self._marks = marks
        self._every_line = every_line
        self._items: dict[bytes, Any] = {}
        # Blocks, how deep they are nested, how many statements stay first, what comes after these.
        self._waiting: list[tuple[list[ast.stmt], int, int, list[ast.stmt]]] = []

    def insert(self, tree: ast.Module) -> None:
        """Puts the probes in."""
        self._scope(tree)
        while self._waiting:
            block, depth, kept, begin = self._waiting.pop()
            observed = [*block[:kept], *begin]
            for statement in block[kept:]:
                if not isinstance(statement, _WITHOUT_CODE):
                    lines = self._lines(statement)
                    observed += self._probe(lines, self._number(statement), statement, depth)
                observed.append(statement)
                self._enter(statement, depth)
            block[:] = observed

    def fill(self, code: CodeType) -> CodeType:
        """The compiled program for one run, with the constants of its probes in their places."""
        # Side by side in memory, whose pages a child copies: most are used.
        constants: dict[bytes, Any] = {name: iter((item,)) for name, item in self._items.items()}
        constants[_MEMORY] = self._marks.memory
        return _fill(code, constants)

    def _enter(self, statement: Any, depth: int) -> None:
        """Queues the blocks of a statement, each with the probes that it begins with."""
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                self._scope(statement)
            case ast.Try() | ast.TryStar():
                self._try(statement, depth)
            case ast.Match():
                self._match(statement, depth)
            case ast.If():
                self._block(statement.body, depth)
                self._block(statement.orelse, depth)
            case ast.With() | ast.AsyncWith():
                self._block(statement.body, depth + 1)
            case ast.For() | ast.AsyncFor() | ast.While():
                self._block(statement.body, depth + 1)
                self._block(statement.orelse, depth)

    def _block(self, block: list[ast.stmt], depth: int, begin: Iterable[ast.stmt] = ()) -> None:
        self._waiting.append((block, depth, 0, [*begin]))

    def _scope(self, scope: Any) -> None:
        """Queues the body of a module, class or function: some statements have to come first."""
        body = scope.body
        lines: set[int] = set()
        marks: list[int] = []
        kept = int(bool(body) and _is_docstring(body[0]))
        if kept and self._every_line and not hasattr(scope, "args"):
            lines.add(body[0].lineno)  # it is assigned to `__doc__`
        while kept < len(body) and getattr(body[kept], "module", None) == "__future__":
            lines |= self._lines(body[kept])
            marks += self._number(body[kept])
            kept += 1
        begin = self._probe(lines, marks, body[kept - 1], 0) if kept else []
        self._waiting.append((body, 0, kept, begin))

    def _try(self, statement: Any, depth: int) -> None:
        outside = depth + bool(statement.finalbody)
        self._block(statement.body, outside + bool(statement.handlers))
        self._block(statement.orelse, outside)
        self._block(statement.finalbody, depth + 1)
        tried: list[int] = []
        for handler in statement.handlers:
            tried += self._lines(handler)
            begin = self._probe(tried[-_MOST_HEADERS:], [], handler, depth + 2)
            self._block(handler.body, outside + 1 + bool(handler.name), begin)
        # Where no handler fits, all were tried.
        if tried and isinstance(statement, ast.Try) and handler.type is not None:
            where = _place(handler)
            body = [*self._probe(tried[-_MOST_HEADERS:], [], handler, depth + 2)]
            body.append(ast.Raise(None, None, **where))
            statement.handlers.append(ast.ExceptHandler(None, None, body, **where))

    def _match(self, statement: ast.Match, depth: int) -> None:
        tried: list[int] = []
        for case in statement.cases:
            tried += self._lines(case)
            begin = self._probe(tried[-_MOST_HEADERS:], [], case.pattern, depth)
            self._block(case.body, depth, begin)
        if tried and not (case.guard is None and _fits_all(case.pattern)):
            body = self._probe(tried[-_MOST_HEADERS:], [], case.pattern, depth)
            wildcard = ast.MatchAs(None, None, **_place(case.pattern))
            statement.cases.append(ast.match_case(wildcard, None, body))

    def _number(self, statement: ast.stmt) -> list[int]:
        """Where a statement that begins in the middle of a line is marked."""
        line, column = statement.lineno, statement.col_offset
        number = len(self.positions)
        bare = isinstance(statement, ast.AnnAssign) and statement.value is None  # without code
        alone = not bare and not self._source[line - 1][:column].strip()
        if alone or number >= self._marks.statements:
            return []
        self.positions.append((line, column))
        return [self._marks.statement + number]

    def _lines(self, owner: Any) -> set[int]:
        """The lines of a statement, handler or case without its blocks; empty if not noted."""
        if not self._every_line:
            return set()
        found = {owner.lineno} if hasattr(owner, "lineno") else set()
        body = getattr(owner, "body", None)
        end = body[0].lineno - 1 if body else getattr(owner, "end_lineno", 0)
        if found == {end} and not getattr(owner, "decorator_list", None):
            return found  # most
        waiting = [owner]
        while waiting:
            node = waiting.pop()
            for name in node._fields:
                if (node is owner and name in _BLOCKS) or (
                    type(node) is ast.Lambda and name == "body"
                ):
                    continue
                value = getattr(node, name, None)
                inside = value if isinstance(value, list) else [value]
                for child in inside:
                    if isinstance(child, ast.AST) and (
                        type(node) is not ast.Lambda or name != "body"
                    ):
                        waiting.append(child)
                        if hasattr(child, "lineno"):
                            found.add(child.lineno)
        return found

    def _probe(self, lines: Iterable[int], marks: list[int], at: Any, depth: int) -> list[ast.stmt]:
        """What marks these lines and these places; nothing if there is nothing to mark."""
        _, begin, most, _, _ = self._marks
        places = sorted([*marks, *(begin + line for line in lines if line <= most)])
        if not places or depth >= _MOST_BLOCKS:
            return []
        where = _place(at)
        targets: list[ast.expr] = []
        items: list[int | bytes] = []
        for first, end in _runs(places):
            index: ast.expr = ast.Constant(first, **where)
            if end - first > 1:
                index = ast.Slice(index, ast.Constant(end, **where), **where)
            memory = ast.Constant(_MEMORY, **where)
            targets.append(ast.Subscript(memory, index, _STORE, **where))
            items.append(_MARK if end - first == 1 else bytes([_MARK]) * (end - first))
        name = _ONCE % len(self._items)
        if len(targets) == 1:
            target, self._items[name] = targets[0], items[0]
        else:
            target = ast.Tuple(targets, _STORE, **where)
            self._items[name] = tuple(items)
        once = ast.Constant(name, **where)
        return [ast.For(target, once, [ast.Break(**where)], [], **where)]


def _fill(code: CodeType, constants: dict[bytes, Any]) -> CodeType:
    consts = [
        _fill(const, constants)
        if isinstance(const, CodeType)
        else constants.get(const, const)
        if type(const) is bytes
        else const
        for const in code.co_consts
    ]
    return code.replace(co_consts=tuple(consts))


def _runs(places: list[int]) -> Iterator[tuple[int, int]]:
    """First and one past the last of each run of neighbours among ascending numbers."""
    first = end = places[0]
    for place in places:
        if place != end:
            yield first, end
            first = place
        end = place + 1
    yield first, end


def _place(node: Any) -> dict[str, Any]:
    """The place in the source of a probe for a node: where its own code begins."""
    node = (getattr(node, "decorator_list", None) or [node])[0]
    line, column = node.lineno, node.col_offset
    return {"lineno": line, "col_offset": column, "end_lineno": line, "end_col_offset": column}


def _is_docstring(statement: ast.stmt) -> bool:
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _fits_all(pattern: ast.pattern) -> bool:
    """Whether no case may come after a pattern."""
    if isinstance(pattern, ast.MatchOr):
        return _fits_all(pattern.patterns[-1])
    if not isinstance(pattern, ast.MatchAs):
        return False
    return pattern.pattern is None or _fits_all(pattern.pattern)
