from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from agents import sft
from agents.environments import make_tokenizer
from agents.prm.collect import Args, collect, count
from agents.prm.storage import LabelledResponse, LabelStore, StorageError, read_labels
from agents.telemetry import RunLogger
from codegym.errors import ConfigurationError


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Has learned a few programs by heart, right and wrong ones."""
    folder = tmp_path_factory.mktemp("policy")
    settings = sft.Args(
        model_width=64,
        model_layers=1,
        difficulty="interview",
        problems=4,
        steps=200,
        sft_learning_rate=6e-3,
        threads=1,
        out=folder,
    )
    sft.run(settings)
    return folder


def arguments(policy: Path, folder: Path) -> Args:
    return Args(
        policies=(policy,),
        difficulty="interview",
        problems=4,
        responses=3,
        completions=2,
        group=2,
        audit=1,
        num_envs=16,
        max_new_tokens=90,
        workers=1,
        threads=1,
        out=folder,
    )


def run(args: Args) -> dict[str, Any]:
    with RunLogger(args.out / "log", quiet=True) as logger:
        return collect(args, logger)


def test_labels_of_a_policy_that_makes_mistakes(policy: Path, tmp_path: Path) -> None:
    counts = run(arguments(policy, tmp_path))
    found = read_labels(tmp_path)
    assert found.groups == {0, 1}
    assert found.skipped == ()
    kinds = {response.kind for response in found.responses}
    assert "revised" in kinds, "the policy of this test must fail in ways that can be mended"
    tokenizer = make_tokenizer("mini")
    for response in found.responses:
        generated = response.input_ids[response.start_length :]
        lines = [
            tokenizer.decode(response.input_ids[first:last])
            for first, last in zip(
                (response.start_length, *(end + 1 for end in response.line_ends)),
                [end + 1 for end in response.line_ends],
                strict=False,
            )
        ]
        assert "".join(lines).rstrip("\n") == tokenizer.decode(generated).rstrip("\n")
        assert all(line.endswith("\n") for line in lines[:-1])
        total = len(response.labels)
        good = total if response.kind == "correct" else response.recoverable_lines
        assert all(label in (0, 1) for label in response.labels[:good])
        assert all(label in (0, -1) for label in response.labels[good:])
        assert (response.verdict == "accepted") == (response.kind == "correct")
        assert response.questions <= max(0, (total - 1).bit_length())
    audited = [one for one in found.responses if one.recoverable is not None]
    assert 0 < len(audited) <= 2  # one of each group
    assert all(one.kind != "correct" for one in audited)
    assert all(len(one.recoverable or ()) == len(one.labels) - 1 for one in audited)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["counts"] == counts == count(found.responses)
    assert manifest["completions"] == 2
    assert len(manifest["policies"][0]["sha256"]) == 64


def test_a_collection_that_was_broken_off_goes_on_to_the_same_end(
    policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken = arguments(policy, tmp_path / "whole"), arguments(policy, tmp_path / "broken")
    counts = run(whole)
    append = LabelStore.append

    def full(store: LabelStore, group: int, responses: object) -> None:
        if group == 1:
            raise StorageError("disk full")
        append(store, group, responses)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(LabelStore, "append", full)
        with pytest.raises(StorageError):
            run(broken)
    assert read_labels(broken.out).groups == {0}
    assert run(broken) == counts
    assert (broken.out / "labels.jsonl").read_bytes() == (whole.out / "labels.jsonl").read_bytes()
    with pytest.raises(ConfigurationError, match="these differ: problems_sha256, seed"):
        run(dataclasses.replace(broken, seed=1))


def test_counts_by_hand() -> None:
    plain = LabelledResponse(
        policy=0,
        problem_id="a",
        difficulty="interview",
        input_ids=(1, 2, 3, 4, 5),
        start_length=1,
        line_ends=(1, 2, 3, 4),
        labels=(1, -1, -1, -1),
        kind="revised",
        recoverable_lines=1,
        verdict="wrong_answer",
        questions=2,
        completions=9,
    )
    comes_back = dataclasses.replace(plain, recoverable=(True, False, True))
    agrees = dataclasses.replace(plain, recoverable=(True, False, False))
    never = dataclasses.replace(plain, recoverable=(False, False, False), questions=1)
    correct = dataclasses.replace(plain, kind="correct", questions=0, completions=0)
    assert count([plain, comes_back, agrees, never, correct]) == {
        "responses": 5,
        "correct": 1,
        "revised": 4,
        "wrong": 0,
        "questions": 7,
        "completions": 36,
        "audit": {"responses": 3, "not_monotone": 1, "lines": 12, "labels_differ": 2 + 1},
    }


def test_without_a_policy_there_is_nothing_to_collect(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--policies"):
        run(Args(out=tmp_path))


def test_rates_of_a_completer_that_never_passes(policy: Path, tmp_path: Path) -> None:
    blank = tmp_path / "blank"
    args = dataclasses.replace(arguments(policy, tmp_path / "own"), labelling="rate", completions=4)
    sft.run(sft.Args(model_width=16, model_layers=1, problems=4, steps=1, threads=1, out=blank))
    other = dataclasses.replace(args, completer=blank, out=tmp_path / "other")
    run(args)
    run(other)
    own, others = (read_labels(folder).responses for folder in (args.out, other.out))
    # The same programs: who completes decides the labels alone.
    assert [one.input_ids for one in own] == [one.input_ids for one in others]
    assert any(label not in (-1.0, 0.0, 1.0) for one in own for label in one.labels)
    for one in (*own, *others):
        asked = len(one.line_ends) - 1
        assert (one.questions, one.completions) == (asked, 4 * asked)
        assert one.labels[-1] in (0.0, 1.0 if one.kind == "correct" else -1.0)
    assert all(set(one.labels[:-1]) <= {-1.0, 0.0} for one in others)
    with pytest.raises(ConfigurationError, match="these differ: completer"):
        run(dataclasses.replace(args, completer=blank))
