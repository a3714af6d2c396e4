from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import codegym
from agents import evaluate as evaluation
from agents import ppo
from agents.checkpoint import saved_iteration, saved_settings
from agents.environments import load_split, make_envs, make_grader, make_tokenizer, task_of
from agents.evaluate import evaluate, greedy_and_sampled, held_out
from agents.models import make_policy
from agents.policy import CausalLMPolicy
from agents.telemetry import RunLogger, read_scalars
from codegym.envs import ProblemSampler
from codegym.errors import ClosedError, ConfigurationError
from codegym.problems import Problem
from codegym.start_states import CurriculumOfSubtasks

SMALL = ppo.Args(
    model_width=16,
    model_layers=1,
    problems=4,
    num_envs=6,
    episodes=12,
    max_new_tokens=6,
    warmup_updates=1,
    eval_every=0,
    anneal=False,  # a schedule over the budget, which differs between two and four iterations
    workers=1,
    threads=1,
)


@pytest.fixture(scope="module")
def grader() -> Iterator[codegym.Grader]:
    with make_grader(SMALL) as grader:
        yield grader


def _train(
    folder: Path,
    grader: codegym.Grader,
    *,
    iterations: int,
    resume: Path | None = None,
    sampler: ProblemSampler | None = None,
    **changes: Any,
) -> tuple[ppo.PPO, Path]:
    args = dataclasses.replace(SMALL, iterations=iterations, out=folder, resume=resume, **changes)
    policy = make_policy(args, vocab_size=512, seed=args.seed)
    problems = load_split(args, split="train", size=args.problems, seed=args.seed)
    resume_at = None if resume is None else saved_iteration(resume) + 1
    with RunLogger(folder, quiet=True, resume_at=resume_at) as logger:
        trainer = ppo.PPO(
            args,
            policy=policy,
            problems=problems,
            grader=grader,
            logger=logger,
            sampler=sampler,
            # Every episode counts as a move's worth, so that a few of them move the curriculum.
            start_states=CurriculumOfSubtasks(threshold=0.0, alpha=1.0),
        )
        try:
            trainer.train()
        finally:
            trainer.close()
    return trainer, folder / "checkpoints" / f"{iterations:06d}"


def test_four_iterations_are_two_and_two_more_bit_for_bit(
    grader: codegym.Grader, tmp_path: Path
) -> None:
    whole, _ = _train(tmp_path / "whole", grader, iterations=4)
    _train(tmp_path / "half", grader, iterations=4, checkpoint_every=2)
    half = tmp_path / "half" / "checkpoints" / "000002"
    torch.manual_seed(123)  # a resumed process has another global generator
    resumed, _ = _train(tmp_path / "half", grader, iterations=4, resume=half)
    assert resumed.iteration == whole.iteration == 4
    for name, weight in whole.policy.state_dict().items():
        assert torch.equal(weight, resumed.policy.state_dict()[name]), name
    for name, weight in whole.reference.state_dict().items():
        assert torch.equal(weight, resumed.reference.state_dict()[name]), name
    assert whole.critic is not None
    assert resumed.critic is not None
    for name, weight in whole.critic.state_dict().items():
        assert torch.equal(weight, resumed.critic.state_dict()[name]), name
    mine, its = whole.optimizer.state_dict(), resumed.optimizer.state_dict()
    for key, state in mine["state"].items():
        assert torch.equal(state["exp_avg_sq"], its["state"][key]["exp_avg_sq"])
    assert whole.start_states.state_dict() == resumed.start_states.state_dict()
    assert whole.guard.state == resumed.guard.state
    scalars = [read_scalars(tmp_path / run) for run in ("whole", "half")]
    for a, b in zip(*scalars, strict=True):
        same = {name for name in a if not name.startswith("time/")}
        assert {name: a[name] for name in same} == {name: b[name] for name in same}


