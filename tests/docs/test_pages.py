"""Pages show what results and code say, and dead links of the site are found."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def script(name: str) -> ModuleType:
    """A script of docs/, which is no package."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


tables, links, episode = script("tables"), script("links"), script("episode")


@pytest.mark.parametrize("page", tables.PAGES, ids=lambda path: path.stem)
def test_pages_show_what_the_results_say(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert tables.renewed(text) == text, "`python docs/tables.py` renews the pages"


def test_columns_and_rows_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.md").write_text(
        "# X\n\n| a | b |\n|---|---|\n| 0 | 0 |\n\n## Y, 1\n\n"
        "| a | b | c |\n|---|---|---|\n| one | 2 | 3 |\n| **two** | 5 | 6 |\n\n"
        "| d |\n|---|\n| 7 |\n"
    )
    monkeypatch.setattr(tables, "RESULTS", tmp_path)
    block = '<!-- table x.md "Y, 1" columns="c; a" rows="two" -->\nold\n<!-- end -->'
    assert tables.renewed(block).split("\n")[2:5] == ["| c | a |", "|---|---|", "| 6 | **two** |"]
    assert "| 7 |" in tables.renewed('<!-- table x.md "Y" nth=2 -->\n<!-- end -->')
    for wrong in ('y.md "Y"', 'x.md "Z"', 'x.md "Y" columns="d"', 'x.md "Y" rows="three"'):
        with pytest.raises(tables.TableError):
            tables.renewed(f"<!-- table {wrong} -->\n<!-- end -->")


def test_dead_links_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<a href="b.html#here">x</a> <a href="#top" id="top">x</a> <a href="https://b.c/d">x</a>'
    )
    (tmp_path / "b.html").write_text(
        '<p id="here"></p><a href="a.html#gone">x</a><img src="c.png">'
    )
    assert links.dead_links(tmp_path) == ["b.html: a.html#gone", "b.html: c.png"]


def test_the_picture_is_that_of_the_episode() -> None:
    drawn = episode.draw()
    assert episode.OUT.read_text(encoding="utf-8") == drawn, "`python docs/episode.py` draws it"
