"""A causal language model as policy.

One class for a tiny model made from a config and for any checkpoint of the hub: a *trunk* (any
``AutoModelForCausalLM``) and log-probabilities over the action space. Values are the business of a
critic (:mod:`agents.critic`), which a method may do without. The model's vocabulary may be larger
than the tokenizer's (checkpoints pad it): such logits are cut off, in the sampler and in the losses
alike.

Batches are padded on the right. A causal model's outputs at real tokens do not depend on padding
behind them, so no attention mask is needed; what is padding is known from lengths.

Saved as a folder::

    policy.json         {"format": 2, "vocab_size": ...}
    trunk/ or adapter/  the language model, see :mod:`agents.trunk`
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
)

from agents.generation import Engine
from agents.hub import loading
from agents.lora import has_adapter
from agents.prompts import can_read_after, read_after, read_one_at_a_time, shared_prompts
from agents.sequences import Sequences, Tokens, generated_mask
from agents.trunk import copy_trunk, load_trunk, read_trunk, restore_trunk, save_trunk
from codegym.errors import ConfigurationError

__all__ = ["CausalLMPolicy", "require_logits", "saved_vocab_size", "tiny_config"]

_LOUD = 1024.0  # a logit that no cap lets pass; exact in every dtype
_WIDE_ENOUGH = 128  # the short programs of Mini are read as fast by a smaller model each for itself


class CausalLMPolicy(nn.Module):
    """pi(token | tokens before it).

    Args:
        trunk: The language model.
        vocab_size: Number of actions; at most the model's vocabulary.

    Attributes:
        engine: Writes this policy's programs whole, in every rollout; None, as in a new policy and
            in a copy: they are written token by token.
        shares_prompts: Whether a prompt that several rows of :meth:`score` begin with is read once
            for all of them. Changes cost and rounding alone; may be switched off.

    Raises:
        ConfigurationError: If the model has fewer tokens than there are actions, or no linear
            output head.
    """

    def __init__(self, trunk: PreTrainedModel, *, vocab_size: int) -> None:
        super().__init__()
        require_logits(trunk, vocab_size)
        read_one_at_a_time(trunk)
        self.trunk = trunk
        self.vocab_size = vocab_size
        self.engine: Engine | None = None
        self._plain_head = _has_plain_head(trunk)
        width = trunk.config.get_text_config().hidden_size
        self.shares_prompts = self._plain_head and can_read_after(trunk) and width >= _WIDE_ENOUGH

    @classmethod
    def from_config(
        cls,
        config: PreTrainedConfig,
        *,
        vocab_size: int,
        seed: int = 0,
        dtype: torch.dtype = torch.float32,
    ) -> Self:
        """A randomly initialised model of any architecture.

        Args:
            config: Of the trunk.
            vocab_size: Number of actions.
            seed: Decides the weights; the global generator is left as it was.
            dtype: Of the trunk.

        Returns:
            A policy on the CPU.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            trunk = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
                config, dtype=dtype
            )
        return cls(trunk, vocab_size=vocab_size)

    @classmethod
    def from_config_tiny(
        cls,
        vocab_size: int,
        *,
        d: int = 64,
        layers: int = 2,
        heads: int = 4,
        key_value_heads: int = 2,
        context_length: int = 1024,
        seed: int = 0,
        dtype: torch.dtype = torch.float32,
    ) -> Self:
        """A Llama-shaped model of about 0.1M parameters, trained from scratch on a CPU.

        Args:
            vocab_size: Number of actions.
            d: Width.
            layers: Depth.
            heads: Attention heads.
            key_value_heads: With two, digits are copied from the prompt far sooner than with one;
                with as many as `heads`, generation on a CPU is slower and copying little better.
            context_length: Longest sequence.
            seed: Decides the weights.
            dtype: Of the trunk.

        Returns:
            A policy on the CPU.
        """
        config = tiny_config(
            vocab_size,
            d=d,
            layers=layers,
            heads=heads,
            key_value_heads=key_value_heads,
            context_length=context_length,
        )
        return cls.from_config(config, vocab_size=vocab_size, seed=seed, dtype=dtype)

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path,
        *,
        vocab_size: int | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Self:
        """Loads a folder written by :meth:`save_pretrained`, or a checkpoint of the hub.

        Args:
            name_or_path: Folder or hub name.
            vocab_size: Number of actions. Needed for a hub checkpoint; a saved policy knows it.
            dtype: Of the trunks.

        Returns:
            A policy on the CPU.

        Raises:
            ConfigurationError: If there is no such folder, it is damaged, its format is unknown, or
                `vocab_size` is missing.
        """
        folder = Path(name_or_path)
        if not (folder / "policy.json").is_file():
            if vocab_size is None:
                raise ConfigurationError(
                    f"{str(name_or_path)!r} is not a folder of a saved policy, so it is taken for a"
                    " language model's checkpoint, and vocab_size (the number of actions) is needed"
                )
            return cls(load_trunk(name_or_path, dtype), vocab_size=vocab_size)
        return cls(read_trunk(folder, dtype), vocab_size=saved_vocab_size(folder))

    def copy(self) -> Self:
        """A policy that is the same now; with an adapter, it shares the weights of the base."""
        copied = type(self)(copy_trunk(self.trunk), vocab_size=self.vocab_size)
        copied.shares_prompts = self.shares_prompts
        return copied

    def load(self, folder: Path) -> None:
        """Replaces the weights that are learned by those of a saved policy of the same shape.

        Args:
            folder: Written by :meth:`save_pretrained`.

        Raises:
            ConfigurationError: If it is damaged, its format is unknown, or it does not fit.
        """
        saved_vocab_size(folder)
        restore_trunk(self.trunk, folder)

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes the folder that the module's docstring describes.

        Args:
            folder: Made if it is not there. Of a policy that was saved there before nothing stays,
                its critic included.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        save_trunk(self.trunk, folder)
        if (folder / "policy.json").is_file():  # else its parts would be taken for this policy's
            other = "trunk" if has_adapter(self.trunk) else "adapter"
            for part in (other, "critic"):
                shutil.rmtree(folder / part, ignore_errors=True)
        meta = {"format": 2, "vocab_size": self.vocab_size}
        (folder / "policy.json").write_text(json.dumps(meta, indent=2) + "\n")

    @property
    def device(self) -> torch.device:
        """The device of the model, and so of its input."""
        device: torch.device = _output_head(self.trunk).weight.device
        return device

    def forward(self, input_ids: Tensor) -> Tensor:
        """Logits of the next token at every column.

        Args:
            input_ids: (B, T) int64, padded on the right; what stands at padding is meaningless.

        Returns:
            (B, T, vocab_size) float32; column t speaks of the token *after* column t.
        """
        hidden, logits = self._run(input_ids)
        return self._logits(hidden) if logits is None else logits

    def score(
        self,
        input_ids: Tensor,
        start_length: Tensor,
        length: Tensor,
        *,
        temperature: float = 1.0,
    ) -> Tensor:
        """Log-probabilities of the generated tokens of stored sequences.

        Only generated tokens reach the output head, so prompt and padding cost no logits.

        Args:
            input_ids: (B, T) int64, padded on the right.
            start_length: (B,) first generated column, at least 1.
            length: (B,) first padding column.
            temperature: The policy is ``softmax(logits / temperature)``.

        Returns:
            (B, T) float32: column t speaks of token t, given those before it; 0 where it was not
            generated.
        """
        return self.score_and_hidden(input_ids, start_length, length, temperature=temperature)[0]

    def score_and_hidden(
        self,
        input_ids: Tensor,
        start_length: Tensor,
        length: Tensor,
        *,
        temperature: float = 1.0,
    ) -> tuple[Tensor, Tensor]:
        """The same as :meth:`score`, and what a critic on this trunk reads.

        Returns:
            Log-probabilities, and (N, d): the last hidden states from which the N generated tokens
            were chosen, in the order of the rows.
        """
        rows, width = input_ids.shape
        mask = generated_mask(start_length, length, width)
        target_index = mask.flatten().nonzero().squeeze(1)  # (N,) of B * T
        shared = self._shared_prompts(input_ids, start_length, length)
        logits: Tensor | None = None
        if shared is None:
            source_index = target_index - 1  # the column before, in the same row: start_length >= 1
            hidden, logits = self._run(input_ids)
            hidden = hidden.flatten(0, 1).index_select(0, source_index)
            if logits is not None:
                logits = logits.flatten(0, 1).index_select(0, source_index)
        else:
            hidden = read_after(self.trunk, input_ids, start_length, length, shared)
        if logits is None:
            logits = self._logits(hidden)
        if temperature != 1.0:
            logits = logits / temperature
        targets = input_ids.flatten().index_select(0, target_index)
        chosen = -nn.functional.cross_entropy(logits, targets, reduction="none")
        canvas = chosen.new_zeros(rows * width)
        return canvas.index_copy(0, target_index, chosen).view(rows, width), hidden

    def prompts_of(self, tokens: Tokens | Sequences) -> Tensor | None:
        """Which rows had better be scored together, because they begin with the same prompt.

        Args:
            tokens: B episodes.

        Returns:
            (B,) int64, equal for the same prompt; None where nothing is to be gained.
        """
        shared = self._shared_prompts(tokens.input_ids, tokens.start_length, tokens.length)
        return None if shared is None else shared[1]

    def _shared_prompts(
        self, input_ids: Tensor, start_length: Tensor, length: Tensor
    ) -> tuple[Tensor, Tensor] | None:
        """Of which the keys and values are computed once; None: rows are read as they are."""
        # In training mode, dropout differs from row to row, and activations that are computed anew
        # leave no keys and values behind.
        if self.training or not self.shares_prompts or bool((length <= start_length).all()):
            return None
        return shared_prompts(input_ids, start_length - 1, length)

    def _run(self, input_ids: Tensor) -> tuple[Tensor, Tensor | None]:
        """Last hidden states, and logits where they are more than ``head(hidden)``."""
        if self._plain_head:
            return self.trunk.base_model(input_ids=input_ids, use_cache=False)[0], None
        output = self.trunk(input_ids=input_ids, use_cache=False, output_hidden_states=True)
        return output.hidden_states[-1], output.logits[..., : self.vocab_size].float()

    def _logits(self, hidden: Tensor) -> Tensor:
        logits: Tensor = _output_head(self.trunk)(hidden)
        return logits[..., : self.vocab_size].float()


