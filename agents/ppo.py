"""PPO with CCCS start states and FGO loss masks (StepCoder, arXiv 2402.01391).

Every iteration: rollout, log-probabilities of policy and reference, advantages, update, log. The
environment owns the start states and the loss masks; this file only passes them on.

What differs from the paper:

1. Its clip of 0.8 is taken for one of the *reward* (``reward_clip``, off); the ratio clip is 0.2.
2. gamma, lambda, epochs and batch size are not told there; here 1, 1, 2 and 128.
3. Sampling is at temperature 1 without nucleus, so that the sampler is the policy that is learned.
4. Value loss, KL and advantages are not masked by FGO (``mask_value``, ``mask_kl``).
5. The first updates change only the value head.

    python -m agents.ppo --model runs/sft --seconds 300 --out runs/ppo
"""

from __future__ import annotations

import copy
import dataclasses
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import tyro
from gymnasium.vector import VectorEnv

import codegym
from agents import checkpoint
from agents.environments import (
    TaskSettings,
    fitting,
    load_split,
    make_envs,
    make_grader,
    make_tokenizer,
)
from agents.evaluate import Evaluation, evaluate, evaluation_table, held_out
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
from agents.update import PPOSettings, make_optimizer, prepare, score, update
from codegym.errors import ConfigurationError
from codegym.problems import ProblemSet
from codegym.start_states import CurriculumOfSubtasks, StartStates

