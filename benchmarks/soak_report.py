"""The results of a soak: passed or failed, a page, and curves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmarks import footprint, page

__all__ = ["draw", "lines", "passed"]


def passed(results: Mapping[str, Any]) -> bool:
    """Whether nothing grew, and no grade changed but for the way in which an attack was stopped."""
    grown = [one["name"] for one in results["growth"] if one["verdict"] in ("fail", "too wide")]
    changed = [one for one in results["changes"] if not _stopped_both_times(one)]
    return not grown and not changed and results["host_untouched"]


def _stopped_both_times(change: Mapping[str, Any]) -> bool:
    """Whether this attack failed as many tests as before, but reached another limit first.

    One that takes memory and time without end reaches either limit first, as the machine is busy.
    """
    (verdict, tests, _), (first, first_tests, _) = change["now"], change["first"]
    hostile = change["program"].startswith(("attack:", "cheat:"))
    return hostile and "accepted" not in (verdict, first) and bool(tests == first_tests)


def lines(results: Mapping[str, Any]) -> Iterator[str]:
    """The page."""
    settings, limits, large = results["settings"], results["limits"]["hostile"], results["large"]
    stopped = [one for one in results["changes"] if _stopped_both_times(one)]
    changed = [one for one in results["changes"] if one not in stopped]
    kinds = ", ".join(f"{count} {kind}" for kind, count in results["programs"].items())
    asked = (
        "Does a long-lived pool grow, or change its mind? Thousands of grades, a tenth of them "
        "hostile, through one pool."
    )
    yield from page.head("Soak of a long-lived pool", asked, results)
    yield from (
        f"**{'Passed' if passed(results) else 'Failed'}.** {settings['grades']} grades, "
        f"{results['hostile_grades']} of them hostile, {results['grades_a_second']:.0f} a second, "
        f"through one pool of {settings['workers']} workers. {len(changed)} grades differed from "
        "the first one of the same program (verdict, tests passed, type of the error), and "
        f"{len(stopped)} attacks were stopped in another way than the first time, which is not "
        "judged: it depends on how busy the machine is. "
        f"{results['workers_replaced']} workers had to be replaced; at most "
        f"{results['most_processes_while_busy']} processes were seen below the parent. The host's "
        f"folder was {'left alone' if results['host_untouched'] else 'CHANGED'}.",
        "",
        f"Programs by kind: {kinds}. Limits of hostile programs: {limits['cpu_seconds']:g} s of "
        f"CPU time, {limits['wall_seconds']:g} s on the clock, {limits['memory_bytes'] >> 20} MiB.",
        "",
        f"Samples are taken at rest, after every {settings['every']} grades. Growth: least "
        "squares over the second half of them, with 95 % intervals. Memory passes if the upper "
        f"end is at most {settings['most']:g} KiB; a count if no later sample is above the "
        "largest of the first half.",
        "",
        "![curves](soak.png)",
        "",
    )
    yield from page.table(
        ("", "largest, first half", "last", "growth in 1,000 grades", ""),
        map(_growth, results["growth"]),
    )
    private = [footprint.NAMES.index(f"{whose} private") for whose in ("parent", "workers")]
    told = [
        " and ".join(f"{sample[index] / footprint.KIB:.0f}" for index in private)
        for sample in results["around_large"]
    ]
    yield from (
        "",
        f"Programs of more than {large['least'] >> 20} MiB, {large['times']} times each, "
        f"afterwards: {'; '.join(large['programs']) or 'none'}. Private memory of parent and "
        f"workers in MiB: {told[0]} before, {told[1]} right after them, "
        f"{told[2]} after small programs again.",
    )
    for title, changes in (
        ("Changed grades", changed),
        ("Attacks stopped in another way than the first time", stopped),
    ):
        yield from ("", f"{title}: {len(changes)}", *([""] if changes else []))
        for change in changes:
            yield (
                f"- grade {change['grade']}, {change['program']}: {_grade(change['first'])}, then "
                f"{_grade(change['now'])}"
            )
    yield from ("", f"Left out beforehand: {len(results['left_out'])}", "")
    reasons: dict[str, list[str]] = {}
    for name, reason in results["left_out"].items():
        reasons.setdefault(reason, []).append(name)
    yield from (f"- {reason}: {'; '.join(names)}" for reason, names in reasons.items())


def _growth(one: Mapping[str, Any]) -> list[str]:
    unit = " KiB" if one["name"] in footprint.MEMORY else ""
    slope = f"{one['slope']:+.2f} ({one['low']:+.2f} to {one['high']:+.2f}){unit}"
    ends = (f"{one[end]:.0f}{unit}" for end in ("first", "last"))
    return [one["name"], *ends, slope, one["verdict"]]


def draw(results: Mapping[str, Any]) -> Figure:
    """The curves: memory as its change since the first sample, and counts."""
    grades: NDArray[np.float64] = np.asarray(results["grades"])
    samples: NDArray[np.float64] = np.asarray(results["samples"])
    figure, (above, below) = plt.subplots(2, 1, figsize=(8, 8), sharex=True)
    for index, name in enumerate(footprint.NAMES):
        values = samples[:, index]
        if name in footprint.MEMORY:
            label = f"{name} ({values[0] / footprint.KIB:.0f} MiB at first)"
            above.plot(grades, (values - values[0]) / footprint.KIB, label=label, linewidth=1.2)
        else:
            # Dashes of their own: several counts are equal.
            dashes = (index, (3, 2 + index % 4))
            below.plot(grades, values, label=name, linewidth=1.6, linestyle=dashes)
    above.set_ylabel("change, MiB")
    below.set_ylabel("count")
    below.set_xlabel("grades")
    for axes in (above, below):
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=8, frameon=False)
        axes.grid(alpha=0.3)
    return figure


def _grade(told: Sequence[Any]) -> str:
    """A tuple as it was measured, or the list that it is in a JSON file."""
    verdict, passed, error = told
    return f"{verdict}, {passed} tests passed" + (f", {error}" if error else "")
