from __future__ import annotations

import math

import pytest
import torch
from torch import tensor

from agents.losses import (
    approximate_kl,
    kl_penalty,
    masked_mean,
    policy_loss,
    value_loss,
)


def test_clipped_surrogate_by_hand() -> None:
    old = torch.zeros(1, 4)
    ratio = tensor([[1.5, 1.5, 0.5, 0.5]])
    advantages = tensor([[1.0, -1.0, 1.0, -1.0]])
    mask = torch.ones(1, 4, dtype=torch.bool)
    # min(r A, clip(r) A): 1.2, -1.5, 0.5, -0.8
    result = policy_loss(ratio.log(), old, advantages, mask, clip_range=0.2)
    assert result.loss.item() == pytest.approx(-(1.2 - 1.5 + 0.5 - 0.8) / 4, abs=1e-6)
    assert result.clip_fraction.item() == pytest.approx(1.0)
    k3 = sum(r - 1 - math.log(r) for r in (1.5, 1.5, 0.5, 0.5)) / 4
    assert result.approximate_kl.item() == pytest.approx(k3, abs=1e-6)


def test_surrogate_is_normalised_by_the_mask_not_by_the_length() -> None:
    logprobs = torch.zeros(2, 5, requires_grad=True)
    mask = torch.zeros(2, 5, dtype=torch.bool)
    mask[0, 1] = mask[1, 3] = True
    loss = policy_loss(logprobs, torch.zeros(2, 5), torch.full((2, 5), 3.0), mask).loss
    assert loss.item() == pytest.approx(-3.0)
    loss.backward()  # type: ignore[no-untyped-call]
    assert logprobs.grad is not None
    assert (logprobs.grad != 0).equal(mask)


def test_all_zero_mask_gives_zero_loss_and_zero_gradient() -> None:
    logprobs = torch.randn(2, 3, requires_grad=True)
    nothing = torch.zeros(2, 3, dtype=torch.bool)
    result = policy_loss(logprobs, torch.randn(2, 3), torch.randn(2, 3), nothing)
    values = torch.randn(2, 3, requires_grad=True)
    loss = result.loss + value_loss(values, torch.randn(2, 3), nothing)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0.0
    assert logprobs.grad is not None
    assert logprobs.grad.abs().sum() == 0.0
    assert torch.isfinite(result.approximate_kl)


def test_garbage_outside_the_mask_does_not_reach_the_gradient() -> None:
    logprobs = torch.zeros(1, 3, requires_grad=True)
    old = tensor([[0.0, math.inf, 0.0]])
    mask = tensor([[True, False, True]])
    loss = policy_loss(logprobs, old, tensor([[1.0, math.nan, 1.0]]), mask).loss
    loss.backward()  # type: ignore[no-untyped-call]
    assert logprobs.grad is not None
    assert torch.isfinite(logprobs.grad).all()


def test_pieces_with_one_normaliser_sum_to_the_whole() -> None:
    torch.manual_seed(0)
    new, old, advantages = torch.randn(3, 6, 5)
    mask = torch.rand(6, 5) < 0.4
    whole = policy_loss(new, old, advantages, mask).loss
    pieces = sum(
        policy_loss(new[r], old[r], advantages[r], mask[r], normaliser=mask.sum()).loss
        for r in (slice(0, 1), slice(1, 4), slice(4, 6))
    )
    assert torch.allclose(whole, torch.as_tensor(pieces), atol=1e-6)


def test_value_loss_is_half_the_squared_error_where_it_counts() -> None:
    mask = tensor([[1, 1, 0]]).bool()
    values, returns = tensor([[1.0, 0.5, 9.0]]), tensor([[0.0, 1.0, 0.0]])
    assert value_loss(values, returns, mask).item() == pytest.approx(0.5 * (1.0 + 0.25) / 2)
    assert value_loss(values, returns, mask, normaliser=5.0).item() == pytest.approx(0.125)


def test_the_kl_penalty_has_the_gradient_of_the_kl_itself() -> None:
    """In expectation over the policy's own tokens, which k1 and k3 as losses do not have."""
    torch.manual_seed(0)
    logits = torch.randn(6, dtype=torch.float64, requires_grad=True)
    reference = torch.randn(6, dtype=torch.float64).log_softmax(-1)
    p = logits.log_softmax(-1)
    exact = torch.autograd.grad((p.exp() * (p - reference)).sum(), logits)[0]
    one = torch.ones(1, dtype=torch.bool)
    weights = p.detach().exp()
    sampled = sum(
        (
            weights[i] * kl_penalty(logits.log_softmax(-1)[i, None], reference[i, None], one)
            for i in range(6)
        ),
        torch.zeros(()),
    )
    assert torch.allclose(torch.autograd.grad(sampled, logits)[0], exact, atol=1e-7)
    by_hand = kl_penalty(
        tensor([[-1.0, -2.0, 9.0]]), tensor([[-2.0, -2.5, 0.0]]), tensor([[1, 1, 0]]).bool()
    )
    assert by_hand.item() == pytest.approx(0.5 * (1.0 + 0.25) / 2)


def test_kl_estimators() -> None:
    p = torch.randn(1, 6).log_softmax(-1)
    q = torch.randn(1, 6).log_softmax(-1)
    mask = torch.ones(1, 6, dtype=torch.bool)
    same: tuple[object, ...] = approximate_kl(p, p, mask)
    assert same == (0.0, 0.0, 0.0)
    other = approximate_kl(p, q, mask)
    assert other.k1.item() == pytest.approx((p - q).mean().item(), abs=1e-6)
    assert other.k3.item() > 0.0
    # In expectation over p, k1 and k3 are the same number: the KL divergence.
    weight = p.exp() * 6
    exact = (p.exp() * (p - q)).sum()
    k3 = masked_mean(weight * ((q - p).exp() - 1 - (q - p)), mask)
    assert k3.item() == pytest.approx(exact.item(), abs=1e-5)
