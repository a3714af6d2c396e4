r"""Lines of a program while it is being written, and which of them are neutral.

A process reward scores lines. Lines that add nothing to a program are cheap to write and easy to
find good: a policy that is paid for them writes more of them (arXiv 2410.17621, section 4.1, on
comments). They are *neutral*: never scored, and not counted.

What is said of a line depends on the text up to its end and on nothing after it, so that it holds
once the line has ended, whatever is written next. Hence a lexer of our own: a parser, tree-sitter
too, reads the same line differently as more of an unfinished program comes.

This module does not find all padding: ``unused = 1`` is code to it.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

from codegym.errors import UnknownNameError
from codegym.programs.program import NEWLINE, Program
from codegym.programs.syntax import does_nothing

__all__ = ["NEUTRAL", "Line", "LineReader", "neutral_lines"]

NEUTRAL = ("blank", "comment", "docstring", "no_op", "repeat")
"""Why a line may be neutral; the first reason that holds is told.

- ``blank``: nothing but white space.
- ``comment``: nothing but a comment.
- ``docstring``: a line of a string that is a statement of its own, wherever it stands.
- ``no_op``: whole statements that do nothing: ``pass``, ``...``, names, constants and what
  operators make of them, ``x = x``.
- ``repeat``: the code of an earlier line, with the same indentation; comments and white space
  between the symbols do not tell lines apart.
"""

_PIECE = re.compile(
    rb"(?P<space>[ \t\f\v]+)|(?P<comment>#.*)|(?P<string>[A-Za-z]{0,3}(?P<quote>'''|\"\"\"|'|\"))"
    rb"|(?P<word>[\w\x80-\xff]+)|(?P<symbol>.)",
    re.DOTALL,
)
_BODY = {
    quote: re.compile(rb"(?:[^\\]|\\.)*?" + quote, re.DOTALL)
    for quote in (b"'", b'"', b"'''", b'"""')
}
_FORMATTED = frozenset(b"fFtT")  # prefixes of strings that run code


class Line(NamedTuple):
    """A line, by the byte offset at which it starts, and why it is neutral; None: it is not."""

    start: int
    neutral: str | None


class _State(NamedTuple):
    """What of the text before a line bears on it."""

    quote: bytes = b""  # of the string that is open
    depth: int = 0  # brackets that are open
    joined: bool = False  # the line before ends with a backslash
    docstring: bool = False  # the open string is a statement of its own

    @property
    def begins_statement(self) -> bool:
        return not (self.quote or self.depth or self.joined)


class _Code(NamedTuple):
    """A line without comments and white space, and the state after it."""

    pieces: tuple[bytes, ...]
    only_strings: bool
    after: _State


class LineReader:
    r"""Follows a program that is being written from line to line.

    Args:
        kinds: What counts as neutral: names of :data:`NEUTRAL`.

    Raises:
        UnknownNameError: If a kind is not one of these.

    >>> reader = LineReader()
    >>> reader.read(b"def f(x):\n    re"), reader.read(b"turn x\n    pass\n")
    ([Line(start=0, neutral=None)], [Line(start=10, neutral=None), Line(start=23, neutral='no_op')])
    """

    def __init__(self, kinds: Collection[str] = NEUTRAL) -> None:
        for kind in kinds:
            if kind not in NEUTRAL:
                raise UnknownNameError("kind of neutral line", kind, NEUTRAL)
        self._kinds = frozenset(kinds)
        self._start = 0  # of the line that has not ended
        self._rest = b""  # its bytes
        self._state = _State()
        self._seen: set[tuple[bytes, ...]] = set()
        self._returned = False  # the last byte was \r: an \n belongs to the same line end

    def read(self, data: bytes) -> list[Line]:
        """The lines that end with some more bytes of the program."""
        if b"\n" not in data and b"\r" not in data:  # most tokens
            self._rest += data
            self._returned &= not data
            return []
        if self._returned and data.startswith(b"\n"):
            data, self._start = data[1:], self._start + 1
        self._returned = data.endswith(b"\r")
        text, begin, lines = self._rest + data, 0, []
        for newline in NEWLINE.finditer(text, len(self._rest)):
            line = text[begin : newline.start()]
            code = _code(line, self._state)
            lines.append(Line(self._start, self._neutral(line, code)))
            self._seen.add(_form(line, code))
            self._state = code.after
            self._start += newline.end() - begin
            begin = newline.end()
        self._rest = text[begin:]
        return lines

    def unfinished(self, size: int | None = None) -> Line | None:
        """The line that has not ended, as if it ended here; None if it has no byte.

        Args:
            size: The program has only so many bytes: leave out what was read beyond them.
        """
        rest = self._rest if size is None else self._rest[: max(0, size - self._start)]
        if not rest:
            return None
        return Line(self._start, self._neutral(rest, _code(rest, self._state)))

    def _neutral(self, line: bytes, code: _Code) -> str | None:
        nature = _nature(line, code, self._state)
        if nature in self._kinds:
            return nature
        repeats = "repeat" in self._kinds and _form(line, code) in self._seen
        return "repeat" if repeats else None


