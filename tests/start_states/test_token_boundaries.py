"""Given code and generated code never re-tokenise each other.

For every start state of 300 real problems and three kinds of tokenizer, the tokens of the prefix
and of the rest spell the program exactly, byte by byte.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from codegym.problems import load_problems
from codegym.start_states import (
    CurriculumOfSubtasks,
    LinePrefixes,
    Reference,
    UniformPrefixes,
    stage_starts,
)
from codegym.tokenization import ByteTokenizer, HuggingFaceTokenizer, MiniTokenizer, Tokenizer

FILES = {
    "leetcode": "LeetCodeDataset-v0.2.0-train.jsonl.gz",
    "humaneval": "HumanEval.jsonl.gz",
    "mbpp": "sanitized-mbpp.json",
}


def hugging_face_tokenizer(texts: list[str]) -> Tokenizer:
    """A byte-level BPE as GPT-2's, trained on the spot."""
    tokenizers = pytest.importorskip("tokenizers", reason="the agents extra is not installed")
    transformers = pytest.importorskip("transformers", reason="the agents extra is not installed")
    bpe = tokenizers.Tokenizer(tokenizers.models.BPE())
    bpe.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=1500,
        special_tokens=["<end>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<end>")
    return HuggingFaceTokenizer(fast)


@pytest.fixture(scope="module")
def references(data_dir: Any) -> list[Reference]:
    found = []
    for source, file in FILES.items():
        problems = load_problems(source, data=data_dir / file, split=None).sample(100, seed=0)
        found += [Reference(problem.id, problem.canonical_solution) for problem in problems]
    assert len(found) == 300
    return found


@pytest.mark.parametrize("kind", ["byte", "mini", "hugging_face"])
def test_prefix_and_rest_spell_the_program(references: list[Reference], kind: str) -> None:
    makers: dict[str, Callable[[], Tokenizer]] = {
        "byte": ByteTokenizer,
        "mini": MiniTokenizer,
        "hugging_face": lambda: hugging_face_tokenizer([r.program for r in references]),
    }
    tokenizer = makers[kind]()
    rng = np.random.default_rng(0)
    states = 0
    for reference in references:
        for starts in (CurriculumOfSubtasks(), UniformPrefixes(), LinePrefixes()):
            for stage in range(starts.num_stages(reference)):
                prefix = starts.draw(reference, rng, stage).prefix
                given = tokenizer.encode(prefix)
                rest = tokenizer.encode(reference.program[len(prefix) :])
                assert tokenizer.decode(given) == prefix
                assert tokenizer.decode([*given, *rest]) == reference.program
                spelled = b"".join(map(tokenizer.token_bytes, [*given, *rest]))
                assert spelled == reference.program.encode()
                states += 1
    assert states > 3000


def test_stages_of_real_solutions_follow_the_rule(references: list[Reference]) -> None:
    for reference in references:
        conditionals = UniformPrefixes().num_stages(reference)
        stages = CurriculumOfSubtasks().num_stages(reference)
        assert stages == len(stage_starts(conditionals))
