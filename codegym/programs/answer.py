r"""Finds the program in the answer of a chat model: prose, reasoning and code blocks around it.

The rules, in their order. The answer is what the prompt had already begun of it (`given`) and what
the model wrote.

1. **Reasoning is no answer.** An answer that begins with an opening tag (``<think>``,
   ``<thinking>``, ``<thought>``, ``<reasoning>``, ``[THINK]``) begins anew after the closing one;
   if it is never closed, there is no program. Where the opening tag is not there, because a chat
   template has written it, the answer begins after the first closing tag that ends its line.
   Drafts in the reasoning therefore never count.
2. **A code block** begins with three or more backticks or tildes at the beginning of a line,
   however far that is indented, and its language. It is Python's if that is ``python``, ``py``,
   ``python3``, ``py3``, ``python3.11``, in upper or lower case, alone or followed by anything,
   also in braces or after a dot. Text may stand before backticks that name Python and nothing
   else.
3. **It ends** with the next run of as many backticks outside of strings and comments, wherever that
   is in the line: backticks are no Python. So a fence inside of a string of the program is a part
   of it. Where a string is never closed, with the next run at the beginning of a line. A block of
   tildes, and one in another language, ends with a line that holds only its fence. A fence that
   also names Python ends a block and begins the next.
4. **The block that is open where `given` ends is the program**, closed or not.
5. Else **the last closed block of Python** is; else one of Python that the answer's end leaves
   open (it was cut off); else the last closed block without a language, such as may also show
   examples; else one that is left open. Blank blocks are none.
6. An answer with blocks, none of which is of these kinds, holds no program.
7. **An answer without any block is a program as a whole**, if it is not blank. If it is prose, it
   does not compile.

The indentation of its first line is taken from all lines of the program, as far as they have it:
blocks stand in lists. Nothing else is changed, ``\r\n`` neither.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import NamedTuple

from codegym.errors import ConfigurationError

__all__ = [
    "REASONING_TAGS",
    "ExtractedProgram",
    "begun_answer",
    "begun_reasoning",
    "extract_program",
]


@dataclasses.dataclass(frozen=True, slots=True)
class ExtractedProgram:
    """A program that was found in an answer.

    Attributes:
        text: The program.
        spans: Which characters of the answer, what was given of it included, the program consists
            of: pairs of first and one past the last, ascending. One pair, unless indentation
            was taken from its lines.
    """

    text: str
    spans: tuple[tuple[int, int], ...]


def extract_program(answer: str, given: str = "") -> ExtractedProgram | None:
    r"""The program in an answer, by the rules of this module; None if there is none.

    Args:
        answer: What the model wrote.
        given: What the prompt had already begun of the answer: an opening tag of reasoning, a
            fence, a fence and the beginning of the program.

    Raises:
        ConfigurationError: If one of them is no text.

    Example:
        >>> found = extract_program("<think>Double it.</think>\n```python\nx = 2\n```\nDone.")
        >>> found.text, found.spans
        ('x = 2\n', ((36, 42),))
        >>> extract_program("return x\n", given="```python\ndef f(x):\n    ").text
        'def f(x):\n    return x\n'
    """
    for name, value in (("answer", answer), ("given", given)):
        if not isinstance(value, str):
            raise ConfigurationError(f"{name} must be a str, got {type(value).__name__}.")
    text = given + answer
    start = _end_of_reasoning(text)
    if start is None:
        return None
    text = text[start:]
    found = _place(text, len(given) - start)
    if found is None or not text[slice(*found)].strip():
        return None
    places = list(_without_indentation(text, *found))
    program = "".join(text[first:last] for first, last in places)
    return ExtractedProgram(program, tuple((start + a, start + b) for a, b in places))


def begun_reasoning(prompt: str) -> str:
    """What a prompt has begun of the answer: the opening tag of reasoning that it ends with.

    Some chat templates write it for the model. Empty if there is none. This is what
    :func:`extract_program` calls `given`.
    """
    match = _BEGUN.search(prompt)
    return match[0] if match else ""


def begun_answer(prompt: str) -> str:
    r"""What a prompt has begun of the answer: reasoning, or a code block that is open at its end.

    Args:
        prompt: The whole text that the model continued, without what was said before the answer
            where that may hold code blocks that are never closed.

    Example:
        >>> begun_answer("Double x.\n```python\ndef f(x):\n")
        '```python\ndef f(x):\n'
    """
    *_, last = [None, *_blocks(prompt)]
    if last is None or last.closed or last.language not in ("python", ""):
        return begun_reasoning(prompt)
    return f"```{last.language}\n{prompt[last.start :]}"


_TAGS = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<reasoning>": "</reasoning>",
    "[THINK]": "[/THINK]",
}
REASONING_TAGS = (*_TAGS, *_TAGS.values())
"""What reasoning begins and ends with; of some models these are special tokens."""
_OPENING_TAG = re.compile(r"\s*(" + "|".join(map(re.escape, _TAGS)) + ")")
_BEGUN = re.compile(r"(" + "|".join(map(re.escape, _TAGS)) + r")\s*\Z")
_CLOSING_TAG = re.compile(rf"({'|'.join(map(re.escape, _TAGS.values()))})(?=[ \t\r]*$)", re.M)

# Possessive, as a line may be all tildes: what was read is not read again in another way.
_FENCE = re.compile(
    r"^(?P<before>[^\n`]*+(?=```)|[^\S\n]*+(?=~~~))(?P<fence>`{3,}+|~{3,}+)(?P<info>[^\n`]*+)"
    r"(?:\n|\Z)",
    re.M,
)
_LANGUAGE = re.compile(r"[\s{.]*([\w+#.-]*)")
_PYTHON = re.compile(r"py(thon)?(3(\.\d+)?)?", re.I)

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_CODE = re.compile(
    r"#[^\n]*"
    r"|(?P<quotes>'''|\"\"\")(?:(?:[^\\]|\\.)*?(?P=quotes)|(?P<never_closed>))"
    r"|'(?:[^'\\\n]|\\.)*'?"
    r'|"(?:[^"\\\n]|\\.)*"?'
    r"|(?P<fence>`{3,})",
    re.S,
)


def _end_of_reasoning(text: str) -> int | None:
    """Where the answer proper begins; None if its reasoning never ends."""
    start = 0
    while opening := _OPENING_TAG.match(text, start):
        closing = _TAGS[opening[1]]
        place = text.find(closing, opening.end())
        if place < 0:
            return None
        start = place + len(closing)
    if start == 0 and (closed := _CLOSING_TAG.search(text)):
        start = closed.end()
    return start


class _Block(NamedTuple):
    """A code block: its language in a word, the place of what is in it, whether it is closed."""

    language: str
    start: int
    end: int
    closed: bool


def _place(text: str, given: int) -> tuple[int, int] | None:
    """Where the program is in an answer of which `given` characters were given; None: nowhere."""
    blocks = list(_blocks(text))
    if not blocks:
        return 0, len(text)
    written = [block for block in blocks if text[block.start : block.end].strip()]
    begun = [block for block in written if 0 < block.start <= given <= block.end]
    for language in ("python", ""):
        for closed in (True, False):
            found = [b for b in begun or written if (b.language, b.closed) == (language, closed)]
            if found:
                return found[-1].start, found[-1].end
    return None


def _blocks(text: str) -> Iterator[_Block]:
    """All code blocks, in their order."""
    start = 0
    while opening := _opening(text, start):
        language = _language(opening["info"])
        closing = _closing(text, opening.end(), opening["fence"], language)
        if closing is None:
            yield _Block(language, opening.end(), len(text), closed=False)
            return
        end, fence_end = closing
        line_start = 1 + text.rfind("\n", 0, end)
        line_end = 1 + text.find("\n", fence_end) or len(text)
        begins_line = not text[line_start:end].strip()
        # Indentation before the fence, with nothing else there, is not the program's.
        content_end = max(line_start, opening.end()) if begins_line else end
        yield _Block(language, opening.end(), content_end, closed=True)
        opens_next = begins_line and _language(text[fence_end:line_end]) == "python"
        start = line_start if opens_next else line_end


def _opening(text: str, start: int) -> re.Match[str] | None:
    """The next fence that begins a block."""
    for fence in _FENCE.finditer(text, start):
        names_python = fence["fence"][0] == "`" and _PYTHON.fullmatch(fence["info"].strip())
        if names_python or not fence["before"].strip():
            return fence
    return None


def _language(info: str) -> str:
    """``"python"``, ``""``, or another language."""
    match = _LANGUAGE.match(info)
    word = match[1] if match else ""
    return "python" if _PYTHON.fullmatch(word) else word or info.strip()


def _closing(text: str, start: int, fence: str, language: str) -> tuple[int, int] | None:
    """Where the fence that closes a block begins and ends; None if there is none."""
    same = re.escape(fence[0]) + f"{{{len(fence)},}}"
    if fence[0] == "~" or language not in ("python", ""):
        alone = re.compile(rf"^[ \t]*({same})(?=[ \t\r]*$)", re.M).search(text, start)
        return alone and alone.span(1)
    for piece in _CODE.finditer(text, start):
        if piece["never_closed"] is not None:
            break
        if piece["fence"] and len(piece["fence"]) >= len(fence):
            return piece.span("fence")
    begins_line = re.compile(rf"^[ \t]*({same})", re.M).search(text, start)
    return begins_line and begins_line.span(1)


def _without_indentation(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The places of a program's lines, without the indentation of the first; one if it has none."""
    lines = _LINE.findall(text[start:end])
    first = next(line for line in lines if line.strip())
    margin = first[: len(first) - len(first.lstrip(" \t"))]
    if not margin:
        yield start, end
        return
    for line in lines:
        taken = next(size for size in range(len(margin), -1, -1) if line.startswith(margin[:size]))
        if taken < len(line):
            yield start + taken, start + len(line)
        start += len(line)
