"""Rebuilds the paper from committed records: numbers, figures, both texts, both PDFs.

    python -m paper.build             writes what has changed, and the PDFs into paper/build
    python -m paper.build --check     writes nothing, exit status 1 where something would change
    python -m paper.build --no-pdf    leaves the PDFs out, and needs neither pandoc nor Typst

Nothing is measured and no network is trained: it takes seconds. What it commits (the texts, the
numbers, the figures) is the same, byte by byte, as long as the records are.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from paper import figures
from paper.claims import broken
from paper.collected import FILE, collect, document
from paper.number import Number
from paper.records import PAPER
from paper.tables import filled

BUILD = PAPER / "build"
TEXTS = ("paper", "report")


def documents(numbers: Mapping[str, Number]) -> dict[Path, str]:
    """Return what every committed file of text must hold."""
    found = {FILE: document(numbers)}
    for name in TEXTS:
        template = (PAPER / "templates" / f"{name}.md").read_text(encoding="utf-8")
        found[PAPER / f"{name}.md"] = filled(template, numbers)
    return found


def differences(numbers: Mapping[str, Number]) -> list[str]:
    """Return the names of committed files that are not of the records."""
    differing = [
        path.name
        for path, text in documents(numbers).items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for name, (_, sources) in figures.FIGURES.items():
        path = figures.COMMITTED / f"{name}.svg"
        if not figures.is_of(path, figures.digest_of(sources)):
            differing.append(path.name)
    return differing


def main() -> None:
    """Build, or check."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, tell what differs")
    parser.add_argument("--no-pdf", action="store_true", help="texts, numbers and figures alone")
    given = parser.parse_args()
    numbers = collect()
    if false := broken(numbers):
        sys.exit("the records no longer say what the text says: " + "; ".join(false))
    if given.check:
        if differing := differences(numbers):
            sys.exit(f"{', '.join(differing)}: not of the committed records; run make paper")
        return
    for path, text in documents(numbers).items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"{path.name} written")
    for name in figures.draw(BUILD / "figures"):
        print(f"figures/{name}.svg replaced")
    if not given.no_pdf:
        _set_pages()


def _set_pages() -> None:
    from paper.typeset import typeset

    for name in TEXTS:
        target = typeset(PAPER / f"{name}.md", BUILD, BUILD / "figures")
        print(f"{target.relative_to(PAPER.parent)} set")


if __name__ == "__main__":
    main()
