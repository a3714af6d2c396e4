"""WHAT IS AN ACTION? Tokenizers that spell any text to the byte, and their names."""

from codegym.tokenization.byte import ByteTokenizer
from codegym.tokenization.hugging_face import HuggingFaceTokenizer
from codegym.tokenization.mini_bpe import MiniTokenizer
from codegym.tokenization.registry import make_tokenizer
from codegym.tokenization.tokenizer import Tokenizer, end_ids, shown_ids

__all__ = [
    "ByteTokenizer",
    "HuggingFaceTokenizer",
    "MiniTokenizer",
    "Tokenizer",
    "end_ids",
    "make_tokenizer",
    "shown_ids",
]
