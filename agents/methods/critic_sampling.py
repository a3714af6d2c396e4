"""CodeRL's critic sampling (arXiv 2207.01780): a classifier helps to write, without any test.

Several programs of a problem are written. The classifier chooses the one that it takes for the
best; that is cut behind the token at which it looked best, and finished anew. The paper also runs a
problem's example tests first, and has a model of its own that repairs programs; this does neither.
"""

from __future__ import annotations

from typing import Any

import torch
from gymnasium.vector import VectorEnv
from torch import Tensor

from agents.completions import Completions, Prefix, prefix_of
from agents.methods.coderl import PASS, outcome_logits
from agents.methods.token_reader import TokenReader
from agents.policy import CausalLMPolicy
from agents.rollout import Sampling, play
from agents.scoring import Scored, scored
from agents.sequences import Sequences

__all__ = ["best_rows", "cut", "pass_rates"]


def best_rows(logits: Tensor, known: Scored) -> list[int]:
    """Of each group, the program that is taken for the best, in the order of the groups.

    Args:
        logits: (B, T, 4) of the classifier.
        known: B programs.
    """
    passing = outcome_logits(logits, known.generated).softmax(-1)[:, PASS].tolist()
    groups: dict[int, list[int]] = {}
    for row, group in enumerate(known.sequences.group.tolist()):
        groups.setdefault(group, []).append(row)
    return [max(rows, key=lambda row: passing[row]) for _, rows in sorted(groups.items())]


def cut(logits: Tensor, sequences: Sequences, row: int) -> Prefix:
    """The beginning of a program, up to the token with the highest probability of passing.

    The last token does not count: behind the end there is nothing to be finished.

    Args:
        logits: (B, T, 4) of the classifier.
        sequences: B programs.
        row: Which one.
    """
    start, end = int(sequences.start_length[row]), int(sequences.length[row])
    if end - start < 2:
        return prefix_of(sequences, row, start)
    passing = logits[row, start : end - 1].softmax(-1)[:, PASS]
    return prefix_of(sequences, row, start + int(passing.argmax()) + 1)


def pass_rates(
    policy: CausalLMPolicy,
    classifier: TokenReader,
    envs: VectorEnv[Any, Any, Any],
    *,
    samples: int,
    seed: int,
) -> dict[str, float]:
    """What critic sampling is worth, on a wave of problems.

    Args:
        policy: Writes the programs.
        classifier: Chooses and cuts.
        envs: With the problems; its reward does not matter.
        samples: Programs of a problem; must divide the number of sub-environments.
        seed: Decides problems and programs.

    Returns:
        Share of the problems that pass with ``one`` program, with the one ``chosen`` among
        `samples`, with that one ``refined``, and where ``any`` of them passes.
    """
    played = play(policy, envs, episodes=envs.num_envs, seed=seed, group_size=samples).sequences
    known = scored(played, torch.zeros_like(played.token_rewards))
    logits = classifier.read(played, 8192)
    chosen = best_rows(logits, known._replace(sequences=played))
    refine = Completions(policy, envs, sampling=Sampling(), seed=seed)
    again = refine.wave([cut(logits, played, row) for row in chosen])
    solved = played.solved.float()
    return {
        "one": float(solved[::samples].mean()),
        "chosen": float(solved[chosen].mean()),
        "refined": sum(passed for passed, _ in again) / len(again),
        "any": float(solved.view(-1, samples).amax(1).mean()),
    }
