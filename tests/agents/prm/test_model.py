from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from agents.policy import CausalLMPolicy
from agents.prm.lines import vocabulary_hash
from agents.prm.model import ProcessRewardModel, initialise_critic
from agents.prm.reinforce import ModelScorer
from codegym.errors import ConfigurationError
from codegym.tokenization import make_tokenizer

VOCAB = 40


def policy(**settings: object) -> CausalLMPolicy:
    return CausalLMPolicy.from_config_tiny(VOCAB, d=16, layers=2, heads=2, **settings).eval()  # type: ignore[arg-type]


@pytest.fixture
def model() -> ProcessRewardModel:
    found = ProcessRewardModel.from_policy(policy(seed=7), vocabulary="abc")
    with torch.no_grad():
        found.head.weight.normal_(generator=torch.Generator().manual_seed(0))
        found.head.bias.fill_(0.3)
    return found.eval()


def ids(rows: int = 3, width: int = 9) -> torch.Tensor:
    return torch.randint(0, VOCAB, (rows, width), generator=torch.Generator().manual_seed(1))


def test_a_new_model_scores_zero_and_shares_nothing_with_the_policy() -> None:
    start = policy(seed=7)
    model = ProcessRewardModel.from_policy(start, vocabulary="abc")
    assert torch.equal(model(ids()), torch.zeros(3, 9))
    with torch.no_grad():
        next(model.trunk.parameters()).add_(1.0)
    assert not torch.equal(next(model.trunk.parameters()), next(start.trunk.parameters()))


def test_saved_and_loaded_scores_are_the_same(model: ProcessRewardModel, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    loaded = ProcessRewardModel.from_pretrained(tmp_path, vocabulary="abc")
    assert torch.equal(loaded(ids()), model(ids()))


@pytest.mark.parametrize("how", ["raw", "affine"])
def test_the_first_values_are_the_reward_models(model: ProcessRewardModel, how: str) -> None:
    start = policy(seed=2)
    critic = initialise_critic(start, model, how=how)  # type: ignore[arg-type]
    scores = model(ids())
    expected = scores if how == "raw" else (scores + 1.0) / 2.0
    # Column t of a rollout's values speaks of the state before token t.
    told = critic.values(ids(), torch.tensor([2, 2, 2]), torch.tensor([9, 9, 9]))
    assert torch.allclose(told[:, 2:], expected[:, 1:-1], atol=1e-6)
    # Training the critic leaves the model alone.
    with torch.no_grad():
        critic.head.bias.add_(1.0)
        next(critic.trunk.parameters()).add_(1.0)
    assert torch.equal(model(ids()), scores)


def test_a_critic_of_other_tokens_is_refused(model: ProcessRewardModel) -> None:
    other = CausalLMPolicy.from_config_tiny(VOCAB + 1, d=16, layers=1, heads=2)
    with pytest.raises(ConfigurationError, match="tokenizer"):
        initialise_critic(other, model, how="raw")


def test_another_vocabulary_is_refused(model: ProcessRewardModel, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match="another tokenizer"):
        ProcessRewardModel.from_pretrained(tmp_path, vocabulary="abd")


def test_folders_that_hold_no_model_are_refused(model: ProcessRewardModel, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"agents\.prm\.train"):
        ProcessRewardModel.from_pretrained(tmp_path)
    model.save_pretrained(tmp_path)
    meta = json.loads((tmp_path / "prm.json").read_text())
    (tmp_path / "prm.json").write_text(json.dumps({**meta, "format": 2}))
    with pytest.raises(ConfigurationError, match="format 1"):
        ProcessRewardModel.from_pretrained(tmp_path)


def test_weights_of_another_architecture_are_refused(
    model: ProcessRewardModel, tmp_path: Path
) -> None:
    model.save_pretrained(tmp_path)
    deeper = CausalLMPolicy.from_config_tiny(VOCAB, d=16, layers=3, heads=2)
    config = tmp_path / "trunk" / "config.json"
    weights = config.read_text()
    deeper.trunk.config.save_pretrained(tmp_path / "trunk")
    with pytest.raises(ConfigurationError, match="do not belong to the architecture"):
        ProcessRewardModel.from_pretrained(tmp_path)
    config.write_text(weights)
    wider = ProcessRewardModel.from_policy(
        CausalLMPolicy.from_config_tiny(VOCAB, d=32, layers=2, heads=2), vocabulary="abc"
    )
    wider.save_pretrained(tmp_path / "wider")
    (tmp_path / "wider" / "head.safetensors").replace(tmp_path / "head.safetensors")
    with pytest.raises(ConfigurationError, match="does not fit the trunk"):
        ProcessRewardModel.from_pretrained(tmp_path)


def test_scores_do_not_depend_on_what_else_is_asked(model: ProcessRewardModel) -> None:
    rng = np.random.default_rng(0)
    programs = [rng.integers(0, VOCAB, n) for n in (4, 9, 30)]
    ends = [np.array([4]), np.array([3, 7, 9]), np.array([29])]
    asked = [program[:end] for program, each in zip(programs, ends, strict=True) for end in each]
    tokens = [programs[0], programs[1], programs[2][:29]]
    for max_tokens in (1, 10_000):
        scores = ModelScorer(model, max_tokens=max_tokens)(tokens, ends)
        for sequence, score in zip(asked, scores, strict=True):
            alone = model(torch.as_tensor(sequence)[None])[0, -1].item()
            assert score == pytest.approx(alone, abs=1e-5)


def test_a_program_is_read_once_however_many_lines_are_asked(model: ProcessRewardModel) -> None:
    read: list[int] = []
    model.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0].numel()))
    program = np.arange(20) % VOCAB
    ModelScorer(model)([program], [np.array([5, 10, 15, 20])])
    assert read == [20]


def test_vocabularies_are_told_apart() -> None:
    mini, byte = make_tokenizer("mini"), make_tokenizer("byte")
    assert vocabulary_hash(mini) == vocabulary_hash(make_tokenizer("mini"))
    assert vocabulary_hash(mini) != vocabulary_hash(byte)
