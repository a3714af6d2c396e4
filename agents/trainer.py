"""The loop around a method's iterations: evaluations, checkpoints, resuming, and the guard.

A method is a subclass with :meth:`Trainer.iterate`. All randomness of an iteration must be a
function of the seed and the iteration's number, so that a checkpoint needs no generator to go on
bit for bit.
"""

from __future__ import annotations

import abc
import dataclasses
import functools
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

import codegym
from agents import checkpoint
from agents.critic import Critic
from agents.engines import use_engine
from agents.environments import (
    fitting,
    load_split,
    make_envs,
    make_tokenizer,
    task_of,
)
from agents.evaluate import Evaluation, evaluation_table, greedy_and_sampled, held_out, merged
from agents.folders import recover, replacing
from agents.guard import DivergedError, Guard, GuardState, RunawayError
from agents.lora import refuse_lost_base
from agents.models import make_policy
from agents.parallel import ALONE, Processes, SharedOutcomes
from agents.policy import CausalLMPolicy
from agents.rollout_log import rollout_rows
from agents.run_settings import HELD_OUT, MAY_DIFFER, RunSettings
from agents.sequences import Sequences
from agents.telemetry import RunLogger
from codegym.envs import ProblemSampler
from codegym.errors import ConfigurationError, UnknownNameError
from codegym.problems import ProblemSet
from codegym.start_states import StartStates, make_start_states

__all__ = ["Trainer"]


_NOTICEABLE = 0.05  # of a rise and a fall of success, in [0, 1]
_CHECK_EVERY = 20  # iterations between states that are kept, where nothing is held out


