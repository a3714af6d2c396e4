"""Supervised fine-tuning: the policy imitates programs before it is reinforced.

Where the source of the problems has a weak coder, as Mini has, the programs are that coder's, which
leaves reinforcement learning something to correct; elsewhere they are the canonical ones. What
counts are the tokens behind the prompt, the end token included. The prompt's own are learned beside
them, with a small weight (``prompt_weight``): it teaches a model that begins from nothing to look
back sooner.

    python -m agents.sft --steps 3500 --out runs/sft
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch

from agents.at_once import at_once
from agents.checkpoint import save_settings
from agents.command import command_line, main, refuse_outside, refuse_unused, set_up_torch
from agents.environments import ProblemSettings, load_split, make_tokenizer
from agents.examples import Example, ExampleBatch, Solution, batches, canonical, encode_example
from agents.lora import has_adapter, refuse_lost_base
from agents.memory import watched_memory
from agents.models import ModelSettings, make_policy, uses_checkpointing
from agents.muon import Muon
from agents.policy import CausalLMPolicy
from agents.sequences import generated_mask
from agents.telemetry import RunLogger
from codegym.envs import PromptFormat, make_prompt_format
from codegym.errors import ConfigurationError, ContextLengthError
from codegym.problems import GeneratedSource, ProblemSet, WeakCoder
from codegym.tokenization import Tokenizer

__all__ = ["Args", "backward", "example_stream", "finetune"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args(ProblemSettings, ModelSettings):
    """Supervised fine-tuning."""

    problems: int = 4096
    """size of the training set"""
    flaw_rate: float = 1.0
    """factor on the weak coder's probability of each mistake, where the source of the problems has
    such a coder, as Mini has; 0: canonical solutions"""
    steps: int = 3500
    """budget, in steps of the optimiser"""
    prompt_weight: float = 0.2
    """of the mean loss over the prompt's tokens, beside 1 for the program's"""
    sft_learning_rate: float = 3e-3
    """peak of a warm-up and cosine schedule over the budget"""
    matrix_learning_rate: float | None = 6e-3
    """the same of the matrices inside the model, which Muon learns; None: AdamW learns all, as is
    usual for a model that was pretrained by it, and always so of an adapter"""
    batch_size: int = 8
    """examples a step"""
    weight_decay: float = 0.01
    """of both optimisers"""
    seed: int = 0
    """of the model, the data and its order"""
    threads: int = 1
    """of torch, for each of the two halves of a batch"""
    device: str = "cpu"
    """of the model"""
    out: Path = Path("runs/sft")
    """the policy's folder"""

    def __post_init__(self) -> None:
        """Refuses what would have no meaning or no effect."""
        if self.steps < 1:
            raise ConfigurationError(
                f"Supervised fine-tuning needs a budget of at least one step, got {self.steps}."
            )
        for name in ("sft_learning_rate", "matrix_learning_rate"):
            rate = getattr(self, name)
            if rate is not None and not 0.0 < rate < float("inf"):
                raise ConfigurationError(f"{name} must be above 0, got {rate}.")
        if self.batch_size < 1:
            raise ConfigurationError(f"batch_size must be 1 or more, got {self.batch_size}.")
        refuse_outside(self, ("prompt_weight", "weight_decay"), low=0.0)
        self.refuse_unused_task()
        self.refuse_unused_model()
        if self.matrix_learning_rate is not None:
            by_muon = not self.learns_adapter
            refuse_unused(self, ("matrix_learning_rate",), by_muon, "a model without an adapter")
        flawed = self.weak_coder is not None
        refuse_unused(self, ("flaw_rate",), flawed, "problems that have a weak coder, as Mini's do")

    @property
    def weak_coder(self) -> WeakCoder | None:
        """Writes programs with typical mistakes, if the source of the problems has one."""
        source = self.source
        return source.weak_coder if isinstance(source, GeneratedSource) else None


def example_stream(
    problems: ProblemSet,
    solution: Solution,
    *,
    tokenizer: Tokenizer,
    prompt_format: PromptFormat,
    context_length: int,
    rng: np.random.Generator,
) -> Iterator[Example]:
    """Examples without end: the set in a new order each time round.

    Args:
        problems: What is asked.
        solution: Writes the program to imitate, anew each time.
        tokenizer: Of the environment.
        prompt_format: Of the environment.
        context_length: Longer examples are left out.
        rng: Order and mistakes.

    Yields:
        Examples.

    Raises:
        ConfigurationError: If not one example of the whole set fits the context.
    """
    encode = partial(
        encode_example,
        tokenizer=tokenizer,
        prompt_format=prompt_format,
        context_length=context_length,
    )
    while True:
        fitting = 0
        for position in rng.permutation(len(problems)).tolist():
            problem = problems[position]
            try:
                example = encode(problem, solution(problem, rng))
            except ContextLengthError:
                continue
            fitting += 1
            yield example
        if not fitting:
            raise ConfigurationError(
                f"None of {len(problems)} examples fits context_length={context_length}. Raise it."
            )


