"""The page of a card: one file without scripts or requests, for screens of any size and paper."""

from __future__ import annotations

import json
from collections.abc import Sequence
from string import Template

from dp_synth.accounting.budget import CHANGES
from dp_synth.report.card import DataCard
from dp_synth.report.card_markup import (
    LINE_BREAK,
    UNKNOWN,
    Content,
    Html,
    facts,
    listed,
    markup,
    measured_table,
    most,
    paragraph,
    section,
    table,
)
from dp_synth.report.guarantee import ENGINES, Promise, odds, upward
from dp_synth.report.html_document import html_document, template, themed
from dp_synth.report.internal import MARK, InternalPart
from dp_synth.report.publishable import ADVANTAGE, Asked, PublicColumn, Publishable, Step
from dp_synth.rounding import rounded_up

SHOWN = 12  # categories and marginals of a cell; the card's JSON has all of them


def page_of(card: DataCard) -> str:
    """Return the page of a card as one HTML text."""
    part = card.publishable
    parts = [_blocking(part), _promise(part), _uses(part), _warnings(part), _validation(part)]
    parts += [_steps(part), _inputs(part), _method(part)]
    if card.internal is not None:
        parts += _internal(card.internal)
    body = Template(template("card.html")).substitute(
        title=markup(part.title),
        head=_head(part.promise) + (_banner() if card.internal else ""),
        body="".join(parts),
        foot=markup(f"Made by dp_synth {card.dp_synth}. Publishable part: SHA-256 {card.digest}."),
    )
    return html_document(f"Data card: {part.title}", themed("card.css"), body)


def _head(promise: Promise) -> str:
    epsilon = "not certified" if promise.epsilon is None else rounded_up(promise.epsilon)
    return facts(
        [
            ("epsilon", epsilon),
            ("delta", f"{rounded_up(promise.delta)} ({odds(promise.delta)})"),
            ("protects", promise.unit),
            ("tables that look alike", f"{promise.unit} {CHANGES[promise.adjacency]}"),
            ("best attack, at most", f"{rounded_up(promise.largest_auc)} (AUC; a coin has 0.5)"),
        ]
    )


def _banner() -> str:
    text = f"{MARK}. It holds numbers computed from private rows: do not publish this page."
    return f'<p class="banner" role="note">{markup(text[:1].upper() + text[1:])}</p>\n'


def _blocking(part: Publishable) -> str:
    return "".join(
        paragraph(Html(f"<strong>Not ready for release.</strong> {markup(one.text)}"), "warning")
        for one in part.blocking
    )


def _promise(part: Publishable) -> str:
    promise = part.promise
    rows = [(f"{100 * one.fpr:g} %", upward(one.tpr)) for one in promise.largest_tpr]
    certified = ENGINES.get(promise.engine, promise.engine)
    return section(
        "promise",
        "What is promised",
        paragraph(promise.statement, "statement"),
        "<h3>In plain words</h3>\n",
        *(paragraph(text) for text in promise.in_words),
        table(
            "The largest share of members that any attack finds, by the share of wrong accusations",
            ["wrongly accused", "found, at most"],
            rows,
        ),
        paragraph(f"Certified by: {certified}. Every number is an upper bound.", "soft"),
    )


def _uses(part: Publishable) -> str:
    source = part.source
    cited: list[Content] = []
    if source is not None:
        named = {"Cite": source.citation, "Licence": source.licence, "Place": source.place}
        cited = [
            Html(f"<strong>{name}:</strong> {markup(text)}") for name, text in named.items() if text
        ]
    return section(
        "uses",
        "What it is for",
        "<h3>Source</h3>\n",
        listed(cited) or paragraph("Not stated."),
        "<h3>Intended uses</h3>\n",
        listed(part.intended) or paragraph("Not stated."),
        "<h3>Not intended</h3>\n",
        listed(part.not_intended) or paragraph("Not stated."),
        "<h3>Limits of every such table</h3>\n",
        listed(part.limits),
    )


def _warnings(part: Publishable) -> str:
    rows = [
        (one.kind.replace("_", " "), one.column or "the release", one.text)
        for one in part.findings
        if one.severity == "warning"
    ]
    caption = "Warnings from the schema and the ledger; no private row was looked at"
    shown = table(caption, ["kind", "of", "what to know"], rows)
    none = "None but what stands at the top." if part.blocking else "None."
    return section("warnings", "Warnings", shown or paragraph(none))


def _validation(part: Publishable) -> str:
    """Return what the fit paid for to say how good it is; nothing where it did not."""
    if not part.validation:
        return ""
    near = [one for one in part.validation if one.name != ADVANTAGE]
    attacked = [one for one in part.validation if one.name == ADVANTAGE]
    return section(
        "validation",
        "Validation, paid for by the budget",
        paragraph(
            "Noisy answers of the ledger below: these numbers may be published, and decided by. "
            "All intervals hold at once with a chance of 95 %."
        ),
        measured_table(
            "Total variation between the fitted records and the model", near, of="pair", beside=""
        ),
        measured_table(
            "Advantage of one attack on membership: 0 is a coin, and another attack may find more",
            attacked,
            beside="ledger permits, at most",
            beside_as=most,
        )
        if attacked
        else "",
    )


