"""The ``options`` of ``reset``, checked."""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from codegym.errors import ConfigurationError, StartStateError, UnknownNameError
from codegym.tokenization.tokenizer import Tokenizer, end_ids

__all__ = ["ResetOptions", "given_options"]


@dataclasses.dataclass(frozen=True, slots=True)
class ResetOptions:
    """What a caller may ask of a reset.

    Attributes:
        problem_id: Start with this problem.
        stage: Start at this stage of the start distribution; 0 is the empty prefix.
        prefix: Start from this code, as text or as token ids, instead of a stage.
        check_prefix: Whether `prefix` must begin the canonical solution. False: any code, such as
            one that a policy wrote.
    """

    problem_id: str | None = None
    stage: int | None = None
    prefix: str | tuple[int, ...] | None = None
    check_prefix: bool = True

    @classmethod
    def parse(cls, options: Mapping[str, Any] | None) -> ResetOptions:
        """Options from Gymnasium's mapping.

        Raises:
            UnknownNameError: If a key is not known.
            ConfigurationError: If it is no mapping, if a value has the wrong type, or if `stage`
                and `prefix` both come.
        """
        legal = {field.name for field in dataclasses.fields(cls)}
        given = given_options(options)
        for name in given:
            if name not in legal:
                raise UnknownNameError("reset option", name, legal)
        prefix = given.get("prefix")
        if prefix is not None and not isinstance(prefix, str):
            given["prefix"] = _token_ids(prefix)
        if prefix is not None and given.get("stage") is not None:
            raise ConfigurationError(
                'Give either options["stage"] or options["prefix"]: each says where to begin.'
            )
        problem_id = given.get("problem_id")
        if problem_id is not None and not isinstance(problem_id, str):
            raise ConfigurationError(f'options["problem_id"] must be a str, got {problem_id!r}.')
        return cls(**given)

    def prefix_tokens(self, tokenizer: Tokenizer) -> tuple[tuple[int, ...], str]:
        """Token ids and text of the literal prefix.

        Raises:
            StartStateError: If an id is not in the vocabulary, or is the end token.
        """
        if isinstance(self.prefix, str):
            return tuple(tokenizer.encode(self.prefix)), self.prefix
        ids, ends = self.prefix or (), end_ids(tokenizer)
        for token in ids:
            if not 0 <= token < tokenizer.vocab_size or token in ends:
                raise StartStateError(
                    f"A prefix is made of token ids from 0 to {tokenizer.vocab_size - 1}, the end "
                    f"tokens {sorted(ends)} excepted; got {token}."
                )
        return ids, tokenizer.decode(ids)


def given_options(options: Mapping[str, Any] | None) -> dict[str, Any]:
    """A copy of the options that came; empty if none did.

    Raises:
        ConfigurationError: If they are no mapping.
    """
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        raise ConfigurationError(
            f'options must be a mapping such as {{"stage": 0}}, or None, got {options!r:.80}.'
        )
    return dict(options)


def _token_ids(prefix: Any) -> tuple[int, ...]:
    if isinstance(prefix, np.ndarray):
        prefix = prefix.tolist()
    is_ids = isinstance(prefix, Sequence) and not isinstance(prefix, bytes)
    if not is_ids or not all(isinstance(token, numbers.Integral) for token in prefix):
        raise ConfigurationError(
            f'options["prefix"] must be a str or a sequence of token ids, got {prefix!r:.80}.'
        )
    return tuple(int(token) for token in prefix)
