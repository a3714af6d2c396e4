"""A module that stands in for vLLM: of its interface what is used, and a slow greedy loop."""

from __future__ import annotations

import dataclasses
import os
import types
from collections.abc import Iterable
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any, TypedDict

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM


class TokensPrompt(TypedDict):
    prompt_token_ids: list[int]


@dataclasses.dataclass(kw_only=True)
class SamplingParams:
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int | None = None
    stop_token_ids: list[int] | None = None
    ignore_eos: bool = False
    max_tokens: int | None = 16
    detokenize: bool = True
    logit_bias: dict[int, float] | None = None


class LLM:
    """Greedy, whatever the temperature; knows no more of a model than vLLM would."""

    def __init__(
        self,
        model: str,
        *,
        skip_tokenizer_init: bool,
        load_format: str,
        generation_config: str,
        dtype: str,
        max_model_len: int,
        gpu_memory_utilization: float,
        distributed_executor_backend: str | None,
    ) -> None:
        assert os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0"
        assert skip_tokenizer_init
        assert (load_format, generation_config) == ("dummy", "vllm")
        assert [path.name for path in Path(model).iterdir()] == ["config.json"]
        config = AutoConfig.from_pretrained(model)
        if config.architectures == ["GemmaForCausalLM"]:
            raise ValueError("Model architectures ['GemmaForCausalLM'] are not supported.")
        self.settings = (dtype, max_model_len, gpu_memory_utilization, distributed_executor_backend)
        self.model: Any = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
            config, dtype=getattr(torch, dtype)
        )
        assert [type(self.model).__name__] == config.architectures
        self.calls: list[str] = []
        self.waves: list[tuple[list[TokensPrompt], list[SamplingParams]]] = []

    def collective_rpc(self, method: str, *, kwargs: dict[str, Any]) -> None:
        assert method == "reload_weights"
        weights: Iterable[tuple[str, Tensor]] = kwargs.pop("weights_iterator")
        assert not kwargs
        loaded = dict(weights)
        own = dict(self.model.named_parameters())
        assert loaded.keys() == own.keys()
        with torch.no_grad():
            for name, weight in loaded.items():
                assert weight.dtype == own[name].dtype
                own[name].copy_(weight)
        self.calls.append(method)

    def reset_prefix_cache(self) -> None:
        self.calls.append("reset_prefix_cache")

    @torch.no_grad()
    def generate(
        self, prompts: list[TokensPrompt], params: list[SamplingParams], *, use_tqdm: bool
    ) -> list[Any]:
        assert not use_tqdm
        self.calls.append("generate")
        self.waves.append((prompts, params))
        return [
            types.SimpleNamespace(outputs=[types.SimpleNamespace(token_ids=self._write(*one))])
            for one in zip(prompts, params, strict=True)
        ]

    def _write(self, prompt: TokensPrompt, params: SamplingParams) -> list[int]:
        written: list[int] = []
        assert params.max_tokens is not None
        assert params.stop_token_ids is not None
        while len(written) < params.max_tokens:
            ids = torch.tensor([[*prompt["prompt_token_ids"], *written]])
            logits = self.model(input_ids=ids).logits[0, -1].float()
            for token, bias in (params.logit_bias or {}).items():
                logits[token] += bias
            written.append(int(logits.argmax()))
            if written[-1] in params.stop_token_ids:
                break
        return written


def fake_vllm() -> types.ModuleType:
    """The module, with the engines that were made as `made`."""
    module: Any = types.ModuleType("vllm")
    module.__spec__ = ModuleSpec("vllm", None)
    module.made = []

    def make(**settings: Any) -> LLM:
        module.made.append(LLM(**settings))
        return module.made[-1]  # type: ignore[no-any-return]

    module.LLM, module.SamplingParams, module.TokensPrompt = make, SamplingParams, TokensPrompt
    return module  # type: ignore[no-any-return]