def finetune(
    policy: CausalLMPolicy,
    stream: Iterator[ExampleBatch],
    *,
    learning_rate: float,
    matrix_learning_rate: float | None = None,
    steps: int,
    prompt_weight: float = 0.0,
    weight_decay: float = 0.01,
    logger: RunLogger | None = None,
) -> dict[str, float]:
    """Minimises the cross entropy of the programs' tokens, and with a weight of the prompts'.

    Args:
        policy: Changed in place.
        stream: Batches.
        learning_rate: Peak: 2 % of the budget warm-up, then a cosine to a tenth of it. Of AdamW.
        matrix_learning_rate: The same of Muon, for the matrices between embedding and head; None:
            AdamW learns them as well.
        steps: Budget.
        prompt_weight: Of the mean over the prompts' tokens, beside 1 for the programs'.
        weight_decay: Of both.
        logger: Told of the loss every 50 steps.

    Returns:
        Steps, tokens (prompts included), seconds and the mean loss of the last tenth, over the
        programs' tokens.
    """
    parameters = [p for p in policy.trunk.parameters() if p.requires_grad]
    optimizers = _optimizers(policy, learning_rate, matrix_learning_rate, weight_decay)
    peaks = [group["lr"] for optimizer in optimizers for group in optimizer.param_groups]
    began = time.perf_counter()
    losses: list[float] = []
    tokens = 0
    policy.train()
    for step in range(steps):
        done = step / steps
        groups = (group for optimizer in optimizers for group in optimizer.param_groups)
        for group, peak in zip(groups, peaks, strict=True):
            group["lr"] = peak * _schedule(done)
        batch = ExampleBatch(*(part.to(policy.device) for part in next(stream)))
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        losses.append(backward(policy, batch, prompt_weight))
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        for optimizer in optimizers:
            optimizer.step()
        tokens += int(batch.length.sum())
        if logger is not None and len(losses) % 50 == 0:
            recent = float(np.mean(losses[-50:]))
            logger.scalars(len(losses), {"sft/loss": recent, "sft/tokens": tokens})
            logger.progress(done, f"SFT {len(losses)} loss {recent:.3f}")
    policy.eval()
    tail = losses[-max(1, len(losses) // 10) :]
    return {
        "steps": float(len(losses)),
        "tokens": float(tokens),
        "seconds": time.perf_counter() - began,
        "loss": float(np.mean(tail)),
    }


def _optimizers(
    policy: CausalLMPolicy, rate: float, matrix_rate: float | None, weight_decay: float
) -> list[torch.optim.Optimizer]:
    """AdamW, and Muon if it has a rate: each parameter that is learned is in one of them."""
    learned = [p for p in policy.trunk.parameters() if p.requires_grad]
    embeddings = (
        policy.trunk.get_input_embeddings(),
        policy.trunk.get_output_embeddings(),  # type: ignore[no-untyped-call]
    )
    ends = {id(p) for module in embeddings if module is not None for p in module.parameters()}
    muon = matrix_rate is not None and not has_adapter(policy.trunk)
    inner = [p for p in learned if p.dim() == 2 and id(p) not in ends and muon]
    matrices = {id(p) for p in inner}
    adamw = torch.optim.AdamW(
        [p for p in learned if id(p) not in matrices],
        lr=rate,
        betas=(0.9, 0.98),
        weight_decay=weight_decay,
        fused=policy.device.type in ("cpu", "cuda"),
    )
    if matrix_rate is None or not inner:
        return [adamw]
    return [adamw, Muon(inner, lr=matrix_rate, weight_decay=weight_decay)]


def _schedule(done: float) -> float:
    """Factor on the learning rate when a share `done` of the budget is used."""
    if done < 0.02:
        return 0.02 + done / 0.02 * 0.98
    return 0.1 + 0.45 * (1.0 + float(np.cos(np.pi * done)))


def backward(policy: CausalLMPolicy, batch: ExampleBatch, prompt_weight: float) -> float:
    """Adds the gradient of a batch's loss to the parameters' gradients.

    A small model on a CPU learns from the two halves of the batch at the same time. Where something
    is drawn at random inside the model (dropout) the halves would draw from one generator in an
    order that nobody knows, so the batch stays whole there.

    Args:
        policy: The model.
        batch: Examples, on its device.
        prompt_weight: Of the mean over the prompts' tokens, beside 1 for the programs'.

    Returns:
        The mean cross entropy of the programs' tokens.
    """
    first = torch.ones_like(batch.start_length) if prompt_weight > 0.0 else batch.start_length
    width = batch.input_ids.shape[1]
    program = generated_mask(batch.start_length, batch.length, width)
    prompt = generated_mask(first, batch.start_length, width)
    weight = program / program.sum() + prompt_weight * prompt / prompt.sum().clamp(min=1)

    def loss(rows: slice) -> tuple[torch.Tensor, float]:
        logprobs = policy.score(batch.input_ids[rows], first[rows], batch.length[rows])
        mine = float(-(logprobs.detach() * program[rows]).sum())
        return -(logprobs * weight[rows]).sum(), mine

    if not _can_be_halved(policy) or len(batch.length) < 2:
        whole, total = loss(slice(None))
        whole.backward()  # type: ignore[no-untyped-call]
        return total / int(program.sum())

    learned = [p for p in policy.parameters() if p.requires_grad]

    def half(rows: slice) -> tuple[tuple[torch.Tensor | None, ...], float]:
        part, mine = loss(rows)
        return torch.autograd.grad(part, learned, allow_unused=True), mine

    (ours, one), (theirs, other) = at_once(
        lambda: half(slice(0, None, 2)), lambda: half(slice(1, None, 2))
    )
    for parameter, *found in zip(learned, ours, theirs, strict=True):
        for gradient in found:
            if gradient is not None:
                parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
    return (one + other) / int(program.sum())


def _can_be_halved(policy: CausalLMPolicy) -> bool:
    """Whether two halves of a batch may be computed at once, with the same result each time."""
    config = policy.trunk.config.to_dict()
    random = any(value for name, value in config.items() if "drop" in name)
    return policy.device.type == "cpu" and not random and not uses_checkpointing(policy)


def run(
    args: Args, logger: RunLogger | None = None, *, problems: ProblemSet | None = None
) -> CausalLMPolicy:
    """The command: trains a policy from scratch (or from a checkpoint) and saves it.

    Args:
        args: The command line.
        logger: Where to report.
        problems: Whose programs are imitated; by default those that the command line names.

    Returns:
        The policy.
    """
    set_up_torch(args.threads, args.device)
    rng = np.random.default_rng(args.seed)
    tokenizer = make_tokenizer(args.tokenizer, args.prompt_format)
    if problems is None:
        problems = load_split(args, split=args.split, size=args.problems, seed=args.seed)
    problems = ProblemSet.of(problems)  # made once, not anew in each round
    solution: Solution = canonical
    if args.weak_coder is not None and args.flaw_rate > 0.0:
        solution = partial(args.weak_coder, rate=args.flaw_rate)
    policy = make_policy(args, vocab_size=tokenizer.vocab_size, seed=args.seed).to(args.device)
    refuse_lost_base(policy.trunk, args.out, ("trunk", "adapter", "critic"))
    stream = example_stream(
        problems,
        solution,
        tokenizer=tokenizer,
        prompt_format=make_prompt_format(args.prompt_format, tokenizer),
        context_length=args.context_length,
        rng=rng,
    )
    if args.advice and logger is not None:
        logger.note(args.advice)
    result = finetune(
        policy,
        batches(stream, batch_size=args.batch_size, pool=32, rng=rng, pad_id=tokenizer.pad_id),
        learning_rate=args.sft_learning_rate,
        matrix_learning_rate=args.matrix_learning_rate,
        weight_decay=args.weight_decay,
        steps=args.steps,
        prompt_weight=args.prompt_weight,
        logger=logger,
    )
    policy.save_pretrained(args.out)
    save_settings(args.out, dataclasses.asdict(args))  # an export finds the tokenizer there
    if logger is not None:
        logger.note(
            f"SFT: {result['steps']:.0f} steps, {result['tokens']:.0f} tokens in "
            f"{result['seconds']:.0f} s, loss {result['loss']:.3f}; saved in {args.out}"
        )
    return policy


def _main() -> None:
    args = command_line(Args)
    with RunLogger(args.out) as logger, watched_memory(args, "batch_size"):
        run(args, logger)


if __name__ == "__main__":
    main(_main)
