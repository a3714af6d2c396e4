"""Fine-Grained Optimization where the program is a part of an answer.

The bytes of the program get what :mod:`codegym.masks.loss_mask` says of them. What is around it,
prose, reasoning and fences, was not executed and yet decided which program there is: it gets a
value of the caller's.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from codegym.errors import ConfigurationError
from codegym.masks.loss_mask import executed_bytes
from codegym.programs.answer import ExtractedProgram
from codegym.programs.program import Program, token_spans
from codegym.tokenization.spelling import text_to_bytes
from codegym.tokenization.tokenizer import Tokenizer, end_ids

__all__ = ["answer_mask"]

_ESCAPES = re.compile("[\udc80-\udcff]+")
_LONGEST_CHARACTER = 4
_REPLACEMENT_BYTES = len("\N{REPLACEMENT CHARACTER}".encode())


def answer_mask(
    answer: str,
    program: ExtractedProgram | None,
    executed_lines: Collection[int],
    tokenizer: Tokenizer,
    token_ids: Sequence[int],
    *,
    start: int = 0,
    outside: int = 1,
    judged: str | None = None,
) -> npt.NDArray[np.int8]:
    """The FGO mask of the tokens of an answer.

    Args:
        answer: The whole answer, what was given of it included.
        program: The program that was found in it, if any.
        executed_lines: 1-based lines of the program that were executed; empty if nothing ran.
        tokenizer: Tells which bytes a token spells.
        token_ids: (N,) the generated tokens, the end token included if there is one.
        start: Byte offset in the answer at which the first of them begins.
        outside: 0 or 1, for what is not the program.
        judged: The program as it was run, if that has replacement characters for the bytes that
            are not UTF-8 in `program`; None: as it is.

    Returns:
        (N,) int8. A token gets the largest value of the bytes that it touches, an end token 1, and
        another that spells nothing `outside`. The bytes of the program get 1 where they belong to
        an executed statement, or everywhere if nothing ran. Without a program all tokens get 1.

    Raises:
        ConfigurationError: If `outside` is neither 0 nor 1.
        TokenizationError: If the answer holds half of a surrogate pair, or a token is unknown.
    """
    if isinstance(outside, bool) or outside not in (0, 1):
        raise ConfigurationError(
            "outside is what tokens around the program get, 0 (not learned) or 1 (learned), got "
            f"{outside!r:.80}."
        )
    ids = [int(token) for token in token_ids]
    if program is None:
        return np.ones(len(ids), dtype=np.int8)
    value = _values(answer, program, executed_lines, outside, judged)
    count = np.zeros(len(value) + 1, dtype=np.int64)
    np.cumsum(value, out=count[1:])
    first, last = (np.minimum(side, len(value)) for side in token_spans(tokenizer, ids, start))
    ends = np.fromiter(map(end_ids(tokenizer).__contains__, ids), dtype=bool, count=len(ids))
    spells_nothing = (first == last) & bool(outside)
    mask: npt.NDArray[np.int8] = ((count[last] > count[first]) | ends | spells_nothing).astype(
        np.int8
    )
    return mask


def _values(
    answer: str,
    program: ExtractedProgram,
    executed_lines: Collection[int],
    outside: int,
    judged: str | None,
) -> npt.NDArray[np.int8]:
    """What each byte of the answer gets."""
    value = np.full(len(text_to_bytes(answer)), outside, dtype=np.int8)
    ran = _ran(program.text if judged is None else judged, executed_lines)
    if judged is not None and judged != program.text:
        ran = ran[_places_in_readable(program.text)]
    place = character = used = 0
    for first, last in program.spans:
        place += len(text_to_bytes(answer[character:first]))
        size = len(text_to_bytes(answer[first:last]))
        value[place : place + size] = ran[used : used + size]
        place, character, used = place + size, last, used + size
    return value


def _ran(source: str, executed_lines: Collection[int]) -> npt.NDArray[Any]:
    """(bytes of the program,): whether they belong to what ran; all of them if nothing did."""
    code = Program(source)
    return executed_bytes(code, executed_lines) if executed_lines else np.ones(len(code.source))


def _places_in_readable(text: str) -> npt.NDArray[np.int64]:
    """(bytes of the text,): the byte that stands for each once escapes are replacement characters.

    A decoder puts one replacement character, of three bytes, for bytes that begin a character
    together and do not end it, and for each other byte that is not UTF-8.
    """
    places: list[npt.NDArray[np.int64]] = []
    at = end = 0
    for run in _ESCAPES.finditer(text):
        size = len(text[end : run.start()].encode())
        places.append(np.arange(at, at + size))
        at, end = at + size, run.end()
        escaped, first = text_to_bytes(run.group()), 0
        while first < len(escaped):
            width = _first_fault(escaped[first : first + _LONGEST_CHARACTER])
            places.append(np.full(width, at))
            at, first = at + _REPLACEMENT_BYTES, first + width
    places.append(np.arange(at, at + len(text[end:].encode())))
    return np.concatenate(places)


def _first_fault(data: bytes) -> int:
    """How many bytes at the beginning become one replacement character."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.end
    raise AssertionError("escapes stand for bytes that are not UTF-8")
