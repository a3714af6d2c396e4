"""What every run has, whatever its method: the settings of :mod:`agents.trainer`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from agents.command import refuse_unused
from agents.environments import TaskSettings
from agents.models import ModelSettings
from agents.tracking import TrackerName
from codegym.errors import ConfigurationError
from codegym.start_states import make_start_states

__all__ = ["HELD_OUT", "MAY_DIFFER", "RunSettings"]

HELD_OUT = "validation"
"""The split that evaluations on the way use."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunSettings(TaskSettings, ModelSettings):
    """What every run has, whatever its method."""

    problems: int = 2048
    """size of the training set; 0: all"""
    tests: int | None = None
    """how many of a problem's unit tests judge a program in training; None: all. What is held out
    is judged by all"""
    start: str = "cccs"
    """"cccs", "empty", "uniform", or another start distribution of codegym"""
    iterations: int = 120
    """budget; iterations whose outcome was thrown away count as well"""
    anneal: bool = True
    """learning rates fall linearly to a tenth over the budget"""
    seed: int = 0
    """of problems, episodes, minibatches and random weights"""
    threads: int = 1
    """of torch, for each model that is computed"""
    device: str = "cpu"
    """of policy and reference; each of several processes has the one that accelerate gives it"""
    eval_every: int = 20
    """iterations between evaluations on held-out problems, which choose the best policy and show a
    collapse; 0: none, so the guard looks at training success and the last policy is the best"""
    eval_per_level: int = 60
    """problems a difficulty in these evaluations, of the validation split"""
    guard: bool = True
    """whether a run that goes wrong goes back to its last good state, with half the step"""
    checkpoint_every: int = 0
    """iterations between checkpoints; 0: only at the end"""
    log_rollouts: int = 16
    """episodes kept in rollouts.jsonl, for `codegym view`, of the first iteration and of each that
    an evaluation follows; 0: none"""
    track: TrackerName | None = None
    """"wandb" or "trackio", where it is installed: gets settings, scalars and totals as well"""
    resume: Path | None = None
    """checkpoint folder to go on from, such as runs/ppo/checkpoints/000040; other settings are
    taken from it"""
    dry_run: bool = False
    """only print what memory and work the run would take"""
    out: Path = Path("runs/ppo")
    """gets policy/ (the best), last/, good/ (the last state that passed the guard), checkpoints/,
    scalars.jsonl, rollouts.jsonl, tensorboard/, log.txt"""

    def refuse_meaningless_run(self) -> None:
        """Refuses what would have no meaning or no effect.

        Raises:
            ConfigurationError: If there is such a setting.
        """
        if self.iterations < 1:
            raise ConfigurationError(
                f"A run needs a budget of at least one iteration, got iterations={self.iterations}."
            )
        for name in ("eval_every", "checkpoint_every", "log_rollouts"):
            if getattr(self, name) < 0:
                raise ConfigurationError(f"{name} must be 0 or more, got {getattr(self, name)}.")
        if self.eval_every and self.split in (None, HELD_OUT):
            raise ConfigurationError(
                f"What is held out must not be trained on, but split={self.split!r} has the "
                f"problems of the {HELD_OUT} split. Train on another split, or go without "
                "evaluations with eval_every=0."
            )
        self.refuse_unused_task()
        self.refuse_unused_model()
        make_start_states(self.start)  # refused before anything is loaded
        if self.prompt_format == "answer" and self.start != "empty":
            raise ConfigurationError(
                'prompt_format="answer" asks for an answer in which the program is found, so no '
                'start state can begin the program. Give start="empty" with it, or '
                f'prompt_format="chat", whose answer begins with the program; got '
                f"start={self.start!r}."
            )
        refuse_unused(self, ("eval_per_level",), self.eval_every > 0, "eval_every > 0")


MAY_DIFFER = frozenset(
    {"resume", "out", "threads", "workers", "device", "judging", "microbatch_tokens"}
    | {"checkpoint_every", "gradient_checkpointing", "log_rollouts", "dry_run", "track"}
    | {"vllm_memory"}
)
"""Settings that a resumed run may change: none of them decides what is learned."""
