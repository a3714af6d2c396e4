from __future__ import annotations

import pytest
import torch
from torch import tensor

from agents.advantages import generalised_advantages, whiten


def test_monte_carlo_by_hand() -> None:
    rewards = tensor([[0.0, 0.1, 0.2, 1.0]])
    values = tensor([[9.0, 0.5, 0.6, 0.7]])
    mask = tensor([[False, True, True, True]])
    result = generalised_advantages(rewards, values, mask, gamma=1.0, lam=1.0)
    assert torch.allclose(result.returns, tensor([[0.0, 1.3, 1.2, 1.0]]))
    assert torch.allclose(result.advantages, tensor([[0.0, 0.8, 0.6, 0.3]]))


def test_gamma_and_lambda_by_hand() -> None:
    # deltas: .1 + .9*.6 - .5 = .14;  .2 + .9*.7 - .6 = .23;  1 - .7 = .3
    rewards, values = tensor([[0.1, 0.2, 1.0]]), tensor([[0.5, 0.6, 0.7]])
    mask = torch.ones(1, 3, dtype=torch.bool)
    result = generalised_advantages(rewards, values, mask, gamma=0.9, lam=0.5)
    a2 = 0.3
    a1 = 0.23 + 0.45 * a2
    a0 = 0.14 + 0.45 * a1
    assert torch.allclose(result.advantages, tensor([[a0, a1, a2]]))


def test_rows_of_different_length_do_not_touch_each_other() -> None:
    rewards = tensor([[0.0, 1.0, 5.0], [0.0, 0.0, 1.0]])
    values = tensor([[0.0, 0.25, 8.0], [0.0, 0.5, 0.5]])
    mask = tensor([[False, True, False], [False, True, True]])
    result = generalised_advantages(rewards, values, mask)
    assert torch.allclose(result.advantages, tensor([[0.0, 0.75, 0.0], [0.0, 0.5, 0.5]]))


def test_whitening_counts_valid_tokens_only() -> None:
    values = tensor([[1.0, 3.0, 1e9]])
    mask = tensor([[True, True, False]])
    assert torch.allclose(whiten(values, mask), tensor([[-1.0, 1.0, 0.0]]))
    kept = whiten(values, mask, shift_mean=False)
    assert torch.allclose(kept, tensor([[1.0, 3.0, 0.0]]))


@pytest.mark.parametrize("count", [0, 1])
def test_whitening_nothing_is_no_nan(count: int) -> None:
    values = tensor([[2.0, 3.0]])
    mask = tensor([[count > 0, False]])
    assert whiten(values, mask).tolist() == [[2.0 if count else 0.0, 0.0]]
