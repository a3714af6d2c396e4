"""CodeGen-Mini: an endless, seeded set of small problems that needs no file.

A problem is an English comment, one line a clause, above a signature; the program says the same in
Python. Success on a long program is the product of success on its clauses. What the clauses are is
in :mod:`codegym.problems.mini_phrases`, how they compose in :mod:`codegym.problems.mini_grammar`,
what is tested in :mod:`codegym.problems.mini_cases`.

*Disjoint splits.* The SHA-256 of a program's code decides its split, so no program of the training
split can occur in another. *No repeats.* Position i of a set belongs to lane ``i % 36``: one kind
of program with one start value. Programs of two lanes always differ; in a lane, programs with one
or two conditionals that came before are skipped (until a lane is used up, far beyond 100,000
problems); longer ones are too many to meet again. A problem takes about a millisecond to make;
with one or two conditionals, those before it in its lane are made first.

*Size.* A kind has more than 10^6 programs from three conditionals (four without a loop) on, and
Mini has more than 10^6 from two on.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Callable, Container
from typing import Literal

import numpy as np

from codegym.errors import ConfigurationError, ProblemError, UnknownNameError
from codegym.problems.dataset import Head, LoadReport, ProblemSet
from codegym.problems.mini_cases import draw_tests
from codegym.problems.mini_grammar import (
    Clause,
    Draw,
    MiniProgram,
    draw_program,
    redraw_statements,
)
from codegym.problems.mini_phrases import FAMILIES
from codegym.problems.problem import CallTest, Problem

__all__ = ["flawed_solution", "load_mini"]

_Solved = tuple[MiniProgram, tuple[CallTest, ...]]

_LEVELS = {"introductory": (1, 1), "interview": (2, 3), "competition": (4, 8)}
_SPLITS = ("train", "train", "validation", "test")  # by the code's hash, a quarter each
_LANES = tuple(
    (family, family.starts[turn])
    for turn in range(max(len(family.starts) for family in FAMILIES))
    for family in FAMILIES
    if turn < len(family.starts)
)
_REPAIRS = 6
_TRIALS = 64
_CACHED = 16_384  # problems; some 6 kB each
_LONGEST = 850  # characters, so that a solution and its comment are at most 320 tokens
_LONG = 3


def load_mini(
    *,
    split: Literal["train", "validation", "test"] = "train",
    difficulty: Literal["introductory", "interview", "competition"] | None = None,
    conditionals: tuple[int, int] | None = None,
    size: int = 10_000,
    seed: int = 0,
) -> ProblemSet:
    """A set of Mini problems, each generated when it is asked for.

    The problem at a position depends on `seed`, `split`, the selection and the position alone, not
    on `size`, the process or the version of Python.

    Args:
        split: Which of three sets of programs that have none in common.
        difficulty: ``"introductory"`` (1 conditional statement), ``"interview"`` (2-3) or
            ``"competition"`` (4-8). None: the three levels in turn.
        conditionals: Fewest and most conditional statements (1-8), in place of a difficulty.
        size: Number of problems.
        seed: Of the set; not negative.

    Raises:
        UnknownNameError: If there is no such split or difficulty.
        ConfigurationError: If `size` or `seed` is negative or no whole number, `conditionals` is no
            range within 1 to 8, or comes together with a difficulty.
    """
    if split not in _SPLITS:
        raise UnknownNameError("split of Mini", split, set(_SPLITS))
    if difficulty is not None and difficulty not in _LEVELS:
        raise UnknownNameError("difficulty of Mini", difficulty, _LEVELS)
    if not (_is_natural(size) and _is_natural(seed)):
        raise ConfigurationError(
            "size and seed of Mini must be whole numbers of 0 or more, got "
            f"size={size!r}, seed={seed!r}."
        )
    ranges: tuple[tuple[int, int], ...]
    if conditionals is not None:
        if difficulty is not None:
            raise ConfigurationError(
                "Mini takes a difficulty or a range of conditionals, not both: got "
                f"difficulty={difficulty!r} and conditionals={conditionals!r}."
            )
        if not 1 <= conditionals[0] <= conditionals[1] <= 8:
            raise ConfigurationError(
                "conditionals must be (fewest, most) with 1 <= fewest <= most <= 8, got "
                f"{conditionals!r}."
            )
        ranges, name = (conditionals,), f"{conditionals[0]}-{conditionals[1]}"
    elif difficulty is not None:
        ranges, name = (_LEVELS[difficulty],), difficulty
    else:
        ranges, name = tuple(_LEVELS.values()), "mixed"
    source = _MiniSource(split, name, ranges, seed)
    report = LoadReport("mini", size, size)
    return ProblemSet(size, source.problem, head=source.head, report=report, cached=_CACHED)


def flawed_solution(problem: Problem, rng: np.random.Generator, rate: float = 1.0) -> str:
    """The program of a weak coder, who gets some clauses wrong.

    Each phrase has one typical mistake and a fixed probability of it (0.22-0.53); the same clause
    in two problems goes wrong equally often, and in the same way.

    Args:
        problem: A problem of :func:`load_mini`.
        rng: Decides which clauses go wrong.
        rate: Factor on the probabilities; 0 gives the canonical solution.

    Raises:
        ProblemError: If the problem is no Mini problem.
        ConfigurationError: If `rate` is negative or makes a probability exceed 1.
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
        wrong = rng.random() < rate * clause.phrase.rate
        return clause.flaw if wrong else clause.code

    return _comment(program) + program.code(write)