def tiny_config(
    vocab_size: int, *, d: int, layers: int, heads: int, key_value_heads: int, context_length: int
) -> LlamaConfig:
    """Of :meth:`CausalLMPolicy.from_config_tiny`, whose arguments it has."""
    return LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=d,
        intermediate_size=2 * d,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=key_value_heads,
        max_position_embeddings=context_length,
        # The usual 0.02 is far too small for so narrow a model; copying digits from the prompt
        # is learned several times sooner with larger weights, two layers and tied embeddings.
        initializer_range=0.08,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=None,
    )


def saved_vocab_size(folder: Path) -> int:
    """Number of actions of a saved policy.

    Args:
        folder: Written by :meth:`CausalLMPolicy.save_pretrained`.

    Returns:
        What its ``policy.json`` says.

    Raises:
        ConfigurationError: If that file is damaged or not there, or its format is unknown.
    """
    with loading(folder, "a saved policy"):
        meta = json.loads((folder / "policy.json").read_text())
        if meta["format"] != 2:
            raise ConfigurationError(
                f"{folder / 'policy.json'} must have format 2, got {meta['format']!r}. It was "
                "written by another version of codegym's agents."
            )
        return int(meta["vocab_size"])


def require_logits(trunk: PreTrainedModel, vocab_size: int) -> None:
    """Makes sure that a language model has a logit for each action.

    Args:
        trunk: The model.
        vocab_size: Number of actions.

    Raises:
        ConfigurationError: If it has fewer tokens, or no linear output head.
    """
    head = _output_head(trunk)
    if head.weight.shape[0] < vocab_size:
        raise ConfigurationError(
            f"The model must have a logit for each of the {vocab_size} actions, but has "
            f"{head.weight.shape[0]} tokens. Use the tokenizer that belongs to the model, or "
            "resize its embeddings."
        )


