"""Tests of a Mini problem: inputs on which every typical mistake shows.

All wrong versions of a program (a clause dropped, a condition always true, a boundary missed, the
typical mistakes of its phrases) are compiled together with it into one function that takes the
number of the version, so that a problem costs one compilation. Only programs that this package has
drawn are run here; programs of anyone else belong into an executor.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from codegym.problems.mini.grammar import Clause, Draw, MiniProgram, write_code
from codegym.problems.problem import CallTest

__all__ = ["draw_tests"]

_CANDIDATES, _PATIENCE = 64, 32
_FEWEST, _MOST = 5, 10
_TEXT = "aabcdeeooxABEOX27-"
_LARGEST = 10**6
_HARMLESS = {"print": lambda *_: None}


@dataclasses.dataclass(slots=True)
class _Versions:
    """Writes the function with all versions and numbers them. Version 0 is the program itself."""

    count: int = 0
    needed: set[int] = dataclasses.field(default_factory=set)

    def number(self, *, needed: bool = True) -> int:
        self.count += 1
        if needed:
            self.needed.add(self.count)
        return self.count

    def condition(self, clause: Clause) -> str:
        wrong = ["True", "False"]
        if _compiles(clause.flaw):
            wrong.append(clause.flaw)
        first = self.count + 1
        for _ in wrong:
            self.number()
        return (
            f"{clause.code} if _v < {first} or _v > {self.count} else "
            f"({', '.join(wrong)})[_v - {first}]"
        )

    def action(self, clause: Clause) -> str:
        dropped, flawed = self.number(), self.number(needed=False)
        return (
            f"if not {dropped} <= _v <= {flawed}: {clause.code}\nelif _v == {flawed}: {clause.flaw}"
        )

    def loop(self, clause: Clause) -> str:
        variable, _, values = clause.code.partition(" in ")
        text = f"{values} if _v != {self.number()} else ()"
        if clause.flaw:
            flaw = clause.flaw.partition(" in ")[2]
            text = f"{flaw} if _v == {self.number()} else {text}"
        return f"{variable} in ({text})"


def draw_tests(draw: Draw, program: MiniProgram) -> tuple[tuple[CallTest, ...], frozenset[int]]:
    """Draws inputs that tell a program from its wrong versions.

    Args:
        draw: The random generator that the inputs come from.
        program: The program that is right by definition.

    Returns:
        Five to ten calls (two more for each arm of a dispatch), and the positions of the
        statements in the program's body (-1: the opening or the loop) in which an action can be
        dropped, a condition be made constant, or a boundary be missed without any of the inputs
        showing it. The tests are fit for use if there is none.
    """
    run, versions, owners = _compile(program)
    alive = set(range(1, versions.count + 1))
    chosen: list[CallTest] = []
    spare: list[CallTest] = []
    seen: set[str] = set()
    for tried in range(_CANDIDATES):
        args = tuple(_draw_value(draw, kind) for _, kind in program.family.parameters)
        if repr(args) in seen:
            continue
        if tried >= _PATIENCE and len({owners[v] for v in alive & versions.needed}) != 1:
            break  # done, or so much is left that new statements are the better chance
        seen.add(repr(args))
        expected = run(0, *args)
        if isinstance(expected, int) and abs(expected) > _LARGEST:
            continue
        killed = {version for version in alive if _differs(run, version, args, expected)}
        alive -= killed
        (chosen if killed else spare).append(CallTest(args=args, expected=expected))
        if not alive and len(chosen) + len(spare) >= _FEWEST:
            break
    tests = (*chosen, *spare[: max(0, _FEWEST - len(chosen))])
    weak = frozenset(owners[version] for version in alive & versions.needed)
    varied = len({repr(test.expected) for test in tests}) > 1
    most = _MOST + (2 * program.conditionals if program.family.dispatches else 0)
    if not varied or not _FEWEST <= len(tests) <= most:
        weak = frozenset(range(-1, len(program.body)))
    return tests, weak


def _compile(
    program: MiniProgram,
) -> tuple[Callable[..., Any], _Versions, dict[int, int]]:
    """The function of all versions, their numbers, and the statement that each belongs to."""
    versions = _Versions()
    owners: dict[int, int] = {}
    names = ", ".join(name for name, _ in program.family.parameters)
    lines = [f"def f(_v, {names}):", f"    r = {program.start}"]
    depth = 1
    write_code(program.opening, depth, lines, versions.condition, versions.action)
    owners.update(dict.fromkeys(range(1, versions.count + 1), -1))
    if program.loop is not None:
        first = versions.count + 1
        lines.append(f"    for {versions.loop(program.loop)}:")
        depth = 2
        owners.update(dict.fromkeys(range(first, versions.count + 1), -1))
    for position, node in enumerate(program.body):
        first = versions.count + 1
        write_code((node,), depth, lines, versions.condition, versions.action)
        owners.update(dict.fromkeys(range(first, versions.count + 1), position))
    lines.append(f"    {program.last.code}")
    namespace: dict[str, Any] = dict(_HARMLESS)
    exec(compile("\n".join(lines), "<mini>", "exec"), namespace)  # our own text
    return namespace["f"], versions, owners


def _compiles(expression: str) -> bool:
    # The only mistake that is not an expression is an assignment in place of a comparison.
    return " = " not in expression


def _differs(
    run: Callable[..., Any], version: int, args: tuple[Any, ...], expected: object
) -> bool:
    try:
        return bool(run(version, *args) != expected)
    except Exception:  # a wrong version may crash in any way; that is a difference
        return True


def _draw_value(draw: Draw, kind: str) -> Any:
    if kind == "number":
        return draw.below(14) - 3
    if kind == "size":
        return draw.below(12)
    if kind == "case":
        return draw.below(8) + 1
    length = draw.below(12)
    if kind == "numbers":
        return [draw.below(14) - 3 for _ in range(length)]
    return "".join(draw.pick(_TEXT) for _ in range(length))
