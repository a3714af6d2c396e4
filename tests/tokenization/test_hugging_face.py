"""Hugging Face tokenizers of every spelling, built here: exact, or refused with a reason."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
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

from codegym.errors import ConfigurationError, TokenizationError
from codegym.problems import load_mini
from codegym.tokenization import HuggingFaceTokenizer, make_tokenizer

CODE_LIKE = st.text(alphabet="ab x1\n\t#:=()[]\"'é中\U0001f600", max_size=60)
TEXTS = [problem.canonical_solution for problem in load_mini(size=120)]


def byte_level(*, prefix_space: bool = False) -> Tokenizer:
    model = Tokenizer(models.BPE())
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix_space)
    model.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=["<eos>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    model.train_from_iterator(TEXTS, trainer)
    return model


def sentencepiece(*, scheme: str | None = "always") -> Tokenizer:
    """A BPE with byte fallback; `scheme` None: the older normaliser that Llama 2 uses."""
    trained = Tokenizer(models.BPE(unk_token="<unk>"))
    trained.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    special = ["<unk>", "<eos>"]
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=special, show_progress=False)
    trained.train_from_iterator(TEXTS, trainer)
    learned = json.loads(trained.to_str())["model"]
    # Bytes are ordinary tokens of the vocabulary, as in published models.
    tokens = [*special, *(f"<0x{byte:02X}>" for byte in range(256))]
    tokens += [token for token in learned["vocab"] if token not in special]
    merges = [tuple(pair) for pair in learned["merges"]]
    vocabulary = {token: place for place, token in enumerate(tokens)}
    model = Tokenizer(
        models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    if scheme is None:
        steps = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
        model.normalizer = normalizers.Sequence(steps)
    else:
        model.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=False)
    model.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return model


def wrap(model: Tokenizer, **special: Any) -> Any:
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=model, eos_token="<eos>", **special
    )


EXACT: dict[str, Callable[[], Tokenizer]] = {
    "byte-level": byte_level,
    "byte-level with prefix space": lambda: byte_level(prefix_space=True),
    "metaspace always": lambda: sentencepiece(scheme="always"),
    "metaspace first": lambda: sentencepiece(scheme="first"),
    "metaspace never": lambda: sentencepiece(scheme="never"),
    "llama 2": lambda: sentencepiece(scheme=None),
}


@pytest.fixture(scope="module", params=list(EXACT))
def exact(request: pytest.FixtureRequest) -> HuggingFaceTokenizer:
    return HuggingFaceTokenizer(wrap(EXACT[request.param]()))


def check(tokenizer: HuggingFaceTokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert b"".join(map(tokenizer.token_bytes, ids)) == text.encode()
    assert tokenizer.decode(ids) == text


@given(
    text=st.text(max_size=60).filter(lambda text: "▁" not in text) | CODE_LIKE,
    cut=st.integers(0, 60),
)
@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_tokens_spell_the_text_wherever_it_is_cut(
    exact: HuggingFaceTokenizer, text: str, cut: int
) -> None:
    check(exact, text)
    ids = exact.encode(text[:cut]) + exact.encode(text[cut:])
    assert exact.decode(ids) == text


def test_programs_and_awkward_texts(exact: HuggingFaceTokenizer) -> None:
    for text in [
        "",
        " ",
        "\n",
        " a",
        "  a\n",
        "a ",
        "\t\r\n\x00",
        "<eos>",
        "x<eos> y",
        *TEXTS[:30],
    ]:
        check(exact, text)


def test_the_text_of_a_special_token_is_text(exact: HuggingFaceTokenizer) -> None:
    assert exact.end_id not in exact.encode("print('<eos>')")
    assert exact.token_bytes(exact.end_id) == b""


def test_a_text_that_can_not_be_spelled_is_an_error() -> None:
    tokenizer = HuggingFaceTokenizer(wrap(sentencepiece()))
    with pytest.raises(TokenizationError, match=r"Near position 4 .* is '▁b'"):
        tokenizer.encode("a = ▁b")
    with pytest.raises(TokenizationError, match="surrogate"):
        tokenizer.encode("\ud800")


def test_pad_falls_back_to_end() -> None:
    assert HuggingFaceTokenizer(wrap(byte_level())).pad_id == 0
    with_pad = HuggingFaceTokenizer(wrap(byte_level(), pad_token="<pad>"))
    assert with_pad.pad_id == with_pad.vocab_size - 1 != with_pad.end_id


def test_added_tokens_spell_their_content_and_special_ones_nothing() -> None:
    wrapped = wrap(byte_level())
    wrapped.add_tokens([AddedToken("<tool>", special=False, normalized=False)])
    wrapped.add_special_tokens({"additional_special_tokens": ["<|sep|>"]})
    tokenizer = HuggingFaceTokenizer(wrapped)
    ids = wrapped.convert_tokens_to_ids(["<tool>", "<|sep|>"])
    assert [tokenizer.token_bytes(token) for token in ids] == [b"<tool>", b""]
    assert tokenizer.vocab_size == len(wrapped) > max(ids)
    check(tokenizer, "x = '<tool> <|sep|>'")


def test_no_end_token_is_an_error() -> None:
    with pytest.raises(TokenizationError, match="no end-of-sequence token"):
        HuggingFaceTokenizer(
            PreTrainedTokenizerFast(tokenizer_object=byte_level())  # type: ignore[no-untyped-call]
        )


def word_piece() -> Tokenizer:
    model = Tokenizer(models.WordPiece(unk_token="<unk>"))
    model.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=300, special_tokens=["<unk>", "<eos>"], show_progress=False
    )
    model.train_from_iterator(TEXTS, trainer)
    return model


def lower_case() -> Tokenizer:
    model = byte_level()
    model.normalizer = normalizers.Lowercase()
    return model


@pytest.mark.parametrize("build", [word_piece, lower_case])
def test_a_lossy_tokenizer_is_refused(build: Callable[[], Tokenizer]) -> None:
    with pytest.raises(TokenizationError, match="exactly"):
        HuggingFaceTokenizer(wrap(build()))


def test_objects_are_recognised_by_their_methods() -> None:
    assert isinstance(make_tokenizer(wrap(byte_level())), HuggingFaceTokenizer)


def test_a_folder_is_loaded_by_name(tmp_path: Path) -> None:
    wrap(byte_level()).save_pretrained(tmp_path)
    check(make_tokenizer(f"hf:{tmp_path}"), TEXTS[0])  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        make_tokenizer(f"hf:{tmp_path / 'missing'}")


def test_the_room_loads_neither_transformers_nor_tokenizers() -> None:
    heavy = "{'transformers', 'tokenizers', 'torch'}"
    code = f"import sys, codegym.tokenization; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
