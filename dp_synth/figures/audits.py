"""What audits prove, beside what is claimed and beside what so many runs can prove at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from dp_synth.figures.style import (
    FULL_WIDTH,
    GREY,
    INK,
    Line,
    below,
    lines_of,
    named,
    new_figure,
)
from dp_synth.rounding import rounded_up

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
from collections.abc import Sequence

if TYPE_CHECKING:
    from matplotlib.axes import Axes
from dp_synth.errors import InputError
from dp_synth.figures.style import (
    MARKERS,
    PALETTE,
)

# method, title of its panel, whether it is a bound of the mechanism at all
PANELS = (
    ("clopper_pearson", "Clopper-Pearson:\nproven of any mechanism", True),
    ("gaussian_threshold", "Gaussian threshold:\nproven if it is Gaussian DP", True),
    ("area_if_curve", "area: ε if the mechanism has\nthis curve (no bound)", False),
)
CLAIM_LABEL = "claimed ε"
CEILING_LABEL = "largest ε that so many runs can prove"
REFUTED_LABEL = "audit refuted the claim"
SPREAD = 0.85  # of the gap between claims is shared by the series at one of them


def bounds_of(records: Iterable[Mapping[str, object]]) -> pd.DataFrame:
    """Return a row a bound from reports of audits, as ``AuditReport.to_dict`` has them.

    Columns are ``series``, ``claimed``, ``method``, ``epsilon``, ``ceiling`` (of Clopper-Pearson
    alone), ``runs``, ``level``, ``delta`` and ``passed``. A record's ``settings``, where it has
    them, are part of the series' name.
    """
    import pandas as pd

    columns = ["series", "claimed", "method", "epsilon", "ceiling"]
    columns += ["runs", "level", "delta", "passed"]
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
            about = (record["runs"], record["level"], record["delta"], record["passed"])
            rows.append((*head, *about))
    return pd.DataFrame(rows, columns=columns)


def audit_bounds(bounds: pd.DataFrame) -> tuple[Axes, ...]:
    """Return a panel for each kind of bound: epsilon against the claim.

    Filled markers are lower bounds, below which the mechanism cannot be (under what their title
    says). Hollow ones are none: the epsilon of the claimed curve at another noise, for a reader
    who believes in the curve. The dashes are Clopper-Pearson's ceilings: no audit of so many
    runs can show more, of any mechanism. Series at one claim stand beside each other under its
    level: what is above that is above the claim.
    """
    panels = [panel for panel in PANELS if (bounds["method"] == panel[0]).any()]
    figure = new_figure(FULL_WIDTH, 3.8)
    grid = figure.subplots(1, max(len(panels), 1), squeeze=False, sharey=True, sharex=True)
    axes = tuple(grid[0])
    lines = lines_of(list(dict.fromkeys(bounds["series"])))
    for panel, (method, title, is_bound) in zip(axes, panels, strict=False):
        draw_claims(panel, bounds)
        draw_bounds(panel, bounds, method, lines, filled=is_bound)
        panel.set_title(title)
        panel.set_ylim(bottom=-0.3)
    axes[0].set_ylabel("ε that the audit finds")
    below(figure, axes, f"two tables that differ in one record; {setting(bounds)}", series=())
    return axes


def draw_claims(axes: Axes, bounds: pd.DataFrame) -> None:
    """Draw each claim as a level, one beside the other however far apart they are."""
    levels: list[tuple[float, float]] = []
    for place, claim in enumerate(_claims(bounds)):
        levels += [(place - SPREAD / 2, claim), (place + SPREAD / 2, claim), (np.nan, np.nan)]
    axes.plot(*zip(*levels, strict=True), color=INK, linewidth=1.3, label=CLAIM_LABEL)
    axes.set_xticks(
        range(len(_claims(bounds))), [rounded_up(claim, 3) for claim in _claims(bounds)]
    )
    axes.set_xlabel("claimed ε")


def draw_bounds(
    axes: Axes, bounds: pd.DataFrame, method: str, lines: Mapping[str, Line], *, filled: bool
) -> None:
    """Draw what one method finds of every series, each at a place of its own under a claim."""
    for place, (name, line) in enumerate(lines.items()):
        rows = bounds[(bounds["method"] == method) & (bounds["series"] == name)]
        shift = SPREAD * (place - (len(lines) - 1) / 2) / len(lines)
        places = [_place(bounds, claim) + shift for claim in rows["claimed"]]
        if places:
            _draw_series(axes, rows.assign(place=places), line, filled=filled)


def _claims(bounds: pd.DataFrame) -> list[float]:
    """Return the claims, those that are all but equal as one: the largest."""
    rounded = bounds["claimed"].round(1)
    return [float(group.max()) for _, group in bounds["claimed"].groupby(rounded)]


def _place(bounds: pd.DataFrame, claim: float) -> int:
    return int(np.argmin(np.abs(np.array(_claims(bounds)) - claim)))


def _draw_series(axes: Axes, rows: pd.DataFrame, line: Line, *, filled: bool) -> None:
    limited = rows[rows["ceiling"].notna()]
    if len(limited):
        places, limits = limited["place"], limited["ceiling"]
        axes.plot(places, limits, color=GREY, marker="_", linestyle="none", label=CEILING_LABEL)
    refuted = rows[~rows["passed"].astype(bool)]
    if len(refuted):
        axes.plot(
            refuted["place"],
            refuted["epsilon"],
            color=INK,
            marker="o",
            linestyle="none",
            markerfacecolor="none",
            markersize=10,
            label=REFUTED_LABEL,
        )
    axes.plot(
        rows["place"],
        rows["epsilon"],
        color=line.color,
        marker=line.marker,
        linestyle="none",
        markerfacecolor=line.color if filled else "white",
        label=named(str(rows["series"].iloc[0])) if filled else "_",
    )


def setting(bounds: pd.DataFrame) -> str:
    """Return how many runs, at which level and delta, the bounds of ``bounds_of`` rest on."""
    fewest, most = int(bounds["runs"].min()), int(bounds["runs"].max())
    runs = f"{fewest:,}" if fewest == most else f"{fewest:,} to {most:,}"
    levels = " or ".join(f"{100 * level:g}" for level in sorted(bounds["level"].unique()))
    deltas = " or ".join(rounded_up(delta) for delta in sorted(bounds["delta"].unique()))
    return f"{runs} runs a world, level {levels} % shared by all tests of an audit, δ = {deltas}"


PROVEN, IF_CURVE = "clopper_pearson", "area_if_curve"
TITLE = "audits: lower bound (filled); ε if the mechanism has the claimed curve (hollow, no bound)"


def is_audit(record: Mapping[str, object]) -> bool:
    """Tell a record of an audit, as ``AuditReport.to_dict`` has them, from one of a cell."""
    return "claimed_epsilon" in record and "bounds" in record


def draw_claimed(axes: Axes, audits: Iterable[Mapping[str, object]], beside: Sequence[str]) -> None:
    """Draw the audited epsilon of each method under the level that it claims.

    Filled markers are lower bounds whatever the mechanism is (Clopper-Pearson), with the largest
    that so many runs can prove; hollow ones are none: the epsilon of the claimed curve at
    another noise. ``beside`` are the series of other panels. The title says how many runs
    it rests on, at which level and delta.
    """
    bounds = bounds_of(audits)
    series = [str(name) for name in dict.fromkeys(bounds["series"])]
    lines = lines_of(list(dict.fromkeys([*beside, *series])))
    looks = {name: lines[name] for name in series}
    draw_claims(axes, bounds)
    draw_bounds(axes, bounds, PROVEN, looks, filled=True)
    draw_bounds(axes, bounds, IF_CURVE, looks, filled=False)
    axes.set_ylim(bottom=-0.3)
    axes.set_ylabel("audited ε")
    axes.set_title(f"{TITLE}\n{setting(bounds)}")


TESTS = ("area", "common_noise", "gaussian_threshold", "clopper_pearson")
LEVEL_LABEL = "level: what a correct mechanism may have"
CLOSE = 1e-6  # relative, between a factor and a number that has a name
ROOTS = {2: "√2", 3: "√3", 8: "2√2"}


def power_curves(records: pd.DataFrame) -> tuple[Axes, ...]:
    """Return a panel for each factor: the share of audits that raise an alarm, for each test.

    ``records`` has columns ``test``, ``epsilon``, ``factor`` (by which the noise is too small; 1
    of a correct mechanism), ``runs`` (a world), ``alarms`` (a share), ``low``, ``high``, ``level``
    and ``delta``. InputError where they are of several claims, which would share a curve.
    """
    claims = records[["epsilon", "delta", "level"]].drop_duplicates()
    if len(claims) != 1:
        raise InputError(f"a figure of power is of one claim and level, got {len(claims)}")
    factors = sorted(records["factor"].unique())
    figure = new_figure(FULL_WIDTH, 0.9 + 1.9 * ((len(factors) + 1) // 2))
    grid = figure.subplots((len(factors) + 1) // 2, 2, squeeze=False, sharex=True, sharey=True)
    axes = tuple(grid.flat)
    for panel in axes[len(factors) :]:
        panel.set_axis_off()
    ticks = sorted(records["runs"].unique())
    for panel, factor in zip(axes, factors, strict=False):
        panel.axhline(
            float(claims["level"].iloc[0]), color=GREY, linestyle=":", label=LEVEL_LABEL, lw=1
        )
        for place, test in enumerate(TESTS):
            _draw_test(panel, records, (test, factor), place)
        _finish(panel, factor, ticks)
    for panel in grid[:, 0]:
        panel.set_ylabel("audits that alarm")
    for panel in axes[max(0, len(factors) - 2) : len(factors)]:
        panel.set_xlabel("runs a world")
        panel.tick_params(labelbottom=True)
    drawn = axes[: len(factors)]
    below(figure, drawn, _claim(claims), series=())
    return drawn


def factor_text(factor: float) -> str:
    """Return how a factor is written, roots as roots.

    >>> factor_text(2 ** 0.5), factor_text(4)
    ('√2', '4')
    """
    for square, text in ROOTS.items():
        if abs(factor / square**0.5 - 1) < CLOSE:
            return text
    return f"{factor:g}"


def _draw_test(axes: Axes, records: pd.DataFrame, chosen: tuple[str, float], place: int) -> None:
    test, factor = chosen
    rows = records[(records["test"] == test) & (records["factor"] == factor)].sort_values("runs")
    if rows.empty:
        return
    color = PALETTE[place]
    bars = np.stack([rows["alarms"] - rows["low"], rows["high"] - rows["alarms"]])
    axes.errorbar(
        rows["runs"],
        rows["alarms"],
        yerr=bars,
        color=color,
        marker=MARKERS[place],
        elinewidth=0.8,
        capsize=1.5,
        label=named(test),
    )


def _finish(axes: Axes, factor: float, ticks: list[int]) -> None:
    is_correct = factor == 1
    axes.set_title(
        "noise as claimed" if is_correct else f"noise too small by {factor_text(factor)}"
    )
    axes.set_xscale("log")
    shown = [tick for i, tick in enumerate(ticks) if i == 0 or tick >= 1.9 * ticks[i - 1]]
    axes.set_xticks(shown, [f"{tick:,}" for tick in shown])
    axes.set_xticks([], minor=True)
    axes.set_ylim(-0.03, 1.03)


def _claim(claims: pd.DataFrame) -> str:
    row = claims.iloc[0]
    return (
        f"one Gaussian answer of ε = {rounded_up(row['epsilon'])} at δ = "
        f"{rounded_up(row['delta'])}, scores of the best attack; share of audits with its 95 % "
        "Clopper-Pearson interval"
    )
