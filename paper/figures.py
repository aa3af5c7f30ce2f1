"""The figures of the paper, from committed records alone.

Each is drawn anew into the build folder. Its copy in ``paper/figures`` says from which records
and by which code it was drawn, and is replaced only where those have changed, so that another
version of a font leaves the repository as it is.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dp_synth import figures
from dp_synth.figures.style import (
    FULL_WIDTH,
    GREY,
    INK,
    SETTINGS,
    SMALL,
    Line,
    epsilon_axis,
    lines_of,
    named,
    new_figure,
)
from experiments.outline import log_axis
from experiments.scaling.run import draw as scaling
from paper.accounting_numbers import ACCOUNTING
from paper.audit_numbers import ROC, RUNS
from paper.number import Number
from paper.records import PAPER, ROOT, chosen, lines, number_of
from paper.utility_numbers import ADULT, EPSILONS, METHODS, NETWORKS, SCALING

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


COMMITTED = PAPER / "figures"
SOURCE = "drawn from"
DRAWN_BY = ("paper/figures.py", "dp_synth/figures/style.py")
DRAWN_METHODS = ("clique_tree", "aim", "mst", "privbayes", "mwem", "independent")


def draw(folder: Path) -> list[str]:
    """Draw all figures into ``folder``; return the names of those whose copy was replaced."""
    import matplotlib as mpl

    folder.mkdir(parents=True, exist_ok=True)
    COMMITTED.mkdir(exist_ok=True)
    replaced = []
    for name, (drawing, sources) in FIGURES.items():
        digest = digest_of(sources)
        path = folder / f"{name}.svg"
        mpl_settings = {**SETTINGS, "svg.hashsalt": name, "svg.fonttype": "path"}
        with mpl.rc_context(mpl_settings):  # type: ignore[arg-type]
            metadata = {"Date": None, "Source": f"{SOURCE} {digest}"}
            drawing().savefig(path, format="svg", metadata=metadata)
        copy = COMMITTED / path.name
        if not is_of(copy, digest):
            shutil.copyfile(path, copy)
            replaced.append(name)
    return replaced


def is_of(path: Path, digest: str) -> bool:
    """Tell whether a figure says that it was drawn from these bytes."""
    return path.exists() and f"{SOURCE} {digest}" in path.read_text(encoding="utf-8")


def digest_of(sources: Sequence[str]) -> str:
    """Return the digest of records and of the code that draws them."""
    contents = [(ROOT / name).read_bytes() for name in (*sources, *DRAWN_BY)]
    return hashlib.sha256(b"\0".join(contents)).hexdigest()[:16]


def accounting() -> Figure:
    """Return what each accounting needs, relative to another."""
    figure = new_figure(FULL_WIDTH, 2.5)
    left, middle, right = figure.subplots(1, 3)
    _marginals(left)
    _sampled(middle)
    _joint(right)
    return figure


def _marginals(axes: Axes) -> None:
    for delta, dashes, text in (
        (1e-5, "-", "$\\delta = 10^{-5}$"),
        (1e-9, "--", "$\\delta = 10^{-9}$"),
    ):
        zcdp, here, least = (_factors(method, delta) for method in ("zcdp", "here", "floor"))
        epsilons = sorted(zcdp)
        label = None if dashes == "--" else "floor"
        ratios = [least[e] / zcdp[e] for e in epsilons]
        axes.plot(epsilons, ratios, color=GREY, lw=3, alpha=0.45, label=label)
        label = None if dashes == "--" else "block curve"
        ratios = [here[e] / zcdp[e] for e in epsilons]
        axes.plot(epsilons, ratios, color="#0072B2", ls=dashes, marker="o", ms=3, label=label)
        axes.annotate(text, (epsilons[2], ratios[2] - 0.008), va="top", fontsize=SMALL)
    axes.axhline(1, color=INK, linewidth=0.8, label="optimal zCDP")
    epsilon_axis(axes, (0.1, 0.5, 2, 10))
    axes.set_ylim(0.885, 1.005)
    axes.set_ylabel("noise over that of zCDP")
    axes.set_title("MST's plan")
    axes.legend(loc="upper left", bbox_to_anchor=(0.0, 0.96), fontsize=SMALL)


def _factors(method: str, delta: float) -> dict[float, float]:
    found = chosen(ACCOUNTING, plan="mst", method=method, delta=delta)
    return {number_of(line, "epsilon"): number_of(line, "value") for line in found}


def _sampled(axes: Axes) -> None:
    steps = sorted({number_of(x, "steps") for x in chosen(ACCOUNTING, plan="sampled")})
    for method, color, label in (("rdp", GREY, "Rényi"), ("here", "#D55E00", "loss curves")):
        values = {
            number_of(x, "steps"): number_of(x, "value")
            for x in chosen(ACCOUNTING, plan="sampled", method=method)
        }
        axes.plot(steps, [values[s] for s in steps], color=color, marker="o", label=label)
    log_axis(axes, "x", [round(step) for step in steps])
    axes.tick_params(axis="x", labelsize=6.5)
    axes.set_xlabel("steps")
    axes.set_ylabel("noise multiplier")
    axes.set_title("sampled gradients, (1, $10^{-5}$)")
    axes.legend(loc="upper left")


def _joint(axes: Axes) -> None:
    found = {
        number_of(x, "releases"): number_of(x, "value") for x in chosen(ACCOUNTING, plan="joint")
    }
    places = range(len(found))
    axes.bar(places, list(found.values()), color="#009E73", width=0.6)
    for place, value in zip(places, found.values(), strict=True):
        axes.text(place, value + 0.02, f"{value:.2f}", ha="center", fontsize=SMALL)
    axes.set_xticks(list(places), [f"{count:.0f}" for count in found])
    axes.set_ylim(0, 1)
    axes.set_xlabel("releases that share one budget")
    axes.set_ylabel("noise over that of slices")
    axes.set_title("Gaussians together, (1, $10^{-5}$)")


def utility() -> Figure:
    """Return error and use of every method on coded Adult at every epsilon."""
    figure = new_figure(FULL_WIDTH, 3.0)
    left, right = figure.subplots(1, 2)
    looks = lines_of(DRAWN_METHODS)
    for axes, value, title in (
        (left, "tv", "TV of pairs, fitted records"),
        (right, "auc", "AUC on held-out records"),
    ):
        for method in DRAWN_METHODS:
            _curve(axes, method, value, looks[method])
        epsilon_axis(axes, EPSILONS)
        axes.set_title(title)
    _baseline(left, "independent without noise", "tv", "independent, no noise", "--")
    _baseline(left, "held-out rows", "tv", "fresh real rows", "-.")
    _baseline(right, "real rows", "auc", "real rows", ":")
    log_axis(left, "y", (0.01, 0.02, 0.05, 0.1, 0.2))
    entries = {label: handle for axes in (left, right) for handle, label in _entries(axes)}
    figure.legend(list(entries.values()), list(entries), loc="outside lower center", ncols=5)
    return figure


def _entries(axes: Axes) -> list[tuple[Artist, str]]:
    return list(zip(*axes.get_legend_handles_labels(), strict=True))


def _curve(axes: Axes, method: str, value: str, look: Line) -> None:
    means = []
    for epsilon in EPSILONS:
        found = chosen(ADULT, epsilon=epsilon, **METHODS[method])
        means.append(Number.over_seeds([number_of(x, value) for x in found], 4, ADULT, ""))
    middle = [mean.value for mean in means]
    low, high = [m.low or 0.0 for m in means], [m.high or 0.0 for m in means]
    color, marker = look.color, look.marker
    axes.fill_between(EPSILONS, np.maximum(low, 1e-3), high, color=color, alpha=0.15, linewidth=0)
    axes.plot(EPSILONS, middle, color=color, marker=marker, label=named(method))


def _baseline(axes: Axes, name: str, value: str, label: str, dashes: str) -> None:
    found = [number_of(x, value) for x in chosen(ADULT, synthesizer=name)]
    axes.axhline(float(np.mean(found)), color=GREY, linestyle=dashes, linewidth=1, label=label)


def power() -> Figure:
    """Return how often each test alarms."""
    return figures.power_curves(pd.DataFrame(lines(RUNS)))[0].get_figure()  # type: ignore[return-value]


def roc() -> Figure:
    """Return ROC curves of attacks under what the ledger permits."""
    frame = pd.DataFrame(lines(ROC))
    points, envelope = frame[frame["attack"] != ""], frame[frame["attack"] == ""]
    return figures.roc_curves(points, envelope, claim="the ledger of MST")[0].get_figure()  # type: ignore[return-value]


FIGURES: dict[str, tuple[Callable[[], Figure], tuple[str, ...]]] = {
    "accounting": (accounting, (ACCOUNTING,)),
    "utility": (utility, (ADULT,)),
    "power": (power, (RUNS,)),
    "roc": (roc, (ROC,)),
    "scaling": (scaling, (SCALING, NETWORKS)),
}
