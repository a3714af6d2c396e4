"""REINFORCE on programs: the smallest honest language-model agent, whole in one file.

Read it to see how an agent and an environment of codegym talk to each other, and copy it to begin a
method of your own. It imports codegym, torch and transformers, and nothing else of ``agents``.

An iteration plays one episode in every sub-environment, then takes one gradient step on ::

    L = - sum_i sum_t m_it (R_i - b_i) log pi(y_it | x_i, y_i<t) / sum_it m_it

where ``R_i`` is the episode's reward, ``b_i`` the mean reward of the *other* episodes, which keeps
the gradient unbiased (Kool et al., 2019), and ``m_it`` is 1 on the generated tokens that were
executed (StepCoder's FGO), or on all generated tokens with ``fgo=False``.

What it leaves out, and :mod:`agents.ppo` has:

1. A key-value cache: every token costs a forward pass over the whole sequence.
2. A second step on the same episodes, and so importance ratios and their clip.
3. A critic, advantages of single tokens, and whitening.
4. A penalty for leaving a reference policy.
5. Evaluation on held-out problems, checkpoints, a guard, and judging beside writing.

    python -m agents.sft --steps 3500 --out runs/sft
    python -m agents.reinforce --model runs/sft/trunk --iterations 40
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import torch
import tyro
from gymnasium.vector import AutoresetMode, VectorEnv
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

import codegym
from codegym.errors import CodegymError, ConfigurationError, UnknownNameError

__all__ = ["Args", "Episodes", "log_probabilities", "loss", "play", "run", "train"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args:
    """REINFORCE on a codegym environment."""

    model: str = "runs/sft/trunk"
    """folder or hub name of a causal language model that was trained with the tokenizer"""
    env_id: str = "CodeGen-Mini-v0"
    """any id that codegym registers"""
    difficulty: str | None = "introductory"
    """one difficulty; None: all"""
    tokenizer: str = "mini"
    """name of a codegym tokenizer"""
    start: str = "empty"
    """start distribution, such as "empty" or "cccs" """
    reward: str = "stepcoder"
    """name of a codegym reward"""
    max_new_tokens: int = 128
    """budget of generated tokens"""
    context_length: int = 384
    """prompt, given code and generated tokens"""
    episodes: int = 64
    """sub-environments; each plays one episode an iteration"""
    iterations: int = 40
    """steps of the optimiser"""
    learning_rate: float = 3e-4
    """of Adam"""
    fgo: bool = True
    """whether only executed tokens are learned"""
    seed: int = 0
    """of problems, episodes and tokens"""
    out: Path = Path("runs/reinforce")
    """gets the model, as ``save_pretrained`` writes it"""


class Episodes(NamedTuple):
    """``B`` finished episodes, padded on the right to ``T`` tokens.

    Attributes:
        input_ids: (B, T) int64: prompt, given code, generated tokens, padding.
        generated: (B, T) bool: the tokens that the policy chose.
        executed: (B, T) bool: those of them that were executed.
        reward: (B,) float32: the sum of the episode's rewards.
        solved: (B,) bool: whether all tests passed.
    """

    input_ids: Tensor
    generated: Tensor
    executed: Tensor
    reward: Tensor
    solved: Tensor


@torch.no_grad()
def play(
    model: PreTrainedModel, envs: VectorEnv[Any, Any, Any], seed: int, generator: torch.Generator
) -> Episodes:
    """Plays one episode in every sub-environment.

    Args:
        model: The policy is the softmax of its logits over the environment's actions.
        envs: A vector environment of codegym without autoreset, which judges synchronously.
        seed: Of the problems and start states.
        generator: Draws the tokens.

    Returns:
        The episodes, in the order of the sub-environments.
    """
    obs, infos = envs.reset(seed=seed)
    start = np.array(infos["start_length"])
    actions = int(envs.single_action_space.n)  # type: ignore[attr-defined]
    rows = torch.arange(envs.num_envs)
    ended = np.zeros(envs.num_envs, dtype=bool)
    reward = np.zeros(envs.num_envs, dtype=np.float32)
    solved = np.zeros(envs.num_envs, dtype=bool)
    executed = np.zeros(np.asarray(obs["input_ids"]).shape, dtype=bool)
    while not ended.all():
        length = np.asarray(obs["attention_mask"]).sum(1, dtype=np.int64)
        # Padding stands on the right, where a causal model does not see it.
        input_ids = torch.as_tensor(np.array(obs["input_ids"][:, : int(length.max())]))
        logits = model(input_ids=input_ids).logits[rows, torch.as_tensor(length - 1), :actions]
        tokens = torch.multinomial(logits.float().softmax(-1), 1, generator=generator)
        obs, paid, terminated, truncated, infos = envs.step(tokens.squeeze(1).numpy())
        reward += np.where(ended, 0.0, paid).astype(np.float32)
        new = (terminated | truncated) & ~ended
        for i in np.flatnonzero(new):
            solved[i] = infos["verdict"][i] == "accepted"
            executed[i] = infos["loss_mask"][i]
        ended |= new
    length = np.asarray(obs["attention_mask"]).sum(1, dtype=np.int64)
    width = int(length.max())
    columns = np.arange(width)
    generated = (columns >= start[:, None]) & (columns < length[:, None])
    return Episodes(
        input_ids=torch.as_tensor(np.array(obs["input_ids"][:, :width])),
        generated=torch.as_tensor(generated),
        executed=torch.as_tensor(executed[:, :width] & generated),
        reward=torch.as_tensor(reward),
        solved=torch.as_tensor(solved),
    )


def log_probabilities(model: PreTrainedModel, input_ids: Tensor, actions: int) -> Tensor:
    """Log-probability of every token, given those before it.

    Args:
        model: A causal language model.
        input_ids: (B, T) int64.
        actions: Number of actions; the model may have more tokens than that.

    Returns:
        (B, T) float32 with a gradient; the first column, which nothing predicts, is 0.
    """
    logits = model(input_ids=input_ids[:, :-1]).logits[..., :actions].float()
    # What stands at padding need not be an action; nobody looks at its log-probability.
    targets = input_ids[:, 1:, None].clamp(max=actions - 1)
    found = logits.log_softmax(-1).gather(-1, targets).squeeze(-1)
    return torch.nn.functional.pad(found, (1, 0))


def loss(logprobs: Tensor, episodes: Episodes, *, fgo: bool) -> Tensor:
    """The loss of the module's docstring.

    Args:
        logprobs: (B, T) of the episodes' tokens, with a gradient; at least two episodes.
        episodes: What was played.
        fgo: Whether only executed tokens are learned.

    Returns:
        () loss; 0 where no token is learned.
    """
    reward = episodes.reward
    others = (reward.sum() - reward) / (len(reward) - 1)
    mask = episodes.executed if fgo else episodes.generated
    weighted = torch.where(mask, (reward - others)[:, None] * logprobs, 0.0)
    return -weighted.sum() / mask.sum().clamp(min=1)


def train(
    model: PreTrainedModel, envs: VectorEnv[Any, Any, Any], args: Args
) -> Iterator[dict[str, float]]:
    """Reinforces a model in place.

    Args:
        model: Is changed.
        envs: As :func:`play` needs it, with at least two sub-environments.
        args: Learning rate, number of iterations, FGO and seed.

    Yields:
        Mean reward, share of solved episodes and loss of each iteration.
    """
    model.train(mode=False)  # no dropout: the policy that learns is the one that wrote
    optimizer = torch.optim.Adam(model.parameters(), lr=args.learning_rate)
    generator = torch.Generator().manual_seed(args.seed)
    actions = int(envs.single_action_space.n)  # type: ignore[attr-defined]
    for iteration in range(args.iterations):
        seed = int(np.random.SeedSequence([args.seed, iteration]).generate_state(1)[0])
        episodes = play(model, envs, seed, generator)
        logprobs = log_probabilities(model, episodes.input_ids, actions)
        objective = loss(logprobs, episodes, fgo=args.fgo)
        optimizer.zero_grad()
        objective.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        yield {
            "reward": float(episodes.reward.mean()),
            "solved": float(episodes.solved.float().mean()),
            "loss": float(objective.detach()),
        }


def run(args: Args) -> None:
    """The command: trains, prints a line for each iteration, and saves the model.

    Args:
        args: The command line.

    Raises:
        ConfigurationError: If there are too few episodes for a baseline, or no such model.
        UnknownNameError: If there is no such environment.
    """
    if args.episodes < 2:
        raise ConfigurationError(
            "The baseline is the mean reward of the other episodes: expected episodes to be 2 or "
            f"more, got {args.episodes}."
        )
    if args.env_id not in codegym.ENVIRONMENTS:
        raise UnknownNameError("environment", args.env_id, codegym.ENVIRONMENTS)
    try:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(args.model)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"Expected a causal language model in {args.model!r}, but none can be loaded: {error}"
        ) from error
    codegym.register_environments()
    envs: VectorEnv[Any, Any, Any] = gymnasium.make_vec(
        args.env_id,
        num_envs=args.episodes,
        vectorization_mode="vector_entry_point",
        autoreset_mode=AutoresetMode.DISABLED,
        difficulty=args.difficulty,
        tokenizer=args.tokenizer,
        start=args.start,
        reward=args.reward,
        max_new_tokens=args.max_new_tokens,
        context_length=args.context_length,
    )
    try:
        for iteration, numbers in enumerate(train(model, envs, args), start=1):
            told = ", ".join(f"{name} {number:.3f}" for name, number in numbers.items())
            print(f"iteration {iteration}: {told}", flush=True)
        model.save_pretrained(args.out)
    finally:
        envs.close()


if __name__ == "__main__":
    try:
        run(tyro.cli(Args))
    except CodegymError as mistake:
        sys.exit(f"{type(mistake).__name__}: {mistake}")
