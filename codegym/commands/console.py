"""What a command shows: tables or one JSON object on standard output, progress on standard error.

Text of other people (programs, ids, messages) is printed as it is: no word of it is markup.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import rich.console
import rich.progress
from rich.table import Table
from rich.text import Text

__all__ = ["Console"]

_WIDTH_OF_FILES = 132


class Console:
    """Where a command prints.

    Args:
        as_json: Print one JSON object at the end, and nothing else on standard output.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        # A file or pipe has no width of its own; 80 columns would cut what a terminal shows.
        self._out = rich.console.Console(
            highlight=False, width=None if sys.stdout.isatty() else _WIDTH_OF_FILES
        )
        self._err = rich.console.Console(stderr=True, highlight=False)

    def print(self, text: str) -> None:
        """Prints lines for humans; nothing where JSON was asked for."""
        if not self.as_json:
            self._out.print(Text(text), soft_wrap=True)

    def ansi(self, text: str) -> None:
        """Prints text with the escapes of a terminal, which only a terminal gets."""
        if not self.as_json:
            self._out.print(Text.from_ansi(text), soft_wrap=True)

    def table(
        self,
        title: str,
        columns: Sequence[str],
        rows: Iterable[Sequence[object]],
        *,
        right: int = 0,
        head: bool = True,
    ) -> None:
        """Prints a table for humans; nothing where JSON was asked for.

        Args:
            title: Of the table.
            columns: Their names.
            rows: Their cells.
            right: How many columns at the end hold numbers.
            head: Whether to show the names of the columns.
        """
        if self.as_json:
            return
        self._out.print(Text(title, style="bold"), soft_wrap=True)
        table = Table(show_header=head)
        for number, name in enumerate(columns):
            is_number = number >= len(columns) - right
            table.add_column(Text(name), justify="right" if is_number else "left", overflow="fold")
        for row in rows:
            table.add_row(*(Text(str(cell)) for cell in row))
        self._out.print(table)

    def json(self, data: Any) -> None:
        """Prints the JSON object, where JSON was asked for."""
        if self.as_json:
            print(json.dumps(data, indent=1))

    @contextlib.contextmanager
    def progress(self, what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        """Shows how far a long work is, where somebody looks at standard error.

        Args:
            what: The work, in a word or two.
            total: How much there is to do; None: not known.

        Yields:
            A function that is called with how much is done.
        """
        columns = (
            rich.progress.TextColumn("{task.description}", markup=False),
            rich.progress.BarColumn(),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TimeElapsedColumn(),
        )
        bar = rich.progress.Progress(
            *columns, console=self._err, transient=True, disable=not self._err.is_terminal
        )
        with bar:
            task = bar.add_task(what, total=total)
            yield lambda done: bar.update(task, completed=done)
