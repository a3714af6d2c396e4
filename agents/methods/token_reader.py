"""A second language model that says something of a program after each token, as its outcome."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from agents.policy import CausalLMPolicy
from agents.sequences import Sequences, generated_mask, token_groups
from agents.trunk import copy_trunk

__all__ = ["TokenReader"]


class TokenReader(nn.Module):
    """k numbers for each generated token, from all tokens up to it, itself included.

    Args:
        policy: Whose language model it begins as a copy of; nothing it learns reaches the policy.
        outputs: k; all are 0 in the beginning.
        learning_rate: Of AdamW.
    """

    def __init__(self, policy: CausalLMPolicy, outputs: int, *, learning_rate: float) -> None:
        super().__init__()
        self.trunk = copy_trunk(policy.trunk)
        width = self.trunk.config.get_text_config().hidden_size
        with torch.random.fork_rng(devices=[]):  # the weights are drawn, only to be zeroed
            self.head = nn.Linear(width, outputs)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.to(policy.device).eval()
        learned = [p for p in self.parameters() if p.requires_grad]
        self._optimizer = torch.optim.AdamW(learned, lr=learning_rate, weight_decay=0.0)

    def forward(self, input_ids: Tensor, start_length: Tensor, length: Tensor) -> Tensor:
        """What it says.

        Args:
            input_ids: (B, T) int64, padded on the right.
            start_length: (B,) first generated column.
            length: (B,) first padding column.

        Returns:
            (B, T, k) float32, aligned with the token that was read last; 0 elsewhere.
        """
        hidden = self.trunk.base_model(input_ids=input_ids, use_cache=False)[0]
        said: Tensor = self.head(hidden.float())
        return said * generated_mask(start_length, length, input_ids.shape[1])[..., None]

    @torch.no_grad()
    def read(self, sequences: Sequences, microbatch_tokens: int) -> Tensor:
        """(B, T, k) of all episodes, computed in groups of similar length."""
        shape = (*sequences.input_ids.shape, self.head.out_features)
        said = torch.zeros(shape, device=sequences.input_ids.device)
        for rows, *inputs in token_groups(sequences, microbatch_tokens):
            found = self(*inputs)
            said[rows, : found.shape[1]] = found
        return said

    def step(self, loss: Tensor) -> None:
        """One step of its optimiser."""
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.parameters(), 1.0)
        self._optimizer.step()

    def saved(self) -> dict[str, Any]:
        """Its weights and its optimiser's state."""
        return {"weights": self.state_dict(), "optimizer": self._optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Restores what :meth:`saved` returned."""
        self.load_state_dict(state["weights"])
        self._optimizer.load_state_dict(state["optimizer"])
