"""How the phrases of Mini compose: draws programs and writes them in English and in Python.

A program is a small tree: the result's start, statements (in a loop, for most families), the
return line. The number of conditional statements (``if``, ``elif`` and ``for``) is given. There is
no ``while``: one endless loop costs a judge more time than a thousand programs that end.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

from codegym.problems.mini.phrases import Family, Phrase

__all__ = [
    "Choice",
    "Clause",
    "Draw",
    "MiniProgram",
    "Step",
    "draw_program",
    "redraw_statements",
    "write_code",
]

T = TypeVar("T")
_INDENT = "    "
_DIGITS = "234567"
_TRIES = 3
_MOST_GUARDS = 2
_MOST_LONG_ARMS = 5


class Draw:
    """A stream of choices that is the same in every process and Python version.

    Args:
        seed: Any integer; 64 bits of it count.
    """

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = seed & 0xFFFF_FFFF_FFFF_FFFF

    def below(self, bound: int) -> int:
        """An integer in ``range(bound)``."""
        # Knuth's MMIX generator; its low bits are weak, so the high ones are used.
        self._state = (
            self._state * 6364136223846793005 + 1442695040888963407
        ) & 0xFFFF_FFFF_FFFF_FFFF
        return ((self._state >> 33) * bound) >> 31

    def pick(self, items: Sequence[T]) -> T:
        """One of `items`."""
        return items[self.below(len(items))]

    def percent(self, chance: int) -> bool:
        """True in `chance` of 100 cases."""
        return self.below(100) < chance


@dataclasses.dataclass(frozen=True, slots=True)
class Clause:
    """A phrase whose slots are filled.

    Attributes:
        phrase: What is said.
        wording: The index of its wording.
        code: The phrase's meaning as code, with its blanks filled.
        variable: Fills the slot v.
        digit: Fills the slot k.
    """

    phrase: Phrase
    wording: int
    code: str
    variable: str
    digit: str

    @property
    def english(self) -> str:
        """The wording, filled."""
        return self._fill(self.phrase.english[self.wording])

    @property
    def flaw(self) -> str:
        """The typical mistake, filled; empty if the phrase has none."""
        return self._fill(self.phrase.flaw)

    def _fill(self, template: str) -> str:
        return template.format(v=self.variable, k=self.digit)


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """An action that is always taken."""

    action: Clause

    @property
    def conditionals(self) -> int:
        """Number of conditional statements: none."""
        return 0


@dataclasses.dataclass(frozen=True, slots=True)
class Choice:
    """An ``if`` statement.

    Attributes:
        branches: Conditions with their statements: ``if``, then ``elif``.
        otherwise: The statements of ``else``; may be empty.
    """

    branches: tuple[tuple[Clause, tuple[Step | Choice, ...]], ...]
    otherwise: tuple[Step | Choice, ...] = ()

    @property
    def conditionals(self) -> int:
        """Number of conditional statements, those inside included."""
        inner = [*(body for _, body in self.branches), self.otherwise]
        return len(self.branches) + sum(node.conditionals for body in inner for node in body)


@dataclasses.dataclass(frozen=True, slots=True)
class MiniProgram:
    """The tree of one Mini problem.

    Attributes:
        family: The kind of program.
        start: What the result starts with: an expression.
        loop: The loop header, or None.
        body: The statements (of the loop, if there is one).
        last: The return line.
        opening: The statements before the loop.
        conditionals: Number of ``if``, ``elif`` and ``for`` statements.
    """

    family: Family
    start: str
    loop: Clause | None
    body: tuple[Step | Choice, ...]
    last: Clause
    conditionals: int
    opening: tuple[Step | Choice, ...] = ()

    @property
    def header(self) -> str:
        """The line of the signature, without its line end."""
        return f"def f({', '.join(name for name, _ in self.family.parameters)}):"

    def english(self) -> list[str]:
        """The task, one line a clause."""
        lines = [f"Start with {self.start}."]
        depth = 0
        _write_english(self.opening, depth, lines)
        if self.loop is not None:
            lines.append(f"{_capital(self.loop.english)}:")
            depth = 1
        _write_english(self.body, depth, lines)
        lines.append(f"{_capital(self.last.english)}.")
        return lines

    def code(self, choose: Callable[[Clause], str] = lambda clause: clause.code) -> str:
        """The program without comments.

        Args:
            choose: What is written for a clause; default: its meaning.
        """
        lines = [self.header, f"{_INDENT}r = {self.start}"]
        depth = 1
        write_code(self.opening, depth, lines, choose, choose)
        if self.loop is not None:
            lines.append(f"{_INDENT}for {choose(self.loop)}:")
            depth = 2
        write_code(self.body, depth, lines, choose, choose)
        lines.append(f"{_INDENT}{self.last.code}\n")
        return "\n".join(lines)


def draw_program(draw: Draw, family: Family, start: str, conditionals: int) -> MiniProgram:
    """Draws a program of a family with that many conditional statements (at least 1)."""
    loop = _fill(draw, draw.pick(family.loops), family.subjects) if family.loops else None
    left = conditionals - (loop is not None)
    opening: tuple[Step | Choice, ...] = ()
    if family.openings:
        guards = min(_MOST_GUARDS, left // 2)
        opening, left = _draw_opening(draw, family, guards), left - guards
    body = (_draw_dispatch if family.dispatches else _draw_body)(draw, family, left)
    last = _fill(draw, draw.pick(family.returns), family.operands)
    return MiniProgram(family, start, loop, body, last, conditionals, opening)


def redraw_statements(draw: Draw, program: MiniProgram, positions: Collection[int]) -> MiniProgram:
    """Draws some statements of a program's body anew, each with as many conditionals as it had."""
    family = program.family
    body = tuple(
        _draw_statement(draw, family, node.conditionals) if position in positions else node
        for position, node in enumerate(program.body)
    )
    return dataclasses.replace(program, body=body)


