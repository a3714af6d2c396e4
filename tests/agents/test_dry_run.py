"""What the dry run tells is what a tiny model really takes."""

from __future__ import annotations

import dataclasses
import io
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn
from transformers import GPT2Config

from agents import dry_run, ppo
from agents.critic import make_critic
from agents.lora import add_adapter, has_adapter
from agents.models import empty_trunk, make_policy
from agents.parallel import Processes
from agents.policy import CausalLMPolicy
from codegym.errors import ConfigurationError

from .checkpoints import CONFIGS, save_checkpoint, tiny

IDS = torch.arange(40).view(4, 10)
START, LENGTH = torch.full((4,), 2), torch.full((4,), 10)


def _bytes(tensors: Any) -> int:
    return sum(t.numel() * t.element_size() for t in tensors if t is not None)


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("rank", [0, 4])
@pytest.mark.parametrize("critic", ["policy", "head", "none"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_weights_gradients_and_optimiser_are_exact(
    kind: str, rank: int, critic: Any, dtype: str, tmp_path: Path
) -> None:
    folder = save_checkpoint(kind, tmp_path)
    args = ppo.Args(model=str(folder), lora_rank=rank, critic=critic, dtype=dtype)
    told = dry_run.memory_of(args, empty_trunk(args, vocab_size=512))
    policy = make_policy(args, vocab_size=512, seed=0)
    made = make_critic(critic, policy)
    reference = policy.copy().requires_grad_(False)
    optimizer = ppo.make_optimizer(policy, made, args)
    policy.score(IDS, START, LENGTH).sum().backward()  # type: ignore[no-untyped-call]
    if made is not None:
        nn.init.normal_(made.head.weight)
        made.values(IDS, START, LENGTH).sum().backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    policies = list(policy.parameters())
    held = {id(p) for p in policies}
    assert told.weights == _bytes(policies)
    assert told.reference == _bytes(p for p in reference.parameters() if id(p) not in held)
    critics = [] if made is None else [p for p in made.parameters() if id(p) not in held]
    assert told.critic == _bytes(critics)
    assert told.gradients == _bytes(p.grad for p in [*policies, *critics])
    states = optimizer.state.values()
    assert told.optimizer == sum(_bytes(state.values()) for state in states)
    assert told.learned == sum(p.numel() for p in policies if p.requires_grad)


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("rank", [0, 4])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_activations_are_about_what_autograd_keeps(
    kind: str, rank: int, dtype: str, tmp_path: Path
) -> None:
    folder = save_checkpoint(kind, tmp_path, hidden_size=64, intermediate_size=160, head_dim=32)
    args = ppo.Args(
        model=str(folder),
        lora_rank=rank,
        dtype=dtype,
        critic="head",
        context_length=64,
        microbatch_tokens=256,
    )
    policy = make_policy(args, vocab_size=512, seed=0)
    kept: dict[int, int] = {}
    weights = {p.untyped_storage().data_ptr() for p in policy.parameters()}
    ids = torch.arange(256).view(4, 64)

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        hidden = policy.trunk.base_model(input_ids=ids, use_cache=False)[0]
    assert hidden.shape == (4, 64, 64)
    trunk = empty_trunk(args, vocab_size=512)
    told = most = dry_run.memory_of(args, trunk).activations
    if "CODEGYM_LOCKED" not in os.environ:
        # Other versions of PyTorch have other kernels, some of which keep the scores of attention.
        trunk.config._attn_implementation = "eager"
        most = dry_run.memory_of(args, trunk).activations
    assert 0.65 * told < sum(kept.values()) < 1.35 * most


def test_nothing_is_allocated_for_seven_billion_weights() -> None:
    config = tiny(
        "qwen2",
        vocab_size=152064,
        hidden_size=3584,
        intermediate_size=18944,
        num_hidden_layers=28,
        num_attention_heads=28,
        num_key_value_heads=4,
        head_dim=128,
        tie_word_embeddings=False,
    )
    args = ppo.Args(model="Qwen/Qwen2.5-7B", lora_rank=16, dtype="bfloat16", critic="head")
    trunk = empty_trunk(args, vocab_size=151665, config=config)
    assert {p.device.type for p in trunk.parameters()} == {"meta"}
    memory = dry_run.memory_of(args, trunk)
    assert memory.weights - 4 * memory.learned == 2 * 7_615_616_512
    assert memory.learned == 40_370_176
    full = dataclasses.replace(args, lora_rank=0)
    more = dry_run.memory_of(full, empty_trunk(full, vocab_size=151665, config=config))
    assert more.reference == more.weights
    assert more.peak > 2 * memory.peak
    without = dataclasses.replace(args, gradient_checkpointing=True)
    assert dry_run.memory_of(without, trunk).activations < memory.activations / 5


def test_work_is_two_operations_a_weight_and_token() -> None:
    policy = CausalLMPolicy.from_config_tiny(512, d=64, layers=2)
    args = ppo.Args(episodes=8, context_length=256, max_new_tokens=64, critic="none")
    work = dry_run.work_of(args, empty_trunk(args, vocab_size=512))
    assert (work.tokens, work.generated) == (8 * 256, 8 * 64)
    matrices = sum(p.numel() for n, p in policy.trunk.named_parameters() if "_proj" in n)
    body = 8 * 256 * 2 * (matrices + 2 * 64 * 256)
    assert work.generation == body + 8 * 64 * 2 * 512 * 64
    assert work.scoring == 2 * work.generation
    assert work.update == 3 * work.generation
    trunk = policy.trunk
    add_adapter(trunk, rank=2, alpha=4)
    assert has_adapter(trunk)
    assert dry_run.work_of(args, trunk).update == 2 * work.generation


def test_a_model_that_a_run_would_refuse_is_refused(tmp_path: Path) -> None:
    base = save_checkpoint("qwen2", tmp_path / "base")
    make_policy(ppo.Args(model=str(base), lora_rank=2), vocab_size=512, seed=0).save_pretrained(
        tmp_path / "policy"
    )
    policy = ppo.Args(model=str(tmp_path / "policy"), lora_rank=4)
    refused = [
        (policy, 512, "adapter of rank 2"),
        (dataclasses.replace(policy, lora_rank=0), 500, "was made for 512"),
        (ppo.Args(model=str(base)), 600, "each of the 600 actions"),
        (ppo.Args(model=str(base)), 200, "not the one that the checkpoint was trained with"),
    ]
    for args, vocab_size, message in refused:
        for make in (partial(make_policy, seed=0), empty_trunk):
            with pytest.raises(ConfigurationError, match=message):
                make(args, vocab_size=vocab_size)


def test_a_model_whose_layers_have_other_names_is_counted() -> None:
    shape = GPT2Config(vocab_size=512, n_embd=16, n_layer=2, n_head=2)
    args = ppo.Args(model="config:gpt2")
    trunk = empty_trunk(args, vocab_size=512, config=shape)
    assert dry_run.memory_of(args, trunk).activations > 0
    inner = 2 * (16 * 48 + 16 * 16 + 2 * 16 * 64)
    tokens, attention = args.episodes * args.context_length, 2 * 16 * args.context_length
    head = args.episodes * args.max_new_tokens * 2.0 * 512 * 16
    work = dry_run.work_of(args, trunk)
    assert work.generation == tokens * 2.0 * (inner + attention) + head


def test_the_command_prints_tables_and_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["ppo", "--dry-run", "--out", str(tmp_path / "run"), "--model-width", "32"]
    monkeypatch.setattr(sys, "argv", words)

    def never(*_: Any) -> None:
        raise AssertionError("a dry run must not run")

    ppo.command(ppo.Args, never)
    said = capsys.readouterr().out
    for part in ("reference", "optimiser", "peak, at most", "tokens", "1e+14"):
        assert part in said
    assert not (tmp_path / "run").exists()


def test_each_of_several_processes_has_all_models_and_its_share_of_the_programs() -> None:
    args = ppo.Args(model="tiny", num_envs=32, model_width=32)
    trunk = empty_trunk(args, vocab_size=512)
    alone = dry_run.memory_of(args, trunk)
    half = dry_run.memory_of(dataclasses.replace(args, num_envs=16), trunk)
    assert alone.generation == 2 * half.generation > 0
    two = dry_run.report(args, vocab_size=512, processes=Processes(index=0, count=2))
    console = Console(width=200, file=io.StringIO())
    console.print(two)
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert "in each of 2 processes" in said
    assert "2 processes share it" in said
    row = next(line for line in said.splitlines() if "while programs are written" in line)
    assert f"{half.generation / 1e9:.2f}" in row
    assert f"{alone.generation / 1e9:.2f}" not in row, "the numbers can be told apart"
    with pytest.raises(ConfigurationError, match=r"num_envs=32. Choose a multiple of 3"):
        dry_run.report(args, vocab_size=512, processes=Processes(index=0, count=3))
