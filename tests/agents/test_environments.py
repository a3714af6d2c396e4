"""The agents' settings of an environment follow from codegym's arguments and sources."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, OPTConfig, PreTrainedTokenizerFast

import codegym
from agents import evaluate, ppo, sft
from agents.environments import TaskSettings, load_split, make_tokenizer
from agents.evaluate import held_out
from agents.methods import rltf
from agents.models import make_policy
from agents.policy import CausalLMPolicy
from agents.telemetry import RunLogger
from codegym.envs import TASK_ARGUMENTS, TaskArguments
from codegym.errors import ConfigurationError
from codegym.problems import GeneratedSource, ProblemSet, load, load_mini
from codegym.tokenization import HuggingFaceTokenizer

SHARED = [f.name for f in dataclasses.fields(TaskSettings) if f.name in TASK_ARGUMENTS]


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> TaskSettings:
    """Settings of a generated source that tells neither difficulties nor mistakes."""

    def generate(*, split: str, difficulty: str | None, size: int, seed: int) -> ProblemSet:
        assert difficulty is None
        return load_mini(split=split, difficulty="introductory", size=size, seed=seed)

    source = GeneratedSource(name="endless", splits=("train", "test"), generate=generate)
    monkeypatch.setitem(load._REGISTERED, "endless", source)
    monkeypatch.setitem(codegym.ENVIRONMENTS, "CodeGen-Endless-v0", {"source": "endless"})
    return TaskSettings(env_id="CodeGen-Endless-v0")


@pytest.mark.parametrize("name", SHARED)
def test_types_are_those_of_the_environment_that_a_command_line_can_say(name: str) -> None:
    def members(kind: Any) -> set[Any]:
        return set(get_args(kind)) if get_origin(kind) in (Union, types.UnionType) else {kind}

    allowed = members(get_type_hints(TaskArguments)[name])
    assert members(get_type_hints(TaskSettings)[name]) <= allowed


def test_defaults_are_those_of_codegen_mini() -> None:
    env = {name: argument.default for name, argument in TASK_ARGUMENTS.items()}
    env |= codegym.ENVIRONMENTS["CodeGen-Mini-v0"]
    settings = TaskSettings()
    differ = {name for name in SHARED if getattr(settings, name) != env[name]}
    assert differ == {"split"}
    assert len(SHARED) == 9


def test_a_generated_source_without_levels_is_one_level(endless: TaskSettings) -> None:
    assert len(held_out(endless, split="test", per_level=5)) == 5
    with pytest.raises(ConfigurationError, match="without an end"):
        load_split(endless, split="train", size=0, seed=0)
    with pytest.raises(ConfigurationError, match="read from a file"):
        dataclasses.replace(endless, data="file.json").refuse_unused_task()


def test_levels_of_a_source_are_held_out_one_by_one() -> None:
    levels = [problem.difficulty for problem in held_out(TaskSettings(), split="test", per_level=2)]
    assert levels == ["introductory"] * 2 + ["interview"] * 2 + ["competition"] * 2
    only = held_out(TaskSettings(difficulty="6-8"), split="test", per_level=2)
    assert {problem.metadata["conditionals"] for problem in only} <= {6, 7, 8}


def test_a_weak_coder_belongs_to_the_source(endless: TaskSettings) -> None:
    with pytest.raises(ConfigurationError, match="weak coder"):
        sft.Args(env_id=endless.env_id, flaw_rate=0.5)
    assert sft.Args(env_id=endless.env_id).weak_coder is None
    weak_coder = sft.Args().weak_coder
    assert weak_coder is not None
    problem = load_mini(size=1)[0]
    assert weak_coder(problem, np.random.default_rng(0), 0.0) == problem.canonical_solution


SPECIAL = ["<eos>", "<|im_start|>", "<|im_end|>"]
_TURN = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}END\n{% endfor %}"
CHATML = (
    _TURN.replace("END", "<|im_end|>")
    + "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def _save_tokenizer(folder: Path, template: str | None) -> str:
    """A tokenizer of 273 tokens, with a chat template or without."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=SPECIAL,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    core.train_from_iterator(["def f(x):\n    return x\n"], trainer)
    made = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=core, eos_token="<eos>"
    )
    made.chat_template = template
    made.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("prompt_format", ["chat", "answer"])
def test_a_chat_template_that_ends_a_turn_is_taken(prompt_format: str, tmp_path: Path) -> None:
    name = _save_tokenizer(tmp_path, CHATML)
    tokenizer = make_tokenizer(name, prompt_format)
    assert isinstance(tokenizer, HuggingFaceTokenizer)
    end = tokenizer.transformers_tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert tokenizer.turn_ends == {end} < tokenizer.end_ids


