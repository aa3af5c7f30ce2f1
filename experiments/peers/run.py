"""This package and other public libraries at one epsilon: what rows are worth, and what they cost.

The records are those of ``benchmarks/peers.yaml``; nothing is measured here that is not there.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from math import exp, log
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import dp_synth as dps
from benchmarks.measured import RESULTS, ROOT, shown
from dp_synth.benchmark import read_record_file, run_grid, write_record_file
from dp_synth.benchmark.peers import PEERS
from dp_synth.figures.style import (
    BASELINES,
    FAINT,
    FULL_WIDTH,
    GREY,
    SMALL,
    below,
    lines_of,
    named,
    new_figure,
)
from experiments.outline import RUN_TIME, Experiment, interval, log_axis
from paper.documents import markdown

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HERE = Path(__file__).resolve().parent
GRID, FILE = ROOT / "benchmarks" / "peers.yaml", RESULTS / "peers.jsonl"
COMMAND = "dp-synth benchmark run benchmarks/peers.yaml"
LIBRARIES = ("dp_synth", "mbi", "dpmm", "smartnoise")
TV, AUC, TV_HOLDOUT = "tv2", "auc:gradient_boosting", "tv2_holdout"
ANCHORS = ("real_rows", "fresh_rows", "independent_without_noise")
OURS = "dp_synth/clique_tree"
PANELS = {
    TV: "TV of pairs\n(low is good)",
    AUC: "AUC of boosting\n(high is good)",
    "seconds": "CPU seconds\nof the process",
    "peak_mb": "peak MB\nof the process",
}
TICKS = {
    TV: (0.03, 0.1, 0.3, 1),
    "seconds": (1, 3, 10, 30, 100, 300),
    "peak_mb": (500, 1000, 2000, 4000),
}


def measure(resume: bool) -> None:
    """Run the grid, which goes on where it was stopped, and export its records."""
    if not resume:
        print(
            "finished cells of the grid are kept; remove its store to begin anew", file=sys.stderr
        )
    write_record_file(run_grid(GRID), FILE, COMMAND)


def records() -> pd.DataFrame:
    """Return the records; InputError where the grid was not run yet."""
    if not FILE.exists():
        raise dps.InputError(f"{FILE.name} is not there: {COMMAND}, then export it")
    return read_record_file(FILE)


def methods(found: pd.DataFrame) -> list[str]:
    """Return the fitted methods, library by library, as they stand in the registry."""
    here = set(found["synthesizer"])
    return [
        f"{library}/{method}"
        for library in LIBRARIES
        for method in PEERS[library].methods
        if f"{library}/{method}" in here
    ]


def by_seed(found: pd.DataFrame, method: str, value: str) -> dict[int, float]:
    """Return one value of a method by seed: of a metric, or of what the cell took."""
    of_method = found[(found["synthesizer"] == method) & (found["error"] == "")]
    if value in ("seconds", "peak_mb"):
        each = of_method.groupby("seed")[value].first()
    else:
        each = of_method[of_method["metric"] == value].set_index("seed")["value"]
    return {int(str(seed)): float(x) for seed, x in each.dropna().items()}


def errors(found: pd.DataFrame, method: str) -> dict[str, list[int]]:
    """Return the reasons of a method's failed cells, each with its seeds."""
    failed = found[(found["synthesizer"] == method) & (found["error"] != "")]
    reasons: dict[str, list[int]] = {}
    for seed, reason in sorted(zip(failed["seed"], failed["error"], strict=True)):
        reasons.setdefault(str(reason), []).append(int(seed))
    return reasons


def titled(method: str) -> str:
    """Return a method's words and its library with its version.

    >>> titled("mbi/mst")
    'MST (mbi 2.0.0)'
    """
    library, _, name = method.partition("/")
    return f"{named(name)} ({version_of(library)})"


def version_of(library: str) -> str:
    """Return a library's name and the version that was measured."""
    requirements = PEERS[library].requirements
    return requirements[0].replace("==", " ") if requirements else "this package"


