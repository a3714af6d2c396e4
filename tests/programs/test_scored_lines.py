"""Which tokens end a step: newlines within tokens, mid-line starts, last lines, cuts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegym.programs import neutral_lines, scored_line_ends
from codegym.programs.scored_lines import ScoredLine, ScoredLineReader
from codegym.tokenization import ByteTokenizer


class Words:
    """A tokenizer of given words; the last id ends a program."""

    def __init__(self, *words: str) -> None:
        self.words = [*(word.encode() for word in words), b""]
        self.vocab_size = len(self.words)
        self.end_id = self.pad_id = len(words)

    def encode(self, text: str) -> list[int]:
        raise NotImplementedError

    def token_bytes(self, token_id: int) -> bytes:
        return self.words[token_id]

    def decode(self, token_ids: object) -> str:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("words", "steps"),
    [
        (["a = 1", "\n", "b = 2", "\n"], [1, 3]),
        (["a = 1\n", "b = 2"], [0, 1]),
        (["a = 1", "\n    ", "b = 2", "\n"], [1, 3]),  # the newline's token begins the next line
        (["a = 1", "\n\n", "b = 2", "\n\n    "], [1, 3]),  # a code line and a blank one
        (["a = 1", "\n", "\n", "\n"], [1]),
        (["if a:\n    b = 1\n", "c"], [0]),  # two lines in a token are one step; "c" does nothing
        (["if a:\n    pass\n", "# c\n"], [0]),  # one of the two lines is neutral
        (["# b\n    pass\n", "c = 1"], [1]),
        (["a = 1\nb = 2"], [0]),  # the last line ends with a token that is a step already
        (["pass\nb = 2"], [0]),  # only the last line is a step
        (["a = 1", "\r", "\n", "b = 2", "\r\n"], [1, 4]),
        (["a = 1", "", "\n", ""], [2]),  # tokens that spell nothing
        (["a = 1", "", ""], [0]),
        (["a = 1\n", "", ""], [0]),
        (["", ""], []),
        (["    ", "\n", "   "], []),
        (["x = '''", "\n", "pass", "\n", "'''", "\n"], [1, 3, 5]),  # within a string: no `pass`
    ],
)
def test_which_tokens_end_a_step(words: list[str], steps: list[int]) -> None:
    tokenizer = Words(*words)
    assert scored_line_ends(tokenizer, range(len(words))) == steps
    assert scored_line_ends(tokenizer, range(len(words) + 1)) == steps  # and the end token


def test_the_line_in_which_generation_begins_is_generated() -> None:
    tokens = list(b" + 1\nreturn x\n")
    assert scored_line_ends(ByteTokenizer(), tokens, before="x = 0\nx = x") == [4, 13]
    assert scored_line_ends(ByteTokenizer(), tokens, before="x = x + 1\nx = x") == [13]  # a repeat
    assert (
        scored_line_ends(ByteTokenizer(), [256], before="x = 0\nx = 1") == []
    )  # nothing generated
    assert scored_line_ends(ByteTokenizer(), [10], before="x = 0\nx = 1") == [0]
    assert scored_line_ends(ByteTokenizer(), [10], before="x = 0\r") == []  # half of a line end


def test_steps_of_a_program_that_was_cut() -> None:
    reader = ScoredLineReader(b"a = 0\nb")
    assert reader.read([b" = 1", b"\n", b"c = ", b"2 # d"]) == [ScoredLine(1, 7)]
    assert reader.last(len(b"a = 0\nb = 1\nc = 2 # d")) == ScoredLine(3, 12)
    assert reader.last(len(b"a = 0\nb = 1\nc = 2")) == ScoredLine(3, 12)
    assert reader.last(len(b"a = 0\nb = 1\nc =")) == ScoredLine(2, 12)
    for size in (12, 11, 7, 6):
        assert reader.last(size) is None
    assert reader.num_tokens == 4


@given(st.text(alphabet="ab=1 \n#'", max_size=40), st.integers(0, 40))
def test_bytes_as_tokens_have_a_step_for_each_line_that_is_not_neutral(text: str, cut: int) -> None:
    before, written = text[:cut], text[cut:]
    steps = scored_line_ends(ByteTokenizer(), list(written.encode()), before=before)
    lines = text.splitlines(keepends=True)
    ends = [sum(map(len, lines[: k + 1])) - 1 - cut for k in range(len(lines))]
    kinds = neutral_lines(text) if text else ()
    expected = [end for end, why in zip(ends, kinds, strict=True) if why is None and end >= 0]
    assert steps == expected


@given(st.lists(st.sampled_from([b"a", b"\n", b" = 1\n", b"", b"\n\n ", b"#"])), st.integers(0, 9))
def test_steps_are_found_alike_at_once_and_one_by_one(words: list[bytes], cut: int) -> None:
    whole, parts = ScoredLineReader(), ScoredLineReader()
    found = parts.read(words[:cut])
    found += [step for word in words[cut:] for step in parts.read([word])]
    assert whole.read(words) == found
    size = sum(map(len, words))
    assert whole.last(size) == parts.last(size)
