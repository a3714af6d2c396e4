"""Rollouts of other people's trainers: a sample as `codegym grade` reads it, and its grade."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from codegym.commands.samples.sample import Sample, Written
from codegym.commands.viewing.rollout import (
    LARGEST_WHOLE,
    FloatArray,
    Rollout,
    as_floats,
    probabilities,
)
from codegym.errors import TokenizationError, UnknownNameError
from codegym.tokenization import Tokenizer

__all__ = ["rollout_of_sample", "score_column", "score_names"]

_TOTAL = "reward"


def score_names(samples: Iterable[Sample]) -> list[str]:
    """The scores that some samples have."""
    names = (name for one in samples for name, value in one.scores.items() if value is not None)
    return list(dict.fromkeys(names))


def score_column(
    names: Sequence[str], asked: str | None, *, usual: str | None, where: Path
) -> str | None:
    """Which score is shown as the reward; None if there is none, or none is more likely.

    Args:
        names: Of the scores that there are.
        asked: The name that the user gave.
        usual: The name that the format has for it.
        where: The source, for the message.

    Raises:
        UnknownNameError: If there is no score of the name that was given.
    """
    if asked is not None:
        if asked not in names:
            raise UnknownNameError(f"score of {where.name}", asked, names)
        return asked
    for name in (usual, _TOTAL):
        if name in names:
            return name
    return names[0] if len(names) == 1 else None


def rollout_of_sample(
    sample: Sample,
    score: str | None,
    tokenizer: Tokenizer | None,
    grade: Mapping[str, Any] | None,
) -> Rollout:
    """A rollout of a sample: its tokens if they can be spelled, else its text.

    Args:
        sample: As it was read.
        score: Which of its scores is the reward.
        tokenizer: Spells tokens; None: none is at hand.
        grade: A row of the results of `codegym grade`, if there is one.
    """
    pieces, prompt, columns = None, 0, dict[str, FloatArray]()
    if sample.written is not None and tokenizer is not None:
        pieces = _spelled(sample.written, tokenizer)
        prompt, columns = sample.written.start, _columns(sample.written)
    tokens = pieces is not None
    if pieces is None:
        prompt, columns = int(bool(sample.prompt)), {}
        pieces = [*([sample.prompt] if sample.prompt else []), sample.text]
    verdict = sample.verdict if grade is None else str(grade["verdict"])
    return Rollout(
        where=sample.where,
        pieces=pieces,
        prompt=prompt,
        start=prompt,
        tokens=tokens,
        columns=columns,
        problem_id=sample.problem_id if grade is None else str(grade.get("problem_id")),
        verdict=verdict,
        reward=None if score is None else sample.scores.get(score),
        step=sample.step if abs(sample.step or 0) <= LARGEST_WHOLE else None,
        facts=_facts(sample, grade),
    )


def _spelled(written: Written, tokenizer: Tokenizer) -> list[str] | None:
    """The text of each token; None if the tokenizer is another one."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    try:
        # A character of several tokens belongs to the last of them, as in our own rollouts.
        pieces = [decoder.decode(tokenizer.token_bytes(token)) for token in written.token_ids]
    except TokenizationError:
        return None
    if pieces:
        pieces[-1] += decoder.decode(b"", final=True)
    return pieces


def _columns(written: Written) -> dict[str, FloatArray]:
    columns = {"loss_mask": as_floats(written.loss_mask)}
    numbers = {name: as_floats(values) for name, values in written.numbers.items()}
    if "advantages" in numbers:
        columns["advantage"] = numbers["advantages"]
    if "logprobs" in numbers:
        columns["probability"] = probabilities(numbers["logprobs"])
    return columns


def _facts(sample: Sample, grade: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    facts = [
        (name, "none" if value is None else f"{value:g}") for name, value in sample.scores.items()
    ]
    if sample.advantage is not None:
        facts.append(("advantage of the rollout", f"{sample.advantage:g}"))
    if grade is None:
        return facts
    failed = grade.get("failing_test")
    if isinstance(failed, dict):
        facts.append(("failing test", f"number {failed.get('number')}: {failed.get('test')}"))
        kind, message = failed.get("error_type"), failed.get("error_message")
        facts.append(("got", f"{kind}: {message}" if kind else str(message)))
    if grade.get("error_line") is not None:
        facts.append(
            ("error", f"line {grade['error_line']} of the program: {grade.get('error_message')}")
        )
    if isinstance(grade.get("program"), str):
        facts.append(("program that was graded", grade["program"]))
    return facts