class Trainer(abc.ABC):
    """A run: policy, critic, reference, optimiser, environments, and where it stands.

    Args:
        args: The settings.
        policy: Is changed. Its copy at this moment is the reference.
        critic: Is changed; None: the method does without.
        optimizer: Of policy and critic.
        problems: What is trained on.
        grader: Judges; shared, not closed here.
        logger: Keeps the scalars.
        screen: Shows progress and tables, if not `logger` does.
        reward: Of the environment, in place of the one that the settings name.
        sampler: Draws the problems, in place of the one that the settings name.
        start_states: Where episodes begin, in place of what the settings name.
        processes: Those that train this policy together.

    Raises:
        ConfigurationError: If the run to resume was made with other settings or by another number
            of processes, or if there are several and the method is made for one.
    """

    name = "PPO"
    """What the method is called on the screen."""
    for_several_processes = False
    """Whether an iteration of the method is made for several processes."""

    def __init__(
        self,
        args: RunSettings,
        *,
        policy: CausalLMPolicy,
        critic: Critic | None,
        optimizer: torch.optim.Optimizer,
        problems: ProblemSet,
        grader: codegym.Grader,
        logger: RunLogger,
        screen: RunLogger | None = None,
        reward: Any = None,
        sampler: ProblemSampler | None = None,
        start_states: StartStates | None = None,
        processes: Processes = ALONE,
    ) -> None:
        if processes.count > 1 and not self.for_several_processes:
            raise ConfigurationError(
                f"{type(self).__name__} trains with one process, got {processes.count}. Only PPO "
                "is made for several."
            )
        self.processes = processes
        self._run, self.logger, self.screen = args, logger, screen or logger
        self._tokenizer = tokenizer = make_tokenizer(args.tokenizer, args.prompt_format)
        self._grader = grader
        refuse_lost_base(policy.trunk, args.out, ("policy", "last", "good", "checkpoints"))
        self.policy, self.critic, self.optimizer = policy, critic, optimizer
        processes.copy_from_first(self._models())
        use_engine(policy, args)
        self.reference = policy.copy().requires_grad_(False).eval()
        if args.tests is not None:
            problems = problems.with_tests(args.tests)
        self.problems = problems
        self.start_states = make_start_states(start_states or args.start)
        here = dataclasses.replace(args, num_envs=processes.share("num_envs", args.num_envs))
        self.envs = make_envs(
            here,
            problems,
            start=self.start_states,
            grader=grader,
            tokenizer=tokenizer,
            reward=reward,
            sampler=sampler,
        )
        self.sampler = task_of(self.envs).sampler
        self._outcomes: SharedOutcomes | None = None
        if processes.count > 1:
            self._outcomes = SharedOutcomes(task_of(self.envs), processes)
        self.guard = Guard(enabled=args.guard, held_out=args.eval_every > 0)
        self.iteration = 0
        self.seconds = 0.0
        self.episodes = 0
        self._solved: list[float] = []  # by iteration, since the last check
        self._examine: Callable[[CausalLMPolicy], dict[str, Evaluation]] | None = None
        if args.eval_every:
            self._examine = functools.partial(
                greedy_and_sampled,
                settings=here,
                problems=processes.part_of(_held_out(args)),
                grader=grader,
                tokenizer=tokenizer,
                seed=args.seed + processes.index,
            )
        if args.resume is not None:
            self._restore(args.resume)

    @classmethod
    def make(
        cls,
        args: Any,
        *,
        grader: codegym.Grader,
        logger: RunLogger,
        screen: RunLogger | None = None,
        **objects: Any,
    ) -> Self:
        """A run with the model and the problems that the settings name.

        Args:
            args: The method's settings.
            grader: Judges; shared, not closed by the trainer.
            logger: Keeps the scalars.
            screen: Shows progress and notes, if not `logger` does.
            **objects: Further arguments of the method.

        Returns:
            A trainer that the caller closes.
        """
        tokenizer = make_tokenizer(args.tokenizer, args.prompt_format)
        policy = make_policy(args, vocab_size=tokenizer.vocab_size, seed=args.seed)
        loaded = load_split(args, split=args.split, size=args.problems, seed=args.seed)
        problems = fitting(loaded, args, tokenizer)
        if len(problems) < len(loaded):
            (screen or logger).note(
                f"{len(loaded) - len(problems)} of {len(loaded)} problems do not fit "
                f"context_length={args.context_length} and are left out."
            )
        return cls(
            args,
            policy=policy,
            problems=problems,
            grader=grader,
            logger=logger,
            screen=screen,
            **objects,
        )

    def seed(self, part: int, *, process: int = 0) -> int:
        """A seed for a part of the next iteration: of the run's seed, its number and the part.

        Args:
            part: Number of the part.
            process: Number of the process, where each is to have a seed of its own.

        Returns:
            At least 0.
        """
        parts = (self._run.seed, self.iteration, part, *([process] if process else []))
        return int(np.random.SeedSequence(parts).generate_state(1)[0])

    @abc.abstractmethod
    def iterate(self) -> dict[str, float]:
        """One iteration of the method; it counts iterations and episodes.

        Returns:
            Named scalars, ``rollout/solved`` and ``kl/reference_k1`` among them.

        Raises:
            DivergedError: If a loss is not finite. The iteration counts.
        """

    def train(self) -> None:
        """Iterations until the budget is used up, with evaluations and checkpoints between.

        At the end ``out/last`` is the last policy and ``out/policy`` the best one.

        Raises:
            RunawayError: If the run went back to its last good state too often. The best policy is
                in ``out/policy`` even then.
        """
        args = self._run
        if self.iteration == 0:
            self._check()
        while self.iteration < args.iterations:
            trouble = self.processes.from_first(self._step())
            if trouble is None and self._is_checked():
                trouble = self.processes.from_first(self._check())
            if trouble is not None:
                self._go_back(trouble)
            if args.checkpoint_every and self.iteration % args.checkpoint_every == 0:
                self.save()
        self.screen.end_progress()
        self.save()
        self._save_policy("last")
        if not args.eval_every:
            self._save_policy("policy")

    def share_outcomes(self) -> None:
        """Lets start states and sampler learn what became of the episodes of all processes.

        A method for several processes calls this when it has the grades of its rollout. In a
        process alone they have learned it already.
        """
        if self._outcomes is not None:
            self._outcomes.exchange()

    def keep_rollouts(
        self, sequences: Sequences, columns: Mapping[str, Tensor], *, temperature: float = 1.0
    ) -> None:
        """Writes some episodes to ``rollouts.jsonl``, if this iteration is one of those.

        A method calls this when it has counted the iteration. Nothing that is learned depends on
        it.

        Args:
            sequences: All episodes of the iteration.
            columns: (B, T) aligned with the tokens: what the method has of ``loss_mask``,
                ``rewards``, ``advantages``, ``values``, ``logprobs``, ``reference_logprobs``.
            temperature: Of the policy.
        """
        wanted = self._run.log_rollouts and (self.iteration == 1 or self._is_checked())
        if wanted and self.processes.is_first:
            rows = rollout_rows(
                sequences,
                columns,
                self._run.log_rollouts,
                task=task_of(self.envs),
                grader=self._grader,
                tokenizer=self._tokenizer,
                earlier=self._run.out / "good" / "policy",
                temperature=temperature,
            )
            self.logger.rollouts(self.iteration, rows)

    def _is_checked(self) -> bool:
        """Whether success is measured after this iteration."""
        every = self._run.eval_every or _CHECK_EVERY
        return self.iteration % every == 0 or self.iteration == self._run.iterations

    def save(self, folder: Path | None = None) -> Path:
        """Writes a checkpoint of everything that the next iteration depends on.

        Of several processes, which are all in the same state, the first one writes it.

        Args:
            folder: Where; by default a folder of ``out/checkpoints`` named after the iteration.

        Returns:
            The folder.
        """
        folder = folder or self._run.out / "checkpoints" / f"{self.iteration:06d}"
        if not self.processes.is_first:
            return folder
        state = checkpoint.TrainerState(
            iteration=self.iteration,
            episodes=self.episodes,
            seconds=self.seconds,
            optimizer=self.optimizer.state_dict(),
            start_states=self.start_states.state_dict(),
            sampler=self.sampler.state_dict(),
            guard=dataclasses.asdict(self.guard.state),
            solved=self._solved,
            method=self.method_state(),
            processes=self.processes.count,
        )
        checkpoint.save(
            folder,
            policy=self.policy,
            critic=self.critic,
            reference=self.reference,
            best=self._run.out / "policy",
            state=state,
            settings=dataclasses.asdict(self._run),
        )
        return folder

    def method_state(self) -> dict[str, Any]:
        """What the next iteration depends on besides: tensors and plain data; most have nothing."""
        return {}

    def load_method_state(self, state: dict[str, Any]) -> None:
        """Restores what :meth:`method_state` returned."""
        return

    def summary(self) -> str:
        """What became of the run, in a few lines."""
        state = self.guard.state
        lines = [
            f"{self.name}: {self.iteration} iterations, {self.episodes} episodes in "
            f"{self.seconds:.0f} s; the last policy is in {self._run.out / 'last'}."
        ]
        if self._run.eval_every:
            lines.append(
                f"Best on the {HELD_OUT} split: iteration {state.best_iteration}, "
                f"{100 * state.best:.1f} % (mean of greedy and sampled), in "
                f"{self._run.out / 'policy'}."
            )
        lines += [f"Went back once at {reason}" for reason in state.returns]
        lines.append(f"Its curves and rollouts as a page: codegym view {self._run.out}")
        return "\n".join(lines)

    def totals(self) -> dict[str, float]:
        """What became of the run, as named scalars."""
        state = self.guard.state
        best = {"best": state.best, "best_iteration": state.best_iteration}
        totals = {
            "iterations": self.iteration,
            "episodes": self.episodes,
            "seconds": self.seconds,
            "returns": len(state.returns),
            **(best if self._run.eval_every else {}),
        }
        return {f"summary/{name}": float(value) for name, value in totals.items()}

    def close(self) -> None:
        """Closes the environments."""
        self.envs.close()

    def _restore(self, folder: Path) -> None:
        self._require_same_settings(folder)
        state = self._load(folder)
        if state.processes != self.processes.count:
            raise ConfigurationError(
                f"{folder} was written by {state.processes} process(es) and cannot go on with "
                f"{self.processes.count}, whose episodes would be others. Launch "
                f"{state.processes}, or begin a new run from the policy with "
                f"model={str(folder / 'policy')!r}."
            )
        self.guard.state = GuardState(**state.guard)
        self.iteration, self.episodes = state.iteration, state.episodes
        self.seconds, self._solved = state.seconds, state.solved
        if self.processes.is_first:
            self._restore_files(folder)

    def _restore_files(self, folder: Path) -> None:
        out = self._run.out
        for name in ("good", "policy", "last"):
            recover(out / name)
        if (folder / "best").is_dir():
            with replacing(out / "policy") as draft:
                shutil.copytree(folder / "best", draft, dirs_exist_ok=True)
        if not self._may_go_back_to(out / "good"):
            self.save(out / "good")

    def _may_go_back_to(self, good: Path) -> bool:
        """Whether that state is of this run, and not of its future."""
        try:
            self._require_same_settings(good)
            return checkpoint.saved_iteration(good) <= self.iteration
        except ConfigurationError:  # of another run, damaged, or not there
            return False

    def _require_same_settings(self, folder: Path) -> None:
        may_differ = MAY_DIFFER if self._run.anneal else MAY_DIFFER | {"iterations"}
        checkpoint.require_settings(folder, dataclasses.asdict(self._run), may_differ=may_differ)

    def _load(self, folder: Path) -> checkpoint.TrainerState:
        """Weights, optimiser, start states and sampler of a checkpoint; not the counters."""
        state = checkpoint.load(
            folder, policy=self.policy, critic=self.critic, reference=self.reference
        )
        self.optimizer.load_state_dict(state.optimizer)
        self.start_states.load_state_dict(state.start_states)
        self.sampler.load_state_dict(state.sampler)
        self.load_method_state(state.method)
        return state

    def _step(self) -> str | None:
        """An iteration and its scalars; returns why the run must go back, if it must."""
        began = time.perf_counter()
        try:
            metrics = self.iterate()
        except DivergedError as error:
            if not self._run.guard:
                raise
            return str(error)
        self.seconds += time.perf_counter() - began
        self._solved.append(metrics["rollout/solved"])
        self.logger.scalars(
            self.iteration,
            {
                **metrics,
                "guard/returns": float(len(self.guard.state.returns)),
                "time/seconds": self.seconds,
            },
        )
        self.screen.progress(
            self.iteration / self._run.iterations,
            f"{self.name} {self.iteration}: solved {100 * metrics['rollout/solved']:.0f} %"
            f"{_stage(metrics)}, KL {metrics['kl/reference_k1']:.3f}",
        )
        return self.guard.after_iteration(metrics["kl/reference_k1"])

    def _check(self) -> str | None:
        """Measures success. A good state is kept; of any other, says why the run must go back.

        Raises:
            DivergedError: If a weight is not a finite number and there is no guard to go back.
        """
        weights = [weight for model in self._models() for weight in model.parameters()]
        if not all(bool(weight.isfinite().all()) for weight in weights):
            if self._run.guard:
                return "a weight is not a finite number"
            raise DivergedError("Expected finite weights, got NaN. Lower the learning rate.")
        solved = float(np.mean(self._solved)) if self._solved else None
        success = self._evaluate()
        if success is None:
            success = solved or 0.0
        elif solved is not None:
            self._tell_drift(success, solved)
        self._solved = []
        trouble = self.guard.after_check(success, self.iteration, solved=solved)
        if trouble is None:
            # First the policy: a state that calls this iteration the best one must not come alone.
            if self.guard.state.best_iteration == self.iteration:
                self._save_policy("policy")
            self.save(self._run.out / "good")
        return trouble

    def _tell_drift(self, success: float, solved: float) -> None:
        drift = self.guard.drift(success, solved)
        self.logger.scalars(self.iteration, drift)
        if drift and min(drift.values()) > _NOTICEABLE:
            rise, fall = (100 * value for value in drift.values())
            self.screen.note(
                f"Iteration {self.iteration}: since iteration {self.guard.state.best_iteration}, "
                f"training success rose by {rise:.0f} points and held-out success fell by "
                f"{fall:.0f}. The policy may be learning what the training tests let pass: show "
                "more of them (tests=), or more problems."
            )

    def _go_back(self, trouble: str) -> None:
        """Restores the last good state, and halves the step."""
        state = self._load(self._run.out / "good")
        self._solved = []
        try:
            self.guard.count_return(self.iteration, trouble)
        except RunawayError:
            self._save_policy("last")
            raise
        self.screen.note(
            f"Iteration {self.iteration}: {trouble}. Back to the state of iteration "
            f"{state.iteration}; learning rates x {self.guard.rate_factor:g} from here on."
        )

    def _models(self) -> list[torch.nn.Module]:
        return [self.policy] if self.critic is None else [self.policy, self.critic]

    def _save_policy(self, name: str) -> None:
        if not self.processes.is_first:
            return
        with replacing(self._run.out / name) as draft:
            self.policy.save_pretrained(draft)
            if self.critic is not None:
                self.critic.save_pretrained(draft)

    def _evaluate(self) -> float | None:
        """Mean of the greedy and the sampled pass rate on what is held out; None: nothing is."""
        if self._examine is None:
            return None
        results = self._examine(self.policy)
        if self.processes.count > 1:
            parts = self.processes.gather(results)
            results = {way: merged([part[way] for part in parts]) for way in results}
        scalars = {
            f"{name}/{level}": rate
            for name, result in results.items()
            for level, rate in result.by_level().items()
        }
        scalars |= {f"{name}/mean": result.mean_pass_at_1 for name, result in results.items()}
        self.logger.scalars(self.iteration, {**scalars, "time/seconds": self.seconds})
        done = f"iteration {self.iteration}, {self.seconds:.0f} s of {self.name}"
        title = f"{HELD_OUT}, {done}"
        self.screen.show(evaluation_table(title, results))
        return float(np.mean([result.mean_pass_at_1 for result in results.values()]))

    @property
    def rate_factor(self) -> float:
        """Factor on the learning rates: the schedule's, and the guard's after a return."""
        done = self.iteration / self._run.iterations
        return self.guard.rate_factor * (1.0 - 0.9 * done if self._run.anneal else 1.0)


def _stage(metrics: Mapping[str, float]) -> str:
    """The mean stage for the live line; nothing where start states have no stages that move."""
    name = "curriculum/mean_stage"
    return f", stage {metrics[name]:.2f}" if name in metrics else ""


def _held_out(args: RunSettings) -> ProblemSet:
    try:
        return held_out(args, split=HELD_OUT, per_level=args.eval_per_level, seed=args.seed)
    except (ConfigurationError, UnknownNameError) as error:
        raise ConfigurationError(
            f"There must be held-out problems to evaluate on, but the {HELD_OUT} split has none: "
            f"{error} Go without evaluations with eval_every=0."
        ) from error
