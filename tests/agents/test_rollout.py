from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest
import torch

from agents import rollout
from agents.policy import CausalLMPolicy
from agents.rollout import Sampling, play, write
from codegym.errors import EpisodeError
from tests.agents.fake_env import END, VOCAB, CopyEnv


@pytest.fixture(scope="module")
def policy() -> CausalLMPolicy:
    return CausalLMPolicy.from_config_tiny(VOCAB, d=16, layers=2, heads=2, seed=3).eval()


@pytest.mark.parametrize("judging_steps", [0, 2])
def test_sequences_are_what_the_env_saw(policy: CausalLMPolicy, judging_steps: int) -> None:
    env = CopyEnv(64, judging_steps=judging_steps)
    sequences, cost = play(policy, env, episodes=64, seed=1)
    assert sequences.length.tolist() == env.count.tolist()
    assert sequences.start_length.tolist() == env.start.tolist()
    for i in range(64):
        row = sequences.input_ids[i, : sequences.length[i]].tolist()
        assert row == env.ids[i, : env.count[i]].tolist()
        written = row[int(env.start[i]) :]
        solved = written == [row[0], END]
        assert bool(sequences.solved[i]) == solved
        assert sequences.reward[i].item() == pytest.approx(1.0 if solved else -0.3)
        assert bool(sequences.truncated[i]) == (written[-1] != END)
        assert sequences.loss_mask[i].nonzero().flatten().tolist() == [int(env.start[i])]
    assert sequences.stage.tolist() == (env.start - 1).tolist()
    assert cost.tokens == int((sequences.length - sequences.start_length).sum())
    assert cost.generate_seconds > 0.0


def test_greedy_writing_is_what_the_full_forward_pass_would_write(policy: CausalLMPolicy) -> None:
    greedy = Sampling(temperature=0)
    sequences = play(policy, CopyEnv(32), episodes=32, seed=0, sampling=greedy).sequences
    for i in range(32):
        tokens = sequences.input_ids[i, : sequences.length[i]]
        for t in range(int(sequences.start_length[i]), len(tokens)):
            assert policy(tokens[None, :t])[0, -1].argmax() == tokens[t]


def test_a_seed_decides_everything(policy: CausalLMPolicy) -> None:
    a, b, c = (play(policy, CopyEnv(8), episodes=20, seed=s).sequences for s in (5, 5, 6))
    assert torch.equal(a.input_ids, b.input_ids)
    assert a.input_ids.shape[0] == 20
    assert a.input_ids.tolist() != c.input_ids.tolist()
    # Two waves of one rollout are not the same episodes.
    assert a.input_ids[:8].tolist() != a.input_ids[8:16].tolist()


def test_options_reach_each_wave(policy: CausalLMPolicy) -> None:
    options = [{"start_length": [1, 2]}, {"start_length": [3, 4]}]
    sequences = play(policy, CopyEnv(2), episodes=4, seed=0, options=options).sequences
    assert sequences.start_length.tolist() == [1, 2, 3, 4]


def test_an_env_without_verdicts_is_an_error(policy: CausalLMPolicy) -> None:
    env = CopyEnv(2)
    step = env.step

    def mute(actions: object) -> object:
        obs, reward, terminated, truncated, _ = step(actions)
        return obs, reward, terminated, truncated, {}

    env.step = mute  # type: ignore[method-assign]
    with pytest.raises(EpisodeError, match="verdict"):
        play(policy, env, episodes=2, seed=0)


@pytest.mark.parametrize("episodes", [12, 16])
def test_tokens_are_there_before_the_grades(policy: CausalLMPolicy, episodes: int) -> None:
    env = CopyEnv(8, judging_steps=3)
    written = write(policy, env, episodes=episodes, seed=1)
    assert not env.ended.all()
    tokens = written.tokens
    sequences, cost = written.finish()
    assert env.ended.all()
    assert len(tokens.length) == len(sequences.length) == episodes
    for ours, theirs in zip(tokens, sequences[:3], strict=True):
        assert torch.equal(ours, theirs)
    # The waves share the env's arrays; each keeps its own tokens.
    again = play(policy, CopyEnv(8), episodes=episodes, seed=1).sequences
    assert torch.equal(sequences.input_ids, again.input_ids)
    assert 0.0 < cost.waiting_seconds < cost.seconds


def test_nothing_is_waited_for_where_judging_is_synchronous(policy: CausalLMPolicy) -> None:
    sequences, cost = play(policy, CopyEnv(8), episodes=8, seed=1)
    assert cost.steps == int((sequences.length - sequences.start_length).max())


def test_time_between_writing_and_finishing_is_not_the_rollouts(
    policy: CausalLMPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count()
    monkeypatch.setattr(rollout, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    written = write(policy, CopyEnv(8, judging_steps=3), episodes=8, seed=1)
    between = 1000
    for _ in range(between):
        next(clock)
    cost = written.finish().cost
    assert 0 < cost.seconds < between
