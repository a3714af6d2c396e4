"""Rollouts that a run keeps for the viewer: what is in them, and that they change nothing."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import codegym
from agents import ppo
from agents.checkpoint import saved_iteration
from agents.environments import make_grader
from agents.rollout_log import token_pieces
from agents.telemetry import RunLogger
from codegym.errors import ConfigurationError

SMALL = ppo.Args(
    model_width=16,
    model_layers=1,
    problems=4,
    num_envs=6,
    episodes=12,
    max_new_tokens=6,
    warmup_updates=1,
    eval_every=0,
    anneal=False,
    workers=1,
    threads=1,
)
ALIGNED = (
    *("executed", "loss_mask", "rewards", "advantages", "values"),
    *("logprobs", "reference_logprobs", "checkpoint_logprobs"),
)


@pytest.fixture(scope="module")
def grader() -> Iterator[codegym.Grader]:
    with make_grader(SMALL) as grader:
        yield grader


def _train(folder: Path, grader: codegym.Grader, **changes: Any) -> ppo.PPO:
    args = dataclasses.replace(SMALL, out=folder, **{"iterations": 3, **changes})
    at = None if args.resume is None else saved_iteration(args.resume) + 1
    with RunLogger(folder, quiet=True, resume_at=at) as logger:
        return ppo.run(args, logger, grader=grader)


def _rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "rollouts.jsonl").read_text().splitlines()]


def test_a_row_has_the_text_and_every_column_of_each_generated_token(
    grader: codegym.Grader, tmp_path: Path
) -> None:
    _train(tmp_path, grader, log_rollouts=5)
    rows = _rows(tmp_path)
    assert [row["step"] for row in rows] == [1] * 5 + [3] * 5
    for row in rows:
        written = len(row["pieces"]) - row["start_length"]
        assert {name: len(row[name]) for name in ALIGNED} == dict.fromkeys(ALIGNED, written)
        assert sum(row["rewards"]) == pytest.approx(row["reward"], abs=1e-4)
        text = "".join(row["pieces"])
        assert text[row["program_start"] :].startswith(("def ", "#"))
        assert (row["verdict"] == "accepted") == ("error" not in row)
        if row["verdict"] == "wrong_answer":
            failed = row["failing_test"]
            assert failed["input"].startswith("f(")
            assert failed["error_message"].startswith(f"Expected {failed['expected']}, got ")
    # Nothing was learned before the first iteration; until the third, something was.
    assert all(row["logprobs"] == row["checkpoint_logprobs"] for row in rows[:5])
    assert any(row["logprobs"] != row["checkpoint_logprobs"] for row in rows[5:])


def test_what_a_method_lacks_is_not_in_the_row(grader: codegym.Grader, tmp_path: Path) -> None:
    _train(tmp_path, grader, log_rollouts=1, iterations=1, critic="none", warmup_updates=0)
    (row,) = _rows(tmp_path)
    assert "values" not in row
    assert "advantages" in row


def test_a_run_is_the_same_bit_for_bit_with_and_without_a_log(
    grader: codegym.Grader, tmp_path: Path
) -> None:
    torch.manual_seed(5)
    without = _train(tmp_path / "without", grader, log_rollouts=0)
    state = torch.get_rng_state()
    torch.manual_seed(5)
    kept = _train(tmp_path / "kept", grader, log_rollouts=8)
    assert torch.equal(state, torch.get_rng_state())
    assert not (tmp_path / "without" / "rollouts.jsonl").exists()
    for name, weight in without.policy.state_dict().items():
        assert torch.equal(weight, kept.policy.state_dict()[name]), name


def test_a_resumed_run_keeps_no_rollout_twice(grader: codegym.Grader, tmp_path: Path) -> None:
    _train(tmp_path, grader, log_rollouts=2, checkpoint_every=2)
    whole = _rows(tmp_path)
    _train(tmp_path, grader, log_rollouts=2, resume=tmp_path / "checkpoints" / "000002")
    again = _rows(tmp_path)
    assert [(row["step"], row["pieces"]) for row in again] == [
        (row["step"], row["pieces"]) for row in whole
    ]


def test_a_new_run_in_the_same_folder_leaves_no_rollout_of_the_old_one(
    grader: codegym.Grader, tmp_path: Path
) -> None:
    _train(tmp_path, grader, log_rollouts=2, iterations=1)
    _train(tmp_path, grader, log_rollouts=0, iterations=1)
    assert not (tmp_path / "rollouts.jsonl").exists()


def test_pieces_are_the_text_whatever_the_tokens_cut() -> None:
    text = "a = '€'  # \U0001f600"
    for size in (1, 2, 3):
        spelled = text.encode()
        tokens = [spelled[i : i + size] for i in range(0, len(spelled), size)]
        assert "".join(token_pieces(tokens)) == text
    assert token_pieces([b"\xff", b"a"]) == ["\udcff", "a"]
    assert token_pieces([b"a", b"\xe2"])[-1] == "\udce2"
    assert token_pieces([]) == []


def test_a_negative_number_of_rollouts_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="log_rollouts must be 0 or more, got -1"):
        ppo.Args(log_rollouts=-1)


def test_the_live_line_tells_the_time_that_is_left(tmp_path: Path) -> None:
    now = iter([100.0, 130.0, 160.0])
    with RunLogger(tmp_path, quiet=True, clock=lambda: next(now)) as logger:

        def left() -> str:
            (task,) = logger._progress.tasks
            return str(task.fields["left"])

        logger.progress(0.2, "a resumed run")
        assert left() == ""  # nothing is known yet
        logger.progress(0.4, "30 seconds for a fifth")
        assert left() == "0:01:30 left"
        logger.progress(1.0, "done")
        assert left() == "0:00:00 left"


def test_a_run_says_where_to_look_next(grader: codegym.Grader, tmp_path: Path) -> None:
    run = _train(tmp_path, grader, iterations=1)
    assert run.summary().endswith(f"codegym view {tmp_path}")
    assert f"codegym view {tmp_path}" in (tmp_path / "log.txt").read_text()
