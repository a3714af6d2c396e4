"""How much memory training takes, by the size of the checkpoint: what ``--dry-run`` tells.

Nothing is trained and nothing is measured here. Checkpoints are shaped as Qwen2.5's, and the sizes
of the job are the same for all.

    python -m benchmarks.memory
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tyro
from transformers import Qwen2Config

from agents import ppo
from agents.dry_run import memory_of
from agents.models import empty_trunk
from benchmarks import page

SHAPES: dict[str, dict[str, Any]] = {
    "0.5B": {
        "hidden_size": 896,
        "intermediate_size": 4864,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "vocab_size": 151936,
        "tie_word_embeddings": True,
    },
    "1.5B": {
        "hidden_size": 1536,
        "intermediate_size": 8960,
        "num_hidden_layers": 28,
        "num_attention_heads": 12,
        "num_key_value_heads": 2,
        "vocab_size": 151936,
        "tie_word_embeddings": True,
    },
    "7B": {
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "vocab_size": 152064,
        "tie_word_embeddings": False,
    },
}
WAYS: dict[str, dict[str, Any]] = {
    "all weights, float32": {},
    "all weights, bfloat16": {"dtype": "bfloat16"},
    "LoRA, bfloat16": {"dtype": "bfloat16", "lora_rank": 16},
    "LoRA, bfloat16, critic a head": {"dtype": "bfloat16", "lora_rank": 16, "critic": "head"},
}
JOB = ppo.Args(
    model="checkpoint",
    device="cuda",
    context_length=2048,
    max_new_tokens=512,
    num_envs=32,
    microbatch_tokens=2048,
    gradient_checkpointing=True,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args:
    """Memory by the size of a checkpoint."""

    out: Path = page.RESULTS / "memory"
    """path of the results, without suffix"""


def rows() -> Iterator[dict[str, Any]]:
    """Bytes of each shape trained in each way."""
    for size, shape in SHAPES.items():
        for way, changes in WAYS.items():
            args = dataclasses.replace(JOB, **changes)
            trunk = empty_trunk(args, vocab_size=151665, config=Qwen2Config(**shape))
            memory = memory_of(args, trunk)
            yield {"size": size, "way": way, **dataclasses.asdict(memory), "peak": memory.peak}


def lines(results: dict[str, Any]) -> Iterator[str]:
    """The page."""
    asked = (
        "What does PPO take, in GB (10^9 bytes), on checkpoints shaped as Qwen2.5's, with "
        f"context_length={JOB.context_length}, microbatch_tokens={JOB.microbatch_tokens}, "
        f"num_envs={JOB.num_envs} and gradient checkpointing? Weights, reference, critic, "
        "optimiser and gradients are counted on the meta device; the rest is an estimate of the "
        "most that these settings allow. Nothing was run on a GPU. LoRA: rank 16, all linear "
        "layers."
    )
    yield from page.head("Memory of training", asked, results)
    columns = {
        "weights": "weights",
        "reference": "reference",
        "critic": "critic",
        "optimiser": "optimizer",
        "gradients": "gradients",
        "activations": "activations",
        "logits": "logits",
        "optimiser's step": "step",
        "writing": "generation",
        "**peak**": "peak",
    }
    table = [
        [row["size"], row["way"], *(f"{row[key] / 1e9:.1f}" for key in columns.values())]
        for row in results["rows"]
    ]
    yield from page.table(["checkpoint", "what is learned", *columns], table)


def main() -> None:
    """The command."""
    args = tyro.cli(Args)
    results = page.environment("memory", "torch", "transformers", "peft")
    results["rows"] = list(rows())
    page.write(args.out, results, lines)


if __name__ == "__main__":
    main()
