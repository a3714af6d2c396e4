"""`codegym eval`: a model writes programs, and they are graded as `codegym grade` does it."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from codegym.commands.console import Console
from codegym.commands.grade import grade_all
from codegym.commands.options import SourceOptions
from codegym.commands.results import cut_off_half_a_line, refuse_inputs, results_path
from codegym.commands.writers.endpoint import Endpoint
from codegym.commands.writers.local_model import LocalModel
from codegym.commands.writers.writer import Failed, Sampling, Wanted, Writer
from codegym.errors import ConfigurationError, DataFormatError, GenerationError
from codegym.problems import ProblemSet

__all__ = ["Args", "run"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args(SourceOptions):
    """Lets a model write programs for the problems of a source, and grades them.

    What is written is kept beside the results and is never asked for twice: --resume goes on with
    both. The exit status is 0 if every program that was wanted was written and got a verdict.
    """

    model: str
    """Hugging Face name or folder of a model; or with --endpoint, its name there"""
    endpoint: str | None = None
    """address of a chat interface, such as http://localhost:8000/v1; key: $OPENAI_API_KEY"""
    samples: int = 1
    """programs a problem"""
    temperature: float = 0.0
    """0 is greedy"""
    max_new_tokens: int = 1024
    """the most tokens of an answer"""
    seed: int = 0
    """of the sampler"""
    limit: int | None = None
    """only so many problems"""
    at_once: int = 8
    """requests to the endpoint at a time"""
    device: str | None = None
    """where a model on this machine computes; default: a GPU if there is one"""
    written: Path | None = None
    """file of what the model writes; default: MODEL-SOURCE.jsonl in this folder"""

    def problems(self) -> ProblemSet:
        """The problems of the source, or the first of them."""
        problems = super().problems()
        return problems if self.limit is None else problems.take(self.limit)


def run(args: Args, console: Console) -> int:
    """The command.

    Args:
        args: The command line.
        console: Where it prints.

    Returns:
        0 if every program was written and graded, else 1.

    Raises:
        GenerationError: If the model cannot be had; what it wrote until then is kept.
        CodegymError: As `codegym grade` does.
    """
    if args.samples < 1:
        raise ConfigurationError(f"samples must be 1 or more, got {args.samples}.")
    if args.temperature == 0 and args.samples > 1:
        raise ConfigurationError(
            f"samples={args.samples} at temperature 0 are the same program. Raise --temperature."
        )
    sampling = Sampling(args.temperature, args.max_new_tokens, args.seed)
    path = args.written or Path(f"{_plain(args.model)}-{_plain(args.source)}.jsonl")
    made_by = {"model": args.model, **dataclasses.asdict(sampling)}
    problems = args.problems()
    there = _earlier(args, path, made_by)
    wanted = [
        Wanted(problem, sample)
        for problem, sample in itertools.product(problems, range(args.samples))
        if (problem.id, sample) not in there
    ]
    refuse_inputs([path], [args.out or results_path(path)])
    failed = _write(args, sampling, wanted, path, made_by, console) if wanted else []
    if failed and path.stat().st_size == 0:
        path.unlink()
        raise GenerationError(
            f"Nothing was written for any of {len(failed)} programs: {failed[0].reason}"
        )
    for one in failed[:20]:
        console.print(f"not written: {one.wanted.problem.id}: {one.reason}")
    tally = grade_all(args, path, console, compare=lambda *_: {"not_written": _told(failed)})
    return 0 if tally.is_whole and not failed else 1


def _earlier(args: Args, path: Path, made_by: dict[str, Any]) -> set[tuple[str, int]]:
    """Which programs an earlier run has written, if this one goes on with it."""
    out = args.out or results_path(path)
    if not args.resume:
        for there in (path, out):
            if there.exists() and not args.overwrite:
                raise ConfigurationError(
                    f"{there} is there already. Go on with --resume, replace it with --overwrite, "
                    "or name another file with --written and --out."
                )
        return set()
    if not path.exists():
        return set()
    cut_off_half_a_line(path)
    return set(_written(path, made_by))


def _written(path: Path, made_by: dict[str, Any]) -> Iterator[tuple[str, int]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                row = json.loads(line)
                key = (row.get("task_id") or row["problem_id"], row["sample"])
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
                raise DataFormatError(
                    f"{path}, line {number}, was not written by this command ({error!r}). Begin "
                    "anew with --overwrite, or name another file with --written."
                ) from error
            for name, value in made_by.items():
                if row.get(name) != value:
                    raise ConfigurationError(
                        f"{path} was made with other settings: {name} was {row.get(name)!r} and is "
                        f"{value!r}. Give the same, begin anew with --overwrite, or name another "
                        "file with --written."
                    )
            yield key


def _write(
    args: Args,
    sampling: Sampling,
    wanted: list[Wanted],
    path: Path,
    made_by: dict[str, Any],
    console: Console,
) -> list[Failed]:
    """Lets the model write, appends each program as it comes, and says what was not written."""
    failed: list[Failed] = []
    writer = _writer(args, sampling)  # before anything is overwritten: there may be no such model
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        path.open("a" if args.resume else "w", encoding="utf-8") as file,
        console.progress("writing", len(wanted)) as progress,
    ):
        for done, row in enumerate(writer.write(wanted), 1):
            if isinstance(row, Failed):
                failed.append(row)
            else:
                file.write(json.dumps({**row, **made_by}) + "\n")
                file.flush()
            progress(done)
    return failed


def _writer(args: Args, sampling: Sampling) -> Writer:
    if args.endpoint is None:
        return LocalModel(args.model, sampling, device=args.device)
    key = os.environ.get("OPENAI_API_KEY")
    return Endpoint(args.endpoint, args.model, sampling, key=key, at_once=args.at_once)


def _told(failed: list[Failed]) -> list[dict[str, object]]:
    return [
        {"problem_id": one.wanted.problem.id, "sample": one.wanted.sample, "reason": one.reason}
        for one in failed
    ]


def _plain(name: str) -> str:
    """A name as part of a file's name."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "model"
