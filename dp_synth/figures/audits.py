"""What audits prove beside what is claimed, and how often they catch a fault of a given size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from dp_synth.errors import InputError
from dp_synth.figures.style import (
    FAINT,
    FULL_WIDTH,
    GREY,
    INK,
    MARKERS,
    PALETTE,
    below,
    lines_of,
    named,
    new_figure,
    note_over,
    tinted,
)
from dp_synth.formatting import rounded_up

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

# Method of a bound: what it says, its marker, and how deep its colour is.
BOUNDS = {
    "clopper_pearson": ("proven of any mechanism", "o", 1.0),
    "gaussian_threshold": ("proven if it is Gaussian DP", "s", 0.45),
    "area_if_curve": ("if it has the claimed curve (no bound)", "D", 0.0),
}
BESIDE_ATTACKS = ("clopper_pearson", "area_if_curve")
CLAIM_LABEL = "claimed ε"
CEILING_LABEL = "largest ε that so many runs can prove"
REFUTED_LABEL = "audit refuted the claim"
ROW = 0.19  # inches that a series takes
TESTS = ("area", "common_noise", "gaussian_threshold", "clopper_pearson")
LEVEL_LABEL = "level: what a correct mechanism may have"
CLOSE = 1e-6  # relative, between a factor and a number that has a name
ROOTS = {2: "√2", 3: "√3", 8: "2√2"}


def is_audit(record: Mapping[str, object]) -> bool:
    """Tell a record of an audit, as ``AuditReport.to_dict`` has them, from one of a cell."""
    return "claimed_epsilon" in record and "bounds" in record


def bounds_of(records: Iterable[Mapping[str, object]]) -> pd.DataFrame:
    """Return a row a bound from reports of audits, as ``AuditReport.to_dict`` has them.

    Columns are ``series``, ``claimed``, ``method``, ``epsilon``, ``ceiling`` (of Clopper-Pearson
    alone), ``runs``, ``level``, ``delta`` and ``passed``. A record's ``settings``, where it has
    them, are part of the series' name.
    """
    import pandas as pd

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
            about = (record[name] for name in ("runs", "level", "delta", "passed"))
            rows.append((series, record["claimed_epsilon"], method, epsilon, ceiling, *about))
    columns = ["series", "claimed", "method", "epsilon", "ceiling"]
    return pd.DataFrame(rows, columns=[*columns, "runs", "level", "delta", "passed"])


def audit_bounds(bounds: pd.DataFrame) -> tuple[Axes, ...]:
    """Return a panel for each claim: what audits find of each series, a row each.

    Filled markers are lower bounds, below which the mechanism cannot be (under what the legend
    says). Hollow ones are none: the epsilon of the claimed curve at another noise, for a reader
    who believes in the curve. Grey marks are Clopper-Pearson's ceilings: no audit of so many runs
    can show more, of any mechanism. What is right of the line is above the claim.
    """
    figure = new_figure(FULL_WIDTH, 1.5 + ROW * bounds["series"].nunique())
    axes = tuple(figure.subplots(1, len(_claims(bounds)), sharey=True, squeeze=False)[0])
    _draw_panels(axes, bounds, [name for name in BOUNDS if name in set(bounds["method"])])
    below(figure, axes, f"two tables that differ in one record; {setting(bounds)}")
    return axes


def draw_claimed(
    axes: Axes, audits: Iterable[Mapping[str, object]], beside: Sequence[str]
) -> tuple[Axes, ...]:
    """Draw panels of ``audit_bounds`` in the place of ``axes``: proven, and if it has the curve.

    ``beside`` are the series of other panels. A line over them says how many runs they rest on,
    at which level and delta.
    """
    bounds, spec, figure = bounds_of(audits), axes.get_subplotspec(), axes.get_figure()
    assert spec is not None
    assert figure is not None
    note_over(figure, f"audits: {setting(bounds)}")
    axes.remove()
    panels = spec.subgridspec(1, len(_claims(bounds))).subplots(sharey=True, squeeze=False)[0]
    _draw_panels(panels, bounds, BESIDE_ATTACKS, beside)
    return tuple(panels)


def _draw_panels(
    axes: Sequence[Axes],
    bounds: pd.DataFrame,
    methods: Sequence[str],
    beside: Sequence[str] = (),
) -> None:
    """Draw a panel for each claim, each with a row for each series."""
    claims = _claims(bounds)
    names = [str(name) for name in dict.fromkeys(bounds["series"])]
    looks = lines_of(list(dict.fromkeys([*beside, *names])))
    nearest = [int(np.argmin(np.abs(np.array(claims) - claim))) for claim in bounds["claimed"]]
    for place, (panel, claim) in enumerate(zip(axes, claims, strict=True)):
        rows = bounds[np.array(nearest) == place]
        panel.axvline(claim, color=INK, linewidth=1.2, label=CLAIM_LABEL)
        for row, name in enumerate(names):
            _draw_row(panel, rows[rows["series"] == name], row, looks[name].color, methods)
        right = 1.08 * max(claim, rows["epsilon"].max())  # ceilings beyond it limit nothing
        panel.set(xlim=(-0.04 * right, right), xlabel="ε that the audit finds")
        panel.set_title(f"claimed ε = {rounded_up(claim, 3)}")
        panel.grid(visible=False, axis="y")
    axes[0].set_yticks(range(len(names)), [named(name) for name in names])
    axes[0].set_ylim(len(names) - 0.4, -0.6)
    for method in methods:  # the legend says what a marker means, whatever the colour of a row
        words, marker, depth = BOUNDS[method]
        axes[0].plot([], [], marker, color=INK, mfc=tinted(INK, depth), label=words)


def _draw_row(axes: Axes, rows: pd.DataFrame, row: int, color: str, methods: Sequence[str]) -> None:
    """Draw what is found of one series at one claim, joined by a faint line."""
    shown = rows[rows["method"].isin(methods)]
    if shown.empty:
        return
    ends = shown["epsilon"].min(), shown["epsilon"].max()
    axes.plot(ends, [row, row], color=color, alpha=2 * FAINT, linewidth=2.5, zorder=1)
    limits = shown["ceiling"].dropna()
    label = CEILING_LABEL if len(limits) else "_"
    axes.plot(limits, [row] * len(limits), "|", color=GREY, ms=8, label=label)
    for method in methods:
        _, marker, depth = BOUNDS[method]
        found = shown.loc[shown["method"] == method, "epsilon"]
        fill, heights = tinted(color, depth), [row] * len(found)
        axes.plot(found, heights, marker, color=color, mfc=fill, label=f"_{method}")
    refuted = shown.loc[~shown["passed"].astype(bool), "epsilon"]
    if len(refuted):
        heights = [row] * len(refuted)
        axes.plot(refuted, heights, "o", color=INK, mfc="none", ms=9, label=REFUTED_LABEL)


def _claims(bounds: pd.DataFrame) -> list[float]:
    """Return the claims, those that are all but equal as one: the largest."""
    rounded = bounds["claimed"].round(1)
    return [float(group.max()) for _, group in bounds["claimed"].groupby(rounded)]


def setting(bounds: pd.DataFrame) -> str:
    """Return how many runs, at which level and delta, the bounds of ``bounds_of`` rest on."""
    fewest, most = int(bounds["runs"].min()), int(bounds["runs"].max())
    runs = f"{fewest:,}" if fewest == most else f"{fewest:,} to {most:,}"
    levels = " or ".join(f"{100 * level:g}" for level in sorted(bounds["level"].unique()))
    deltas = " or ".join(rounded_up(delta) for delta in sorted(bounds["delta"].unique()))
    return f"{runs} runs a world, level {levels} % shared by all tests of an audit, δ = {deltas}"


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
    claim, ticks = claims.iloc[0], sorted(records["runs"].unique())
    shown = [tick for i, tick in enumerate(ticks) if i == 0 or tick >= 1.9 * ticks[i - 1]]
    for panel, factor in zip(axes, factors, strict=False):
        panel.axhline(claim["level"], color=GREY, linestyle=":", linewidth=1, label=LEVEL_LABEL)
        for place, test in enumerate(TESTS):
            rows = records[(records["test"] == test) & (records["factor"] == factor)]
            if len(rows):
                _draw_test(panel, test, rows.sort_values("runs"), place)
        small = f"noise too small by {factor_text(factor)}"
        panel.set_title("noise as claimed" if factor == 1 else small)
        panel.set(xscale="log", ylim=(-0.03, 1.03))
        panel.set_xticks(shown, [f"{tick:,}" for tick in shown])
        panel.set_xticks([], minor=True)
    for panel in grid[:, 0]:
        panel.set_ylabel("audits that alarm")
    for panel in axes[max(0, len(factors) - 2) : len(factors)]:
        panel.set_xlabel("runs a world")
        panel.tick_params(labelbottom=True)
    drawn = axes[: len(factors)]
    asked = f"ε = {rounded_up(claim['epsilon'])} at δ = {rounded_up(claim['delta'])}"
    note = f"one Gaussian answer of {asked}, scores of the best attack; share of audits"
    below(figure, drawn, f"{note} with its 95 % Clopper-Pearson interval")
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


def _draw_test(axes: Axes, test: str, rows: pd.DataFrame, place: int) -> None:
    bars = np.stack([rows["alarms"] - rows["low"], rows["high"] - rows["alarms"]])
    axes.errorbar(
        rows["runs"],
        rows["alarms"],
        yerr=bars,
        color=PALETTE[place],
        marker=MARKERS[place],
        elinewidth=0.8,
        capsize=1.5,
        label=named(test),
    )
