"""Makes ``mini_bpe.json``: ``python -m codegym.tokenization.train_mini_bpe``.

Needs the ``tokenizers`` library; codegym itself only reads the file. Trains on comments, solutions
and flawed solutions of Mini's training split, so that mistakes are spelled as well as code.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tokenizers

from codegym.problems.mini.generator import flawed_solution
from codegym.problems.sources.mini import load_mini
from codegym.tokenization.mini_bpe import PIECES

__all__ = ["train"]

_SIZE = 512
_SPECIAL = ["<|end|>", "<|pad|>"]


def train(problems: int = 5_000) -> tokenizers.Tokenizer:
    """Trains the vocabulary on that many problems, canonical and flawed solutions in turn."""
    model = tokenizers.Tokenizer(tokenizers.models.BPE())
    model.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.Split(tokenizers.Regex(PIECES), "isolated"),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    model.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=_SIZE,
        special_tokens=_SPECIAL,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    model.train_from_iterator(_texts(problems), trainer)
    return model


def _texts(problems: int) -> Iterator[str]:
    rng = np.random.default_rng(0)
    for problem in load_mini(split="train", size=problems, seed=0):
        yield problem.canonical_solution
        yield flawed_solution(problem, rng)


if __name__ == "__main__":
    train().save(str(Path(__file__).with_name("mini_bpe.json")), pretty=False)
