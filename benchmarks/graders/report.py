"""The results of the conformance suite as a page."""

from __future__ import annotations

import collections
from typing import Any

__all__ = ["OUTCOMES", "as_markdown"]

OUTCOMES = ("ok", "false reject", "false accept", "host effect", "crash", "n/a")
_MARKS = {
    "ok": "ok",
    "false reject": "**rejects**",
    "false accept": "**accepts**",
    "host effect": "**effect**",
    "crash": "**crash**",
    "n/a": "",
}


def _summary(content: dict[str, Any]) -> list[str]:
    names = list(content["graders"])
    counts: dict[str, collections.Counter[tuple[str, str]]] = {
        name: collections.Counter(
            (case["kind"], case["said"][name]["outcome"]) for case in content["cases"]
        )
        for name in names
    }
    lines = [
        "| grader | version | honest rejected | others accepted | host effects | crashes |",
        "|---|---|---|---|---|---|",
    ]
    for name in names:
        seen = counts[name]
        asked = {
            kind: sum(n for (k, o), n in seen.items() if k == kind and o != "n/a")
            for kind in ("accept", "reject")
        }

        def total(outcome: str, seen: collections.Counter[tuple[str, str]] = seen) -> int:
            return seen["accept", outcome] + seen["reject", outcome]

        lines.append(
            f"| {name} | {content['graders'][name]['version']} "
            f"| {total('false reject')} of {asked['accept']} "
            f"| {total('false accept')} of {asked['reject']} "
            f"| {total('host effect')} | {total('crash')} |"
        )
    return lines


def as_markdown(content: dict[str, Any]) -> str:
    """A page: summary for the README, remarks, one row for each case."""
    settings, names = content["settings"], list(content["graders"])
    lines = ["# Conformance of graders", "", *_summary(content), ""]
    lines += [
        f"`{settings['command']}`, {settings['date']}, Python {settings['python']}, Linux "
        f"{settings['kernel']}, {settings['cpus']} CPUs. {len(content['cases'])} cases; a grader "
        "is asked those that its interface can express.",
        "",
        "*Host effects*: programs that changed a file outside, left a process, connected, used "
        "more than 1 GiB or read a secret. *Crashes*: the grader died or gave no verdict in 60 s. "
        "All graders, codegym too, ran in the same containment (namespaces, no root, 4 GiB of "
        "address space a process, 80 processes), which stops some attacks that they do not.",
        "",
        "## Graders",
        "",
    ]
    for name, grader in content["graders"].items():
        remark = f"; {grader['remark']}" if grader["remark"] else ""
        lines.append(f"- {name}: `{grader['function']}`, {grader['source']}{remark}.")
    lines += ["", "## Cases", "", f"| case | must | {' | '.join(names)} |"]
    lines.append("|---" * (len(names) + 2) + "|")
    for case in content["cases"]:
        marks = " | ".join(_MARKS[case["said"][name]["outcome"]] for name in names)
        title = case["name"].replace("|", "\\|")
        lines.append(f"| {title} | {case['kind']} | {marks} |")
    return "\n".join(lines) + "\n"
