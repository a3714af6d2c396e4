"""The problems of CodeGen-Mini: which program is at a position, and what it is asked with.

A problem is an English comment, one line a clause, above a signature; the program says the same in
Python. Success on a long program is the product of success on its clauses. What the clauses are is
in :mod:`codegym.problems.mini.phrases`, how they compose in :mod:`codegym.problems.mini.grammar`,
what is tested in :mod:`codegym.problems.mini.cases`.

*Disjoint splits.* The SHA-256 of a program's code decides its split, so no program of the training
split can occur in another. *No repeats.* Position i of a set of plain programs belongs to variant
``i % 36``: one family with one start value. Programs of two variants always differ; in a variant,
programs with one or two conditionals that came before are skipped (until a variant is used up, far
beyond 100,000 problems); longer ones are too many to meet again. A problem takes some milliseconds
to make; with one or two conditionals, those before it in its variant are made first. The last 8,192
longer ones are kept, so that a set that is asked for again (by SFT, then by PPO) is there.

*Size.* A kind has more than 10^6 programs from three conditionals (four without a loop) on, and
Mini has more than 10^6 from two on.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Callable, Container
from typing import Any

import numpy as np

from codegym.errors import ConfigurationError, ProblemError
from codegym.problems.mini.cases import draw_tests
from codegym.problems.mini.grammar import (
    Clause,
    Draw,
    MiniProgram,
    draw_program,
    redraw_statements,
)
from codegym.problems.mini.phrases import DISPATCHING, FAMILIES, OPENING
from codegym.problems.problem import CallTest, Problem
from codegym.problems.problem_set import Summary

__all__ = ["LEVELS", "SHAPES", "SPLITS", "MiniProblems", "flawed_solution", "mini_problems"]

_Solved = tuple[MiniProgram, tuple[CallTest, ...]]

LEVELS = {"introductory": (1, 1), "interview": (2, 3), "competition": (4, 8)}
"""Difficulty to the fewest and the most conditional statements."""
SPLITS = ("train", "validation", "test")
_SPLIT_OF_HASH = ("train", "train", "validation", "test")  # a quarter each
SHAPES = {"plain": FAMILIES, "opening": OPENING, "dispatch": DISPATCHING}
"""Kinds of programs: name to families."""
_VARIANTS = {
    shape: tuple(
        (family, family.starts[turn])
        for turn in range(max(len(family.starts) for family in families))
        for family in families
        if turn < len(family.starts)
    )
    for shape, families in SHAPES.items()
}
_SUREST = 0.97
_REPAIRS = 6
_TRIALS = 64
# Characters: a plain solution and its comment are at most 320 tokens, others 410.
_LONGEST, _LONGEST_OTHERS = 850, 1100
_LONG = 3
_KEPT = 8192


def flawed_solution(problem: Problem, rng: np.random.Generator, rate: float = 1.0) -> str:
    """The program of a weak coder, who gets some clauses wrong.

    Each phrase has one typical mistake and a fixed probability of it (0.22-0.53, and 0.88-0.93 in
    openings); the same clause in two problems goes wrong equally often, and in the same way.

    Args:
        problem: A problem of :func:`load_mini`.
        rng: Decides which clauses go wrong.
        rate: Factor on the probabilities, which end at 0.97; 0 gives the canonical solution.

    Raises:
        ProblemError: If the problem is not a Mini problem.
        ConfigurationError: If `rate` is negative or above 1.8.
    """
    program = problem.metadata.get("program")
    if not isinstance(program, MiniProgram):
        raise ProblemError(
            f"Typical mistakes are known for problems of load_mini only; {problem.id!r} comes from "
            f"{problem.source!r}."
        )
    if not 0 <= rate <= 1.8:
        raise ConfigurationError(f"rate must be in [0, 1.8], got {rate!r}.")

    def write(clause: Clause) -> str:
        wrong = rng.random() < min(rate * clause.phrase.rate, _SUREST)
        return clause.flaw if wrong else clause.code

    return _comment(program) + program.code(write)


class MiniProblems:
    """The problems of one split, selection and seed by position, without an end.

    Args:
        split: One of :data:`SPLITS`.
        name: The selection's name, which the ids and the choice of programs depend on.
        ranges: Fewest and most conditional statements, which take turns.
        seed: The seed of the set.
        shape: One of :data:`SHAPES`.
    """

    def __init__(
        self,
        split: str,
        name: str,
        ranges: tuple[tuple[int, int], ...],
        seed: int,
        shape: str = "plain",
    ) -> None:
        self._arguments = (split, name, ranges, seed, shape)
        self._split, self._name, self._ranges, self._seed = split, name, ranges, seed
        self._starts = _VARIANTS[shape]
        self._longest = _LONGEST if shape == "plain" else _LONGEST_OTHERS
        self._variants: dict[int, tuple[dict[str, int], list[_Solved | None]]] = {}
        self._long: dict[int, _Solved] = {}

    def __reduce__(self) -> tuple[Callable[..., MiniProblems], tuple[Any, ...]]:
        return mini_problems, self._arguments  # what was made stays where it is

    def summary(self, position: int) -> Summary:
        """The id and difficulty of the problem at a position, which is not made for it."""
        return Summary(
            f"mini/{self._split}/{self._name}/{self._seed}/{position}",
            _level(self._conditionals(position)),
        )

    def problem(self, position: int) -> Problem:
        """The problem at a position."""
        program, tests = self._solved(position)
        comment = _comment(program)
        summary = self.summary(position)
        return Problem(
            id=summary.id,
            description="\n".join(program.english()),
            canonical_solution=comment + program.code(),
            tests=tests,
            starter_code=f"{comment}{program.header}\n",
            entry_point="f",
            difficulty=summary.difficulty,
            source="mini",
            comparison="exact",
            metadata={
                "conditionals": program.conditionals,
                "family": program.family.name,
                "program": program,
            },
        )

    def _solved(self, position: int) -> _Solved:
        """The program at a position and its tests, after those before it in its variant."""
        if self._conditionals(position) >= _LONG:
            long = self._long.pop(position, None) or self._draw_fresh(position, frozenset())
            self._long[position] = long  # the last that was asked for is the last to go
            if len(self._long) > _KEPT:
                self._long.pop(next(iter(self._long)), None)
            return long
        variant, turn = position % len(self._starts), position // len(self._starts)
        codes, solved = self._variants.setdefault(variant, ({}, []))
        while len(solved) <= turn:
            earlier = variant + len(solved) * len(self._starts)
            if self._conditionals(earlier) >= _LONG:
                solved.append(None)
                continue
            new = self._draw_fresh(earlier, codes)
            codes[new[0].code()] = earlier
            solved.append(new)
        found = solved[turn]
        assert found is not None
        return found

    def _draw_fresh(self, position: int, used: Container[str]) -> _Solved:
        """Draws until the program is of this split, not used yet, and can be tested."""
        draw = self._draw(position, "program")
        family, start = self._starts[position % len(self._starts)]
        conditionals = self._conditionals(position)

        def whole() -> MiniProgram:
            return draw_program(draw, family, start, conditionals)

        for trial in itertools.count():
            if trial == _TRIALS:
                used = frozenset()  # the variant is used up
            program = self._matching(whole, used)
            for _ in range(_REPAIRS):
                if program is None:
                    break
                tests, weak = draw_tests(draw, program)
                if not weak:
                    return program, tests
                if -1 in weak:
                    break
                repaired = functools.partial(redraw_statements, draw, program, weak)
                program = self._matching(repaired, used)
        raise AssertionError("unreachable")

    def _matching(
        self, make: Callable[[], MiniProgram], used: Container[str]
    ) -> MiniProgram | None:
        """A short enough program of this split that is not used yet; None if that takes long."""
        for _ in range(_TRIALS):
            program = make()
            code = program.code()
            fits = len(code) + len(_comment(program)) <= self._longest
            if fits and _split_of(code) == self._split and code not in used:
                return program
        return None

    def _conditionals(self, position: int) -> int:
        # Shifted by one in each round of variants, so that every variant meets every range.
        turn = position + position // len(self._starts)
        fewest, most = self._ranges[turn % len(self._ranges)]
        draw = self._draw(position, "size")
        return fewest + min(draw.below(most - fewest + 1), draw.below(most - fewest + 1))

    def _draw(self, position: int, use: str) -> Draw:
        text = f"mini 1 {self._split} {self._name} {self._seed} {position} {use}"
        return Draw(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big"))


@functools.lru_cache(16)
def mini_problems(
    split: str, name: str, ranges: tuple[tuple[int, int], ...], seed: int, shape: str
) -> MiniProblems:
    """The problems with these arguments of :class:`MiniProblems`.

    Those who ask for the same ones share what was made, whatever the size of their sets.
    """
    return MiniProblems(split, name, ranges, seed, shape)


def _split_of(code: str) -> str:
    return _SPLIT_OF_HASH[hashlib.sha256(code.encode()).digest()[0] % len(_SPLIT_OF_HASH)]


def _level(conditionals: int) -> str:
    return next(name for name, (_, most) in LEVELS.items() if conditionals <= most)


def _comment(program: MiniProgram) -> str:
    return "".join(f"# {line}\n" for line in program.english())
