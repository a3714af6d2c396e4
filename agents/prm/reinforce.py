"""PPO with a process reward model: as dense reward, and as the critic's first weights.

PPO itself is :mod:`agents.ppo`; the model enters it through the environment's reward and through
the critic object.

    python -m agents.prm.reinforce --model runs/sft --reward-model runs/prm/model --dense outcome
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

import codegym
from agents import ppo
from agents.advantages import gae
from agents.command import main
from agents.critic import Critic
from agents.environments import make_tokenizer
from agents.policy import CausalLMPolicy
from agents.prm.lines import vocabulary_hash
from agents.prm.model import ProcessRewardModel, initialise_critic
from agents.prm.steps import StepCredit, with_credit
from agents.running import command, train
from agents.sequences import length_buckets, pad_tokens
from agents.telemetry import RunLogger
from codegym.envs import make_prompt_format
from codegym.errors import ConfigurationError
from codegym.rewards import Difference, Potential, ProcessForm, ProcessReward
from codegym.tokenization import Tokenizer

__all__ = [
    "Args",
    "ModelScorer",
    "add_step_credit",
    "load_reward_model",
    "make_dense_reward",
    "make_trainer",
    "make_value_init",
    "run",
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args(ppo.Args):
    """PPO with a process reward model (arXiv 2410.17621)."""

    reward_model: Path | None = None
    """folder of a process reward model"""
    dense: Literal["off", "outcome", "online", "difference", "potential", "step"] = "off"
    """dense reward: the paper's, weighted by the outcome; or one of three with a single weight.
    "step" pays nothing: what a line changes of the score is an advantage of its own tokens"""
    value_model: Path | None = None
    """folder of what the critic begins as; None: the reward model. One that was fitted to every
    token (`--fit tokens`) has seen the states that a critic values"""
    value_init: Literal["off", "raw", "affine"] = "off"
    """the critic's trunk begins as the reward model ("raw"), or as (reward model + 1) / 2
    ("affine"), in place of the policy's"""


_STEP_WEIGHT = 0.5  # a line that loses the solution, a fall by 2, costs what the outcome is worth


class ModelScorer:
    """Scores lines with a process reward model: a ``LineScorer`` of codegym.

    Args:
        model: In evaluation mode.
        max_tokens: Rows x columns of a forward pass.
    """

    def __init__(self, model: ProcessRewardModel, *, max_tokens: int = 8192) -> None:
        self._model = model
        self._max_tokens = max_tokens

    @property
    def vocab_size(self) -> int:
        """Of the tokenizer that the model was trained with."""
        return self._model.vocab_size

    @torch.inference_mode()
    def __call__(
        self, tokens: Sequence[npt.NDArray[np.int64]], ends: Sequence[npt.NDArray[np.int64]]
    ) -> npt.NDArray[np.float32]:
        """Scores of lines. The model is causal: each program is read once.

        Args:
            tokens: P token sequences from the prompt to the end of a program's last line.
            ends: P arrays: after how many tokens each of its lines ends.

        Returns:
            One score for each end, program by program.
        """
        ids, length = pad_tokens([each.tolist() for each in tokens], pad_id=0)
        found = [np.zeros(0, dtype=np.float32)] * len(tokens)
        every = torch.arange(len(tokens))
        for group in length_buckets(length, every, max_tokens=self._max_tokens):
            width = int(length[group].max())
            scores = self._model(ids[group, :width].to(self._model.device)).cpu().numpy()
            for k, member in enumerate(group.tolist()):
                found[member] = scores[k, ends[member] - 1]
        return np.concatenate(found)


def load_reward_model(
    settings: Args, tokenizer: Tokenizer, *, device: str
) -> ProcessRewardModel | None:
    """The model that the settings name.

    Args:
        settings: Folder and use.
        tokenizer: Of the environment.
        device: Where it is put.

    Returns:
        The model; None where none is used.

    Raises:
        ConfigurationError: If it is used and not given, is given and not used, or was trained with
            another tokenizer.
    """
    if settings.value_init != "off" and settings.critic != "policy":
        raise ConfigurationError(
            f"value_init={settings.value_init!r} is for a critic with a trunk of its own, got "
            f'critic={settings.critic!r}. Use critic="policy".'
        )
    inits = settings.value_init != "off"
    if settings.value_model is not None and not inits:
        raise ConfigurationError(
            f"value_model={str(settings.value_model)!r} is given and not used: ask for a critic "
            'that begins as the model (value_init="affine"), or leave it out.'
        )
    if settings.dense == "off" and (not inits or settings.value_model is not None):
        if settings.reward_model is not None:
            raise ConfigurationError(
                f"reward_model={str(settings.reward_model)!r} is given and not used: ask for a "
                'dense reward (dense="outcome") or for a critic that begins as the model '
                '(value_init="affine" without a value_model), or leave it out.'
            )
        return None
    if settings.reward_model is None:
        raise ConfigurationError(
            f"dense={settings.dense!r} and value_init={settings.value_init!r} need a process "
            "reward model: give reward_model=FOLDER (train one with `python -m agents.prm.train`)."
        )
    return _load(settings.reward_model, tokenizer, device)


