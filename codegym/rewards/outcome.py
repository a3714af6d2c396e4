"""Rewards that look at the outcome of the unit tests alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from codegym.grading.verdict import Grade, Verdict

__all__ = ["BinaryReward", "PassRatioReward", "RLTFReward", "StepCoderReward"]


@dataclasses.dataclass(frozen=True, slots=True)
class StepCoderReward:
    """The four levels of CodeRL (arXiv 2207.01780) and StepCoder (arXiv 2402.01391).

    Every way of breaking off, a time, memory or output limit included, is a runtime error.

    Attributes:
        accepted: All tests pass.
        failed: The program runs, but some test fails.
        runtime_error: The program breaks off on some test.
        compile_error: The program is not a Python program.
    """

    accepted: float = 1.0
    failed: float = -0.3
    runtime_error: float = -0.6
    compile_error: float = -1.0

    def __call__(self, grade: Grade) -> Mapping[str, float]:
        """One of the four levels."""
        return {"unit_tests": self.level(grade.verdict)}

    def level(self, verdict: Verdict) -> float:
        """The level of a verdict."""
        levels = {
            Verdict.ACCEPTED: self.accepted,
            Verdict.WRONG_ANSWER: self.failed,
            Verdict.COMPILE_ERROR: self.compile_error,
        }
        return levels.get(verdict, self.runtime_error)

    @property
    def margin(self) -> float:
        """By how much every right program is better than every wrong one."""
        return self.accepted - max(self.failed, self.runtime_error, self.compile_error)


@dataclasses.dataclass(frozen=True, slots=True)
class BinaryReward:
    """1 if all tests pass, else 0 (the unit-test reward of arXiv 2410.17621)."""

    def __call__(self, grade: Grade) -> Mapping[str, float]:
        """1 or 0."""
        return {"unit_tests": float(grade.solved)}

    @property
    def margin(self) -> float:
        """By how much every right program is better than every wrong one."""
        return 1.0


@dataclasses.dataclass(frozen=True, slots=True)
class PassRatioReward:
    """Share of the tests that pass, in [0, 1]."""

    def __call__(self, grade: Grade) -> Mapping[str, float]:
        """One term, ``"pass_ratio"``: the share of the tests that passed."""
        return {"pass_ratio": grade.pass_ratio}


@dataclasses.dataclass(frozen=True, slots=True)
class RLTFReward:
    """RLTF's coarse and adaptive feedback (arXiv 2307.04349, section 3.3).

    The levels of :class:`StepCoderReward`, but a program that runs and fails some tests gets
    ``-0.3 + 1.3 * pass_ratio``, in two terms: the level and the part that the passed tests earn.
    """

    levels: StepCoderReward = dataclasses.field(default_factory=StepCoderReward)

    def __call__(self, grade: Grade) -> Mapping[str, float]:
        """The level and the adaptive part."""
        level = self.levels.level(grade.verdict)
        adaptive = 0.0
        if grade.verdict is Verdict.WRONG_ANSWER:
            adaptive = (self.levels.accepted - self.levels.failed) * grade.pass_ratio
        return {"unit_tests": level, "adaptive": adaptive}
