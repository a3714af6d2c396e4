"""From the name of a tokenizer, or an object, to a :class:`Tokenizer`."""

from __future__ import annotations

from collections.abc import Callable

from codegym.errors import ConfigurationError, UnknownNameError
from codegym.tokenization.byte import ByteTokenizer
from codegym.tokenization.ends import as_ids
from codegym.tokenization.hugging_face import HuggingFaceTokenizer, is_hugging_face
from codegym.tokenization.mini_bpe import MiniTokenizer
from codegym.tokenization.tokenizer import Tokenizer

__all__ = ["make_tokenizer"]

_NAMES: dict[str, Callable[[], Tokenizer]] = {"byte": ByteTokenizer, "mini": MiniTokenizer}
_HUB = "hf:"


def make_tokenizer(spec: str | Tokenizer | object) -> Tokenizer:
    """The tokenizer that `spec` means.

    Args:
        spec: ``"mini"``, ``"byte"``, ``"hf:<name or path>"`` (needs ``transformers``), a
            :class:`Tokenizer`, which is returned as it is, or a tokenizer object of
            ``transformers``, which is wrapped.

    Raises:
        UnknownNameError: If it is a string that names no tokenizer.
        ConfigurationError: If ``transformers`` is missing, or the object is not a tokenizer.
        TokenizationError: If a Hugging Face tokenizer cannot spell code exactly.

    Example:
        >>> make_tokenizer("byte").vocab_size
        258
    """
    if isinstance(spec, str):
        if spec.startswith(_HUB):
            return _from_hub(spec.removeprefix(_HUB))
        if spec not in _NAMES:
            raise UnknownNameError("tokenizer", spec, [*_NAMES, "hf:<name or path>"])
        return _NAMES[spec]()
    if isinstance(spec, Tokenizer):
        return spec
    if is_hugging_face(spec):
        return HuggingFaceTokenizer(spec)
    raise ConfigurationError(
        f"Expected a tokenizer, got {type(spec).__name__}: give 'mini', 'byte', 'hf:<name>', an "
        "object with the methods of codegym.tokenization.Tokenizer, or a tokenizer object of "
        "transformers (a bare tokenizers.Tokenizer goes into transformers.PreTrainedTokenizerFast("
        "tokenizer_object=..., eos_token=...) first, so that its end token is known)."
    )


def _from_hub(name: str) -> HuggingFaceTokenizer:
    try:
        import transformers
    except ImportError as error:
        raise ConfigurationError(
            f"The tokenizer {_HUB + name!r} needs the package transformers: "
            "pip install 'transformers>=5'"
        ) from error
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"The tokenizer {_HUB + name!r} cannot be loaded: {error}"
        ) from error
    try:
        ends = as_ids(transformers.GenerationConfig.from_pretrained(name).eos_token_id)
    except (OSError, ValueError):  # most folders of a tokenizer have none
        ends = set()
    return HuggingFaceTokenizer(tokenizer, ends)
