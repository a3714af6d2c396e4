from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from agents import sft
from agents.environments import make_tokenizer
from agents.prm import collect as collecting
from agents.prm.collect import Args, collect
from agents.prm.storage import LabelStore, StorageError, read_labels
from agents.telemetry import RunLogger
from codegym.errors import ConfigurationError


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Has learned a few programs by heart, right and wrong ones."""
    folder = tmp_path_factory.mktemp("policy")
    settings = sft.Args(
        model_width=32,
        model_layers=1,
        difficulty="interview",
        problems=4,
        steps=200,
        seconds=None,
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


def run(args: Args) -> collecting.Audit:
    with RunLogger(args.out / "log", quiet=True) as logger:
        return collect(args, logger)


def test_labels_of_a_policy_that_makes_mistakes(policy: Path, tmp_path: Path):
    audit = run(arguments(policy, tmp_path))
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
    assert 0 < audit.responses <= 2
    assert 0 <= audit.labels_differ <= audit.lines
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["completions"] == 2
    assert len(manifest["policies"][0]["sha256"]) == 64


def test_a_collection_that_was_broken_off_goes_on_to_the_same_end(
    policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    whole, broken = arguments(policy, tmp_path / "whole"), arguments(policy, tmp_path / "broken")
    run(whole)
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
    run(broken)
    assert (broken.out / "labels.jsonl").read_bytes() == (whole.out / "labels.jsonl").read_bytes()
    with pytest.raises(ConfigurationError, match="these differ: problems_sha256, seed"):
        run(dataclasses.replace(broken, seed=1))


def test_without_a_policy_there_is_nothing_to_collect(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="--policies"):
        run(Args(out=tmp_path))
