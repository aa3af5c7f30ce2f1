"""The tables of a page that need no script: costs, failures, where the numbers come from, cards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from dp_synth.report.page_data import Cost, Failure

LONG = 12  # entries of a mapping that is folded away until somebody asks for it
NO_FAILURE = "No cell failed."
INTERNAL = "holds an internal part, which is not differentially private"
# What a reader of a card looks for first: what it is called here, and where it stands in the card.
CARD_FACTS = {
    "Method": ("method", "title"),
    "ε": ("promise", "epsilon"),
    "δ": ("promise", "delta"),
    "Adjacency": ("promise", "adjacency"),
    "Unit of privacy": ("promise", "unit"),
    "Seeded": ("promise", "seeded"),
    "Guarantee": ("promise", "statement"),
    "Certified by": ("promise", "engine"),
    "Intended for": ("intended",),
    "Not intended for": ("not_intended",),
    "Source": ("source",),
}


def cost_table(costs: Sequence[Cost]) -> str:
    """Return time and memory of the fits, by method; a sentence where nothing was measured."""
    if not costs:
        return "<p>These records hold no fit.</p>"
    heads = ["Method", "Table", "Task", "Fits", "CPU seconds", "Wall seconds", "Peak memory, MB"]
    rows = [
        [
            _cell(cost.series, head=True),
            *(_cell(text) for text in (cost.dataset, cost.task)),
            _number(cost.fits),
            *(_spent(found) for found in (cost.seconds, cost.wall_seconds, cost.peak_mb)),
        ]
        for cost in costs
    ]
    return _table("Median of the fits, with the least and the most", heads, rows)


def failure_table(failures: Sequence[Failure], cells: int) -> str:
    """Return which cells failed, why and how many; a sentence where none did."""
    if not failures:
        return f'<p class="good">{NO_FAILURE} All {cells:,} ended with a result.</p>'
    heads = ["Method", "Table", "Task", "ε", "Reason", "Cells"]
    rows = [
        [
            _cell(found.series, head=True),
            *(_cell(text) for text in (found.dataset, found.task)),
            _number(found.epsilon),
            f"<td><code>{escape(found.reason)}</code></td>",
            _number(found.cells),
        ]
        for found in failures
    ]
    return _table("Cells that ended in an error", heads, rows)


def manifest_lists(manifests: Sequence[Mapping[str, object]]) -> str:
    """Return what made the records, a list each."""
    if not manifests:
        return "<p>No manifest was given with these records.</p>"
    return "".join(
        f"<article><h3>{escape(str(manifest.get('name', 'Run')))}</h3>"
        f"{_facts({name: value for name, value in manifest.items() if name != 'name'})}</article>"
        for manifest in manifests
    )


def card_lists(cards: Sequence[Mapping[str, object]]) -> str:
    """Return a summary of the publishable part of each data card."""
    return "".join(_card(card) for card in cards)


def _card(card: Mapping[str, object]) -> str:
    public = card["publishable"]
    facts = {title: _at(public, place) for title, place in CARD_FACTS.items()}
    known = {title: fact for title, fact in facts.items() if fact not in (None, (), [])}
    mark = f'<p class="warning">This card {INTERNAL}.</p>' if card.get("internal") else ""
    findings = _at(public, ("findings",))
    listed = "".join(
        f"<li>{escape(': '.join(str(_at(finding, (key,))) for key in ('severity', 'text')))}</li>"
        for finding in (findings if isinstance(findings, list | tuple) else [])
    )
    more = f"<h4>Findings</h4><ul>{listed}</ul>" if listed else ""
    title = escape(str(_at(public, ("title",)) or "Data card"))
    return f"<article><h3>{title}</h3>{mark}{_facts(known)}{more}</article>"


def _at(content: object, place: Sequence[str]) -> object:
    """Return what stands at a place of nested mappings, None where there is no such place."""
    for key in place:
        content = content.get(key) if isinstance(content, Mapping) else None
    return content


def _facts(facts: Mapping[str, object]) -> str:
    pairs = "".join(
        f"<div><dt>{escape(str(name).replace('_', ' '))}</dt><dd>{_fact(value)}</dd></div>"
        for name, value in facts.items()
    )
    return f"<dl>{pairs}</dl>"


def _fact(value: object) -> str:
    if isinstance(value, Mapping):
        listed = _facts(value)
        if len(value) < LONG:
            return listed
        return f"<details><summary>{len(value)} entries</summary>{listed}</details>"
    if isinstance(value, list | tuple):
        if any(isinstance(item, Mapping) for item in value):
            return "".join(_fact(item) for item in value)
        return escape(", ".join(map(str, value)))
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return escape(f"{value:g}" if isinstance(value, float) else str(value))


def _table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table that the page's script can sort: each cell says its value as well."""
    columns = "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    region = f'class="scroll" role="region" tabindex="0" aria-label="{escape(caption)}"'
    return (
        f'<div {region}><table class="sortable"><caption>{escape(caption)}</caption>'
        f"<thead><tr>{columns}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(text: str, *, head: bool = False) -> str:
    kind = 'th scope="row"' if head else "td"
    return f'<{kind} data-value="{escape(text)}">{escape(text)}</{kind[:2]}>'


def _number(value: float | None) -> str:
    text = "" if value is None else f"{value:g}"
    return f'<td class="number" data-value="{"" if value is None else value}">{text}</td>'


def _spent(found: tuple[float, float, float] | None) -> str:
    if found is None:
        return _number(None)
    middle, low, high = (_short(value) for value in found)
    text = f'{middle} <span class="interval">({low} to {high})</span>'
    return f'<td class="number" data-value="{found[0]}">{text}</td>'


def _short(value: float) -> str:
    """Return a time or a size as one reads it.

    >>> _short(0.0123), _short(12.34), _short(2345.6)
    ('0.012', '12.3', '2,346')
    """
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2g}"
