"""The page of a benchmark: one HTML file that opens anywhere and asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dp_synth._version import __version__
from dp_synth.errors import InputError, missing_extra
from dp_synth.figures.curves import CEILING
from dp_synth.files import written_whole
from dp_synth.formatting import as_given, rounded_up
from dp_synth.report.benchmark_data import FIELDS, WAYS, Look, PageData, page_data
from dp_synth.report.pages import render, template, themed

if TYPE_CHECKING:
    import pandas as pd

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
    "Questions": ("scope", "summary"),
    "Intended for": ("intended",),
    "Not intended for": ("not_intended",),
    "Source": ("source",),
}


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
    ``stores`` names what the records were read from. The file holds its own style, scripts and
    numbers: its content security policy lets it ask for nothing. InputError for a table without
    records, where ``path`` cannot be written, and where the extra ``report`` is not installed.
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
    from markupsafe import Markup

    try:
        from dp_synth.report.charts import library, themes
    except ImportError:
        raise missing_extra("a page with charts", "Altair and vl-convert", "report") from None
    data = page_data(records)
    charts, menu = _curves(data)
    both = _tradeoff(data)
    drawn = {**data.drawn(), "themes": themes(_looks(data)), "charts": charts, "tradeoff": both}
    style, script = themed("benchmark.css"), template("benchmark.js")
    values = {
        **vars(data),
        "numbers": _numbers(data),
        "menu": menu,
        "has_tradeoff": both is not None,
        "peers": any(series.kind == "peer" for series in data.series),
        "hidden": any(series.hidden for series in data.series),
        "epsilons": [(epsilon, as_given(epsilon)) for epsilon in data.epsilons],
        "ranked": [
            (i, f"{measure.task}: {measure.label}")
            for i, measure in enumerate(data.measures)
            if measure.metric != CEILING
        ],
        "stores": stores,
        "manifests": manifests,
        "cards": [_card(card) for card in cards],
        "version": __version__,
        "data": Markup(embedded(drawn)),
        "library": Markup(library()),
        "script": Markup(script),
    }
    policy = _policy(style, [library(), script])
    return render("benchmark.html", _title(data), style, values, policy=policy)


def embedded(value: object) -> str:
    """Return JSON that no text in it can end: it holds none of the signs that HTML reads.

    >>> embedded({"</script>": "&"})
    '{"\\\\u003c/script\\\\u003e":"\\\\u0026"}'
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _policy(style: str, scripts: Iterable[str]) -> str:
    """Return a policy that lets this style and these scripts run, and nothing be asked for."""
    run = " ".join(f"'{_digest(script)}'" for script in scripts)
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src {run}; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _looks(data: PageData) -> dict[str, Look]:
    return {series.name: series.look for series in data.series}


def _curves(
    data: PageData,
) -> tuple[list[dict[str, object]], list[tuple[str, list[tuple[int, str]]]]]:
    """Return the charts over epsilon, and the menu that offers them: utility, then leakage."""
    from dp_synth.report.charts import curves

    kinds: dict[tuple[str, str], list[int]] = {}
    for i, measure in enumerate(data.measures):
        if measure.metric != CEILING:
            kinds.setdefault((measure.task, measure.kind or measure.metric), []).append(i)
    ceiling = [i for i, measure in enumerate(data.measures) if measure.metric == CEILING]
    charts: list[dict[str, object]] = []
    menu: dict[str, list[tuple[int, str]]] = {}
    for (task, _), places in kinds.items():
        kind = [data.measures[i] for i in places]
        bounded = ceiling if kind[0].attack and kind[0].kind.startswith("auc") else []
        spec = curves(kind, _looks(data), _with_points(data, [*places, *bounded]), data.epsilons)
        menu.setdefault(task, []).append(
            (len(charts), (kind[0].about or kind[0].label) + WAYS[kind[0].better])
        )
        charts.append({"spec": spec, "measures": [*places, *bounded]})
    return charts, list(menu.items())


def _tradeoff(data: PageData) -> dict[str, object] | None:
    """Return the chart of utility over leakage; None where no attack was run, or nothing else."""
    from dp_synth.report.charts import tradeoff

    told = {i: one for i, one in enumerate(data.measures) if one.metric != CEILING}
    leaks = {i: one.described for i, one in told.items() if one.attack}
    # Both coordinates of a point are of the same releases wherever those were scored as well.
    gives = {i: one for i, one in told.items() if not one.attack}
    scored = {i: one for i, one in gives.items() if one.task == "leakage"} or gives
    if not leaks or not scored:
        return None
    named = {i: one.described for i, one in scored.items()}
    spec = tradeoff(named, leaks, _looks(data), _with_points(data, leaks), data.epsilons)
    return {"spec": spec, "measures": [*scored, *leaks]}


def _with_points(data: PageData, measures: Collection[int]) -> list[str]:
    """Return the names of the series that have points of these measures."""
    series, measure = FIELDS.index("series"), FIELDS.index("measure")
    found = {row[series] for row in data.points if row[measure] in measures}
    return [one.name for i, one in enumerate(data.series) if i in found]


def _title(data: PageData) -> str:
    names = [dataset["name"] for dataset in data.datasets]
    tables = names[0] if len(names) == 1 else f"{len(names)} tables"
    methods = sum(series.kind in ("fitted", "peer") for series in data.series)
    return f"Privacy, utility and leakage: {methods} synthesizers on {tables}"


def _numbers(data: PageData) -> list[tuple[str, str]]:
    """Return the numbers that say how large the comparison is."""
    kinds = [series.kind for series in data.series]
    ends = dict.fromkeys(
        rounded_up(end, 6) for end in (data.epsilons or [0.0])[:: max(len(data.epsilons) - 1, 1)]
    )
    return [
        ("synthesizers", str(kinds.count("fitted") + kinds.count("peer"))),
        ("tables", str(len(data.datasets))),
        ("budgets", "ε " + " to ".join(ends) if data.epsilons else "none"),
        ("seeds", str(data.seeds)),
        ("cells", f"{data.cells:,}"),
        ("failed", f"{data.failed:,}"),
    ]


def _card(card: Mapping[str, object]) -> dict[str, object]:
    """Return the summary of a data card's publishable part; what it leaves unsaid is left out."""
    public = card["publishable"]
    facts = {name: _at(public, place) for name, place in CARD_FACTS.items()}
    findings = _at(public, ("findings",))
    return {
        "title": _at(public, ("title",)) or "Data card",
        "internal": bool(card.get("internal")),
        "facts": {name: fact for name, fact in facts.items() if fact not in (None, (), [])},
        "findings": [
            f"{_at(one, ('severity',))}: {_at(one, ('text',))}"
            for one in (findings if isinstance(findings, list | tuple) else [])
        ],
    }


def _at(content: object, place: Sequence[str]) -> object:
    """Return what stands at a place of nested mappings, None where there is no such place."""
    for key in place:
        content = content.get(key) if isinstance(content, Mapping) else None
    return content
