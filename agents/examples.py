"""Supervised examples: prompts with the programs that should follow, as tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from agents.sequences import pad_tokens
from codegym.envs import PromptFormat, prompt_tokens
from codegym.errors import ContextLengthError
from codegym.problems import Problem
from codegym.tokenization import Tokenizer

__all__ = ["Example", "ExampleBatch", "Solution", "batches", "canonical", "encode_example"]

Solution = Callable[[Problem, np.random.Generator], str]
"""Writes the program that is to be imitated; begins with the prompt's header."""


class Example(NamedTuple):
    """One sequence.

    Attributes:
        tokens: Prompt, program, end token.
        start_length: Tokens of the prompt; the loss begins behind them.
    """

    tokens: tuple[int, ...]
    start_length: int


class ExampleBatch(NamedTuple):
    """Examples of similar length, padded on the right.

    Attributes:
        input_ids: (B, T) int64.
        start_length: (B,) int64.
        length: (B,) int64.
    """

    input_ids: Tensor
    start_length: Tensor
    length: Tensor


def canonical(problem: Problem, rng: np.random.Generator) -> str:  # noqa: ARG001  # a Solution
    """The reference solution: a :data:`Solution` for any source."""
    return problem.canonical_solution


def encode_example(
    problem: Problem,
    solution: str,
    *,
    tokenizer: Tokenizer,
    prompt_format: PromptFormat,
    context_length: int,
) -> Example:
    """The tokens that the environment would show and judge for this program.

    Args:
        problem: What is asked.
        solution: A whole program that begins with the prompt's header.
        tokenizer: Of the environment.
        prompt_format: Of the environment.
        context_length: Longest sequence.

    Returns:
        Prompt tokens, program tokens, end token.

    Raises:
        ContextLengthError: If they do not fit.
    """
    prompt = prompt_format.render(problem)
    prompt_ids = prompt_tokens(prompt, tokenizer)
    program_ids = tokenizer.encode(solution[len(prompt.header) :])
    tokens = (*prompt_ids, *program_ids, tokenizer.end_id)
    if len(tokens) > context_length:
        raise ContextLengthError(
            f"Problem {problem.id!r} with its solution needs {len(tokens)} tokens, but "
            f"context_length is {context_length}."
        )
    return Example(tokens, len(prompt_ids))


def batches(
    examples: Iterator[Example],
    *,
    batch_size: int,
    pool: int,
    rng: np.random.Generator,
    pad_id: int,
) -> Iterator[ExampleBatch]:
    """Shuffled batches of similar length from an endless stream.

    Args:
        examples: May end; what is left then makes smaller batches.
        batch_size: Examples a batch.
        pool: Batches that are filled at a time: examples are sorted by length within these.
        rng: Order of the batches of a pool.
        pad_id: Fills the unused part.

    Yields:
        Batches.
    """
    while True:
        drawn = [example for _, example in zip(range(batch_size * pool), examples, strict=False)]
        if not drawn:
            return
        drawn.sort(key=lambda example: len(example.tokens))
        groups = [drawn[i : i + batch_size] for i in range(0, len(drawn), batch_size)]
        for k in rng.permutation(len(groups)).tolist():
            yield _collate(groups[k], pad_id)


def _collate(examples: Sequence[Example], pad_id: int) -> ExampleBatch:
    input_ids, length = pad_tokens([example.tokens for example in examples], pad_id=pad_id)
    start_length = torch.tensor([example.start_length for example in examples])
    return ExampleBatch(input_ids, start_length, length)
