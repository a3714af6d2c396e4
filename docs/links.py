"""Finds dead links within the built site, without a network: pages, files and anchors.

python docs/links.py docs/_build
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ["dead_links"]


class _Page(HTMLParser):
    """Collects what a page links to, and the anchors that it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Looks at the attributes of every tag."""
        for name, value in attrs:
            if name in ("href", "src") and value and tag != "link":
                self.links.append(value)
            elif name in ("id", "name") and value:
                self.anchors.add(value)


def dead_links(site: Path) -> list[str]:
    """What no page, file or anchor of the site answers to, as ``page: link``."""
    paths = [path for path in site.rglob("*.html") if "_static" not in path.parts]
    pages = {path: _Page(path.read_text(encoding="utf-8")) for path in paths}
    dead = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            fragment = unquote(parts.fragment)
            missing = not target.is_file() or (
                target in pages and fragment and fragment not in pages[target].anchors
            )
            if missing:
                dead.append(f"{path.relative_to(site)}: {link}")
    return dead


def main() -> int:
    """Prints the dead links of the site in a folder; returns 1 if there are any."""
    site = Path(sys.argv[1]).resolve()
    dead = dead_links(site)
    print("\n".join(dead) or f"{site.name}: no dead links")
    return int(bool(dead))


if __name__ == "__main__":
    sys.exit(main())
