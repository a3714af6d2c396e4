"""The page: one HTML file that asks nobody for anything.

Its content security policy allows the script and the style that are in it, told by their digests,
and nothing else. Data stand in elements that no browser runs, as JSON without ``<`` and as base64.
"""

from __future__ import annotations

import base64
import hashlib
import html
import importlib.resources
import json
import os
from pathlib import Path

from codegym.commands.viewing.pack import pack
from codegym.commands.viewing.rollout import View
from codegym.errors import ConfigurationError

__all__ = ["page", "refuse_other_files", "write_page"]

_MARK = '<meta name="generator" content="codegym view">'


def page(view: View) -> str:
    """The page of a view, as HTML."""
    index, chunks = pack(view)
    style, script = _part("page.css"), _part("page.js")
    policy = (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src '{_digest(style)}'; script-src '{_digest(script)}'"
    )
    data = [_data("index", json.dumps(index).replace("<", "\\u003c"))]
    data += [_data(f"chunk{number}", chunk) for number, chunk in enumerate(chunks)]
    parts = {
        "mark": _MARK,
        "policy": policy,
        # A file name that is not UTF-8 has halves of surrogate pairs, which no page can hold.
        "title": html.escape(view.title.encode("utf-8", "replace").decode()),
        "style": style,
        "script": script,
        "data": "\n".join(data),
    }
    before, *rest = _part("page.html").split("{{")
    pieces = [before]
    for piece in rest:
        name, _, after = piece.partition("}}")
        pieces += [parts[name], after]
    return "".join(pieces)


def write_page(text: str, path: Path) -> None:
    """Writes a page; what was there is replaced when all is written, and else is left alone.

    Raises:
        ConfigurationError: If it cannot be written, as without rights or on a full disk.
    """
    # The process is in the name so that two commands at once do not write into the same file.
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_text(text, encoding="utf-8", newline="\n")
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ConfigurationError(
            f"The page {path} cannot be written: {error}. Name a file elsewhere with --out."
        ) from error


def refuse_other_files(path: Path) -> None:
    """Sees to it that a page takes the place of no file but an earlier page.

    Raises:
        ConfigurationError: If another file, or a folder, is there.
    """
    if not path.exists():
        return
    if path.is_file():
        with path.open("rb") as file:
            if _MARK.encode() in file.read(2_000):
                return
    raise ConfigurationError(
        f"{path}, where the page belongs, is there and is no page of `codegym view`. Name another "
        "file with --out."
    )


def _part(name: str) -> str:
    return (importlib.resources.files("codegym.commands.viewing") / name).read_text("utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _data(name: str, text: str) -> str:
    return f'<script type="text/plain" id="{name}">{text}</script>'
