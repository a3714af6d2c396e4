"""Checkpoints and adapters that are damaged, or none: an error of ours says what is wrong."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from agents import checkpoint, ppo, sft
from agents.environments import make_grader, make_tokenizer
from agents.hub import loading
from agents.lora import has_adapter
from agents.models import ModelSettings, empty_trunk, make_policy
from agents.policy import CausalLMPolicy
from agents.telemetry import RunLogger
from codegym.errors import ConfigurationError

from .checkpoints import save_checkpoint

TINY: Any = {
    "model_width": 16,
    "model_layers": 1,
    "problems": 2,
    "num_envs": 2,
    "episodes": 2,
    "max_new_tokens": 2,
    "iterations": 1,
    "eval_every": 0,
    "workers": 1,
}


def _load(model: Path, **changes: Any) -> CausalLMPolicy:
    settings = ModelSettings(model=str(model), **changes)
    return make_policy(settings, vocab_size=512, seed=0)


def _change(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_hidden_layers": 3, "layer_types": ["full_attention"] * 3}, "12 of 39 are missing"),
        ({"intermediate_size": 40}, r"6 of 27 have another shape, such as model\.layers"),
        ({"hidden_size": "wide"}, "cannot be loaded: "),  # why depends on transformers' version
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "cannot be loaded"),
    ],
)
def test_weights_that_do_not_fit_their_config_are_refused(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    folder = save_checkpoint("qwen2", tmp_path / "base")
    _change(folder / "config.json", **changes)
    with pytest.raises(ConfigurationError, match=message):
        _load(folder)


def test_a_weight_that_is_missing_is_no_random_one(tmp_path: Path) -> None:
    folder = save_checkpoint("qwen2", tmp_path / "base")
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.self_attn.q_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ConfigurationError, match=r"1 of 27 are missing, such as .*q_proj"):
        _load(folder)


@pytest.mark.parametrize(
    "file", ["policy.json", "adapter/adapter_config.json", "adapter/base.json"]
)
@pytest.mark.parametrize("text", ["[]", "{}", '{"format": 2, "vocab_size": null, "sample": 3}'])
def test_files_of_a_policy_that_say_something_else_are_refused(
    file: str, text: str, tmp_path: Path
) -> None:
    base = save_checkpoint("qwen2", tmp_path / "base")
    _load(base, lora_rank=2).save_pretrained(tmp_path / "policy")
    (tmp_path / "policy" / file).write_text(text)
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        _load(tmp_path / "policy")


@pytest.mark.parametrize("changes", [{"r": "two"}, {"r": 0}, {"target_modules": None}])
def test_an_adapter_of_no_known_shape_is_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    base = save_checkpoint("qwen2", tmp_path / "base")
    _load(base, lora_rank=2).save_pretrained(tmp_path / "policy")
    _change(tmp_path / "policy" / "adapter" / "adapter_config.json", **changes)
    for load in (_load, _dry):
        with pytest.raises(ConfigurationError, match="Expected an adapter in the folder"):
            load(tmp_path / "policy")


def _dry(model: Path, **changes: Any) -> Any:
    return empty_trunk(ModelSettings(model=str(model), **changes), vocab_size=512)


def test_an_adapter_alone_is_no_model(tmp_path: Path) -> None:
    """transformers loads one frozen, and a run would learn nothing."""
    base = save_checkpoint("qwen2", tmp_path / "base")
    _load(base, lora_rank=2).save_pretrained(tmp_path / "policy")
    for rank in (0, 2):
        with pytest.raises(ConfigurationError, match=r"is an adapter on one.*the folder above it"):
            _load(tmp_path / "policy" / "adapter", lora_rank=rank)


def test_weights_of_another_shape_are_not_loaded_into_a_model(tmp_path: Path) -> None:
    policy = _load(save_checkpoint("qwen2", tmp_path / "base"))
    wider = _load(save_checkpoint("qwen2", tmp_path / "wider", intermediate_size=40))
    wider.save_pretrained(tmp_path / "policy")
    with pytest.raises(ConfigurationError, match=r"(?s)of the same shape.*size mismatch"):
        policy.load(tmp_path / "policy")


@pytest.mark.parametrize("file", ["tokenizer.json", "tokenizer_config.json"])
def test_a_damaged_tokenizer_is_an_error_of_ours(file: str, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("[]")
    (tmp_path / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "PreTrainedTokenizerFast"}'
    )
    (tmp_path / file).write_text("[]")
    with pytest.raises(ConfigurationError, match="Expected a tokenizer in the folder"):
        make_tokenizer(str(tmp_path))


def test_a_full_memory_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    with pytest.raises(torch.OutOfMemoryError), loading(tmp_path, "a model"):
        full()
    for name in ("state.pt", "settings.json", "policy/policy.json", "reference/policy.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.setattr(torch, "load", full)
    with pytest.raises(torch.OutOfMemoryError):
        checkpoint.saved_iteration(tmp_path)


def test_a_checkpoint_of_a_gpu_goes_on_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = ppo.Args(**TINY, out=tmp_path / "run")
    with monkeypatch.context() as patch:
        # What a tensor of the first GPU is saved as.
        patch.setattr(torch.serialization, "location_tag", lambda _: "cuda:0")
        _run(args)
    good = tmp_path / "run" / "checkpoints" / "000001"
    assert checkpoint.saved_iteration(good) == 1
    assert _run(dataclasses.replace(args, resume=good)).iteration == 1


def test_a_damaged_good_state_does_not_keep_a_run_from_going_on(tmp_path: Path) -> None:
    args = ppo.Args(**TINY, out=tmp_path / "run")
    _run(args)
    (tmp_path / "run" / "good" / "state.pt").write_bytes(b"x")
    _run(dataclasses.replace(args, resume=tmp_path / "run" / "checkpoints" / "000001"))
    assert checkpoint.saved_iteration(tmp_path / "run" / "good") == 1


def _run(args: ppo.Args) -> ppo.PPO:
    with RunLogger(args.out, quiet=True) as logger, make_grader(args) as grader:
        return ppo.run(args, logger, grader=grader)


@pytest.mark.parametrize("ranks", [(0, 2), (2, 0)])
def test_nothing_of_an_earlier_policy_stays_beside_the_next_one(
    ranks: tuple[int, int], tmp_path: Path
) -> None:
    base = save_checkpoint("qwen2", tmp_path / "base")
    for rank in ranks:
        _load(base, lora_rank=rank).save_pretrained(tmp_path / "policy")
        (tmp_path / "policy" / "critic").mkdir(exist_ok=rank == ranks[0])
        (tmp_path / "policy" / "log.txt").touch()
    assert has_adapter(_load(tmp_path / "policy").trunk) == bool(ranks[1])
    assert {path.name for path in (tmp_path / "policy").iterdir()} == {
        "policy.json", "adapter" if ranks[1] else "trunk", "critic", "log.txt",
    }  # fmt: skip


def test_a_run_does_not_write_over_the_base_of_its_adapter(tmp_path: Path) -> None:
    policy = tmp_path / "run" / "policy"
    base = save_checkpoint("qwen2", tmp_path / "base")
    tokens = make_tokenizer("byte").vocab_size
    make_policy(ModelSettings(model=str(base)), vocab_size=tokens, seed=0).save_pretrained(policy)
    sizes = {name: size for name, size in TINY.items() if not name.startswith("model_")}
    files: Any = {"model": str(policy), "lora_rank": 2, "tokenizer": "byte"}
    with pytest.raises(ConfigurationError, match=r"policy/trunk'.*writes over.*Name another"):
        _run(ppo.Args(**sizes, **files, context_length=400, out=tmp_path / "run"))
    with pytest.raises(ConfigurationError, match=r"policy/trunk'.*writes over.*Name another"):
        sft.run(sft.Args(**files, matrix_learning_rate=None, steps=1, problems=2, out=policy))
    assert not has_adapter(CausalLMPolicy.from_pretrained(policy).trunk)


def test_what_a_killed_process_left_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "policy"
    with pytest.raises(ConfigurationError, match=r"there is no folder '[^']*policy'\.$"):
        _load(folder)
    (tmp_path / "policy.old").mkdir()
    with pytest.raises(ConfigurationError, match=r"stood there before is in '[^']*policy\.old'"):
        _load(folder)
