"""`codegym view`: rollouts and curves of a run as one HTML page that is read from the disk."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from codegym.commands.console import Console
from codegym.commands.options import Common
from codegym.commands.results import refuse_inputs
from codegym.commands.viewing.page import page, refuse_other_files, write_page
from codegym.commands.viewing.reading import Read, read_view
from codegym.commands.viewing.rollout import COLUMNS
from codegym.errors import ConfigurationError
from codegym.tokenization import Tokenizer, make_tokenizer

__all__ = ["Args", "run"]

_SUFFIXES = (".gz", ".jsonl", ".json", ".parquet")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args(Common):
    """Writes a page with the curves of a run, its rollouts, and what each token was worth.

    The page is one file, needs no server and no network, and is opened in a browser. The exit
    status is 0 if it shows all that was asked for, and 1 if rows were left out or a run has no
    rollouts.
    """

    run: Annotated[Path, tyro.conf.Positional]
    """folder of a run of ours, such as runs/train; or a file or folder of rollouts of ours, verl,
    TRL, verifiers, or of anything else that `codegym grade` reads"""
    out: Path | None = None
    """the page; default: view.html in a folder, NAME.view.html beside a file"""
    limit: int = 5_000
    """rollouts that are shown, at most, spread evenly over the source"""
    score: str | None = None
    """column of the score that is shown as the reward, where there are several"""
    tokenizer: str | None = None
    """"mini", "byte" or "hf:NAME", for sources that have ids of tokens and not their text"""


def run(args: Args, console: Console) -> int:
    """The command.

    Args:
        args: The command line.
        console: Where it prints.

    Returns:
        0 if the page shows all that was asked for, else 1.

    Raises:
        CodegymError: If there is nothing to show, or another file is where the page belongs.
    """
    if args.limit < 1:
        raise ConfigurationError(f"limit must be 1 or more, got {args.limit}.")
    out = args.out or _page_of(args.run)
    refuse_other_files(out)
    problem: str | None = None
    tokenizer: Tokenizer | None = None
    if args.tokenizer is not None:
        try:
            tokenizer = make_tokenizer(args.tokenizer)
        except ConfigurationError as error:
            problem = f"The tokenizer is not at hand, so text is shown: {error}"
    with console.progress("reading") as progress:
        read = read_view(
            args.run,
            limit=args.limit,
            score=args.score,
            tokenizer=tokenizer,
            progress=progress,
        )
    refuse_inputs((out,), read.inputs)
    view = read.view
    if problem is not None:
        view = dataclasses.replace(view, notes=[problem, *view.notes])
    text = page(view)
    write_page(text, out)
    console.print(view.source)
    for note in view.notes:
        console.print(f"- {note}")
    size = len(text.encode())
    console.print(f"page: {out} ({size / 1e6:.1f} MB); open it in a browser")
    console.json(
        {
            "page": str(out),
            "bytes": size,
            "rollouts": len(view.rollouts),
            "total": view.total,
            "charts": [chart.title for chart in view.charts],
            "columns": [
                column.name
                for column in COLUMNS
                if any(column.name in one.columns for one in view.rollouts)
            ],
            "notes": list(view.notes),
            "left_out": list(read.left_out),
        }
    )
    return 0 if _is_whole(read) and problem is None else 1


def _is_whole(read: Read) -> bool:
    return bool(read.view.rollouts) and not read.left_out


def _page_of(source: Path) -> Path:
    if source.is_dir():
        return source / "view.html"
    name = source.name
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    return source.with_name(f"{name}.view.html")
