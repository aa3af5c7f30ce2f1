"""What the records say: tables, sentences and the figure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from experiments.who_is_at_risk.fairness import Fared
from experiments.who_is_at_risk.rarity_games import BANDS, FPR, RANKS, SUBGROUPS, Judged

from benchmarks.measured import Record, chosen, read, shown
from dp_synth.figures.style import (
    FULL_WIDTH,
    GREY,
    INK,
    MARKERS,
    METHODS,
    Dashes,
    Line,
    below,
    named,
    new_figure,
)
from experiments.outline import RECORDS, RUN_TIME, interval, log_axis, whiskers
from paper.documents import markdown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HERE = Path(__file__).resolve().parent
STRONG, CLOSE = "marginal_ratio", "closest_record"
RAREST, COMMONEST = next(iter(BANDS)), list(BANDS)[-1]
NO_PRIVACY = ("no_privacy", None)
SHOWN = (
    NO_PRIVACY,
    ("mst", 1000.0),
    ("mst", 10.0),
    ("mst", 1.0),
    ("clique_tree", 10.0),
    ("clique_tree", 1.0),
)
COLORS = {
    "no_privacy": INK,
    "mst": METHODS["mst"].color,
    "clique_tree": METHODS["clique_tree"].color,
}
DASHES: dict[float | None, Dashes] = {
    None: "-",
    1000.0: "-",
    10.0: (0, (3, 1.2)),
    1.0: (0, (1, 1.2)),
}
SIZES, ERRORS = (200, 500, 1000, 2000, 5000), (0.01, 0.03, 0.1)

Method = tuple[str, float | None]


def look(method: Method) -> Line:
    """Return a colour for the method, and dashes and a marker for its epsilon."""
    name, epsilon = method
    return Line(COLORS[name], DASHES[epsilon], MARKERS[list(DASHES).index(epsilon)])


def title(method: Method) -> str:
    """Return a method's words with its epsilon."""
    name, epsilon = method
    return "bootstrap of members" if epsilon is None else f"{named(name)}, ε = {epsilon:g}"


def games_of(records: Sequence[Record], method: Method) -> dict[int, dict[str, Judged]]:
    """Return what was found in the games of a method, by seed and attack."""
    return _found_of(records, "leakage", method)


def fared_of(records: Sequence[Record], method: Method) -> dict[int, Fared]:
    """Return how groups fared with a method, by seed."""
    return _found_of(records, "fairness", method)


def _found_of(records: Sequence[Record], kind: str, method: Method) -> dict[int, Any]:
    wanted = {"kind": kind, "synthesizer": method[0], "epsilon": method[1]}
    return {record["seed"]: record["found"] for record in chosen(records, **wanted)}


def leaks(
    records: Sequence[Record], method: Method, attack: str, group: str, value: str
) -> dict[int, float]:
    """Return the AUC or TPR of an attack on a group, by seed."""
    found = games_of(records, method)
    return {seed: one[attack]["groups"][group][value] for seed, one in found.items()}


def apart(
    records: Sequence[Record], method: Method, attack: str, groups: tuple[str, str]
) -> list[float]:
    """Return the AUC of one group less that of another, by seed."""
    first, second = (leaks(records, method, attack, group, "auc") for group in groups)
    return [first[seed] - second[seed] for seed in first]


def said(values: Sequence[float]) -> str:
    """Return a difference with its interval and what it says."""
    if len(values) < 2:
        return shown(values, 3, sign=True)
    mean, half = interval(values)
    verdict = "a difference" if abs(mean) > half else "no difference that shows"
    return f"{shown(values, 3, sign=True)}, {verdict}"


def of_groups(
    records: Sequence[Record], method: Method, attack: str, groups: Iterable[str], value: str
) -> list[str]:
    """Return a cell a group: the AUC or TPR of an attack on it."""
    found = (leaks(records, method, attack, group, value).values() for group in groups)
    return [shown(list(values), 3) for values in found]


def band_table(records: Sequence[Record], attack: str) -> str:
    """Return AUC and TPR of an attack for each band of rarity."""
    ends = (RAREST, COMMONEST)
    head = ["rows from", "seeds", *(f"{band}: AUC" for band in BANDS), "rarest less commonest"]
    head += [f"TPR at {FPR:.0%} FPR: {band}" for band in ends]
    rows = []
    for method in SHOWN:
        if seeds := games_of(records, method):
            row = [title(method), str(len(seeds))]
            row += of_groups(records, method, attack, BANDS, "auc")
            row.append(shown(apart(records, method, attack, ends), 3, sign=True))
            rows.append([*row, *of_groups(records, method, attack, ends, "tpr")])
    return markdown(head, rows)


