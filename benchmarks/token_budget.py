"""Runs with a budget in generated tokens, evaluated on the way, that go on when cut off."""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from gymnasium.vector import VectorEnv, VectorWrapper

import codegym
from agents import ppo
from agents.checkpoint import saved_iteration
from agents.environments import make_grader
from agents.evaluate import Evaluation
from agents.run_settings import RunSettings
from agents.telemetry import RunLogger
from agents.trainer import Trainer
from benchmarks.runs import measured
from codegym.problems import ProblemSet
from codegym.programs import conditional_starts

__all__ = ["Done", "PPOToBudget", "TokenBudget", "count_starts", "run_to_budget"]

Settings_contra = TypeVar("Settings_contra", bound=RunSettings, contravariant=True)
Settings = TypeVar("Settings", bound=RunSettings)


class CountTokens(VectorWrapper):
    """Counts what is written in the sub-environments, whoever asks for it and whatever for.

    Args:
        envs: A vector env of codegym without autoreset.
    """

    def __init__(self, envs: VectorEnv[Any, Any, Any]) -> None:
        super().__init__(envs)
        self._before = 0
        self._given = 0
        self._now: Any = None

    @property
    def tokens(self) -> int:
        """Generated so far; tokens of prompts and of given prefixes are not."""
        if self._now is None:
            return self._before
        return self._before + int(self._now["attention_mask"].sum()) - self._given

    def reset(self, **given: Any) -> Any:
        """Resets, and books what was written since the last time."""
        self._before = self.tokens
        self._now, infos = self.env.reset(**given)
        # Also of episodes that a mask leaves as they were: their tokens are booked.
        self._given = int(self._now["attention_mask"].sum())
        return self._now, infos

    def step(self, actions: Any) -> Any:
        """Steps."""
        found = self.env.step(actions)
        self._now = found[0]
        return found


class TokenBudget(Trainer):
    """A method whose budget is in generated tokens; stands before the method among the bases.

    Attributes:
        budget: Over it, learning rates fall to a tenth.
    """

    budget = 0.0

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._earlier = 0.0
        self.envs = self._counted = CountTokens(self.envs)

    @property
    def tokens(self) -> float:
        """Generated so far, in completions and comparisons as in the episodes of the rollouts."""
        return self._earlier + self._counted.tokens

    def continue_from(self, tokens: float) -> None:
        """Takes it that so many tokens were generated before this run was resumed."""
        self._earlier = tokens

    @property
    def rate_factor(self) -> float:
        """Of the learning rates: falls to a tenth over the budget."""
        return 1.0 - 0.9 * min(1.0, self.tokens / self.budget)


class PPOToBudget(TokenBudget, ppo.PPO):
    """PPO whose budget is in generated tokens."""


class _MakeTrainer(Protocol[Settings_contra]):
    def __call__(
        self, settings: Settings_contra, grader: codegym.Grader, logger: RunLogger, /
    ) -> TokenBudget: ...


@dataclasses.dataclass
class Done:
    """What a run has done, up to its last evaluation; it stands beside the state to go on from.

    Attributes:
        point: Of the last evaluation; -1 before the first.
        tokens: Generated so far.
        curve: Of each evaluation: ``tokens``, ``iteration``, ``episodes``, pass@1 ``sampled`` and
            ``greedy``, and the scalars that are watched.
        by_conditionals: Mode -> number of conditionals -> pass@1, at the last evaluation.
        cpu_seconds: Of the process, without the workers that run programs.
    """

    point: int = -1
    tokens: float = 0.0
    curve: list[dict[str, float]] = dataclasses.field(default_factory=list)
    by_conditionals: dict[str, dict[str, float]] = dataclasses.field(default_factory=dict)
    cpu_seconds: float = 0.0

    @classmethod
    def read(cls, folder: Path) -> Done:
        """Of a run's folder; of an empty one, nothing is done."""
        path = folder / "done.json"
        return cls(**json.loads(path.read_text())) if path.is_file() else cls()

    def write(self, folder: Path) -> None:
        """Whole or not at all; the states before the last are not needed any more."""
        draft = folder / "done.json.draft"
        draft.write_text(json.dumps(dataclasses.asdict(self)))
        draft.replace(folder / "done.json")
        for point in range(self.point):
            shutil.rmtree(folder / f"state-{point}", ignore_errors=True)


