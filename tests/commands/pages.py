"""Reads a page of `codegym view` again, as its script does, to compare it with what was put in."""

from __future__ import annotations

import base64
import dataclasses
import json
import struct
import zlib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

__all__ = ["Page", "ShownRollout", "read_page"]

NONE, STEPS = 255, 254


@dataclasses.dataclass(frozen=True)
class ShownRollout:
    """A rollout as the page holds it."""

    head: dict[str, Any]
    pieces: list[str]
    columns: dict[str, list[float | None]]
    row: dict[str, Any]

    @property
    def facts(self) -> dict[str, str]:
        return dict(self.head["facts"])


@dataclasses.dataclass(frozen=True)
class Page:
    """A page, read again."""

    html: str
    index: dict[str, Any]
    rollouts: list[ShownRollout]
    tags: list[tuple[str, dict[str, str | None]]]
    script: str
    style: str

    @property
    def policy(self) -> str:
        return next(
            str(attributes["content"])
            for tag, attributes in self.tags
            if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
        )


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self._inside: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if tag in ("script", "style"):
            self._inside = attributes.get("id") or tag
            self.texts[self._inside] = ""

    def handle_endtag(self, tag: str) -> None:
        self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside is not None:
            self.texts[self._inside] += data


def read_page(path: Path) -> Page:
    html = path.read_text("utf-8")
    parser = _Parser()
    parser.feed(html)
    parser.close()
    index = json.loads(parser.texts["index"])
    shown = []
    table = index["rollouts"]
    for k in range(len(table["where"])):
        chunk = parser.texts[f"chunk{table['chunk'][k]}"]
        row = {name: values[k] for name, values in table.items() if not name.endswith("s")}
        row["tokens"] = table["tokens"][k]
        for name in ("problem_id", "verdict"):
            found = table[name][k]
            row[name] = None if found is None else table[f"{name}s"][found]
        head, pieces, columns = _rollouts(chunk, index)[table["place"][k]]
        shown.append(ShownRollout(head, pieces, columns, row))
    return Page(html, index, shown, parser.tags, parser.texts["script"], parser.texts["style"])


def _rollouts(
    chunk: str, index: dict[str, Any]
) -> list[tuple[dict[str, Any], list[str], dict[str, list[float | None]]]]:
    data = zlib.decompress(base64.b64decode(chunk))
    (size,) = struct.unpack_from("<I", data)
    head = json.loads(data[4 : 4 + size])
    at = 4 + size
    found = []
    for one in head["rollouts"]:
        ids = struct.unpack_from(f"<{one['pieces']}I", data, at)
        at += 4 * one["pieces"]
        columns = {}
        for number in one["columns"]:
            written = one["pieces"] - one["start"]
            column = index["columns"][number]
            columns[column["title"]] = [_number(b, column) for b in data[at : at + written]]
            at += written
        found.append((one, [head["texts"][k] for k in ids], columns))
    assert at == len(data)
    return found


def _number(byte: int, column: dict[str, Any]) -> float | None:
    low, high = map(float, column["scale"])
    if byte == NONE:
        return None
    if column["kind"] != "signed":
        return low + (high - low) * byte / STEPS
    share = byte / (STEPS / 2) - 1
    return high * share * abs(share)
