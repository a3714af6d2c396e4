"""Adapters: what is learned, what is shared, what is saved, and what becomes of it."""

from __future__ import annotations

import builtins
import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, Gemma3Config

import codegym
from agents import evaluate, export, ppo, sft
from agents.checkpoint import saved_iteration
from agents.critic import make_critic
from agents.environments import make_grader
from agents.lora import add_adapter, has_adapter, require_adapter
from agents.memory import OutOfMemoryError, watched_memory
from agents.models import ModelSettings, make_policy
from agents.policy import CausalLMPolicy
from agents.prm.model import ProcessRewardModel, initialise_critic
from agents.running import train
from agents.telemetry import RunLogger, read_scalars
from codegym.errors import ConfigurationError

from .checkpoints import CONFIGS, save_checkpoint

IDS = torch.arange(30).view(3, 10)
START, LENGTH = torch.full((3,), 2), torch.full((3,), 10)


@pytest.fixture(scope="module")
def grader() -> Iterator[codegym.Grader]:
    with make_grader(ppo.Args(workers=1)) as grader:
        yield grader


def test_what_reads_pictures_gets_no_adapter() -> None:
    """Its layers are called as those that read text are."""
    sizes: dict[str, Any] = {
        "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }  # fmt: skip
    config = Gemma3Config(
        text_config={**sizes, "num_key_value_heads": 1, "head_dim": 8, "vocab_size": 64},
        vision_config={**sizes, "image_size": 28, "patch_size": 14},
        mm_tokens_per_image=4,
    )
    policy = CausalLMPolicy.from_config(config, vocab_size=64)
    assert "SiglipVisionModel" in {type(module).__name__ for module in policy.trunk.modules()}
    add_adapter(policy.trunk, rank=2, alpha=4)
    learned = [name for name, weight in policy.trunk.named_parameters() if weight.requires_grad]
    assert len(learned) == 2 * 7 * 2
    assert all("language_model.layers" in name and ".lora_" in name for name in learned)
    require_adapter(policy.trunk, rank=2, alpha=4, targets=("all-linear",))
    assert policy.score(IDS, START, LENGTH).isfinite().all()


def _args(base: Path, **changes: Any) -> ppo.Args:
    settings: dict[str, Any] = {
        "model": str(base),
        "lora_rank": 2,
        "lora_alpha": 4,
        "problems": 4,
        "num_envs": 4,
        "episodes": 4,
        "minibatches": 2,
        "max_new_tokens": 6,
        "warmup_updates": 0,
        "iterations": 1,
        "eval_every": 0,
        "fgo": False,
        "anneal": False,
        "workers": 1,
        "threads": 1,
    }
    return ppo.Args(**{**settings, **changes})


class Paid(ppo.PPO):
    """Is paid for every even token: programs of six random tokens all fail alike."""

    def __init__(self, *args: Any, **parts: Any) -> None:
        super().__init__(*args, **parts)
        self.rewards = {
            **self.rewards,
            "even": lambda known: known.generated * (known.sequences.input_ids % 2 == 0).float(),
        }


def _run(args: ppo.Args, grader: codegym.Grader) -> ppo.PPO:
    resume_at = None if args.resume is None else saved_iteration(args.resume) + 1
    with RunLogger(args.out, quiet=True, resume_at=resume_at) as logger:
        return train(Paid.make, args, logger, grader=grader)


def _policy(base: Path, **changes: Any) -> CausalLMPolicy:
    """With an adapter that says something."""
    settings: Any = {"lora_rank": 2, "lora_alpha": 4, **changes}
    policy = make_policy(ModelSettings(model=str(base), **settings), vocab_size=512, seed=0)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(1)
        for name, weight in policy.named_parameters():
            if "lora_B" in name:
                weight.normal_()
    return policy


def _parts(model: torch.nn.Module) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Copies of the adapter's weights, and of the base's."""
    weights = {name: p.detach().clone() for name, p in model.named_parameters()}
    adapter = {name: weight for name, weight in weights.items() if ".lora_" in name}
    return adapter, {name: weights[name] for name in weights.keys() - adapter.keys()}


def _equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"critic": "head"},
        {"critic": "none", "lora_targets": ("q_proj", "v_proj")},
        {"critic": "policy", "gradient_checkpointing": True, "dtype": "bfloat16"},
        {"critic": "shared", "kl": "reward", "dtype": "float16", "gradient_checkpointing": True},
    ],
    ids=["policy", "head", "none", "bfloat16", "float16"],
)
def test_an_iteration_moves_the_adapter_and_nothing_else(
    kind: str, changes: dict[str, Any], grader: codegym.Grader, tmp_path: Path
) -> None:
    base = save_checkpoint(kind, tmp_path / "base")
    args = _args(base, out=tmp_path / "run", **changes)
    fresh = make_policy(args, vocab_size=512, seed=0)
    trainer = _run(args, grader)
    (row,) = read_scalars(args.out)
    assert row["kl/reference_k1"] == 0.0
    assert row["kl/reference_k3"] == 0.0
    assert row["update/policy_gradient_norm"] > 0.0
    (adapter, weights), (before, base_before) = _parts(trainer.policy), _parts(fresh)
    assert _equal(weights, base_before)
    assert {w.dtype for w in adapter.values()} == {torch.float32}
    assert {w.dtype for w in weights.values()} == {getattr(torch, args.dtype)}
    assert any(not torch.equal(adapter[name], before[name]) for name in adapter)
    assert _equal(_parts(trainer.reference)[0], before)
    # One copy of the base, and an optimiser of what is learned.
    models = [trainer.policy, trainer.reference, *([trainer.critic] if trainer.critic else [])]
    held = {id(p): p for model in models for p in model.parameters()}
    mine = {id(p) for p in trainer.policy.parameters()}
    for model in models[1:]:
        shared = {name for name, p in model.named_parameters() if id(p) in mine}
        own = {"head.weight", "head.bias"}
        assert shared == _parts(model)[1].keys() - own
    learned = [p for group in trainer.optimizer.param_groups for p in group["params"]]
    assert all(p.requires_grad for p in learned)
    assert len(learned) == len({id(p) for p in held.values() if p.requires_grad})
    # What is saved is small, and the same again.
    assert {path.name for path in (args.out / "policy").iterdir()} <= {
        "adapter",
        "policy.json",
        "critic",
    }
    dtype = getattr(torch, args.dtype)
    loaded = CausalLMPolicy.from_pretrained(args.out / "policy", dtype=dtype)
    assert torch.equal(loaded.eval()(IDS), trainer.policy(IDS))
    if args.critic == "policy":
        again = make_critic("policy", loaded, args.out / "policy")
        assert again is not None
        assert trainer.critic is not None
        assert torch.equal(
            again.values(IDS, START, LENGTH), trainer.critic.values(IDS, START, LENGTH)
        )


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("critic", ["policy", "head"])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_critic_learns_without_moving_the_policy(
    kind: str, critic: Any, checkpointing: bool, tmp_path: Path
) -> None:
    base = save_checkpoint(kind, tmp_path)
    policy = _policy(base, gradient_checkpointing=checkpointing)
    made = make_critic(critic, policy)
    assert made is not None
    before = policy(IDS)
    made.train(checkpointing)
    torch.nn.init.normal_(made.head.weight)
    optimizer = torch.optim.SGD([p for p in made.parameters() if p.requires_grad], lr=1.0)
    values = made.values(IDS, START, LENGTH)
    values.square().sum().backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is None for p in policy.parameters())
    assert all(p.grad is not None for p in made.parameters() if p.requires_grad)
    optimizer.step()
    assert torch.equal(policy(IDS), before)
    assert not torch.equal(made.values(IDS, START, LENGTH), values)


@pytest.mark.parametrize("kind", ["qwen2", "gemma2"])
def test_checkpointing_changes_no_gradient_of_an_adapter(kind: str, tmp_path: Path) -> None:
    base = save_checkpoint(kind, tmp_path)
    gradients = []
    for checkpointing in (False, True):
        policy = _policy(base, gradient_checkpointing=checkpointing).train(checkpointing)
        policy.score(IDS, START, LENGTH).sum().backward()  # type: ignore[no-untyped-call]
        gradients.append([p.grad for p in policy.parameters() if p.requires_grad])
    for plain, again in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, again)
        assert bool(plain.any())


@pytest.mark.parametrize("critic", ["policy", "head"])
def test_a_run_goes_on_bit_for_bit(critic: str, grader: codegym.Grader, tmp_path: Path) -> None:
    base = save_checkpoint("qwen2", tmp_path / "base")
    args = _args(base, iterations=3, critic=critic, checkpoint_every=1, dtype="bfloat16")
    whole = _run(dataclasses.replace(args, out=tmp_path / "whole"), grader)
    first = tmp_path / "whole" / "checkpoints" / "000001"
    assert not list(first.rglob("model*.safetensors")), "the base is not saved again and again"
    torch.manual_seed(5)
    resumed = _run(dataclasses.replace(args, out=tmp_path / "on", resume=first), grader)
    assert _equal(*(_parts(run.policy)[0] for run in (whole, resumed)))
    assert _equal(*(_parts(run.reference)[0] for run in (whole, resumed)))
    assert whole.critic is not None
    assert resumed.critic is not None
    for name, weight in whole.critic.state_dict().items():
        assert torch.equal(weight, resumed.critic.state_dict()[name]), name
    mine, its = (run.optimizer.state_dict()["state"] for run in (whole, resumed))
    for key, state in mine.items():
        assert torch.equal(state["exp_avg_sq"], its[key]["exp_avg_sq"])


class Leaves(Paid):
    """Runs away once."""

    def iterate(self) -> dict[str, float]:
        metrics = super().iterate()
        return {**metrics, "kl/reference_k1": 9.0 if self.iteration == 1 else 0.0}


def test_the_guard_goes_back_to_the_adapter_that_was_good(
    grader: codegym.Grader, tmp_path: Path
) -> None:
    base = save_checkpoint("gemma2", tmp_path / "base")
    args = _args(base, out=tmp_path / "run")
    with RunLogger(args.out, quiet=True) as logger:
        trainer = Leaves.make(args, grader=grader, logger=logger)
        good = _parts(trainer.policy)
        trainer.train()
        trainer.close()
    assert len(trainer.guard.state.returns) == 1
    assert _equal(_parts(trainer.policy)[0], good[0])
    assert _equal(_parts(trainer.policy)[1], good[1])


def test_a_saved_adapter_is_the_reference_of_the_next_run(
    grader: codegym.Grader, tmp_path: Path
) -> None:
    """Else its KL would not be 0 at the start, and what was learned before would be unlearned."""
    policy = _policy(save_checkpoint("llama", tmp_path / "base"))
    policy.save_pretrained(tmp_path / "before")
    rank: Any = {"lora_rank": 0, "lora_alpha": 32}
    trainer = _run(_args(tmp_path / "before", out=tmp_path / "run", **rank), grader)
    assert read_scalars(tmp_path / "run")[0]["kl/reference_k3"] == 0.0
    assert _equal(_parts(trainer.reference)[0], _parts(policy)[0])
    assert not _equal(_parts(trainer.policy)[0], _parts(policy)[0])


def test_sft_teaches_an_adapter_by_adamw(tmp_path: Path) -> None:
    base = save_checkpoint("qwen2", tmp_path / "base")
    args = sft.Args(
        model=str(base), lora_rank=2, steps=2, problems=4, batch_size=2, out=tmp_path / "sft"
    )
    policy = sft.run(args)
    assert [type(o) for o in sft._optimizers(policy, 1e-3, 1e-3, 0.0)] == [torch.optim.AdamW]
    assert _equal(_parts(policy)[1], _parts(make_policy(args, vocab_size=512, seed=0))[1])
    loaded = CausalLMPolicy.from_pretrained(tmp_path / "sft").eval()
    assert torch.equal(loaded(IDS), policy(IDS))


def test_a_reward_model_of_a_policy_with_an_adapter(tmp_path: Path) -> None:
    policy = _policy(save_checkpoint("qwen2", tmp_path / "base"))
    model = ProcessRewardModel.from_policy(policy, vocabulary="v")
    torch.nn.init.normal_(model.head.weight)
    model.save_pretrained(tmp_path / "prm")
    loaded = ProcessRewardModel.from_pretrained(tmp_path / "prm")
    assert torch.equal(loaded(IDS), model(IDS))
    assert has_adapter(initialise_critic(policy, loaded, how="raw").trunk)


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("adapter", [True, False])
def test_an_export_is_a_plain_checkpoint_with_the_same_logits(
    kind: str, adapter: bool, tmp_path: Path
) -> None:
    policy = _policy(save_checkpoint(kind, tmp_path / "base"))
    if not adapter:
        policy = CausalLMPolicy.from_pretrained(tmp_path / "base", vocab_size=512)
    policy.save_pretrained(tmp_path / "policy")
    args = export.Args(model=tmp_path / "policy", out=tmp_path / "plain", dtype="float32")
    assert "no tokenizer" in export.export(args)
    plain: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "plain")
    assert type(plain).__name__ == type(policy.trunk).__name__
    logits = plain.eval()(input_ids=IDS).logits
    torch.testing.assert_close(logits, policy.eval()(IDS), atol=1e-4, rtol=1e-4)
    untouched: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    assert adapter != torch.allclose(untouched.eval()(input_ids=IDS).logits, logits, atol=1e-2)
    names = {path.name for path in (tmp_path / "plain").iterdir()}
    assert {"config.json", "model.safetensors"} <= names
    assert not any("adapter" in name for name in names)
    with pytest.raises(ConfigurationError, match="there already"):
        export.export(args)


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # peft's
def test_peft_itself_loads_an_adapter(tmp_path: Path) -> None:
    import peft

    policy = _policy(save_checkpoint("qwen2", tmp_path / "base"))
    policy.save_pretrained(tmp_path / "policy")
    base = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    model = peft.PeftModel.from_pretrained(base, str(tmp_path / "policy" / "adapter"))
    torch.testing.assert_close(model.eval()(input_ids=IDS).logits, policy.eval()(IDS))


def test_an_export_has_the_tokenizer_of_its_run(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="a"))
    )
    words.save_pretrained(tmp_path / "words")
    _policy(save_checkpoint("llama", tmp_path / "base")).save_pretrained(tmp_path / "run" / "last")
    (tmp_path / "run" / "good").mkdir()
    settings = json.dumps({"tokenizer": f"hf:{tmp_path / 'words'}"})
    (tmp_path / "run" / "good" / "settings.json").write_text(settings)
    said = export.export(export.Args(model=tmp_path / "run" / "last", out=tmp_path / "plain"))
    assert "bfloat16" in said
    assert (tmp_path / "plain" / "tokenizer.json").is_file()


def test_an_export_of_a_fine_tuned_policy_has_its_tokenizer(tmp_path: Path) -> None:
    args = sft.Args(
        model_width=16, problems=4, steps=1, batch_size=2, tokenizer="byte", out=tmp_path / "sft"
    )
    sft.run(args)
    said = export.export(export.Args(model=args.out, out=tmp_path / "plain"))
    assert "no tokenizer, because it is byte" in said


def test_what_does_not_belong_together_is_an_error_of_ours(tmp_path: Path) -> None:
    base = save_checkpoint("qwen2", tmp_path / "base")
    _policy(base).save_pretrained(tmp_path / "policy")

    def load(**changes: Any) -> CausalLMPolicy:
        settings: Any = {"model": str(tmp_path / "policy"), **changes}
        return make_policy(ModelSettings(**settings), vocab_size=512, seed=0)

    assert has_adapter(load(lora_rank=2, lora_alpha=4).trunk)
    with pytest.raises(ConfigurationError, match=r"adapter of rank 2, alpha 4.*lora_rank=8"):
        load(lora_rank=8, lora_alpha=4)
    with pytest.raises(ConfigurationError, match=r"lora_targets=q_proj were asked for"):
        load(lora_rank=2, lora_alpha=4, lora_targets=("q_proj",))
    with pytest.raises(ConfigurationError, match=r"linear layers .*q_proj.*got lm_head"):
        _policy(base, lora_targets=("lm_head",))
    wider = make_policy(ModelSettings(model=str(base), lora_rank=4), vocab_size=512, seed=0)
    with pytest.raises(ConfigurationError, match=r"has rank 2 on .*expected rank 4"):
        wider.load(tmp_path / "policy")
    shutil.rmtree(base)
    with pytest.raises(ConfigurationError, match=r"no folder .*base"):
        load()
    save_checkpoint("qwen2", base, seed=7)
    with pytest.raises(ConfigurationError, match="trained on other weights"):
        load()
    save_checkpoint("qwen2", base, hidden_size=32)
    with pytest.raises(ConfigurationError, match=r"does not fit|trained on other weights"):
        load()
    (tmp_path / "policy" / "adapter" / "adapter_model.safetensors").write_bytes(b"x")
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        load()


def test_settings_of_adapters_without_meaning_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"lora_rank=4 has no effect.*learned weights"):
        ppo.Args(lora_rank=4)
    with pytest.raises(ConfigurationError, match=r"lora_alpha=8 has no effect.*lora_rank > 0"):
        ppo.Args(model="some/model", lora_alpha=8)
    with pytest.raises(ConfigurationError, match="lora_rank must be 0 or more"):
        ppo.Args(model="some/model", lora_rank=-1)
    with pytest.raises(ConfigurationError, match="lora_alpha must be 1 or more"):
        ppo.Args(model="some/model", lora_rank=4, lora_alpha=0)


def test_without_peft_the_error_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name == "peft":
            raise ImportError(name)
        return real(name, *rest, **named)

    base = save_checkpoint("qwen2", tmp_path)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigurationError, match=r"need peft.*\[agents,llm\]"):
        _policy(base)


class Full(Paid):
    """A GPU whose memory is full in the second iteration."""

    def iterate(self) -> dict[str, float]:
        if self.iteration == 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore")
        return super().iterate()


def test_a_full_memory_says_what_to_lower_and_keeps_the_good_state(
    grader: codegym.Grader, tmp_path: Path
) -> None:
    base = save_checkpoint("qwen2", tmp_path / "base")
    args = _args(base, iterations=2, out=tmp_path / "run")
    with RunLogger(args.out, quiet=True) as logger, pytest.raises(OutOfMemoryError) as caught:
        train(Full.make, args, logger, grader=grader)
    message = str(caught.value)
    for part in (
        "device='cpu' is full",
        "Lower microbatch_tokens=2048, num_envs=4.",
        "choose dtype='bfloat16' or gradient_checkpointing=True or critic='head'",
        f"last good state is in {args.out / 'good'}",
        "Tried to allocate 2.00 GiB.",
    ):
        assert part in message
    assert "lora_rank" not in message
    resumed = _run(dataclasses.replace(args, resume=args.out / "good"), grader)
    whole = _run(dataclasses.replace(args, out=tmp_path / "whole"), grader)
    assert _equal(_parts(resumed.policy)[0], _parts(whole.policy)[0])


def test_a_full_memory_outside_of_a_run() -> None:
    with (
        pytest.raises(OutOfMemoryError, match=r"Lower num_envs=128. Or choose dtype='bfloat16'"),
        watched_memory(evaluate.Args(), "num_envs"),
    ):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