__all__ = ["Args", "Trainer", "make_start"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args(TaskSettings, ModelSettings, PPOSettings, RewardModelSettings):
    """PPO on programs."""

    problems: int = 384
    """size of the training set; 0: all"""
    start: str = "cccs"
    """"cccs", "empty", "uniform", or another start distribution of codegym"""
    cccs_threshold: float = 0.6
    """moving average of success above which a problem's start state moves back"""
    cccs_alpha: float = 0.2
    """weight of the newest episode in that average"""
    episodes: int = 128
    """per iteration"""
    iterations: int | None = None
    """budget; with `seconds` as well, the first that is reached"""
    seconds: float | None = 300.0
    """budget, without evaluations and checkpoints"""
    clock: Literal["wall", "cpu"] = "wall"
    """whether `seconds` are on the clock or CPU time of this process"""
    anneal: bool = True
    """learning rates fall linearly to a tenth over the budget; resume with the same budget to go on
    as if nothing had happened"""
    top_p: float = 1.0
    """nucleus of the rollouts; less than 1 is slightly off-policy"""
    seed: int = 0
    """of problems, episodes, minibatches and random weights"""
    threads: int = 2
    """of torch"""
    device: str = "cpu"
    """of policy and reference"""
    eval_every: int = 0
    """iterations between evaluations on the validation split; 0: none"""
    eval_per_level: int = 100
    """problems a difficulty in these"""
    checkpoint_every: int = 0
    """iterations between checkpoints; 0: only at the end"""
    resume: Path | None = None
    """checkpoint folder to go on from, such as runs/ppo/checkpoints/000040"""
    out: Path = Path("runs/ppo")
    """gets policy/, checkpoints/, scalars.jsonl, tensorboard/, log.txt"""


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
        ConfigurationError: If there is no budget.
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
        if args.iterations is None and args.seconds is None:
            raise ConfigurationError("PPO needs a budget: iterations, seconds, or both.")
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
        self.iteration = 0
        self.seconds = 0.0
        self.episodes = 0
        self._held_out: tuple[VectorEnv[Any, Any, Any], ProblemSet] | None = None
        if args.eval_every:
            held = held_out(args, split="validation", per_level=args.eval_per_level, seed=args.seed)
            envs = make_envs(args, held, start="empty", grader=grader, tokenizer=tokenizer)
            self._held_out = (envs, held)
        if args.resume is not None:
            self._restore(args.resume)

    def train(self) -> None:
        """Iterations until the budget is used up, with evaluations and checkpoints between."""
        args = self.args
        self._evaluate()
        while (done := self._done()) < 1.0:
            began = _now(args.clock)
            metrics = self.iterate(done)
            self.seconds += _now(args.clock) - began
            self.logger.scalars(self.iteration, {**metrics, "time/seconds": self.seconds})
            self.screen.progress(
                self._done(),
                f"PPO {self.iteration} solved {metrics['rollout/solved']:.2f}"
                f" stage {metrics.get('curriculum/mean_stage', 0.0):.2f}",
            )
            self._evaluate()
            if args.checkpoint_every and self.iteration % args.checkpoint_every == 0:
                self.save()
        self.screen.end_progress()
        self.save()
        self.policy.save_pretrained(args.out / "policy")

    def iterate(self, done: float = 0.0) -> dict[str, float]:
        """One iteration.

        Args:
            done: Share of the budget that is used; only `anneal` looks at it.

        Returns:
            Named scalars.
        """
        args = self.args
        self._set_learning_rates(done)
        written = self._write()
        began = time.perf_counter()
        # Meanwhile the last programs are judged.
        scores = score(self.policy, self.reference, written.tokens, args)
        score_seconds = time.perf_counter() - began
        rollout = written.finish()
        batch = prepare(scores, rollout.sequences, args)
        began = time.perf_counter()
        shuffle = torch.Generator().manual_seed(_seed(args.seed, self.iteration, 1))
        stats = update(
            self.policy,
            self.optimizer,
            batch,
            args,
            shuffle,
            value_only=self.iteration < args.warmup_updates,
        )
        update_seconds = time.perf_counter() - began
        self.iteration += 1
        self.episodes += len(rollout.sequences.reward)
        return {
            **rollout_metrics(rollout),
            **stage_metrics(self.start_states, self.envs, self.problems),
            **batch.metrics,
            **stats,
            "time/logprobs": score_seconds,
            "time/update": update_seconds,
            "time/episodes": float(self.episodes),
        }

    def save(self) -> Path:
        """Writes a checkpoint of everything that the next iteration depends on.

        Returns:
            Its folder.
        """
        folder = self.args.out / "checkpoints" / f"{self.iteration:06d}"
        state = checkpoint.TrainerState(
            iteration=self.iteration,
            episodes=self.episodes,
            seconds=self.seconds,
            optimizer=self.optimizer.state_dict(),
            start_states=self.start_states.state_dict(),
        )
        checkpoint.save(folder, policy=self.policy, reference=self.reference, state=state)
        return folder

    def close(self) -> None:
        """Closes the environments."""
        self.envs.close()
        if self._held_out is not None:
            self._held_out[0].close()

    def _restore(self, folder: Path) -> None:
        state = checkpoint.load(folder, policy=self.policy, reference=self.reference)
        self.optimizer.load_state_dict(state.optimizer)
        self.start_states.load_state_dict(state.start_states)
        self.iteration, self.episodes = state.iteration, state.episodes
        self.seconds = state.seconds

    def _write(self) -> Written:
        return write(
            self.policy,
            self.envs,
            episodes=self.args.episodes,
            seed=_seed(self.args.seed, self.iteration, 0),
            sampling=Sampling(self.args.temperature, self.args.top_p),
        )

    def _evaluate(self) -> None:
        if self._held_out is None or self.iteration % self.args.eval_every:
            return
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
        title = f"validation, iteration {self.iteration}, {self.seconds:.0f} s of training"
        self.screen.show(evaluation_table(title, results))

    def _done(self) -> float:
        """Share of the budget that is used."""
        args = self.args
        return max(
            self.iteration / args.iterations if args.iterations is not None else 0.0,
            self.seconds / args.seconds if args.seconds is not None else 0.0,
        )

    def _set_learning_rates(self, done: float) -> None:
        factor = 1.0 - 0.9 * min(done, 1.0) if self.args.anneal else 1.0
        rates = (self.args.learning_rate, self.args.value_learning_rate)
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


def _now(clock: Literal["wall", "cpu"]) -> float:
    return time.perf_counter() if clock == "wall" else time.process_time()


def run(args: Args, logger: RunLogger, *, screen: RunLogger | None = None) -> CausalLMPolicy:
    """The command.

    Args:
        args: The command line.
        logger: Keeps the scalars.
        screen: Shows progress and notes, if not `logger` does.

    Returns:
        The trained policy, which is saved in ``out/policy`` as well.
    """
    torch.set_num_threads(args.threads)
    screen = screen or logger
    tokenizer = make_tokenizer(args.tokenizer)
    policy = make_policy(args, vocab_size=tokenizer.vocab_size, seed=args.seed)
    loaded = load_split(args, split=args.split, size=args.problems, seed=args.seed)
    problems = fitting(loaded, args, tokenizer)
    if len(problems) < len(loaded):
        screen.note(
            f"{len(loaded) - len(problems)} of {len(loaded)} problems do not fit "
            f"context_length={args.context_length} and are left out."
        )
    model = load_reward_model(args, tokenizer, device=args.device)
    reward = make_dense_reward(args, args.reward, model)
    policy = with_critic(policy, args, model)
    with make_grader(args) as grader:
        trainer = Trainer(
            args,
            policy=policy,
            problems=problems,
            grader=grader,
            logger=logger,
            screen=screen,
            reward=reward,
        )
        try:
            trainer.train()
        finally:
            trainer.close()
    screen.note(
        f"PPO: {trainer.iteration} iterations, {trainer.episodes} episodes in "
        f"{trainer.seconds:.0f} s ({args.clock}); saved in {args.out / 'policy'}"
    )
    return trainer.policy


if __name__ == "__main__":
    arguments = tyro.cli(Args)
    resumed = None if arguments.resume is None else int(arguments.resume.name) + 1
    with RunLogger(arguments.out, resume_at=resumed) as run_logger:
        run(arguments, run_logger)