@pytest.mark.parametrize("prompt_format", ["chat", "answer"])
@pytest.mark.parametrize(
    ("template", "fault"),
    [
        (_TURN.replace("END", "<|eot|>").replace("<|im_start|>", ""), r"puts '<\|eot\|>' after"),
        ("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}", "puts nothing"),
        ("{{ raise_exception('only one message') }}", r"does not render an answer \(only one"),
        (None, "needs a Hugging Face tokenizer with a chat template"),
    ],
)
def test_a_chat_template_that_ends_no_turn_is_refused(
    template: str | None, fault: str, prompt_format: str, tmp_path: Path
) -> None:
    name = _save_tokenizer(tmp_path, template)
    with pytest.raises(ConfigurationError, match=fault) as caught:
        make_tokenizer(name, prompt_format)
    assert 'prompt_format="instruction"' in str(caught.value)
    assert make_tokenizer(name, "instruction").vocab_size == make_tokenizer(name).vocab_size


ENTRIES: dict[str, Callable[[Any, RunLogger], object]] = {
    "sft": lambda given, logger: sft.run(sft.Args(**given, steps=1), logger),
    "ppo": lambda given, logger: ppo.run(ppo.Args(**given, start="empty", eval_every=0), logger),
    "evaluate": lambda given, logger: evaluate.run(evaluate.Args(**given), logger),
    "a method": lambda given, logger: rltf.run(
        rltf.Args(**given, start="empty", eval_every=0), logger
    ),
}
"""Each way to a policy: the settings of a checkpoint and its tokenizer are the same for all."""


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_command_refuses_a_chat_that_cannot_end(entry: str, tmp_path: Path) -> None:
    name = _save_tokenizer(tmp_path / "tokenizer", _TURN.replace("END", "<|eot|>"))
    given = {"tokenizer": name, "prompt_format": "answer", "out": tmp_path / "out"}
    with (
        RunLogger(tmp_path / "out", quiet=True) as logger,
        pytest.raises(ConfigurationError, match="needs a chat template that ends a turn"),
    ):
        ENTRIES[entry](given, logger)


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize(
    ("tokens", "fault"),
    [
        (200, r"a logit for each of the 273 actions, but has 200"),
        (547, r"has 547 tokens, but the tokenizer has 273.*Name that one, as in tokenizer="),
    ],
)
def test_every_command_refuses_a_checkpoint_of_another_vocabulary(
    tokens: int, fault: str, entry: str, tmp_path: Path
) -> None:
    given: dict[str, Any] = {
        "tokenizer": _save_tokenizer(tmp_path / "tokenizer", None),
        "model": _save_checkpoint(tmp_path / "model", tokens),
        "out": tmp_path / "out",
        "problems": 4,
    }
    if entry == "evaluate":
        del given["problems"]
    with (
        RunLogger(tmp_path / "out", quiet=True) as logger,
        pytest.raises(ConfigurationError, match=fault),
    ):
        ENTRIES[entry](given, logger)
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_may_pad_its_vocabulary(tmp_path: Path) -> None:
    name = _save_checkpoint(tmp_path, 320)
    policy = make_policy(ppo.Args(model=name), vocab_size=273, seed=0)
    assert policy.vocab_size == 273


ROOM: dict[str, Any] = {"context_length": 64, "max_new_tokens": 32}
LEARNED = {
    "gpt2": GPT2Config(vocab_size=273, n_embd=16, n_layer=1, n_head=2, n_positions=64),
    "opt": OPTConfig(
        vocab_size=273,
        hidden_size=16,
        word_embed_proj_dim=16,
        ffn_dim=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=64,
    ),
}


@pytest.mark.parametrize("kind", LEARNED)
def test_a_context_longer_than_a_table_of_positions_is_refused(kind: str, tmp_path: Path) -> None:
    policy = CausalLMPolicy.from_config(LEARNED[kind], vocab_size=273)
    policy.trunk.save_pretrained(tmp_path)
    fits = make_policy(ppo.Args(model=str(tmp_path), **ROOM), vocab_size=273, seed=0)
    fits.score(torch.zeros((1, 64), dtype=torch.int64), torch.tensor([1]), torch.tensor([64]))
    longer = ppo.Args(model=str(tmp_path), **{**ROOM, "context_length": 65})
    with pytest.raises(ConfigurationError, match=r"has 64 positions, but context_length is 65"):
        make_policy(longer, vocab_size=273, seed=0)


def test_rotary_positions_have_no_table_to_run_out_of(tmp_path: Path) -> None:
    policy = CausalLMPolicy.from_config_tiny(273, d=16, layers=1, heads=2, context_length=64)
    policy.trunk.save_pretrained(tmp_path)
    longer = ppo.Args(model=str(tmp_path), **{**ROOM, "context_length": 100})
    policy = make_policy(longer, vocab_size=273, seed=0)
    ids = torch.zeros((1, 100), dtype=torch.int64)
    assert policy.score(ids, torch.tensor([1]), torch.tensor([100])).isfinite().all()


def _save_checkpoint(folder: Path, tokens: int) -> str:
    """A language model as the hub has them: no policy of ours."""
    policy = CausalLMPolicy.from_config_tiny(tokens, d=16, layers=1, heads=2)
    policy.trunk.save_pretrained(folder)
    return str(folder)
