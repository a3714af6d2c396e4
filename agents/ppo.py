"""PPO with CCCS start states and FGO loss masks (StepCoder, arXiv 2402.01391).

Every iteration: rollout, log-probabilities of policy and reference, advantages, update, log. The
environment owns the start states and the loss masks; this file only passes them on. A guard sends a
run that goes wrong back to its last good state.

What differs from the paper:

1. Its clip of 0.8 is taken for one of the *reward* (``reward_clip``, off); the ratio clip is 0.2.
2. gamma, lambda, epochs and batch size are not told there; here 1, 1, 1 and 128.
3. Sampling is at temperature 1 without nucleus, so that the sampler is the policy that is learned.
4. Value loss, KL and advantages are not masked by FGO (``mask_value``, ``mask_kl``).
5. The first updates change only the critic, which has a trunk of its own.
6. The KL penalty is a term of the loss (``kl="loss"``), not of the reward.

    python -m agents.ppo --model runs/sft --iterations 120 --out runs/ppo
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium.vector import VectorEnv

import codegym
from agents import checkpoint
from agents.command import command_line, main, refuse_unused, set_up_torch
from agents.environments import (
    TaskSettings,
    fitting,
    load_split,
    make_envs,
    make_grader,
    make_tokenizer,
)
from agents.evaluate import Evaluation, evaluate, evaluation_table, held_out
from agents.guard import Guard, GuardSettings, GuardState, RunawayError
from agents.models import ModelSettings, make_policy
from agents.policy import CausalLMPolicy
from agents.prm.reinforce import (
    RewardModelSettings,
    load_reward_model,
    make_dense_reward,
    with_critic,
)
from agents.rollout import Sampling, Written, write
from agents.rollout_metrics import rollout_metrics
from agents.stages import stage_metrics
from agents.telemetry import RunLogger
from agents.update import DivergedError, PPOSettings, make_optimizer, prepare, score, update
from codegym.errors import ConfigurationError, UnknownNameError
from codegym.problems import ProblemSet
from codegym.start_states import CurriculumOfSubtasks, StartStates

__all__ = ["Args", "Trainer", "make_start", "make_trainer", "run"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args(TaskSettings, ModelSettings, PPOSettings, RewardModelSettings, GuardSettings):
    """PPO on programs."""

    problems: int = 2048
    """size of the training set; 0: all"""
    start: str = "cccs"
    """"cccs", "empty", "uniform", or another start distribution of codegym"""
    cccs_threshold: float = 0.6
    """moving average of success above which a problem's start state moves back"""
    cccs_alpha: float = 0.2
    """weight of the newest episode in that average"""
    episodes: int = 128
    """per iteration"""
    iterations: int = 120
    """budget; iterations whose outcome was thrown away count as well"""
    anneal: bool = True
    """learning rates fall linearly to a tenth over the budget"""
    top_p: float = 1.0
    """nucleus of the rollouts; less than 1 is slightly off-policy"""
    seed: int = 0
    """of problems, episodes, minibatches and random weights"""
    threads: int = 1
    """of torch, for each model that is computed"""
    device: str = "cpu"
    """of policy and reference"""
    eval_every: int = 20
    """iterations between evaluations on held-out problems, which choose the best policy and show a
    collapse; 0: none, so the guard looks at training success and the last policy is the best"""
    eval_split: str = "validation"
    """what is held out"""
    eval_per_level: int = 60
    """problems a difficulty in these evaluations"""
    checkpoint_every: int = 0
    """iterations between checkpoints; 0: only at the end"""
    resume: Path | None = None
    """checkpoint folder to go on from, such as runs/ppo/checkpoints/000040; other settings are
    taken from it"""
    out: Path = Path("runs/ppo")
    """gets policy/ (the best), last/, good/ (the last state that passed the guard), checkpoints/,
    scalars.jsonl, tensorboard/, log.txt"""

    def __post_init__(self) -> None:
        """Refuses what would have no meaning or no effect."""
        if self.iterations < 1:
            raise ConfigurationError(
                f"PPO needs a budget of at least one iteration, got iterations={self.iterations}."
            )
        for name in ("episodes", "epochs", "minibatches", "num_envs"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} must be 1 or more, got {getattr(self, name)}.")
        for name in ("eval_every", "checkpoint_every", "warmup_updates"):
            if getattr(self, name) < 0:
                raise ConfigurationError(f"{name} must be 0 or more, got {getattr(self, name)}.")
        if self.eval_every and self.split in (None, self.eval_split):
            raise ConfigurationError(
                f"What is held out must not be trained on, but split={self.split!r} has the "
                f"problems of eval_split={self.eval_split!r} as well. Train on another split, or "
                "go without evaluations with eval_every=0."
            )
        self.refuse_meaningless()
        self.refuse_unused_task()
        self.refuse_unused_model()
        cccs = self.start == "cccs"
        refuse_unused(self, ("cccs_threshold", "cccs_alpha"), cccs, 'start="cccs"')
        refuse_unused(self, ("eval_split", "eval_per_level"), self.eval_every > 0, "eval_every > 0")
        bounds = ("max_kl", "lowest_success", "backoff", "max_returns")
        refuse_unused(self, bounds, self.guard, "guard=True")


