from __future__ import annotations

import pytest
import torch

from agents.muon import Muon, orthogonalised
from codegym.errors import ConfigurationError


def test_updates_have_singular_values_near_one_whatever_the_shape() -> None:
    generator = torch.Generator().manual_seed(0)
    # Of one shape or across it, and far from 1 before: the ratio of the singular values is 100.
    shapes = [(8, 20), (20, 8), (8, 20)]
    scale = torch.logspace(0, -2, 8)
    matrices = []
    for rows, columns in shapes:
        u, _, v = torch.linalg.svd(
            torch.randn(rows, columns, generator=generator), full_matrices=False
        )
        matrices.append(3.0 * (u * scale) @ v)
    for before, after in zip(matrices, orthogonalised(matrices), strict=True):
        assert after.shape == before.shape
        values = torch.linalg.svdvals(after)
        assert 0.65 < values.min() < values.max() < 1.25
        u, _, v = torch.linalg.svd(before, full_matrices=False)
        closest = u @ v
        assert (after * closest).sum() / closest.norm() / after.norm() > 0.95


def test_matrices_that_are_computed_together_do_not_touch_each_other() -> None:
    matrices = [torch.randn(6, 6, generator=torch.Generator().manual_seed(i)) for i in range(3)]
    together = orthogonalised(matrices)
    for matrix, new in zip(matrices, together, strict=True):
        assert torch.allclose(new, orthogonalised([matrix])[0], atol=1e-5)


def test_it_agrees_with_the_one_in_torch_up_to_its_precision() -> None:
    theirs_class = getattr(torch.optim, "Muon", None)
    if theirs_class is None:
        pytest.skip("this version of torch has no Muon")
    start = torch.randn(12, 5, generator=torch.Generator().manual_seed(1))
    mine, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    optimizers = [
        Muon([mine], lr=0.1, momentum=0.9, weight_decay=0.3),
        theirs_class([theirs], lr=0.1, momentum=0.9, weight_decay=0.3),
    ]
    for step in range(4):
        gradient = torch.randn(12, 5, generator=torch.Generator().manual_seed(step))
        for parameter, optimizer in zip((mine, theirs), optimizers, strict=True):
            parameter.grad = gradient.clone()
            optimizer.step()
    moved = (mine - start).detach()
    assert moved.norm() > 0.3
    assert (mine - theirs).norm() < 0.05 * moved.norm()


def test_a_parameter_that_is_no_matrix_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"shape \(3,\)"):
        Muon([torch.nn.Parameter(torch.zeros(3))], lr=0.1)
