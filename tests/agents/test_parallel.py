"""Two processes on the CPU train one policy: what is equal, what is shared, what is refused."""

from __future__ import annotations

import builtins
import os
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agents import evaluate, ppo, sft
from agents.command import main
from agents.environments import load_split, make_envs, make_grader, make_tokenizer, task_of
from agents.evaluate import Evaluation, LevelResult, merged
from agents.methods import vineppo
from agents.models import make_policy
from agents.parallel import ALONE, Processes, SharedOutcomes, joined
from agents.policy import CausalLMPolicy
from agents.rollout import write
from agents.running import command
from agents.telemetry import RunLogger, read_scalars
from codegym.errors import ConfigurationError
from codegym.problems import Problem

ROOT = Path(__file__).parents[2]
MEMORY = 6 * 2**30  # of data, for each process: torch alone reserves more address space than this


def _launch(*words: str) -> subprocess.CompletedProcess[str]:
    """Two processes that talk by gloo, on a port that is free."""
    pytest.importorskip("accelerate")
    options = (
        "--multi_gpu --num_processes 2 --num_machines 1 --main_process_port 0 "
        "--mixed_precision no --dynamo_backend no"
    )
    return subprocess.run(
        [sys.executable, "-m", "accelerate.commands.launch", *options.split(), "-m", *words],
        cwd=ROOT,
        env={**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY)),
    )


Found = list[dict[str, Any]]
"""What each process wrote."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a run of two iterations by two processes."""
    folder = tmp_path_factory.mktemp("two")
    done = _launch("tests.agents.several_processes", str(folder))
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def found(folder: Path) -> Found:
    return [torch.load(folder / f"{index}.pt") for index in range(2)]


def _assert_same(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, weight in one.items():
        assert torch.equal(weight, other[name]), name


def test_a_gradient_of_two_processes_is_that_of_one_with_all_episodes(found: Found) -> None:
    for process in found:
        together, alone = process["together"], process["alone"]
        torch.testing.assert_close(together["advantages"], alone["advantages"])
        assert len(together["gradients"]) == len(alone["gradients"]) == 3
        for mine, its in zip(together["gradients"], alone["gradients"], strict=True):
            assert [p is None for p in mine] == [p is None for p in its]
            for a, b in zip(mine, its, strict=True):
                if a is not None:
                    torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-6)
        for a, b in zip(together["weights"], alone["weights"], strict=True):
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-6)
        for name in ("stats", "metrics"):
            for key, value in alone[name].items():
                expected = pytest.approx(value, rel=1e-3, abs=1e-5, nan_ok=True)
                assert together[name][key] == expected, key
        assert len(set(together["groups"])) == 25, "groups of two processes are not one group"


def test_processes_have_the_same_gradients_bit_for_bit(found: Found) -> None:
    first, second = (process["together"] for process in found)
    for a, b in zip(first["weights"], second["weights"], strict=True):
        assert torch.equal(a, b)
    assert first["stats"] == second["stats"]


def test_a_process_without_a_row_takes_part_in_the_step(found: Found) -> None:
    first, second = (process["one row"] for process in found)
    assert first["stats"] == second["stats"]
    assert first["stats"]["loss/value"] > 0.0
    for a, b in zip(first["weights"], second["weights"], strict=True):
        assert torch.equal(a, b)


def test_after_two_iterations_both_processes_are_in_the_same_state(found: Found) -> None:
    first, second = found
    _assert_same(first["weights"], second["weights"])
    _assert_same(first["critic"], second["critic"])
    for key, state in first["optimizer"]["state"].items():
        _assert_same(state, second["optimizer"]["state"][key])
    for name in ("start_states", "guard"):
        assert first[name] == second[name]
    assert len(first["start_states"]["success"]) > 1, "problems that were tried"
    assert first["episodes"] == second["episodes"] == 16
    fresh = make_policy(ppo.Args(model_width=16, model_layers=1), vocab_size=512, seed=0)
    for name, weight in fresh.state_dict().items():
        assert not torch.equal(weight, first["weights"][name]), f"{name} was never learned"


