"""The gradient of a minibatch, of two halves at once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from agents.gradients import add_gradient, halves

LENGTH = torch.tensor([10, 1, 9, 2, 8, 3, 7])


@pytest.fixture(autouse=True)
def two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)


def test_halves_have_about_as_many_tokens() -> None:
    index = torch.tensor([6, 0, 2, 3, 4])
    parts = halves(LENGTH, index)
    assert sorted(torch.cat(parts).tolist()) == sorted(index.tolist())
    # 10; then 9 and 8 to the other, 7 to the first, and 2, as both have 17, to the first again.
    assert [sorted(LENGTH[part].tolist()) for part in parts] == [[2, 7, 10], [8, 9]]


def test_what_is_alike_stays_together() -> None:
    alike = torch.tensor([5, 5, 5, 9, 9, 1, 1])
    parts = halves(LENGTH, torch.arange(7), alike=alike)
    assert [part.tolist() for part in parts] == [[0, 1, 2], [3, 4, 5, 6]]
    assert [part.tolist() for part in halves(LENGTH, torch.arange(3), alike=alike)] == [[0, 1, 2]]


def test_one_row_or_one_thread_is_not_split(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [part.tolist() for part in halves(LENGTH, torch.tensor([4]))] == [[4]]
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert [part.tolist() for part in halves(LENGTH, torch.arange(7))] == [list(range(7))]


def _model() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 1, bias=False))


def test_the_gradient_is_that_of_all_rows() -> None:
    data, model = torch.randn(7, 5, generator=torch.Generator().manual_seed(1)), _model()
    unused = nn.Parameter(torch.ones(2))
    parameters = [*model.parameters(), unused]

    def losses(rows: Tensor) -> Iterator[tuple[Tensor, int]]:
        for row in rows.tolist():
            yield model(data[row]).square().sum(), row

    found = []
    for parts in ([torch.arange(7)], halves(LENGTH, torch.arange(7))):
        for times in (1, 2):  # the second time it is added to the first
            told = add_gradient(losses, parameters, parts)
            assert sorted(told) == list(range(7))
            grads = [p.grad.flatten() / times for p in parameters if p.grad is not None]
            found.append(torch.cat(grads))
        assert unused.grad is None
        model.zero_grad()
    assert found[0].abs().max() > 0.1
    for other in found[1:]:
        torch.testing.assert_close(found[0], other)


def test_an_error_of_a_half_leaves_the_gradients_as_they_were() -> None:
    model = _model()

    def losses(rows: Tensor) -> Iterator[tuple[Tensor, int]]:
        if 0 in rows.tolist():
            raise ValueError("no loss")
        yield model(torch.ones(5)).sum(), 0

    with pytest.raises(ValueError, match="no loss"):
        add_gradient(losses, list(model.parameters()), [torch.tensor([1]), torch.tensor([0])])
    assert all(p.grad is None for p in model.parameters())
