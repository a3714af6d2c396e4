"""An engine that is vLLM, in this process and beside the policy on the same GPU.

vLLM is no extra of codegym, because its wheels pin the version of torch: ``pip install vllm``. It
has weights of its own, made from the shape of the policy's model and filled from the policy's
weights (an adapter merged into them) before the first wave and before each wave that follows a
change of them. It draws the tokens itself: their probabilities are the policy's up to rounding.

This follows the interface that vLLM documents in 2026, from 0.25 on: ``LLM``, ``SamplingParams``,
``TokensPrompt``, and the worker's ``reload_weights`` with a ``weights_iterator``. It is tested with
a module that stands in for vLLM, and has not run on vLLM itself.
"""

from __future__ import annotations

import copy
import importlib
import importlib.util
import itertools
import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import distributed

from agents.generation import IntArray, Request, Sampling
from agents.lora import plain_weights
from agents.policy import CausalLMPolicy
from codegym.errors import ConfigurationError, EpisodeError

__all__ = ["VLLM", "require_vllm"]

_INTEGERS = {2: torch.int16, 4: torch.int32, 8: torch.int64}


class VLLM:
    """An :class:`~agents.generation.Engine` on vLLM, which is loaded with the first wave.

    Args:
        policy: Whose weights are used.
        context_length: Longest sequence, prompt and continuation together.
        memory_share: Of the GPU's memory, in (0, 1]: for vLLM's weights and its key-value cache. It
            is held during updates as well.

    Raises:
        ConfigurationError: If vLLM is not installed.
    """

    def __init__(self, policy: CausalLMPolicy, *, context_length: int, memory_share: float) -> None:
        require_vllm()
        self._policy, self._context_length = policy, context_length
        self._memory_share = memory_share
        self._llm: Any = None
        self._loaded: list[int] = []  # what the weights were that vLLM has
        self._tickets = itertools.count()
        self._submitted: dict[int, list[tuple[list[int], dict[str, Any]]]] = {}
        # Greedy and sampled programs of an evaluation are written by two threads.
        self._lock = threading.Lock()

    def submit(
        self, requests: Sequence[Request], *, end_ids: Sequence[int], sampling: Sampling, seed: int
    ) -> int:
        """Notes a wave, which :meth:`collect` has written."""
        # A model's padding behind the policy's vocabulary: vLLM takes off no more than this.
        padding = range(self._policy.vocab_size, self._policy.trunk.config.vocab_size)
        common = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": 0,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "stop_token_ids": list(end_ids),
            "ignore_eos": True,  # the checkpoint's own end token; those above end all the same
            "logit_bias": dict.fromkeys(padding, -100.0) or None,
            "detokenize": False,
        }
        seeds = np.random.SeedSequence(seed).generate_state(len(requests)).tolist()
        ticket = next(self._tickets)
        self._submitted[ticket] = [
            (prompt.tolist(), {**common, "max_tokens": most, "seed": row_seed})
            for (prompt, most), row_seed in zip(requests, seeds, strict=True)
        ]
        return ticket

    def collect(self, ticket: int) -> list[IntArray]:
        """Brings vLLM's weights up to date and has a wave written."""
        if ticket not in self._submitted:
            raise EpisodeError(
                f"There is no wave {ticket} to collect, or it was collected already."
            )
        wave = self._submitted.pop(ticket)
        with self._lock:
            vllm = self._load()
            self._update()
            outputs = self._llm.generate(
                [vllm.TokensPrompt(prompt_token_ids=prompt) for prompt, _ in wave],
                [vllm.SamplingParams(**params) for _, params in wave],
                use_tqdm=False,
            )
        return [np.array(output.outputs[0].token_ids, dtype=np.int64) for output in outputs]

    def _load(self) -> Any:
        # In a process of its own, the engine could be handed no tensors. vLLM reads this when it
        # is imported and when an engine is made.
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        vllm = importlib.import_module("vllm")
        if self._llm is None:
            trunk, device = self._policy.trunk, self._policy.device
            several = distributed.is_initialized() and distributed.get_world_size() > 1
            if device.index and not several:
                raise ConfigurationError(
                    f"vLLM takes the first GPU that it sees, but the policy is on {device}. Show "
                    f"this command no other: CUDA_VISIBLE_DEVICES={device.index}, device='cuda'."
                )
            config = copy.deepcopy(trunk.config)
            config.architectures = [type(trunk).__name__]
            folder = tempfile.mkdtemp()
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            config.save_pretrained(folder)
            try:
                self._llm = vllm.LLM(
                    model=folder,
                    skip_tokenizer_init=True,
                    load_format="dummy",  # weights come with the first update
                    generation_config="vllm",  # none of the checkpoint's
                    dtype=str(trunk.dtype).removeprefix("torch."),
                    max_model_len=self._context_length,
                    gpu_memory_utilization=self._memory_share,
                    # Each process has an engine of its own beside those of the others.
                    distributed_executor_backend="external_launcher" if several else None,
                )
            except ValueError as error:
                raise ConfigurationError(
                    f"vLLM cannot be used for {type(trunk).__name__} here: {error} Change what it "
                    'names (vllm_memory is its share of the GPU), or use engine="generate".'
                ) from error
        return vllm

    def _update(self) -> None:
        # Sums of bit patterns: exact, so that no step of an optimiser is too small, and a pass over
        # the weights where loading them is many. Versions of tensors do not tell of fused steps.
        sums = [
            weight.detach().view(_INTEGERS[weight.itemsize]).sum(dtype=torch.int64)
            for weight in self._policy.trunk.parameters()
        ]
        state = torch.stack(sums).tolist()
        if state != self._loaded:
            self._llm.collective_rpc(
                "reload_weights", kwargs={"weights_iterator": plain_weights(self._policy.trunk)}
            )
            self._llm.reset_prefix_cache()  # computed with the weights before
            self._loaded = state


def require_vllm() -> None:
    """Makes sure that vLLM is installed, without loading it.

    Raises:
        ConfigurationError: If it is not.
    """
    if importlib.util.find_spec("vllm") is None:
        raise ConfigurationError(
            'engine="vllm" needs vLLM, which is not installed. Install it, with the version of '
            'torch that it asks for: pip install vllm. Or use engine="generate".'
        )
