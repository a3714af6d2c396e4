"""The arguments of ``reset``, checked, and spread over the sub-environments of a vector one."""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from codegym.errors import ConfigurationError, StartStateError, UnknownNameError
from codegym.tokenization.tokenizer import Tokenizer, end_ids

__all__ = ["ResetOptions", "given_options", "reset_mask", "spread_options", "spread_seeds"]


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
            ConfigurationError: If it is not a mapping, if a value has the wrong type, or if `stage`
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
        ConfigurationError: If they are not a mapping.
    """
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        raise ConfigurationError(
            f'options must be a mapping such as {{"stage": 0}}, or None, got {options!r:.80}.'
        )
    return dict(options)


def reset_mask(mask: object, num_envs: int) -> npt.NDArray[np.bool_]:
    """The sub-environments to reset, (num_envs,) bool; all if no mask was given.

    Raises:
        ConfigurationError: If the mask has another shape or type, or holds no True.
    """
    if mask is None:
        return np.ones(num_envs, dtype=bool)
    array = np.asarray(mask)
    if array.shape != (num_envs,) or array.dtype != np.bool_ or not array.any():
        raise ConfigurationError(
            f'options["reset_mask"] must be a bool array of shape ({num_envs},) with at '
            f"least one True, got shape {array.shape} and dtype {array.dtype}."
        )
    return array


def spread_seeds(seed: int | Sequence[int | None] | None, num_envs: int) -> Sequence[int | None]:
    """One seed for each sub-environment: ``seed + i`` for the i-th if one was given.

    Raises:
        ConfigurationError: If there are more or fewer seeds than sub-environments.
    """
    if seed is None:
        return [None] * num_envs
    if isinstance(seed, numbers.Integral):
        return [int(seed) + i for i in range(num_envs)]
    if not isinstance(seed, Sequence | np.ndarray) or len(seed) != num_envs:
        raise ConfigurationError(
            f"Give one seed for each of the {num_envs} sub-environments, or an int; got "
            f"{seed!r:.80}."
        )
    return [None if one is None else int(one) for one in seed]


def spread_options(options: Mapping[str, Any], num_envs: int) -> list[dict[str, Any]]:
    """Options of each sub-environment from single values and sequences of num_envs values.

    A prefix is the exception: a flat sequence of ints is one prefix of token ids, for all.

    Raises:
        ConfigurationError: If a sequence has another length.
    """
    singles: list[dict[str, Any]] = [{} for _ in range(num_envs)]
    for name, value in options.items():
        batched = isinstance(value, Sequence | np.ndarray) and not isinstance(value, str | bytes)
        if (
            name == "prefix"
            and batched
            and all(np.ndim(v) == 0 and not isinstance(v, str) and v is not None for v in value)
        ):
            batched = False
        if batched and len(value) != num_envs:
            raise ConfigurationError(
                f'options["{name}"] must be one value or one for each of the {num_envs} '
                f"sub-environments, got {len(value)}."
            )
        values = value if batched else [value] * num_envs
        for single, one in zip(singles, values, strict=True):
            single[name] = one.item() if isinstance(one, np.generic) else one
    return singles


def _token_ids(prefix: Any) -> tuple[int, ...]:
    if isinstance(prefix, np.ndarray):
        prefix = prefix.tolist()
    is_ids = isinstance(prefix, Sequence) and not isinstance(prefix, bytes)
    if not is_ids or not all(isinstance(token, numbers.Integral) for token in prefix):
        raise ConfigurationError(
            f'options["prefix"] must be a str or a sequence of token ids, got {prefix!r:.80}.'
        )
    return tuple(int(token) for token in prefix)