def _draw_opening(draw: Draw, family: Family, guards: int) -> tuple[Step | Choice, ...]:
    """Two steps of their own, then so many guard clauses, all different."""
    steps = _pick_different(draw, family.openings, 2)
    opening: list[Step | Choice] = [Step(_fill(draw, one, family.operands)) for one in steps]
    for one in _pick_different(draw, family.guards, guards):
        leave = Step(_fill(draw, draw.pick(family.leaves), family.operands))
        opening.append(Choice(((_fill(draw, one, family.operands), (leave,)),)))
    return tuple(opening)


def _pick_different(draw: Draw, phrases: Sequence[Phrase], count: int) -> list[Phrase]:
    left = list(phrases)
    return [left.pop(draw.below(len(left))) for _ in range(count)]


def _draw_dispatch(draw: Draw, family: Family, arms: int) -> tuple[Step | Choice, ...]:
    """One choice with so many arms, numbered from 1."""
    things = 2 if arms <= _MOST_LONG_ARMS else 1
    branches = []
    for number in range(1, arms + 1):
        condition = _fill(draw, family.conditions[0], family.subjects)
        code = family.conditions[0].code.format(v=condition.variable, k=number)
        condition = dataclasses.replace(condition, code=code, digit=str(number))
        branches.append((condition, tuple(_draw_builder(draw, family) for _ in range(things))))
    return (Choice(tuple(branches)),)


def _draw_body(draw: Draw, family: Family, conditionals: int) -> tuple[Step | Choice, ...]:
    """Statements with so many conditionals, sometimes with plain steps around them."""
    body: list[Step | Choice] = []
    if conditionals == 0:
        return tuple(_draw_builder(draw, family) for _ in range(1 + max(0, draw.below(5) - 2)))
    plain = conditionals <= 3 and draw.percent(30)
    first = plain and draw.percent(50)
    if first:
        body.append(_draw_builder(draw, family))
    left = conditionals
    while left:
        size = 2 if left >= 2 and draw.percent(45) else 1
        body.append(_draw_statement(draw, family, size))
        left -= size
    if plain and not first:
        body.append(_draw_builder(draw, family))
    return tuple(body)


