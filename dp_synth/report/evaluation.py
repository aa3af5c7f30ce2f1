"""Rows and the page of an evaluation: each number with its interval, beside real rows'."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from dp_synth._version import __version__
from dp_synth.report.pages import render, themed

if TYPE_CHECKING:
    from dp_synth.metrics import Compared, Metric
    from dp_synth.metrics.evaluation import Evaluation
    from dp_synth.report.scope import Scope

Row = tuple[str, str, str]  # what it is, its value and interval, the same of real rows
TITLE = "evaluation of a synthetic table"
INTERNAL = "internal: computed on real rows, not differentially private"
DEGREES = ((1, "columns"), (2, "pairs"), (3, "triples"))
SCORES = {
    "auc": "AUC",
    "average_precision": "average precision",
    "f1": "F1",
    "r2": "variance explained (R2)",
    "mean_absolute_error": "mean error (lower)",
}
WORST_COLUMNS = "Columns that fare worst"
SHOWN = 5  # of the columns and pairs that are reproduced worst


@dataclass(frozen=True)
class Section:
    """Rows of one kind, with a word on what they are and on what stands beside them."""

    title: str
    note: str
    beside: str
    rows: tuple[Row, ...]

    def named_rows(self) -> Iterator[Row]:
        """Yield the rows; one whose name is set in names the row above as well."""
        above = ""
        for name, value, beside in self.rows:
            label = f"{above},{name[1:]}" if name.startswith(" ") else name
            above = above if name.startswith(" ") else name
            yield label, value, beside


def evaluation_page(
    result: Evaluation,
    compared: Compared,
    about: Mapping[str, str] = MappingProxyType({}),
    *,
    scope: Scope | None = None,
) -> str:
    """Return the page of an evaluation, with histograms of the columns that fare worst.

    It is internal. ``about`` says what was evaluated, ``scope`` for which questions intervals of
    the release hold that the rows are of.
    """
    import pandas as pd

    from dp_synth.figures.histograms import svg_of
    from dp_synth.metrics.evaluation import histogram

    worst = [one["columns"][0] for one in result["worst_columns"][: SHOWN + 1]]
    drawn = svg_of(pd.concat([histogram(compared, name) for name in worst])) if worst else ""
    return page(
        sections(result), about=about, remarks=result["remarks"], histograms=drawn, scope=scope
    )


def page(
    shown: Sequence[Section],
    *,
    about: Mapping[str, str] = MappingProxyType({}),
    remarks: Mapping[str, str] = MappingProxyType({}),
    histograms: str = "",
    scope: Scope | None = None,
) -> str:
    """Return the page of rows; ``remarks`` says what is not there and why.

    ``histograms`` is markup, an SVG of the columns that fare worst.
    """
    values = {
        "mark": INTERNAL,
        "sections": shown,
        "about": about,
        "remarks": remarks,
        "histograms": histograms,
        "worst": WORST_COLUMNS,
        "concluded": scope,
        "version": __version__,
    }
    return render("evaluation.html", TITLE, themed("card.css"), values)


def sections(result: Evaluation) -> list[Section]:
    """Return the rows of ``result``, those of each metric together; empty sections are left out."""
    from dp_synth.metrics import METRICS
    from dp_synth.metrics.evaluation import PLAIN

    found = [
        Section(
            "Marginals",
            "total variation, the share of rows that would have to change: lower is better",
            "fresh real rows",
            _marginals(result),
        ),
        Section(
            "Models",
            "trained on the rows, tested on hold-out rows: higher is better",
            "trained on real rows",
            _classifiers(result),
        ),
    ]
    found += [
        Section(title, "total variation: lower is better", "fresh real rows", _worst(result, key))
        for key, title in (
            ("worst_columns", WORST_COLUMNS),
            ("worst_pairs", "Pairs of columns that fare worst"),
        )
    ]
    found += [_section(METRICS[name], result) for name in METRICS if name not in PLAIN]
    return [section for section in found if section.rows]


def _marginals(result: Evaluation) -> tuple[Row, ...]:
    rows: list[Row] = []
    for degree, what in DEGREES:
        name = f"tv{degree}"
        if name in result:
            rows.append((f"total variation, {what}", *_both(result, name, "_floor")))
            rows.append(("  against holdout", _cell(result, f"{name}_holdout"), ""))
    if "kmarginal" in result:
        rows.append(("K-marginal score (higher)", *_both(result, "kmarginal", "_floor")))
    return tuple(rows)


def _classifiers(result: Evaluation) -> tuple[Row, ...]:
    rows: list[Row] = []
    for name, label in SCORES.items():
        for model in result.get(name, ()):
            rows.append((f"{label}, {model}", *_both(result, name, "_real", model)))
    return tuple(rows)


def _worst(result: Evaluation, key: str) -> tuple[Row, ...]:
    return tuple(
        (
            " and ".join(one["columns"]),
            _interval(one["value"], one["low"], one["high"]),
            f"{one['floor']:.4f}",
        )
        for one in result.get(key, ())[:SHOWN]
    )


def _section(metric: Metric, result: Evaluation) -> Section:
    rows = tuple(
        (
            key.removeprefix(f"{metric.name}:").replace("_", " ").replace(":", ", "),
            _cell(result, key),
            "",
        )
        for key in result
        if f"{key}_low" in result and (key == metric.name or key.startswith(f"{metric.name}:"))
    )
    note = f"{metric.description}: {metric.better} is better"
    return Section(metric.name.replace("_", " "), note, "", rows)


def _both(result: Evaluation, name: str, suffix: str, model: str | None = None) -> tuple[str, str]:
    return _cell(result, name, model), _cell(result, f"{name}{suffix}", model)


def _cell(result: Evaluation, name: str, model: str | None = None) -> str:
    ends = [result[key] for key in (name, f"{name}_low", f"{name}_high")]
    numbers = [end[model or ""] if isinstance(end, Mapping) else end for end in ends]
    if name.startswith("mean_absolute_error"):
        return "{:.4g} [{:.4g}, {:.4g}]".format(*numbers)
    middle, low, high = numbers
    return _interval(middle, low, high, 1 if name.startswith("kmarginal") else 4)


def _interval(middle: float, low: float, high: float, digits: int = 4) -> str:
    return f"{middle:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
