"""The site: `make docs` builds it into docs/_build, with warnings as errors."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import generate

import codegym

generate.write_pages()

project = "codegym"
author = "The codegym authors"
version = release = codegym.__version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

default_role = "literal"
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_class_signature = "mixed"
python_use_unqualified_type_names = True
toc_object_entries = False

html_theme = "pydata_sphinx_theme"
html_title = "codegym"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_copyright = False
html_sidebars: dict[str, list[str]] = {
    page: [] for page in ("concepts", "glossary", "security", "contributing", "changelog")
}
html_show_sourcelink = False
html_theme_options = {
    "header_links_before_dropdown": 7,
    "show_toc_level": 2,
    "navbar_align": "left",
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_end": [],
}


def _site_links(app: Any, name: str, source: list[str]) -> None:
    """Leads links between files of the repository to the pages that the site has of them."""
    folder = (HERE / name).parent
    source[0] = generate.site_links(source[0], folder, folder)


def _rubrics(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Turns the Markdown headings of Gymnasium's docstrings into rubrics."""
    text = re.sub(r"^##+ (.*)$", r".. rubric:: \1\n", "\n".join(lines), flags=re.MULTILINE)
    lines[:] = text.split("\n")


def _hide_colons(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Keeps napoleon from taking what stands before a colon for the type of a property."""
    if what in ("attribute", "data", "property") and lines:
        lines[0] = lines[0].replace(":", "\0")


def _show_colons(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = [line.replace("\0", ":") for line in lines]


def setup(app: Any) -> None:
    """Registers all of them with Sphinx; napoleon has a priority between 400 and 600."""
    app.connect("autodoc-process-docstring", _hide_colons, priority=400)
    app.connect("autodoc-process-docstring", _show_colons, priority=600)
    app.connect("source-read", _site_links)
    app.connect("autodoc-process-docstring", _rubrics, priority=400)