def _output_head(trunk: PreTrainedModel) -> nn.Linear:
    head = trunk.get_output_embeddings()  # type: ignore[no-untyped-call]
    if not isinstance(head, nn.Linear):
        raise ConfigurationError(
            f"Expected a causal language model with a linear output head, got "
            f"{type(trunk).__name__} with {type(head).__name__}."
        )
    return head


def _has_plain_head(trunk: PreTrainedModel) -> bool:
    """Whether logits are just the head of the last hidden state (no cap, no scale)."""
    if isinstance(trunk, LlamaForCausalLM):
        return True
    was_training = trunk.training
    head = _output_head(trunk)
    read: list[Tensor] = []

    def loud(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        # The logits of small weights are small as well, and a cap would not be seen in them.
        read.append(inputs[0])
        return torch.full_like(output, _LOUD)

    nn.Module.train(trunk, False)
    hook = head.register_forward_hook(loud)
    with torch.inference_mode():
        ids = torch.arange(2, device=head.weight.device)[None]
        logits = trunk(input_ids=ids, use_cache=False).logits
        hidden = trunk.base_model(input_ids=ids, use_cache=False)[0]
    hook.remove()
    nn.Module.train(trunk, was_training)
    same = torch.allclose(read[0], hidden, atol=1e-4, rtol=1e-3)
    return same and bool((logits == _LOUD).all())
