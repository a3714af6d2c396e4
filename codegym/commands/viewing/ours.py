"""Rollouts that our agents keep: `rollouts.jsonl` of a run, described in `agents.rollout_log`."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from codegym.commands.viewing.rollout import (
    LARGEST_WHOLE,
    FloatArray,
    Rollout,
    as_floats,
    probabilities,
)
from codegym.errors import ProblemError

__all__ = ["is_ours", "rollout_of_row"]

_COLUMNS = {
    "executed": "executed",
    "loss_mask": "loss_mask",
    "reward": "rewards",
    "advantage": "advantages",
    "value": "values",
}


def is_ours(row: Mapping[str, Any]) -> bool:
    """Whether a row is one of these."""
    return {"pieces", "start_length"} <= row.keys()


def rollout_of_row(row: Mapping[str, Any], where: str, spelled: dict[str, str]) -> Rollout:
    """A rollout of a row.

    Args:
        row: As it was read.
        where: Its place.
        spelled: Texts of tokens that were seen, so that each is in memory once; is added to.

    Raises:
        ProblemError: If a field does not hold what it should.
    """
    pieces = row.get("pieces")
    if not isinstance(pieces, list) or not all(isinstance(piece, str) for piece in pieces):
        raise ProblemError(f"'pieces' must be a list of texts, got {pieces!r:.60}")
    start = _count(row, "start_length", most=len(pieces))
    prompt = _count(row, "prompt_length", most=start)
    columns = {
        name: _column(row, field, len(pieces) - start)
        for name, field in _COLUMNS.items()
        if field in row
    }
    if "logprobs" in row:
        columns["probability"] = probabilities(_column(row, "logprobs", len(pieces) - start))
        if "checkpoint_logprobs" in row:
            before = probabilities(_column(row, "checkpoint_logprobs", len(pieces) - start))
            columns["change"] = columns["probability"] - before
    return Rollout(
        where=_where(row, where),
        pieces=[spelled.setdefault(piece, piece) for piece in pieces],
        prompt=prompt,
        start=start,
        tokens=True,
        columns=columns,
        problem_id=_text(row, "problem_id"),
        verdict=_text(row, "verdict"),
        reward=_number(row, "reward"),
        stage=_whole(row, "stage"),
        step=_whole(row, "step"),
        error=_error_pieces(row, pieces),
        facts=_facts(row),
    )


def _where(row: Mapping[str, Any], where: str) -> str:
    step, number = row.get("step"), row.get("row")
    return where if step is None or number is None else f"iteration {step}, episode {number}"


def _count(row: Mapping[str, Any], name: str, *, most: int) -> int:
    value = row.get(name)
    if type(value) is not int or not 0 <= value <= most:
        raise ProblemError(f"{name!r} must be a number from 0 to {most}, got {value!r:.60}")
    return value


def _column(row: Mapping[str, Any], name: str, length: int) -> FloatArray:
    values = row[name]
    if not isinstance(values, list) or len(values) != length:
        raise ProblemError(f"{name!r} must have a number for each of {length} tokens")
    try:
        return as_floats(values)
    except (TypeError, ValueError, OverflowError) as error:
        raise ProblemError(f"{name!r} must be numbers: {error}") from error


def _text(row: Mapping[str, Any], name: str) -> str | None:
    value = row.get(name)
    return value if isinstance(value, str) else None


def _number(row: Mapping[str, Any], name: str) -> float | None:
    value = row.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:  # an int beyond what a float can be
        return None


def _whole(row: Mapping[str, Any], name: str) -> int | None:
    value = row.get(name)
    return value if type(value) is int and abs(value) <= LARGEST_WHOLE else None


def _error_pieces(row: Mapping[str, Any], pieces: Sequence[str]) -> tuple[int, int] | None:
    """The pieces of the line of the error: first, and last that is excluded."""
    error, begin = row.get("error"), row.get("program_start")
    line = error.get("line") if isinstance(error, dict) else None
    if type(line) is not int or type(begin) is not int or line < 1 or begin < 0:
        return None
    text = "".join(pieces)
    for _ in range(line - 1):
        begin = text.find("\n", begin) + 1
        if begin == 0:
            return None
    end = text.find("\n", begin)
    end = max(begin + 1, len(text) if end < 0 else end)
    ends = itertools.accumulate(map(len, pieces))
    inside = [
        k
        for k, (piece, after) in enumerate(zip(pieces, ends, strict=True))
        if after > begin and after - len(piece) < end
    ]
    return (inside[0], inside[-1] + 1) if inside else None


def _facts(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    facts = []
    failed, error = row.get("failing_test"), row.get("error")
    if isinstance(failed, dict):
        facts.append(("failing test", f"number {failed.get('number')}, {failed.get('verdict')}"))
        for label, name in (("input", "input"), ("expected", "expected"), ("got", "error_message")):
            value = failed.get(name)
            if value is not None:
                kind = failed.get("error_type") if label == "got" else None
                facts.append((label, f"{kind}: {value}" if kind else str(value)))
    if isinstance(error, dict) and error.get("line") is not None:
        kind = error.get("type") or row.get("verdict")
        facts.append(("error", f"line {error['line']}: {kind}: {error.get('message')}"))
    for label, name in (("difficulty", "difficulty"), ("stages", "num_stages")):
        if name in row:
            facts.append((label, str(row[name])))
    if row.get("truncated"):
        facts.append(("ended", "by the token budget, not by the policy"))
    return facts