def result_table(found: pd.DataFrame) -> str:
    """Return utility and cost of every method with intervals over seeds."""
    head = ["method", "seeds", "TV of pairs", "against held-out rows", "AUC", "CPU s", "peak MB"]
    columns = {TV: 4, TV_HOLDOUT: 4, AUC: 3, "seconds": 1, "peak_mb": 0}
    rows = []
    for method in [*methods(found), *ANCHORS]:
        values = {value: list(by_seed(found, method, value).values()) for value in columns}
        if not values[TV]:
            continue
        title = titled(method) if "/" in method else named(method)
        if method in ANCHORS:  # what a baseline takes says nothing
            values["seconds"] = values["peak_mb"] = []
        cells = [shown(values[value], decimals) for value, decimals in columns.items()]
        rows.append([title, str(len(values[TV])), *cells])
    return markdown(head, rows)


def failure_table(found: pd.DataFrame) -> str:
    """Return which cells ended without rows, and why; a sentence where none did."""
    rows = [
        [titled(method), ", ".join(map(str, seeds)), reason]
        for method in methods(found)
        for reason, seeds in errors(found, method).items()
    ]
    if not rows:
        return "No cell failed."
    return markdown(["method", "seeds", "what ended it"], rows)


def counterpart(method: str) -> str:
    """Return ours that is of the same algorithm, else the clique tree."""
    same = f"dp_synth/{method.partition('/')[2]}"
    return same if same in ("dp_synth/mst", "dp_synth/aim") else OURS


def paired(found: pd.DataFrame, method: str, other: str, value: str) -> list[tuple[float, float]]:
    """Return a value of one method and of another, seed by seed."""
    one, two = by_seed(found, method, value), by_seed(found, other, value)
    return [(one[seed], two[seed]) for seed in sorted(one.keys() & two.keys())]


def ratio_table(found: pd.DataFrame) -> str:
    """Return by how much theirs takes more than ours, and differs in utility, paired by seed."""
    head = ["theirs", "beside ours", "seeds", "CPU time", "memory", "TV of pairs", "AUC"]
    rows = []
    for method in methods(found):
        ours = counterpart(method)
        pairs = {v: paired(found, method, ours, v) for v in (*(TV, AUC), "seconds", "peak_mb")}
        if method.startswith("dp_synth/") or not pairs["seconds"]:
            continue
        row = [titled(method), named(ours.partition("/")[2]), str(len(pairs["seconds"]))]
        row += [_factor(pairs["seconds"]), _factor(pairs["peak_mb"])]
        for value, decimals in ((TV, 4), (AUC, 3)):
            row.append(shown([a - b for a, b in pairs[value]], decimals, sign=True))
        rows.append(row)
    return markdown(head, rows)


def _factor(pairs: Sequence[tuple[float, float]]) -> str:
    """Return a geometric mean of ratios with its interval."""
    if not pairs:
        return "-"
    mean, half = interval([log(theirs / ours) for theirs, ours in pairs])
    text = f"{exp(mean):.3g} times"
    return text if np.isnan(half) else f"{text} ({exp(mean - half):.3g} to {exp(mean + half):.3g})"


def texts() -> dict[str, str]:
    """Return what the README says in numbers."""
    found = records()
    ours = [m for m in methods(found) if m.startswith("dp_synth/")]
    theirs = [m for m in methods(found) if m not in ours]
    done = [m for m in theirs if by_seed(found, m, TV)]
    return {
        RUN_TIME: _run_time(found),
        "results": result_table(found),
        "failures": failure_table(found),
        "ratios": ratio_table(found),
        "answer": _answer(found, ours, done),
        "libraries": ", ".join(version_of(library) for library in LIBRARIES[1:]),
        "theirs": str(len(theirs)),
        "done": str(len(done)),
        "none": ", ".join(titled(m) for m in theirs if m not in done) or "none",
    }


def _answer(found: pd.DataFrame, ours: Sequence[str], theirs: Sequence[str]) -> str:
    """Return the best of either side in words, with the difference paired by seed."""

    def said(method: str, value: str, decimals: int) -> str:
        return shown(list(by_seed(found, method, value).values()), decimals)

    best, other = (min(side, key=lambda m: _mean(found, m, TV)) for side in (ours, theirs))
    seeds = by_seed(found, best, TV).keys() & by_seed(found, other, TV).keys()
    away = [b - a for a, b in paired(found, best, other, TV)]
    fastest = min(theirs, key=lambda m: _mean(found, m, "seconds"))
    return (
        f"Nearest to the real table is {titled(best)} with a TV of pairs of {said(best, TV, 4)} "
        f"and an AUC of {said(best, AUC, 3)}; of the other libraries {titled(other)} with "
        f"{said(other, TV, 4)} and {said(other, AUC, 3)} (difference in TV, paired over seeds "
        f"{', '.join(map(str, sorted(seeds)))}: {shown(away, 4, sign=True)}). The fastest of "
        f"theirs, {titled(fastest)}, takes {_mean(found, fastest, 'seconds'):.3g} CPU seconds, "
        f"{titled(OURS)} {_mean(found, OURS, 'seconds'):.3g}."
    )