def subgroup_table(records: Sequence[Record]) -> str:
    """Return the stronger attack's AUC for subgroups, and the difference of each pair."""
    names = list(SUBGROUPS)
    pairs = list(zip(names[::2], names[1::2], strict=True))
    rows = []
    for method in SHOWN:
        if games_of(records, method):
            gaps = [shown(apart(records, method, STRONG, pair), 3, sign=True) for pair in pairs]
            areas = of_groups(records, method, STRONG, names, "auc")
            rows.append([title(method), *areas, *gaps])
    return markdown(["rows from", *names, *(f"{a} less {b}" for a, b in pairs)], rows)


def rank_table(records: Sequence[Record]) -> str:
    """Return how each rank of vulnerability agrees with the AUC of single targets."""
    columns = list(product((STRONG, CLOSE), RANKS))
    rows = []
    for method in SHOWN:
        if found := games_of(records, method).values():
            values = ([one[attack]["ranks"][rank] for one in found] for attack, rank in columns)
            rows.append([title(method), *(shown(each, 2, sign=True) for each in values)])
    head = [f"{attack}: {rank}".replace("_", " ") for attack, rank in columns]
    return markdown(["rows from", *head], rows)


def fairness(records: Sequence[Record], method: Method, score: str) -> dict[str, list[float]]:
    """Return one score of every group, by seed."""
    found = list(fared_of(records, method).values())
    names = found[0]["groups"] if found else ()
    return {
        name: [one["groups"][name][score] for one in found]
        for name in names
        if score in found[0]["groups"][name]
    }


def fairness_table(records: Sequence[Record]) -> str:
    """Return the largest and the average error of groups, and their gaps."""
    columns = {
        "mean_tv": "TV of columns: mean of groups",
        "worst_tv": "of the worst",
        "mean_accuracy_loss": "accuracy lost: mean of groups",
        "worst_accuracy_loss": "by the worst",
        "tpr_gap": "gap of true-positive rates",
    }
    rows = []
    for method in SHOWN:
        found = list(fared_of(records, method).values())
        if found:
            cells = [shown([one["gaps"][f"subgroups:{c}"] for one in found], 3) for c in columns]
            rows.append([title(method), str(len(found)), *cells])
    return markdown(["rows from", "seeds", *columns.values()], rows)


def worst_group(records: Sequence[Record], method: Method, score: str) -> str:
    """Return the group with the largest mean error, its size and that error, in words."""
    found = fairness(records, method, score)
    if not found:
        return "?"
    name = max(found, key=lambda group: float(np.mean(found[group])))
    first = next(iter(fared_of(records, method).values()))
    size = first["groups"][name]["records"]
    return f"{name} ({size:,} held-out records) with {shown(found[name], 3)}"


def texts() -> dict[str, str]:
    """Return what the README says in numbers."""
    records = read(HERE / RECORDS)
    seconds = sum(r.get("seconds", 0) for r in records)
    found = {
        "bands": band_table(records, STRONG),
        "close": band_table(records, CLOSE),
        "subgroups": subgroup_table(records),
        "ranks": rank_table(records),
        "fairness": fairness_table(records),
        "rates": rates(records),
        RUN_TIME: f"{seconds / 60:.0f} CPU minutes",
        "alike": alike(records),
        "fares": fares(records),
    }
    found["apart close"] = said(apart(records, NO_PRIVACY, CLOSE, (RAREST, COMMONEST)))
    for method in SHOWN:
        key = f"{method[0]} {method[1]:g}" if method[1] else method[0]
        found[f"apart {key}"] = said(apart(records, method, STRONG, (RAREST, COMMONEST)))
    return found


def rates(records: Sequence[Record]) -> str:
    """Return the closest-record attack's TPR of the rarest and the commonest, without privacy."""
    ends = (leaks(records, NO_PRIVACY, CLOSE, band, "tpr") for band in (RAREST, COMMONEST))
    rare, common = (shown(list(one.values()), 2) for one in ends)
    return f"{rare} of the rarest and {common} of the commonest"


