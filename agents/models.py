"""Which model: a tiny one from scratch, a hub checkpoint, a saved policy, or a random config."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2Config,
)

from agents.command import refuse_unused
from agents.hub import loading
from agents.lora import (
    ALL_LINEAR,
    add_adapter,
    add_saved_adapter,
    has_adapter,
    require_adapter,
    saved_adapter,
)
from agents.policy import CausalLMPolicy, require_logits, saved_vocab_size, tiny_config
from codegym.errors import ConfigurationError

__all__ = ["ModelSettings", "empty_trunk", "make_policy", "model_config", "uses_checkpointing"]

_HEAD_WIDTH = 16
_SPARE_POSITIONS = 2  # OPT's table begins with two rows that stand for no position


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
    lora_rank: int = 0
    """an adapter of this rank (LoRA) is learned beside the checkpoint's weights, which stand still
    and are held once for policy, critic and reference; 0: all weights are learned"""
    lora_alpha: int = 32
    """what an adapter adds is scaled by lora_alpha / lora_rank"""
    lora_targets: tuple[str, ...] = ALL_LINEAR
    """layers with an adapter: "all-linear" (but the output head), or names such as q_proj v_proj"""

    @property
    def adapter(self) -> dict[str, Any]:
        """What the settings say of an adapter, as arguments of :func:`agents.lora.add_adapter`."""
        return {"rank": self.lora_rank, "alpha": self.lora_alpha, "targets": self.lora_targets}

    @property
    def learns_adapter(self) -> bool:
        """Whether an adapter is learned: a new one, or that of a saved policy."""
        return self.lora_rank > 0 or (Path(self.model) / "adapter").is_dir()

    @property
    def is_pretrained(self) -> bool:
        """Whether the model has weights that were learned before."""
        return self.model not in ("tiny", "random-qwen2") and not self.model.startswith("config:")

    @property
    def advice(self) -> str:
        """What to say of the learning rates before a checkpoint of others is trained; or empty."""
        own = not self.is_pretrained or (Path(self.model) / "policy.json").is_file()
        rates = [
            f"{field.name}={field.default:g}"
            for field in dataclasses.fields(self)
            if field.name.endswith("learning_rate") and getattr(self, field.name) == field.default
            if isinstance(field.default, float)
        ]
        if own or not rates:
            return ""
        return (
            f"{' and '.join(rates)}: these defaults are for small models from scratch, and likely "
            f"to spoil the checkpoint {self.model!r}. Begin with 1e-5 (with an adapter, 1e-4)."
        )

    def refuse_unused_model(self) -> None:
        """Refuses settings of a model that this model has no use for.

        Raises:
            ConfigurationError: If one was given.
        """
        sizes = ("model_width", "model_layers")
        ours = self.model in ("tiny", "random-qwen2")
        refuse_unused(self, sizes, ours, 'model="tiny" or model="random-qwen2"')
        if self.lora_rank < 0:
            raise ConfigurationError(f"lora_rank must be 0 or more, got {self.lora_rank}.")
        if self.lora_alpha < 1:
            raise ConfigurationError(f"lora_alpha must be 1 or more, got {self.lora_alpha}.")
        refuse_unused(self, ("lora_rank",), self.is_pretrained, "a model with learned weights")
        refuse_unused(self, ("lora_alpha", "lora_targets"), self.lora_rank > 0, "lora_rank > 0")


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
    if settings.is_pretrained:
        policy = CausalLMPolicy.from_pretrained(settings.model, vocab_size=vocab_size, dtype=dtype)
        _require_padding_only(policy.trunk, vocab_size, settings.model)
    else:
        config = model_config(settings, vocab_size=vocab_size)
        policy = CausalLMPolicy.from_config(config, vocab_size=vocab_size, seed=seed, dtype=dtype)
    _require_actions(policy.vocab_size, vocab_size, settings.model)
    # The settings of a model alone, without a task, have no length.
    _require_positions(policy.trunk, getattr(settings, "context_length", 1), settings.model)
    if settings.lora_rank:
        adapter = settings.adapter
        if has_adapter(policy.trunk):
            require_adapter(policy.trunk, **adapter)
        else:
            add_adapter(policy.trunk, **adapter, seed=seed)
    if settings.gradient_checkpointing:
        _enable_checkpointing(policy)
    return policy.eval()


def model_config(settings: ModelSettings, *, vocab_size: int) -> PreTrainedConfig:
    """The shape of the model that the settings name. No weights are loaded.

    Args:
        settings: The model.
        vocab_size: Number of actions.

    Returns:
        The config of the trunk, without an adapter.

    Raises:
        ConfigurationError: If the width is none of a whole number of heads, or there is no such
            model.
    """
    heads, rest = divmod(settings.model_width, _HEAD_WIDTH)
    if rest or not heads:
        raise ConfigurationError(
            f"model_width must be a multiple of {_HEAD_WIDTH}, the width of a head of attention, "
            f"got {settings.model_width}."
        )
    if settings.model == "tiny":
        return tiny_config(
            vocab_size,
            d=settings.model_width,
            layers=settings.model_layers,
            heads=heads,
            key_value_heads=max(1, heads // 2),
            context_length=4096,
        )
    if settings.model == "random-qwen2":
        return Qwen2Config(
            vocab_size=-(-vocab_size // 64) * 64,  # padded, as in the published checkpoints
            hidden_size=settings.model_width,
            intermediate_size=4 * settings.model_width,
            num_hidden_layers=settings.model_layers,
            num_attention_heads=heads,
            num_key_value_heads=max(1, heads // 2),
        )
    name = settings.model.removeprefix("config:")
    folder = Path(name)
    if (folder / "adapter").is_dir():
        name = saved_adapter(folder / "adapter")["base"]
    elif (folder / "trunk").is_dir():
        name = str(folder / "trunk")
    with loading(name, "the config of a causal language model") as where:
        config: PreTrainedConfig = AutoConfig.from_pretrained(where)
    return config


def _require_actions(saved: int, vocab_size: int, name: str) -> None:
    """Refuses a saved policy that chooses among the tokens of another tokenizer."""
    if saved != vocab_size:
        raise ConfigurationError(
            f"The tokenizer has {vocab_size} actions, but the saved policy {name!r} was made for "
            f"{saved}. Use the tokenizer that it was trained with."
        )


def _require_padding_only(trunk: PreTrainedModel, vocab_size: int, name: str) -> None:
    """Refuses a checkpoint that has another tokenizer, as far as sizes tell.

    Checkpoints pad their vocabulary, by a few per cent. One with far more tokens than the tokenizer
    has ids of its own for the same text, and would read and write what it never learned.
    """
    head = trunk.get_output_embeddings()  # type: ignore[no-untyped-call]
    tokens = head.weight.shape[0]
    if tokens > 2 * vocab_size:
        raise ConfigurationError(
            f"The checkpoint {name!r} has {tokens} tokens, but the tokenizer has {vocab_size}: it "
            "is not the one that the checkpoint was trained with. Name that one, as in "
            f"tokenizer={name!r}."
        )


def _require_positions(trunk: PreTrainedModel, context_length: int, name: str) -> None:
    """Refuses a checkpoint that looks positions up in a table with too few rows, as GPT-2 does.

    Rotary positions have no table: they go on behind what the checkpoint was trained with.
    """
    positions = getattr(trunk.config, "max_position_embeddings", None) or context_length
    of_tokens = trunk.get_input_embeddings()
    tables = [m for m in trunk.modules() if isinstance(m, nn.Embedding) and m is not of_tokens]
    learned = range(positions, positions + _SPARE_POSITIONS + 1)
    if positions < context_length and any(table.num_embeddings in learned for table in tables):
        raise ConfigurationError(
            f"The checkpoint {name!r} has {positions} positions, but context_length is "
            f"{context_length}. Set context_length={positions} or less, and max_new_tokens with it."
        )


def uses_checkpointing(model: nn.Module) -> bool:
    """Whether a model's activations are computed again in the backward pass."""
    return any(getattr(module, "gradient_checkpointing", False) for module in model.modules())


