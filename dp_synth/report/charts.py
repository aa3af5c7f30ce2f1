"""Charts of a benchmark's page: Vega-Lite specifications by Altair, a panel for each table.

They hold no numbers: the page's script gives them its points, to which it has joined the name,
kind and attack of each. Needs the extra ``report``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import altair as alt
import vl_convert

from dp_synth.figures.curves import RATES
from dp_synth.report.benchmark_data import SURFACES, Look, Measure

INKS = {"light": ("#1b1e23", "#535a65", "#e3e6eb"), "dark": ("#e8eaed", "#a9b1bc", "#2a3038")}
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
FITTED, LEVEL = "isValid(datum.epsilon)", "!isValid(datum.epsilon)"
FAINT = 0.1  # how much is left of other series where the legend points one out
EMPHASIS = alt.selection_point(name="emphasis", fields=["name"], bind="legend")

Specification = dict[str, object]


def curves(
    kind: Sequence[Measure],
    series: Mapping[str, Look],
    shown: Sequence[str],
    epsilons: Sequence[float],
) -> Specification:
    """Return the chart of one kind of measure over epsilon: lines of methods, levels of baselines.

    ``kind`` holds one measure, or one for each attack: which of them is chosen on the page.
    ``shown`` names those of the ``series`` that have points.
    """
    measure = kind[0]
    low, high = measure.low, measure.high
    # A distance is read from zero on, a rate on a logarithmic scale, others by where they differ.
    scale = alt.Scale(zero=measure.better == "lower" and low == 0 and not measure.attack)
    if measure.metric.startswith(RATES) and measure.chance is not None:
        scale, low = alt.Scale(type="log"), measure.chance / 10  # zero lies at its foot
    least, most = (epsilons[0], epsilons[-1]) if epsilons else (1.0, 1.0)
    across = (
        alt.X("epsilon:Q", title="privacy budget ε")
        .scale(type="log", nice=False, domain=[0.8 * least, 1.25 * most])
        .axis(values=list(epsilons), format="~g", grid=False, labelOverlap=True)
    )
    points = _points(series, shown, alt.Tooltip("text:N", title="mean")).encode(
        y=alt.Y("mean:Q", title=None, scale=scale).axis(tickCount=5)
    )
    fitted = points.transform_filter(FITTED).encode(x=across)
    layers = [
        points.transform_filter(LEVEL)
        .mark_rule(strokeWidth=1.5)
        .encode(strokeDash=_dashes(series)),
        fitted.mark_area().encode(
            y=alt.Y("low:Q", title=None), y2="high:Q", opacity=_pointed_out(0.13)
        ),
        fitted.mark_line(strokeWidth=2).encode(strokeDash=_dashes(series)),
        fitted.mark_point(filled=True, size=60).encode(shape=_shapes(series)),
    ]
    if measure.chance is not None:
        once = alt.Chart().transform_aggregate(points="count()")  # in each panel
        chance = once.mark_rule(strokeDash=[2, 4]).encode(y=alt.datum(measure.chance))
        layers.insert(0, chance)
    panels = _panels(layers).transform_calculate(
        **{end: _between(end, low, high) for end in ("mean", "low", "high")}
    )
    attacks = {one.attack: one.label.rpartition(": ")[2] for one in kind if one.attack}
    if attacks:
        panels = panels.transform_filter("datum.attack == attack || datum.attack == ''")
        panels = panels.add_params(_choice("attack", "Attack", attacks))
    return _plain(panels)


def tradeoff(
    gives: Mapping[int, str],
    leaks: Mapping[int, str],
    series: Mapping[str, Look],
    shown: Sequence[str],
    epsilons: Sequence[float],
) -> Specification:
    """Return the chart of utility over leakage, a mark for each epsilon.

    ``gives`` and ``leaks`` say what can be chosen for the two axes: what measures are called, by
    their places in the page's list.
    """
    ends = {
        f"{axis}_{end}": f"datum.measure == {axis} ? datum.{end} : null"
        for axis in ("gives", "leaks")
        for end in ("mean", "low", "high")
    }
    known: dict[str, Any] = {name: f"max({name})" for name in ends}
    tips = [
        alt.Tooltip("leaks_mean:Q", title="leakage", format=".4f"),
        alt.Tooltip("gives_mean:Q", title="utility", format=".4f"),
    ]
    points = (
        _points(series, shown, *tips)
        .transform_filter("datum.measure == gives || datum.measure == leaks")
        .transform_calculate(**ends)
        .transform_aggregate(**known, groupby=["name", "table", "epsilon"])
        .transform_filter("isValid(datum.gives_mean) && isValid(datum.leaks_mean)")
        .encode(
            x=alt.X("leaks_mean:Q", title=None).scale(zero=False).axis(tickCount=4),
            y=alt.Y("gives_mean:Q", title=None).scale(zero=False).axis(tickCount=5),
        )
    )
    size = (
        alt.Size("epsilon:O", title="ε")
        .scale(domain=list(epsilons), range=[35, 190])
        .legend(orient="top", columns=0)
    )
    bars = points.mark_rule(strokeWidth=1.2).encode(opacity=_pointed_out(0.45))
    layers = [
        bars.encode(x=alt.X("leaks_low:Q", title=None), x2="leaks_high:Q"),
        bars.encode(y=alt.Y("gives_low:Q", title=None), y2="gives_high:Q"),
        points.transform_filter(FITTED)
        .mark_line(strokeWidth=1.5)
        .encode(order="epsilon:Q", strokeDash=_dashes(series)),
        points.mark_point(filled=True).encode(
            shape=_shapes(series), size=alt.when(FITTED).then(size).otherwise(alt.value(90))
        ),
    ]
    panels = _panels(layers).add_params(
        _choice("gives", "Utility (up)", gives), _choice("leaks", "Leakage (to the right)", leaks)
    )
    return _plain(panels)


def themes(series: Mapping[str, Look]) -> dict[str, object]:
    """Return Vega's configuration for the light and the dark page, by its name."""
    return {theme: _theme(theme, series) for theme in SURFACES}


