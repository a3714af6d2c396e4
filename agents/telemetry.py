"""What a run tells: TensorBoard scalars, the same as JSONL or to a tracker, a bar, notes."""

from __future__ import annotations

import datetime
import json
import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from torch.utils.tensorboard import SummaryWriter
from transformers.utils.logging import disable_progress_bar

from agents.tracking import Tracker

__all__ = ["RunLogger", "read_scalars"]

_SCALARS = "scalars.jsonl"
_ROLLOUTS = "rollouts.jsonl"
_EVENTS = "tensorboard"


class _Files(NamedTuple):
    scalars: TextIO
    text: TextIO
    events: SummaryWriter


class RunLogger:
    """Writes to one folder and to the terminal. A context manager.

    Args:
        folder: Gets ``tensorboard/``, ``scalars.jsonl`` and ``log.txt``, and ``rollouts.jsonl`` if
            there are rollouts; made when they are.
        quiet: Nothing on the terminal.
        silent: Nothing anywhere: another process tells the same.
        resume_at: Scalars and rollouts of this step and later are dropped, so that a resumed run
            does not tell them twice.
        clock: Seconds, for the time that is left.

    Attributes:
        tracker: Is sent the scalars as well; None: none is.

    The files are opened when there is something to write: a command that is refused before it
    begins leaves those of an earlier run in the same folder as they are.
    """

    def __init__(
        self,
        folder: Path,
        *,
        quiet: bool = False,
        silent: bool = False,
        resume_at: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # Those of loading and saving weights would tear ours.
        disable_progress_bar()  # type: ignore[no-untyped-call]
        self.folder = folder
        self._resume_at = resume_at
        self._opened: _Files | None = None
        self._silent = silent
        self.tracker: Tracker | None = None
        quiet = quiet or silent
        self.console = Console(quiet=quiet)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=self.console,
            disable=quiet or not self.console.is_terminal,
            transient=True,
        )
        self._task: TaskID | None = None
        self._clock = clock
        self._began = (0.0, 0.0)  # time and share of the budget at the first call

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Records named numbers of a step.

        Args:
            step: Iteration.
            values: By name; those that are not finite are left out.
        """
        if self._silent:
            return
        finite = {name: float(value) for name, value in values.items() if math.isfinite(value)}
        files = self._files()
        files.scalars.write(json.dumps({"step": step, **finite}) + "\n")
        files.scalars.flush()
        for name, value in finite.items():
            files.events.add_scalar(name, value, step)
        if self.tracker is not None:
            self.tracker.scalars(step, finite)

    def rollouts(self, step: int, rows: Sequence[Mapping[str, Any]]) -> None:
        """Appends rollouts of a step to ``rollouts.jsonl``.

        Args:
            step: Iteration.
            rows: What JSON can hold of each; :mod:`agents.rollout_log` makes them.
        """
        if self._silent:
            return
        self._files()
        with (self.folder / _ROLLOUTS).open("a") as file:
            file.writelines(json.dumps({"step": step, **row}) + "\n" for row in rows)

    def progress(self, done: float, text: str) -> None:
        """Moves the progress bar.

        Args:
            done: Share of the budget that is used, in [0, 1].
            text: What is going on.
        """
        if self._task is None:
            self._task = self._progress.add_task(text, total=1.0, left="")
            self._began = self._clock(), done
            self._progress.start()
        self._progress.update(
            self._task, completed=min(done, 1.0), description=text, left=self._left(done)
        )

    def _left(self, done: float) -> str:
        """The time that is left if it goes on as since the first call; nothing is known at that."""
        at, first = self._began
        if done <= first:
            return ""
        seconds = (self._clock() - at) * max(0.0, 1.0 - done) / (done - first)
        return f"{datetime.timedelta(seconds=round(seconds))} left"

    def note(self, text: str) -> None:
        """Prints a line above the progress bar and keeps it in ``log.txt``.

        Args:
            text: One or more lines.
        """
        if self._silent:
            return
        self.console.print(text, markup=False, highlight=False)
        log = self._files().text
        log.write(text + "\n")
        log.flush()

    def show(self, renderable: Any) -> None:
        """Prints something of rich (a table) and keeps it in ``log.txt`` as plain text.

        Args:
            renderable: What rich can print.
        """
        if self._silent:
            return
        self.console.print(renderable)
        log = self._files().text
        Console(file=log, width=110, color_system=None).print(renderable)
        log.flush()

    def end_progress(self) -> None:
        """Takes the progress bar away, such as between two parts of a run."""
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None
            self._progress.stop()

    def close(self) -> None:
        """Writes what is left and closes the files."""
        self.end_progress()
        if self._opened is not None:
            for file in self._opened:
                file.close()

    def _files(self) -> _Files:
        if self._opened is None:
            folder, at = self.folder, self._resume_at
            folder.mkdir(parents=True, exist_ok=True)
            kept = [] if at is None else _lines_before(folder / _SCALARS, at)
            rollouts = [] if at is None else _lines_before(folder / _ROLLOUTS, at)
            _keep(folder / _SCALARS, kept)
            _keep(folder / _ROLLOUTS, rollouts)
            if at is None:  # or the curves of two runs would lie over each other
                shutil.rmtree(folder / _EVENTS, ignore_errors=True)
            self._opened = _Files(
                scalars=(folder / _SCALARS).open("a"),
                text=(folder / "log.txt").open("w" if at is None else "a"),
                events=SummaryWriter(str(folder / _EVENTS), purge_step=at),
            )
        return self._opened

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
        # A process that was killed may have left half of its last line.
        return [line for line in lines if line.endswith("\n") and json.loads(line)["step"] < step]


def _keep(path: Path, lines: Sequence[str]) -> None:
    """Leaves these lines of a file; a process that is killed meanwhile loses none of them."""
    if not lines:
        path.unlink(missing_ok=True)
        return
    draft = path.with_name(f"{path.name}.draft")
    draft.write_text("".join(lines))
    draft.replace(path)
