from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Gemma2Config, GPT2Config, MistralConfig, Qwen2Config

from agents.decoding import Decoder, sample_tokens
from agents.policy import CausalLMPolicy
from agents.sequences import generated_mask, length_buckets, pad_tokens
from codegym.errors import ConfigurationError

from .checkpoints import tiny

SMALL: dict[str, Any] = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
HEADS: dict[str, Any] = {"num_attention_heads": 2, "num_key_value_heads": 1}


def _policies() -> dict[str, CausalLMPolicy]:
    gemma = Gemma2Config(vocab_size=13, head_dim=8, final_logit_softcapping=2.0, **SMALL, **HEADS)
    gpt2 = GPT2Config(vocab_size=13, n_embd=16, n_layer=2, n_head=2, n_positions=64)
    return {
        "llama": CausalLMPolicy.from_config_tiny(13, d=16, layers=2, heads=2),
        "qwen2": CausalLMPolicy.from_config(
            Qwen2Config(vocab_size=20, **SMALL, **HEADS), vocab_size=13
        ),
        "gemma2": CausalLMPolicy.from_config(gemma, vocab_size=13),
        "gpt2": CausalLMPolicy.from_config(gpt2, vocab_size=13),
        "mistral": CausalLMPolicy.from_config(
            MistralConfig(vocab_size=13, sliding_window=4, **SMALL, **HEADS), vocab_size=13
        ),
    }


@pytest.fixture(params=["llama", "qwen2", "gemma2", "gpt2", "mistral"])
def policy(request: pytest.FixtureRequest) -> CausalLMPolicy:
    torch.manual_seed(0)
    policy = _policies()[request.param]
    # Larger weights make the logits differ enough for the comparisons to mean something.
    with torch.no_grad():
        for parameter in policy.trunk.parameters():
            parameter.mul_(5.0 if parameter.dim() > 1 else 1.0)
    return policy.eval()


ROWS = [[3, 1, 4, 1, 5], [9, 2, 6], [5, 3, 5, 8, 9, 7, 9]]


def test_score_is_the_log_softmax_of_the_action_space(policy: CausalLMPolicy) -> None:
    input_ids, length = pad_tokens(ROWS, pad_id=0)
    start = torch.tensor([2, 1, 4])
    logits = policy(input_ids)
    assert logits.shape == (3, 7, 13)
    scores = policy.score(input_ids, start, length, temperature=0.7)
    mask = generated_mask(start, length, 7)
    for row, tokens in enumerate(ROWS):
        for t in range(7):
            if not mask[row, t]:
                assert scores[row, t] == 0.0
                continue
            expected = (logits[row, t - 1] / 0.7).log_softmax(-1)
            assert scores[row, t].item() == pytest.approx(expected[tokens[t]].item(), abs=1e-5)


def test_a_critic_on_the_trunk_reads_the_states_behind_the_scores(policy: CausalLMPolicy) -> None:
    input_ids, length = pad_tokens(ROWS, pad_id=0)
    start = torch.tensor([2, 1, 4])
    logprobs, hidden = policy.score_and_hidden(input_ids, start, length)
    assert torch.equal(logprobs, policy.score(input_ids, start, length))
    last = policy.trunk.base_model(input_ids=input_ids, use_cache=False)[0]
    before = [last[row, t - 1] for row, t in generated_mask(start, length, 7).nonzero().tolist()]
    assert torch.allclose(hidden, torch.stack(before), atol=1e-5)


def test_padding_does_not_change_scores(policy: CausalLMPolicy) -> None:
    input_ids, length = pad_tokens(ROWS, pad_id=7)
    start = torch.tensor([2, 1, 4])
    together = policy.score(input_ids, start, length)
    for row, tokens in enumerate(ROWS):
        alone = policy.score(torch.tensor([tokens]), start[row, None], length[row, None])
        n = len(tokens)
        assert torch.allclose(together[row, :n], alone[0], atol=1e-5)


