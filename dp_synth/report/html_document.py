"""The frame of every HTML page: one file that asks for nothing from outside."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from string import Template

STYLE_ALONE = "default-src 'none'; style-src 'unsafe-inline'"
"""The content security policy of a page without scripts."""


def html_document(title: str, style: str, body: str, *, policy: str = STYLE_ALONE) -> str:
    """Return a page whose head names the ``title`` and holds the ``style``.

    It follows the reader's choice of a light or a dark theme, as far as its style does, and sends
    no referrer. ``body`` is markup already; ``title`` is escaped here.

    >>> "<title>A &lt; B</title>" in html_document("A < B", "", "")
    True
    """
    return Template(template("document.html")).substitute(
        title=escape(title), style=style, body=body, policy=policy
    )


def template(name: str) -> str:
    """Return the text of a file of the templates' folder."""
    return (files("dp_synth.report") / "templates" / name).read_text(encoding="utf-8")


def themed(name: str) -> str:
    """Return the style in the file ``name`` after what it shares with other pages."""
    return template("theme.css") + template(name)
