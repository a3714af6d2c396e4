"""What a run folder or a file of rollouts holds, as a view: ours first, then other trainers'.

A folder of a run of ours has ``scalars.jsonl`` and ``rollouts.jsonl``, or a folder ``ppo`` with
them, as `agents.train` writes it. Everything else is read as `codegym grade` reads it; grades that
it has left beside the file are shown with their rollouts.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from codegym.commands.results import results_path
from codegym.commands.samples.files import open_samples
from codegym.commands.samples.sample import Sample, Unreadable
from codegym.commands.viewing.curves import charts_of_rollouts, charts_of_scalars
from codegym.commands.viewing.others import rollout_of_sample, score_column, score_names
from codegym.commands.viewing.ours import is_ours, rollout_of_row
from codegym.commands.viewing.rollout import COLUMNS, LARGEST_WHOLE, Rollout, View
from codegym.errors import ConfigurationError, DataFormatError, DataNotFoundError, ProblemError
from codegym.problems.reading.json_values import parse_json
from codegym.tokenization import Tokenizer

__all__ = ["Read", "read_view"]

_ROLLOUTS, _SCALARS = "rollouts.jsonl", "scalars.jsonl"
_LEARNED = "ppo"
_MOST_REASONS = 5
_TRIED = 100
_LARGEST = 1e300

Item = TypeVar("Item")


@dataclasses.dataclass(frozen=True, slots=True)
class Read:
    """A view, and what was read for it.

    Attributes:
        view: What is shown.
        inputs: All files that were read, which must not be written over.
        left_out: Places and reasons of rows that hold no rollout.
    """

    view: View
    inputs: tuple[Path, ...]
    left_out: tuple[str, ...]


def read_view(
    path: Path,
    *,
    limit: int,
    score: str | None = None,
    tokenizer: Tokenizer | None = None,
    progress: Callable[[int], None] | None = None,
) -> Read:
    """Reads a run or a file of rollouts.

    Args:
        path: File or folder.
        limit: How many rollouts are kept, at most, spread evenly over the source.
        score: Name of the score that is shown as the reward, where there are several.
        tokenizer: Spells the tokens of sources that have only their ids; None: their text is shown.
        progress: Called with the number of rows that were read.

    Raises:
        DataNotFoundError: If there is nothing.
        DataFormatError: If it is neither a run nor of a format that is known, or holds nothing.
        UnknownNameError: If there is no score of that name.
        ConfigurationError: If a score or tokenizer is named for a run of ours, which needs none.
    """
    if not path.exists():
        raise DataNotFoundError(
            f"There is no file or folder {path}. Expected the folder of a run, such as runs/train, "
            "or rollouts of verl, TRL or verifiers."
        )
    unused = [name for name, value in (("--score", score), ("--tokenizer", tokenizer)) if value]
    if path.is_dir():
        files = [folder / name for folder in _folders(path) for name in (_SCALARS, _ROLLOUTS)]
        if any(file.is_file() for file in files):
            _refuse(unused)
            return _run(path, limit, progress)
    elif _holds_ours(path):
        _refuse(unused)
        return _file_of_ours(path, limit, progress)
    return _of_others(path, limit, score, tokenizer, progress)


def _refuse(unused: list[str]) -> None:
    if unused:
        raise ConfigurationError(
            f"{' and '.join(unused)}: a run of ours has one reward and the text of its tokens. "
            "Leave it out."
        )


def _folders(run: Path) -> tuple[Path, Path]:
    """Where the reinforcement learning of a run may be: in it, or in a folder of it."""
    return run / _LEARNED, run


def _run(run: Path, limit: int, progress: Callable[[int], None] | None) -> Read:
    scalars = [file for folder in _folders(run) if (file := folder / _SCALARS).is_file()]
    rollouts = [file for folder in _folders(run) if (file := folder / _ROLLOUTS).is_file()]
    bad: list[str] = []
    learned = list(_lines(scalars[0], bad)) if scalars else []
    before = list(_lines(scalars[1], bad)) if len(scalars) > 1 else learned
    numbers = _numbers_of(learned)
    charts = charts_of_scalars(numbers, _numbers_of(before))
    kept: _Kept[Rollout] = _Kept(limit)
    for file in rollouts[:1]:
        for rollout in _ours(file, bad, progress):
            kept.add(rollout)
    notes = []
    if not rollouts:
        notes.append(
            f"This run kept no rollouts: {_ROLLOUTS} is not there. A new run keeps some with "
            "log_rollouts=16, the default."
        )
    elif not kept.total:
        notes.append(
            f"{rollouts[0].name} holds no rollout yet: the first come with the first iteration."
        )
    if not charts:
        notes.append(f"This run has no curves: {_SCALARS} is not there, or is empty.")
    shown = kept.items()
    steps = max((int(row["step"]) for row in numbers), default=0)
    view = View(
        title=f"Run {run.resolve().name}",
        source=f"A run of ours: {len(charts)} charts of {steps} iterations, {kept.total} rollouts.",
        rollouts=shown,
        charts=charts,
        total=kept.total,
        notes=[*notes, *_notes(shown, kept.total, bad)],
        opens="curves",
    )
    return Read(view, (*scalars, *rollouts), tuple(bad))


def _file_of_ours(path: Path, limit: int, progress: Callable[[int], None] | None) -> Read:
    bad: list[str] = []
    kept: _Kept[Rollout] = _Kept(limit)
    for rollout in _ours(path, bad, progress):
        kept.add(rollout)
    shown = kept.items()
    view = View(
        title=path.name,
        source=f"{kept.total} rollouts of our agents.",
        rollouts=shown,
        charts=charts_of_rollouts(shown, "reward"),
        total=kept.total,
        notes=_notes(shown, kept.total, bad),
    )
    return Read(view, (path,), tuple(bad))


def _of_others(
    path: Path,
    limit: int,
    score: str | None,
    tokenizer: Tokenizer | None,
    progress: Callable[[int], None] | None,
) -> Read:
    files = open_samples(path)
    tried = [
        sample
        for file in files
        for sample in itertools.islice(file, _TRIED)
        if isinstance(sample, Sample)
    ]
    scores = score_names(tried)
    column = score_column(scores, score, usual=files[0].format.score, where=path)
    grades = _grades(results_path(path))
    bad: list[str] = []
    kept: _Kept[Rollout] = _Kept(limit)
    undecoded = 0
    for number, sample in enumerate((one for file in files for one in file), 1):
        if isinstance(sample, Unreadable):
            bad.append(f"{sample.where}: {sample.reason}")
        else:
            grade = grades.get(sample.where)
            rollout = rollout_of_sample(sample, column, tokenizer, grade)
            undecoded += sample.written is not None and not rollout.tokens
            kept.add(rollout)
        if progress is not None:
            progress(number)
    shown = kept.items()
    if not shown:
        raise DataFormatError(
            f"{path} ({files[0].format.name}) holds no rollout. "
            + (bad[0] if bad else "It is empty.")
        )
    reward = column or "reward"
    notes = _notes(shown, kept.total, bad)
    if undecoded:
        notes.insert(
            0,
            f"{undecoded} rollouts have ids of tokens, and no tokenizer that spells them is at "
            "hand: their text is shown. Name the model's with --tokenizer hf:NAME.",
        )
    if column is None and scores:
        notes.append(
            f"The source has several scores, {', '.join(scores)}, and none is shown as the reward: "
            "name one with --score."
        )
    if not grades and not any(one.verdict for one in shown):
        notes.append(
            "The source has no verdicts. `codegym grade` writes them beside it, and they are shown "
            "the next time."
        )
    read = [file for each in files for file in each.paths]
    view = View(
        title=path.resolve().name,
        source=f"{files[0].format.name}: {kept.total} rollouts"
        + (f" in {len(files)} files." if len(files) > 1 else "."),
        rollouts=shown,
        charts=charts_of_rollouts(shown, reward),
        total=kept.total,
        reward=reward,
        notes=notes,
    )
    inputs = [*read, results_path(path)] if grades else read
    return Read(view, tuple(inputs), tuple(bad))


class _Kept(Generic[Item]):
    """At most so many items of a stream, spread evenly over it."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._stride = 1
        self._items: list[Item] = []
        self.total = 0

    def add(self, item: Item) -> None:
        """Takes an item, or lets it go."""
        if self.total % self._stride == 0:
            self._items.append(item)
            if len(self._items) > 2 * self._limit:
                self._items = self._items[::2]
                self._stride *= 2
        self.total += 1

    def items(self) -> list[Item]:
        """Those that are kept, in order."""
        found = len(self._items)
        if found <= self._limit:
            return self._items
        return [self._items[i * found // self._limit] for i in range(self._limit)]


def _notes(rollouts: list[Rollout], total: int, bad: list[str]) -> list[str]:
    notes = []
    if len(rollouts) < total:
        notes.append(
            f"{len(rollouts):,} of {total:,} rollouts are shown, spread evenly; --limit shows more."
        )
    if bad:
        more = f"; and {len(bad) - _MOST_REASONS} more" if len(bad) > _MOST_REASONS else ""
        rows = "1 row was" if len(bad) == 1 else f"{len(bad)} rows were"
        notes.append(f"{rows} left out: {'; '.join(bad[:_MOST_REASONS])}{more}")
    absent = [c.title for c in COLUMNS if not any(c.name in one.columns for one in rollouts)]
    if rollouts and absent:
        notes.append(f"Not in the source, and greyed out: {', '.join(absent)}.")
    return notes


def _ours(path: Path, bad: list[str], progress: Callable[[int], None] | None) -> Iterator[Rollout]:
    spelled: dict[str, str] = {}
    for number, (row, line) in enumerate(_numbered(path, bad), 1):
        try:
            yield rollout_of_row(row, f"line {line}", spelled)
        except ProblemError as error:
            bad.append(f"line {line}: {error}")
        if progress is not None:
            progress(number)


def _holds_ours(path: Path) -> bool:
    """Whether one of the first lines is a row of ours; a line that is damaged tells nothing."""
    with path.open("rb") as file:
        for line in itertools.islice(file, _TRIED):
            try:
                row = parse_json(line)
            except ValueError:
                continue
            return isinstance(row, dict) and is_ours(row)
    return False


def _lines(path: Path, bad: list[str]) -> Iterator[dict[str, Any]]:
    return (row for row, _ in _numbered(path, bad))


def _numbered(path: Path, bad: list[str]) -> Iterator[tuple[dict[str, Any], int]]:
    """JSON objects and the numbers of their lines; a run may still be writing the last one."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = parse_json(line)
            except ValueError as error:
                bad.append(f"{path.name} line {number}: it is not JSON, perhaps cut off: {error}")
                continue
            if isinstance(row, dict):
                yield row, number
            else:
                bad.append(f"{path.name} line {number}: it is not an object but {row!r:.60}")


def _numbers_of(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, float]]:
    """The numbers of each step, in the order of steps; those that a float cannot hold left out.

    A run writes several rows a step. Where a step is lower than the one before, the run began
    again there, and what it had written of that step and of later ones counts no more.
    """
    found: dict[int, dict[str, float]] = {}
    last: int | None = None
    for row in rows:
        step = row.get("step")
        if type(step) is not int or abs(step) > LARGEST_WHOLE:
            continue
        if last is not None and step < last:
            found = {known: numbers for known, numbers in found.items() if known < step}
        last = step
        found.setdefault(step, {}).update(
            (name, float(value))
            for name, value in row.items()
            if isinstance(value, int | float)
            and not isinstance(value, bool)
            and abs(value) < _LARGEST
        )
    return list(found.values())


def _grades(path: Path) -> dict[str, dict[str, Any]]:
    """What `codegym grade` found, by place; empty if it was not asked."""
    if not path.is_file():
        return {}
    rows = _lines(path, [])
    return {str(row.get("where")): row for row in rows if isinstance(row.get("verdict"), str)}
