"""`codegym grade`: are these programs right? pass@k of samples in the formats of the field."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import tyro

from codegym.commands import report
from codegym.commands.console import Console
from codegym.commands.options import SourceOptions
from codegym.commands.results import ResultsFile, results_path
from codegym.commands.running import Tally, grade_samples
from codegym.commands.samples.files import open_samples
from codegym.commands.samples.matching import Matcher
from codegym.commands.samples.sample import Sample
from codegym.errors import DataFormatError

__all__ = ["Args", "grade_all", "run"]

_AT_ONCE = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args(SourceOptions):
    """Grades samples of human-eval, evalplus, LiveCodeBench, bigcode, verl, TRL or verifiers.

    Writes a result for each sample and a summary with pass@k beside them. The exit status is 0 if
    every row got a verdict, and 1 if some were left out, which are listed.
    """

    samples: Annotated[Path, tyro.conf.Positional]
    """file or folder of samples; its format is told by its content"""


def run(args: Args, console: Console) -> int:
    """The command.

    Args:
        args: The command line.
        console: Where it prints.

    Returns:
        0 if every row got a verdict, else 1.

    Raises:
        CodegymError: If the samples or the problems cannot be read, results are in the way, or
            this machine cannot run programs.
    """
    tally = grade_all(args, args.samples, console)
    return 0 if tally.is_whole else 1


def grade_all(
    args: SourceOptions,
    samples: Path,
    console: Console,
    *,
    compare: Callable[[Tally, ResultsFile], dict[str, Any]] | None = None,
    old: Callable[[Sample], bool | None] | None = None,
    more: dict[str, object] | None = None,
) -> Tally:
    """Grades a file or folder of samples and writes results and summary.

    Args:
        args: Source, limits, and what is to become of results that are there.
        samples: What is graded.
        console: Where progress and JSON go.
        compare: Says what is to be added to the summary of an older grader; it may show more.
        old: What an older grader says of a sample; None: there is none.
        more: Further settings that results depend on.

    Returns:
        What became of the samples.
    """
    files = open_samples(samples)
    problems = args.problems()
    for file in files:
        if file.positions is not None and file.positions > len(problems):
            raise DataFormatError(
                f"{file.path} has programs for {file.positions} problems, told by their positions "
                f"only, and {args.source!r} has {len(problems)}: it is of another source or split, "
                "whose positions mean other problems."
            )
    out = args.out or results_path(samples)
    settings = args.settings(samples) | (more or {})
    for file in files[:1]:
        console.print(f"{samples}: {file.format.name}" + _and_more(len(files)))
    with (
        ResultsFile(
            out,
            settings,
            inputs=[path for file in files for path in file.paths],
            resume=args.resume,
            overwrite=args.overwrite,
        ) as results,
        args.executor() as executor,
        args.grader(executor) as grader,
        console.progress("grading") as progress,
    ):
        tally = grade_samples(
            (sample for file in files for sample in file),
            problems,
            Matcher(problems, repr(args.source)),
            grader,
            results,
            window=_AT_ONCE * executor.workers,
            old=old,
            progress=progress,
        )
        found = report.summary(tally, problems=len(problems), ks=args.k)
        report.show(console, tally, found)
        if compare is not None:
            found |= compare(tally, results)
        results.finish(found)
    console.print(f"results: {out}\nsummary: {results.summary_path}")
    console.json({"results": str(out), "summary": str(results.summary_path), **found})
    return tally


def _and_more(files: int) -> str:
    return f", {files} files" if files > 1 else ""
