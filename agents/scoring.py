"""What the models say of stored sequences: the input of rewards, advantages and masks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from agents.at_once import all_at_once
from agents.critic import Critic, HeadCritic
from agents.policy import CausalLMPolicy
from agents.sequences import Sequences, Tokens, generated_mask, token_groups
from codegym.errors import EpisodeError
from codegym.grading import Verdict

__all__ = ["Scored", "Scores", "score", "score_tokens", "scored"]


class Scored(NamedTuple):
    """Finished episodes and what was said of them; all (B, T), aligned with the tokens.

    Attributes:
        sequences: The episodes.
        generated: bool: the tokens that the policy chose.
        logprobs: Of the policy that wrote them.
        values: Of the critic; 0 where there is none.
        reference_logprobs: Of the frozen reference; those of the policy where there is none.
    """

    sequences: Sequences
    generated: Tensor
    logprobs: Tensor
    values: Tensor
    reference_logprobs: Tensor


class Scores(NamedTuple):
    """What the models said of the tokens; (B, T), aligned with the tokens.

    Attributes:
        logprobs: Of the policy.
        values: Of the critic; None where there is none.
        reference_logprobs: Of the reference.
    """

    logprobs: Tensor
    values: Tensor | None
    reference_logprobs: Tensor


def score(
    policy: CausalLMPolicy,
    critic: Critic | None,
    reference: CausalLMPolicy,
    tokens: Tokens | Sequences,
    *,
    temperature: float = 1.0,
    microbatch_tokens: int = 8192,
) -> Scores:
    """What the models say of the tokens, before there are grades; two groups of them at a time.

    Args:
        policy: As it was in the rollout.
        critic: None where there is none.
        reference: Frozen.
        tokens: B episodes.
        temperature: Of policy and reference.
        microbatch_tokens: Rows x columns of one forward pass.

    Returns:
        Log-probabilities and values.
    """
    logprobs, reference_logprobs = _blank(tokens), _blank(tokens)
    values = None if critic is None else _blank(tokens)
    of_policy = partial(policy.score, temperature=temperature)
    asked: list[tuple[tuple[Tensor, ...], Callable[..., Tensor | tuple[Tensor, ...]]]]
    if values is None or critic is None:
        asked = [((logprobs,), of_policy)]
    elif isinstance(critic, HeadCritic):
        asked = [((logprobs, values), partial(critic.score, temperature=temperature))]
    else:
        asked = [((logprobs,), of_policy), ((values,), critic.values)]
    asked.insert(1, ((reference_logprobs,), partial(reference.score, temperature=temperature)))
    groups = list(token_groups(tokens, microbatch_tokens, alike=policy.prompts_of(tokens)))
    all_at_once(partial(_fill, into, ask, group) for into, ask in asked for group in groups)
    return Scores(logprobs, values, reference_logprobs)


def scored(
    sequences: Sequences,
    logprobs: Tensor,
    *,
    values: Tensor | None = None,
    reference_logprobs: Tensor | None = None,
) -> Scored:
    """Episodes with their scores, of which a method may lack some.

    From an episode without a verdict, because its problem's checker failed, there is nothing to
    learn: none of its tokens counts as generated, and its group does not count it.

    Args:
        sequences: B episodes of T columns.
        logprobs: (B, T) of the policy that wrote them.
        values: (B, T) of the critic; None: there is none.
        reference_logprobs: (B, T) of the reference; None: there is none.

    Returns:
        All of them.

    Raises:
        EpisodeError: If no episode has a verdict.
    """
    generated = generated_mask(
        sequences.start_length, sequences.length, sequences.input_ids.shape[1]
    )
    found = [verdict != Verdict.JUDGE_ERROR.value for verdict in sequences.verdict]
    if not any(found):
        raise EpisodeError(
            f"None of {len(found)} episodes has a verdict: the checkers of their problems failed, "
            "so there is nothing to learn from. Find out with codegym.problems.validate()."
        )
    if not all(found):
        judged = torch.tensor(found, device=generated.device)
        alone = -1 - torch.arange(len(found), device=generated.device)
        generated = generated & judged[:, None]
        sequences = sequences._replace(group=torch.where(judged, sequences.group, alone))
    return Scored(
        sequences,
        generated,
        logprobs,
        torch.zeros_like(logprobs) if values is None else values,
        logprobs if reference_logprobs is None else reference_logprobs,
    )


def score_tokens(
    policy: CausalLMPolicy,
    tokens: Tokens | Sequences,
    *,
    temperature: float = 1.0,
    microbatch_tokens: int = 8192,
) -> Tensor:
    """Log-probabilities of all generated tokens, computed in groups of similar length.

    Args:
        policy: Is asked.
        tokens: B episodes.
        temperature: Of the policy.
        microbatch_tokens: Rows x columns of one forward pass.

    Returns:
        (B, T) float32 aligned with the tokens; 0 where nothing was generated.
    """
    logprobs = _blank(tokens)
    for group in token_groups(tokens, microbatch_tokens, alike=policy.prompts_of(tokens)):
        _fill((logprobs,), partial(policy.score, temperature=temperature), group)
    return logprobs


def _blank(tokens: Tokens | Sequences) -> Tensor:
    return torch.zeros_like(tokens.input_ids, dtype=torch.float32)


@torch.no_grad()
def _fill(
    into: tuple[Tensor, ...],
    ask: Callable[..., Tensor | tuple[Tensor, ...]],
    group: tuple[Tensor, ...],
) -> None:
    """Writes what a model says of a group of rows."""
    rows, *inputs = group
    said = ask(*inputs)
    for all_rows, found in zip(into, said if isinstance(said, tuple) else (said,), strict=True):
        all_rows[rows, : found.shape[1]] = found
