"""Which statements of a program run, and to whom each byte belongs: an oracle of its own.

It puts a call before every statement, case and handler of the syntax tree that Python's `ast`
reads, runs the result in this process, and takes the text apart with Python's `tokenize`. It
shares no code with the package.
"""

from __future__ import annotations

import ast
import bisect
import io
import tokenize
from collections.abc import Callable, Iterator
from typing import Any

Key = tuple[int, int]  # line from 1, column in bytes from 0
_RAN = "__ran__"
_BLOCKS = ("body", "orelse", "finalbody")
_LAYOUT = (tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING)


def run(
    text: str,
    use: Callable[[dict[str, Any]], Any] = lambda _: None,
    *,
    prelude: str = "",
    most: int = 50_000,
) -> set[Key]:
    """The keys of what is executed when the program is loaded and then used.

    Raises:
        TimeoutError: If it is more than `most` statements.
    """
    ran: set[Key] = set()
    left = most

    def note(line: int, column: int) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt  # which a program seldom catches
        ran.add((line, column))

    code = compile(ast.fix_missing_locations(_recording(text)), "<oracle>", "exec")
    namespace: dict[str, Any] = {"__name__": "oracle", _RAN: note}
    exec(prelude, namespace)
    try:
        exec(code, namespace)
        use(namespace)
    except KeyboardInterrupt:
        raise TimeoutError from None
    except (Exception, SystemExit):  # a program may fail: what came before counts
        pass
    return ran


def _recording(text: str) -> ast.Module:
    tree = ast.parse(text)
    cases = [key for key, word in _line_starts(text) if word == "case"]
    for node in ast.walk(tree):
        for name in _BLOCKS:
            block = getattr(node, name, None)
            if isinstance(block, list):
                setattr(node, name, list(_with_calls(node, block)))
        if isinstance(node, ast.Try | ast.TryStar):
            for handler in node.handlers:
                call = _call((handler.lineno, handler.col_offset))
                if handler.type is None:
                    handler.body.insert(0, ast.Expr(call))
                else:
                    handler.type = ast.BoolOp(ast.Or(), [call, handler.type])
        if isinstance(node, ast.Match):
            tried = []
            for case in node.cases:
                place = case.pattern.lineno, case.pattern.col_offset
                key = cases[bisect.bisect(cases, place) - 1]
                tried.append(ast.match_case(ast.MatchAs(), _call(key), [ast.Pass()]))
                tried.append(case)
            node.cases = tried
    return tree


def _with_calls(owner: ast.AST, block: list[ast.stmt]) -> Iterator[ast.stmt]:
    late: list[ast.stmt] = []
    for number, statement in enumerate(block):
        if not hasattr(statement, "lineno"):  # a call that is here already
            yield statement
            continue
        call = ast.Expr(_call((statement.lineno, statement.col_offset)))
        if _is_docstring(owner, number, statement):
            yield statement
        elif isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
            yield statement
            late.append(call)
        else:
            yield from late
            late = []
            yield call
            yield statement
    yield from late


def _call(key: Key) -> ast.Call:
    return ast.Call(ast.Name(_RAN, ast.Load()), [ast.Constant(part) for part in key], [])


def _is_docstring(owner: ast.AST, number: int, statement: ast.stmt) -> bool:
    scope = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    if number or not isinstance(owner, scope) or not isinstance(statement, ast.Expr):
        return False
    return isinstance(statement.value, ast.Constant) and isinstance(statement.value.value, str)


def _tokens(text: str) -> Iterator[tuple[tokenize.TokenInfo, Key, Key]]:
    """Tokens, with columns in bytes."""
    lines = text.splitlines(keepends=True)

    def in_bytes(line: int, column: int) -> Key:
        before = lines[line - 1][:column] if line <= len(lines) else ""
        return line, len(before.encode())

    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        yield token, in_bytes(*token.start), in_bytes(*token.end)


def _line_starts(text: str) -> Iterator[tuple[Key, str]]:
    """The first token of each logical line."""
    fresh = True
    for token, start, _ in _tokens(text):
        if token.type == tokenize.NEWLINE:
            fresh = True
        elif fresh and token.type not in (*_LAYOUT, tokenize.ENDMARKER):
            fresh = False
            yield start, token.string


def _proofs(text: str) -> dict[Key, tuple[Key, Key]]:
    """Where statements start; the first and last key of those that prove that each ran."""
    proofs: dict[Key, tuple[Key, Key]] = {}
    words = list(_line_starts(text))
    nowhere = (0, 0)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.stmt | ast.ExceptHandler):
            key = node.lineno, node.col_offset
            proofs.setdefault(key, (key, key))
        for name in _BLOCKS:
            block = getattr(node, name, None)
            if not isinstance(block, list) or not block:
                continue
            whole = _start(block[0]), _end(block[-1])
            for number, one in enumerate(block):
                key = one.lineno, one.col_offset
                bare = isinstance(one, ast.AnnAssign) and one.value is None
                if _is_docstring(node, number, one):
                    proofs[key] = nowhere, nowhere
                elif isinstance(one, ast.Global | ast.Nonlocal) or bare:
                    proofs[key] = whole
                else:
                    proofs[key] = key, key
                for decorator in getattr(one, "decorator_list", []):
                    at = [k for k, word in words if word == "@" and k < _start(decorator)][-1]
                    proofs[at] = key, key
            keyword, word = words[bisect.bisect_left(words, (whole[0], "")) - 1]
            if word == {"orelse": "else", "finalbody": "finally"}.get(name):
                proofs[keyword] = whole
    for key, word in words:
        if word == "case" and key not in proofs:
            proofs[key] = key, key
    return proofs


def _start(node: Any) -> Key:
    return min(
        [(node.lineno, node.col_offset)]
        + [(d.lineno, d.col_offset) for d in getattr(node, "decorator_list", [])]
    )


def _end(node: Any) -> Key:
    return node.end_lineno, node.end_col_offset


def executed_bytes(text: str, ran: set[Key]) -> list[bool]:
    """For each byte whether it belongs to a statement that ran; comments belong to none."""
    proofs = _proofs(text)
    starts = sorted(proofs)
    keys = sorted(ran)
    done = {
        key: bisect.bisect(keys, last) > bisect.bisect_left(keys, first)
        for key, (first, last) in proofs.items()
    }
    commented: set[Key] = set()
    inside: set[int] = set()  # lines of statements
    begun = 0
    for token, start, end in _tokens(text):
        if token.type == tokenize.COMMENT:
            commented |= {(start[0], column) for column in range(start[1], end[1])}
        elif token.type == tokenize.NEWLINE:
            inside |= set(range(begun, start[0] + 1))
            begun = 0
        elif token.type not in (*_LAYOUT, tokenize.ENDMARKER):
            begun = begun or start[0]
    bits = []
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        data = line.encode()
        indentation = len(data) - len(data.lstrip())
        for column in range(len(data)):
            owner = starts[max(0, bisect.bisect(starts, (number, max(column, indentation))) - 1)]
            here = number, column
            bits.append(number in inside and here not in commented and done[owner])
    return bits
