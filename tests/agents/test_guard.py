from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from agents import ppo
from agents.checkpoint import saved_iteration
from agents.environments import load_split, make_grader
from agents.folders import recover, replacing
from agents.guard import DivergedError, Guard, RunawayError
from agents.models import make_policy
from agents.policy import CausalLMPolicy
from agents.telemetry import RunLogger, read_scalars

SMALL = ppo.Args(
    model_width=16,
    model_layers=1,
    problems=4,
    num_envs=6,
    episodes=6,
    max_new_tokens=4,
    warmup_updates=0,
    iterations=6,
    eval_every=2,
    eval_per_level=1,
    workers=1,
    threads=1,
)


def test_kl_beyond_the_bound_and_nan_are_trouble() -> None:
    guard = Guard(enabled=True, held_out=True)
    assert guard.after_iteration(1.0) is None
    assert guard.after_iteration(-0.1) is None
    trouble = guard.after_iteration(1.01)
    assert trouble is not None
    assert "1.01" in trouble
    assert guard.after_iteration(float("nan")) is not None


def test_success_far_below_the_best_is_trouble_and_a_dip_is_none() -> None:
    guard = Guard(enabled=True, held_out=True)
    assert guard.after_check(0.4, 0) is None
    assert guard.after_check(0.8, 20) is None
    assert guard.after_check(0.41, 40) is None
    trouble = guard.after_check(0.39, 60)
    assert trouble is not None
    assert "0.390" in trouble
    assert "iteration 20" in trouble
    assert (guard.state.best, guard.state.best_iteration) == (0.8, 20)


def test_training_success_may_halve_where_start_states_move() -> None:
    guard = Guard(enabled=True, held_out=False)
    assert guard.after_check(0.8, 20) is None
    assert guard.after_check(0.3, 40) is None
    assert guard.after_check(0.1, 60) is not None


def test_each_return_makes_a_smaller_step_and_the_last_is_an_error() -> None:
    guard = Guard(enabled=True, held_out=True)
    factors = [guard.rate_factor]
    for iteration in (10, 20, 30):
        guard.count_return(iteration, "why")
        factors.append(guard.rate_factor)
    assert factors == [1.0, 0.5, 0.25, 0.125]
    with pytest.raises(RunawayError, match=r"4 times .*iteration 40: why.*x 0.125"):
        guard.count_return(40, "why")


def test_without_the_guard_nothing_is_trouble_but_the_best_is_still_known() -> None:
    guard = Guard(enabled=False, held_out=True)
    assert guard.after_iteration(float("nan")) is None
    assert guard.after_check(0.8, 0) is None
    assert guard.after_check(0.0, 20) is None
    assert guard.state.best == 0.8


def test_drift_is_what_happened_since_the_best_check() -> None:
    guard = Guard(enabled=True, held_out=True)
    guard.after_check(0.3, 0)
    assert guard.drift(0.2, 0.9) == {}, "nothing was trained before the best check"
    guard.after_check(0.6, 20, solved=0.5)
    guard.after_check(0.5, 40, solved=0.8)
    assert guard.drift(0.5, 0.8) == pytest.approx(
        {"drift/training_rise": 0.3, "drift/held_out_fall": 0.1}
    )


