"""Bytes and Mini's BPE: nothing is lost, wherever the text is cut."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

import codegym.tokenization
from codegym.errors import ConfigurationError, TokenizationError, UnknownNameError
from codegym.problems import load_mini
from codegym.tokenization import ByteTokenizer, MiniTokenizer, Tokenizer, make_tokenizer

VOCABULARY = Path(codegym.tokenization.__file__).with_name("mini_bpe.json")
OWN: list[Tokenizer] = [ByteTokenizer(), MiniTokenizer()]
CODE_LIKE = st.text(alphabet="ab x1\n\t#:=()[]\"'é中\U0001f600", max_size=60)


@pytest.fixture(scope="module")
def library() -> tokenizers.Tokenizer:
    return tokenizers.Tokenizer.from_file(str(VOCABULARY))


@pytest.mark.parametrize("tokenizer", OWN, ids=["byte", "mini"])
@given(text=st.text(max_size=80) | CODE_LIKE, cut=st.integers(0, 80))
@settings(max_examples=200, deadline=None)
def test_tokens_spell_the_text_wherever_it_is_cut(
    tokenizer: Tokenizer, text: str, cut: int
) -> None:
    whole = tokenizer.encode(text)
    parts = tokenizer.encode(text[:cut]) + tokenizer.encode(text[cut:])
    for ids in (whole, parts):
        assert b"".join(map(tokenizer.token_bytes, ids)) == text.encode()
        assert tokenizer.decode(ids) == text
        assert all(0 <= token < tokenizer.vocab_size for token in ids)


@pytest.mark.parametrize("tokenizer", OWN, ids=["byte", "mini"])
@given(data=st.binary(max_size=30))
def test_any_bytes_decode_and_come_back(tokenizer: Tokenizer, data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    ids = tokenizer.encode(text)
    assert b"".join(map(tokenizer.token_bytes, ids)) == data
    assert tokenizer.decode(ids) == text


@pytest.mark.parametrize("tokenizer", OWN, ids=["byte", "mini"])
def test_special_tokens_spell_nothing_and_differ(tokenizer: Tokenizer) -> None:
    assert isinstance(tokenizer, Tokenizer)
    assert tokenizer.end_id != tokenizer.pad_id
    assert tokenizer.token_bytes(tokenizer.end_id) == b"" == tokenizer.token_bytes(tokenizer.pad_id)
    assert tokenizer.decode([tokenizer.end_id, *tokenizer.encode("x"), tokenizer.pad_id]) == "x"


@pytest.mark.parametrize("tokenizer", OWN, ids=["byte", "mini"])
@pytest.mark.parametrize("token", [-1, 100_000])
def test_ids_outside_the_vocabulary_are_refused(tokenizer: Tokenizer, token: int) -> None:
    with pytest.raises(TokenizationError, match="run from 0 to"):
        tokenizer.token_bytes(token)


@pytest.mark.parametrize("tokenizer", OWN, ids=["byte", "mini"])
def test_half_a_surrogate_pair_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(TokenizationError, match="position 2"):
        tokenizer.encode("ab\ud800")


@given(text=st.text(max_size=60).filter(lambda text: "<|" not in text) | CODE_LIKE)
@settings(max_examples=300, deadline=None)
def test_mini_agrees_with_the_library(library: tokenizers.Tokenizer, text: str) -> None:
    assert MINI.encode(text) == library.encode(text, add_special_tokens=False).ids


def test_mini_agrees_with_the_library_on_programs(library: tokenizers.Tokenizer) -> None:
    for problem in load_mini(split="validation", size=200):
        text = problem.canonical_solution
        assert MINI.encode(text) == library.encode(text, add_special_tokens=False).ids


def test_a_line_cut_is_a_token_cut() -> None:
    for problem in load_mini(split="test", size=100):
        text = problem.canonical_solution
        whole = MINI.encode(text)
        for cut in [i + 1 for i, char in enumerate(text) if char == "\n"]:
            assert MINI.encode(text[:cut]) + MINI.encode(text[cut:]) == whole


def test_a_line_end_ends_its_token_and_indentation_stands_alone() -> None:
    for token in range(MINI.vocab_size):
        spelled = MINI.token_bytes(token)
        assert b"\n" not in spelled[:-1]
        assert not spelled.startswith(b"    ") or not spelled.strip(b" ")


def test_mini_survives_pickling() -> None:
    copy = pickle.loads(pickle.dumps(MINI))
    assert copy.encode("if x:\n") == MINI.encode("if x:\n")
    assert (copy.vocab_size, copy.end_id, copy.pad_id) == (512, MINI.end_id, MINI.pad_id)


def test_the_vocabulary_file_is_small_and_of_the_stated_size() -> None:
    assert VOCABULARY.stat().st_size < 40_000
    assert len(json.loads(VOCABULARY.read_text())["model"]["vocab"]) == MINI.vocab_size == 512


def test_names_and_objects_become_tokenizers() -> None:
    assert isinstance(make_tokenizer("byte"), ByteTokenizer)
    assert isinstance(make_tokenizer("mini"), MiniTokenizer)
    assert make_tokenizer(MINI) is MINI


def test_an_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'mini'"):
        make_tokenizer("minni")


def test_an_object_that_is_no_tokenizer_is_refused(library: tokenizers.Tokenizer) -> None:
    with pytest.raises(ConfigurationError, match="PreTrainedTokenizerFast"):
        make_tokenizer(library)


MINI = MiniTokenizer()
