"""Byte, line and token positions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegym.programs import Program, token_spans
from codegym.tokenization import ByteTokenizer


@given(st.text(alphabet="aé\n\r \t#"))
def test_lines_are_those_of_cpython(text: str) -> None:
    program = Program(text)
    lines = text.encode().splitlines(keepends=True) or [b""]
    # bytes.splitlines splits at \n, \r\n and \r, as CPython's reader does.
    assert program.num_lines == len(lines)
    spans = [(program.line_start(i + 1), program.line_end(i + 1)) for i in range(len(lines))]
    assert [program.source[a:b] for a, b in spans] == lines


@given(st.text(alphabet="ab\n", min_size=1), st.data())
def test_line_at_inverts_line_start(text: str, data: st.DataObject) -> None:
    program = Program(text)
    offset = data.draw(st.integers(0, len(program.source) - 1))
    line = program.line_at(offset)
    assert program.line_start(line) <= offset < program.line_end(line)


def test_undecodable_bytes_survive() -> None:
    source = b"x = '\xff'\n"
    assert Program(source.decode("utf-8", "surrogateescape")).source == source


def test_token_spans_are_consecutive_and_start_where_told() -> None:
    tokenizer = ByteTokenizer()
    ids = [*tokenizer.encode("aé"), tokenizer.end_id]
    first, last = token_spans(tokenizer, ids, start=10)
    assert first.tolist() == [10, 11, 12, 13]
    assert last.tolist() == [11, 12, 13, 13]  # the end token spells nothing


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_line_numbers_agree_with_compile(newline: str) -> None:
    text = newline.join(["a = 1", "", "b = 2", "c = 3"])
    code = compile(text, "<test>", "exec")
    lines = {line for *_, line in code.co_lines() if line}
    program = Program(text)
    assert program.line_at(program.source.index(b"c")) == max(lines)
