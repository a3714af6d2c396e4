"""Prompts that several sequences share: read once, and everything else stays as it was."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    Gemma3TextConfig,
    GemmaConfig,
    GPT2Config,
    GPTNeoXConfig,
    Lfm2Config,
    LlamaConfig,
    MambaConfig,
    MistralConfig,
    PreTrainedConfig,
    Qwen2Config,
)

from agents import prompts
from agents.critic import HeadCritic
from agents.decoding import Decoder
from agents.lora import add_adapter
from agents.policy import CausalLMPolicy
from agents.prompts import shared_prompts
from agents.scoring import score
from agents.sequences import Tokens, length_buckets
from tests.agents.reads import shapes_read

SIZES: dict[str, Any] = {"vocab_size": 17, "hidden_size": 128, "num_hidden_layers": 2}
LLAMA: dict[str, Any] = {**SIZES, "intermediate_size": 64, "num_attention_heads": 2}
HEADS: dict[str, Any] = {"num_key_value_heads": 1}
SHARING: dict[str, PreTrainedConfig] = {
    "qwen2": Qwen2Config(**LLAMA, **HEADS),
    "gemma": GemmaConfig(**LLAMA, **HEADS, head_dim=32),
    "gpt2": GPT2Config(vocab_size=17, n_embd=128, n_layer=2, n_head=2),
    "neox": GPTNeoXConfig(**LLAMA),
}
STRETCHED: dict[str, dict[str, Any]] = {
    "dynamic": {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 1e4},
    "longrope": {
        "rope_type": "longrope", "rope_theta": 1e4, "original_max_position_embeddings": 8,
        "short_factor": [1.0] * 32, "long_factor": [8.0] * 32, "factor": 4.0,
    },
}  # fmt: skip
"""Angles that depend on how long the text is."""
LENGTH = torch.tensor([11, 8, 9, 6, 5, 10])
START = torch.tensor([6, 6, 6, 4, 4, 9])


def _tokens() -> Tokens:
    """Three rows begin with one prompt, two with another, one with its own."""
    generator = torch.Generator().manual_seed(0)
    input_ids = torch.randint(1, 17, (6, 11), generator=generator)
    input_ids[:3, :6], input_ids[3:5, :4] = input_ids[0, :6], input_ids[3, :4]
    return Tokens(input_ids, START, LENGTH)


def _policy(config: PreTrainedConfig) -> CausalLMPolicy:
    policy = CausalLMPolicy.from_config(config, vocab_size=17).eval()
    with torch.no_grad():  # larger weights, or all logits would be about the same
        for parameter in policy.trunk.parameters():
            parameter.mul_(3.0 if parameter.dim() > 1 else 1.0)
    return policy


def _gradient(policy: CausalLMPolicy, tokens: Tokens) -> Tensor:
    policy.zero_grad()
    weights = torch.arange(1.0, 12.0)  # no two tokens count the same
    (policy.score(*tokens) * weights).sum().backward()  # type: ignore[no-untyped-call]
    found = [p.grad.flatten() for p in policy.parameters() if p.grad is not None]
    return torch.cat(found)


@pytest.mark.parametrize("name", SHARING)
def test_scores_and_gradients_are_those_of_rows_read_each_for_itself(name: str) -> None:
    policy, tokens = _policy(SHARING[name]), _tokens()
    assert policy.shares_prompts
    read = shapes_read(policy.trunk.base_model)
    together, gradient = policy.score(*tokens), _gradient(policy, tokens)
    # Three prompts up to their last token but one, then each row from there on.
    assert read[:2] == [(3, 8), (6, 5)]
    policy.shares_prompts = False
    read.clear()
    alone, expected = policy.score(*tokens), _gradient(policy, tokens)
    assert read[0] == (6, 11)
    assert alone.std() > 0.5
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(gradient, expected, atol=1e-4, rtol=1e-3)


def test_a_head_and_an_adapter_see_the_same() -> None:
    policy, tokens = _policy(SHARING["qwen2"]), _tokens()
    add_adapter(policy.trunk, rank=2, alpha=8, targets=("all-linear",), seed=0)
    for name, weight in policy.trunk.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1, generator=torch.Generator().manual_seed(1))
    critic = HeadCritic(policy)
    torch.nn.init.normal_(critic.head.weight, generator=torch.Generator().manual_seed(2))
    found = []
    for policy.shares_prompts in (True, False):
        found.append((*critic.score(*tokens), _gradient(policy, tokens)))
    for together, alone in zip(*found, strict=True):
        assert alone.std() > 0.01
        torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(
    "config",
    [
        MistralConfig(**LLAMA, **HEADS, sliding_window=4),
        Gemma3TextConfig(**LLAMA, **HEADS, head_dim=32, sliding_window=4),
        MambaConfig(**SIZES),
        LlamaConfig(**LLAMA, rope_parameters=STRETCHED["dynamic"]),
        LlamaConfig(**LLAMA, rope_parameters=STRETCHED["longrope"]),
        Qwen2Config(**{**LLAMA, **HEADS, "hidden_size": 64}),
    ],
    ids=["window", "windows in some layers", "state", *STRETCHED, "too small to gain by it"],
)
def test_other_models_read_each_row_for_itself(config: PreTrainedConfig) -> None:
    policy = _policy(config)
    assert not policy.shares_prompts
    assert policy.prompts_of(_tokens()) is None
    assert policy.score(*_tokens()).isfinite().all()


def test_in_training_mode_each_row_has_its_own_dropout() -> None:
    policy = _policy(GPT2Config(vocab_size=17, n_embd=128, n_layer=2, n_head=2, resid_pdrop=0.5))
    ids = torch.tensor([[1, 2, 3, 4, 5]] * 4)
    start, length = torch.tensor([4] * 4), torch.tensor([5] * 4)
    torch.nn.Module.train(policy, True)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        said = policy.score(ids, start, length)[:, 4]
    assert len(set(said.tolist())) == 4


def test_few_common_tokens_are_not_worth_it() -> None:
    ids, start, length = _tokens()
    found = shared_prompts(ids, start - 1, length)
    assert found is not None
    first, of_row = found
    assert sorted(first.tolist()) == [0, 3, 5]
    assert first[of_row].tolist() == [0, 0, 0, 3, 3, 5]
    assert shared_prompts(ids, start - 1, 3 * length) is None, "13 of 147 tokens are the same"
    assert shared_prompts(ids, torch.zeros_like(start), length) is None
    assert shared_prompts(ids[:1], start[:1], length[:1]) is None


def test_a_prompt_is_more_than_the_tokens_that_it_begins_with() -> None:
    """The shorter one is padded with what the longer one goes on with."""
    ids = torch.tensor([[7, 7, 0, 0, 1, 2], [7, 7, 0, 3, 0, 0], [7, 7, 0, 0, 5, 0]])
    found = shared_prompts(ids, torch.tensor([4, 2, 4]), torch.tensor([6, 4, 5]))
    assert found is not None
    assert found[0][found[1]].tolist() == [0, 1, 0]


def test_rows_with_a_prompt_are_scored_side_by_side() -> None:
    policy, tokens = _policy(SHARING["qwen2"]), _tokens()
    mixed = torch.tensor([5, 0, 3, 1, 4, 2])
    tokens = Tokens(*(field[mixed] for field in tokens))
    read = shapes_read(policy.trunk.base_model)
    together = score(policy, None, policy, tokens, microbatch_tokens=33)
    # The three rows of 11 columns are a part, whose prompt is read once; of the others, with 10
    # columns, reading it once would save 3 of 21 tokens.
    assert sorted(read) == 2 * [(1, 5)] + 2 * [(3, 5)] + 2 * [(3, 10)]
    policy.shares_prompts = False
    alone = score(policy, None, policy, tokens)
    torch.testing.assert_close(together.logprobs, alone.logprobs, atol=1e-5, rtol=1e-4)


def test_buckets_keep_together_what_is_alike() -> None:
    length = torch.tensor([5, 9, 7, 2, 8, 3])
    alike = torch.tensor([4, 1, 4, 1, 2, 4])
    groups = list(length_buckets(length, torch.arange(6), max_tokens=18, alike=alike))
    assert [sorted(rows.tolist()) for rows in groups] == [[1, 3], [0, 4], [2, 5]]
    some = list(length_buckets(length, torch.tensor([5, 3, 0]), max_tokens=18, alike=alike))
    assert [sorted(rows.tolist()) for rows in some] == [[0, 3, 5]]


def test_programs_without_a_token_have_no_scores() -> None:
    policy, (ids, start, _) = _policy(SHARING["qwen2"]), _tokens()
    assert policy.prompts_of(Tokens(ids, start, start)) is None
    assert not policy.score(ids, start, start.clone()).any()


OTHERS: dict[str, PreTrainedConfig] = {
    "window": MistralConfig(**LLAMA, **HEADS, sliding_window=4),
    "state": Lfm2Config(**LLAMA, **HEADS, layer_types=["conv", "full_attention"]),
}


@pytest.mark.parametrize("name", [*SHARING, *OTHERS])
def test_a_decoder_reads_a_prompt_once(name: str) -> None:
    policy, (ids, start, _) = _policy({**SHARING, **OTHERS}[name]), _tokens()
    read = shapes_read(policy.trunk)
    decoder = Decoder(policy, ids, start, reserve=3)
    assert sum(rows for rows, _ in read) == (3 if name in SHARING else 6)
    for column in range(3):
        for row in range(6):
            at = int(start[row]) + column
            expected = policy(ids[row : row + 1, :at])[0, -1]
            torch.testing.assert_close(decoder.logits[row], expected, atol=1e-4, rtol=1e-3)
        if column < 2:
            decoder.append(ids.gather(1, start[:, None] + column).squeeze(1))


@pytest.mark.parametrize("rope", [None, *STRETCHED.values()], ids=["plain", *STRETCHED])
def test_passes_wait_for_each_other_where_angles_depend_on_the_text(
    rope: dict[str, Any] | None,
) -> None:
    policy = _policy(LlamaConfig(**LLAMA, max_position_embeddings=8, rope_parameters=rope))
    could: list[bool] = []

    def begin() -> None:
        could.append(prompts._reading.acquire(blocking=False))
        if could[-1]:
            prompts._reading.release()

    def ask(*_: object) -> None:
        another = threading.Thread(target=begin)
        another.start()
        another.join()

    for one in (policy, policy.copy()):
        could.clear()
        layers: Any = one.trunk.base_model.layers
        layers[-1].register_forward_hook(ask)
        one.trunk(torch.arange(40)[None] % 17)
        assert could == [rope is None]
        with pytest.raises(IndexError):
            one.trunk(torch.tensor([[99]]))  # no token of the model's
        ask()
        assert could[1:] == [True], "an error had not let go"
