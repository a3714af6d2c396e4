"""A process reward model in PPO: as dense reward, and as the critic's first weights."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from agents.policy import CausalLMPolicy
from agents.prm.lines import vocabulary_hash
from agents.prm.model import ProcessRewardModel, initialise_critic
from agents.sequences import length_buckets, pad_tokens
from codegym.errors import ConfigurationError
from codegym.rewards import ProcessReward
from codegym.tokenization import Tokenizer

__all__ = [
    "ModelScorer",
    "RewardModelSettings",
    "load_reward_model",
    "make_dense_reward",
    "with_critic",
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RewardModelSettings:
    """The process reward model (arXiv 2410.17621)."""

    reward_model: Path | None = None
    """folder of a process reward model"""
    dense: Literal["off", "outcome", "online", "difference", "potential"] = "off"
    """dense reward: the paper's, weighted by the outcome; or one of three with a single weight"""
    critic: Literal["policy", "raw", "affine", "head", "shared"] = "policy"
    """a trunk of its own that begins as the policy's (or as the saved policy's critic, if it has
    one), as the reward model ("raw"), or as (reward model + 1) / 2 ("affine"); or a head on the
    policy's trunk, where its gradient stops ("head") or does not ("shared": this one runs away, and
    is there to show it)"""


class ModelScorer:
    """Scores lines with a process reward model: a ``StepScorer`` of codegym.

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
    settings: RewardModelSettings, tokenizer: Tokenizer, *, device: str
) -> ProcessRewardModel | None:
    """The model that the settings name.

    Args:
        settings: Folder and use.
        tokenizer: Of the environment.
        device: Where it is put.

    Returns:
        The model; None where none is used.

    Raises:
        ConfigurationError: If it is used and not given, was trained with another tokenizer, or is
            no such folder.
    """
    if settings.dense == "off" and settings.critic not in ("raw", "affine"):
        if settings.reward_model is not None:
            raise ConfigurationError(
                f"reward_model={str(settings.reward_model)!r} is given and not used: ask for a "
                'dense reward (dense="outcome") or for a critic that begins as the model '
                '(critic="affine"), or leave it out.'
            )
        return None
    if settings.reward_model is None:
        raise ConfigurationError(
            f"dense={settings.dense!r} and critic={settings.critic!r} need a process "
            "reward model: give reward_model=FOLDER (train one with `python -m agents.prm.train`)."
        )
    model = ProcessRewardModel.from_pretrained(
        settings.reward_model, vocabulary=vocabulary_hash(tokenizer)
    )
    return model.to(device)


def make_dense_reward(
    settings: RewardModelSettings, outcome: str, model: ProcessRewardModel | None
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
    return ProcessReward(ModelScorer(model), outcome=outcome, form=settings.dense)


def with_critic(
    policy: CausalLMPolicy, settings: RewardModelSettings, model: ProcessRewardModel | None
) -> CausalLMPolicy:
    """The policy with the critic that the settings ask for.

    Args:
        policy: Its trunk is shared with the result.
        settings: How the critic begins.
        model: The process reward model.

    Returns:
        The policy itself, or one with another critic and the same trunk.
    """
    if settings.critic in ("raw", "affine"):
        assert model is not None
        return initialise_critic(policy, model, how=settings.critic)
    own = settings.critic == "policy"
    if own == (policy.critic is not None):
        result = policy
    else:
        result = CausalLMPolicy(
            policy.trunk,
            vocab_size=policy.vocab_size,
            critic=copy.deepcopy(policy.trunk) if own else None,
        )
        result = result.to(policy.device).train(policy.training)
    result.detach_value = settings.critic == "head"
    return result
