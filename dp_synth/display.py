"""How objects show themselves in a session: a line of text, a short table in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

ROWS = 10  # that are shown of many


def html_table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    below: Sequence[str] = (),
    *,
    most: int = ROWS,
) -> str:
    """Return an HTML table of the first rows, how many more there are, and lines below it.

    >>> html_table(["a"], [["<"]] * 3, most=2).count("&lt;")
    2
    """
    body = [_row("td", row) for row in rows[:most]]
    if len(rows) > most:
        body.append(f'<tr><td colspan="{len(head)}">and {len(rows) - most:,} more</td></tr>')
    lines = "".join(f"<p>{escape(text)}</p>\n" for text in below)
    top = f"<thead>{_row('th', head)}</thead>\n" if any(head) else ""
    return f"<table>\n{top}<tbody>{''.join(body)}</tbody>\n</table>\n{lines}"


def _row(tag: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>\n"
