"""Docstrings as this package writes them, made ready for Sphinx."""

from __future__ import annotations

import re

from sphinx.application import Sphinx

BARS = re.compile(r"(?<![`\\])\|(\w+)\|")  # an absolute value, which Sphinx takes for a name


def prepare(
    _app: Sphinx, _what: str, _name: str, _thing: object, _options: object, lines: list[str]
) -> None:
    """Make a heading of each underlined line, and keep bars as they are; changes ``lines``."""
    made: list[str] = []
    for line in lines:
        if made and len(line) > 2 and set(line.strip()) == {"-"}:
            made[-1] = f".. rubric:: {made[-1]}"
            made.append("")
        else:
            made.append(BARS.sub(r"\\|\1\\|", line))
    lines[:] = made


def setup(app: Sphinx) -> dict[str, bool]:
    """Have every docstring prepared before it is read."""
    app.connect("autodoc-process-docstring", prepare)
    return {"parallel_read_safe": True}
