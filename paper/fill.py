"""Templates in, text out: ``{{name}}`` becomes a number, ``{{table:name}}`` a table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from paper.number import Number
from paper.tables import drawn

TABLE = re.compile(r"\{\{table:(\w+)\}\}")
NUMBER = re.compile(r"\{\{(\w+)(?::(\w*))?\}\}")


def expanded(template: str, numbers: Mapping[str, Number]) -> str:
    """Return a template whose tables are drawn, with every number still named."""
    return TABLE.sub(lambda found: drawn(found[1], numbers), template)


def filled(template: str, numbers: Mapping[str, Number]) -> str:
    """Return the text with every number in its place; KeyError for a name that is not known.

    >>> filled("by {{gain}} %", {"gain": Number(17.0, 0, "", "")})
    'by 17 %'
    """
    return NUMBER.sub(
        lambda found: numbers[found[1]].text(found[2] or ""), expanded(template, numbers)
    )


def places(template: str, numbers: Mapping[str, Number]) -> Iterator[tuple[str, str]]:
    """Yield the name and the form of every number of a template, in order."""
    for found in NUMBER.finditer(expanded(template, numbers)):
        yield found[1], found[2] or ""
