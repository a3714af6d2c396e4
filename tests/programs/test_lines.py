"""Which lines are neutral, when that is known, and that it agrees with Python's own readers."""

from __future__ import annotations

import ast
import io
import itertools
import tokenize
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegym.errors import UnknownNameError
from codegym.problems import load_problems
from codegym.programs import NEUTRAL, Program, neutral_lines
from codegym.programs.lines import LineReader

EVERYTHING = r'''def f(x):
    """Doc.
    # still the docstring

    its end."""
    # a comment
    x = x  # with a comment
    x  =  x
    pass; ...
    if x > 0:
        return 1
    if x>0 :  # said before
        return 1
    return 1
    y = (
        x,
        # inside of brackets
    )
    "bare" 'strings'
    f"{f(x)}"
    """a""".join(y)
    z = """
    pass

# no comment
"""
    'broken off
    pass
    w = 'a\
    pass'
    v = 1 + \
        x
    x.y; z[0]
    -1 < 2 and not None
    x, y = x, y
    x, y = y, x
    n: int
    f(x)
    (yield)
    else:
    x = x.
    v += 1;
    v += 1
'''
REASONS = (
    None, "docstring", "docstring", "blank", "docstring", "comment", "no_op", "no_op", "no_op",
    None, None, "repeat", "repeat", None, None, None, "comment", None, "docstring", None, None,
    None, None, "blank", None, None, None, "no_op", None, None, None, None, "no_op", "no_op",
    "no_op", None, None, None, None, None, None, None, "repeat",
)  # fmt: skip
PIECES = st.sampled_from(
    ["x", " ", "    ", "\n", "\r", "\r\n", "#", "'", '"""', "'''", "\\", "(", ")", "pass", "=",
     "x = 1\n", "    x = x\n", "f'", ";", "\t", "é", "..."]
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=30).map("".join)


def test_every_reason() -> None:
    told = list(zip(EVERYTHING.splitlines(), neutral_lines(EVERYTHING), strict=True))
    assert told == list(zip(EVERYTHING.splitlines(), REASONS, strict=True))


@pytest.mark.parametrize("kind", NEUTRAL)
def test_each_kind_can_be_left_out(kind: str) -> None:
    kinds = [one for one in NEUTRAL if one != kind]
    told = neutral_lines(EVERYTHING, kinds)
    assert kind not in told
    # A line may have another reason: that of a repeat.
    assert all(
        one == why if why != kind else one in (None, "repeat")
        for one, why in zip(told, REASONS, strict=True)
    )
    assert neutral_lines("pass\n\n# a\n'doc'\nx\nf()\nf()\n", ()) == (None,) * 7


def test_an_unknown_kind() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'comment'"):
        neutral_lines("", ("comments",))


@given(TEXTS)
def test_one_entry_for_each_line(text: str) -> None:
    assert len(neutral_lines(text)) == Program(text).num_lines


@given(TEXTS, st.data())
def test_what_is_said_of_a_line_holds_whatever_follows(text: str, data: st.DataObject) -> None:
    program = Program(text)
    line = data.draw(st.integers(1, program.num_lines))
    begun = program.source[: program.line_end(line)].decode()
    assert neutral_lines(begun) == neutral_lines(text)[:line]


@given(TEXTS, st.lists(st.integers(0, 60), max_size=6))
def test_lines_are_the_same_in_whatever_pieces_they_come(text: str, cuts: list[int]) -> None:
    source, whole, reader = text.encode(), LineReader(), LineReader()
    bounds = [0, *sorted(cuts), len(source)]
    parts = [source[a:b] for a, b in itertools.pairwise(bounds)]
    lines = [line for part in parts for line in reader.read(part)]
    assert lines == whole.read(source)
    assert reader.unfinished() == whole.unfinished()
    ended = [line.start for line in lines] + [line.start for line in [reader.unfinished()] if line]
    assert ended == [start for start in Program(text).line_starts if start < len(source)]


def test_a_last_line_that_is_cut_off() -> None:
    reader = LineReader()
    reader.read(b"a = 1\npass # b")
    assert reader.unfinished() == (6, "no_op")
    assert reader.unfinished(9) == (6, "no_op")  # "pas": a name
    assert reader.unfinished(7) == (6, "no_op")
    assert reader.unfinished(6) is None
    assert reader.unfinished(3) is None
    assert reader.read(b"\n")[0].neutral == "no_op"


def test_lines_that_do_nothing_change_nothing() -> None:
    lines = zip(EVERYTHING.splitlines(), REASONS, strict=True)
    idle = [line.strip() for line, why in lines if why == "no_op"]
    assert len(idle) == 7
    for line in idle:
        names = {"x": type("Thing", (), {"y": 1})(), "y": 2, "z": [3]}
        before = dict(names)
        exec(line, {"__builtins__": {}}, names)
        assert names == before, line


def test_real_programs_agree_with_python(data_dir: Path) -> None:
    checked = 0
    for problem in load_problems("humaneval", data=data_dir / "HumanEval.jsonl.gz"):
        text = problem.canonical_solution
        told = neutral_lines(text, ("blank", "comment", "docstring"))
        assert [why == "blank" for why in told] == [not one.strip() for one in text.splitlines()]
        assert {k for k, why in enumerate(told, 1) if why == "comment"} == comment_lines(text)
        assert {k for k, why in enumerate(told, 1) if why == "docstring"} == docstring_lines(text)
        checked += 1
    assert checked == 164


def comment_lines(text: str) -> set[int]:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return {
        token.start[0]
        for token in tokens
        if token.type == tokenize.COMMENT and token.line.strip().startswith("#")
    }


def docstring_lines(text: str) -> set[int]:
    lines = text.splitlines()
    strings = (
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
    spans = ((node.lineno, node.end_lineno or node.lineno) for node in strings)
    numbers = (number for first, last in spans for number in range(first, last + 1))
    return {number for number in numbers if lines[number - 1].strip()}
