from __future__ import annotations

from typing import Any

import pytest
import torch

from agents.parallel import Processes
from agents.policy import CausalLMPolicy
from agents.rollout import play
from benchmarks.training_peers.job import Share, together
from benchmarks.training_peers.ours import _written
from benchmarks.training_report import ARMS, lines
from tests.agents.fake_env import VOCAB, CopyEnv


def _share(tokens: int, seconds: float, *solved: str) -> Share:
    return Share(
        tokens=tokens,
        seconds=seconds,
        generate=seconds / 2,
        judge=0.0,
        cpu_seconds=2 * seconds,
        solved=list(solved),
    )


def test_an_iteration_is_what_all_processes_did_and_the_first_only_warms_up() -> None:
    one = [_share(10, 9.0, "a"), _share(20, 1.0, "a", "b", "b"), _share(30, 2.0, "b", "c")]
    other = [_share(10, 9.0), _share(21, 3.0, "c"), _share(31, 2.0, "c", "d")]
    second, third = together([one, other], episodes=8)
    assert (second.tokens, second.seconds, second.cpu_seconds) == (41, 3.0, 8.0)
    assert second.generate == pytest.approx(1.0)
    assert second.solved == 4 / 8
    assert second.newly_solved == 2, "b and c; a was solved while it warmed up"
    assert third.newly_solved == 1, "d"


def test_a_process_counts_its_own_episodes_only() -> None:
    policy = CausalLMPolicy.from_config_tiny(VOCAB, d=16, layers=1, heads=2, seed=0).eval()
    played = play(policy, CopyEnv(8), episodes=8, seed=0).sequences
    played = played._replace(
        problem_id=tuple("abcdefgh"), solved=torch.arange(8) % 3 == 0, group=torch.arange(8)
    )
    halves = [_written(played, Processes(index=k, count=2)) for k in range(2)]
    whole = _written(played, Processes())
    assert [half["solved"] for half in halves] == [["a", "d"], ["g"]]
    assert whole["solved"] == ["a", "d", "g"]
    assert sum(half["tokens"] for half in halves) == whole["tokens"]
    assert whole["tokens"] == int((played.length - played.start_length).sum()) > 0


def _results(rates: dict[str, float]) -> dict[str, Any]:
    """Three rounds of arms with so many tokens a second, and as many newly solved a CPU second."""

    def iteration(rate: float) -> dict[str, float]:
        return {
            "tokens": 100 * rate,
            "seconds": 100.0,
            "generate": 50.0,
            "judge": 1.0,
            "solved": 0.5,
            "cpu_seconds": 200.0,
            "newly_solved": 3 * rate,
        }

    return {
        "command": "python -m benchmarks.training",
        "machine": {"cpus": 2},
        "ppo": dict.fromkeys(("episodes", "max_new_tokens", "epochs", "minibatches", "threads"), 2),
        "group": 8,
        "rounds": {name: [[iteration(rate)]] * 3 for name, rate in rates.items()},
        "waiting": {"Mini": [iteration(1.0)]},
    }


def test_bars_are_between_trainers_with_the_same_groups_and_processes() -> None:
    rates = dict(zip(ARMS, (4.0, 3.0, 6.0, 2.0, 9.0, 5.0), strict=True))
    bars = [line for line in lines(_results(rates)) if line.startswith("| ") and " x |" in line]
    found = {line.split(" | ")[0][2:]: line.split(" | ")[1].split()[0] for line in bars}
    assert found == {
        "tokens/s at least 2 x TRL's, GRPO with the same groups": "3.00",
        "problems newly solved a CPU second at least 2 x TRL's, likewise": "3.00",
        "tokens/s at least 2 x TRL's, PPO, both with 2 processes": "1.80",
        "tokens/s, PPO against TRL": "2.00",
        "TRL: 2 processes of one thread against 2 threads": "2.50",
        "PPO: 2 processes of one thread against 2 threads": "2.25",
        "asynchronous against synchronous judging": "1.33",
    }
    met = {line.split(" | ")[0][2:]: line.split(" | ")[2] for line in bars}
    assert met["tokens/s at least 2 x TRL's, GRPO with the same groups"].startswith("yes")
    assert met["tokens/s at least 2 x TRL's, PPO, both with 2 processes"].startswith("**no**")


def test_without_trl_the_page_says_so() -> None:
    rates = {name: 1.0 for name, arm in ARMS.items() if arm.trainer != "trl"}
    text = "\n".join(lines(_results(rates)))
    assert "not measured: no TRL" in text
