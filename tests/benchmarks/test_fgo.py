from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from agents import masks
from agents.advantages import whiten
from agents.policy import CausalLMPolicy
from agents.rollout import play
from agents.scoring import scored
from benchmarks.fgo import Args, _random_mask, batch_gradients
from benchmarks.fgo_report import (
    ARMS,
    Logarithm,
    Products,
    cosine,
    lines,
    mean_ratio,
    ratio_of_noise,
    ratio_of_signal,
    ratio_of_snr,
    snr,
)
from tests.agents.fake_env import VOCAB, CopyEnv

Gradients = npt.NDArray[np.float64]


def _gradients(signal: float, noise: float, *, batches: int = 400) -> Gradients:
    rng = np.random.default_rng(0)
    expected = np.zeros(500)
    expected[0] = signal
    found: Gradients = expected + noise * rng.normal(size=(batches, 500)) / np.sqrt(500)
    return found


def _own(gradients: Gradients) -> Products:
    return Products.of(gradients, gradients)


def test_the_ratio_is_that_of_signal_and_noise() -> None:
    g = _gradients(0.5, 2.0)
    assert snr(_own(g)) == pytest.approx(0.25 / 4.0, rel=0.1)
    assert snr(_own(3.0 * g)) == pytest.approx(snr(_own(g))), "no scale"
    assert abs(snr(_own(_gradients(0.0, 2.0)))) < 0.002, "noise alone is no signal"


def test_what_is_kept_of_a_batch_says_what_the_others_alone_would() -> None:
    g = _gradients(0.5, 2.0, batches=6)
    n, own, others = _own(g).sums_without()
    for i in range(6):
        rest = _own(np.delete(g, i, axis=0)).sums()
        assert (n, own[i], others[i]) == pytest.approx(rest)
    every = g @ g.T
    assert _own(g).others.sum() == pytest.approx(every.sum() - np.trace(every))


def test_a_mask_that_halves_the_variance_doubles_the_ratio() -> None:
    g = _gradients(0.5, 2.0)
    other = _gradients(0.5, 2.0 * np.sqrt(2.0))
    times, low, high = ratio_of_snr(_own(g), _own(other)).times()
    assert low < 2.0 < high
    assert times == pytest.approx(2.0, rel=0.15)
    assert high / low < 2.0
    assert ratio_of_snr(_own(g), _own(g)).times() == pytest.approx((1.0, 1.0, 1.0))
    assert ratio_of_signal(_own(g), _own(other)).times()[0] == pytest.approx(1.0, rel=0.15)
    assert ratio_of_noise(_own(g), _own(other)).times()[0] == pytest.approx(0.5, rel=0.05)
    assert ratio_of_signal(_own(3.0 * g), _own(g)).times() == pytest.approx((9.0, 9.0, 9.0))


def test_two_policies_say_it_with_less_error() -> None:
    one, other = Logarithm(math.log(2.0), 0.3, 39), Logarithm(math.log(8.0), 0.4, 39)
    mean = mean_ratio([one, other])
    assert mean.times()[0] == pytest.approx(4.0)
    assert mean.error == pytest.approx(0.25)
    assert mean.freedom == 78
    assert math.isnan(mean_ratio([one, Logarithm(math.nan, 0.1, 39)]).times()[0])


def test_the_cosine_is_that_of_the_expected_gradients() -> None:
    one, other = _gradients(1.0, 1.0), _gradients(1.0, 1.0)[:, ::-1].copy()
    assert cosine(_own(one), _own(one), _own(one)) == pytest.approx(1.0)
    assert abs(cosine(_own(one), _own(other), Products.of(one, other))) < 0.05


def test_gradients_are_those_of_the_masked_loss() -> None:
    policy = CausalLMPolicy.from_config_tiny(VOCAB, d=16, layers=2, heads=2, seed=0).eval()
    sequences = play(policy, CopyEnv(32), episodes=32, seed=0).sequences
    some = sequences.loss_mask & (torch.arange(sequences.loss_mask.shape[1]) % 2 == 0)
    sequences = sequences._replace(loss_mask=some)
    known = scored(sequences, torch.zeros(sequences.input_ids.shape))
    found = batch_gradients(policy, known, seed=0)
    executed = masks.executed(known)
    assert 0 < executed.sum() < known.generated.sum()
    logprobs = policy.score(sequences.input_ids, sequences.start_length, sequences.length)
    reward = sequences.reward[:, None].expand(executed.shape)
    loss = -(executed * whiten(reward, executed) * logprobs).sum() / executed.sum()
    parts = torch.autograd.grad(loss, list(policy.trunk.parameters()))
    expected = torch.cat([part.flatten() for part in parts]).double()
    assert torch.allclose(found["FGO, whitened over the mask"], expected, atol=1e-6)
    # A mask and its complement share out what no mask has, before each is divided by its size.
    sizes = executed.sum(), (known.generated & ~executed).sum()
    both = found["FGO"] * sizes[0] + found["complement"] * sizes[1]
    assert torch.allclose(both / known.generated.sum(), found["no mask"], atol=1e-6)
    chance = _random_mask(known, 0)
    assert torch.equal(chance.sum(1), executed.sum(1))
    assert not (chance & ~known.generated).any()
    assert not torch.equal(chance, executed)


def test_the_page_compares_each_arm_with_no_mask() -> None:
    g = _gradients(0.5, 2.0, batches=20)
    better = _gradients(0.5, 1.0, batches=20)
    names = list(ARMS)
    arms = dict.fromkeys(names, better) | {
        names[0]: g,
        "complement": _gradients(0.0, 1.0, batches=20),
    }
    pairs = [*zip(names, names, strict=True), *((names[0], name) for name in names)]
    products = {
        f"{one} x {other}": [part.tolist() for part in Products.of(arms[one], arms[other])]
        for one, other in pairs
    }
    row = {"seed": 1, "phase": "sft", "tests": 0, "executed": 0.8, "solved": 0.2}
    results: dict[str, Any] = {
        "command": "",
        "machine": {},
        "arguments": dataclasses.asdict(Args(batches=20, episodes=4)),
        "rows": [row | {"products": products}],
    }
    assert "Both policies" not in "\n".join(lines(results))
    results["rows"] *= 2
    text = "\n".join(lines(results))
    # 0.64, as four fifths of the tokens are summed up, of a quarter of the variance.
    (both,) = (line for line in text.splitlines() if line.startswith("| after SFT"))
    signal, noise, beside_random, whitened = both.split(" | ")[-4:]
    assert (signal[:2], noise[:4]) == ("0.", "0.16")
    # All arms but the first have the same gradients here.
    assert (beside_random, whitened) == ("1.00 (1.00 to 1.00)", "1.00 (1.00 to 1.00) |")
    assert "| after SFT | all | 80 | 1.25 |" in text
    assert text.count("| all | 1 | 20 | 80 | 1.25 |") == 2
    assert text.count("| none |") == 3, "what is left out has no signal"
    assert "nan" not in text
    assert "| batches | 20 of 4 programs " in text
    assert "## After SFT" in text
    assert "## After 60 iterations" not in text
