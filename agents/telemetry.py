"""What a run tells: TensorBoard scalars, the same numbers as JSONL, a progress bar, notes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from torch.utils.tensorboard import SummaryWriter
from transformers.utils.logging import disable_progress_bar

__all__ = ["RunLogger", "read_scalars"]

_SCALARS = "scalars.jsonl"


class RunLogger:
    """Writes to one folder and to the terminal. A context manager.

    Args:
        folder: Gets ``tensorboard/``, ``scalars.jsonl`` and ``log.txt``; made if it is not there.
        quiet: Nothing on the terminal.
        resume_at: Scalars of this step and later are dropped from ``scalars.jsonl``, so that a
            resumed run does not tell them twice.
    """

    def __init__(self, folder: Path, *, quiet: bool = False, resume_at: int | None = None) -> None:
        # Those of loading and saving weights would tear ours.
        disable_progress_bar()  # type: ignore[no-untyped-call]
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        kept = [] if resume_at is None else _lines_before(folder / _SCALARS, resume_at)
        self._scalars = (folder / _SCALARS).open("w")
        self._scalars.writelines(kept)
        self._text = (folder / "log.txt").open("w" if resume_at is None else "a")
        self._events = SummaryWriter(str(folder / "tensorboard"))
        self.console = Console(quiet=quiet)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            console=self.console,
            disable=quiet or not self.console.is_terminal,
            transient=True,
        )
        self._task: TaskID | None = None

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Records named numbers of a step.

        Args:
            step: Iteration.
            values: By name; those that are not finite are left out.
        """
        finite = {name: float(value) for name, value in values.items() if math.isfinite(value)}
        self._scalars.write(json.dumps({"step": step, **finite}) + "\n")
        self._scalars.flush()
        for name, value in finite.items():
            self._events.add_scalar(name, value, step)

    def progress(self, done: float, text: str) -> None:
        """Moves the progress bar.

        Args:
            done: Share of the budget that is used, in [0, 1].
            text: What is going on.
        """
        if self._task is None:
            self._task = self._progress.add_task(text, total=1.0)
            self._progress.start()
        self._progress.update(self._task, completed=min(done, 1.0), description=text)

    def note(self, text: str) -> None:
        """Prints a line above the progress bar and keeps it in ``log.txt``.

        Args:
            text: One or more lines.
        """
        self.console.print(text, markup=False, highlight=False)
        self._text.write(text + "\n")
        self._text.flush()

    def show(self, renderable: Any) -> None:
        """Prints something of rich (a table) and keeps it in ``log.txt`` as plain text.

        Args:
            renderable: What rich can print.
        """
        self.console.print(renderable)
        Console(file=self._text, width=110, color_system=None).print(renderable)
        self._text.flush()

    def end_progress(self) -> None:
        """Takes the progress bar away, such as between two parts of a run."""
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None
            self._progress.stop()

    def close(self) -> None:
        """Writes what is left and closes the files."""
        self.end_progress()
        self._events.close()
        self._scalars.close()
        self._text.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_scalars(folder: Path) -> list[dict[str, float]]:
    """The scalars of a run.

    Args:
        folder: Of its :class:`RunLogger`.

    Returns:
        One dict for each call of :meth:`RunLogger.scalars`, with its ``step``.
    """
    with (folder / _SCALARS).open() as lines:
        return [json.loads(line) for line in lines]


def _lines_before(path: Path, step: int) -> list[str]:
    if not path.is_file():
        return []
    with path.open() as lines:
        return [line for line in lines if json.loads(line)["step"] < step]