def neutral_lines(text: str, kinds: Collection[str] = NEUTRAL) -> tuple[str | None, ...]:
    r"""Why each line of a program is neutral; None for lines that are not.

    Args:
        text: The program, or any beginning of one.
        kinds: What counts as neutral: names of :data:`NEUTRAL`.

    Returns:
        One entry for each line of ``Program(text)``.

    Raises:
        UnknownNameError: If a kind is not one of these.

    >>> neutral_lines("def f(x):\n    # Twice.\n    x = x\n    return 2 * x\n    return 2*x\n")
    (None, 'comment', 'no_op', None, 'repeat')
    """
    reader = LineReader(kinds)
    lines = reader.read(Program(text).source)
    last = reader.unfinished()
    if last is not None:
        lines.append(last)
    if not lines:  # the empty program has one line
        return neutral_lines("\n", kinds)
    return tuple(line.neutral for line in lines)


def _nature(line: bytes, code: _Code, before: _State) -> str | None:
    """Why a line is neutral by itself, whatever other lines say."""
    if not line.strip():
        return "blank"
    if not code.pieces:
        return "comment"
    if code.only_strings and (before.begins_statement or before.docstring):
        return "docstring"
    whole = before.begins_statement and code.after.begins_statement
    return "no_op" if whole and does_nothing(line.strip()) else None


def _form(line: bytes, code: _Code) -> tuple[bytes, ...]:
    """What two lines have in common if one repeats the other."""
    text = line.strip()
    indentation = line[: line.find(text[:1])] if text else b""
    pieces = list(code.pieces or (text,))
    while pieces[-1:] == [b";"]:
        pieces.pop()
    return (indentation, *pieces)


def _code(line: bytes, before: _State) -> _Code:
    """Takes a line apart."""
    pieces: list[bytes] = []
    quote, depth, at, only_strings = before.quote, before.depth, 0, True
    while at < len(line):
        if quote:
            body = _BODY[quote].match(line, at)
            pieces.append(line[at:] if body is None else body[0])
            if body is None:
                break
            at, quote = body.end(), b""
            continue
        piece = _PIECE.match(line, at)
        assert piece is not None  # the last branch matches any byte
        at, kind, text = piece.end(), piece.lastgroup, piece[0]
        if kind == "string":
            quote = piece["quote"]
            only_strings &= _FORMATTED.isdisjoint(text)
        elif kind in ("space", "comment"):
            continue
        else:
            depth = max(0, depth + (text in b"([{") - (text in b")]}"))
            only_strings &= text == b";"
        pieces.append(text)
    if len(quote) == 1 and not _ends_with_a_backslash(line):
        quote, only_strings = b"", False  # broken off: only a backslash goes on to the next line
    joined = not quote and pieces[-1:] == [b"\\"]
    docstring = bool(quote) and only_strings and (before.begins_statement or before.docstring)
    return _Code(tuple(pieces), only_strings, _State(quote, depth, joined, docstring))


def _ends_with_a_backslash(line: bytes) -> bool:
    """Whether the last byte is a backslash that no other one escapes."""
    return (len(line) - len(line.rstrip(b"\\"))) % 2 == 1
