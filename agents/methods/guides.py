"""Guides for JSRL: who writes the first lines of a program, before the learner goes on."""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

import numpy as np
import torch

from agents.decoding import Decoder
from agents.environments import TaskSettings, make_tokenizer
from agents.policy import CausalLMPolicy
from agents.sequences import pad_tokens
from codegym.envs import make_prompt_format, prompt_tokens
from codegym.problems import Problem, ProblemSet
from codegym.start_states import Reference

__all__ = ["Guide", "ngram_guide", "policy_guide"]

Guide = Callable[[Reference], str]
"""A problem -> the whole code that the guide would write behind its prompt."""

_BATCH = 64


def policy_guide(policy: CausalLMPolicy, settings: TaskSettings, problems: ProblemSet) -> Guide:
    """A policy that writes the program it takes for the likeliest, once for each problem.

    Args:
        policy: Such as a checkpoint of an earlier run.
        settings: Tokenizer, prompt format and budgets.
        problems: All that will be asked.

    Returns:
        A guide.
    """
    written: dict[str, str] = {}
    for first in range(0, len(problems), _BATCH):
        batch = [problems[i] for i in range(first, min(first + _BATCH, len(problems)))]
        codes = _write(policy, settings, batch)
        written.update(zip((problem.id for problem in batch), codes, strict=True))
    return lambda reference: written[reference.problem_id]


@torch.no_grad()
def _write(
    policy: CausalLMPolicy, settings: TaskSettings, problems: Sequence[Problem]
) -> list[str]:
    """Greedy programs, up to the end token or the budget."""
    tokenizer = make_tokenizer(settings.tokenizer, settings.prompt_format)
    prompt_format = make_prompt_format(settings.prompt_format, tokenizer)
    prompts = [prompt_tokens(prompt_format.render(problem), tokenizer) for problem in problems]
    ids, length = (tensor.to(policy.device) for tensor in pad_tokens(prompts, pad_id=0))
    budget = min(settings.max_new_tokens, settings.context_length - int(length.max()) - 1)
    decoder = Decoder(policy, ids, length, reserve=budget)
    columns = []
    for _ in range(budget):
        tokens = decoder.logits.argmax(1)
        columns.append(tokens.tolist())
        decoder.append(tokens)
    rows = [list(row) for row in zip(*columns, strict=True)]
    ends = [row.index(tokenizer.end_id) if tokenizer.end_id in row else budget for row in rows]
    return [tokenizer.decode(row[:end]) for row, end in zip(rows, ends, strict=True)]


def ngram_guide(settings: TaskSettings, problems: ProblemSet, *, order: int, seed: int) -> Guide:
    """A table of which token follows which, which knows nothing of what is asked.

    Args:
        settings: Tokenizer, prompt format and budget.
        problems: From whose canonical solutions it counts.
        order: Tokens that count together, the next one included, at least 1.
        seed: Of its programs; a problem's is always the same.

    Returns:
        A guide.
    """
    tokenizer = make_tokenizer(settings.tokenizer, settings.prompt_format)
    prompt_format = make_prompt_format(settings.prompt_format, tokenizer)
    counts: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
    for problem in problems:
        header = prompt_format.render(problem).header
        tokens = [*tokenizer.encode(problem.canonical_solution[len(header) :]), tokenizer.end_id]
        for t, token in enumerate(tokens):
            counts[tuple(tokens[max(0, t - order + 1) : t])][token] += 1

    def guide(reference: Reference) -> str:
        rng = np.random.default_rng([seed, zlib.crc32(reference.problem_id.encode())])
        tokens: list[int] = []
        while len(tokens) < settings.max_new_tokens:
            following = counts[tuple(tokens[max(0, len(tokens) - order + 1) :])]
            share = np.array(list(following.values())) / following.total()
            token = int(rng.choice(list(following), p=share))
            if token == tokenizer.end_id:
                break
            tokens.append(token)
        return tokenizer.decode(tokens)

    return guide
