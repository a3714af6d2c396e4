from __future__ import annotations

import ast
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from agents import reinforce
from agents.reinforce import Args, Episodes, log_probabilities, loss, play, train
from codegym.errors import ConfigurationError, UnknownNameError
from tests.agents.fake_env import VOCAB, CopyEnv


def _model(vocab_size: int = VOCAB, width: int = 16) -> LlamaForCausalLM:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=vocab_size,
                hidden_size=width,
                intermediate_size=2 * width,
                num_hidden_layers=1,
                num_attention_heads=2,
                num_key_value_heads=2,
                bos_token_id=None,
                eos_token_id=None,
            )
        )
    model.eval()  # type: ignore[no-untyped-call]
    return model


def test_episodes_are_what_the_environment_saw() -> None:
    env = CopyEnv(32)
    episodes = play(_model(), env, 1, torch.Generator().manual_seed(0))
    width = episodes.input_ids.shape[1]
    assert width == env.count.max()
    assert episodes.input_ids.tolist() == env.ids[:, :width].tolist()
    assert episodes.generated.sum(1).tolist() == (env.count - env.start).tolist()
    first = episodes.generated.float().argmax(1)
    assert first.tolist() == env.start.tolist()
    assert episodes.executed.sum(1).tolist() == [1] * 32
    expected = [1.0 if solved else -0.3 for solved in episodes.solved.tolist()]
    assert episodes.reward.tolist() == pytest.approx(expected)


def test_log_probabilities_are_those_of_the_model() -> None:
    model = _model(vocab_size=VOCAB + 5)
    ids = torch.tensor([[1, 2, 3], [4, 5, 0]])
    found = log_probabilities(model, ids, VOCAB)
    assert found[:, 0].tolist() == [0.0, 0.0]
    for t in (1, 2):
        logits = model(input_ids=ids[:, :t]).logits[:, -1, :VOCAB]
        expected = logits.log_softmax(-1)[torch.arange(2), ids[:, t]]
        assert torch.allclose(found[:, t], expected, atol=1e-5)


def test_the_loss_by_hand() -> None:
    logprobs = torch.tensor([[0.0, -1.0, -2.0], [0.0, 0.0, -3.0], [0.0, -4.0, 0.0]])
    generated = torch.tensor([[0, 1, 1], [0, 0, 1], [0, 1, 0]]).bool()
    executed = torch.tensor([[0, 1, 0], [0, 0, 1], [0, 0, 0]]).bool()
    ids = torch.zeros(3, 3, dtype=torch.int64)
    reward = torch.tensor([1.0, 0.0, -1.0])
    episodes = Episodes(ids, generated, executed, reward, reward > 0)
    # Rewards less the mean of the others: 1.5, 0, -1.5.
    assert loss(logprobs, episodes, fgo=False).item() == pytest.approx(
        -(1.5 * -3.0 + 0.0 * -3.0 - 1.5 * -4.0) / 4
    )
    assert loss(logprobs, episodes, fgo=True).item() == pytest.approx(-(1.5 * -1.0) / 2)


def test_it_learns_to_copy_a_token() -> None:
    args = Args(iterations=72, learning_rate=5e-3, fgo=False)
    rows = list(train(_model(width=32), CopyEnv(256, max_new_tokens=2), args))
    solved = [row["solved"] for row in rows]
    assert sum(solved[:3]) / 3 < 0.03
    assert sum(solved[-3:]) / 3 > 0.1


def test_the_command_plays_mini_and_saves_the_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _model(vocab_size=512).save_pretrained(tmp_path / "model")
    args = Args(
        model=str(tmp_path / "model"),
        episodes=4,
        iterations=1,
        max_new_tokens=4,
        fgo=False,
        out=tmp_path / "out",
    )
    reinforce.run(args)
    assert "iteration 1: reward" in capsys.readouterr().out
    saved = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert saved.config.vocab_size == 512
    with pytest.raises(ConfigurationError, match="episodes to be 2 or more, got 1"):
        reinforce.run(Args(episodes=1))
    with pytest.raises(UnknownNameError, match="CodeGen-Mini-v0"):
        reinforce.run(Args(env_id="CodeGen-Min-v0"))
    with pytest.raises(ConfigurationError, match="causal language model in"):
        reinforce.run(Args(model=str(tmp_path / "nothing")))


def test_it_stands_alone() -> None:
    tree = ast.parse(Path(reinforce.__file__).read_text())
    modules = [n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    modules += [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
    assert not [module for module in modules if module.split(".")[0] == "agents"]
