"""Which tokens end an answer of a Hugging Face tokenizer's model, beside ``eos_token``.

Many chat models end a turn with a token of their own. It is found by rendering a conversation with
the chat template, and in the generation config, where a checkpoint has one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = ["as_ids", "ends_of_turn", "generation_ends"]

_ANSWER = "codegym"
_CONVERSATION = (
    {"role": "user", "content": "Write a program."},
    {"role": "assistant", "content": _ANSWER},
    {"role": "user", "content": "Thanks."},
)


def ends_of_turn(tokenizer: Any) -> set[int]:
    """The token that a chat template puts after an answer, if it is an added token.

    Where nothing but white space follows the last answer of a conversation, the token that begins
    the next turn ends it. Empty without a template, or if it refuses to render.
    """
    if not getattr(tokenizer, "chat_template", None):
        return set()
    for count in (2, 3):
        try:
            text = tokenizer.apply_chat_template(
                list(_CONVERSATION[:count]), tokenize=False, add_generation_prompt=False
            )
        except Exception:  # a template is code of others, and raises what it likes
            continue
        _, found, rest = text.rpartition(_ANSWER)
        first = _first_added(tokenizer, rest.lstrip()) if found else None
        if first is not None:
            return {first}
    return set()


def generation_ends(name: str) -> set[int]:
    """The end tokens of the generation config in a checkpoint's folder; none if it has none."""
    try:
        config = json.loads(Path(name, "generation_config.json").read_text("utf-8"))
        return as_ids(config.get("eos_token_id"))
    except (OSError, ValueError, AttributeError):
        return set()


def as_ids(value: int | Iterable[int] | None) -> set[int]:
    """Token ids of a config: one, several or none."""
    if value is None:
        return set()
    return {value} if isinstance(value, int) else {int(one) for one in value}


def _first_added(tokenizer: Any, text: str) -> int | None:
    """The added token that a text begins with."""
    added = getattr(tokenizer, "added_tokens_decoder", {})
    spelled = {one: str(token.content) for one, token in added.items()}
    fitting = [one for one, content in spelled.items() if content and text.startswith(content)]
    return max(fitting, key=lambda one: len(spelled[one]), default=None)
