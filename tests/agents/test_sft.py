from __future__ import annotations

import itertools
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from agents import sft
from agents.at_once import at_once
from agents.environments import TaskSettings, load_split, make_tokenizer
from agents.examples import batches, canonical, encode_example
from agents.policy import CausalLMPolicy
from agents.sft import example_stream, finetune
from codegym.envs import make_prompt_format
from codegym.errors import ConfigurationError, ContextLengthError
from codegym.problems import ProblemSet, flawed_solution

TOKENIZER = make_tokenizer("mini")
FORMAT = make_prompt_format("auto")


def _problems(size: int = 8) -> ProblemSet:
    return load_split(TaskSettings(difficulty="introductory"), split="train", size=size, seed=0)


def test_an_example_is_the_prompt_the_program_and_the_end() -> None:
    problem = _problems()[0]
    wrong = flawed_solution(problem, np.random.default_rng(3))
    example = encode_example(
        problem, wrong, tokenizer=TOKENIZER, prompt_format=FORMAT, context_length=300
    )
    prompt = TOKENIZER.decode(example.tokens[: example.start_length])
    assert prompt == FORMAT.render(problem).text + problem.starter_code
    assert TOKENIZER.decode(example.tokens[:-1]).endswith(wrong)
    assert example.tokens[-1] == TOKENIZER.end_id
    with pytest.raises(ContextLengthError, match="context_length is 20"):
        encode_example(problem, wrong, tokenizer=TOKENIZER, prompt_format=FORMAT, context_length=20)


def test_batches_hold_every_example_once_sorted_by_length_within_a_pool() -> None:
    problems = _problems(10)
    rng = np.random.default_rng(0)
    examples = [
        encode_example(
            problem,
            canonical(problem, rng),
            tokenizer=TOKENIZER,
            prompt_format=FORMAT,
            context_length=300,
        )
        for problem in problems
    ]
    drawn = list(batches(iter(examples), batch_size=4, pool=3, rng=rng, pad_id=0))
    rows = [
        tuple(batch.input_ids[i, : batch.length[i]].tolist())
        for batch in drawn
        for i in range(len(batch.length))
    ]
    assert sorted(rows) == sorted(example.tokens for example in examples)
    spans = sorted((int(batch.length.min()), int(batch.length.max())) for batch in drawn)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))


def test_muon_gets_the_matrices_inside_and_adamw_all_else() -> None:
    policy = CausalLMPolicy.from_config_tiny(TOKENIZER.vocab_size, d=32, layers=1, heads=2)
    for rate, shapes in ((0.01, 7), (None, 0)):
        optimizers = sft._optimizers(policy, 0.1, rate, 0.0)
        groups = [group["params"] for each in optimizers for group in each.param_groups]
        assert sorted(map(id, itertools.chain(*groups))) == sorted(
            map(id, policy.trunk.parameters())
        )
        assert (len(groups[1]) if rate else 0) == shapes  # 4 of attention, 3 of the layer behind
        embedding = policy.trunk.get_input_embeddings().weight
        assert any(each is embedding for each in groups[0])


@pytest.mark.parametrize("prompt_weight", [0.0, 0.5])
def test_finetuning_learns_the_programs_and_prompts_only_if_asked(prompt_weight: float) -> None:
    problems = _problems(4)
    rng = np.random.default_rng(0)
    stream = example_stream(
        problems, canonical, tokenizer=TOKENIZER, prompt_format=FORMAT, context_length=300, rng=rng
    )
    policy = CausalLMPolicy.from_config_tiny(TOKENIZER.vocab_size, d=32, layers=1, heads=2)
    feed = batches(stream, batch_size=4, pool=1, rng=rng, pad_id=TOKENIZER.pad_id)
    first = finetune(policy, feed, learning_rate=1e-2, steps=5, prompt_weight=prompt_weight)
    last = finetune(policy, feed, learning_rate=1e-2, steps=60, prompt_weight=prompt_weight)
    assert last["steps"] == 60
    assert last["loss"] < 0.3 < first["loss"]
    batch = next(feed)
    logits = policy(batch.input_ids).log_softmax(-1)
    prompt = [
        -logits[i, t - 1, batch.input_ids[i, t]].item()
        for i in range(4)
        for t in range(1, int(batch.start_length[i]))
    ]
    assert (float(np.mean(prompt)) > 3.0) == (prompt_weight == 0.0)


