"""HTML pages by templates: one file each, which escapes all text and asks nobody for anything."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from dp_synth.accounting.budget import CHANGES
from dp_synth.formatting import at_most, rounded_up
from dp_synth.report.guarantee import ENGINES, odds, upward
from dp_synth.report.publishable import ADVANTAGE, Measured

if TYPE_CHECKING:
    from jinja2 import Environment

    from dp_synth.report.card import DataCard

STYLE_ALONE = "default-src 'none'; style-src 'unsafe-inline'"
"""The content security policy of a page without scripts."""

UNKNOWN = "n/a"
SHOWN = 12  # categories and marginals of a cell; the card's JSON has all of them
LEFT, RIGHT = 4, 116  # the ends of the line on which intervals are drawn


def render(
    name: str, title: str, style: str, values: Mapping[str, object], *, policy: str = STYLE_ALONE
) -> str:
    """Return the page that the template ``name`` makes of values; every text in it is escaped.

    It follows the reader's choice of a light or a dark theme, as far as its ``style`` does.
    """
    from markupsafe import Markup

    head = {"title": title, "style": Markup(style), "policy": Markup(policy)}
    return _environment().get_template(name).render({**head, **values})


def template(name: str) -> str:
    """Return the text of a file of the templates' folder."""
    return (files("dp_synth.report") / "templates" / name).read_text(encoding="utf-8")


def themed(name: str) -> str:
    """Return the style in the file ``name`` after what it shares with other pages."""
    return template("theme.css") + template(name)


def card_page(card: DataCard) -> str:
    """Return the page of a data card: without scripts, for screens of any size and paper."""
    part, promise = card.publishable, card.publishable.promise
    values = {
        "part": part,
        "promise": promise,
        "change": CHANGES[promise.adjacency],
        "certified": ENGINES.get(promise.engine, promise.engine),
        "advantage": ADVANTAGE,
        "internal": card.internal,
        "version": card.dp_synth,
        "digest": card.digest,
    }
    return render("card.html", f"Data card: {part.title}", themed("card.css"), values)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("dp_synth.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= _FILTERS
    return made


def number(value: float | None) -> str:
    """Return a measured number in four digits after the point, or n/a where it is unknown."""
    return UNKNOWN if value is None else f"{value:.4f}"


def bound(value: float | None) -> str:
    """Return an upper bound in as many digits as `number`, rounded up."""
    return UNKNOWN if value is None else at_most(value, 4)


def some(texts: Sequence[str]) -> str:
    """Return the first texts of a list, and how many more there are."""
    more = len(texts) - SHOWN
    shown = ", ".join(texts[:SHOWN])
    return f"{shown} and {more} more, in the card's JSON" if more > 0 else shown


def ends(measured: Sequence[Measured]) -> tuple[float, float]:
    """Return the ends of the line on which all these intervals can be drawn."""
    known = [end for one in measured for end in (one.low, one.high, one.beside) if end is not None]
    return min(known, default=0.0), max(known, default=1.0)


def place(value: float | None, low: float, high: float, otherwise: float = 0.0) -> str:
    """Return where a value lies on the line from ``low`` to ``high``.

    >>> place(0.5, 0.0, 1.0), place(None, 0.0, 1.0, otherwise=1.0)
    ('60.0', '116.0')
    """
    share = ((otherwise if value is None else value) - low) / ((high - low) or 1.0)
    return f"{LEFT + (RIGHT - LEFT) * share:.1f}"


def short(value: float) -> str:
    """Return a time or a size as one reads it.

    >>> short(0.0123), short(12.34), short(2345.6)
    ('0.012', '12.3', '2,346')
    """
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2g}"


def sentence(text: str) -> str:
    """Return a text that begins with a capital letter, whatever stands in the rest."""
    return text[:1].upper() + text[1:]


def _without(values: Mapping[str, object], name: str) -> dict[str, object]:
    return {key: value for key, value in values.items() if key != name}


def _end(end: float | str) -> str:
    return end if isinstance(end, str) else f"{end:.15g}"


_FILTERS: dict[str, Callable[..., object]] = {
    "bound": bound,
    "end": _end,
    "ends": ends,
    "json": json.dumps,
    "number": number,
    "numbered": enumerate,
    "odds": odds,
    "percent": upward,
    "place": place,
    "sentence": sentence,
    "short": short,
    "some": some,
    "up": rounded_up,
    "without": _without,
}
