"""What a run would need, told before anything is loaded: memory, and the work of an iteration.

Weights are counted on the meta device, from the model's config. What is learned has a gradient and
AdamW's two averages, in the dtype of its weights. These are exact. Activations, logits and caches
are the largest that the settings allow, by counting what the layers of a Llama-shaped model keep
for the backward pass; a program that ends early and a short prompt need less.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from rich.console import Console, Group
from rich.table import Table
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.pytorch_utils import Conv1D

from agents.lora import has_adapter
from agents.models import empty_trunk
from agents.parallel import ALONE, Processes

__all__ = ["FLOPS", "Memory", "Work", "memory_of", "report", "show", "work_of"]

FLOPS = 1e14
"""Floating-point operations a second that times are told for: a tenth of an H100's in bfloat16."""
_MASTER = 4  # bytes of float32, in which norms, adapters and losses are computed


@dataclasses.dataclass(frozen=True, slots=True)
class Memory:
    """Bytes.

    Attributes:
        weights: Of the policy, its adapter included.
        reference: What the reference has besides.
        critic: What the critic has besides.
        gradients: Of policy and critic, while they are updated.
        optimizer: AdamW's state.
        activations: Kept for the backward pass of the largest microbatch, by all models that are
            computed at once.
        logits: Of the same microbatch, with their gradient.
        step: What PyTorch needs during a step of the optimiser, on a GPU.
        generation: Keys, values and logits while programs are written.
        learned: Weights that are learned (a number, no bytes).
    """

    weights: int
    reference: int
    critic: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    step: int
    generation: int
    learned: int

    @property
    def peak(self) -> int:
        """Most at any moment: programs are not written while gradients are computed."""
        update = self.gradients + max(self.activations + self.logits, self.step)
        always = self.weights + self.reference + self.critic + self.optimizer
        return always + max(update, self.generation)


@dataclasses.dataclass(frozen=True, slots=True)
class Work:
    """Of one iteration, at most: every episode fills the context.

    Attributes:
        tokens: Of all episodes, prompts included.
        generated: Of these, written by the policy.
        generation: Floating-point operations of writing.
        scoring: Of the forward passes of policy, reference and critic.
        update: Of the passes forward and backward.
    """

    tokens: int
    generated: int
    generation: float
    scoring: float
    update: float


def memory_of(args: Any, trunk: PreTrainedModel) -> Memory:
    """Counts and estimates the memory of a run.

    Args:
        args: Settings of PPO, or of a method without a critic.
        trunk: Of :func:`agents.models.empty_trunk`.

    Returns:
        Bytes, by what they are needed for.
    """
    critic = getattr(args, "critic", "none")
    shape, adapter = _Shape(trunk), has_adapter(trunk)
    weights = list(trunk.parameters())
    learned = [p for p in weights if p.requires_grad]
    own = learned if adapter else weights  # of a further model
    head = 0 if critic == "none" else _MASTER * (shape.hidden + 1)
    # The critic's language model has an output head too, which learns nothing.
    inner = [p for p in trunk.base_model.parameters() if p.requires_grad]
    critic_learned = head + (_bytes(inner) if critic == "policy" else 0)
    tensors = len(learned) + (2 if head else 0) + (len(inner) if critic == "policy" else 0)
    gradients = _bytes(learned) + critic_learned
    tokens = max(args.microbatch_tokens, args.context_length)
    body = shape.activations(
        tokens, args.context_length, adapter=adapter, checkpointing=args.gradient_checkpointing
    )
    converted = 0 if shape.itemsize == _MASTER else shape.itemsize
    # Greedy and sampled programs of an evaluation are written at the same time.
    rows = args.num_envs * (2 if args.eval_every else 1)
    cache = args.context_length * shape.layers * 2 * shape.key_width * shape.itemsize
    return Memory(
        weights=_bytes(weights),
        reference=_bytes(own),
        critic=head + (_bytes(own) if critic == "policy" else 0),
        gradients=gradients,
        optimizer=2 * gradients + 4 * tensors,
        activations=body * (2 if critic == "policy" else 1),
        # Logits, their logarithms and their gradient, all float32.
        logits=tokens * shape.vocab_size * (3 * _MASTER + converted),
        step=max(_bytes(learned), critic_learned) if args.device.startswith("cuda") else 0,
        # Logits, probabilities, and their sums in float64.
        generation=rows * (cache + shape.vocab_size * (2 * _MASTER + 8)),
        learned=sum(p.numel() for p in learned),
    )


def work_of(args: Any, trunk: PreTrainedModel) -> Work:
    """The work of an iteration: two operations for each weight and token of a forward pass.

    Args:
        args: As for :func:`memory_of`.
        trunk: The same.

    Returns:
        Tokens and operations, at most.
    """
    critic = getattr(args, "critic", "none")
    shape = _Shape(trunk)
    tokens = args.episodes * args.context_length
    generated = args.episodes * min(args.max_new_tokens, args.context_length)
    attention = shape.layers * shape.query_width * args.context_length
    body = tokens * 2.0 * (shape.matrices + attention)
    whole = body + generated * 2.0 * shape.vocab_size * shape.hidden
    # Backward costs as much as forward for the activations, and again for weights that are learned.
    backward = 1 if has_adapter(trunk) else 2
    passes = 1 + backward + bool(args.gradient_checkpointing)
    values = body if critic == "policy" else 0.0  # any other reads what the policy computed
    return Work(
        tokens=tokens,
        generated=generated,
        generation=whole,
        scoring=2 * whole + values,
        update=args.epochs * passes * (whole + values),
    )


