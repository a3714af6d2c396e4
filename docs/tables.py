"""Copies tables of the committed results into README and docs/, so that no number is typed.

    python docs/tables.py            # renews every page
    python docs/tables.py --check    # only tells which pages are not as they should be

A benchmark writes its page into benchmarks/results/. Another page shows one of its tables between
two comments: the first names the page, the heading that the table stands below, and, where not all
is to be shown, columns by their names and rows by regular expressions of their first cells:

    <!-- table robustness.md "10 seeds" rows="after SFT|after PPO, last" -->
    <!-- end -->

``nth=2`` takes the second table below that heading. What stands between the comments is replaced.
"""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["PAGES", "RESULTS", "TableError", "renewed"]

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGES = [
    ROOT / "README.md",
    ROOT / "docs" / "train_your_checkpoint.md",
    *sorted((ROOT / "docs" / "results").glob("*.md")),
]

_BLOCK = re.compile(r"(<!-- table (.*?) -->\n).*?(<!-- end -->)", flags=re.DOTALL)


class TableError(Exception):
    """A page asks for a table that is not there; the message tells which are."""


def renewed(text: str) -> str:
    """A page with all of its tables as the results have them.

    Raises:
        TableError: If the results have no such page, heading, table, column or row.
    """
    return _BLOCK.sub(lambda match: f"{match[1]}\n{_table(match[2])}\n\n{match[3]}", text)


def _table(order: str) -> str:
    name, heading, *options = shlex.split(order)
    chosen = dict(option.split("=", 1) for option in options)
    if not (RESULTS / name).is_file():
        raise TableError(f"{order}: there is no page {name} in benchmarks/results/.")
    tables = _tables_below(heading, (RESULTS / name).read_text(encoding="utf-8").splitlines())
    nth = int(chosen.get("nth", 1))
    if len(tables) < nth:
        raise TableError(f"{order}: expected {nth} tables below that heading, got {len(tables)}.")
    head, _, *body = tables[nth - 1]
    columns = [_column(head, name, order) for name in _list(chosen.get("columns"))]
    pattern = re.compile(chosen.get("rows", ""))
    shown = [head, *(row for row in body if pattern.match(row[0].strip("*")))]
    if len(shown) == 1:
        raise TableError(f"{order}: no row begins like that; there are {[r[0] for r in body]}.")
    kept = [[row[k] for k in columns or range(len(head))] for row in shown]
    return "\n".join(_line(row) for row in (kept[0], ["---"] * len(kept[0]), *kept[1:]))


def _list(text: str | None) -> list[str]:
    return [name.strip() for name in text.split(";")] if text else []


def _column(head: list[str], name: str, order: str) -> int:
    if name not in head:
        raise TableError(f"{order}: there is no column {name!r}; there are {head}.")
    return head.index(name)


def _tables_below(heading: str, lines: list[str]) -> list[list[list[str]]]:
    """The tables between the first heading that contains this text and the next one."""
    starts = [k for k, line in enumerate(lines) if line.startswith("#") and heading in line]
    begin = starts[0] + 1 if starts else 0 if not heading else len(lines)
    tables: list[list[list[str]]] = []
    inside = False
    for line in lines[begin:]:
        if line.startswith("#"):
            break
        if line.startswith("|"):
            tables += [] if inside else [[]]
            tables[-1].append(_cells(line))
        inside = line.startswith("|")
    return tables


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip()[1:-1])]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |" if set(cells) != {"---"} else "|" + "---|" * len(cells)


def _stale() -> Iterator[Path]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if text != renewed(text):
            yield page


def main() -> int:
    """Renews the pages, or tells which are stale; returns the exit status."""
    parser = argparse.ArgumentParser(description="Copies tables of results into the pages.")
    parser.add_argument("--check", action="store_true", help="change nothing")
    check = parser.parse_args().check
    stale = list(_stale())
    for page in stale:
        print(f"{page.relative_to(ROOT)}: {'stale' if check else 'renewed'}")
        if not check:
            page.write_text(renewed(page.read_text(encoding="utf-8")), encoding="utf-8")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
