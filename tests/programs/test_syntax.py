"""Conditionals and statements, checked against Python's own syntax tree."""

from __future__ import annotations

import ast
import itertools
import sys
import warnings
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from codegym.errors import UnknownNameError
from codegym.problems import load_problems
from codegym.programs import Program, comments, conditional_starts, statements

EVERYTHING = '''import os
@staticmethod
def f(a,
      b):
    """Doc."""
    global x  # a comment
    # another
    try:
        x = [i for i in
             range(3)]; y = 2
    except ValueError as e:
        pass
    else:
        z = 1
    finally:
        w = 1
    match a:
        case 1: return 2
        case _:
            pass
    while True: break
    with a as b, c: pass
    if a: x = 1
    elif b:
        x = 2 if a else 3
    for i in x:
        y = """if 1:
        for x in y:"""
    else:
        pass
'''


def ast_statements(text: str) -> set[tuple[int, int]]:
    """(first, last) lines of simple statements and headers, from Python's own parser."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.stmt):
            continue
        body = getattr(node, "body", None) or getattr(node, "cases", None)
        last = node.end_lineno or node.lineno
        if body:
            first = body[0].pattern if isinstance(body[0], ast.match_case) else body[0]
            last = max(node.lineno, first.lineno - 1)
            if first.lineno == node.lineno:
                last = node.lineno
        found.add((node.lineno, last))
    return found


def test_statements_agree_with_the_syntax_tree_of_python() -> None:
    ours = {(s.first_line, s.last_line) for s in statements(Program(EVERYTHING))}
    missing = {
        span
        for span in ast_statements(EVERYTHING)
        # ast counts blank and comment lines between a header and its body to the header.
        if not any(first == span[0] and last <= span[1] for first, last in ours)
    }
    docstring = (5, 5)
    assert missing == {docstring}


def test_conditionals_are_if_elif_for_while_case_try() -> None:
    program = Program(EVERYTHING)
    lines = [program.line_at(start) for start in conditional_starts(EVERYTHING)]
    assert [EVERYTHING.splitlines()[line - 1].split()[0].rstrip(":") for line in lines] == [
        "try", "case", "case", "while", "if", "elif", "for",
    ]  # fmt: skip
    assert all(program.line_start(program.line_at(s)) == s for s in conditional_starts(EVERYTHING))


def test_kinds_of_conditional_are_an_argument() -> None:
    assert len(conditional_starts(EVERYTHING, ("if",))) == 1
    assert len(conditional_starts(EVERYTHING, ("if", "elif", "with", "match"))) == 4
    with pytest.raises(UnknownNameError, match="Did you mean 'while'"):
        conditional_starts(EVERYTHING, ("whlie",))


def test_comments_and_strings_are_told_apart() -> None:
    program = Program("x = '# no'  # yes\n# whole line\n")
    assert [program.source[a:b] for a, b in comments(program)] == [b"# yes", b"# whole line"]


def test_conditionals_of_real_solutions_agree_with_ast(data_dir: Path) -> None:
    problems = load_problems("humaneval", data=data_dir / "HumanEval.jsonl.gz")
    checked = 0
    for problem in problems:
        tree = ast.parse(problem.canonical_solution)
        nodes = (ast.If, ast.For, ast.While, ast.Try)
        lines = {n.lineno for n in ast.walk(tree) if isinstance(n, nodes)}
        program = Program(problem.canonical_solution)
        ours = {program.line_at(start) for start in conditional_starts(program.text)}
        assert ours == lines, problem.id
        checked += len(lines)
    assert checked > 200


def test_broken_programs_are_read_too() -> None:
    for text in ("if x\n  for", "def f(:\n", "\x00", "(" * 5000, "é = (\n"):
        program = Program(text)
        assert all(0 <= s <= len(program.source) for s in conditional_starts(text))
        assert all(s.first_line <= s.last_line for s in statements(program))


LESS_INDENTED = """def f(é, b):
    if b:
        y = g(é, é +  # a (comment)

# another
  b); z = f"{(1 +
0)}("
        w = (z +
1)
    return y
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_lines_within_brackets_may_be_indented_less(newline: str) -> None:
    """The grammar takes them for the end of a block, and loses what comes after them."""
    text = LESS_INDENTED.replace("\n", newline)
    if sys.version_info < (3, 12):  # where a replacement field stays on its line
        text = text.replace("1 +" + newline + "0", "1 + 0")
    program = Program(text)
    read = {(one.first_line, one.last_line) for one in statements(program)}
    assert read == ast_statements(text)
    spans = comments(program)
    assert [program.source[a:b] for a, b in spans] == [b"# a (comment)", b"# another"]


def test_statements_do_not_overlap() -> None:
    found = statements(Program(EVERYTHING))
    for one, other in itertools.pairwise(found):
        assert one.end <= other.start


_PIECES: tuple[str, ...] = (
    "(",
    ")",
    "[",
    "{",
    "}",
    "\n",
    "\r",
    "\x00",
    "\x1a",
    "\x0c",
    "\\",
    "\\}",
    "'",
    '"""',
)
_PIECES += (
    "# a",
    "if x:",
    "else",
    "f'",
    "{x!r}",
    "é",
    "\u2028",
    "\ufeff",
    "0x",
    "x",
    " = ",
    "    ",
)


@given(st.lists(st.sampled_from(_PIECES), max_size=25).map("".join))
@example("f(\n'\\}'\n")  # CPython warns of the escape
@example("if x:\n    y\n  h\x00 other\x1a")  # its tokenizer raises SystemError from 3.12 on
def test_whatever_a_model_writes_is_read_without_an_error_or_a_warning(text: str) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = statements(Program(text))
        conditional_starts(text)
    assert not caught
    assert all(0 <= one.start <= one.end <= len(text.encode()) for one in found)
