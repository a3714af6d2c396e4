"""Agents train on what they were asked to: the sample never stands in, but it can be named."""

from __future__ import annotations

from pathlib import Path

import pytest

import codegym.problems.files.locate
from agents.environments import TaskSettings, load_split
from codegym.errors import OfflineError


def test_the_sample_stands_in_for_no_training_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(url: str, target: object, check: object) -> None:
        raise ConnectionError("no network")

    monkeypatch.delenv("CODEGYM_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(codegym.problems.files.locate, "download", download)
    with pytest.raises(OfflineError):
        load_split(TaskSettings(env_id="CodeGen-APPSPlus-v0"), split="train", size=5, seed=0)


def test_the_sample_can_be_named() -> None:
    settings = TaskSettings(env_id="CodeGen-APPSPlus-v0", data="sample", difficulty="interview")
    assert len(load_split(settings, split="train", size=5, seed=0)) == 5
    assert len(load_split(settings, split="validation", size=0, seed=0)) == 6