def _mean(found: pd.DataFrame, method: str, value: str) -> float:
    values = list(by_seed(found, method, value).values())
    return float(np.mean(values)) if values else float("inf")


def _run_time(found: pd.DataFrame) -> str:
    cells = found.groupby(["synthesizer", "seed"])["wall_seconds"].first()
    return f"{cells.sum() / 60:.0f} minutes of one core"


def draw() -> Figure:
    """Return a row a method under its library: TV, AUC, time and memory, with intervals."""
    found = records()
    rows = places(methods(found))
    figure = new_figure(FULL_WIDTH, 1.3 + 0.17 * (max(rows.values()) + 1))
    panels = figure.subplots(1, len(PANELS), sharey=True)
    for axes, value in zip(panels, PANELS, strict=True):
        for method, place in rows.items():
            if "/" in method:
                _draw_method(axes, place, list(by_seed(found, method, value).values()), method)
        axes.set_title(PANELS[value])
        axes.grid(visible=False, axis="y")
        if value in TICKS:
            log_axis(axes, "x", TICKS[value])
    _say_failures(panels[0], found, rows)
    for value, axes in ((TV, panels[0]), (AUC, panels[1])):
        for name, look in ((name, BASELINES[name]) for name in ANCHORS):
            mean = _mean(found, name, value)
            if 0 < mean < 1:  # real rows have no distance from themselves
                axes.axvline(mean, color=look.color, linestyle=look.dashes, label=named(name))
    words = [named(method.partition("/")[2]) or version_of(method) for method in rows]
    panels[0].set_yticks(list(rows.values()), words)
    for label, row in zip(panels[0].get_yticklabels(), rows, strict=True):
        label.set_fontweight("normal" if "/" in row else "bold")
    panels[0].set_ylim(max(rows.values()) + 0.6, -0.6)
    seeds = found["seed"].nunique()
    note = f"coded Adult, ε = 1, δ = 1e-9; mean and 95 % t-interval of up to {seeds} seeds"
    message = "The same table and budget, each library in a process of its own"
    below(figure, panels, note, message=message)
    return figure


def places(rows: Sequence[str]) -> dict[str, int]:
    """Return the row of each library's name and of its methods.

    >>> places(["mbi/mst", "dpmm/mst"])
    {'mbi': 0, 'mbi/mst': 1, 'dpmm': 2, 'dpmm/mst': 3}
    """
    listed = [name for method in rows for name in (method.partition("/")[0], method)]
    return {name: place for place, name in enumerate(dict.fromkeys(listed))}


def _draw_method(axes: Axes, place: int, values: Sequence[float], method: str) -> None:
    if not values:
        return
    mean, half = interval(values)
    look = lines_of([method.partition("/")[2]])[method.partition("/")[2]]
    axes.errorbar(
        mean,
        place,
        xerr=None if np.isnan(half) else half,
        color=look.color,
        ecolor=(look.color, 2 * FAINT),
        marker=look.marker,
        elinewidth=3,
        linestyle="none",
    )


def _say_failures(axes: Axes, found: pd.DataFrame, rows: Mapping[str, int]) -> None:
    """Write why there is nothing where a method gave no rows at all."""
    for method, place in rows.items():
        if "/" in method and not by_seed(found, method, TV):
            text = axes.annotate(
                f"no rows: {_short(next(iter(errors(found, method)), 'not run yet'))}",
                (0.04, place),
                xycoords=("axes fraction", "data"),
                va="center",
                fontsize=SMALL,
                color=GREY,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            )
            text.set_in_layout(False)


def _short(reason: str) -> str:
    """Return the last part of an error, up to its first stop.

    >>> _short("PeerError: ValueError: array is too big; more")
    'array is too big'
    """
    return reason.rpartition(": ")[2].partition(";")[0]


EXPERIMENT = Experiment(HERE, (FILE,), texts, draw, measure)
