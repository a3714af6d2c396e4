"""Everything that a PPO run needs to go on, in one folder.

::

    policy/       the policy, as CausalLMPolicy.save_pretrained writes it
    reference/    the frozen reference, the same way
    state.pt      iteration, episodes, seconds, optimiser, start states

Written under another name first and then renamed, so a folder that exists is whole.
"""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import torch

from agents.policy import CausalLMPolicy
from codegym.errors import ConfigurationError

__all__ = ["TrainerState", "load", "save"]


@dataclasses.dataclass(frozen=True, slots=True)
class TrainerState:
    """What is no weight.

    Attributes:
        iteration: Iterations done.
        episodes: Episodes played.
        seconds: Of the budget.
        optimizer: Its state dict.
        start_states: State dict of the start distribution.
    """

    iteration: int
    episodes: int
    seconds: float
    optimizer: dict[str, Any]
    start_states: dict[str, Any]


def save(
    folder: Path, *, policy: CausalLMPolicy, reference: CausalLMPolicy, state: TrainerState
) -> None:
    """Writes a checkpoint; one of the same name is replaced.

    Args:
        folder: Where.
        policy: As it is now.
        reference: Frozen.
        state: The rest.
    """
    draft = folder.with_name(folder.name + ".draft")
    shutil.rmtree(draft, ignore_errors=True)
    policy.save_pretrained(draft / "policy")
    reference.save_pretrained(draft / "reference")
    fields = {field.name: getattr(state, field.name) for field in dataclasses.fields(state)}
    torch.save(fields, draft / "state.pt")
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)


def load(folder: Path, *, policy: CausalLMPolicy, reference: CausalLMPolicy) -> TrainerState:
    """Restores both models in place and returns the rest.

    Args:
        folder: Written by :func:`save`.
        policy: Of the same shape; its weights are replaced.
        reference: Of the same shape; its weights are replaced.

    Returns:
        Iteration, optimiser and start states.

    Raises:
        ConfigurationError: If the folder is no checkpoint.
    """
    if not (folder / "state.pt").is_file():
        raise ConfigurationError(
            f"{folder} is no checkpoint: expected a folder with policy/, reference/ and state.pt, "
            "such as runs/ppo/checkpoints/000040."
        )
    for model, name in ((policy, "policy"), (reference, "reference")):
        dtype = next(model.trunk.parameters()).dtype
        saved = CausalLMPolicy.from_pretrained(folder / name, dtype=dtype)
        model.load_state_dict(saved.state_dict())
    return TrainerState(**torch.load(folder / "state.pt", weights_only=True))