def test_only_the_first_process_writes(folder: Path, found: Found) -> None:
    rows = read_scalars(folder / "run")
    assert sum("rollout/solved" in row for row in rows) == 2, "each iteration once"
    assert [row["time/episodes"] for row in rows if "time/episodes" in row] == [8.0, 16.0]
    evaluated = [row for row in rows if "greedy/mean" in row]
    assert [row["step"] for row in evaluated] == [0, 1, 2]
    assert {"greedy/introductory", "greedy/interview", "greedy/competition"} <= set(evaluated[0])
    saved = CausalLMPolicy.from_pretrained(folder / "run" / "last")
    _assert_same(saved.state_dict(), found[0]["weights"])


def test_a_command_goes_on_bit_for_bit_with_as_many_processes(folder: Path, found: Found) -> None:
    middle = folder / "run" / "checkpoints" / "000001"
    done = _launch("agents.ppo", "--resume", str(middle), "--out", str(folder / "on"))
    assert done.returncode == 0, done.stderr
    saved = CausalLMPolicy.from_pretrained(folder / "on" / "last")
    _assert_same(saved.state_dict(), found[0]["weights"])
    assert done.stdout.count("PPO: 2 iterations, 16 episodes") == 1, "the screen is the first one's"


def test_another_number_of_processes_cannot_go_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    middle = folder / "run" / "checkpoints" / "000001"
    words = ["agents.ppo", "--resume", str(middle), "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(ConfigurationError, match=r"written by 2 process.* go on with 1") as caught:
        command(ppo.Args, ppo.run)
    assert "model=" in str(caught.value)
    assert not (tmp_path / "scalars.jsonl").exists()


def test_processes_share_evenly_or_not_at_all(tmp_path: Path) -> None:
    three = Processes(index=0, count=3)
    assert three.share("episodes", 12) == 4
    with pytest.raises(ConfigurationError, match=r"must divide it, got episodes=8.*multiple of 3"):
        ppo.PPO.make(
            ppo.Args(episodes=8, out=tmp_path),
            grader=None,  # type: ignore[arg-type]  # refused before it is asked
            logger=RunLogger(tmp_path, silent=True),
            processes=three,
        )


def test_the_cpus_of_a_machine_are_shared_by_its_processes() -> None:
    cpus = len(os.sched_getaffinity(0))
    assert ALONE.workers(None) is None
    many = Processes(index=1, count=4, on_this_machine=2)
    assert many.workers(None) == max(1, cpus // 2)
    assert many.workers(5) == 5


@pytest.mark.parametrize("index", [0, 1, 2])
def test_rows_of_a_minibatch_are_dealt_by_length(index: int) -> None:
    length = torch.tensor([9, 1, 8, 2, 7, 3, 6, 4, 5])
    minibatch = torch.tensor([8, 0, 2, 4, 6])
    assert torch.equal(ALONE.rows(minibatch, length), minibatch)
    expected = [[0, 6], [2, 8], [4]][index]
    assert Processes(index=index, count=3).rows(minibatch, length).tolist() == expected


def test_a_command_for_one_process_refuses_to_be_several(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(sys, "argv", ["agents.sft", "--out", str(tmp_path / "out")])
    for alone in (sft._main, evaluate._main):
        with pytest.raises(SystemExit) as caught:
            main(alone)
        assert "for one process, but was launched as 2" in str(caught.value.code)
    assert not (tmp_path / "out").exists()
    with pytest.raises(ConfigurationError, match="VinePPO trains with one process, got 2"):
        vineppo.VinePPO.make(
            vineppo.Args(model_width=16, model_layers=1, problems=4),
            grader=None,  # type: ignore[arg-type]
            logger=RunLogger(tmp_path, silent=True),
            processes=Processes(count=2),
        )


def test_several_processes_need_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("accelerate"):
            raise ImportError("No module named 'accelerate'")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with joined() as processes:
        assert processes is ALONE, "one process needs nothing"
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigurationError, match=r"extra llm: pip install -e '.\[agents,llm\]'"):
        joined().__enter__()


class _Twins(Processes):
    """Two processes that have the same to tell."""

    __slots__ = ()

    def gather(self, value: Any) -> list[Any]:
        return [value, value]


class _Differ(Processes):
    """Two processes of which the second has another state."""

    __slots__ = ()

    def gather(self, value: Any) -> list[Any]:
        return [value, value if isinstance(value, tuple) else ["another", *value[1:]]]


class _Counts:
    """A sampler that learns."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def draw(self, rng: np.random.Generator) -> int:
        return int(rng.integers(4))

    def update(self, problem: Problem, grade: Any) -> None:
        self.seen.append(problem.id)

    def state_dict(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.seen = list(state["seen"])


@pytest.mark.parametrize("kind", [_Twins, _Differ])
def test_outcomes_of_all_processes_are_learned_in_order(kind: type[Processes]) -> None:
    args = ppo.Args(num_envs=3, max_new_tokens=2, workers=1)
    problems = load_split(args, split="train", size=4, seed=0)
    sampler = _Counts()
    with make_grader(args) as grader:
        envs = make_envs(
            args,
            problems,
            start="cccs",
            grader=grader,
            tokenizer=make_tokenizer("mini"),
            sampler=sampler,
        )
        outcomes = SharedOutcomes(task_of(envs), kind(count=2))
        policy = make_policy(ppo.Args(model_width=16, model_layers=1), vocab_size=512, seed=0)
        played = write(policy, envs, episodes=3, seed=0).finish().sequences
        assert sampler.seen == [], "kept back until all processes have played"
        if kind is _Differ:
            with pytest.raises(ConfigurationError, match=r"draw\(\) changes its state_dict\(\)"):
                outcomes.exchange()
        else:
            outcomes.exchange()
        assert sampler.seen == [*played.problem_id, *played.problem_id]
        before = list(sampler.seen)
        if kind is _Twins:
            outcomes.exchange()
        assert sampler.seen == before, "each outcome counts once"
        envs.close()


def _level(solved: dict[str, int], difficulty: str, tokens: float, wrong: float) -> LevelResult:
    return evaluate._level(
        difficulty,
        2,
        (1, 2),
        solved,
        verdicts={"accepted": 1.0 - wrong, "wrong_answer": wrong} if wrong else {"accepted": 1.0},
        mean_tokens=tokens,
    )


def test_evaluations_of_parts_are_that_of_the_whole() -> None:
    one = Evaluation(1.0, (_level({"a": 2, "b": 1}, "introductory", 6.0, 0.25),), 2.0)
    other = Evaluation(
        1.0,
        (_level({"c": 2}, "introductory", 9.0, 0.0), _level({"d": 0}, "interview", 4.0, 1.0)),
        5.0,
    )
    whole = merged([one, other])
    easy, harder = whole.levels
    expected = _level({"a": 2, "b": 1, "c": 2}, "introductory", 7.0, 1 / 6)
    assert easy.solved == expected.solved
    assert (easy.pass_at, easy.low, easy.high) == (expected.pass_at, expected.low, expected.high)
    assert easy.verdicts == pytest.approx(expected.verdicts)
    assert easy.mean_tokens == pytest.approx(7.0)
    assert easy.problems == 3
    assert harder.pass_at == {1: 0.0, 2: 0.0}
    assert whole.seconds == 5.0


def test_a_run_has_a_held_out_problem_for_each_process() -> None:
    problems = evaluate.held_out(ppo.Args(), split="validation", per_level=1)
    parts = [Processes(index=i, count=2).part_of(problems).ids for i in range(2)]
    assert sorted(parts[0] + parts[1]) == sorted(problems.ids)
    with pytest.raises(ConfigurationError, match="Each of 4 processes evaluates"):
        Processes(count=4).part_of(problems)