class _MiniSource:
    """The problems of one split, selection and seed by position."""

    def __init__(
        self, split: str, name: str, ranges: tuple[tuple[int, int], ...], seed: int
    ) -> None:
        self._split, self._name, self._ranges, self._seed = split, name, ranges, seed
        self._lanes: dict[int, tuple[dict[str, int], list[_Solved | None]]] = {}

    def head(self, position: int) -> Head:
        return Head(
            f"mini/{self._split}/{self._name}/{self._seed}/{position}",
            _level(self._conditionals(position)),
        )

    def problem(self, position: int) -> Problem:
        program, tests = self._solved(position)
        comment = _comment(program)
        head = self.head(position)
        return Problem(
            id=head.id,
            description="\n".join(program.english()),
            canonical_solution=comment + program.code(),
            tests=tests,
            starter_code=f"{comment}{program.header}\n",
            entry_point="f",
            difficulty=head.difficulty,
            source="mini",
            comparison="exact",
            metadata={
                "conditionals": program.conditionals,
                "family": program.family.name,
                "program": program,
            },
        )

    def _solved(self, position: int) -> _Solved:
        """The program at a position and its tests, after those before it in its lane."""
        if self._conditionals(position) >= _LONG:
            return self._draw_fresh(position, frozenset())
        lane, turn = position % len(_LANES), position // len(_LANES)
        codes, solved = self._lanes.setdefault(lane, ({}, []))
        while len(solved) <= turn:
            earlier = lane + len(solved) * len(_LANES)
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
        family, start = _LANES[position % len(_LANES)]
        conditionals = self._conditionals(position)

        def whole() -> MiniProgram:
            return draw_program(draw, family, start, conditionals)

        for trial in itertools.count():
            if trial == _TRIALS:
                used = frozenset()  # the lane is used up
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
            fits = len(code) + len(_comment(program)) <= _LONGEST
            if fits and _split_of(code) == self._split and code not in used:
                return program
        return None

    def _conditionals(self, position: int) -> int:
        # Shifted by one in each round of lanes, so that every lane meets every range.
        turn = position + position // len(_LANES)
        fewest, most = self._ranges[turn % len(self._ranges)]
        draw = self._draw(position, "size")
        return fewest + min(draw.below(most - fewest + 1), draw.below(most - fewest + 1))

    def _draw(self, position: int, use: str) -> Draw:
        text = f"mini 1 {self._split} {self._name} {self._seed} {position} {use}"
        return Draw(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big"))


def _is_natural(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and int(value) >= 0


def _split_of(code: str) -> str:
    return _SPLITS[hashlib.sha256(code.encode()).digest()[0] % len(_SPLITS)]


def _level(conditionals: int) -> str:
    return next(name for name, (_, most) in _LEVELS.items() if conditionals <= most)


def _comment(program: MiniProgram) -> str:
    return "".join(f"# {line}\n" for line in program.english())
