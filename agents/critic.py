"""Values of states: critics as objects beside the policy, which a method may do without.

A critic answers ``values(input_ids, start_length, length)``. There are two kinds:

- :class:`TrunkCritic` has a language model of its own, or an adapter of its own on the policy's
  base. Its gradient cannot reach the policy.
- :class:`HeadCritic` is a linear head on the policy's hidden states. By default its gradient stops
  there, because a value loss that moves the policy makes training run away.

A critic is saved in the folder ``critic`` beside the policy's own files::

    critic/head.safetensors   the linear head
    critic/trunk/             the language model of a TrunkCritic, or its adapter/
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from agents.hub import loading
from agents.policy import CausalLMPolicy
from agents.sequences import generated_mask
from agents.trunk import copy_trunk, restore_trunk, save_trunk, saved_like

__all__ = ["Critic", "CriticKind", "HeadCritic", "TrunkCritic", "make_critic"]

CriticKind = Literal["policy", "head", "shared", "none"]


class TrunkCritic(nn.Module):
    """V(tokens before a token) with a language model of its own.

    Args:
        trunk: The language model; its output head is not used.
    """

    def __init__(self, trunk: PreTrainedModel) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = _value_head(trunk)

    def values(self, input_ids: Tensor, start_length: Tensor, length: Tensor) -> Tensor:
        """Values of the states in which the generated tokens were chosen.

        Args:
            input_ids: (B, T) int64, padded on the right.
            start_length: (B,) first generated column, at least 1.
            length: (B,) first padding column.

        Returns:
            (B, T) float32 aligned with the tokens; 0 where nothing was generated.
        """
        hidden = self.trunk.base_model(input_ids=input_ids, use_cache=False)[0]
        after: Tensor = self.head(hidden.float()).squeeze(-1)  # of the state *after* column t
        before = nn.functional.pad(after[:, :-1], (1, 0))
        mask = generated_mask(start_length, length, input_ids.shape[1])
        return torch.where(mask, before, torch.zeros_like(before))

    def save_pretrained(self, folder: Path) -> None:
        """Writes ``critic/`` below a policy's folder."""
        (folder / "critic").mkdir(parents=True, exist_ok=True)
        save_trunk(self.trunk, folder / "critic")
        save_file(self.head.state_dict(), folder / "critic" / "head.safetensors")

    def load(self, folder: Path) -> None:
        """Replaces the weights by those below a policy's folder.

        Raises:
            ConfigurationError: If they are damaged or not there.
        """
        restore_trunk(self.trunk, folder / "critic")
        _load_head(self.head, folder)


class HeadCritic(nn.Module):
    """V(tokens before a token) as a linear head on the policy's hidden states.

    Args:
        policy: Whose hidden states are read. Its parameters are not the critic's.
        shares_policy: Whether the gradient reaches the policy, which makes training run away.
    """

    def __init__(self, policy: CausalLMPolicy, *, shares_policy: bool = False) -> None:
        super().__init__()
        self._policy = (policy,)  # in a tuple, or its parameters would be the critic's
        self._shares_policy = shares_policy
        self.head = _value_head(policy.trunk)

    def score(
        self,
        input_ids: Tensor,
        start_length: Tensor,
        length: Tensor,
        *,
        temperature: float = 1.0,
    ) -> tuple[Tensor, Tensor]:
        """What the policy and this critic say, in one pass through the trunk that they share.

        Args:
            input_ids: (B, T) int64, padded on the right.
            start_length: (B,) first generated column, at least 1.
            length: (B,) first padding column.
            temperature: Of the policy.

        Returns:
            Log-probabilities as :meth:`CausalLMPolicy.score` gives them, and values as
            :meth:`TrunkCritic.values` does.
        """
        inputs = input_ids, start_length, length
        logprobs, hidden = self._policy[0].score_and_hidden(*inputs, temperature=temperature)
        mask = generated_mask(start_length, length, input_ids.shape[1])
        return logprobs, self._values(hidden, mask)

    def values(self, input_ids: Tensor, start_length: Tensor, length: Tensor) -> Tensor:
        """The same as :meth:`TrunkCritic.values`."""
        with contextlib.nullcontext() if self._shares_policy else torch.no_grad():
            trunk = self._policy[0].trunk
            hidden = trunk.base_model(input_ids=input_ids, use_cache=False)[0]
        mask = generated_mask(start_length, length, input_ids.shape[1])
        index = mask.flatten().nonzero().squeeze(1)
        return self._values(hidden.flatten(0, 1).index_select(0, index - 1), mask)

    def _values(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Of the states before the tokens that `mask` names, in their order."""
        hidden = hidden if self._shares_policy else hidden.detach()
        flat: Tensor = self.head(hidden.float()).squeeze(-1)
        index = mask.flatten().nonzero().squeeze(1)
        return flat.new_zeros(mask.numel()).index_copy(0, index, flat).view(mask.shape)

    def save_pretrained(self, folder: Path) -> None:
        """Writes ``critic/`` below a policy's folder."""
        (folder / "critic").mkdir(parents=True, exist_ok=True)
        save_file(self.head.state_dict(), folder / "critic" / "head.safetensors")

    def load(self, folder: Path) -> None:
        """Replaces the head by the one below a policy's folder.

        Raises:
            ConfigurationError: If it is damaged or not there.
        """
        _load_head(self.head, folder)


Critic = TrunkCritic | HeadCritic


def make_critic(kind: CriticKind, policy: CausalLMPolicy, saved: str | Path = "") -> Critic | None:
    """The critic that a name stands for.

    Args:
        kind: ``"policy"``: a trunk of its own, a copy of the policy's (of its adapter only, where
            it has one); ``"head"``: a head on the policy's trunk; ``"shared"``: the same with a
            gradient that reaches the trunk; ``"none"``: no critic.
        policy: The policy at its start.
        saved: Folder of a saved policy, whose critic is taken over if it is of this kind.

    Returns:
        A critic on the policy's device, whose values are 0 unless it was saved.
    """
    if kind == "none":
        return None
    own = kind == "policy"
    critic: Critic = (
        TrunkCritic(copy_trunk(policy.trunk))
        if own
        else HeadCritic(policy, shares_policy=kind == "shared")
    )
    folder = Path(saved) / "critic"
    bare = not any((folder / name).is_dir() for name in ("trunk", "adapter"))
    fits = saved_like(policy.trunk, folder) if own else bare
    if fits and (folder / "head.safetensors").is_file():
        critic.load(Path(saved))
    return critic.to(policy.device).eval()


def _value_head(trunk: PreTrainedModel) -> nn.Linear:
    """A linear head that says 0, beside the trunk's weights."""
    # fork_rng: nn.Linear draws weights from the global generator, only to be zeroed here.
    with torch.random.fork_rng(devices=[]):
        head = nn.Linear(trunk.config.get_text_config().hidden_size, 1, dtype=torch.float32)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    return head.to(next(trunk.parameters()).device)


def _load_head(head: nn.Linear, folder: Path) -> None:
    with loading(folder, "a saved policy with its critic"):
        head.load_state_dict(load_file(folder / "critic" / "head.safetensors"))