def _draw_statement(draw: Draw, family: Family, conditionals: int) -> Step | Choice:
    if conditionals == 0:
        return _draw_builder(draw, family)
    condition = _draw_condition(draw, family)
    shape = draw.below(100)
    if conditionals == 1:
        if shape < 22:
            return Choice(
                ((condition, (_draw_builder(draw, family),)),),
                (_draw_action(draw, family),),
            )
        if shape >= 92:
            leave = _fill(draw, draw.pick(family.exits), family.operands)
            return Choice(((condition, (Step(leave),)),))
        return Choice(((condition, (_draw_action(draw, family),)),))
    other = _draw_condition(draw, family)
    for _ in range(_TRIES):
        if _subject(other) != _subject(condition):
            break  # two conditions on one variable often contradict or imply each other
        other = _draw_condition(draw, family)
    action = _draw_action(draw, family)
    if shape < 40:
        inner = Choice(((other, (action,)),))
        return Choice(((condition, (inner,)),))
    branches = ((condition, (_draw_builder(draw, family),)), (other, (action,)))
    return Choice(branches, (_draw_builder(draw, family),) if shape >= 84 else ())


def _draw_condition(draw: Draw, family: Family) -> Clause:
    return _fill(draw, draw.pick(family.conditions), family.subjects)


def _subject(condition: Clause) -> str:
    """The variable that a condition speaks of."""
    if "{v}" in condition.phrase.code:
        return condition.variable
    return "r" if condition.code.endswith(" r") or "(r)" in condition.code else "c"


def _draw_builder(draw: Draw, family: Family) -> Step:
    return Step(_fill(draw, draw.pick(family.builders), family.operands))


def _draw_action(draw: Draw, family: Family) -> Step:
    phrases = (*family.builders, *family.changes)
    return Step(_fill(draw, draw.pick(phrases), family.operands))


def _fill(draw: Draw, phrase: Phrase, variables: Sequence[str]) -> Clause:
    v, k = draw.pick(variables), draw.pick(_DIGITS)
    wording = draw.below(len(phrase.english))
    return Clause(phrase, wording, phrase.code.format(v=v, k=k), v, k)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _write_english(body: Sequence[Step | Choice], depth: int, lines: list[str]) -> None:
    pad = _INDENT * depth
    for position, node in enumerate(body):
        if isinstance(node, Step):
            word = "First" if position == 0 else "Then"
            lines.append(f"{pad}{word} {node.action.english}.")
            continue
        for number, (condition, inner) in enumerate(node.branches):
            opening = "If" if number == 0 else "Otherwise if"
            _write_consequence(f"{pad}{opening} {condition.english}", inner, depth, lines)
        if node.otherwise:
            _write_consequence(f"{pad}Otherwise", node.otherwise, depth, lines)


def _write_consequence(
    opening: str, inner: Sequence[Step | Choice], depth: int, lines: list[str]
) -> None:
    first = inner[0]
    if len(inner) == 1 and isinstance(first, Step):
        lines.append(f"{opening}, {first.action.english}.")
    else:
        lines.append(f"{opening}:")
        _write_english(inner, depth + 1, lines)


def write_code(
    body: Sequence[Step | Choice],
    depth: int,
    lines: list[str],
    condition: Callable[[Clause], str],
    action: Callable[[Clause], str],
) -> None:
    """Appends the code of some statements to `lines`.

    Args:
        body: The statements.
        depth: Levels of indentation.
        lines: The list that the lines are appended to.
        condition: What is written for a condition: an expression.
        action: What is written for an action: one statement, or several lines without indentation.
    """
    pad = _INDENT * depth
    for node in body:
        if isinstance(node, Step):
            lines += (pad + line for line in action(node.action).split("\n"))
            continue
        for number, (test, inner) in enumerate(node.branches):
            lines.append(f"{pad}{'if' if number == 0 else 'elif'} {condition(test)}:")
            write_code(inner, depth + 1, lines, condition, action)
        if node.otherwise:
            lines.append(f"{pad}else:")
            write_code(node.otherwise, depth + 1, lines, condition, action)
