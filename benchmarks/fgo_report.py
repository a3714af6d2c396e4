"""The results of `benchmarks/fgo.py` as a page, and the statistics of gradients that it needs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from benchmarks import page

__all__ = ["ARMS", "Arm", "cosine", "lines", "ratio_of_snr", "snr"]

Products = npt.NDArray[np.float64]


class Arm(NamedTuple):
    """What is learned from.

    Attributes:
        mask: Tokens.
        whitened_over_mask: Whether advantages are whitened over these, or over all generated ones.
    """

    mask: str
    whitened_over_mask: bool = False


ARMS = {
    "no mask": Arm("generated"),
    "FGO": Arm("executed"),
    "FGO, whitened over the mask": Arm("executed", whitened_over_mask=True),
    "random mask of the same share": Arm("random"),
    "complement": Arm("not executed"),
}
_FIRST = next(iter(ARMS))


def snr(products: Products) -> float:
    """(signal / noise)^2 of a batch's gradient, unbiased in both parts.

    The mean of ``g_i . g_j`` over pairs of different batches is the squared length of the expected
    gradient; the mean of ``|g_i|^2`` is that plus the noise.

    Args:
        products: (n, n) inner products of the gradients of n batches.
    """
    n = len(products)
    diagonal = float(np.trace(products)) / n
    signal = (float(products.sum()) - diagonal * n) / (n * (n - 1))
    return signal / (diagonal - signal)


def ratio_of_snr(one: Products, other: Products) -> tuple[float, float, float]:
    """How many times higher one ratio is than the other, on the same batches.

    Args:
        one: (n, n) inner products of one arm.
        other: The same of the other.

    Returns:
        Estimate and 95 % interval, by the jackknife over batches, of the logarithm; NaN where a
        signal was not above 0.
    """
    n = len(one)

    def logarithm(a: Products, b: Products) -> float:
        top, bottom = snr(a), snr(b)
        return math.log(top / bottom) if top > 0 and bottom > 0 else math.nan

    whole = logarithm(one, other)
    keep = [np.delete(np.arange(n), i) for i in range(n)]
    left_out = np.array([logarithm(one[np.ix_(k, k)], other[np.ix_(k, k)]) for k in keep])
    error = math.sqrt((n - 1) / n * float(((left_out - left_out.mean()) ** 2).sum()))
    half = float(stats.t.ppf(0.975, n - 1)) * error
    low, high = whole - half, whole + half
    return math.exp(whole), math.exp(low), math.exp(high)


def cosine(one: Products, other: Products, between: Products) -> float:
    """Of the angle between the expected gradients of two arms.

    Args:
        one: (n, n) inner products of one arm.
        other: The same of the other.
        between: (n, n) of gradient i of the one with gradient j of the other.
    """

    def signal(products: Products) -> float:
        n = len(products)
        return (float(products.sum()) - float(np.trace(products))) / (n * (n - 1))

    own = signal(one) * signal(other)
    return signal(between) / math.sqrt(own) if own > 0 else math.nan


def lines(results: Mapping[str, Any]) -> Iterator[str]:
    """The page, from ``command``, ``arguments`` and ``rows``."""
    args, rows = results["arguments"], results["rows"]
    asked = (
        "What does a mask of executed tokens (FGO) do to the policy gradient? A policy stays as it "
        f"is and plays {args['batches']} batches of {args['episodes']} programs of all levels from "
        "uniform start states, judged by some of their tests; each batch gives the REINFORCE "
        "gradient in each arm. SNR^2 is the squared length of the expected gradient over the "
        "variance of a batch's. *Times* says how many times higher it is than without a mask, with "
        "a 95 % interval (jackknife over batches): learning needs as many times fewer episodes for "
        "the same certainty. If unexecuted tokens have no signal and as much noise as others, it "
        "is 1 / executed share. *Cosine* is that of the expected gradients with and without FGO."
    )
    yield from page.head("Executed tokens: the gradient", asked, results)
    for phase, title in (("sft", "After SFT"), ("ppo", f"After {args['iterations']} iterations")):
        mine = [row for row in rows if row["phase"] == phase]
        if not mine:
            continue
        yield from (f"## {title}", "")
        columns = ("tests", "seed", "solved, %", "executed, %", "1 / executed", "SNR^2, no mask")
        arms = [arm for arm in ARMS if arm != _FIRST]
        yield from page.table(
            (*columns, *(f"{arm}: times" for arm in arms), "FGO: cosine"),
            (_cells(row, arms) for row in mine),
        )
        yield ""


def _cells(row: Mapping[str, Any], arms: Sequence[str]) -> list[str]:
    def products(one: str, other: str) -> Products:
        return np.array(row["products"][f"{one} x {other}"])

    plain = products(_FIRST, _FIRST)
    times = [page.interval(ratio_of_snr(products(arm, arm), plain), 2) for arm in arms]
    angle = cosine(plain, products("FGO", "FGO"), products(_FIRST, "FGO"))
    return [
        str(row["tests"] or "all"),
        str(row["seed"]),
        f"{100 * row['solved']:.0f}",
        f"{100 * row['executed']:.0f}",
        f"{1 / row['executed']:.2f}",
        f"{snr(plain):.3f}",
        *times,
        f"{angle:.3f}",
    ]
