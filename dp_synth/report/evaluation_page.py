"""The page of an evaluation: one HTML file that asks for nothing from outside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from types import MappingProxyType

from dp_synth._version import __version__
from dp_synth.report.evaluation_table import WORST_COLUMNS, Row, Section
from dp_synth.report.html_document import html_document, template


def page(
    title: str,
    mark: str,
    sections: Sequence[Section],
    *,
    about: Mapping[str, str] = MappingProxyType({}),
    remarks: Mapping[str, str] = MappingProxyType({}),
    histograms: str = "",
) -> str:
    """Return the page, headed by ``title`` and by the ``mark`` that says who may see it.

    ``about`` says what was evaluated, ``remarks`` what is not there and why; ``histograms`` is
    markup, an SVG of the columns that fare worst.
    """
    tables = "\n".join(
        _section(place, one) + (_figure(histograms) if one.title == WORST_COLUMNS else "")
        for place, one in enumerate(sections, 1)
    )
    body = f"""<main>
<h1>{escape(title[:1].upper() + title[1:])}</h1>
<p class="internal" role="note">{escape(mark[:1].upper() + mark[1:])}. Not to be published.</p>
{_facts(about)}<p>Each value stands with its 95&nbsp;% interval for the drawing of rows.</p>
{tables}
{_remarks(remarks)}</main>
<footer><p>dp_synth {escape(__version__)}</p></footer>
"""
    return html_document(title, template("evaluation.css"), body)


def _facts(about: Mapping[str, str]) -> str:
    pairs = (f"<dt>{escape(name)}</dt><dd>{escape(said)}</dd>" for name, said in about.items())
    return f"<dl>{''.join(pairs)}</dl>\n" if about else ""


def _figure(histograms: str) -> str:
    if not histograms:
        return ""
    return f"""
<section aria-labelledby="histograms">
<h2 id="histograms">Histograms of the columns that fare worst</h2>
<figure>{histograms}</figure>
</section>"""


def _remarks(remarks: Mapping[str, str]) -> str:
    if not remarks:
        return ""
    lines = (f"<li>{escape(name)}: {escape(said)}.</li>" for name, said in remarks.items())
    return f"""<section aria-labelledby="remarks">
<h2 id="remarks">What is not there</h2>
<ul>{"".join(lines)}</ul>
</section>
"""


def _section(place: int, section: Section) -> str:
    heads = ["Measure", "Synthetic rows", *[section.beside[:1].upper() + section.beside[1:]]]
    shown = heads if section.beside else heads[:2]
    columns = "".join(f'<th scope="col">{escape(head)}</th>' for head in shown)
    rows = "\n".join(_rows(section.rows, len(shown)))
    return f"""<section aria-labelledby="s{place}">
<h2 id="s{place}">{escape(section.title[:1].upper() + section.title[1:])}</h2>
<div class="wide" role="region" aria-labelledby="s{place}" tabindex="0">
<table>
<caption>{escape(section.note)}</caption>
<thead><tr>{columns}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
</div>
</section>"""


def _rows(rows: Sequence[Row], columns: int) -> Iterator[str]:
    above = ""
    for name, *values in rows:
        # A name that is set in belongs to the row above: a reader of one row must hear that too.
        label = f"{above},{name[1:]}" if name.startswith(" ") else name
        above = above if name.startswith(" ") else name
        cells = "".join(f"<td>{escape(value)}</td>" for value in values[: columns - 1])
        yield f'<tr><th scope="row">{escape(label)}</th>{cells}</tr>'
