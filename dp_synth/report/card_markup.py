"""Small pieces of a card's page; all text is escaped here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

from dp_synth.report.publishable import Measured
from dp_synth.rounding import at_most

WIDTH, HEIGHT = 120, 16  # of an interval's drawing
UNKNOWN = "n/a"
LINE_BREAK = "<br>"


@dataclass(frozen=True)
class Html:
    """Text that is markup already."""

    text: str


Content = str | Html


def markup(content: Content) -> str:
    """Return content as markup: text is escaped.

    >>> markup("<b>"), markup(Html("<b>"))
    ('&lt;b&gt;', '<b>')
    """
    return content.text if isinstance(content, Html) else escape(content)


def paragraph(content: Content, kind: str = "") -> str:
    """Return a paragraph, of a class if one is named."""
    return f"<p{_class(kind)}>{markup(content)}</p>\n"


def listed(items: Iterable[Content]) -> str:
    """Return a list; nothing for no items."""
    points = "".join(f"<li>{markup(item)}</li>\n" for item in items)
    return f"<ul>\n{points}</ul>\n" if points else ""


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Return a list of names with their values, set large."""
    rows = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>\n" for name, value in pairs
    )
    return f'<dl class="facts">\n{rows}</dl>\n'


def section(name: str, title: str, *content: str, internal: bool = False) -> str:
    """Return a section with a heading, which names it to screen readers too."""
    kind = ' class="internal"' if internal else ""
    head = f'<section aria-labelledby="{name}"{kind}>\n<h2 id="{name}">{escape(title)}</h2>\n'
    return f"{head}{''.join(content)}</section>\n"


def table(
    caption: str,
    head: Sequence[str],
    rows: Sequence[Sequence[Content]],
    *,
    notes: Sequence[str] = (),
) -> str:
    """Return a table whose first column names its rows; nothing for no rows.

    ``notes`` holds a text for each row, shown below it; empty ones are left out. What does not
    fit scrolls, by keyboard as well.
    """
    if not rows:
        return ""
    columns = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    below = [_note(text, len(head)) for text in notes] or [""] * len(rows)
    body = "".join(_row(row) + note for row, note in zip(rows, below, strict=True))
    label = escape(caption, quote=True)
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{label}">\n'
        f"<table>\n<caption>{escape(caption)}</caption>\n"
        f"<thead><tr>{columns}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n</div>\n"
    )


def measured_table(
    caption: str,
    measured: Sequence[Measured],
    *,
    beside: str,
    of: str = "",
    draw: bool = True,
    beside_as: Callable[[float | None], str] | None = None,
) -> str:
    """Return a table of measured values with their intervals.

    ``of`` heads the column of what each is about, ``beside`` that of what it is to be read
    against; both are left out where they are empty. With ``draw`` the intervals stand on one
    common line as well, ``beside`` a stroke across it: for values of one scale. ``beside_as``
    writes what stands beside; by default `number` does.
    """
    head = ["measure", *[of] * bool(of), "value", "95 % interval", *[beside] * bool(beside)]
    ends = [end for one in measured for end in (one.low, one.high, one.beside) if end is not None]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    rows: list[list[Content]] = [
        [
            one.name,
            *[one.about] * bool(of),
            number(one.value),
            f"{number(one.low)} to {number(one.high)}",
            *[(beside_as or number)(one.beside)] * bool(beside),
            *[Html(drawn(one, low, high))] * draw,
        ]
        for one in measured
    ]
    return table(caption, [*head, *["drawn"] * draw], rows, notes=[one.note for one in measured])


def number(value: float | None) -> str:
    """Return a measured number in four digits after the point, or n/a where it is unknown."""
    return UNKNOWN if value is None else f"{value:.4f}"


def most(value: float | None) -> str:
    """Return an upper bound in as many digits as `number`, rounded up."""
    return UNKNOWN if value is None else at_most(value, 4)


def drawn(one: Measured, low: float, high: float) -> str:
    """Return a drawing of an interval between two ends; screen readers have the numbers."""
    spread = (high - low) or 1.0

    def at(value: float) -> str:
        return f"{4 + (WIDTH - 8) * (value - low) / spread:.1f}"

    middle = HEIGHT / 2
    axis = f'<path class="axis" d="M4 {middle:g}H{WIDTH - 4}"/>'
    parts = [axis]
    if one.value is not None:
        start = low if one.low is None else one.low
        end = high if one.high is None else one.high
        parts.append(f'<path class="range" d="M{at(start)} {middle:g}H{at(end)}"/>')
        parts.append(f'<circle class="dot" cx="{at(one.value)}" cy="{middle:g}" r="3.2"/>')
    if one.beside is not None:
        parts.append(f'<path class="beside" d="M{at(one.beside)} 2V{HEIGHT - 2}"/>')
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true">{"".join(parts)}</svg>'


def _row(cells: Sequence[Content]) -> str:
    first, *others = cells
    rest = "".join(f"<td{_class(_kind(cell))}>{markup(cell)}</td>" for cell in others)
    return f'<tr><th scope="row">{markup(first)}</th>{rest}</tr>\n'


def _note(text: str, columns: int) -> str:
    if not text:
        return ""
    return f'<tr class="note"><td colspan="{columns}">{escape(text)}</td></tr>\n'


def _kind(cell: Content) -> str:
    """Return what keeps a cell readable where room is short."""
    if isinstance(cell, Html):
        return "long" if LINE_BREAK in cell.text else ""
    if len(cell) > 60:
        return "long"
    return "number" if cell.lstrip("-")[:1].isdigit() else ""


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
