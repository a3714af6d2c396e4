"""Keeps a share of a set of problems, by clusters of what a policy makes of them.

The equations, and what they are taken from, are in :mod:`agents.methods.code_less`. As a command it
only writes down which problems are kept::

    python -m agents.methods.pruning --model runs/sft --share 0.1 --out runs/kept.json
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import torch

from agents.command import command_line, main, set_up_torch
from agents.environments import ProblemSettings, fitting, load_split, make_tokenizer
from agents.examples import encode_example
from agents.methods.clustering import FloatArray, Pruned, PruningSettings, prune
from agents.models import ModelSettings, make_policy
from agents.policy import CausalLMPolicy
from agents.sequences import Tokens, generated_mask, pad_tokens, token_groups
from codegym.envs import make_prompt_format
from codegym.errors import ConfigurationError
from codegym.problems import ProblemSet

__all__ = ["Args", "embed", "pruned", "run"]


@torch.no_grad()
def embed(
    policy: CausalLMPolicy,
    problems: ProblemSet,
    problem_settings: ProblemSettings,
    text: str,
    *,
    microbatch_tokens: int = 8192,
) -> FloatArray:
    """Equation 1.

    Args:
        policy: Reads the problems.
        problems: N of them, which fit the context.
        problem_settings: Tokenizer, prompt format and context length.
        text: As :class:`PruningSettings` has it.
        microbatch_tokens: Rows x columns of one forward pass.

    Returns:
        (N, width), each of length 1.

    Raises:
        ConfigurationError: If a solution is to be read and there is none.
    """
    tokenizer = make_tokenizer(problem_settings.tokenizer)
    prompt_format = make_prompt_format(problem_settings.prompt_format, tokenizer)
    examples = []
    for problem in problems:
        if not problem.canonical_solution and text != "problem":
            raise ConfigurationError(
                f"Expected a solution of every problem, because text={text!r} embeds it, but "
                f'{problem.id!r} has none. Embed the problems alone with text="problem".'
            )
        examples.append(
            encode_example(
                problem,
                problem.canonical_solution,
                tokenizer=tokenizer,
                prompt_format=prompt_format,
                context_length=problem_settings.context_length,
            )
        )
    ids, length = pad_tokens([example.tokens for example in examples], pad_id=tokenizer.pad_id)
    start = torch.tensor([example.start_length for example in examples])
    tokens = Tokens(*(tensor.to(policy.device) for tensor in (ids, start, length)))
    found = np.empty((len(examples), policy.trunk.config.get_text_config().hidden_size))
    for rows, inputs, begins, ends in token_groups(tokens, microbatch_tokens):
        first = begins if text == "solution" else torch.zeros_like(begins)
        mask = generated_mask(first, begins if text == "problem" else ends, inputs.shape[1])
        hidden = policy.trunk.base_model(input_ids=inputs, use_cache=False)[0].float()
        mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        found[rows.cpu().numpy()] = mean.cpu().numpy()
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


def pruned(
    policy: CausalLMPolicy,
    problems: ProblemSet,
    settings: PruningSettings,
    problem_settings: ProblemSettings,
    *,
    seed: int,
) -> tuple[ProblemSet, Pruned]:
    """The problems that are kept, in their order, and what is known of all.

    Args:
        policy: Reads the problems, unless the metric is random.
        problems: All, which fit the context.
        settings: Share, metric and clustering.
        problem_settings: Tokenizer, prompt format and context length.
        seed: Of clusterings and draws.
    """
    looks = settings.metric != "random"
    points = embed(policy, problems, problem_settings, settings.text) if looks else None
    found = prune(points, len(problems), settings, seed)
    ids = problems.ids
    kept = {ids[i] for i in found.kept.tolist()}
    return problems.filter(lambda problem: problem.id in kept), found


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args(PruningSettings, ProblemSettings, ModelSettings):
    """Writes down which problems of a set are kept."""

    problems: int = 2048
    """size of the set; 0: all"""
    seed: int = 0
    """of problems, clusterings and draws"""
    threads: int = 1
    """of torch"""
    device: str = "cpu"
    """of the model"""
    out: Path = Path("runs/kept.json")
    """gets the ids that are kept, and of each cluster its size and how many of it are kept"""

    def __post_init__(self) -> None:
        """Refuses what would have no meaning or no effect."""
        self.refuse_meaningless_pruning()
        self.refuse_unused_task()
        self.refuse_unused_model()


def run(args: Args) -> None:
    """The command."""
    set_up_torch(args.threads, args.device)
    tokenizer = make_tokenizer(args.tokenizer, args.prompt_format)
    policy = make_policy(args, vocab_size=tokenizer.vocab_size, seed=args.seed).to(args.device)
    loaded = load_split(args, split=args.split, size=args.problems, seed=args.seed)
    problems = fitting(loaded, args, tokenizer)
    kept, found = pruned(policy, problems, args, args, seed=args.seed)
    sizes = np.bincount(found.labels)
    parts = np.bincount(found.labels[found.kept], minlength=len(sizes))
    clusters = [
        {"size": size, "kept": part}
        for size, part in zip(sizes.tolist(), parts.tolist(), strict=True)
    ]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({"kept": kept.ids, "clusters": clusters}, indent=1) + "\n")
    print(
        f"{len(kept)} of {len(problems)} problems are kept, of {len(sizes)} clusters; "
        f"{len(loaded) - len(problems)} did not fit the context. Their ids are in {args.out}."
    )


if __name__ == "__main__":
    main(lambda: run(command_line(Args)))