@pytest.mark.parametrize("room", [1, 2, 64])
def test_cached_decoding_agrees_with_the_full_forward_pass(
    policy: CausalLMPolicy, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.decoding._ROOM", room)
    input_ids, length = pad_tokens(ROWS, pad_id=0)
    decoder = Decoder(policy, input_ids, length, reserve=7)
    rows = [list(row) for row in ROWS]
    alive = [0, 1, 2]
    for step in range(7):
        for slot, i in enumerate(alive):
            expected = policy(torch.tensor([rows[i]]))[0, -1]
            assert torch.allclose(decoder.logits[slot], expected, atol=1e-4)
        if step == 1:  # a row leaves the batch
            decoder.keep(torch.tensor([0, 2]))
            alive = [0, 2]
        tokens = [(5 * step + i) % 13 for i in alive]
        decoder.append(torch.tensor(tokens))
        for i, token in zip(alive, tokens, strict=True):
            rows[i].append(token)


def test_saved_policy_is_the_same_policy(policy: CausalLMPolicy, tmp_path: Path) -> None:
    policy.save_pretrained(tmp_path)
    loaded = CausalLMPolicy.from_pretrained(tmp_path).eval()
    ids = torch.tensor([[3, 1, 4, 1]])
    assert torch.equal(policy(ids), loaded(ids))


def test_weights_depend_on_the_seed_and_not_on_the_global_generator() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    a = CausalLMPolicy.from_config_tiny(13, seed=3)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(6)
    b = CausalLMPolicy.from_config_tiny(13, seed=3)
    c = CausalLMPolicy.from_config_tiny(13, seed=4)
    first = [next(p.trunk.parameters()) for p in (a, b, c)]
    assert torch.equal(first[0], first[1])
    assert not torch.equal(first[0], first[2])


def test_a_cap_of_logits_is_seen_whatever_the_weights_are() -> None:
    """The logits of small weights are small, where a cap changes hardly anything."""
    policy = CausalLMPolicy.from_config(tiny("gemma2"), vocab_size=500)
    with torch.no_grad():
        policy.trunk.get_output_embeddings().weight.mul_(200.0)  # type: ignore[no-untyped-call]
    ids, start, length = torch.arange(40).view(4, 10), torch.full((4,), 2), torch.full((4,), 10)
    scores = policy.score(ids, start, length)
    assert torch.equal(scores, policy.copy().score(ids, start, length))
    capped = policy.trunk(input_ids=ids).logits[..., :500].log_softmax(-1)
    expected = capped[:, 1:-1].gather(-1, ids[:, 2:, None]).squeeze(-1)
    torch.testing.assert_close(scores[:, 2:], expected)


def test_more_actions_than_logits_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="13 tokens"):
        CausalLMPolicy(CausalLMPolicy.from_config_tiny(13).trunk, vocab_size=14)
    with pytest.raises(ConfigurationError, match="vocab_size"):
        CausalLMPolicy.from_pretrained(tmp_path)


def test_sampling_is_seeded_greedy_and_nucleus() -> None:
    logits = torch.tensor([[0.1, 0.5, 0.4], [0.2, 0.2, 0.6]]).log().repeat(2000, 1)
    draws = [
        sample_tokens(logits, generator=torch.Generator().manual_seed(s)).tolist()
        for s in (0, 0, 1)
    ]
    assert draws[0] == draws[1] != draws[2]
    share = draws[0][::2].count(1) / 2000
    assert abs(share - 0.5) < 0.05
    assert sample_tokens(logits, temperature=0.0).tolist() == [1, 2] * 2000
    nucleus = sample_tokens(logits, top_p=0.7, generator=torch.Generator().manual_seed(0))
    assert set(nucleus[::2].tolist()) == {1, 2}  # .5 + .4 passes .7
    with pytest.raises(ConfigurationError, match="top_p=0"):
        sample_tokens(logits, top_p=0.0)


def test_buckets_hold_every_row_once_within_the_budget() -> None:
    length = torch.tensor([3, 50, 7, 7, 20, 1])
    index = torch.tensor([0, 1, 2, 3, 5])
    groups = list(length_buckets(length, index, max_tokens=21))
    assert sorted(torch.cat(groups).tolist()) == index.tolist()
    assert groups[0].tolist() == [1]  # longer than the budget: alone
    assert all(len(g) * int(length[g].max()) <= 21 for g in groups[1:])
