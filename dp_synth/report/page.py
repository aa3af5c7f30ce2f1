"""The page of a benchmark: one HTML file that opens anywhere and asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from dp_synth._version import __version__
from dp_synth.errors import InputError
from dp_synth.files import written_whole
from dp_synth.report.html_document import html_document, template, themed
from dp_synth.report.page_data import PageData, page_data
from dp_synth.report.page_tables import card_lists, cost_table, failure_table, manifest_lists
from dp_synth.rounding import rounded_up

if TYPE_CHECKING:
    import pandas as pd


def write_page(
    records: pd.DataFrame,
    path: str | Path,
    *,
    manifests: Sequence[Mapping[str, object]] = (),
    cards: Sequence[Mapping[str, object]] = (),
    stores: Sequence[str] = (),
) -> Path:
    """Write one HTML file with the curves, ranks, costs and failures of ``records``; return it.

    ``manifests`` are the contents of the stores' manifests, ``cards`` those of data cards, and
    ``stores`` names what the records were read from. The file holds its own style, script and
    numbers: its content security policy lets it ask for nothing. InputError for a table without
    records, and where ``path`` cannot be written.
    """
    text = page(records, manifests=manifests, cards=cards, stores=stores)
    target = Path(path)
    try:
        with written_whole(target) as passing:
            passing.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{target} cannot be written ({error.strerror}); name another") from None
    return target


def page(
    records: pd.DataFrame,
    *,
    manifests: Sequence[Mapping[str, object]] = (),
    cards: Sequence[Mapping[str, object]] = (),
    stores: Sequence[str] = (),
) -> str:
    """Return the text of the page that ``write_page`` writes."""
    data = page_data(records)
    title = _title(data)
    style, script = themed("page.css"), template("page.js")
    parts = {
        "script": script,
        "data": embedded(data.drawn()),
        "title": escape(title),
        "facts": _facts(data),
        "costs": cost_table(data.costs),
        "failures": failure_table(data.failures, data.cells),
        "manifests": manifest_lists(manifests),
        "stores": escape(", ".join(stores)) or "records given to the page directly",
        "cards": card_lists(cards),
        "no_cards": "" if cards else "hidden",
        "version": escape(__version__),
    }
    body = Template(template("page.html")).substitute(parts)
    return html_document(title, style, body, policy=_policy(style, script))


def embedded(value: object) -> str:
    """Return JSON that no text in it can end: it holds none of the signs that HTML reads.

    >>> embedded({"</script>": "&"})
    '{"\\\\u003c/script\\\\u003e":"\\\\u0026"}'
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _policy(style: str, script: str) -> str:
    """Return a policy that lets this style and this script run, and nothing be asked for."""
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _title(data: PageData) -> str:
    names = [dataset["name"] for dataset in data.datasets]
    tables = names[0] if len(names) == 1 else f"{len(names)} tables"
    methods = sum(series.kind in ("fitted", "peer") for series in data.series)
    return f"Privacy, utility and leakage: {methods} synthesizers on {tables}"


def _facts(data: PageData) -> str:
    """Return the numbers that say how large the comparison is."""
    kinds = [series.kind for series in data.series]
    facts = {
        "synthesizers": str(kinds.count("fitted") + kinds.count("peer")),
        "tables": str(len(data.datasets)),
        "budgets": _range(data.epsilons),
        "seeds": str(data.seeds),
        "cells": f"{data.cells:,}",
        "failed": f"{data.failed:,}",
    }
    return "".join(f"<div><dt>{name}</dt><dd>{text}</dd></div>" for name, text in facts.items())


def _range(epsilons: Sequence[float]) -> str:
    if not epsilons:
        return "none"
    ends = dict.fromkeys(rounded_up(epsilon, 6) for epsilon in (epsilons[0], epsilons[-1]))
    return "ε " + " to ".join(ends)
