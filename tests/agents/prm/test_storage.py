from __future__ import annotations

import dataclasses
import errno
import json
import os
from pathlib import Path

import pytest

from agents.prm.storage import LabelledResponse, LabelStore, StorageError, read_labels
from codegym.errors import ConfigurationError, DataError

MANIFEST = {"format": 1, "completions": 20, "policies": [{"folder": "p", "sha256": "00"}]}


def response(problem: str = "mini/1", **changes: object) -> LabelledResponse:
    plain = LabelledResponse(
        policy=0,
        problem_id=problem,
        difficulty="interview",
        input_ids=(5, 6, 7, 8, 9),
        start_length=2,
        line_ends=(2, 4),
        labels=(1, -1),
        kind="revised",
        recoverable_lines=1,
        verdict="wrong_answer",
        questions=1,
        completions=7,
    )
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def collection(folder: Path) -> LabelStore:
    store = LabelStore(folder, MANIFEST)
    store.append(0, [response("a"), response("b", recoverable=(True,))])
    store.append(1, [])
    store.append(2, [response("c"), response("d"), response("e")])
    return store


def test_what_was_written_is_read(tmp_path: Path) -> None:
    collection(tmp_path)
    found = read_labels(tmp_path)
    assert found.manifest == MANIFEST
    assert [one.problem_id for one in found.responses] == ["a", "b", "c", "d", "e"]
    assert found.responses[:2] == (response("a"), response("b", recoverable=(True,)))
    assert found.groups == {0, 1, 2}
    assert found.skipped == ()


def test_a_truncated_line_is_skipped_with_its_number_and_the_rest_kept(tmp_path: Path) -> None:
    collection(tmp_path)
    path = tmp_path / "labels.jsonl"
    path.write_bytes(path.read_bytes()[:-40])
    found = read_labels(tmp_path)
    assert [one.problem_id for one in found.responses] == ["a", "b", "c", "d"]
    assert len(found.skipped) == 1
    assert found.skipped[0].startswith("line 6: ")
    assert found.groups == {0, 1}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("labels", [1, 2]),
        ("labels", [1]),
        ("line_ends", [1, 4]),
        ("line_ends", [2, 5]),
        ("kind", None),
        ("recoverable", 1),
    ],
)
def test_a_line_without_sense_is_skipped(tmp_path: Path, name: str, value: object) -> None:
    collection(tmp_path)
    path = tmp_path / "labels.jsonl"
    lines = path.read_text().splitlines()
    row = json.loads(lines[1])
    if value is None:
        del row[name]
    else:
        row[name] = value
    lines[1] = json.dumps(row)
    path.write_text("\n".join(lines) + "\n")
    found = read_labels(tmp_path)
    assert [one.problem_id for one in found.responses] == ["a", "c", "d", "e"]
    assert found.skipped[0].startswith("line 2: ")


def test_going_on_does_the_broken_group_again_and_keeps_the_others(tmp_path: Path) -> None:
    collection(tmp_path)
    path = tmp_path / "labels.jsonl"
    path.write_bytes(path.read_bytes()[:-40])
    store = LabelStore(tmp_path, MANIFEST)
    assert store.groups == {0, 1}
    assert len(store.skipped) == 1
    store.append(2, [response("c"), response("d"), response("e")])
    found = read_labels(tmp_path)
    assert [one.problem_id for one in found.responses] == ["a", "b", "c", "d", "e"]
    assert found.skipped == ()
    assert found.groups == {0, 1, 2}


def test_another_manifest_is_refused_and_nothing_changed(tmp_path: Path) -> None:
    collection(tmp_path)
    before = (tmp_path / "labels.jsonl").read_bytes()
    with pytest.raises(ConfigurationError, match="these differ: completions"):
        LabelStore(tmp_path, {**MANIFEST, "completions": 5})
    assert (tmp_path / "labels.jsonl").read_bytes() == before


def test_counts_are_in_the_manifest_and_do_not_keep_from_going_on(tmp_path: Path) -> None:
    collection(tmp_path).finish({"responses": 5})
    assert read_labels(tmp_path).manifest == {**MANIFEST, "counts": {"responses": 5}}
    assert LabelStore(tmp_path, MANIFEST).groups == {0, 1, 2}


def test_no_collection_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"agents\.prm\.collect"):
        read_labels(tmp_path)


def test_a_full_disk_in_the_middle_of_a_group_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = collection(tmp_path)
    before = (tmp_path / "labels.jsonl").read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match="No space left on device") as caught:
            store.append(3, [response("f")] * 50)
    assert "3 groups before it are kept" in str(caught.value)
    assert (tmp_path / "labels.jsonl").read_bytes() == before
    store.append(3, [response("f")])
    assert read_labels(tmp_path).groups == {0, 1, 2, 3}


def test_a_folder_that_can_not_be_made_is_our_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        LabelStore(tmp_path / "file" / "below", MANIFEST)
