from __future__ import annotations

from pathlib import Path

import pytest
import torch

from agents.critic import HeadCritic, TrunkCritic, make_critic
from agents.policy import CausalLMPolicy
from agents.scoring import score
from agents.sequences import Tokens, pad_tokens

ROWS = [[3, 1, 4, 1, 5], [9, 2, 6], [5, 3, 5, 8, 9, 7, 9]]
START = torch.tensor([2, 1, 4])


@pytest.fixture
def policy() -> CausalLMPolicy:
    return CausalLMPolicy.from_config_tiny(13, d=16, layers=2, heads=2).eval()


def _critic(kind: str, policy: CausalLMPolicy) -> TrunkCritic | HeadCritic:
    critic = make_critic(kind, policy)  # type: ignore[arg-type]
    assert critic is not None
    torch.nn.init.normal_(critic.head.weight)
    return critic


@pytest.mark.parametrize("kind", ["policy", "head", "shared"])
def test_a_value_is_that_of_the_state_before_the_token(policy: CausalLMPolicy, kind: str) -> None:
    critic = _critic(kind, policy)
    input_ids, length = pad_tokens(ROWS, pad_id=0)
    episodes = Tokens(input_ids, START, length)
    together = score(policy, critic, policy, episodes, microbatch_tokens=10).values
    assert together is not None
    for row, tokens in enumerate(ROWS):
        for t in range(7):
            if not START[row] <= t < len(tokens):
                assert together[row, t] == 0.0
                continue
            # A causal model: what comes after the state changes nothing.
            ids = torch.tensor([[*tokens[:t], 0]])
            alone = critic.values(ids, torch.tensor([t]), torch.tensor([t + 1]))
            assert together[row, t].item() == pytest.approx(alone[0, t].item(), abs=1e-5)
            hidden = policy.trunk.base_model(input_ids=ids[:, :t])[0][0, -1]
            assert together[row, t].item() == pytest.approx(critic.head(hidden).item(), abs=1e-4)


@pytest.mark.parametrize(
    ("kind", "reaches"), [("policy", False), ("head", False), ("shared", True)]
)
def test_only_a_shared_critic_moves_the_policy(
    policy: CausalLMPolicy, kind: str, reaches: bool
) -> None:
    critic = _critic(kind, policy)
    input_ids, length = pad_tokens(ROWS, pad_id=0)
    critic.values(input_ids, START, length).sum().backward()  # type: ignore[no-untyped-call]
    assert any(p.grad is not None for p in policy.parameters()) == reaches
    assert critic.head.weight.grad is not None
    mine = {id(p) for p in critic.parameters()}
    assert not mine & {id(p) for p in policy.parameters()}
    if isinstance(critic, TrunkCritic):
        assert any(p.grad is not None for p in critic.trunk.base_model.parameters())


@pytest.mark.parametrize("kind", ["head", "shared"])
def test_one_pass_tells_what_two_tell(policy: CausalLMPolicy, kind: str) -> None:
    critic = _critic(kind, policy)
    assert isinstance(critic, HeadCritic)
    input_ids, length = pad_tokens(ROWS, pad_id=0)
    passes = []
    policy.trunk.base_model.register_forward_hook(lambda *_: passes.append(1))
    logprobs, values = critic.score(input_ids, START, length, temperature=0.5)
    assert passes == [1]
    alone = policy.score(input_ids, START, length, temperature=0.5)
    assert torch.allclose(logprobs, alone, atol=1e-6)
    assert torch.allclose(values, critic.values(input_ids, START, length), atol=1e-6)
    values.sum().backward()  # type: ignore[no-untyped-call]
    assert any(p.grad is not None for p in policy.parameters()) == (kind == "shared")


@pytest.mark.parametrize("kind", ["policy", "head", "shared"])
def test_scoring_asks_the_policys_trunk_once(policy: CausalLMPolicy, kind: str) -> None:
    critic = _critic(kind, policy)  # before the hook, which a copy of the trunk would take along
    passes = []
    policy.trunk.base_model.register_forward_hook(lambda *_: passes.append(1))
    input_ids, length = pad_tokens(ROWS, pad_id=0)
    reference = CausalLMPolicy.from_config_tiny(13, d=16, layers=1, heads=2).eval()
    score(policy, critic, reference, Tokens(input_ids, START, length))
    assert passes == [1]


def test_a_policy_does_without() -> None:
    policy = CausalLMPolicy.from_config_tiny(13, d=16, layers=1, heads=2)
    assert make_critic("none", policy) is None
    assert sum(p.numel() for p in policy.parameters()) == sum(
        p.numel() for p in policy.trunk.parameters()
    )


@pytest.mark.parametrize("kind", ["policy", "head"])
def test_a_saved_critic_goes_on_where_its_kind_is_asked_for(
    policy: CausalLMPolicy, kind: str, tmp_path: Path
) -> None:
    critic = _critic(kind, policy)
    with torch.no_grad():
        next(critic.parameters()).add_(0.5)
    policy.save_pretrained(tmp_path)
    critic.save_pretrained(tmp_path)
    loaded = CausalLMPolicy.from_pretrained(tmp_path).eval()
    again = make_critic(kind, loaded, tmp_path)  # type: ignore[arg-type]
    assert again is not None
    input_ids, length = pad_tokens(ROWS, pad_id=0)
    assert torch.equal(
        critic.values(input_ids, START, length), again.values(input_ids, START, length)
    )
    other = make_critic("head" if kind == "policy" else "policy", loaded, tmp_path)
    assert other is not None
    assert not other.head.weight.any()
