"""Documents that come from records: Markdown tables, and what stands between markers.

<!-- table: utility -->       a text of several lines: a table, a paragraph
<!-- end -->
by <!-- value: gain -->17<!-- end --> %
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

MARKER = re.compile(r"<!-- (table|value): ([\w .-]+) -->(.*?)<!-- end -->", re.DOTALL)


def filled(text: str, text_of: Callable[[str], str]) -> str:
    """Return a document with what stands between its markers replaced.

    >>> filled("<!-- value: gain -->?<!-- end --> %", {"gain": "17"}.__getitem__)
    '<!-- value: gain -->17<!-- end --> %'
    """

    def replaced(found: re.Match[str]) -> str:
        kind, name, _ = found.groups()
        content = text_of(name).strip("\n")
        content = f"\n\n{content}\n\n" if kind == "table" else content
        return f"<!-- {kind}: {name} -->{content}<!-- end -->"

    return MARKER.sub(replaced, text)


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]], line: str = "") -> str:
    """Return a table of a document; ``line`` is what stands under its head.

    >>> print(markdown(["a", "b"], [["1", "2"]]))
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    cells = ["| " + " | ".join(row) + " |" for row in (head, *rows)]
    return "\n".join([cells[0], line or "|" + "---|" * len(head), *cells[1:]])
