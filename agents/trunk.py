"""The language model inside a policy, a critic or a reward model: loaded, copied, saved, restored.

Saved in the folder of the model that it belongs to::

    trunk/              the language model, as ``save_pretrained`` writes it
    adapter/            or, with :mod:`agents.lora`, only what is learned beside a base
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from agents.folders import replacing
from agents.hub import loading
from agents.lora import (
    add_saved_adapter,
    has_adapter,
    restore_adapter,
    save_adapter,
    saved_adapter,
)
from codegym.errors import ConfigurationError

__all__ = ["copy_trunk", "load_trunk", "read_trunk", "restore_trunk", "save_trunk", "saved_like"]


def load_trunk(name_or_path: str | Path, dtype: torch.dtype) -> PreTrainedModel:
    """A causal language model of a folder or of the hub.

    Args:
        name_or_path: Folder or hub name.
        dtype: Of its weights.

    Returns:
        The model on the CPU.

    Raises:
        ConfigurationError: If it cannot be loaded, if a weight is missing or has another shape than
            the config says, or if it is an adapter of peft's on a base.
    """
    with loading(name_or_path, "a causal language model") as name:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            name, dtype=dtype, output_loading_info=True, ignore_mismatched_sizes=True
        )
    model: PreTrainedModel = loaded[0]
    found: dict[str, Any] = loaded[1]
    weights = {weight for weight, _ in model.named_parameters()}
    faults = {
        "are missing": sorted(weights & set(found["missing_keys"])),
        "have another shape": sorted(key for key, *_ in found["mismatched_keys"]),
    }
    for fault, names in faults.items():
        if names:  # transformers would put random numbers in their place
            raise ConfigurationError(
                f"Expected a weight for each layer that the config of {str(name_or_path)!r} names, "
                f"but {len(names)} of {len(weights)} {fault}, such as {names[0]}. The checkpoint "
                "is damaged, or is none of a causal language model. Get it again, or name another."
            )
    if has_adapter(model):
        raise ConfigurationError(
            f"Expected a causal language model in {str(name_or_path)!r}, but it is an adapter on "
            "one. Of a run of codegym, name the folder above it (such as runs/lora/policy); merge "
            "any other into its base, by merge_and_unload() of peft, and name what that saves."
        )
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
        with replacing(folder / "adapter") as draft:
            save_adapter(trunk, draft)
    else:
        with replacing(folder / "trunk") as draft:
            trunk.save_pretrained(draft)


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
    trunk = load_trunk(saved_adapter(folder / "adapter")["base"], dtype)
    add_saved_adapter(trunk, folder / "adapter")
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
        with loading(folder / "trunk", "a language model of the same shape"):
            trunk.load_state_dict(saved.state_dict())


def saved_like(trunk: PreTrainedModel, folder: Path) -> bool:
    """Whether a folder has a language model that was saved as this one would be."""
    return (folder / ("adapter" if has_adapter(trunk) else "trunk")).is_dir()
