"""All programs that a policy may write for a Mini problem, and the truth about each prefix."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from agents.environments import TaskSettings, load_split, make_grader, make_tokenizer
from agents.policy import CausalLMPolicy
from agents.prm.lines import lines_of
from agents.sequences import length_buckets, pad_tokens
from codegym import Grader
from codegym.envs import make_prompt_format
from codegym.problems import Problem, flawed_solution
from codegym.programs import NEUTRAL
from codegym.tokenization import Tokenizer

__all__ = ["Script", "Tree", "texts", "trees"]

_MOST_CLAUSES = 8
_RIGHT, _WRONG = 2.0, 0.0


class Script:
    """In place of a generator: says which clauses go wrong."""

    def __init__(self, wrong: Sequence[bool]) -> None:
        self._wrong = wrong
        self.asked = 0

    def random(self) -> float:
        """Below any rate if the next clause is to be wrong."""
        self.asked += 1
        wrong = self.asked <= len(self._wrong) and self._wrong[self.asked - 1]
        return _WRONG if wrong else _RIGHT


@dataclasses.dataclass(frozen=True, slots=True)
class Tree:
    """All programs of a problem under a policy.

    Attributes:
        problem: What is asked.
        prompt: Tokens of the prompt.
        programs: Generated tokens of each program, the end token included.
        probability: (P,) of writing each.
        passes: (P,) bool.
        success: Prefix of generated tokens -> probability of finishing well from there.
        line_ends: Of each program, columns within the generated tokens.
    """

    problem: Problem
    prompt: tuple[int, ...]
    programs: tuple[tuple[int, ...], ...]
    probability: np.ndarray[Any, np.dtype[np.float64]]
    passes: np.ndarray[Any, np.dtype[np.bool_]]
    success: dict[tuple[int, ...], float]
    line_ends: tuple[tuple[int, ...], ...]

    def at_lines(self, program: int) -> list[float]:
        """(T,) probability of success after each line of a program."""
        tokens = self.programs[program]
        return [self.success[tokens[: end + 1]] for end in self.line_ends[program]]


def texts(problem: Problem) -> list[str]:
    """Every combination of right and wrong clauses, each text once; none if there are too many."""
    probe = Script(())
    flawed_solution(problem, probe, rate=1.0)  # type: ignore[arg-type]  # only random() is called
    if probe.asked > _MOST_CLAUSES:
        return []
    return list(
        dict.fromkeys(
            flawed_solution(problem, Script(wrong), rate=1.0)  # type: ignore[arg-type]
            for wrong in itertools.product((False, True), repeat=probe.asked)
        )
    )


def trees(size: int, policy: CausalLMPolicy) -> Iterator[Tree]:
    """The trees of all problems that have one.

    Args:
        size: How many problems are looked at.
        policy: Gives the probabilities.

    Yields:
        One for each problem in which some programs pass and some fail.
    """
    settings = TaskSettings(difficulty="interview")
    tokenizer = make_tokenizer(settings.tokenizer)
    prompt_format = make_prompt_format(settings.prompt_format)
    with make_grader(settings) as grader:
        for problem in load_split(settings, split="validation", size=size, seed=0):
            written = texts(problem)
            if len(written) < 2:
                continue
            prompt = prompt_format.render(problem)
            tree = _tree(problem, prompt.text, prompt.header, written, policy, tokenizer, grader)
            if 0 < tree.passes.sum() < len(tree.passes):
                yield tree


def _tree(
    problem: Problem,
    prompt: str,
    header: str,
    written: Sequence[str],
    policy: CausalLMPolicy,
    tokenizer: Tokenizer,
    grader: Grader,
) -> Tree:
    start = tuple(tokenizer.encode(prompt + header))
    programs = [(*tokenizer.encode(t[len(header) :]), tokenizer.end_id) for t in written]
    passes = [grade.solved for grade in grader.grade_many([(problem, text) for text in written])]
    children: dict[tuple[int, ...], set[int]] = {}
    for tokens in programs:
        for t, token in enumerate(tokens):
            children.setdefault(tokens[:t], set()).add(token)
    steps = _probabilities(policy, start, programs, children)
    success = dict(zip(programs, map(float, passes), strict=True))
    for node in sorted(children, key=len, reverse=True):
        success[node] = sum(
            steps[node, token] * success[(*node, token)] for token in children[node]
        )
    probability = [
        float(np.prod([steps[tokens[:t], token] for t, token in enumerate(tokens)]))
        for tokens in programs
    ]
    ends = [
        lines_of((*start, *tokens), len(start), tokenizer, before=header, neutral=NEUTRAL).ends
        for tokens in programs
    ]
    return Tree(
        problem=problem,
        prompt=start,
        programs=tuple(programs),
        probability=np.array(probability),
        passes=np.array(passes),
        success=success,
        line_ends=tuple(tuple(end - len(start) for end in mine) for mine in ends),
    )


@torch.inference_mode()
def _probabilities(
    policy: CausalLMPolicy,
    start: tuple[int, ...],
    programs: Sequence[tuple[int, ...]],
    children: dict[tuple[int, ...], set[int]],
) -> dict[tuple[tuple[int, ...], int], float]:
    """(prefix, token) -> probability among the tokens that go on with a program."""
    found: dict[tuple[tuple[int, ...], int], float] = {}
    ids, length = pad_tokens([(*start, *tokens) for tokens in programs], pad_id=0)
    for rows in length_buckets(length, torch.arange(len(programs)), max_tokens=8192):
        logits = policy(ids[rows, : int(length[rows].max())])
        for row, scores in zip(rows.tolist(), logits, strict=True):
            tokens = programs[row]
            for t in range(len(tokens)):
                node = tokens[:t]
                options = sorted(children[node])
                if (node, options[0]) not in found:
                    chosen = scores[len(start) + t - 1, options].double().softmax(-1)
                    for token, p in zip(options, chosen.tolist(), strict=True):
                        found[node, token] = p
    return found
