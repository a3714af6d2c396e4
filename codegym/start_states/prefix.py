"""Start distributions without memory: empty, uniform over conditionals, by line, a given list."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from codegym.errors import StartStateError
from codegym.programs.program import Program
from codegym.programs.syntax import CONDITIONALS, conditional_starts
from codegym.start_states.start_state import Reference, StartState, whole_stage

__all__ = ["EmptyPrefix", "GivenPrefixes", "LinePrefixes", "MemorylessStarts", "UniformPrefixes"]


class MemorylessStarts(abc.ABC):
    """Base of distributions that draw uniformly from a fixed list of prefixes and learn nothing."""

    @abc.abstractmethod
    def prefixes(self, reference: Reference) -> Sequence[str]:
        """The prefixes by stage, shortest first; the first is empty."""

    def num_stages(self, reference: Reference) -> int:
        """Number of prefixes to draw from."""
        return len(self.prefixes(reference))

    def draw(
        self, reference: Reference, rng: np.random.Generator, stage: int | None = None
    ) -> StartState:
        """Draws uniformly, or returns the start state of a given stage."""
        prefixes = self.prefixes(reference)
        if stage is None:
            stage = int(rng.integers(len(prefixes)))
        stage = whole_stage(reference, stage, len(prefixes))
        return StartState(prefixes[stage], stage, len(prefixes))

    def update(self, reference: Reference, start: StartState, *, solved: bool) -> None:
        """Does nothing: the distribution has no memory."""
        return

    def describe(self, reference: Reference) -> Mapping[str, float]:
        """Only the number of stages: nothing else is known."""
        return {"num_stages": self.num_stages(reference)}

    def state_dict(self) -> dict[str, Any]:
        """Only the kind of the distribution, which learns nothing."""
        return {"kind": type(self).__name__}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Checks the kind; there is nothing else to restore."""
        check_kind(self, state)


class EmptyPrefix(MemorylessStarts):
    """Ordinary reinforcement learning: every episode starts from the prompt alone."""

    def prefixes(self, reference: Reference) -> Sequence[str]:
        """Only the empty prefix."""
        return ("",)


class UniformPrefixes(MemorylessStarts):
    """Uniform over the conditionals of the solution and the empty prefix.

    The baseline that a curriculum has to beat: the same start states, without any order.
    """

    needs_solutions = True

    def __init__(self, kinds: tuple[str, ...] = CONDITIONALS) -> None:
        self.kinds = tuple(kinds)

    def prefixes(self, reference: Reference) -> Sequence[str]:
        """The empty prefix, then one prefix for each further conditional."""
        return ["", *conditional_prefixes(reference, self.kinds)[1:]]


class LinePrefixes(MemorylessStarts):
    """Uniform over the lines of the solution: a prefix ends before any one of them."""

    needs_solutions = True

    def prefixes(self, reference: Reference) -> Sequence[str]:
        """The empty prefix, then one prefix for each further non-blank line."""
        rest = Program(reference.rest)
        cuts = [rest.line_start(line) for line in range(1, rest.num_lines + 1)]
        return [
            rest.source[:cut].decode()
            for cut in cuts
            if cut == 0 or rest.source[cut : rest.line_end(rest.line_at(cut))].strip()
        ]


class GivenPrefixes(MemorylessStarts):
    """Uniform over a given list for each problem; the empty prefix for problems not named.

    Args:
        prefixes: Problem id to prefixes of its canonical program (after the prompt's header).

    Attributes:
        problem_ids: The problems that are named. An environment refuses one that it does not have.
    """

    def __init__(self, prefixes: Mapping[str, Sequence[str]]) -> None:
        self.problem_ids = tuple(prefixes)
        self._prefixes = {key: sorted({"", *value}, key=len) for key, value in prefixes.items()}

    def prefixes(self, reference: Reference) -> Sequence[str]:
        """The given prefixes, the empty one included.

        Raises:
            StartStateError: If one is not a prefix of the canonical program.
        """
        given = self._prefixes.get(reference.problem_id, [""])
        for prefix in given:
            check_prefix(reference, prefix)
        return given


def conditional_prefixes(reference: Reference, kinds: tuple[str, ...]) -> list[str]:
    """The code before each conditional after the header, in order of position."""
    source = reference.program.encode()
    header = len(reference.header.encode())
    starts = conditional_starts(reference.program, kinds)
    return [source[header:start].decode() for start in starts if start >= header]


def check_prefix(reference: Reference, prefix: str) -> None:
    """Raises a StartStateError if `prefix` does not begin the code that is left to write."""
    rest = reference.rest
    if rest.startswith(prefix):
        return
    same = next(
        (i for i, (a, b) in enumerate(zip(prefix, rest, strict=False)) if a != b), len(rest)
    )
    raise StartStateError(
        f"The given code is not a prefix of the canonical solution of problem "
        f"{reference.problem_id!r}: they part at character {same}, where the solution has "
        f"{rest[same : same + 20]!r} and the given code {prefix[same : same + 20]!r}."
    )


def check_kind(starts: object, state: Mapping[str, Any]) -> None:
    """Raises a StartStateError if `state` was saved by another kind of distribution."""
    kind = type(starts).__name__
    if state.get("kind") != kind:
        raise StartStateError(
            f"Expected the saved state of a {kind}, got that of {state.get('kind')!r}. Make the "
            "environment with the start distribution that the checkpoint was trained with."
        )
