"""The process reward model: a causal language model's trunk with one number at each token.

``R_phi(x, y^(<=m))`` is read at the last token of line m (arXiv 2410.17621, section 3.2). Trunk and
head have the shape of a :class:`~agents.critic.TrunkCritic`, so that a critic can begin with the
weights of a reward model.

Saved as a folder::

    prm.json            {"format": 1, "vocab_size": ..., "vocabulary_sha256": ...}
    trunk/ or adapter/  the language model, see :mod:`agents.trunk`
    head.safetensors    the scalar head
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, Self

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedModel

from agents.critic import TrunkCritic
from agents.policy import CausalLMPolicy
from agents.trunk import copy_trunk, read_trunk, save_trunk
from codegym.errors import ConfigurationError

__all__ = ["ProcessRewardModel", "ValueInit", "initialise_critic"]

ValueInit = Literal["raw", "affine"]


class ProcessRewardModel(nn.Module):
    """A score for each token: how likely the policy is to finish from there, in about [-1, 1].

    Args:
        trunk: A causal language model; its output head is not used.
        vocab_size: Of the tokenizer.
        vocabulary: Hash of the tokenizer's tokens (:func:`agents.prm.lines.vocabulary_hash`).
    """

    def __init__(self, trunk: PreTrainedModel, *, vocab_size: int, vocabulary: str) -> None:
        super().__init__()
        self.trunk = trunk
        self.vocab_size = vocab_size
        self.vocabulary = vocabulary
        hidden_size = trunk.config.get_text_config().hidden_size
        # fork_rng: nn.Linear draws weights from the global generator, only to be zeroed here.
        with torch.random.fork_rng(devices=[]):
            self.head = nn.Linear(hidden_size, 1, dtype=torch.float32)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.head.to(next(trunk.parameters()).device)

    @classmethod
    def from_policy(cls, policy: CausalLMPolicy, *, vocabulary: str) -> Self:
        """A model that begins with a copy of a policy's trunk and scores 0 everywhere."""
        trunk = copy_trunk(policy.trunk)
        return cls(trunk, vocab_size=policy.vocab_size, vocabulary=vocabulary)

    @classmethod
    def from_pretrained(cls, folder: str | Path, *, vocabulary: str | None = None) -> Self:
        """Loads a folder written by :meth:`save_pretrained`.

        Args:
            folder: Where.
            vocabulary: Hash of the tokenizer that is in use; None: not checked.

        Returns:
            A model on the CPU, in evaluation mode.

        Raises:
            ConfigurationError: If it is not such a folder, its weights belong to another
                architecture, or it was trained with another tokenizer.
        """
        folder = Path(folder)
        try:
            meta = json.loads((folder / "prm.json").read_text())
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"{folder} is not a folder of a process reward model (expected prm.json, trunk/ "
                f"and head.safetensors): {error}. Train one with `python -m agents.prm.train`."
            ) from error
        if meta.get("format") != 1:
            raise ConfigurationError(
                f"{folder / 'prm.json'} must have format 1, got {meta.get('format')!r}. It was "
                "written by another version of codegym's agents."
            )
        if vocabulary is not None and meta["vocabulary_sha256"] != vocabulary:
            raise ConfigurationError(
                f"The process reward model in {folder} was trained with another tokenizer (of "
                f"{meta['vocab_size']} tokens): its scores would mean nothing. Use the tokenizer "
                "that the policy and the reward model share, or train one for this tokenizer."
            )
        model = cls(
            _read(folder), vocab_size=meta["vocab_size"], vocabulary=meta["vocabulary_sha256"]
        )
        try:
            model.head.load_state_dict(load_file(folder / "head.safetensors"))
        except (OSError, RuntimeError) as error:
            raise ConfigurationError(
                f"{folder / 'head.safetensors'} does not fit the trunk beside it: {error}"
            ) from error
        return model.eval()

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes the folder that the module's docstring describes.

        Args:
            folder: Made if it is not there.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        save_trunk(self.trunk, folder)
        save_file(self.head.state_dict(), folder / "head.safetensors")
        meta = {
            "format": 1,
            "vocab_size": self.vocab_size,
            "vocabulary_sha256": self.vocabulary,
        }
        (folder / "prm.json").write_text(json.dumps(meta, indent=2) + "\n")

    @property
    def device(self) -> torch.device:
        """Where the input goes."""
        device: torch.device = self.head.weight.device
        return device

    def forward(self, input_ids: Tensor) -> Tensor:
        """Scores.

        Args:
            input_ids: (B, T) int64, padded on the right.

        Returns:
            (B, T) float32: column t speaks of the sequence up to and including token t.
        """
        hidden = self.trunk.base_model(input_ids=input_ids, use_cache=False)[0]
        scores: Tensor = self.head(hidden.float())
        return scores.squeeze(-1)


def _read(folder: Path) -> PreTrainedModel:
    if (folder / "adapter").is_dir():
        return read_trunk(folder, torch.float32)
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        str(folder / "trunk"), dtype=torch.float32, output_loading_info=True
    )
    trunk: PreTrainedModel = loaded[0]
    wrong = {name: sorted(keys) for name, keys in loaded[1].items() if keys}
    if wrong:
        raise ConfigurationError(
            f"The weights in {folder / 'trunk'} do not belong to the architecture in its "
            f"config.json: {wrong}."
        )
    return trunk


def initialise_critic(
    policy: CausalLMPolicy, model: ProcessRewardModel, *, how: ValueInit
) -> TrunkCritic:
    """A critic that begins as the reward model.

    Args:
        policy: Whose states it will value.
        model: Copied.
        how: ``"raw"``: V = R. ``"affine"``: V = (R + 1) / 2, which maps labels of -1 and +1 to
            returns of 0 and 1.

    Returns:
        A critic on the policy's device.

    Raises:
        ConfigurationError: If the tokens are not the same.
    """
    if model.vocab_size != policy.vocab_size:
        raise ConfigurationError(
            f"The critic must read the policy's {policy.vocab_size} tokens, but the process reward "
            f"model has {model.vocab_size}. Train one with the policy's tokenizer."
        )
    critic = TrunkCritic(copy_trunk(model.trunk))
    scale, shift = (1.0, 0.0) if how == "raw" else (0.5, 0.5)
    with torch.no_grad():
        critic.head.weight.copy_(scale * model.head.weight)
        critic.head.bias.copy_(scale * model.head.bias + shift)
    return critic.to(policy.device).eval()