def report(
    args: Any,
    *,
    vocab_size: int,
    config: PreTrainedConfig | None = None,
    processes: Processes = ALONE,
) -> Group:
    """Both as tables.

    Args:
        args: As for :func:`memory_of`.
        vocab_size: Number of actions.
        config: Shape of the model, in place of the one that the settings name.
        processes: That train together: each has all models, and its share of the environments.

    Returns:
        What rich prints.

    Raises:
        ConfigurationError: If the processes cannot share the environments or the episodes evenly.
    """
    trunk = empty_trunk(args, vocab_size=vocab_size, config=config)
    here = {name: processes.share(name, getattr(args, name)) for name in ("num_envs", "episodes")}
    memory = memory_of(dataclasses.replace(args, **here), trunk)
    work = work_of(args, trunk)
    total = sum(p.numel() for p in trunk.parameters())
    several = processes.count > 1
    of = f" in each of {processes.count} processes" if several else ""
    shared = f" {processes.count} processes share it." if several else ""
    table = Table(
        title=f"Memory of {args.model}{of}, {memory.learned:,} of {total:,} weights learned"
    )
    table.add_column("")
    table.add_column("GB", justify="right")
    rows = {
        "weights, with the adapter": memory.weights,
        "reference": memory.reference,
        "critic": memory.critic,
        "optimiser": memory.optimizer,
        "in the update: gradients": memory.gradients,
        "in the update: activations, at most": memory.activations,
        "in the update: logits, at most": memory.logits,
        "in a step of the optimiser": memory.step,
        "while programs are written, at most": memory.generation,
    }
    for name, size in rows.items():
        table.add_row(name, f"{size / 1e9:.2f}")
    table.add_section()
    table.add_row("peak, at most", f"{memory.peak / 1e9:.2f}")
    share = f", and the share of {args.vllm_memory:.0%} that vLLM takes"
    table.caption = (
        "Not counted: what PyTorch itself needs (about 1 GB on a GPU), gaps between blocks, models "
        f"that a method has besides{share if args.engine == 'vllm' else ''}."
    )
    effort = Table(title="Work of an iteration, at most")
    effort.add_column("")
    effort.add_column("operations", justify="right")
    effort.add_column(f"seconds at {FLOPS:.0e} a second", justify="right")
    for name in ("generation", "scoring", "update"):
        count = getattr(work, name)
        effort.add_row(name, f"{count:.1e}", f"{count / FLOPS:.1f}")
    effort.caption = (
        f"{args.episodes} episodes, {work.tokens:,} tokens, {work.generated:,} of them generated. "
        "Generation takes longer than its operations do, because it waits for memory; judging and "
        f"evaluations are not counted.{shared}"
    )
    return Group(table, effort)


def show(args: Any, *, vocab_size: int, processes: Processes = ALONE) -> None:
    """Prints :func:`report`."""
    Console().print(report(args, vocab_size=vocab_size, processes=processes))


class _Shape:
    """Sizes of a language model, read from its layers."""

    def __init__(self, trunk: PreTrainedModel) -> None:
        config = trunk.config.get_text_config()
        self.hidden: int = config.hidden_size
        self.layers: int = config.num_hidden_layers
        self.vocab_size: int = config.vocab_size
        self.eager = config._attn_implementation == "eager"
        self.heads: int = config.num_attention_heads
        head_width = getattr(config, "head_dim", None) or self.hidden // self.heads
        self.query_width = self.heads * head_width
        self.key_width = (getattr(config, "num_key_value_heads", None) or self.heads) * head_width
        # GPT-2 and its kin name their width in other words, or not at all where it is this.
        self.inner: int = getattr(config, "intermediate_size", None) or 4 * self.hidden
        self.itemsize = trunk.dtype.itemsize
        norms = [p for p in trunk.base_model.parameters() if p.shape == (self.hidden,)]
        self._norms = (len(norms) - 1) // self.layers
        linear: dict[str, Any] = {
            name: module
            for name, module in trunk.base_model.named_modules()
            if isinstance(module, nn.Linear | Conv1D) and ".lora_" not in name
        }
        self.matrices = sum(module.weight.numel() for module in linear.values())
        adapted = [m.in_features for name, m in linear.items() if name.endswith(".base_layer")]
        self._adapted = sum(adapted) // self.layers

    def activations(self, tokens: int, width: int, *, adapter: bool, checkpointing: bool) -> int:
        """Bytes that the layers keep of so many tokens, in rows of a width."""
        size, h = self.itemsize, self.hidden
        norms = self._norms * h * (_MASTER + (0 if adapter else size))
        inputs = size * (2 * h + self.query_width + self.inner)
        if adapter:  # each layer with an adapter has its input in float32
            inputs = _MASTER * self._adapted if size != _MASTER else inputs
        attention = size * (self.query_width + 2 * self.key_width)
        if self.eager:  # scores, capped scores, probabilities
            attention += self.heads * width * (3 * size + _MASTER)
        else:
            attention += size * self.query_width
        a_layer = norms + inputs + attention + size * 3 * self.inner
        kept = self.layers * h * size + a_layer if checkpointing else self.layers * a_layer
        total: int = tokens * (kept + h * (_MASTER + 2 * size))
        return total


def _bytes(weights: list[nn.Parameter]) -> int:
    return sum(weight.numel() * weight.element_size() for weight in weights)
