"""Prompts that several sequences share, read once for all of them.

Programs for the same problem begin alike, and eight of them hold less text than eight times their
prompt. What a causal model makes of a prompt does not depend on what follows, so its keys and
values are computed once and handed to each row that begins with it; gradients come back that way.
"""

from __future__ import annotations

import inspect
import threading
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

__all__ = [
    "cache_name",
    "can_read_after",
    "has_plain_cache",
    "pad_left",
    "read_after",
    "read_one_at_a_time",
    "shared_prompts",
]

_WORTHWHILE = 0.25  # of all tokens; if fewer are saved, the way around costs more than that


def shared_prompts(
    input_ids: Tensor, prompt_length: Tensor, length: Tensor
) -> tuple[Tensor, Tensor] | None:
    """Which rows begin alike, if reading that once saves enough to be worth it.

    Args:
        input_ids: (B, T) int64, padded on the right.
        prompt_length: (B,) int64: tokens of each row's beginning.
        length: (B,) int64: tokens of each row.

    Returns:
        (U,) int64: a row for each of the different beginnings; and (B,) int64: which of them a row
        has. None: there is little to save, or a row's beginning is empty.
    """
    if len(length) < 2 or int(prompt_length.min()) < 1:
        return None
    width = int(prompt_length.max())
    columns = torch.arange(width, device=input_ids.device)
    # A padding id may equal a real token, but none is negative.
    marked = input_ids[:, :width].masked_fill(columns >= prompt_length[:, None], -1)
    different, of_row = torch.unique(marked, dim=0, return_inverse=True)
    rows = torch.arange(len(of_row), device=of_row.device)
    first = rows.new_full((len(different),), len(rows)).scatter_reduce(0, of_row, rows, "amin")
    saved = prompt_length.sum() - prompt_length[first].sum()
    return (first, of_row) if int(saved) >= _WORTHWHILE * int(length.sum()) else None


def read_after(
    trunk: PreTrainedModel,
    input_ids: Tensor,
    start_length: Tensor,
    length: Tensor,
    shared: tuple[Tensor, Tensor],
) -> Tensor:
    """Hidden states from which the generated tokens were chosen; each prompt is read once.

    Args:
        trunk: A language model whose cache is a plain one; its head is not used.
        input_ids: (B, T) int64, padded on the right.
        start_length: (B,) first generated column, at least 2.
        length: (B,) first padding column.
        shared: What :func:`shared_prompts` found of all tokens before the last one given.

    Returns:
        (N, d), in the order of the rows; with a gradient, where one is wanted.
    """
    first, of_row = shared
    model: Any = trunk.base_model
    cache = DynamicCache(config=trunk.config)
    prompts, positions, seen = pad_left(input_ids[first], start_length[first] - 1)
    run: dict[str, Any] = {"use_cache": True, cache_name(model): cache}
    model(input_ids=prompts, attention_mask=seen, position_ids=positions, **run)
    cache.batch_select_indices(of_row)
    steps = length - start_length
    ahead = torch.arange(int(steps.max()), device=length.device)
    columns = (start_length[:, None] - 1 + ahead).clamp(max=input_ids.shape[1] - 1)
    hidden: Tensor = model(
        input_ids=input_ids.gather(1, columns),
        attention_mask=torch.cat([seen[of_row], torch.ones_like(columns)], 1),
        position_ids=columns,
        **run,
    )[0]
    return hidden[ahead < steps[:, None]]


def pad_left(input_ids: Tensor, length: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows that end in the same column.

    Args:
        input_ids: (B, T) int64, padded on the right.
        length: (B,) int64, the longest at least 1.

    Returns:
        (B, T') int64, cut to the longest row: tokens, their positions in the row (0 at padding),
        and 1 at tokens, 0 at padding.
    """
    width = int(length.max())
    columns = torch.arange(width, device=length.device) - (width - length)[:, None]
    positions = columns.clamp(min=0)
    return input_ids.gather(1, positions), positions, (columns >= 0).to(torch.int64)


def has_plain_cache(trunk: PreTrainedModel) -> bool:
    """Whether keys and values of all tokens are kept, and nothing else.

    They are not where attention sees a window only, or where a layer has a state in their place.
    """
    layers = DynamicCache(config=trunk.config).layers
    return all(type(layer) is DynamicLayer for layer in layers)


def can_read_after(trunk: PreTrainedModel) -> bool:
    """Whether a language model makes the same of a text that it reads in two parts.

    It does not if it has no plain cache, takes none, or turns positions by angles that depend on
    how long a text is (RoPE of the types "dynamic" and "longrope").
    """
    known = inspect.signature(trunk.base_model.forward).parameters
    named = {"attention_mask", "position_ids", cache_name(trunk.base_model)}
    return named <= known.keys() and has_plain_cache(trunk) and not _turns_by_length(trunk)


def read_one_at_a_time(trunk: PreTrainedModel) -> None:
    """Makes passes of different threads wait for each other, where one would disturb another.

    A model whose angles depend on how long a text is keeps them in a buffer, which each pass
    writes. Others are left as they are.
    """
    if _turns_by_length(trunk):
        trunk.base_model.register_forward_pre_hook(_wait)
        trunk.base_model.register_forward_hook(_let_go, always_call=True)


# One for all such models: with locks of their own they could not be copied.
_reading = threading.RLock()


def _wait(*_: object) -> None:
    _reading.acquire()


def _let_go(*_: object) -> None:
    _reading.release()


def _turns_by_length(trunk: PreTrainedModel) -> bool:
    turns = {str(getattr(module, "rope_type", "")) for module in trunk.modules()}
    return any(kind in turn for turn in turns for kind in ("dynamic", "longrope"))


def cache_name(model: nn.Module) -> str:
    """What the model calls its cache.

    Each model is asked, not the version of transformers: models that a checkpoint brings along may
    keep the old name under a new transformers.
    """
    known = inspect.signature(model.forward).parameters
    return "cache" if "cache" in known else "past_key_values"