def run_to_budget(
    make: _MakeTrainer[Settings],
    settings: Settings,
    test: ProblemSet,
    *,
    tokens: float,
    points: int,
    samples: int,
    watched: Sequence[str] = (),
) -> Done:
    """A run, or the rest of one that was cut off.

    Its policies at the evaluations are kept in ``settings.out / "point-0"``, ``point-1`` and so on;
    that it was started is kept beside ``settings.out``, for :func:`count_starts`.

    Args:
        make: Makes the trainer from settings, grader and logger.
        settings: Of the run; their seed decides the samples of the evaluations as well.
        test: Problems that it is evaluated on.
        tokens: The budget; learning rates fall linearly to a tenth over it.
        points: Evaluations after the one at the beginning, at equal distances in tokens.
        samples: Sampled programs a problem.
        watched: Scalars of the iterations that the curve keeps.

    Returns:
        What was done, all points of it.
    """
    done = Done.read(settings.out)
    _note_start(settings.out, done.point)
    if done.point >= 0:
        settings = dataclasses.replace(settings, resume=settings.out / f"state-{done.point}")
    resume_at = None if settings.resume is None else saved_iteration(settings.resume) + 1
    with (
        make_grader(settings) as grader,
        RunLogger(settings.out, quiet=True, resume_at=resume_at) as logger,
    ):
        trainer = make(settings, grader, logger)
        try:
            trainer.budget = float(tokens)
            trainer.continue_from(done.tokens)
            scalars: dict[str, float] = {}
            for point in range(done.point + 1, points + 1):
                before = time.process_time()
                while trainer.tokens < point * tokens / points:
                    scalars = trainer.iterate()
                    logger.scalars(trainer.iteration, scalars)
                found = measured(
                    trainer.policy, settings, test, seed=settings.seed, samples=samples
                )
                done.curve.append(
                    {
                        "tokens": trainer.tokens,
                        "iteration": trainer.iteration,
                        "episodes": trainer.episodes,
                        **{mode: _rate(evaluation) for mode, evaluation in found.items()},
                        **{name: scalars[name] for name in watched if name in scalars},
                    }
                )
                trainer.policy.save_pretrained(settings.out / f"point-{point}")
                done.point, done.tokens = point, trainer.tokens
                done.by_conditionals = _by_conditionals(test, found)
                done.cpu_seconds += time.process_time() - before
                trainer.save(settings.out / f"state-{point}")
                done.write(settings.out)
        finally:
            trainer.close()
    return done


def count_starts(runs: Path) -> int:
    """How many runs in this folder were begun, finished or not; going on with one is no start."""
    path = runs / _STARTS
    begun = map(json.loads, path.read_text().splitlines() if path.is_file() else ())
    return sum(one.get("after_point", -1) < 0 for one in begun)


_STARTS = "starts.jsonl"


def _note_start(folder: Path, point: int) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / _STARTS).open("a") as log:
        begun = {"run": folder.name, "after_point": point, "time": int(time.time())}
        log.write(json.dumps(begun) + "\n")


def _solved(found: Evaluation) -> dict[str, float]:
    """Problem id -> share of its programs that passed, of all levels together."""
    return {name: n / level.samples for level in found.levels for name, n in level.solved.items()}


def _rate(found: Evaluation) -> float:
    """pass@1, all problems alike; the mean over levels would weigh those of a rare one more."""
    return float(np.mean([*_solved(found).values()]))


def _by_conditionals(test: ProblemSet, found: dict[str, Evaluation]) -> dict[str, dict[str, float]]:
    """Mode -> number of conditionals -> pass@1."""
    of = {problem.id: len(conditional_starts(problem.canonical_solution or "")) for problem in test}
    rates: dict[str, dict[str, float]] = {}
    for mode, result in found.items():
        solved = _solved(result)
        for number in sorted(set(of.values())):
            mine = [share for name, share in solved.items() if of[name] == number]
            rates.setdefault(mode, {})[str(number)] = sum(mine) / len(mine)
    return rates
