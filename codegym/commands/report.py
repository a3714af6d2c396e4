"""What is told of graded samples: pass@k with intervals, verdicts, and what has none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from codegym.commands.console import Console
from codegym.commands.running import LeftOut, Tally
from codegym.grading import pass_at_k, wilson_interval

__all__ = ["pass_rates", "show", "summary"]

_USUAL = (1, 10, 100)
_LISTED = 20


def pass_rates(counts: Mapping[str, Sequence[int]], ks: Sequence[int] = ()) -> list[dict[str, Any]]:
    """pass@k over problems, with a 95 % Wilson interval over problems.

    Args:
        counts: Problem id to the numbers of its samples and of those that passed.
        ks: Which k; none: those of 1, 10 and 100 for which every problem has samples enough.

    Returns:
        For each k its rate and the interval's ends, or the reason why there is none.
    """
    if not counts:
        return []
    fewest = min(counts, key=lambda name: counts[name][0])
    most = counts[fewest][0]
    found: list[dict[str, Any]] = []
    for k in ks or [k for k in _USUAL if k <= most]:
        if k > most:
            reason = f"{fewest} has only {most} graded samples"
            found.append({"k": k, "rate": None, "reason": reason})
            continue
        rate = sum(pass_at_k(n, c, k) for n, c in counts.values()) / len(counts)
        low, high = wilson_interval(rate, len(counts))
        found.append({"k": k, "rate": rate, "low": low, "high": high})
    return found


def summary(tally: Tally, *, problems: int, ks: Sequence[int] = ()) -> dict[str, Any]:
    """Everything that is told, as JSON-able data.

    Args:
        tally: What became of the samples.
        problems: How many problems the source has.
        ks: Which pass@k.
    """
    found: dict[str, Any] = {
        "graded": tally.graded,
        "resumed": tally.resumed,
        "problems": problems,
        "problems_with_samples": len(tally.counts),
        "pass_at_k": pass_rates(tally.counts, ks),
        "interval": "95 % Wilson interval over the problems that have samples",
        "verdicts": dict(tally.verdicts.most_common()),
        "matched_by": dict(tally.matched_by.most_common()),
        "fenced": tally.fenced,
        "unmatched": _listed(tally.unmatched),
        "unreadable": _listed(tally.unreadable),
        "not_run": _listed(tally.faults),
        "counts": {name: {"samples": n, "passed": c} for name, (n, c) in tally.counts.items()},
    }
    return found


def show(console: Console, tally: Tally, found: Mapping[str, Any]) -> None:
    """Prints pass@k, the verdicts, and what has none.

    Args:
        console: Where to.
        tally: What became of the samples.
        found: Its summary.
    """
    console.print(
        f"{tally.graded} samples graded ({tally.resumed} of them before), of "
        f"{found['problems_with_samples']} of {found['problems']} problems; matched by "
        f"{', '.join(f'{by} ({n})' for by, n in tally.matched_by.most_common()) or 'nothing'}"
    )
    console.table(
        "pass@k in % (95 % Wilson interval over problems)",
        ("k", "pass@k", "from", "to"),
        (
            (r["k"], *_percent(r["rate"], r["low"], r["high"]))
            if r["rate"] is not None
            else (r["k"], "-", r["reason"], "")
            for r in found["pass_at_k"]
        ),
        right=4,
    )
    console.table(
        "verdicts",
        ("verdict", "samples", "%"),
        (
            (verdict, count, *_percent(count / tally.graded))
            for verdict, count in tally.verdicts.most_common()
        ),
        right=2,
    )
    if tally.fenced:
        console.print(
            f"{tally.fenced} samples hold a fence of Markdown (```) and do not compile: files of "
            "this kind hold code, and these look like answers of a chat model. Rows with `prompt` "
            "and `completion`, as TRL writes them, are read as answers."
        )
    _show_left_out(console, "samples of no known problem", tally.unmatched)
    _show_left_out(console, "rows that hold no sample", tally.unreadable)
    _show_left_out(console, "samples could not be run; --resume tries again", tally.faults)


def _percent(*rates: float) -> list[str]:
    return [f"{100 * rate:.1f}" for rate in rates]


def _listed(left_out: Iterable[LeftOut]) -> list[dict[str, str]]:
    return [{"where": one.where, "reason": one.reason} for one in left_out]


def _show_left_out(console: Console, what: str, left_out: Sequence[LeftOut]) -> None:
    if not left_out:
        return
    console.print(f"{what}: {len(left_out)}")
    for one in left_out[:_LISTED]:
        console.print(f"  {one.where}: {one.reason}")
    if len(left_out) > _LISTED:
        console.print(f"  and {len(left_out) - _LISTED} more, which the summary file lists")
