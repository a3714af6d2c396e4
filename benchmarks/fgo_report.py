"""The results of `benchmarks/fgo.py` as a page, and the statistics of gradients that it needs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from benchmarks import page

__all__ = [
    "ARMS",
    "Arm",
    "Products",
    "cosine",
    "lines",
    "mean_ratio",
    "ratio_of_noise",
    "ratio_of_signal",
    "ratio_of_snr",
    "snr",
]

Numbers = npt.NDArray[np.float64]
Row = Mapping[str, Any]


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
_PAIRS = (("FGO", "random mask of the same share"), ("FGO, whitened over the mask", "FGO"))
_COMPARED = ("FGO / random mask", "whitened / FGO")


class Products(NamedTuple):
    """Inner products of the gradients of n batches in one arm, or in two.

    Attributes:
        own: (n,) of each batch's gradients with each other.
        others: (n,) of each batch's gradients with those of all other batches, added up.
    """

    own: Numbers
    others: Numbers

    @classmethod
    def of(cls, one: Numbers, other: Numbers) -> Products:
        """From (n, parameters) gradients of both arms."""
        every = one @ other.T
        own = np.diagonal(every)
        return cls(own, (every.sum(0) + every.sum(1)) / 2.0 - own)

    def sums(self) -> tuple[int, Any, Any]:
        """Number of batches, and the sums over all of them of both fields."""
        return len(self.own), self.own.sum(), self.others.sum()

    def sums_without(self) -> tuple[int, Numbers, Numbers]:
        """The same without batch i, for each i: (n,) each."""
        n, own, others = self.sums()
        return (
            n - 1,
            own - self.own,
            others - 2.0 * self.others,
        )  # its own pairs, and theirs with it


def snr(products: Products) -> float:
    """(signal / noise)^2 of a batch's gradient, unbiased in both parts.

    The mean of ``g_i . g_j`` over pairs of different batches is the squared length of the expected
    gradient; the mean of ``|g_i|^2`` is that plus the noise.
    """
    return float(_snr(*products.sums()))


def _snr(n: int, own: Any, others: Any) -> Any:
    return _signal(n, others) / _noise(n, own, others)


def _noise(n: int, own: Any, others: Any) -> Any:
    return own / n - _signal(n, others)


def _signal(n: int, others: Any) -> Any:
    return others / (n * (n - 1))


class Logarithm(NamedTuple):
    """Of a ratio: an estimate, its standard error, and the degrees of freedom of that."""

    value: float
    error: float
    freedom: int

    def times(self) -> tuple[float, float, float]:
        """The ratio itself, with the ends of its 95 % interval; NaN where there is none."""
        half = float(stats.t.ppf(0.975, self.freedom)) * self.error
        low, middle, high = (math.exp(self.value + sign * half) for sign in (-1, 0, 1))
        return middle, low, high


def ratio_of_snr(one: Products, other: Products) -> Logarithm:
    """How many times higher (signal / noise)^2 is of one than of the other, on the same batches.

    Returns:
        Its logarithm, with an error by the jackknife over batches; NaN where a signal was not
        above 0.
    """
    return _ratio_of(_snr, one, other)


def ratio_of_signal(one: Products, other: Products) -> Logarithm:
    """The same of the squared signals alone."""
    return _ratio_of(lambda n, _, others: _signal(n, others), one, other)


def ratio_of_noise(one: Products, other: Products) -> Logarithm:
    """The same of the squared noises alone."""
    return _ratio_of(_noise, one, other)


def _ratio_of(of: Callable[[int, Any, Any], Any], one: Products, other: Products) -> Logarithm:
    n = len(one.own)
    with np.errstate(invalid="ignore", divide="ignore"):
        whole = float(np.log(of(*one.sums())) - np.log(of(*other.sums())))
        left_out = np.log(of(*one.sums_without())) - np.log(of(*other.sums_without()))
    error = math.sqrt((n - 1) / n * float(((left_out - left_out.mean()) ** 2).sum()))
    return Logarithm(whole, error, n - 1)


def mean_ratio(each: Sequence[Logarithm]) -> Logarithm:
    """The geometric mean of ratios of different policies; the error is that of these policies."""
    n = len(each)
    error = math.sqrt(sum(one.error**2 for one in each)) / n
    return Logarithm(sum(one.value for one in each) / n, error, sum(one.freedom for one in each))


def cosine(one: Products, other: Products, between: Products) -> float:
    """Of the angle between the expected gradients of two arms.

    Args:
        one: Of one arm.
        other: Of the other.
        between: Of both.
    """
    found = (_signal(n, others) for n, _, others in (one.sums(), other.sums(), between.sums()))
    of_one, of_other, of_both = map(float, found)
    own = of_one * of_other
    return of_both / math.sqrt(own) if own > 0 else math.nan


def lines(results: Row) -> Iterator[str]:
    """The page, from ``command``, ``arguments`` and ``rows``."""
    args, rows = results["arguments"], results["rows"]
    asked = (
        "What does a mask of executed tokens (FGO) do to the policy gradient? What was expected "
        "was written down before the runs (docs/results/plans/fgo.md)."
    )
    yield from page.head("Executed tokens: the gradient", asked, results)
    yield from page.set_up(_set_up(args))
    yield (
        "*Times* says how many times higher SNR^2 is than without a mask: learning needs as many "
        "times fewer episodes for the same certainty. If unexecuted tokens have no signal and as "
        "much noise as others, it is 1 / executed share. *None*: the estimate of the signal, with "
        "all batches or without one of them, is not above 0. *Cosine* is that of the expected "
        "gradients with and without FGO; what is above 1 is noise."
    )
    yield ""
    phases = {"sft": "After SFT", "ppo": f"After {args['iterations']} iterations"}
    arms = [arm for arm in ARMS if arm != _FIRST]
    several = [group for group in _same_tests(rows) if len(group) > 1]
    if several:
        yield from ("## Both policies of each kind", "")
        yield (
            "Geometric means. *Signal* and *noise*: what FGO keeps of the squared signal and of "
            "the variance of the summed gradient; their quotient is *times*. *FGO / random mask* "
            "and *whitened / FGO* are ratios of two arms on the same batches, and surer than their "
            "intervals beside each other suggest. *None*, of several seeds, says that there is no "
            "estimate for one at least. The intervals speak of other batches of these policies, "
            "and not of other policies."
        )
        yield ""
        shares = ("policies", "tests", "executed, %", "1 / executed")
        yield from page.table(
            (*shares, *(f"{arm}: times" for arm in arms), "FGO: signal", "FGO: noise", *_COMPARED),
            (_mean_cells(group, arms, phases) for group in several),
        )
        yield ""
    for phase, title in phases.items():
        mine = [row for row in rows if row["phase"] == phase]
        if not mine:
            continue
        yield from (f"## {title}", "")
        columns = ("tests", "seed", "solved, %", "executed, %", "1 / executed", "SNR^2, no mask")
        yield from page.table(
            (*columns, *(f"{arm}: times" for arm in arms), *_COMPARED, "FGO: cosine"),
            (_cells(row, arms) for row in mine),
        )
        yield ""


def _set_up(args: Row) -> dict[str, str]:
    return {
        "problems": f"CodeGen-Mini, all levels: {args['problems']:,} for training, with some of "
        "their tests each",
        "policies": f"after SFT, and after {args['iterations']} iterations of PPO as in `make "
        "train`, with FGO and all tests, at a learning rate that does not fall; they stay as they "
        "are",
        "batches": f"{args['batches']} of {args['episodes']} programs for each policy and number "
        "of tests, from uniform start states",
        "measured": "SNR^2 of the REINFORCE gradient of a batch: the squared length of the "
        "expected gradient over the variance of a batch's",
        "seeds": ", ".join(map(str, args["seeds"])),
        "intervals": "95 %, jackknife over batches: of these policies, and not of others",
    }


def _same_tests(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Rows of different seeds: of the same kind of policy, with as many tests."""

    def kind(row: Row) -> tuple[str, int]:
        return row["phase"], row["tests"]

    for one in dict.fromkeys(map(kind, rows)):
        yield [row for row in rows if kind(row) == one]