class Scripted(ppo.PPO):
    """A trainer whose evaluations and KLs are a script; what it learns is real."""

    def __init__(
        self,
        *args: Any,
        successes: list[float],
        kl: dict[int, float],
        solved: dict[int, float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.successes, self.kl, self.solved = iter(successes), kl, solved or {}
        self.rates: list[float] = []
        self.weights: dict[int, torch.Tensor] = {}

    def iterate(self) -> dict[str, float]:
        metrics = super().iterate()
        self.rates.append(self.optimizer.param_groups[0]["lr"])
        self.weights[self.iteration] = _weights(self.policy)
        kl = self.kl.get(self.iteration, 0.01)
        if kl == float("inf"):
            raise DivergedError("no finite number")
        solved = self.solved.get(self.iteration, metrics["rollout/solved"])
        return {**metrics, "kl/reference_k1": kl, "rollout/solved": solved}

    def _evaluate(self) -> float | None:
        return next(self.successes)


def _weights(policy: CausalLMPolicy) -> torch.Tensor:
    return torch.cat([p.detach().flatten().clone() for p in policy.parameters()])


def _scripted(
    folder: Path,
    *,
    successes: list[float],
    kl: dict[int, float],
    solved: dict[int, float] | None = None,
    kind: type[Scripted] = Scripted,
    **changes: Any,
) -> tuple[Scripted, RunawayError | None]:
    args = dataclasses.replace(SMALL, out=folder, anneal=False, **changes)
    problems = load_split(args, split="train", size=4, seed=0)
    policy = make_policy(args, vocab_size=512, seed=0)
    with RunLogger(folder, quiet=True) as logger, make_grader(args) as grader:
        trainer = kind(
            args,
            policy=policy,
            problems=problems,
            grader=grader,
            logger=logger,
            successes=successes,
            kl=kl,
            solved=solved,
        )
        try:
            trainer.train()
        except RunawayError as error:
            return trainer, error
        finally:
            trainer.close()
    return trainer, None


@pytest.mark.parametrize("kl", [3.0, float("nan"), float("inf")])
def test_a_run_that_leaves_goes_back_with_half_the_step_and_loses_nothing(
    kl: float, tmp_path: Path
) -> None:
    trainer, error = _scripted(tmp_path, successes=[0.1, 0.5, 0.6], kl={4: kl})
    assert error is None
    assert trainer.iteration == 6
    rate = SMALL.learning_rate
    assert trainer.rates == pytest.approx([rate] * 4 + [rate / 2] * 2)
    assert len(trainer.guard.state.returns) == 1
    log = (tmp_path / "log.txt").read_text()
    assert "Back to the state of iteration 2" in log
    assert "x 0.5" in log
    assert "Went back once at iteration 4" in trainer.summary()
    returns = [row["guard/returns"] for row in read_scalars(tmp_path) if "guard/returns" in row]
    assert returns[-1] == 1.0
    for name in ("policy", "last"):
        loaded = CausalLMPolicy.from_pretrained(tmp_path / name)
        assert torch.equal(_weights(loaded), trainer.weights[6])


def test_the_state_it_goes_back_to_is_the_last_good_one(tmp_path: Path) -> None:
    kept: list[torch.Tensor] = []

    class Watched(Scripted):
        def _go_back(self, trouble: str) -> None:
            super()._go_back(trouble)
            kept.append(_weights(self.policy))

    trainer, _ = _scripted(tmp_path, successes=[0.1, 0.5, 0.2, 0.5], kl={}, kind=Watched)
    assert torch.equal(kept[0], trainer.weights[2])
    assert not torch.equal(kept[0], trainer.weights[4])
    assert [r.partition(":")[0] for r in trainer.guard.state.returns] == ["iteration 4"]


def test_the_best_policy_is_kept_and_the_last_is_the_last(tmp_path: Path) -> None:
    trainer, _ = _scripted(tmp_path, successes=[0.1, 0.5, 0.45, 0.4], kl={})
    best = CausalLMPolicy.from_pretrained(tmp_path / "policy")
    last = CausalLMPolicy.from_pretrained(tmp_path / "last")
    assert torch.equal(_weights(best), trainer.weights[2])
    assert torch.equal(_weights(last), trainer.weights[6])
    assert "iteration 2, 50.0 %" in trainer.summary()


def test_a_run_that_leaves_again_and_again_gives_up_and_keeps_the_best(tmp_path: Path) -> None:
    always = dict.fromkeys(range(1, 7), 5.0)
    trainer, error = _scripted(tmp_path, successes=[0.3], kl=always)
    assert isinstance(error, RunawayError)
    assert trainer.iteration == 4
    for name in ("policy", "last"):
        loaded = CausalLMPolicy.from_pretrained(tmp_path / name)
        fresh = make_policy(SMALL, vocab_size=512, seed=0)
        assert torch.equal(_weights(loaded), _weights(fresh))


def test_training_that_rises_while_what_is_held_out_falls_is_told(tmp_path: Path) -> None:
    rising = {1: 0.2, 2: 0.2, 3: 0.4, 4: 0.4, 5: 0.9, 6: 0.9}
    _scripted(tmp_path, successes=[0.1, 0.5, 0.48, 0.4], kl={}, solved=rising)
    log = (tmp_path / "log.txt").read_text()
    assert log.count("training success rose by") == 1
    assert "since iteration 2, training success rose by 70 points" in log
    last = read_scalars(tmp_path)[-1]
    assert last["drift/training_rise"] == pytest.approx(0.7)
    assert last["drift/held_out_fall"] == pytest.approx(0.1)


def test_a_bad_end_goes_back_as_well(tmp_path: Path) -> None:
    trainer, _ = _scripted(tmp_path, successes=[0.1, 0.5, 0.5, 0.0], kl={})
    last = CausalLMPolicy.from_pretrained(tmp_path / "last")
    assert torch.equal(_weights(last), trainer.weights[4])


def test_returns_are_resumed(tmp_path: Path) -> None:
    """The step stays as small as it was, and the count goes on."""
    whole, _ = _scripted(tmp_path / "whole", successes=[0.1, 0.5, 0.5, 0.6], kl={3: 5.0})
    _scripted(tmp_path / "half", successes=[0.1, 0.5, 0.5, 0.6], kl={3: 5.0}, checkpoint_every=4)
    resumed, _ = _scripted(
        tmp_path / "half",
        successes=[0.6],
        kl={},
        resume=tmp_path / "half" / "checkpoints" / "000004",
    )
    assert resumed.rates == pytest.approx(whole.rates[4:])
    assert resumed.guard.state == whole.guard.state
    assert torch.equal(_weights(resumed.policy), _weights(whole.policy))


def test_a_run_resumed_from_its_past_does_not_go_back_to_its_future(tmp_path: Path) -> None:
    rising = [0.1, 0.5, 0.6, 0.9]
    whole, _ = _scripted(tmp_path, successes=rising, kl={}, checkpoint_every=4)
    past = tmp_path / "checkpoints" / "000004"
    assert saved_iteration(tmp_path / "good") == 6
    resumed, _ = _scripted(tmp_path, successes=[0.2, 0.2, 0.2], kl={5: 5.0}, resume=past)
    assert len(resumed.guard.state.returns) == 2
    best = CausalLMPolicy.from_pretrained(tmp_path / "policy")
    assert torch.equal(_weights(best), whole.weights[4])
    last = CausalLMPolicy.from_pretrained(tmp_path / "last")
    assert torch.equal(_weights(last), whole.weights[4])


@pytest.mark.parametrize("moment", ["while writing", "between the renames", "before clearing up"])
def test_a_kill_while_a_folder_is_replaced_loses_nothing(moment: str, tmp_path: Path) -> None:
    """What the folder looks like after each step of :func:`replacing`."""
    folder, draft, old = (tmp_path / name for name in ("best", "best.draft", "best.old"))
    states = {
        "while writing": {folder: "old", draft: "half"},
        "between the renames": {old: "old", draft: "new"},
        "before clearing up": {old: "old", folder: "new"},
    }
    for path, text in states[moment].items():
        path.mkdir()
        (path / "weights").write_text(text)
    recover(folder)
    kept = (folder / "weights").read_text()
    assert kept == ("new" if moment == "before clearing up" else "old")
    with replacing(folder) as empty:
        assert not list(empty.iterdir())
        (empty / "weights").write_text("newest")
    assert (folder / "weights").read_text() == "newest"
    assert list(tmp_path.iterdir()) == [folder]


def test_a_folder_is_not_replaced_where_writing_fails(tmp_path: Path) -> None:
    (tmp_path / "best").mkdir()
    with pytest.raises(OSError, match="full"), replacing(tmp_path / "best"):
        raise OSError("the disk is full")
    assert (tmp_path / "best").is_dir()


def test_a_guard_that_is_never_needed_changes_nothing(tmp_path: Path) -> None:
    weights = []
    for guard in (True, False):
        folder = tmp_path / str(guard)
        trainer, _ = _scripted(folder, successes=[0.1, 0.5, 0.4, 0.6], kl={}, guard=guard)
        weights.append(_weights(trainer.policy))
    assert torch.equal(weights[0], weights[1])