@cache
def library() -> str:
    """Return the script of Vega, Vega-Lite and vega-embed, which defines ``vegaEmbed``."""
    version = alt.SCHEMA_VERSION.removeprefix("v").rpartition(".")[0]
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=version)
    return f"(() => {{{bundle}}})();"


def _points(series: Mapping[str, Look], shown: Sequence[str], *tips: alt.Tooltip) -> alt.Chart:
    """Return the points of a panel, coloured by their series; the legend points one out."""
    names = [alt.Tooltip("name:N", title="series"), alt.Tooltip("epsilon:Q", title="ε")]
    color = alt.Color("name:N", title=None).scale(domain=list(series)).legend(values=list(shown))
    return alt.Chart().encode(color=color, opacity=_pointed_out(1), tooltip=[*names, *tips])


def _pointed_out(opacity: float) -> Any:  # altair has no public name for it
    """Return an opacity of the series that the legend points out, hardly any of others."""
    seen = alt.when(EMPHASIS).then(alt.value(opacity))
    return seen.otherwise(alt.value(FAINT * opacity))


def _dashes(series: Mapping[str, Look]) -> alt.StrokeDash:
    drawn = [list(look.dashes) for look in series.values()]
    return alt.StrokeDash("name:N", title=None).scale(domain=list(series), range=drawn)


def _shapes(series: Mapping[str, Look]) -> alt.Shape:
    drawn = [look.shape for look in series.values()]
    return alt.Shape("name:N", title=None).scale(domain=list(series), range=drawn)


def _between(end: str, low: float | None, high: float | None) -> str:
    """Return the expression of a value that is drawn no farther than its measure can reach."""
    most = f"datum.{end}" if high is None else f"min(datum.{end}, {high})"
    within = most if low is None else f"max({most}, {low})"
    return f"isValid(datum.{end}) ? {within} : null"


def _choice(name: str, label: str, options: Mapping[str, str] | Mapping[int, str]) -> alt.Parameter:
    """Return the parameter that a menu of the page sets."""
    menu = alt.binding_select(options=list(options), labels=list(options.values()), name=label)
    return alt.param(name=name, bind=menu, value=next(iter(options)))


def _panels(layers: Sequence[alt.Chart]) -> alt.FacetChart:
    """Return layers as a panel for each table, with axes of its own."""
    panels: alt.FacetChart = (
        alt.layer(*layers, data=alt.NamedData("points"))
        .add_params(EMPHASIS)
        .facet(alt.Facet("table:N", title=None))
        .resolve_scale(x="independent", y="independent")
    )
    return panels


def _plain(chart: alt.FacetChart) -> Specification:
    """Return a chart as plain values, without address; the page's themes say how it looks."""
    said = chart.to_dict()
    return {name: value for name, value in said.items() if name not in ("config", "$schema")}


def _theme(theme: str, series: Mapping[str, Look]) -> Specification:
    ink, soft, rule = INKS[theme]
    text = {"labelColor": soft, "titleColor": ink, "labelFontSize": 12, "titleFontSize": 12}
    symbols = {"symbolSize": 90, "symbolFillColor": soft, "symbolOpacity": 1}
    return {
        "background": "transparent",
        "font": FONT,
        "view": {"stroke": None},
        "axis": {
            **text,
            "titleFontWeight": 500,
            "gridColor": rule,
            "domainColor": soft,
            "tickColor": rule,
        },
        "legend": {**text, **symbols, "orient": "bottom"},
        "header": {"labelColor": ink, "labelFontSize": 13, "labelFontWeight": 600},
        "range": {"category": [getattr(look, theme) for look in series.values()]},
        "rule": {"color": soft},
    }
