"""How often programs pass: pass@k without bias, and an interval of a rate."""

from __future__ import annotations

import math

from codegym.errors import ConfigurationError

__all__ = ["pass_at_k", "wilson_interval"]


def pass_at_k(samples: int, correct: int, k: int) -> float:
    """Unbiased estimate of pass@k (Chen et al. 2021, arXiv 2107.03374, eq. 1).

    Args:
        samples: n programs were written.
        correct: c of them passed.
        k: At most `samples`.

    Returns:
        ``1 - C(n - c, k) / C(n, k)``.

    Raises:
        ConfigurationError: If not ``0 <= correct <= samples`` and ``1 <= k <= samples``.
    """
    if not (0 <= correct <= samples and 1 <= k <= samples):
        raise ConfigurationError(
            f"pass@k needs 0 <= correct <= samples and 1 <= k <= samples, got samples={samples}, "
            f"correct={correct}, k={k}."
        )
    return 1.0 - math.comb(samples - correct, k) / math.comb(samples, k)


def wilson_interval(rate: float, n: int, *, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's score interval of a rate.

    Args:
        rate: Observed, in [0, 1].
        n: Independent trials. With several programs a problem, the number of problems: the
            interval is then somewhat too wide, never too narrow.
        z: 1.96 for 95 %.

    Returns:
        Lower and upper end.

    Raises:
        ConfigurationError: If `n` is not positive.
    """
    if n <= 0:
        raise ConfigurationError(f"An interval needs at least one trial, got n={n}.")
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)