def _steps(part: Publishable) -> str:
    caption = (
        "What was granted before anything was read, and what was asked of which columns. Shares "
        "of the cost add up; epsilons do not."
    )
    head = ["step", "granted", "asked", "columns", "share", "epsilon alone"]
    return section("ledger", "Ledger", table(caption, head, [_step(one) for one in part.steps]))


def _step(step: Step) -> list[Content]:
    return [
        f"{step.recipe}: {step.part}",
        _asked(step.granted, with_reason=False),
        _asked(step.asked, with_reason=True),
        _some([" and ".join(clique) for clique in step.attributes]) or UNKNOWN,
        UNKNOWN if step.share is None else f"{100 * step.share:.1f} %",
        "infinite" if step.epsilon_alone is None else rounded_up(step.epsilon_alone),
    ]


def _asked(asked: Sequence[Asked], *, with_reason: bool) -> Html | str:
    lines = [
        f"{one.count} x {one.event}" + (f" ({one.why})" if with_reason else "") for one in asked
    ]
    shown = [markup(line) for line in lines[:SHOWN]]
    if len(lines) > SHOWN:
        shown.append(f"and {len(lines) - SHOWN} more, in the card's JSON")
    return Html(LINE_BREAK.join(shown)) if shown else UNKNOWN


def _inputs(part: Publishable) -> str:
    public = part.public_inputs
    stated = [
        f"Bounds and categories come from: {public.bounds_from or 'not stated'}",
        f"Unit of privacy, as the schema says: {public.unit_of_privacy or 'not stated'}",
        f"Label: {public.label or 'none'}",
    ]
    head = ["column", "type", "values", "missing marks", "cells", "cells from"]
    return section(
        "public",
        "What was declared public",
        paragraph("The promise holds only if all of this was known without looking at the table."),
        listed(stated),
        table("Columns and their public facts", head, [_column(one) for one in public.columns]),
        "<h3>Constraints</h3>\n" + listed(public.constraints) if public.constraints else "",
    )


def _column(column: PublicColumn) -> list[Content]:
    if column.categories is not None:
        values = _some(column.categories)
    elif column.lower is not None and column.upper is not None:
        values = f"{_end(column.lower)} to {_end(column.upper)}"
    else:
        values = UNKNOWN
    return [
        column.name,
        column.type + (", open" if column.open else ""),
        values or UNKNOWN,
        ", ".join(mark or "(empty)" for mark in column.missing) or "none",
        UNKNOWN if column.cells is None else str(column.cells),
        column.cells_from,
    ]


def _end(end: float | str) -> str:
    return end if isinstance(end, str) else f"{end:.15g}"


def _some(texts: Sequence[str]) -> str:
    shown = ", ".join(texts[:SHOWN])
    more = len(texts) - SHOWN
    return f"{shown} and {more} more, in the card's JSON" if more > 0 else shown


def _method(part: Publishable) -> str:
    method = part.method
    rows = [(name, json.dumps(value)) for name, value in method.settings.items()]
    return section(
        "method",
        "Method",
        paragraph(
            Html(
                f"<strong>{markup(method.name)}</strong>: {markup(method.title)}. "
                f"dp_synth {markup(method.dp_synth)}."
            )
        ),
        paragraph(f"Described by: {method.reference}."),
        table("Settings, all of them public", ["setting", "value"], rows),
    )


def _internal(part: InternalPart) -> list[str]:
    return [_banner(), _fidelity(part), _utility(part), _attacks(part), _care(part)]


def _fidelity(part: InternalPart) -> str:
    fresh = "fresh real rows"
    pairs = "Pairs of columns that fare worst; each interval is for its pair alone"
    sample = () if part.sample is None else (part.sample,)
    return section(
        "fidelity",
        "Fidelity (internal)",
        measured_table(
            "Distances from the fitted records", part.fidelity, beside=fresh, draw=False
        ),
        measured_table("The sample of real records as far away", sample, beside="", draw=False),
        measured_table("Columns that fare worst", part.columns, of="column", beside=fresh),
        measured_table(pairs, part.pairs, of="pair", beside=fresh),
        internal=True,
    )


def _utility(part: InternalPart) -> str:
    beside = "trained on real rows"
    caption = "Models trained on the rows, tested on fresh real records"
    scores = measured_table(caption, part.utility, beside=beside)
    return section(
        "utility",
        "Utility (internal)",
        scores or paragraph("The schema has no label to predict."),
        measured_table("By group of people", part.subgroups, beside=beside, draw=False),
        internal=True,
    )


def _attacks(part: InternalPart) -> str:
    sees = "the attacker sees"
    left_out = [f"{name}: {why}" for name, why in part.left_out.items()]
    membership = "Is somebody among the fitted? Areas under the ROC curve; 0.5 is a coin"
    guesses = "Guesses about single people: what being fitted adds"
    return section(
        "attacks",
        "Attacks (internal)",
        paragraph(part.summary),
        measured_table(
            membership, part.attacks, of=sees, beside="ledger permits, at most", beside_as=most
        ),
        measured_table(
            guesses, part.guesses, of=sees, beside="success on fresh records", draw=False
        ),
        "<h3>Not run</h3>\n" + listed(left_out) if left_out else "",
        internal=True,
    )


def _care(part: InternalPart) -> str:
    caption = "Shares of fitted records, beside the same of fresh ones"
    return section(
        "care",
        "What calls for care (internal)",
        measured_table(caption, part.warnings, of="column", beside="fresh real rows"),
        internal=True,
    )