def test_flawed_programs_differ_from_one_round_to_the_next() -> None:
    problems = _problems(6)
    rng = np.random.default_rng(0)
    stream = example_stream(
        problems,
        partial(flawed_solution, rate=1.0),
        tokenizer=TOKENIZER,
        prompt_format=FORMAT,
        context_length=300,
        rng=rng,
    )
    rounds = [{next(stream).tokens for _ in range(6)} for _ in range(6)]
    assert len(set().union(*rounds)) > 6


def test_no_budget_and_no_fitting_example_are_errors() -> None:
    with pytest.raises(ConfigurationError, match="budget of at least one step, got 0"):
        sft.Args(steps=0)
    with pytest.raises(ConfigurationError, match=r"flaw_rate=0.5 has no effect"):
        sft.Args(env_id="CodeGen-MBPP-v0", flaw_rate=0.5)
    with pytest.raises(ConfigurationError, match=r"matrix_learning_rate=0.01 has no effect"):
        sft.Args(model="runs/sft", lora_rank=2, matrix_learning_rate=0.01)
    for name in ("prompt_weight", "weight_decay"):
        for number in (-1.0, float("nan")):
            with pytest.raises(ConfigurationError, match=f"{name} must be finite"):
                sft.Args(**{name: number})  # type: ignore[arg-type]
    stream = example_stream(
        _problems(3),
        canonical,
        tokenizer=TOKENIZER,
        prompt_format=FORMAT,
        context_length=5,
        rng=np.random.default_rng(0),
    )
    with pytest.raises(ConfigurationError, match="context_length=5"):
        next(stream)


def test_training_mode_is_left_off() -> None:
    policy = CausalLMPolicy.from_config_tiny(TOKENIZER.vocab_size, d=16, layers=1, heads=2)
    rng = np.random.default_rng(0)
    stream = example_stream(
        _problems(2),
        canonical,
        tokenizer=TOKENIZER,
        prompt_format=FORMAT,
        context_length=300,
        rng=rng,
    )
    finetune(
        policy,
        batches(stream, batch_size=2, pool=1, rng=rng, pad_id=0),
        learning_rate=1e-3,
        steps=1,
    )
    assert not policy.training
    assert torch.isfinite(torch.cat([p.flatten() for p in policy.parameters()])).all()


@pytest.mark.parametrize("rows", [1, 2, 5])
@pytest.mark.parametrize("prompt_weight", [0.0, 0.3])
def test_two_halves_have_the_gradient_of_the_whole(
    monkeypatch: pytest.MonkeyPatch, rows: int, prompt_weight: float
) -> None:
    policy = CausalLMPolicy.from_config_tiny(TOKENIZER.vocab_size, d=32, layers=1, heads=2)
    stream = example_stream(
        _problems(),
        canonical,
        tokenizer=TOKENIZER,
        prompt_format=FORMAT,
        context_length=400,
        rng=np.random.default_rng(0),
    )
    rng = np.random.default_rng(0)
    batch = next(batches(stream, batch_size=rows, pool=1, rng=rng, pad_id=TOKENIZER.pad_id))
    calls = []

    def counted(*parts: Any) -> Any:
        calls.append(parts)
        return at_once(*parts)

    monkeypatch.setattr(sft, "at_once", counted)

    def gradients() -> tuple[float, list[torch.Tensor]]:
        policy.zero_grad(set_to_none=True)
        loss = sft.backward(policy, batch, prompt_weight)
        return loss, [p.grad for p in policy.parameters() if p.grad is not None]

    loss, found = gradients()
    assert len(calls) == (rows > 1)
    assert all(map(torch.equal, found, gradients()[1]))  # and the same each time
    calls.clear()
    policy.trunk.config.attention_dropout = 1e-9
    whole_loss, whole = gradients()
    assert not calls
    assert loss == pytest.approx(whole_loss, rel=1e-5)
    for mine, theirs in zip(found, whole, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)

    # By hand: the mean over the programs' tokens, and over the prompts'.
    logprobs = policy.score(batch.input_ids, torch.ones_like(batch.start_length), batch.length)
    column = torch.arange(batch.input_ids.shape[1])
    program = (column >= batch.start_length[:, None]) & (column < batch.length[:, None])
    prompt = (column >= 1) & (column < batch.start_length[:, None])
    policy.zero_grad(set_to_none=True)
    by_hand = -logprobs[program].mean() - prompt_weight * logprobs[prompt].mean()
    by_hand.backward()  # type: ignore[no-untyped-call]
    assert whole_loss == pytest.approx(-logprobs[program].mean().item(), rel=1e-5)
    expected = [p.grad for p in policy.parameters() if p.grad is not None]
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)
