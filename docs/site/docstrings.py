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


def forget_unread(app: Sphinx) -> list[tuple[str, dict[str, object], str]]:
    """Forget modules whose source was looked for in vain: the index would link to no page."""
    modules = getattr(app.env, "_viewcode_modules", {})
    for name in [name for name, entry in modules.items() if not entry]:
        del modules[name]
    return []


def setup(app: Sphinx) -> dict[str, bool]:
    """Have every docstring prepared before it is read."""
    app.connect("html-collect-pages", forget_unread, priority=100)  # before they are listed
    app.connect("autodoc-process-docstring", prepare)
    return {"parallel_read_safe": True}
