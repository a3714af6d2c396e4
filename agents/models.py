"""Which model: a tiny one from scratch, a hub checkpoint, a saved policy, or a random config."""

from __future__ import annotations

import dataclasses

import torch
from transformers import AutoConfig, Qwen2Config

from agents.command import refuse_unused
from agents.policy import CausalLMPolicy
from codegym.errors import ConfigurationError

__all__ = ["ModelSettings", "make_policy", "uses_checkpointing"]

_HEAD_WIDTH = 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """The policy's model."""

    model: str = "tiny"
    """"tiny" (Llama-shaped, from scratch), "random-qwen2" (Qwen2-shaped, random), a folder of a
    saved policy, a hub name or folder of a checkpoint, or "config:NAME" for that architecture with
    random weights"""
    model_width: int = 64
    """of "tiny" and "random-qwen2"; heads of attention are 16 wide"""
    model_layers: int = 2
    """of "tiny" and "random-qwen2" """
    dtype: str = "float32"
    """of the trunk: "float32", "bfloat16" or "float16" """
    gradient_checkpointing: bool = False
    """trades time for memory in the update"""

    def refuse_unused_model(self) -> None:
        """Refuses settings of a model that this model has no use for.

        Raises:
            ConfigurationError: If one was given.
        """
        sizes = ("model_width", "model_layers")
        ours = self.model in ("tiny", "random-qwen2")
        refuse_unused(self, sizes, ours, 'model="tiny" or model="random-qwen2"')


def make_policy(settings: ModelSettings, *, vocab_size: int, seed: int) -> CausalLMPolicy:
    """The policy that the settings name, on the CPU.

    Args:
        settings: The model.
        vocab_size: Number of actions.
        seed: Of random weights.

    Returns:
        A policy in evaluation mode.

    Raises:
        ConfigurationError: If the dtype is unknown, the width is none of a whole number of heads,
            or the model does not fit the actions.
    """
    dtype = _dtype(settings.dtype)
    heads, rest = divmod(settings.model_width, _HEAD_WIDTH)
    if rest or not heads:
        raise ConfigurationError(
            f"model_width must be a multiple of {_HEAD_WIDTH}, the width of a head of attention, "
            f"got {settings.model_width}."
        )
    if settings.model == "tiny":
        policy = CausalLMPolicy.from_config_tiny(
            vocab_size,
            d=settings.model_width,
            layers=settings.model_layers,
            heads=heads,
            key_value_heads=max(1, heads // 2),
            context_length=4096,
            seed=seed,
            dtype=dtype,
        )
    elif settings.model == "random-qwen2":
        config = Qwen2Config(
            vocab_size=-(-vocab_size // 64) * 64,  # padded, as in the published checkpoints
            hidden_size=settings.model_width,
            intermediate_size=4 * settings.model_width,
            num_hidden_layers=settings.model_layers,
            num_attention_heads=heads,
            num_key_value_heads=max(1, heads // 2),
        )
        policy = CausalLMPolicy.from_config(config, vocab_size=vocab_size, seed=seed, dtype=dtype)
    elif settings.model.startswith("config:"):
        config = AutoConfig.from_pretrained(settings.model.removeprefix("config:"))
        policy = CausalLMPolicy.from_config(config, vocab_size=vocab_size, seed=seed, dtype=dtype)
    else:
        policy = CausalLMPolicy.from_pretrained(settings.model, vocab_size=vocab_size, dtype=dtype)
    if policy.vocab_size != vocab_size:
        raise ConfigurationError(
            f"The tokenizer has {vocab_size} actions, but the saved policy {settings.model!r} was "
            f"made for {policy.vocab_size}. Use the tokenizer that it was trained with."
        )
    if settings.gradient_checkpointing:
        _enable_checkpointing(policy)
    return policy.eval()


def uses_checkpointing(policy: CausalLMPolicy) -> bool:
    """Whether the policy's activations are computed again in the backward pass."""
    return any(getattr(module, "gradient_checkpointing", False) for module in policy.modules())


def _enable_checkpointing(policy: CausalLMPolicy) -> None:
    """Under the name that this version of transformers has for it."""
    trunk = policy.trunk
    if hasattr(trunk, "activation_checkpointing_enable"):
        trunk.activation_checkpointing_enable()
    else:
        trunk.gradient_checkpointing_enable()  # type: ignore[no-untyped-call]


def _dtype(name: str) -> torch.dtype:
    known = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if name not in known:
        raise ConfigurationError(f"dtype must be one of {', '.join(known)}, got {name!r}.")
    return known[name]