_MAY_DIFFER = frozenset(
    {"resume", "out", "threads", "workers", "device", "judging", "microbatch_tokens"}
    | {"checkpoint_every", "gradient_checkpointing"}
)
"""Settings that a resumed run may change: none of them decides what is learned."""
_CHECK_EVERY = 20  # iterations between states that are kept, where nothing is held out


class Trainer:
    """A run: policy, reference, optimiser, environments, and where it stands.

    All randomness of an iteration is a function of the seed and the iteration's number, so a
    checkpoint needs no generator to go on bit for bit.

    Args:
        args: The command line.
        policy: Is changed. Its copy at this moment is the reference.
        problems: What is trained on.
        grader: Judges; shared, not closed here.
        logger: Keeps the scalars.
        screen: Shows progress and tables, if not `logger` does.
        reward: Of the environment, in place of the one that the command line names.

    Raises:
        ConfigurationError: If the run to resume was made with other settings.
    """

    def __init__(
        self,
        args: Args,
        *,
        policy: CausalLMPolicy,
        problems: ProblemSet,
        grader: codegym.Grader,
        logger: RunLogger,
        screen: RunLogger | None = None,
        reward: Any = None,
    ) -> None:
        self.args, self.logger, self.screen = args, logger, screen or logger
        tokenizer = make_tokenizer(args.tokenizer)
        self.policy = policy.to(args.device).eval()
        # Nobody asks the reference for values, so it goes without a critic.
        self.reference = CausalLMPolicy(
            copy.deepcopy(self.policy.trunk), vocab_size=self.policy.vocab_size
        )
        self.reference.requires_grad_(False).eval()
        self.optimizer = make_optimizer(self.policy, args)
        self.problems = problems
        self.start_states = make_start(args)
        self.envs = make_envs(
            args,
            problems,
            start=self.start_states,
            grader=grader,
            tokenizer=tokenizer,
            reward=reward,
        )
        self.guard = Guard(args, held_out=args.eval_every > 0)
        self.iteration = 0
        self.seconds = 0.0
        self.episodes = 0
        self._solved: list[float] = []  # by iteration, since the last check
        self._held_out: tuple[VectorEnv[Any, Any, Any], ProblemSet] | None = None
        if args.eval_every:
            held = _held_out(args)
            envs = make_envs(args, held, start="empty", grader=grader, tokenizer=tokenizer)
            self._held_out = (envs, held)
        if args.resume is not None:
            self._restore(args.resume)

    def train(self) -> None:
        """Iterations until the budget is used up, with evaluations and checkpoints between.

        At the end ``out/last`` is the last policy and ``out/policy`` the best one.

        Raises:
            RunawayError: If the run went back to its last good state too often. The best policy is
                in ``out/policy`` even then.
        """
        args = self.args
        if self.iteration == 0:
            self._check()
        while self.iteration < args.iterations:
            trouble = self._step()
            every = args.eval_every or _CHECK_EVERY
            due = self.iteration % every == 0 or self.iteration == args.iterations
            if trouble is None and due:
                trouble = self._check()
            if trouble is not None:
                self._go_back(trouble)
            if args.checkpoint_every and self.iteration % args.checkpoint_every == 0:
                self.save()
        self.screen.end_progress()
        self.save()
        self._save_policy("last")
        if not args.eval_every:
            self._save_policy("policy")

    def iterate(self) -> dict[str, float]:
        """One iteration.

        Returns:
            Named scalars.

        Raises:
            DivergedError: If a loss is not finite. The iteration counts.
        """
        args = self.args
        self._set_learning_rates()
        written = self._write()
        began = time.perf_counter()
        # Meanwhile the last programs are judged.
        scores = score(self.policy, self.reference, written.tokens, args)
        score_seconds = time.perf_counter() - began
        rollout = written.finish()
        batch = prepare(scores, rollout.sequences, args)
        began = time.perf_counter()
        shuffle = torch.Generator().manual_seed(_seed(args.seed, self.iteration, 1))
        self.iteration += 1
        self.episodes += len(rollout.sequences.reward)
        stats = update(
            self.policy,
            self.optimizer,
            batch,
            args,
            shuffle,
            value_only=self.iteration <= args.warmup_updates,
        )
        update_seconds = time.perf_counter() - began
        return {
            **rollout_metrics(rollout),
            **stage_metrics(self.start_states, self.envs, self.problems),
            **batch.metrics,
            **stats,
            "time/logprobs": score_seconds,
            "time/update": update_seconds,
            "time/episodes": float(self.episodes),
        }

    def save(self, folder: Path | None = None) -> Path:
        """Writes a checkpoint of everything that the next iteration depends on.

        Args:
            folder: Where; by default a folder of ``out/checkpoints`` named after the iteration.

        Returns:
            The folder.
        """
        folder = folder or self.args.out / "checkpoints" / f"{self.iteration:06d}"
        state = checkpoint.TrainerState(
            iteration=self.iteration,
            episodes=self.episodes,
            seconds=self.seconds,
            optimizer=self.optimizer.state_dict(),
            start_states=self.start_states.state_dict(),
            guard=dataclasses.asdict(self.guard.state),
            solved=self._solved,
        )
        checkpoint.save(
            folder,
            policy=self.policy,
            reference=self.reference,
            best=self.args.out / "policy",
            state=state,
            settings=dataclasses.asdict(self.args),
        )
        return folder

    def summary(self) -> str:
        """What became of the run, in a few lines."""
        state = self.guard.state
        lines = [
            f"PPO: {self.iteration} iterations, {self.episodes} episodes in {self.seconds:.0f} s; "
            f"the last policy is in {self.args.out / 'last'}."
        ]
        if self.args.eval_every:
            lines.append(
                f"Best on the {self.args.eval_split} split: iteration {state.best_iteration}, "
                f"{100 * state.best:.1f} % (mean of greedy and sampled), in "
                f"{self.args.out / 'policy'}."
            )
        lines += [f"Went back once at {reason}" for reason in state.returns]
        return "\n".join(lines)

    def close(self) -> None:
        """Closes the environments."""
        self.envs.close()
        if self._held_out is not None:
            self._held_out[0].close()

    def _restore(self, folder: Path) -> None:
        self._require_same_settings(folder)
        state = self._load(folder)
        self.guard.state = GuardState(**state.guard)
        self.iteration, self.episodes = state.iteration, state.episodes
        self.seconds, self._solved = state.seconds, state.solved
        out = self.args.out
        for name in ("good", "policy", "last"):
            checkpoint.recover(out / name)
        if (folder / "best").is_dir():
            with checkpoint.replacing(out / "policy") as draft:
                shutil.copytree(folder / "best", draft, dirs_exist_ok=True)
        if not self._may_go_back_to(out / "good"):
            self.save(out / "good")

    def _may_go_back_to(self, good: Path) -> bool:
        """Whether that state is of this run, and not of its future."""
        try:
            self._require_same_settings(good)
        except ConfigurationError:
            return False
        return checkpoint.saved_iteration(good) <= self.iteration

    def _require_same_settings(self, folder: Path) -> None:
        may_differ = _MAY_DIFFER if self.args.anneal else _MAY_DIFFER | {"iterations"}
        checkpoint.require_settings(folder, dataclasses.asdict(self.args), may_differ=may_differ)

    def _load(self, folder: Path) -> checkpoint.TrainerState:
        """Weights, optimiser and start states of a checkpoint; not the counters."""
        state = checkpoint.load(folder, policy=self.policy, reference=self.reference)
        self.optimizer.load_state_dict(state.optimizer)
        self.start_states.load_state_dict(state.start_states)
        return state

    def _step(self) -> str | None:
        """An iteration and its scalars; returns why the run must go back, if it must."""
        began = time.perf_counter()
        try:
            metrics = self.iterate()
        except DivergedError as error:
            if not self.args.guard:
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
            self.iteration / self.args.iterations,
            f"PPO {self.iteration} solved {metrics['rollout/solved']:.2f}"
            f" stage {metrics.get('curriculum/mean_stage', 0.0):.2f}"
            f" KL {metrics['kl/reference_k1']:.3f}",
        )
        return self.guard.after_iteration(metrics["kl/reference_k1"])

    def _check(self) -> str | None:
        """Measures success. A good state is kept; of any other, says why the run must go back.

        Raises:
            DivergedError: If a weight is no finite number and there is no guard to go back.
        """
        if not all(bool(weight.isfinite().all()) for weight in self.policy.parameters()):
            if self.args.guard:
                return "a weight is no finite number"
            raise DivergedError("Expected finite weights, got NaN. Lower the learning rate.")
        success = self._evaluate()
        if success is None:
            success = float(np.mean(self._solved)) if self._solved else 0.0
        self._solved = []
        trouble = self.guard.after_check(success, self.iteration)
        if trouble is None:
            # First the policy: a state that calls this iteration the best one must not come alone.
            if self.guard.state.best_iteration == self.iteration:
                self._save_policy("policy")
            self.save(self.args.out / "good")
        return trouble

    def _go_back(self, trouble: str) -> None:
        """Restores the last good state, and halves the step."""
        state = self._load(self.args.out / "good")
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

    def _save_policy(self, name: str) -> None:
        with checkpoint.replacing(self.args.out / name) as draft:
            self.policy.save_pretrained(draft)

    def _write(self) -> Written:
        return write(
            self.policy,
            self.envs,
            episodes=self.args.episodes,
            seed=_seed(self.args.seed, self.iteration, 0),
            sampling=Sampling(self.args.temperature, self.args.top_p),
        )

    def _evaluate(self) -> float | None:
        """Mean of the greedy and the sampled pass rate on what is held out; None: nothing is."""
        if self._held_out is None:
            return None
        envs, problems = self._held_out
        results: dict[str, Evaluation] = {
            name: evaluate(self.policy, envs, problems, sampling=sampling, seed=self.args.seed)
            for name, sampling in (("greedy", Sampling(0.0)), ("sampled", Sampling()))
        }
        scalars = {
            f"{name}/{level}": rate
            for name, result in results.items()
            for level, rate in result.by_level().items()
        }
        scalars |= {f"{name}/mean": result.mean_pass_at_1 for name, result in results.items()}
        self.logger.scalars(self.iteration, {**scalars, "time/seconds": self.seconds})
        title = f"{self.args.eval_split}, iteration {self.iteration}, {self.seconds:.0f} s of PPO"
        self.screen.show(evaluation_table(title, results))
        return float(np.mean([result.mean_pass_at_1 for result in results.values()]))

    def _set_learning_rates(self) -> None:
        done = self.iteration / self.args.iterations
        factor = self.guard.rate_factor * (1.0 - 0.9 * done if self.args.anneal else 1.0)
        rates = (self.args.learning_rate, self.args.critic_learning_rate)
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * factor