def _mean_cells(rows: Sequence[Row], arms: Sequence[str], phases: Mapping[str, str]) -> list[str]:
    executed = float(np.mean([row["executed"] for row in rows]))
    times = [_times(mean_ratio([_ratio(row, arm) for row in rows])) for arm in arms]
    for kept in (ratio_of_signal, ratio_of_noise):
        # A loss is a mean over its tokens; that of fewer tokens is larger, signal and noise alike.
        scaled = ((_ratio(row, "FGO", kept), 2 * math.log(row["executed"])) for row in rows)
        found = [one._replace(value=one.value + scale) for one, scale in scaled]
        times.append(_times(mean_ratio(found)))
    for one, other in _PAIRS:
        times.append(_times(mean_ratio([_ratio(row, one, beside=other) for row in rows])))
    tests = str(rows[0]["tests"] or "all")
    share = f"{100 * executed:.0f}"
    title = phases[rows[0]["phase"]].replace("After", "after")
    return [title, tests, share, f"{1 / executed:.2f}", *times]


def _cells(row: Row, arms: Sequence[str]) -> list[str]:
    plain = _products(row, _FIRST, _FIRST)
    angle = cosine(plain, _products(row, "FGO", "FGO"), _products(row, _FIRST, "FGO"))
    return [
        str(row["tests"] or "all"),
        str(row["seed"]),
        f"{100 * row['solved']:.0f}",
        f"{100 * row['executed']:.0f}",
        f"{1 / row['executed']:.2f}",
        f"{snr(plain):.3f}",
        *(_times(_ratio(row, arm)) for arm in arms),
        *(_times(_ratio(row, one, beside=other)) for one, other in _PAIRS),
        f"{angle:.3f}",
    ]


def _products(row: Row, one: str, other: str) -> Products:
    return Products(*map(np.array, row["products"][f"{one} x {other}"]))


def _ratio(
    row: Row,
    arm: str,
    of: Callable[[Products, Products], Logarithm] = ratio_of_snr,
    *,
    beside: str = _FIRST,
) -> Logarithm:
    return of(_products(row, arm, arm), _products(row, beside, beside))


def _times(found: Logarithm) -> str:
    times = found.times()
    return page.interval(times, 2) if all(map(math.isfinite, times)) else "none"
