"""The site as files: its pages, where their links lead, and what their figures say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}
NOT_LOADED = {"canonical", "index", "search", "next", "prev", "author", "copyright", "up"}


@dataclass
class Page(HTMLParser):
    """What one page links to, loads, shows, and can be linked to."""

    path: Path
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    alternatives: list[str | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag links to, loads or names."""
        given = dict(attrs)
        self.anchors |= {given[name] or "" for name in ("id", "name") if given.get(name)}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"] or "")
        if tag in LOADED and given.get(LOADED[tag]) and given.get("rel") not in NOT_LOADED:
            self.loaded.append(given[LOADED[tag]] or "")
        if tag == "img":
            self.alternatives.append(given.get("alt"))


def pages(site: Path) -> dict[Path, Page]:
    """Return every page of the site."""
    return {
        path: Page(path) for path in sorted(site.rglob("*.html")) if "_static" not in path.parts
    }


def dead_links(known: Mapping[Path, Page]) -> list[str]:
    """Return every internal link whose page or place on a page is not there."""
    dead = []
    for path, page in known.items():
        for link in (*page.links, *page.loaded):
            if urlsplit(link).scheme or link.startswith("//"):
                continue
            name, place = urldefrag(link)
            name = unquote(urlsplit(name).path)
            target = (path.parent / name).resolve() if name else path
            if target.is_dir():
                target /= "index.html"
            if not target.exists() or (
                place and target in known and unquote(place) not in known[target].anchors
            ):
                dead.append(f"{path.stem}: {link}")
    return dead


def loaded_from_elsewhere(known: Mapping[Path, Page]) -> list[str]:
    """Return every address outside of the site that a page would load by itself."""
    return [
        f"{path.stem}: {name}"
        for path, page in known.items()
        for name in page.loaded
        if urlsplit(name).scheme in ("http", "https") or name.startswith("//")
    ]