def _enable_checkpointing(policy: CausalLMPolicy) -> None:
    """Under the name that this version of transformers has for it."""
    trunk, how = policy.trunk, {"use_reentrant": False}
    if hasattr(trunk, "activation_checkpointing_enable"):
        trunk.activation_checkpointing_enable(how)
    else:
        trunk.gradient_checkpointing_enable(how)  # type: ignore[no-untyped-call]
        trunk.enable_input_require_grads()  # type: ignore[no-untyped-call]


def empty_trunk(
    settings: ModelSettings, *, vocab_size: int, config: PreTrainedConfig | None = None
) -> PreTrainedModel:
    """The language model that the settings name, adapter included, on the meta device: no memory.

    Args:
        settings: The model.
        vocab_size: Number of actions.
        config: Its shape, in place of the one that the settings name.

    Returns:
        A model without weights, of which everything can be counted.

    Raises:
        ConfigurationError: As :func:`make_policy`.
    """
    shape = config or model_config(settings, vocab_size=vocab_size)
    folder = Path(settings.model)
    with torch.device("meta"):
        trunk: PreTrainedModel = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
            shape, dtype=_dtype(settings.dtype)
        )
        trunk.tie_weights()  # transformers 5.0 leaves them apart on this device
        if (folder / "adapter").is_dir():
            add_saved_adapter(trunk, folder / "adapter")
            if settings.lora_rank:
                require_adapter(trunk, **settings.adapter)
        elif settings.lora_rank:
            add_adapter(trunk, **settings.adapter)
    if config is None:
        require_logits(trunk, vocab_size)
        if (folder / "policy.json").is_file():
            _require_actions(saved_vocab_size(folder), vocab_size, settings.model)
        if settings.is_pretrained:
            _require_padding_only(trunk, vocab_size, settings.model)
    return trunk


def _dtype(name: str) -> torch.dtype:
    known = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if name not in known:
        raise ConfigurationError(f"dtype must be one of {', '.join(known)}, got {name!r}.")
    return known[name]