def make_start(args: Args) -> StartStates:
    """The start distribution of the command line.

    Args:
        args: Its name, and threshold and alpha of CCCS.

    Returns:
        A new object.
    """
    if args.start == "cccs":
        return CurriculumOfSubtasks(threshold=args.cccs_threshold, alpha=args.cccs_alpha)
    return codegym.start_states.make_start_states(args.start)


def _seed(*parts: int) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def _held_out(args: Args) -> ProblemSet:
    try:
        return held_out(args, split=args.eval_split, per_level=args.eval_per_level, seed=args.seed)
    except (ConfigurationError, UnknownNameError) as error:
        raise ConfigurationError(
            f"There must be held-out problems to evaluate on, but eval_split={args.eval_split!r} "
            f"has none: {error} Name another eval_split, or go without with eval_every=0."
        ) from error


def make_trainer(
    args: Args,
    *,
    grader: codegym.Grader,
    logger: RunLogger,
    screen: RunLogger | None = None,
) -> Trainer:
    """The trainer of the command line: its model, problems and reward.

    Args:
        args: The command line.
        grader: Judges; shared, not closed by the trainer.
        logger: Keeps the scalars.
        screen: Shows progress and notes, if not `logger` does.

    Returns:
        A trainer that the caller closes.
    """
    tokenizer = make_tokenizer(args.tokenizer)
    policy = make_policy(args, vocab_size=tokenizer.vocab_size, seed=args.seed)
    loaded = load_split(args, split=args.split, size=args.problems, seed=args.seed)
    problems = fitting(loaded, args, tokenizer)
    if len(problems) < len(loaded):
        (screen or logger).note(
            f"{len(loaded) - len(problems)} of {len(loaded)} problems do not fit "
            f"context_length={args.context_length} and are left out."
        )
    model = load_reward_model(args, tokenizer, device=args.device)
    return Trainer(
        args,
        policy=with_critic(policy, args, model),
        problems=problems,
        grader=grader,
        logger=logger,
        screen=screen,
        reward=make_dense_reward(args, args.reward, model),
    )


def run(
    args: Args,
    logger: RunLogger,
    *,
    screen: RunLogger | None = None,
    grader: codegym.Grader | None = None,
) -> Trainer:
    """The command.

    Args:
        args: The command line.
        logger: Keeps the scalars.
        screen: Shows progress and notes, if not `logger` does.
        grader: Judges; by default one of its own.

    Returns:
        The trainer at its end, its environments closed.
    """
    set_up_torch(args.threads, args.device)
    with contextlib.ExitStack() as stack:
        judge = grader or stack.enter_context(make_grader(args))
        trainer = make_trainer(args, grader=judge, logger=logger, screen=screen)
        stack.callback(trainer.close)
        trainer.train()
    (screen or logger).note(trainer.summary())
    return trainer


def _main() -> None:
    args = command_line(Args)
    if args.resume is not None:
        checkpoint.recover(args.resume)
        # What was not said on the command line is as it was.
        args = command_line(Args, default=checkpoint.saved_settings(args.resume, Args))
    resume_at = None if args.resume is None else checkpoint.saved_iteration(args.resume) + 1
    with RunLogger(args.out, resume_at=resume_at) as logger:
        run(args, logger)


if __name__ == "__main__":
    main(_main)
