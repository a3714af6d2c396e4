"""What is kept of some episodes for `codegym view`: their tokens, and what each was worth.

A row is a JSON object. Of an episode: ``row``, ``problem_id``, ``difficulty``, ``verdict``,
``reward``, ``stage``, ``num_stages``, ``truncated``. Of its tokens: ``pieces``, their text, whose
concatenation is the whole text; ``prompt_length`` and ``start_length``. Aligned with the generated
tokens: ``executed`` and ``loss_mask`` (0 or 1), ``rewards``, ``advantages``, ``values``,
``logprobs``, ``reference_logprobs``, and ``checkpoint_logprobs`` of the policy of the last
checkpoint that passed the guard (``out/good``). A column that the method has not is not in the row.
Of the judgement: ``program_start``, the character at which the program begins in the text,
``failing_test`` and ``error``. Numbers have five digits.

Nothing here changes a run: no random number is drawn, and the grades are those that the grader
remembers. The policy of the last checkpoint is read from its folder, asked, and forgotten, so that
no second copy of the weights is held between.
"""

from __future__ import annotations

import codecs
import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import codegym
from agents.policy import CausalLMPolicy
from agents.scoring import score_tokens
from agents.sequences import Sequences, take
from codegym.envs import CodeTask
from codegym.errors import ConfigurationError, ExecutionError
from codegym.grading import failing_test
from codegym.problems import Problem
from codegym.tokenization import Tokenizer

__all__ = ["rollout_rows", "token_pieces"]

_DIGITS = 5


def rollout_rows(
    sequences: Sequences,
    columns: Mapping[str, Tensor],
    count: int,
    *,
    task: CodeTask,
    grader: codegym.Grader,
    tokenizer: Tokenizer,
    earlier: Path,
    temperature: float,
) -> list[dict[str, Any]]:
    """Rows of some episodes, spread evenly over all of them.

    Args:
        sequences: B episodes.
        columns: (B, T) aligned with the tokens, by the names that a row has for them.
        count: How many episodes, at most.
        task: Has their problems.
        grader: Judged them, and remembers it.
        tokenizer: Spells the tokens.
        earlier: Folder of the policy of the last checkpoint; if there is none, nothing is said of
            how probabilities changed.
        temperature: Of the policy.

    Returns:
        One dict for each, for :meth:`agents.telemetry.RunLogger.rollouts`.
    """
    total = len(sequences.length)
    count = min(count, total)
    chosen = torch.tensor([i * total // count for i in range(count)])
    chosen = chosen.to(sequences.length.device)
    columns = {name: values[chosen] for name, values in columns.items()}
    sequences = take(sequences, chosen)
    columns["executed"] = sequences.loss_mask
    before = _earlier_logprobs(earlier, sequences, temperature)
    if before is not None:
        columns["checkpoint_logprobs"] = before
    return [
        {
            "row": int(chosen[i]),
            **_episode(sequences, i, tokenizer),
            **_judgement(sequences, i, task, grader, tokenizer),
            **{name: _numbers(values[i], sequences, i) for name, values in columns.items()},
        }
        for i in range(count)
    ]


def token_pieces(spellings: Iterable[bytes]) -> list[str]:
    r"""The text of each token, so that together they are the text.

    A character of several tokens belongs to the last of them. Bytes that are not UTF-8 become
    surrogate escapes, as in the text of a tokenizer and of a program.

    Args:
        spellings: Bytes of each token.

    Example:
        >>> token_pieces([b"a = '", b"\xe2\x82", b"\xac'", b""])
        ["a = '", '', "€'", '']
    """
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    pieces = [decoder.decode(spelling) for spelling in spellings]
    if pieces:
        pieces[-1] += decoder.decode(b"", final=True)
    return pieces


def _episode(sequences: Sequences, i: int, tokenizer: Tokenizer) -> dict[str, Any]:
    return {
        "problem_id": sequences.problem_id[i],
        "difficulty": sequences.difficulty[i],
        "verdict": sequences.verdict[i],
        "reward": _short(float(sequences.reward[i])),
        "stage": int(sequences.stage[i]),
        "num_stages": int(sequences.num_stages[i]),
        "truncated": bool(sequences.truncated[i]),
        "prompt_length": int(sequences.prompt_length[i]),
        "start_length": int(sequences.start_length[i]),
        "pieces": _pieces(sequences, i, tokenizer),
    }


def _pieces(sequences: Sequences, i: int, tokenizer: Tokenizer) -> list[str]:
    ids = sequences.input_ids[i, : int(sequences.length[i])].tolist()
    return token_pieces(map(tokenizer.token_bytes, ids))


def _judgement(
    sequences: Sequences, i: int, task: CodeTask, grader: codegym.Grader, tokenizer: Tokenizer
) -> dict[str, Any]:
    """Where the program begins, which test failed, and the line of the error."""
    program = sequences.program[i]
    problem: Problem = task.problems.by_id(sequences.problem_id[i])
    start = "".join(_pieces(sequences, i, tokenizer)).rfind(program) if program else -1
    found: dict[str, Any] = {"program_start": start} if start >= 0 else {}
    if not program:
        return found
    try:
        grade = grader.grade(problem, program)
    except ExecutionError:  # the machine's fault; the run has its verdict all the same
        return found
    failed = failing_test(problem, grade)
    if failed is not None:
        found["failing_test"] = dataclasses.asdict(failed)
    if not grade.solved:
        found["error"] = {
            "type": grade.error_type,
            "message": grade.error_message,
            "line": grade.error_line,
        }
    return found


def _earlier_logprobs(folder: Path, sequences: Sequences, temperature: float) -> Tensor | None:
    """(B, T) of the policy of the last checkpoint; None if it cannot be had."""
    if not folder.is_dir():
        return None
    try:
        # Loading draws random numbers that dropout would miss.
        with torch.random.fork_rng():
            policy = CausalLMPolicy.from_pretrained(folder).to(sequences.input_ids.device).eval()
        return score_tokens(policy, sequences, temperature=temperature)
    except (ConfigurationError, torch.OutOfMemoryError):  # a log must not end a run
        return None


def _numbers(values: Tensor, sequences: Sequences, i: int) -> list[int] | list[float]:
    """Of the generated tokens."""
    generated = values[int(sequences.start_length[i]) : int(sequences.length[i])]
    if generated.dtype == torch.bool:
        return [int(value) for value in generated.tolist()]
    return [_short(value) for value in generated.tolist()]


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
