"""Muon: momentum whose update of a matrix is made orthogonal (Jordan et al., 2024).

A gradient's few large directions would drown the many small ones, such as those in which attention
learns to look back. Muon gives all the same length. From scratch, a small model learns to copy what
the prompt says in half of AdamW's steps, and whatever the seed.

``torch.optim.Muon`` does the same one matrix at a time and in bfloat16, which made a step of a tiny
model on a CPU twice as long; here matrices of one shape are computed together, in their own dtype.

https://kellerjordan.github.io/posts/muon
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from codegym.errors import ConfigurationError

__all__ = ["Muon", "orthogonalised"]

_STEPS = 5
# Of x -> a x + b x^3 + c x^5 on singular values: five times, anything from 0.001 to 1 lands near 1.
_A, _B, _C = 3.4445, -4.7750, 2.0315


class Muon(torch.optim.Optimizer):
    """For the matrices inside a network; embeddings, norms and biases are for another optimiser.

    Args:
        params: (rows, columns) parameters.
        lr: Length of a step: the spectral norm of a square matrix's update.
        momentum: Of the gradient's average; the update looks one step ahead (Nesterov).
        weight_decay: Decoupled, as AdamW's.

    Raises:
        ConfigurationError: If a parameter is not a matrix.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        *,
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.dim() != 2:
                    raise ConfigurationError(
                        "Muon is for matrices, got a parameter of shape "
                        f"{tuple(parameter.shape)}. Leave it to another optimiser."
                    )

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Moves every parameter that has a gradient.

        Args:
            closure: Not supported.
        """
        for group in self.param_groups:
            by_shape = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape[tuple(sorted(parameter.shape))].append(parameter)
            for same in by_shape.values():
                self._move(same, **{name: group[name] for name in self.defaults})

    def _move(
        self, parameters: Sequence[Tensor], *, lr: float, momentum: float, weight_decay: float
    ) -> None:
        """Of parameters that are of one shape or lie across it."""
        ahead = []
        for parameter in parameters:
            state: dict[str, Any] = self.state[parameter]
            average = state.setdefault("momentum_buffer", torch.zeros_like(parameter))
            gradient = parameter.grad
            assert gradient is not None
            average.lerp_(gradient, 1.0 - momentum)
            ahead.append(gradient.lerp(average, momentum))
        for parameter, update in zip(parameters, orthogonalised(ahead), strict=True):
            rows, columns = parameter.shape
            parameter.mul_(1.0 - lr * weight_decay)
            parameter.add_(update, alpha=-lr * max(1.0, rows / columns) ** 0.5)


def orthogonalised(matrices: Sequence[Tensor]) -> list[Tensor]:
    """Nearly the closest orthogonal matrices, by a Newton-Schulz iteration.

    Args:
        matrices: Each (a, b) or (b, a).

    Returns:
        Of the same shapes; singular values that were not tiny are between 0.7 and 1.2.
    """
    wide = [each if each.shape[0] <= each.shape[1] else each.mT for each in matrices]
    x = torch.stack(wide)
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)
    for _ in range(_STEPS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=_B, alpha=_C), x, beta=_A)
    return [
        new if old.shape[0] <= old.shape[1] else new.mT
        for old, new in zip(matrices, x, strict=True)
    ]
