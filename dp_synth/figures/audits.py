"""What audits prove, beside what is claimed and beside what so many runs can prove at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from dp_synth.figures.style import (
    FULL_WIDTH,
    GREY,
    INK,
    MARKERS,
    PALETTE,
    Line,
    below,
    named,
    new_figure,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

# method, title of its panel, whether it is a bound of the mechanism at all
PANELS = (
    ("clopper_pearson", "Clopper-Pearson:\nproven of any mechanism", True),
    ("gaussian_threshold", "Gaussian threshold:\nproven if it is Gaussian DP", True),
    ("area_if_curve", "area: ε if the mechanism has\nthis curve (no bound)", False),
)
CLAIM_LABEL = "claimed ε"
CEILING_LABEL = "largest ε that so many runs can prove"
REFUTED_LABEL = "audit refuted the claim"
SPREAD = 0.5  # of the least gap between claims is shared by the series at one of them
MORE_COLORS = ("#882255", "#332288")


def bounds_of(records: Iterable[Mapping[str, object]]) -> pd.DataFrame:
    """Return a row a bound from reports of audits, as ``AuditReport.to_dict`` has them.

    Columns are ``series``, ``claimed``, ``method``, ``epsilon``, ``ceiling`` (of Clopper-Pearson
    alone), ``runs``, ``level`` and ``passed``. A record's ``settings``, where it has them, are
    part of the series' name.
    """
    import pandas as pd

    columns = ["series", "claimed", "method", "epsilon", "ceiling", "runs", "level", "passed"]
    rows = []
    for record in records:
        settings, bounds = record.get("settings") or {}, record["bounds"]
        assert isinstance(settings, Mapping)
        assert isinstance(bounds, Mapping)
        chosen = (
            name.replace("_", " ") if value is True else f"{name}={value}"
            for name, value in settings.items()
        )
        series = " ".join([str(record["synthesizer"]), *chosen])
        for method, epsilon in bounds.items():
            ceiling = record["ceiling"] if method == "clopper_pearson" else np.nan
            head = (series, record["claimed_epsilon"], method, epsilon, ceiling)
            rows.append((*head, record["runs"], record["level"], record["passed"]))
    return pd.DataFrame(rows, columns=columns)


def audit_bounds(bounds: pd.DataFrame) -> tuple[Axes, ...]:
    """Return a panel for each kind of bound: epsilon against the claim.

    Filled markers are lower bounds, below which the mechanism cannot be (under what their title
    says). Hollow ones are none: the epsilon of the claimed curve at another noise, for a reader
    who believes in the curve. The dashes are Clopper-Pearson's ceilings: no audit of so many
    runs can show more, of any mechanism. Series at one claim stand beside each other, so that
    the line y = x is level there: what is above it is above the claim.
    """
    panels = [panel for panel in PANELS if (bounds["method"] == panel[0]).any()]
    figure = new_figure(FULL_WIDTH, 3.5)
    grid = figure.subplots(1, max(len(panels), 1), squeeze=False, sharey=True, sharex=True)
    axes = tuple(grid[0])
    lines = _lines(bounds)
    for panel, (method, title, is_bound) in zip(axes, panels, strict=False):
        rows = bounds[bounds["method"] == method]
        _draw_claims(panel, bounds)
        for place, (name, line) in enumerate(lines.items()):
            shift = _shift(bounds, place, len(lines))
            _draw_series(panel, rows[rows["series"] == name], line, shift, filled=is_bound)
        panel.set_title(title)
        panel.set_xlabel("claimed ε")
        panel.set_ylim(bottom=-0.3)
    axes[0].set_ylabel("ε that the audit finds")
    below(figure, axes, _note(bounds), series=())
    return axes


def _lines(bounds: pd.DataFrame) -> dict[str, Line]:
    series = list(dict.fromkeys(bounds["series"]))
    colors = [*PALETTE, *MORE_COLORS]
    markers = [*MARKERS, "X", "p"]
    return {
        name: Line(colors[i % len(colors)], "none", markers[i % len(markers)])
        for i, name in enumerate(series)
    }


def _shift(bounds: pd.DataFrame, place: int, series: int) -> float:
    """Return how far beside a claim the markers of one series stand."""
    return SPREAD * _gap(bounds) * (place - (series - 1) / 2) / series


def _claims(bounds: pd.DataFrame) -> list[float]:
    """Return the claims, those that are all but equal as one: the largest."""
    rounded = bounds["claimed"].round(1)
    return [float(group.max()) for _, group in bounds["claimed"].groupby(rounded)]


def _gap(bounds: pd.DataFrame) -> float:
    claims = _claims(bounds)
    return float(np.diff(claims).min()) if len(claims) > 1 else claims[0]


def _draw_claims(axes: Axes, bounds: pd.DataFrame) -> None:
    half, between, levels = SPREAD * _gap(bounds) / 2, [(0.0, 0.0)], []
    for claim in _claims(bounds):
        level = [(claim - half, claim), (claim + half, claim)]
        between += level
        levels += [*level, (np.nan, np.nan)]
    axes.plot(*zip(*between, strict=True), color=GREY, linestyle=":", linewidth=0.8)
    axes.plot(*zip(*levels, strict=True), color=INK, linewidth=1.3, label=CLAIM_LABEL)
    axes.set_xticks(_claims(bounds), [f"{claim:.3g}" for claim in _claims(bounds)])
    axes.set_xlim(left=0)


def _draw_series(axes: Axes, rows: pd.DataFrame, line: Line, shift: float, *, filled: bool) -> None:
    if rows.empty:
        return
    places = rows["claimed"] + shift
    ceilings = rows["ceiling"].notna()
    if ceilings.any():
        limits = rows.loc[ceilings, "ceiling"]
        axes.plot(
            places[ceilings], limits, color=GREY, marker="_", linestyle="none", label=CEILING_LABEL
        )
    refuted = ~rows["passed"].astype(bool)
    if refuted.any():
        axes.plot(
            places[refuted],
            rows.loc[refuted, "epsilon"],
            color=INK,
            marker="o",
            linestyle="none",
            markerfacecolor="none",
            markersize=10,
            label=REFUTED_LABEL,
        )
    axes.plot(
        places,
        rows["epsilon"],
        color=line.color,
        marker=line.marker,
        linestyle="none",
        markerfacecolor=line.color if filled else "white",
        label=named(str(rows["series"].iloc[0])) if filled else "_",
    )


def _note(bounds: pd.DataFrame) -> str:
    fewest, most = int(bounds["runs"].min()), int(bounds["runs"].max())
    runs = f"{fewest:,}" if fewest == most else f"{fewest:,} to {most:,}"
    level = float(bounds["level"].max())
    return (
        f"two tables that differ in one record, {runs} releases of each; "
        f"level {100 * level:g} %, shared by all tests of an audit"
    )
