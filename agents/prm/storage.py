"""Labelled responses on disk: one JSON line each, and a manifest that says where they come from.

::

    manifest.json   policies, seed, K, temperature, problems' hash, tokenizer, ..., counts
    labels.jsonl    {"group": 3, "of": 17, "problem_id": ..., "labels": [...], ...}

Responses are added a *group* at a time (those of some problems by one policy). A collection that
was broken off does those groups again of which not all lines are there; the others stay.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from agents.prm.labels import Kind
from codegym.errors import ConfigurationError, DataError

__all__ = ["LabelStore", "LabelledResponse", "ReadLabels", "StorageError", "read_labels"]

_LABELS, _MANIFEST = "labels.jsonl", "manifest.json"
_COUNTS = "counts"


class StorageError(DataError):
    """Labels could not be written. Complete groups that were written before are kept."""


@dataclasses.dataclass(frozen=True, slots=True)
class LabelledResponse:
    """A program that a policy wrote, with a label for each of its T lines.

    Attributes:
        policy: Index of the policy in the manifest.
        problem_id: What was asked.
        difficulty: Of the problem.
        input_ids: Prompt and generated tokens, the end token included.
        start_length: Tokens of the prompt.
        line_ends: (T,) column of each line's last token.
        labels: (T,) in [-1, 1]: 0 on neutral lines; else +1 or -1, or twice a rate less 1.
        kind: correct, revised or wrong.
        recoverable_lines: Lines of the last recoverable prefix; T of a correct program.
        verdict: Of the whole program.
        questions: Prefixes that the search asked about.
        completions: Programs that were written and run to answer.
        recoverable: For responses of the audit, (T - 1,): whether the first 1, 2, ... lines can be
            finished, asked anew for every prefix; None for others.
    """

    policy: int
    problem_id: str
    difficulty: str
    input_ids: tuple[int, ...]
    start_length: int
    line_ends: tuple[int, ...]
    labels: tuple[float, ...]
    kind: Kind
    recoverable_lines: int
    verdict: str
    questions: int
    completions: int
    recoverable: tuple[bool, ...] | None = None

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> LabelledResponse:
        """From a line of the file.

        Raises:
            DataError: If a field is missing or the lengths do not fit.
        """
        try:
            fields = {field.name: row[field.name] for field in dataclasses.fields(cls)}
            for name in ("input_ids", "line_ends"):
                fields[name] = tuple(int(value) for value in fields[name])
            fields["labels"] = tuple(float(value) for value in fields["labels"])
            if fields["recoverable"] is not None:
                fields["recoverable"] = tuple(bool(value) for value in fields["recoverable"])
            response = cls(**fields)
            fits = len(response.line_ends) == len(response.labels) and all(
                response.start_length <= end < len(response.input_ids) for end in response.line_ends
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"no labelled response: {error!r}") from error
        if not fits or not all(-1.0 <= label <= 1.0 for label in response.labels):
            raise DataError(
                f"no labelled response: {len(response.labels)} labels for the line ends "
                f"{response.line_ends} in {len(response.input_ids)} tokens"
            )
        return response


@dataclasses.dataclass(frozen=True, slots=True)
class ReadLabels:
    """What a folder holds.

    Attributes:
        manifest: As it was written.
        responses: In the order of the file.
        groups: Numbers of the groups that are whole.
        skipped: ``"line 17: reason"`` for each line that could not be read.
    """

    manifest: Mapping[str, Any]
    responses: tuple[LabelledResponse, ...]
    groups: frozenset[int]
    skipped: tuple[str, ...]


def read_labels(folder: Path) -> ReadLabels:
    """Reads a collection; broken lines are skipped and told.

    Args:
        folder: Of a :class:`LabelStore`.

    Returns:
        Manifest, responses, and what was left out.

    Raises:
        DataError: If the folder holds no collection.
    """
    try:
        manifest = json.loads((folder / _MANIFEST).read_text())
        lines = (folder / _LABELS).read_bytes().splitlines()
    except (OSError, ValueError) as error:
        raise DataError(
            f"{folder} holds no labels (expected {_MANIFEST} and {_LABELS}): {error}. Collect them "
            "with `python -m agents.prm.collect`."
        ) from error
    skipped: list[str] = []
    responses: list[LabelledResponse] = []
    sizes: dict[int, int] = {}
    counts: collections.Counter[int] = collections.Counter()
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            group, size = int(row["group"]), int(row["of"])
            if size:
                responses.append(LabelledResponse.from_json(row))
        except (DataError, ValueError, KeyError, TypeError) as error:
            skipped.append(f"line {number}: {error}")
            continue
        sizes[group] = max(1, size)  # a group without responses is a line that says so
        counts[group] += 1
    complete = frozenset(group for group, size in sizes.items() if counts[group] == size)
    return ReadLabels(manifest, tuple(responses), complete, tuple(skipped))


class LabelStore:
    """Appends groups of responses to a folder.

    Args:
        folder: Made if it is not there. If it holds a collection, that is gone on with.
        manifest: What decides the labels; JSON-able.

    Attributes:
        groups: Numbers of the groups that are whole.
        skipped: Lines of an earlier run that could not be read.

    Raises:
        ConfigurationError: If the folder holds a collection with another manifest.
        StorageError: If nothing can be written there.
    """

    def __init__(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        self._path = folder / _LABELS
        self._manifest = manifest = json.loads(json.dumps(manifest))  # as it will be read
        self.groups: set[int] = set()
        self.skipped: tuple[str, ...] = ()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if (folder / _MANIFEST).is_file():
                self._resume(folder, manifest)
            else:
                self._path.touch()
                _replace(folder / _MANIFEST, _encoded(manifest))
        except OSError as error:
            raise StorageError(f"Labels cannot be written to {folder}: {error}.") from error

    def append(self, group: int, responses: Sequence[LabelledResponse]) -> None:
        """Writes a group, whole or not at all.

        Args:
            group: Its number.
            responses: May be empty.

        Raises:
            StorageError: If it cannot be written, such as to a full disk. Earlier groups stay.
        """
        rows: Iterable[dict[str, Any]] = (
            {"group": group, "of": len(responses), **dataclasses.asdict(response)}
            for response in responses
        )
        if not responses:
            rows = [{"group": group, "of": 0}]
        data = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        before = self._path.stat().st_size
        try:
            with self._path.open("ab") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            os.truncate(self._path, before)
            raise StorageError(
                f"Group {group} of the labels cannot be written to {self._path}: {error}. The "
                f"{len(self.groups)} groups before it are kept; make room and run the same command "
                "again to go on."
            ) from error
        self.groups.add(group)

    def finish(self, counts: Mapping[str, Any]) -> None:
        """Adds to the manifest what was found.

        Args:
            counts: JSON-able.

        Raises:
            StorageError: If it cannot be written.
        """
        manifest = {**self._manifest, _COUNTS: counts}
        try:
            _replace(self._path.with_name(_MANIFEST), _encoded(manifest))
        except OSError as error:
            raise StorageError(f"{self._path.with_name(_MANIFEST)}: {error}.") from error

    def _resume(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        found = read_labels(folder)
        keys = sorted(
            key
            for key in {*found.manifest, *manifest} - {_COUNTS}
            if found.manifest.get(key) != manifest.get(key)
        )
        if keys:
            raise ConfigurationError(
                f"{folder} holds labels that were collected otherwise; these differ: "
                f"{', '.join(keys)}. Use another folder, or the settings in {folder / _MANIFEST}."
            )
        self.groups = set(found.groups)
        self.skipped = found.skipped
        lines = self._path.read_bytes().splitlines()
        kept = [line + b"\n" for line in lines if _group_of(line) in found.groups]
        _replace(self._path, b"".join(kept))


def _group_of(line: bytes) -> int | None:
    try:
        return int(json.loads(line)["group"])
    except (ValueError, KeyError, TypeError):
        return None


def _encoded(manifest: Mapping[str, Any]) -> bytes:
    return json.dumps(manifest, indent=1).encode() + b"\n"


def _replace(path: Path, data: bytes) -> None:
    """Writes a file that is whole at any moment."""
    draft = path.with_name(path.name + ".draft")
    draft.write_bytes(data)
    draft.replace(path)
