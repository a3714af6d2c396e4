"""What is saved where programs of a group share their prompt: it is read once, or once for each.

Random weights score the same random tokens in both ways, which take turns: log-probabilities alone,
as before an update, and with their gradient, as in one. What comes out is compared as well.

    python -m benchmarks.shared_prompts
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import tyro
from torch import Tensor

from agents.policy import CausalLMPolicy
from agents.sequences import Tokens
from benchmarks import page
from benchmarks.intervals import median_of_ratios
from benchmarks.turns import rotated

_VOCABULARY = 512
_WAYS = {"once": True, "each": False}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args:
    """Prompts that are read once."""

    sizes: tuple[str, ...] = ("64x2", "128x4", "256x4", "512x8")
    """width x layers of the models"""
    groups: int = 2
    """in a minibatch"""
    group: int = 8
    """programs of a prompt"""
    prompt: int = 256
    """tokens of a prompt"""
    program: int = 128
    """tokens of a program; each is at least half as long"""
    rounds: int = 7
    """turns of each way, after one that warms up"""
    threads: int = 2
    """of torch"""
    out: Path = page.RESULTS / "shared_prompts"
    """path of the results, without suffix"""


def measure(args: Args, size: str) -> dict[str, Any]:
    """Seconds of both ways, turn by turn, and how far they are apart in what they say."""
    width, layers = map(int, size.split("x"))
    policy = CausalLMPolicy.from_config_tiny(
        _VOCABULARY, d=width, layers=layers, heads=width // 16, key_value_heads=width // 32
    ).eval()
    tokens = _tokens(args)
    seconds: dict[str, dict[str, list[float]]] = {
        what: {way: [] for way in _WAYS} for what in ("scores", "gradient")
    }
    said: dict[str, Tensor] = {}
    for turn in range(args.rounds + 1):
        for way in rotated(tuple(_WAYS), turn):
            policy.shares_prompts = _WAYS[way]  # whatever a model of this width does of itself
            for what, timed in (("scores", _score), ("gradient", _gradient)):
                began = time.perf_counter()
                found = timed(policy, tokens)
                if turn:
                    seconds[what][way].append(time.perf_counter() - began)
                said[way] = found
    weights = sum(weight.numel() for weight in policy.parameters())
    apart = float((said["once"] - said["each"]).abs().max())
    return {"size": size, "weights": weights, "seconds": seconds, "apart": apart}


def _tokens(args: Args) -> Tokens:
    generator = torch.Generator().manual_seed(0)
    rows = args.groups * args.group
    shape = (rows, args.prompt + args.program)
    input_ids = torch.randint(0, _VOCABULARY, shape, generator=generator)
    first = torch.arange(rows) // args.group * args.group
    input_ids[:, : args.prompt] = input_ids[first, : args.prompt]
    longest = args.program + 1
    written = torch.randint(args.program // 2, longest, (rows,), generator=generator)
    return Tokens(input_ids, torch.full((rows,), args.prompt), args.prompt + written)


@torch.no_grad()
def _score(policy: CausalLMPolicy, tokens: Tokens) -> Tensor:
    return policy.score(*tokens)


def _gradient(policy: CausalLMPolicy, tokens: Tokens) -> Tensor:
    logprobs = policy.score(*tokens)
    logprobs.sum().backward()  # type: ignore[no-untyped-call]
    policy.zero_grad(set_to_none=True)
    return logprobs.detach()


def lines(results: Mapping[str, Any]) -> Iterator[str]:
    """The page."""
    args = results["arguments"]
    asked = (
        f"How much faster are {args['groups']} groups of {args['group']} programs scored, and "
        "their gradient computed, if each prompt is read once for its group and not once for each "
        f"program? Prompts of {args['prompt']} tokens, programs of {args['program'] // 2} to "
        f"{args['program']}, random weights, {args['threads']} threads of torch, {args['rounds']} "
        "turns."
    )
    yield from page.head("Prompts that a group shares", asked, results)
    rows = []
    for row in results["rows"]:
        ratios = [
            median_of_ratios(row["seconds"][what]["each"], row["seconds"][what]["once"])
            for what in ("scores", "gradient")
        ]
        million = f"{row['weights'] / 1e6:.1f}"
        rows.append([row["size"].replace("x", " x "), million, *ratios, f"{row['apart']:.0e}"])
    columns = (
        *("width x layers", "million weights"),
        *("scores: times as fast (95 % interval)", "gradient: times as fast"),
        "largest difference of a log-probability",
    )
    yield from page.table(columns, rows)


def main() -> None:
    """The command."""
    args = tyro.cli(Args)
    torch.set_num_threads(args.threads)
    results = page.environment("shared_prompts", "torch", "transformers")
    results["arguments"] = dataclasses.asdict(args)
    results["rows"] = [measure(args, size) for size in args.sizes]
    page.write(args.out, results, lines)


if __name__ == "__main__":
    main()
