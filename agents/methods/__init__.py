"""Related systems of reinforcement learning for code: one paper a file, on the parts that PPO uses.

Each file's docstring has the paper's equations and, numbered, the ways in which it differs from it.
To run one: ``python -m agents.methods NAME``; without a name, all are listed.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["METHODS", "Entry"]


class Entry(NamedTuple):
    """What a list of methods says of one.

    Attributes:
        title: What its paper calls it.
        paper: arXiv number.
        needs: What it needs besides a policy and problems.
        idea: What it does, in a line for somebody who has not read the paper.
    """

    title: str
    paper: str
    needs: str
    idea: str


METHODS = {
    "vineppo": Entry(
        "VinePPO",
        "2410.01679",
        "K completions of each line",
        "values each line by finishing the program from there several times; no critic",
    ),
    "prorl": Entry(
        "ProRL, with GRPO",
        "2507.12507",
        "groups of programs",
        "compares programs of one problem with each other, and renews the reference now and then",
    ),
    "rltf": Entry(
        "RLTF",
        "2307.04349",
        "a greedy program for each start, solutions to imitate",
        "blames the line in which a program broke off, and learns from older programs as well",
    ),
    "coderl": Entry(
        "CodeRL",
        "2207.01780",
        "a classifier as large as the policy, greedy programs, solutions to imitate",
        "weighs each token by how sure a classifier is of the program's outcome when it reads it",
    ),
    "jsrl": Entry(
        "JSRL",
        "2204.02372",
        "a guide: solutions, a checkpoint, or an n-gram table",
        "lets a guide write the first lines of a program, fewer and fewer, and learns the rest",
    ),
    "ircoco": Entry(
        "IRCoCo",
        "2401.16637",
        "an evaluator as large as the policy",
        "pays each token for how much it raised the score that an evaluator expects",
    ),
    "tp_grpo": Entry(
        "TP-GRPO",
        "2507.23317",
        "groups of programs, a process reward model",
        "rewards each run of right or wrong lines once, and less where the policy is capable",
    ),
    "roml": Entry(
        "RoML",
        "2301.11147",
        "something that tells problems apart before they are tried",
        "draws the kinds of problems at which the policy is worst more often",
    ),
    "code_less": Entry(
        "Code Less, Align More",
        "2407.05040",
        "scikit-learn, solutions to embed",
        "trains PPO on a share of the problems, chosen from clusters of those that are alike",
    ),
    "soft_q": Entry(
        "Soft Q-learning",
        "2106.07704",
        "a target network as large as the policy, a buffer of episodes",
        "takes the model's logits for values of tokens, and so learns from old programs as well",
    ),
}
"""Name of the file to what it is."""
