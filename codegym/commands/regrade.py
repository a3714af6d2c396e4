"""`codegym regrade`: where do an older grader and this one differ? On rollouts with a score."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import tyro

from codegym.commands.console import Console
from codegym.commands.grade import grade_all
from codegym.commands.options import SourceOptions
from codegym.commands.results import ResultsFile, results_path
from codegym.commands.running import Tally
from codegym.commands.samples.files import SampleFile, open_samples
from codegym.commands.samples.sample import Sample
from codegym.errors import ConfigurationError, DataFormatError, UnknownNameError

__all__ = ["Args", "run"]

_TRIED = 100
_LISTED = 10
_TITLE = "# Where the graders differ"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args(SourceOptions):
    """Grades rollouts that carry a score already, and reports where the graders differ.

    Reads what `codegym grade` reads, where it has a score. Writes results, a summary, and a page
    with each difference: the program, the test, and the reason. The exit status is 0 if the graders
    agree on every row, and 1 if they differ or rows were left out.
    """

    rollouts: Annotated[Path, tyro.conf.Positional]
    """folder or file of rollouts"""
    score: str | None = None
    """column of the older grader's score; needed where there are several"""
    passes_at: float = 1.0
    """the older grader took a program for right if its score is this or more"""


def run(args: Args, console: Console) -> int:
    """The command.

    Args:
        args: The command line.
        console: Where it prints.

    Returns:
        0 if the graders agree on every row, else 1.

    Raises:
        DataFormatError: If the rollouts have no score, or several and none was named.
        UnknownNameError: If they have no score of the name that was given.
        CodegymError: As `codegym grade` does.
    """
    column = _column(args)
    args = dataclasses.replace(args, out=args.out or results_path(args.rollouts, "regrade"))
    assert args.out is not None
    page = args.out.with_suffix(".md")
    if page.exists() and not page.read_text("utf-8", "replace").startswith(_TITLE):
        raise ConfigurationError(
            f"{page}, where the differences belong, is somebody else's file. Name another file of "
            "results with --out."
        )

    def old(sample: Sample) -> bool | None:
        score = sample.scores.get(column)
        return None if score is None else score >= args.passes_at

    def compare(tally: Tally, results: ResultsFile) -> dict[str, Any]:
        with page.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in _page(args, column, tally, results))
        _show(console, column, tally, results)
        console.print(f"differences: {page}")
        return {
            "score": column,
            "compared": _table(tally),
            "without_old_score": tally.unscored,
            "differences": tally.differences,
            "page": str(page),
        }

    settings: dict[str, object] = {"score": column, "passes_at": args.passes_at}
    tally = grade_all(args, args.rollouts, console, compare=compare, old=old, more=settings)
    return 0 if tally.is_whole and not tally.differences else 1


def _column(args: Args) -> str:
    """The column of the older grader, which must not be guessed."""
    files = open_samples(args.rollouts)
    columns: dict[str, None] = {}
    for file in files:
        columns |= dict.fromkeys(_columns_of(file))
    if args.score is not None:
        if args.score not in columns:
            raise UnknownNameError("column of a score", args.score, columns)
        return args.score
    usual = {file.format.score for file in files}
    if len(usual) == 1 and (name := usual.pop()) is not None and name in columns:
        return name
    if len(columns) == 1:
        return next(iter(columns))
    found = (
        f"{len(columns)} columns that may be a grader's: {', '.join(map(repr, columns))}. Say "
        "which one with --score NAME"
        if columns
        else "no score. For samples without one use `codegym grade`"
    )
    raise DataFormatError(f"{args.rollouts} ({files[0].format.name}) has {found}.")


def _columns_of(file: SampleFile) -> Iterator[str]:
    """The names of the scores that the first samples of a file have."""
    for number, sample in enumerate(file):
        if number >= _TRIED:
            return
        if isinstance(sample, Sample):
            yield from sample.scores


def _table(tally: Tally) -> dict[str, int]:
    return {
        "both_right": tally.compared[True, True],
        "both_wrong": tally.compared[False, False],
        "only_old_right": tally.compared[True, False],
        "only_new_right": tally.compared[False, True],
    }


def _show(console: Console, column: str, tally: Tally, results: ResultsFile) -> None:
    console.table(
        f"the older grader ({column}) and codegym",
        ("", "codegym: right", "codegym: wrong"),
        (
            ("older: right", tally.compared[True, True], tally.compared[True, False]),
            ("older: wrong", tally.compared[False, True], tally.compared[False, False]),
        ),
        right=2,
    )
    if tally.unscored:
        console.print(f"{tally.unscored} rows have no score of the older grader")
    if not tally.differences or console.as_json:
        return
    rows: list[tuple[str, ...]] = []
    for row in _differing(results):
        if len(rows) == _LISTED:
            break
        rows.append((row["where"], row["problem_id"], _said(row["old"]), *_reason(row)))
    title = f"the first {len(rows)} of {tally.differences} differences"
    console.table(title, ("where", "problem", "older", "codegym", "test", "reason"), rows)


def _page(args: Args, column: str, tally: Tally, results: ResultsFile) -> Iterator[str]:
    """A Markdown page with each difference."""
    yield f"{_TITLE} on {args.rollouts.name}"
    yield ""
    yield f"| `{column}` | codegym: right | codegym: wrong |"
    yield "|---|---|---|"
    yield f"| right | {tally.compared[True, True]} | {tally.compared[True, False]} |"
    yield f"| wrong | {tally.compared[False, True]} | {tally.compared[False, False]} |"
    yield ""
    yield (
        f"Right is a score of {args.passes_at:g} or more. {tally.unscored} rows have no score; "
        f"{len(tally.unmatched) + len(tally.unreadable) + len(tally.faults)} were left out."
    )
    for row in _differing(results):
        verdict, test, reason = _reason(row)
        yield ""
        yield f"## {row['where']}: `{row['problem_id']}`"
        yield ""
        yield f"- older grader: {_said(row['old'])}"
        yield f"- codegym: {verdict}, {row['tests_passed']} of {row['tests_total']} tests passed"
        if test:
            yield f"- test {row['failing_test']['number']}: `{_in_line(test)}`"
        if reason:
            yield f"- reason: {_in_line(reason)}"
        yield ""
        program = row["program"]
        if program is None:
            yield "There is no program in the answer."
            continue
        fence = "`" * max(3, 1 + _longest_run(program))
        yield f"{fence}python"
        yield program.rstrip("\n").encode("utf-8", "backslashreplace").decode()
        yield fence


def _differing(results: ResultsFile) -> Iterator[dict[str, Any]]:
    return (row for row in results.rows() if row.get("differs"))


def _said(old: bool) -> str:
    return "right" if old else "wrong"


def _reason(row: dict[str, Any]) -> tuple[str, str, str]:
    """The verdict, the test that failed, and why it did."""
    failed = row["failing_test"]
    if failed is None:
        message = f"all {row['tests_total']} tests passed" if row["passed"] else ""
        return row["verdict"], "", message
    said = [failed["error_type"], failed["error_message"]]
    return row["verdict"], failed["test"], ": ".join(part for part in said if part)


def _in_line(text: str) -> str:
    return " ".join(text.split()).encode("utf-8", "backslashreplace").decode()


def _longest_run(text: str) -> int:
    longest = run_now = 0
    for character in text:
        run_now = run_now + 1 if character == "`" else 0
        longest = max(longest, run_now)
    return longest
