"""The results of the conformance suite as a page."""

from __future__ import annotations

import collections
from collections.abc import Mapping
from typing import Any

from benchmarks import page

__all__ = ["OUTCOMES", "lines"]

OUTCOMES = {
    "ok": "ok",
    "false reject": "**rejects**",
    "false accept": "**accepts**",
    "host effect": "**effect**",
    "crash": "**crash**",
    "n/a": "",
}
"""Every outcome, and its mark in the table of cases."""


def lines(results: Mapping[str, Any]) -> list[str]:
    """A page: summary, remarks, one row for each case."""
    graders, cases = results["graders"], results["cases"]
    asked = (
        f"Which programs does a grader judge as it must? {len(cases)} named cases; a grader is "
        f"asked those that its interface can express. {results['date']}."
    )
    remarks = [
        f"- {name}: `{grader['function']}`, {grader['source']}"
        + (f"; {grader['remark']}." if grader["remark"] else ".")
        for name, grader in graders.items()
    ]
    rows = (
        [case["name"], case["kind"], *(OUTCOMES[case["said"][n]["outcome"]] for n in graders)]
        for case in cases
    )
    return [
        *page.head("Conformance of graders", asked, results),
        *page.table(
            ("grader", "version", "honest rejected", "others accepted", "host effects", "crashes"),
            ([name, grader["version"], *_counts(cases, name)] for name, grader in graders.items()),
        ),
        "",
        "*Host effects*: programs that changed a file outside, left a process, connected, used "
        "more than 1 GiB or read a secret. *Crashes*: the grader died or gave no verdict in 60 s. "
        "All graders, codegym too, ran in the same containment (namespaces, no root, 4 GiB of "
        "address space a process, 80 processes), which stops some attacks that they do not.",
        "",
        "## Graders",
        "",
        *remarks,
        "",
        "## Cases",
        "",
        *page.table(("case", "must", *graders), rows),
    ]


def _counts(cases: list[dict[str, Any]], name: str) -> list[object]:
    seen = collections.Counter((case["kind"], case["said"][name]["outcome"]) for case in cases)
    asked = {
        kind: sum(n for (k, outcome), n in seen.items() if k == kind and outcome != "n/a")
        for kind in ("accept", "reject")
    }
    totals = {outcome: seen["accept", outcome] + seen["reject", outcome] for outcome in OUTCOMES}
    return [
        f"{totals['false reject']} of {asked['accept']}",
        f"{totals['false accept']} of {asked['reject']}",
        totals["host effect"],
        totals["crash"],
    ]
