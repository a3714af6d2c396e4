"""pass@k and intervals against numbers worked out by hand."""

from __future__ import annotations

import pytest

from codegym.errors import ConfigurationError
from codegym.grading import pass_at_k, wilson_interval


def test_pass_at_k_by_hand() -> None:
    assert pass_at_k(4, 0, 2) == 0.0
    assert pass_at_k(4, 1, 2) == pytest.approx(0.5)  # 1 - C(3,2)/C(4,2)
    assert pass_at_k(4, 3, 2) == 1.0
    assert pass_at_k(10, 3, 1) == pytest.approx(0.3)
    with pytest.raises(ConfigurationError, match="k=5"):
        pass_at_k(4, 1, 5)


def test_wilson_interval_by_hand() -> None:
    # Newcombe 1998, table I: 81 of 263 and 0 of 20.
    assert wilson_interval(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson_interval(0.0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
