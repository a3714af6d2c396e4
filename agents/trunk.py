"""The language model inside a policy, a critic or a reward model: loaded, copied, saved, restored.

Saved in the folder of the model that it belongs to::

    trunk/              the language model, as ``save_pretrained`` writes it
    adapter/            or, with :mod:`agents.lora`, only what is learned beside a base
"""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from agents.hub import loading
from agents.lora import add_adapter, has_adapter, restore_adapter, save_adapter, saved_adapter

__all__ = ["copy_trunk", "load_trunk", "read_trunk", "restore_trunk", "save_trunk", "saved_like"]


def load_trunk(name_or_path: str | Path, dtype: torch.dtype) -> PreTrainedModel:
    """A causal language model of a folder or of the hub.

    Args:
        name_or_path: Folder or hub name.
        dtype: Of its weights.

    Returns:
        The model on the CPU.

    Raises:
        ConfigurationError: If it cannot be loaded.
    """
    with loading(name_or_path, "a causal language model") as name:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(name, dtype=dtype)
    return model


def copy_trunk(trunk: PreTrainedModel) -> PreTrainedModel:
    """A copy that learns for itself. Where there is an adapter, the base's weights are shared."""
    shared = {
        id(weight): weight
        for name, weight in trunk.named_parameters()
        if has_adapter(trunk) and ".lora_" not in name
    }
    return copy.deepcopy(trunk, shared)


def save_trunk(trunk: PreTrainedModel, folder: Path) -> None:
    """Writes what the module's docstring describes below a folder, which is there."""
    if has_adapter(trunk):
        save_adapter(trunk, folder / "adapter")
    else:
        trunk.save_pretrained(folder / "trunk")


def read_trunk(folder: Path, dtype: torch.dtype) -> PreTrainedModel:
    """The language model that :func:`save_trunk` wrote, on its base if it is an adapter.

    Args:
        folder: Of the model that it belongs to.
        dtype: Of its weights; those of an adapter are float32.

    Returns:
        The model on the CPU.

    Raises:
        ConfigurationError: If it or its base cannot be loaded, or they do not belong together.
    """
    if not (folder / "adapter").is_dir():
        return load_trunk(folder / "trunk", dtype)
    made_of = saved_adapter(folder / "adapter")
    trunk = load_trunk(made_of["base"], dtype)
    add_adapter(trunk, **made_of)
    restore_adapter(trunk, folder / "adapter")
    return trunk


def restore_trunk(trunk: PreTrainedModel, folder: Path) -> None:
    """Replaces the weights that are learned by those that :func:`save_trunk` wrote.

    Args:
        trunk: Of the same shape; changed in place.
        folder: Of the model that it belongs to.

    Raises:
        ConfigurationError: If they are damaged or not there, or do not fit.
    """
    if has_adapter(trunk):
        restore_adapter(trunk, folder / "adapter")
    else:
        saved = load_trunk(folder / "trunk", next(trunk.parameters()).dtype)
        trunk.load_state_dict(saved.state_dict())


def saved_like(trunk: PreTrainedModel, folder: Path) -> bool:
    """Whether a folder has a language model that was saved as this one would be."""
    return (folder / ("adapter" if has_adapter(trunk) else "trunk")).is_dir()