def _load(folder: Path, tokenizer: Tokenizer, device: str) -> ProcessRewardModel:
    model = ProcessRewardModel.from_pretrained(folder, vocabulary=vocabulary_hash(tokenizer))
    return model.to(device)


def make_dense_reward(
    settings: Args, outcome: str, model: ProcessRewardModel | None
) -> ProcessReward | str:
    """The environment's reward.

    Args:
        settings: Mode.
        outcome: Name of the reward for the tests' outcome.
        model: Scores the lines.

    Returns:
        `outcome`, unless the dense reward is on.
    """
    if settings.dense == "off" or model is None:
        return outcome
    form: ProcessForm | str = "difference" if settings.dense == "step" else settings.dense
    if form == "potential":  # leaves the best policy the best only by the learner's own discount
        form = Potential(gamma=settings.gamma)
    return ProcessReward(ModelScorer(model), outcome=outcome, form=form)


def add_step_credit(trainer: ppo.PPO, settings: Args) -> None:
    """Makes advantages of what the environment pays for lines, if the settings say so.

    Args:
        trainer: Made with the reward of :func:`make_dense_reward`, or another of the same form.
        settings: Mode, gamma and lambda.
    """
    if settings.dense != "step":
        return
    tokenizer = make_tokenizer(settings.tokenizer, settings.prompt_format)
    credit = StepCredit(
        trainer.rewards.pop("process"),
        unit=Difference().weight,
        weight=_STEP_WEIGHT,
        tokenizer=tokenizer,
        prompt_format=make_prompt_format(settings.prompt_format, tokenizer),
        problems=trainer.problems,
    )
    estimate = gae(gamma=settings.gamma, lam=settings.gae_lambda, whitened=False)
    trainer.estimate = with_credit(estimate, credit)


def make_value_init(
    policy: CausalLMPolicy, settings: Args, model: ProcessRewardModel | None
) -> Critic | None:
    """The critic that begins as the reward model.

    Args:
        policy: Whose states it will value.
        settings: Whether and how.
        model: The process reward model, which a value model of the settings goes before.

    Returns:
        A critic; None where the settings do not ask for it, so that PPO makes its own.
    """
    if settings.value_init == "off":
        return None
    if settings.value_model is not None:
        tokenizer = make_tokenizer(settings.tokenizer, settings.prompt_format)
        model = _load(settings.value_model, tokenizer, settings.device)
    assert model is not None
    return initialise_critic(policy, model, how=settings.value_init)


def make_trainer(
    args: Args,
    *,
    grader: codegym.Grader,
    logger: RunLogger,
    screen: RunLogger | None = None,
) -> ppo.PPO:
    """PPO with the reward and the critic that the settings ask for.

    Args:
        args: The settings.
        grader: Judges; shared, not closed by the trainer.
        logger: Keeps the scalars.
        screen: Shows progress and notes, if not `logger` does.

    Returns:
        A trainer that the caller closes.
    """
    model = load_reward_model(
        args, make_tokenizer(args.tokenizer, args.prompt_format), device=args.device
    )
    trainer = ppo.PPO.make(
        args,
        grader=grader,
        logger=logger,
        screen=screen,
        reward=make_dense_reward(args, args.reward, model),
        make_critic=lambda policy: make_value_init(policy, args, model),
    )
    add_step_credit(trainer, args)
    return trainer


def run(
    args: Args,
    logger: RunLogger,
    *,
    screen: RunLogger | None = None,
    grader: codegym.Grader | None = None,
) -> ppo.PPO:
    """The command: :func:`agents.running.train` with :func:`make_trainer`."""
    return train(make_trainer, args, logger, screen=screen, grader=grader)


if __name__ == "__main__":
    main(lambda: command(Args, run))
