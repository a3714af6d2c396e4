"""Trackers, by a module that stands in for each: neither is a dependency."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from agents import ppo
from agents.methods import rltf
from agents.running import train
from agents.telemetry import RunLogger, read_scalars
from agents.tracking import Tracker, TrackerName
from codegym.errors import ConfigurationError

TINY: Any = {
    "model_width": 16,
    "model_layers": 1,
    "problems": 2,
    "num_envs": 2,
    "episodes": 2,
    "max_new_tokens": 2,
    "iterations": 2,
    "workers": 1,
    "eval_every": 0,
}


class Fake(types.ModuleType):
    """Notes its calls, and takes exactly the arguments that both trackers have."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.calls: list[tuple[str, Any]] = []

    def init(self, *, project: str, name: str, config: dict[str, Any]) -> None:
        self.calls.append(("init", {"project": project, "name": name, "config": config}))

    def log(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.calls.append(("log", (step, metrics)))

    def finish(self) -> None:
        self.calls.append(("finish", None))


@pytest.fixture(params=["wandb", "trackio"])
def fake(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Fake:
    module = Fake(request.param)
    monkeypatch.setitem(sys.modules, request.param, module)
    return module


def test_a_tracker_gets_settings_scalars_and_totals(fake: Fake, tmp_path: Path) -> None:
    name: Any = fake.__name__
    args = ppo.Args(**{**TINY, "eval_every": 2, "eval_per_level": 1}, track=name, out=tmp_path)
    with RunLogger(tmp_path, quiet=True) as logger:
        trainer = ppo.run(args, logger)
    (first, began), *logs, (last, _) = fake.calls
    assert (first, last) == ("init", "finish")
    assert began["project"] == "codegym"
    assert began["name"] == str(tmp_path)
    assert began["config"]["learning_rate"] == args.learning_rate
    assert began["config"]["out"] == str(tmp_path)
    assert json.dumps(began["config"])
    *scalars, (kind, (step, totals)) = logs
    sent = [{"step": at, **values} for _, (at, values) in scalars]
    assert sent == read_scalars(tmp_path), "what scalars.jsonl has"
    assert [row["step"] for row in sent] == sorted(row["step"] for row in sent)
    assert (kind, step) == ("log", 2)
    assert totals["summary/episodes"] == 4.0
    assert totals["summary/best"] == trainer.guard.state.best
    assert logger.tracker is None, "a later run with this logger is another one"


def test_other_methods_are_tracked_and_a_failure_ends_the_run(
    fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name: Any = fake.__name__
    args = rltf.Args(**TINY, track=name, out=tmp_path)

    def fails(self: Any) -> dict[str, float]:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(rltf.RLTF, "iterate", fails)
    with (
        pytest.raises(RuntimeError, match="out of memory"),
        RunLogger(tmp_path, quiet=True) as logger,
    ):
        train(rltf.RLTF.make, args, logger)
    assert [kind for kind, _ in fake.calls] == ["init", "finish"]


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_a_tracker_that_is_not_there_is_told_before_anything_is_made(
    name: TrackerName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
    args = ppo.Args(**TINY, track=name, out=tmp_path / "run")
    with (
        pytest.raises(ConfigurationError, match=f"track='{name}' needs .* pip install {name}"),
        RunLogger(args.out, quiet=True) as logger,
    ):
        ppo.run(args, logger)
    assert not args.out.exists()


def test_a_tracker_that_begins_no_run_is_an_error_of_ours(
    fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(**_: Any) -> None:
        raise PermissionError("no API key")

    monkeypatch.setattr(fake, "init", refuses)
    name: Any = fake.__name__
    with pytest.raises(ConfigurationError, match=r"PermissionError: no API key.*leave track out"):
        Tracker(name, out=tmp_path, settings={})


def test_a_silent_logger_tells_nothing(fake: Fake, tmp_path: Path) -> None:
    name: Any = fake.__name__
    with RunLogger(tmp_path / "run", silent=True) as logger:
        logger.tracker = Tracker(name, out=tmp_path, settings={})
        logger.scalars(1, {"a": 1.0})
        logger.note("text")
        logger.show("table")
        logger.rollouts(1, [{}])
        logger.progress(0.5, "half")
    assert [kind for kind, _ in fake.calls] == ["init"]
    assert not (tmp_path / "run").exists()
