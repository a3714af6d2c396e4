"""Tiny checkpoints with the architectures of published models and random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma3TextConfig,
    LlamaConfig,
    PreTrainedConfig,
    Qwen2Config,
)

CONFIGS: dict[str, type[PreTrainedConfig]] = {
    "qwen2": Qwen2Config,
    "llama": LlamaConfig,
    "gemma2": Gemma2Config,  # soft caps of logits and of attention, tied embeddings
    "gemma3": Gemma3TextConfig,
}


def tiny(kind: str, **changes: Any) -> PreTrainedConfig:
    sizes: dict[str, Any] = {
        "vocab_size": 512,
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 8,
        "max_position_embeddings": 1024,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": None,
    }
    return CONFIGS[kind](**{**sizes, **changes})


def save_checkpoint(kind: str, folder: Path, *, seed: int = 0, **changes: Any) -> Path:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: Any = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
            tiny(kind, **changes)
        )
    model.save_pretrained(folder)
    return folder