def alike(records: Sequence[Record]) -> str:
    """Say whether two methods' games at epsilon 1 came out the same, which games can."""
    first, second = (games_of(records, (name, 1.0)) for name in ("mst", "clique_tree"))
    seeds = first.keys() & second.keys()
    same = sum(first[seed] == second[seed] for seed in seeds)
    if not same:
        return "At ε = 1 the two methods gave different rows."
    return (
        f"At ε = 1 MST and the clique tree gave the same rows in {same} of {len(seeds)} seeds: "
        "of so few records pairs would drown in noise, and both measure columns alone."
    )


def fares(records: Sequence[Record]) -> str:
    """Return which groups a release serves worst, and how a group's TV goes with its size."""
    methods = [m for m in SHOWN if fared_of(records, m)]
    if not methods:
        return "Fairness of utility has no records yet."
    private = [m for m in methods if m[1] == 1.0]
    worst = [
        f"For {title(m)}, the largest TV is that of {worst_group(records, m, 'tv')}, and "
        f"the most accuracy is lost by {worst_group(records, m, 'accuracy_loss')}."
        for m in private
    ]
    slopes = [f"{_slope(records, m):+.2f} ({title(m)})" for m in methods]
    return (
        f"Groups are not served alike. {' '.join(worst)} The correlation of the logarithms of a "
        f"group's size and of its TV is {', '.join(slopes)}: where it is negative smaller groups "
        "fare worse, and of a bootstrap of the real rows they do so by sampling alone."
    )


def _slope(records: Sequence[Record], method: Method) -> float:
    found = fairness(records, method, "tv")
    first = next(iter(fared_of(records, method).values()))["groups"]
    sizes = np.log([first[name]["records"] for name in found])
    errors = np.log([float(np.mean(values)) for values in found.values()])
    return float(np.corrcoef(sizes, errors)[0, 1])


def draw() -> Figure:
    """Return leakage by rarity above, and errors of groups by their size below."""
    records = read(HERE / RECORDS)
    figure = new_figure(FULL_WIDTH, 5.6)
    upper, lower = figure.subplots(2, 2)
    for axes, value in zip(upper, ("auc", "tpr"), strict=True):
        _draw_bands(axes, records, value)
    for axes, score in zip(lower, ("tv", "accuracy_loss"), strict=True):
        _draw_groups(axes, records, score)
    upper[0].set_ylabel("AUC, marginal ratio")
    upper[1].set_ylabel(f"TPR at {FPR:.0%} FPR, marginal ratio")
    lower[0].set_ylabel("TV of the group's columns")
    lower[1].set_ylabel("accuracy lost to real rows")
    upper[0].set_title("who can be told to be a member")
    lower[0].set_title("whom a release serves worse")
    seeds = len({r["seed"] for r in records})
    note = f"Adult, δ = 1e-5; mean and 95 % t-interval over up to {seeds} seeds; low is good"
    below(figure, [*upper, *lower], note)
    return figure


def _draw_bands(axes: Axes, records: Sequence[Record], value: str) -> None:
    for shift, method in enumerate(SHOWN):
        if not games_of(records, method):
            continue
        values = [[*leaks(records, method, STRONG, band, value).values()] for band in BANDS]
        aside = 0.05 * (shift - (len(SHOWN) - 1) / 2)
        line, places = look(method), [place + aside for place in range(len(BANDS))]
        drawn = {"color": line.color, "linestyle": line.dashes, "marker": line.marker}
        whiskers(axes, places, values, **drawn, elinewidth=0.8, capsize=0, label=title(method))
    chance = 0.5 if value == "auc" else FPR
    axes.axhline(chance, color=GREY, linewidth=0.8, linestyle=":", label="chance")
    axes.set_xticks(range(len(BANDS)), [band.replace(" ", "\n", 1) for band in BANDS])


def _draw_groups(axes: Axes, records: Sequence[Record], score: str) -> None:
    for method in SHOWN:
        if found := fairness(records, method, score):
            first = next(iter(fared_of(records, method).values()))["groups"]
            sizes = [first[name]["records"] for name in found]
            line, means = look(method), [float(np.mean(values)) for values in found.values()]
            drawn = {"color": line.color, "marker": line.marker, "linestyle": "none", "alpha": 0.8}
            axes.plot(sizes, means, **drawn, label=title(method))
    log_axis(axes, "x", SIZES)
    axes.set_xlabel("held-out records of the group (log)")
    if score == "tv":
        log_axis(axes, "y", ERRORS)
