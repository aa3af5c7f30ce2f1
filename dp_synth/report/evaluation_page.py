"""The page of an evaluation: one HTML file that asks for nothing from outside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from dp_synth._version import __version__
from dp_synth.report.evaluation_table import Row, Section
from dp_synth.report.html_document import html_document, template


def page(title: str, mark: str, sections: Sequence[Section]) -> str:
    """Return the page, headed by ``title`` and by the ``mark`` that says who may see it."""
    tables = "\n".join(_section(place, one) for place, one in enumerate(sections, 1))
    body = f"""<main>
<h1>{escape(title[:1].upper() + title[1:])}</h1>
<p class="internal" role="note">{escape(mark[:1].upper() + mark[1:])}. Not to be published.</p>
<p>Each value stands with its 95&nbsp;% interval for the drawing of rows.</p>
{tables}
</main>
<footer><p>dp_synth {escape(__version__)}</p></footer>
"""
    return html_document(title, template("evaluation.css"), body)


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
