"""Text and bytes, byte by byte: UTF-8 with surrogate escapes, and the byte alphabet of GPT-2."""

from __future__ import annotations

from codegym.errors import TokenizationError

__all__ = ["BYTE_OF_CHARACTER", "bytes_to_text", "text_to_bytes"]


def text_to_bytes(text: str) -> bytes:
    """UTF-8 of `text`; surrogate escapes (U+DC80-DCFF) become the bytes they stand for.

    Raises:
        TokenizationError: If the text holds any other half of a surrogate pair.
    """
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise TokenizationError(
            f"The text cannot be spelled in bytes: character {text[error.start]!r} at position "
            f"{error.start} is half of a surrogate pair. Remove it, or decode the text's source "
            "with errors='surrogateescape'."
        ) from None


def bytes_to_text(data: bytes) -> str:
    """Text of UTF-8 `data`; bytes that are not UTF-8 become surrogate escapes."""
    return data.decode("utf-8", "surrogateescape")


def _byte_alphabet() -> dict[str, int]:
    # Printable Latin-1 characters stand for themselves, the other bytes for U+0100 and up.
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in set(printable)]
    alphabet = {chr(byte): byte for byte in printable}
    return alphabet | {chr(0x100 + place): byte for place, byte in enumerate(hidden)}


BYTE_OF_CHARACTER = _byte_alphabet()
"""The byte that each character of a byte-level vocabulary stands for (``"Ġ"`` is the space)."""