class LeastTried:
    """Draws a problem that was drawn least often: what it has seen decides all that it draws."""

    def __init__(self, problems: int) -> None:
        self.drawn = [0] * problems
        self.seen: list[str] = []

    def draw(self, rng: np.random.Generator) -> int:
        fewest = [i for i, n in enumerate(self.drawn) if n == min(self.drawn)]
        index = int(rng.choice(fewest))
        self.drawn[index] += 1
        return index

    def update(self, problem: Problem, grade: codegym.Grade) -> None:
        self.seen.append(f"{problem.id} {grade.verdict.value}")

    def state_dict(self) -> dict[str, Any]:
        return {"drawn": list(self.drawn), "seen": list(self.seen)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.drawn, self.seen = list(state["drawn"]), list(state["seen"])


def test_a_sampler_that_learns_goes_on_where_it_stood(
    grader: codegym.Grader, tmp_path: Path
) -> None:
    def train(name: str, **options: Any) -> ppo.PPO:
        sampler = LeastTried(SMALL.problems)
        return _train(tmp_path / name, grader, iterations=2, sampler=sampler, **options)[0]

    whole = train("whole", checkpoint_every=1)
    resumed = train("on", resume=tmp_path / "whole" / "checkpoints" / "000001")
    assert sum(whole.sampler.state_dict()["drawn"]) == 2 * SMALL.episodes
    assert len(whole.sampler.state_dict()["seen"]) == 2 * SMALL.episodes
    assert whole.sampler.state_dict() == resumed.sampler.state_dict()
    for name, weight in whole.policy.state_dict().items():
        assert torch.equal(weight, resumed.policy.state_dict()[name]), name


def test_the_way_of_judging_decides_nothing(grader: codegym.Grader, tmp_path: Path) -> None:
    runs = [
        _train(tmp_path / way, grader, iterations=3, judging=way)[0] for way in ("sync", "async")
    ]
    for name, weight in runs[0].policy.state_dict().items():
        assert torch.equal(weight, runs[1].policy.state_dict()[name]), name
    scalars = [read_scalars(tmp_path / way) for way in ("sync", "async")]
    assert all(row["time/waiting_share"] < 0.05 for row in scalars[0])
    assert all(0.0 <= row["time/waiting_share"] <= 1.0 for row in scalars[1])
    assert scalars[0][-1]["rollout/reward"] == scalars[1][-1]["rollout/reward"]


def test_the_loop_learns_something_and_says_so(grader: codegym.Grader, tmp_path: Path) -> None:
    trainer, checkpoint = _train(tmp_path, grader, iterations=2)
    first, second = read_scalars(tmp_path)
    assert first["update/first_ratio_error"] < 1e-4
    assert first["kl/reference_k3"] == pytest.approx(0.0, abs=1e-6)
    assert first["curriculum/mean_stage"] > 0.0
    assert second["time/episodes"] == 24
    assert sum(value for name, value in second.items() if name.startswith("verdict/")) == 1.0
    fresh = make_policy(SMALL, vocab_size=512, seed=0)
    moved = [
        not torch.equal(a, b)
        for a, b in zip(fresh.trunk.parameters(), trainer.policy.trunk.parameters(), strict=True)
    ]
    assert all(moved)
    assert all(
        torch.equal(a, b)
        for a, b in zip(fresh.parameters(), trainer.reference.parameters(), strict=True)
    )
    loaded = CausalLMPolicy.from_pretrained(tmp_path / "policy")
    assert all(
        torch.equal(a, b)
        for a, b in zip(loaded.parameters(), trainer.policy.parameters(), strict=True)
    )
    assert {path.name for path in checkpoint.iterdir()} == {
        "best",
        "policy",
        "reference",
        "settings.json",
        "state.pt",
    }


def test_a_random_qwen2_on_apps_plus(data_dir: Path, tmp_path: Path) -> None:
    args = ppo.Args(
        env_id="CodeGen-APPSPlus-v0",
        data=str(data_dir / "leetcode_as_appsplus.json.gz"),
        split=None,
        tokenizer="byte",
        model="random-qwen2",
        model_width=16,
        context_length=2048,
        max_new_tokens=8,
        num_envs=4,
        episodes=4,
        problems=8,
        start="uniform",
        iterations=2,
        eval_every=0,
        warmup_updates=0,
        workers=1,
        threads=1,
        out=tmp_path,
    )
    with RunLogger(tmp_path, quiet=True) as logger:
        policy = ppo.run(args, logger).policy
    assert policy.trunk.config.model_type == "qwen2"
    assert policy.trunk.config.vocab_size % 64 == 0
    first, second = read_scalars(tmp_path)
    assert first["kl/reference_k3"] == pytest.approx(0.0, abs=1e-6)
    assert 0.0 <= second["kl/reference_k3"] < 0.1
    assert -1.0 <= second["rollout/reward"] <= 1.0


def test_bad_settings_are_errors(grader: codegym.Grader, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="at least one iteration, got iterations=0"):
        ppo.Args(iterations=0)
    with pytest.raises(ConfigurationError, match="episodes must be 1 or more"):
        ppo.Args(episodes=0)
    for split in (None, "validation"):
        with pytest.raises(ConfigurationError, match="held out must not be trained on"):
            ppo.Args(split=split)
    with pytest.raises(ConfigurationError, match="eval_every must be 0 or more"):
        ppo.Args(eval_every=-1)
    with pytest.raises(ConfigurationError, match="not a checkpoint"):
        _train_with(grader, tmp_path, iterations=1, resume=tmp_path / "nothing")
    with pytest.raises(ConfigurationError, match="cccs"):
        ppo.Args(start="ccs")


@pytest.mark.parametrize(
    ("setting", "needs"),
    [
        ({"data": "file.json"}, "read from a file"),
        ({"model": "runs/sft", "model_width": 32}, "tiny"),
        ({"eval_every": 0, "eval_per_level": 7}, "eval_every"),
        ({"critic": "none", "critic_learning_rate": 1e-4}, "a critic"),
        ({"critic": "none", "warmup_updates": 2}, "a critic"),
        ({"kl": "reward", "kl_coefficient": 0.0}, "kl_coefficient > 0"),
    ],
)
def test_a_setting_without_effect_is_refused(setting: dict[str, Any], needs: str) -> None:
    with pytest.raises(ConfigurationError, match="has no effect here") as caught:
        ppo.Args(**setting)
    assert needs in str(caught.value)


def test_a_policy_without_a_critic_learns_from_the_first_iteration_on(
    grader: codegym.Grader, tmp_path: Path
) -> None:
    """There is nothing to warm up for, however long that would take."""
    warmup = ppo.Args.warmup_updates
    assert warmup > 0
    _train(tmp_path, grader, iterations=1, critic="none", warmup_updates=warmup)
    told = [row for row in read_scalars(tmp_path) if "update/policy_steps" in row]
    assert [row["update/policy_steps"] > 0.0 for row in told] == [True]


def test_fewer_tests_are_shown_in_training_and_all_where_it_is_measured(
    grader: codegym.Grader, tmp_path: Path
) -> None:
    trainer, _ = _train(tmp_path, grader, iterations=1, tests=1, eval_every=1, eval_per_level=1)
    assert all(len(problem.tests) == 1 for problem in trainer.problems)
    held_out = trainer._examine.keywords["problems"]  # type: ignore[union-attr]
    assert all(len(problem.tests) > 1 for problem in held_out)
    drawn = {problem.id for problem in task_of(trainer.envs).problems}
    assert drawn == {problem.id for problem in trainer.problems}
    assert all(len(problem.tests) == 1 for problem in task_of(trainer.envs).problems)


def test_a_run_goes_on_with_its_own_settings_only(grader: codegym.Grader, tmp_path: Path) -> None:
    _, checkpoint = _train(tmp_path / "run", grader, iterations=1)
    with pytest.raises(ConfigurationError, match=r"learning_rate was 0.0006 and is 0.01") as caught:
        _train(tmp_path / "on", grader, iterations=1, resume=checkpoint, learning_rate=0.01)
    assert "kl" not in str(caught.value)
    saved = saved_settings(checkpoint, ppo.Args)
    assert saved == dataclasses.replace(SMALL, iterations=1, out=tmp_path / "run")
    good = tmp_path / "run" / "good"  # a checkpoint like any other, whatever its name
    longer, _ = _train(tmp_path / "run", grader, iterations=2, resume=good)
    assert longer.iteration == 2, "nothing depends on the budget where the rates do not fall"


def test_nothing_held_out_is_an_error_that_says_what_to_do(
    grader: codegym.Grader, data_dir: Path
) -> None:
    changes: Any = {"env_id": "CodeGen-HumanEval-v0", "data": str(data_dir), "split": "test"}
    args = dataclasses.replace(SMALL, eval_every=1, tokenizer="byte", **changes)
    problems = load_split(args, split="test", size=4, seed=0)
    policy = make_policy(args, vocab_size=make_tokenizer("byte").vocab_size, seed=0)
    with pytest.raises(ConfigurationError, match=r"validation split.*eval_every=0"):
        ppo.PPO(
            args,
            policy=policy,
            problems=problems,
            grader=grader,
            logger=None,  # type: ignore[arg-type]
        )


def _train_with(grader: codegym.Grader, folder: Path, **changes: Any) -> None:
    args = dataclasses.replace(SMALL, out=folder, **changes)
    policy = make_policy(args, vocab_size=512, seed=0)
    problems = load_split(args, split="train", size=4, seed=0)
    with RunLogger(folder, quiet=True) as logger:
        ppo.PPO(args, policy=policy, problems=problems, grader=grader, logger=logger)


def test_evaluation_counts_each_problem_and_sample_once(grader: codegym.Grader) -> None:
    args = dataclasses.replace(SMALL, num_envs=4)
    problems = held_out(args, split="validation", per_level=2)
    assert [p.difficulty for p in problems] == sorted(
        (p.difficulty for p in problems), key=("introductory", "interview", "competition").index
    )
    policy = make_policy(args, vocab_size=512, seed=0)
    envs = make_envs(args, problems, start="empty", grader=grader, tokenizer=make_tokenizer("mini"))
    try:
        result = evaluate(policy, envs, problems, samples=3, ks=(1, 3))
        again = evaluate(policy, envs, problems, samples=3, ks=(1, 3))
    finally:
        envs.close()
    assert result.levels == again.levels
    assert [level.problems for level in result.levels] == [2, 2, 2]
    for level in result.levels:
        assert sum(level.verdicts.values()) == pytest.approx(1.0)
        assert set(level.solved) == {p.id for p in problems if p.difficulty == level.difficulty}
        assert 0.0 <= level.low[1] <= level.pass_at[1] <= level.high[1] <= 1.0
    assert json.loads(json.dumps(result.to_json()))["temperature"] == 1.0


def test_evaluation_asks_only_whether_a_program_passes_and_plays_even_waves(
    grader: codegym.Grader, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = dataclasses.replace(SMALL, num_envs=4)
    problems = held_out(args, split="validation", per_level=2)
    made: list[dict[str, Any]] = []

    def make(*given: Any, **named: Any) -> Any:
        made.append({**named, "same": named["grader"].executor is grader.executor})
        return make_envs(*given, **named)

    monkeypatch.setattr(evaluation, "make_envs", make)
    results = greedy_and_sampled(
        make_policy(args, vocab_size=512, seed=0),
        args,
        problems,
        grader=grader,
        tokenizer=make_tokenizer("mini"),
        samples=2,
    )
    assert [sum(sum(level.verdicts.values()) for level in r.levels) for r in results.values()] == [
        pytest.approx(3.0),
        pytest.approx(3.0),
    ]
    assert [named["num_envs"] for named in made] == [3, 4], "6 and 12 episodes, 4 at most at a time"
    judge = made[0]["grader"]
    assert made[0]["same"], "no second pool of workers"
    assert judge.limits == grader.limits
    assert judge.stop_at_first_failure, "one that never ends would be waited for in each test"
    # The pool of the grader that was given goes on; the evaluation's own grader is done with.
    with pytest.raises(ClosedError):
        judge.grade(problems[0], "x = 1\n")
    assert not grader.grade(problems[0], "x = 1\n").solved
