"""The results of a grading command: a file of JSON lines that grows, and a summary beside it.

A line is written whole as soon as a program is graded, so what was done is there whatever happens:
to go on (`--resume`), a last line that was cut off is removed, and the rest is kept. Results are
taken for the same work only if the settings are the same and each program is; else nothing is
touched, and an error says what differs.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self, TextIO

from codegym.commands.samples.files import OURS
from codegym.errors import ConfigurationError, DataFormatError

__all__ = ["ResultsFile", "cut_off_half_a_line", "refuse_inputs", "results_path"]


_SLIM = ("where", "digest", "verdict")
"""What is kept in memory of a result, all texts; and the older grader's word."""


def results_path(samples: Path, what: str = "") -> Path:
    """Where the results of a file or folder of samples go: beside it.

    Args:
        samples: The file or folder.
        what: What was done, for a name of its own; nothing for grading.
    """
    named = samples.resolve() if samples.name in ("", "..") else samples
    name = named.name
    for suffix in (".gz", ".jsonl", ".json", ".parquet"):
        name = name.removesuffix(suffix)
    return named.parent / f"{name}{OURS}{what}{'.' * bool(what)}jsonl"


def refuse_inputs(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Sees to it that nothing which is read is written over.

    Raises:
        ConfigurationError: If an output is one of the inputs.
    """
    read = {path.resolve() for path in inputs}
    for path in outputs:
        if path.resolve() in read:
            raise ConfigurationError(
                f"{path} is read by this command, and would be written over. Name another file "
                "for what is written (--out, or --written of codegym eval)."
            )


class ResultsFile:
    """Results that are appended.

    Args:
        path: The file. Its summary is beside it, under the same name with ``.json``.
        settings: What the results depend on, as JSON-able data.
        inputs: Files that are read, which must not be written over.
        resume: Go on with results that are there.
        overwrite: Begin anew although there are results.

    Raises:
        ConfigurationError: If results are there and neither was said, or they were made with other
            settings; or if a file of somebody else's is in the way.
        DataFormatError: If what is there is no such file.
    """

    def __init__(
        self,
        path: Path,
        settings: Mapping[str, Any],
        *,
        inputs: Iterable[Path] = (),
        resume: bool = False,
        overwrite: bool = False,
    ) -> None:
        if resume and overwrite:
            raise ConfigurationError("--resume and --overwrite contradict each other. Give one.")
        self.path = path
        self.summary_path = path.with_suffix(".json")
        if path.suffix in (".json", ".md"):
            raise ConfigurationError(
                f"The results are JSON lines, got {path}, and {path.with_suffix('.json')} is the "
                "name of their summary. Name a file that ends in .jsonl."
            )
        refuse_inputs((path, self.summary_path, path.with_suffix(".md")), inputs)
        if self.summary_path.exists() and not _is_summary(self.summary_path):
            raise ConfigurationError(
                f"{self.summary_path}, where the summary belongs, is somebody else's file. Name "
                "another file of results with --out."
            )
        self._settings = json.loads(json.dumps(settings))
        self._earlier: dict[str, dict[str, Any]] = {}
        if path.exists() and not (resume or overwrite):
            raise ConfigurationError(
                f"{path} has results already. Go on with --resume, replace them with --overwrite, "
                "or name another file with --out."
            )
        goes_on = path.exists() and resume
        if goes_on:
            self._check_settings()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._file = _opened_alone(path)
        try:
            if goes_on:
                cut_off_half_a_line(path)
                self._earlier = {row["where"]: _slim(row) for row in self.rows()}
            else:
                self._file.truncate(0)
            self._write_summary({"complete": False})
        except BaseException:
            self._file.close()
            raise

    def earlier(self, where: str, digest: str) -> dict[str, Any] | None:
        """The result that a resumed file has of a sample, without its program; None if it has none.

        Args:
            where: The sample's place.
            digest: Of its program and its problem.

        Raises:
            ConfigurationError: If the result is one of another program or problem.
        """
        row = self._earlier.get(where)
        if row is not None and row["digest"] != digest:
            raise ConfigurationError(
                f"{self.path} has a result for {where} of another program or problem: the samples "
                "or the source have changed since. Begin anew with --overwrite, or name another "
                "file with --out."
            )
        return row

    def add(self, row: Mapping[str, Any]) -> None:
        """Appends a result."""
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()

    def rows(self) -> Iterator[dict[str, Any]]:
        """All results that the file holds, in its order.

        Raises:
            DataFormatError: If a line is no result.
        """
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    row = json.loads(line)
                    if not all(isinstance(row[name], str) for name in _SLIM):
                        raise TypeError("its place, digest or verdict is no text")
                except (ValueError, TypeError, KeyError, RecursionError) as error:
                    raise DataFormatError(
                        f"{self.path}, line {number}, is no result of this command ({error!r}). "
                        "Begin anew with --overwrite, or name another file with --out."
                    ) from error
                yield row

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Writes the summary of whole results."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._write_summary({"complete": True, **summary})

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_settings(self) -> None:
        try:
            earlier = json.loads(self.summary_path.read_bytes())["settings"]
            if not isinstance(earlier, dict):
                raise TypeError("its settings are no object")
            names = sorted({*earlier, *self._settings})
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise DataFormatError(
                f"{self.path} cannot be resumed: {self.summary_path}, which says how it was made, "
                f"cannot be read ({error!r}). Begin anew with --overwrite."
            ) from error
        differ = [
            f"{name} was {earlier.get(name)!r} and is {self._settings.get(name)!r}"
            for name in names
            if earlier.get(name) != self._settings.get(name)
        ]
        if differ:
            raise ConfigurationError(
                f"{self.path} was made with other settings: {'; '.join(differ)}. Give the same, "
                "begin anew with --overwrite, or name another file with --out."
            )

    def _write_summary(self, data: Mapping[str, Any]) -> None:
        text = json.dumps({"settings": self._settings, **data}, indent=1) + "\n"
        part = self.summary_path.with_name(self.summary_path.name + ".part")
        part.write_text(text, encoding="utf-8")
        os.replace(part, self.summary_path)


def _is_summary(path: Path) -> bool:
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(data, dict) and {"settings", "complete"} <= data.keys()


def cut_off_half_a_line(path: Path) -> None:
    """Removes what a process that was killed left of its last line."""
    content_end = _end_of_last_line(path)
    if content_end < path.stat().st_size:
        os.truncate(path, content_end)


def _slim(row: dict[str, Any]) -> dict[str, Any]:
    """A result without what only the file needs, which may be millions of programs."""
    return {**{name: row[name] for name in _SLIM}, "old": row.get("old")}


def _opened_alone(path: Path) -> TextIO:
    """A file to be appended to, which no other run is writing.

    Raises:
        ConfigurationError: If one is.
    """
    file = path.open("a", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise ConfigurationError(
            f"{path} is being written by another run. Wait for that, or name another file with "
            "--out."
        ) from None
    return file


def _end_of_last_line(path: Path, chunk: int = 1 << 16) -> int:
    """The number of bytes up to the last line break, that included."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - chunk)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
    return 0
