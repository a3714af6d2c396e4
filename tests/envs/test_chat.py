"""Chat models: the template by name, the tokens that end a turn, and texts that are only shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)
from transformers import PreTrainedTokenizerFast

from codegym.envs import ChatFormat, CodeEnv, CodeVectorEnv, make_prompt_format, prompt_tokens
from codegym.envs.prompt_format import Prompt
from codegym.errors import ConfigurationError, StartStateError, TokenizationError
from codegym.grading import Grader
from codegym.masks.loss_mask import loss_mask
from codegym.problems import CallTest, Problem, ProblemSet
from codegym.programs import Program
from codegym.tokenization import ByteTokenizer, HuggingFaceTokenizer, end_ids, shown_ids
from codegym.wrappers import AllowedTokens

SPECIAL = ["<eos>", "<|im_start|>", "<|im_end|>", "<|user|>", "<|assistant|>", "</s>"]
TEMPLATES = {
    "chatml": (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
        {"<|im_end|>"},
    ),
    "a space before it": (
        "{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
        "{% else %} {{ m.content }} </s>{% endif %}{% endfor %}",
        {"</s>"},
    ),
    "the next turn ends it": (
        "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}",
        {"<|user|>"},
    ),
    "end of sequence": (
        "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}{% endfor %}",
        set(),
    ),
    "plain text": (
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}",
        set(),
    ),
    "raises": ("{{ raise_exception('no') }}", set()),
}


def byte_level(normalizer: Any = None) -> Tokenizer:
    model = Tokenizer(models.BPE())
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = decoders.ByteLevel()
    if normalizer is not None:
        model.normalizer = normalizer
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=SPECIAL, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    model.train_from_iterator(["def f(x):\n    return x\n"], trainer)
    return model


def unigram() -> Tokenizer:
    """As SentencePiece makes them: normalised, and what is not known becomes one token."""
    letters = sorted(
        set("abcdefghijklmnopqrstuvwxyzGQUESTIONAWRLy0123456789#.:()[]{}<>=\"',_-+*/!|`\n")
    )
    pieces = [("<unk>", 0.0), *((token, 0.0) for token in SPECIAL), ("▁", -1.0)]
    model = Tokenizer(models.Unigram([*pieces, *((c, -2.0) for c in letters)], unk_id=0))
    model.normalizer = normalizers.NFKC()
    model.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=False)
    model.decoder = decoders.Metaspace(prepend_scheme="never")
    model.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    return model


def wrap(core: Tokenizer, template: str | None = None, **more: Any) -> Any:
    made = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=core, **{"eos_token": "<eos>", **more}
    )
    made.chat_template = template
    return made


def problem(description: str = "Return x.", solution: str = "def f(x):\n    return x\n") -> Problem:
    return Problem("p", description, solution, (CallTest((1,), 1),), entry_point="f")


SETTINGS: dict[str, Any] = {"context_length": 1500, "max_new_tokens": 40}


@pytest.mark.parametrize("kind", ["name", "object", "wrapper", "format", "format of a wrapper"])
def test_the_template_of_a_tokenizer(kind: str, tmp_path: Path) -> None:
    tokenizer = wrap(byte_level(), TEMPLATES["chatml"][0])
    tokenizer.save_pretrained(tmp_path)
    spec: Any = {
        "name": f"hf:{tmp_path}", "wrapper": HuggingFaceTokenizer(tokenizer),
    }.get(kind, tokenizer)  # fmt: skip
    prompt_format: Any = {
        "format": ChatFormat(tokenizer),
        "format of a wrapper": ChatFormat(HuggingFaceTokenizer(tokenizer)),
    }.get(kind, "chat")  # fmt: skip
    env = CodeEnv(
        problems=ProblemSet.of([problem()]), tokenizer=spec, prompt_format=prompt_format, **SETTINGS
    )
    obs, info = env.reset(seed=0)
    shown = tokenizer.decode(obs["input_ids"][: info["prompt_length"]])
    assert shown.startswith("<|im_start|>user\nQUESTION:\nReturn x.")
    assert shown.endswith("<|im_start|>assistant\n```python\n")
    env.close()
    assert make_prompt_format("chat", f"hf:{tmp_path}").render(problem()).ids


@pytest.mark.parametrize("prompt_format", ["chat", "answer"])
def test_a_template_that_refuses_the_message_is_an_error_of_ours(prompt_format: str) -> None:
    tokenizer = wrap(byte_level(), "{{ raise_exception('a system message first') }}")
    made = make_prompt_format(prompt_format, tokenizer)
    with pytest.raises(ConfigurationError, match="conversation of user: a system message first"):
        made.render(problem())


@pytest.mark.parametrize("tokenizer", ["byte", "mini", wrap(byte_level()), None])
def test_a_tokenizer_without_a_template_is_refused_at_once(tokenizer: Any) -> None:
    with pytest.raises(ConfigurationError, match="chat template"):
        make_prompt_format("chat", tokenizer)


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_end_of_a_turn_is_read_off_the_template(name: str) -> None:
    template, expected = TEMPLATES[name]
    tokenizer = wrap(byte_level(), template)
    wrapped = HuggingFaceTokenizer(tokenizer)
    assert set(tokenizer.convert_ids_to_tokens(sorted(wrapped.end_ids))) == {"<eos>", *expected}
    assert all(wrapped.token_bytes(token) == b"" for token in wrapped.end_ids)


def test_the_generation_config_names_more_ends(tmp_path: Path) -> None:
    tokenizer = wrap(byte_level())
    tokenizer.save_pretrained(tmp_path)
    eos = tokenizer.eos_token_id
    other = tokenizer.convert_tokens_to_ids("<|im_end|>")
    letter = tokenizer.convert_tokens_to_ids("a")
    for given, expected in (
        ([eos, other], {eos, other}), (other, {eos, other}), (None, {eos}),
        ([eos, letter, 10**6], {eos}),
    ):  # fmt: skip
        (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": given}))
        again = PreTrainedTokenizerFast.from_pretrained(tmp_path)
        assert HuggingFaceTokenizer(again).end_ids == expected
        env = CodeEnv(tokenizer=f"hf:{tmp_path}", size=3, **SETTINGS)
        assert end_ids(env.tokenizer) == expected
        env.close()
    (tmp_path / "generation_config.json").write_text("{")
    assert HuggingFaceTokenizer(again).end_ids == {eos}


def test_a_template_can_stand_in_for_eos_token() -> None:
    tokenizer = wrap(byte_level(), TEMPLATES["chatml"][0], eos_token=None)
    wrapped = HuggingFaceTokenizer(tokenizer)
    assert wrapped.end_id == tokenizer.convert_tokens_to_ids("<|im_end|>")
    with pytest.raises(TokenizationError, match="no end-of-sequence token"):
        HuggingFaceTokenizer(wrap(byte_level(), eos_token=None))


@pytest.mark.parametrize("end", ["<eos>", "<|im_end|>"])
def test_each_end_token_ends_an_episode(end: str, grader: Grader) -> None:
    tokenizer = wrap(byte_level(), TEMPLATES["chatml"][0])
    token = tokenizer.convert_tokens_to_ids(end)
    arguments: dict[str, Any] = {
        "problems": ProblemSet.of([problem()]), "tokenizer": tokenizer, "prompt_format": "chat",
        "grader": grader, **SETTINGS,
    }  # fmt: skip
    env = CodeEnv(**arguments)
    _, start = env.reset(seed=0)
    written = env.tokenizer.encode("def f(x):\n    return x")
    for each in written:
        assert not env.step(each)[2]
    _, reward, terminated, truncated, info = env.step(token)
    assert (reward, terminated, truncated) == (1.0, True, False)
    assert info["program"] == "def f(x):\n    return x"
    last = start["start_length"] + len(written)
    assert info["loss_mask"][last] == 1
    assert info["loss_mask"][last + 1 :].sum() == 0
    envs = CodeVectorEnv(2, **arguments)
    envs.reset(seed=0)
    for each in written:
        envs.step(np.full(2, each))
    assert envs.step(np.array([token, written[0]]))[2].tolist() == [True, False]
    assert envs.submit(1, [written[0], token, written[0]]) == 2
    with pytest.raises(StartStateError, match="end tokens"):
        env.reset(options={"prefix": [token], "check_prefix": False})
    env.reset(seed=0)
    advised = AllowedTokens(env)
    advised.reset(seed=0)
    assert advised.action_masks()[token]
    mask = loss_mask(
        Program("x = 1\n"), {1}, env.tokenizer, [*env.tokenizer.encode("x = 1\n"), token]
    )
    assert mask.all()


NORMALISING: dict[str, Callable[[], Tokenizer]] = {
    "NFKC": lambda: byte_level(normalizers.NFKC()),
    "NFC": lambda: byte_level(normalizers.NFC()),
    "unigram": unigram,
}
STRANGE = "Add the vectors u⃗ and ﬁnd ½ of e\u0301 (see “notes” … ①②). 中"


@pytest.mark.parametrize("prompt_format", ["completion", "instruction", "auto", "chat"])
@pytest.mark.parametrize("name", NORMALISING)
def test_what_is_only_shown_needs_no_exact_spelling(
    name: str, prompt_format: str, grader: Grader
) -> None:
    tokenizer = wrap(NORMALISING[name](), TEMPLATES["chatml"][0], unk_token=None)
    wrapped = HuggingFaceTokenizer(tokenizer)
    with pytest.raises(TokenizationError):
        wrapped.encode(STRANGE)
    asked = problem(STRANGE)
    env = CodeEnv(
        problems=ProblemSet.of([asked]), tokenizer=tokenizer, prompt_format=prompt_format,
        start="lines", grader=grader, **SETTINGS,
    )  # fmt: skip
    for seed in range(3):
        _, info = env.reset(seed=seed, options={"stage": 0} if seed == 0 else None)
        assert info["prompt_length"] > 10
    env.reset(options={"stage": 0})
    for token in wrapped.encode(asked.canonical_solution):
        env.step(token)
    assert env.step(wrapped.end_id)[4]["verdict"] == "accepted"


def test_code_is_spelled_to_the_byte_or_not_at_all() -> None:
    wrapped = HuggingFaceTokenizer(wrap(byte_level(normalizers.NFKC())))
    exact = Prompt(STRANGE, header="def f(x):\n")
    tokens = prompt_tokens(exact, wrapped)
    assert wrapped.decode(tokens).endswith("def f(x):\n")
    with pytest.raises(TokenizationError, match="exactly"):
        prompt_tokens(Prompt("", header="x = '½'\n"), wrapped)


def test_halves_of_surrogate_pairs_are_replaced_where_they_are_shown() -> None:
    assert ByteTokenizer().decode(shown_ids(ByteTokenizer(), "a\ud800b")) == "a\ufffdb"
    wrapped = HuggingFaceTokenizer(wrap(byte_level()))
    assert wrapped.decode(shown_ids(wrapped, "a\ud800b")) == "a\ufffdb"
