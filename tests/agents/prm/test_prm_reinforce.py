from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import codegym
from agents import ppo
from agents.advantages import gae, whiten
from agents.critic import TrunkCritic, make_critic
from agents.environments import load_split, make_envs, make_grader, make_tokenizer
from agents.models import make_policy
from agents.policy import CausalLMPolicy
from agents.prm.lines import vocabulary_hash
from agents.prm.model import ProcessRewardModel
from agents.prm.reinforce import (
    Args,
    load_reward_model,
    make_dense_reward,
    make_trainer,
    make_value_init,
)
from agents.rewards import process_reward, token_rewards, total_reward
from agents.rollout import play
from agents.scoring import scored
from agents.telemetry import RunLogger, read_scalars
from codegym.errors import ConfigurationError
from codegym.rewards import Potential, ProcessReward

SMALL = Args(
    model_width=16,
    model_layers=1,
    problems=4,
    num_envs=6,
    episodes=12,
    max_new_tokens=30,
    iterations=2,
    eval_every=0,
    warmup_updates=1,
    start="uniform",
    reward="binary",
    workers=1,
    threads=1,
)
TOKENIZER = make_tokenizer("mini")


@pytest.fixture(scope="module")
def grader() -> Iterator[codegym.Grader]:
    with make_grader(SMALL) as grader:
        yield grader


@pytest.fixture(scope="module")
def reward_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scores of both signs."""
    folder = tmp_path_factory.mktemp("prm")
    policy = make_policy(SMALL, vocab_size=TOKENIZER.vocab_size, seed=3)
    model = ProcessRewardModel.from_policy(policy, vocabulary=vocabulary_hash(TOKENIZER))
    with torch.no_grad():
        model.head.weight.normal_(0.0, 0.5, generator=torch.Generator().manual_seed(0))
    model.save_pretrained(folder)
    return folder


def trained(folder: Path, grader: codegym.Grader, **changes: Any) -> ppo.PPO:
    args = dataclasses.replace(SMALL, out=folder, **changes)
    policy = make_policy(args, vocab_size=TOKENIZER.vocab_size, seed=0)
    model = load_reward_model(args, TOKENIZER, device="cpu")
    with RunLogger(folder, quiet=True) as logger:
        trainer = ppo.PPO(
            args,
            policy=policy,
            make_critic=lambda policy: make_value_init(policy, args, model),
            problems=load_split(args, split="train", size=4, seed=0),
            grader=grader,
            logger=logger,
            reward=make_dense_reward(args, args.reward, model),
        )
        try:
            trainer.train()
        finally:
            trainer.close()
    return trainer


@pytest.mark.parametrize("dense", ["outcome", "online", "difference", "potential"])
def test_dense_rewards_reach_the_tokens_and_the_trainer(
    grader: codegym.Grader, reward_model: Path, tmp_path: Path, dense: str
) -> None:
    args = dataclasses.replace(SMALL, reward_model=reward_model, dense=dense, judging="async")  # type: ignore[arg-type]
    model = load_reward_model(args, TOKENIZER, device="cpu")
    policy = make_policy(args, vocab_size=TOKENIZER.vocab_size, seed=0)
    problems = load_split(args, split="train", size=4, seed=0)
    envs = make_envs(
        args,
        problems,
        start="uniform",
        grader=grader,
        tokenizer=TOKENIZER,
        reward=make_dense_reward(args, "binary", model),
    )
    try:
        sequences = play(policy, envs, episodes=12, seed=0).sequences
    finally:
        envs.close()
    paid = sequences.token_rewards
    assert torch.allclose(paid.sum(1), sequences.reward, atol=1e-5)
    columns = torch.arange(paid.shape[1])
    outside = (columns < sequences.start_length[:, None]) | (columns >= sequences.length[:, None])
    assert not paid[outside].any()
    last = columns == sequences.length[:, None] - 1
    assert paid[~last].any(), "nothing was paid before the end"
    known = scored(sequences, torch.zeros_like(paid))
    terms = token_rewards(make_dense_reward(args, "binary", model))
    assert list(terms) == ["tests", "process"]
    assert torch.equal(total_reward(terms, known).total, paid)
    assert torch.equal(terms["tests"](known).sum(1), sequences.solved.float())
    if dense == "potential":
        assert torch.allclose(sequences.reward, sequences.solved.float(), atol=1e-5)
    trainer = trained(tmp_path, grader, reward_model=reward_model, dense=dense, value_init="affine")
    assert trainer.iteration == 2
    for row in read_scalars(tmp_path):
        assert "loss/value" in row
        both = row["reward/tests"] + row["reward/process"]
        assert both == pytest.approx(row["rollout/reward"], abs=1e-5)


def test_a_potential_is_shaped_by_the_discount_of_the_run(reward_model: Path) -> None:
    args = dataclasses.replace(SMALL, reward_model=reward_model, dense="potential", gamma=0.9)
    model = load_reward_model(args, TOKENIZER, device="cpu")
    reward = make_dense_reward(args, "binary", model)
    assert isinstance(reward, ProcessReward)
    assert reward.form == Potential(gamma=0.9)


def test_each_token_of_a_line_is_credited_with_what_the_line_changed(
    grader: codegym.Grader, reward_model: Path, tmp_path: Path
) -> None:
    args = dataclasses.replace(SMALL, reward_model=reward_model, dense="step", out=tmp_path)
    with RunLogger(tmp_path, quiet=True) as logger:
        trainer = make_trainer(args, grader=grader, logger=logger)
        try:
            assert list(trainer.rewards) == ["tests"]
            sequences = play(trainer.policy, trainer.envs, episodes=12, seed=0).sequences
            trainer.train()
        finally:
            trainer.close()
    zeros = torch.zeros_like(sequences.token_rewards)
    known = scored(sequences, zeros, values=zeros, reference_logprobs=zeros)
    paid = process_reward(known)
    lines = neutral = 0
    credit = torch.zeros_like(paid)
    for row in range(len(paid)):
        ids = sequences.input_ids[row, : int(sequences.length[row])].tolist()
        begin = int(sequences.start_length[row])
        end = len(ids) - (0 if sequences.truncated[row] else 1)  # without the end token
        before = 1.0  # nothing is lost before the first line
        for column in range(begin, end):
            ended = set("\r\n") & set(TOKENIZER.decode([ids[column]]))
            if ended or column == end - 1:
                lines += 1
                if paid[row, column] == 0.0:
                    neutral += 1
                else:
                    # A reward of this form pays a quarter of what the score rises by, from 0.
                    credit[row, begin : column + 1] = 4.0 * paid[row, column] - before
                    before = 0.0
                begin = column + 1
    assert lines - neutral > 5
    assert neutral
    plain = gae(whitened=False)(total_reward(trainer.rewards, known).total, known)
    found = trainer.estimate(total_reward(trainer.rewards, known).total, known)
    assert torch.equal(found.returns, plain.returns)
    expected = whiten(plain.advantages + credit, known.generated)
    assert torch.allclose(found.advantages, expected, atol=1e-5)
    assert not torch.allclose(found.advantages, whiten(plain.advantages, known.generated))


def test_a_sparse_reward_is_paid_for_the_last_token(grader: codegym.Grader) -> None:
    policy = make_policy(SMALL, vocab_size=TOKENIZER.vocab_size, seed=0)
    problems = load_split(SMALL, split="train", size=4, seed=0)
    settings = dataclasses.replace(SMALL, reward="stepcoder")
    envs = make_envs(settings, problems, start="empty", grader=grader, tokenizer=TOKENIZER)
    try:
        sequences = play(policy, envs, episodes=6, seed=0).sequences
    finally:
        envs.close()
    rows = torch.arange(6)
    assert torch.equal(sequences.token_rewards[rows, sequences.length - 1], sequences.reward)
    assert torch.equal(sequences.token_rewards.sum(1), sequences.reward)


@pytest.mark.parametrize("init", ["off", "raw", "affine"])
def test_a_critic_of_its_own_learns_in_the_warm_up_and_the_policy_does_not(
    grader: codegym.Grader, reward_model: Path, tmp_path: Path, init: str
) -> None:
    trainer = trained(
        tmp_path,
        grader,
        reward_model=None if init == "off" else reward_model,
        value_init=init,
        iterations=1,
        learning_rate=0.1,
    )
    fresh = make_policy(SMALL, vocab_size=TOKENIZER.vocab_size, seed=0)
    for name, weight in fresh.trunk.state_dict().items():
        assert torch.equal(weight, trainer.policy.trunk.state_dict()[name]), name
    model = ProcessRewardModel.from_pretrained(reward_model)
    start = fresh.trunk if init == "off" else model.trunk
    assert isinstance(trainer.critic, TrunkCritic)
    moved = [
        not torch.equal(a, b)
        for (name, a), b in zip(
            start.named_parameters(), trainer.critic.trunk.parameters(), strict=True
        )
        if "lm_head" not in name and "embed_tokens" not in name
    ]
    assert all(moved) or init == "off"  # there the head is 0, so the trunk has no gradient
    loaded = CausalLMPolicy.from_pretrained(tmp_path / "policy")
    critic = make_critic("policy", loaded, tmp_path / "policy")
    assert critic is not None
    ids = torch.arange(9)[None], torch.tensor([1]), torch.tensor([9])
    assert torch.equal(critic.values(*ids), trainer.critic.values(*ids))


def test_a_model_that_is_used_must_be_given_and_fit(reward_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="reward_model=FOLDER"):
        load_reward_model(dataclasses.replace(SMALL, dense="outcome"), TOKENIZER, device="cpu")
    other = dataclasses.replace(SMALL, dense="outcome", reward_model=reward_model)
    with pytest.raises(ConfigurationError, match="another tokenizer"):
        load_reward_model(other, make_tokenizer("byte"), device="cpu")
    assert load_reward_model(SMALL, TOKENIZER, device="cpu") is None
    assert make_dense_reward(SMALL, "binary", None) == "binary"
    unused = dataclasses.replace(SMALL, reward_model=reward_model)
    with pytest.raises(ConfigurationError, match="not used"):
        load_reward_model(unused, TOKENIZER, device="cpu")


def test_only_a_critic_with_its_own_trunk_begins_as_the_model(reward_model: Path) -> None:
    head = dataclasses.replace(SMALL, critic="head", value_init="raw", reward_model=reward_model)
    with pytest.raises(ConfigurationError, match="trunk of its own"):
        load_reward_model(head, TOKENIZER, device="cpu")


def test_the_critic_begins_as_the_value_model(
    grader: codegym.Grader, reward_model: Path, tmp_path: Path
) -> None:
    args = dataclasses.replace(SMALL, value_model=reward_model, value_init="raw")
    policy = make_policy(SMALL, vocab_size=TOKENIZER.vocab_size, seed=0)
    assert load_reward_model(args, TOKENIZER, device="cpu") is None
    critic = make_value_init(policy, args, None)
    model = ProcessRewardModel.from_pretrained(reward_model)
    assert isinstance(critic, TrunkCritic)
    for name, weight in model.trunk.state_dict().items():
        assert torch.equal(weight, critic.trunk.state_dict()[name]), name
    for unused, name in (
        (dataclasses.replace(SMALL, value_model=reward_model), "value_model"),
        (dataclasses.replace(args, reward_model=reward_model), "reward_model"),
    ):
        with pytest.raises(ConfigurationError, match=f"^{name}=.* is given and not used"):
            load_reward_model(unused, TOKENIZER, device="cpu")
