"""What a page shows, computed from records: means, intervals, ranks, costs and failures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dp_synth.errors import InputError
from dp_synth.figures.curves import CEILING, RATES, attacks_of, fitted_series, without_attack
from dp_synth.figures.style import BASELINES, GREY, Line, lines_of, named
from dp_synth.formatting import rounded_up
from dp_synth.records import ADDED, RECORD_COLUMNS
from dp_synth.report.publishable import finite

PEER = "peer-declared"  # the budget of what others wrote: no ledger of ours proves it


LARGEST = "largest AUC that the ledger permits"


# Of a point, in the order in which the page's script reads them.
FIELDS = (
    *("series", "dataset", "measure", "epsilon", "mean", "low", "high", "seeds", "text"),
    *("rank", "mean_rank", "blocks"),
)


POINT = ["dataset", "task", "series", "epsilon", "metric", "mean", "low", "high", "seeds"]


ADJACENCIES = {"add_remove": "add/remove", "replace_one": "replace one"}


NOTHING = "nothing to show: no cell is done"


HOLDOUT = "_holdout"


# How the scores that begin with a name are called.
SCORES = {
    "tv1": "total variation, single columns",
    "tv2": "total variation, pairs of columns",
    "tv3": "total variation, triples of columns",
    "kmarginal": "K-marginal score",
    "auc": "AUC on held-out rows",
    "average_precision": "average precision on held-out rows",
    "f1": "F1 on held-out rows",
}


SHARES = ("tv", "auc", "average_precision", "f1", RATES)  # lie between 0 and 1


WAYS = {"lower": " (low is good)", "higher": " (high is good)", "": ""}
ORDER = ("tv2", "auc:", "tv1", "tv3", "kmarginal")  # of what a reader looks for first


@dataclass(frozen=True)
class Measure:
    """One measure of one task.

    ``kind`` is its metric with ``{}`` in the place of the attack, and ``about`` what such a kind
    measures in words; both are empty where no attack is measured. ``better`` is "lower", "higher",
    or empty where nobody says. ``low`` and ``high`` are the least and largest value that it can
    take, None where there is no bound.
    """

    task: str
    metric: str
    label: str
    attack: str
    kind: str
    about: str
    better: str
    low: float | None
    high: float | None
    chance: float | None

    @property
    def described(self) -> str:
        """Its label, and which end of it is good."""
        return self.label + WAYS[self.better]


@dataclass(frozen=True)
class Series:
    """A method under one choice of settings, and how it is drawn.

    ``kind`` is "fitted", "peer" (of others' code, whose budget nobody checked), "baseline" or
    "ceiling"; ``hidden`` tells whether it is left out until somebody asks for it.
    """

    label: str
    kind: str
    look: Look
    hidden: bool = False

    @property
    def name(self) -> str:
        """What charts and tables call it: of a peer they say that it is one."""
        return f"{self.label} (peer)" if self.kind == "peer" else self.label


@dataclass(frozen=True)
class Cost:
    """Medians over the fits of one series on one table; ``low`` and ``high`` are the extremes."""

    dataset: str
    task: str
    series: str
    fits: int
    seconds: tuple[float, float, float] | None
    wall_seconds: tuple[float, float, float] | None
    peak_mb: tuple[float, float, float] | None


@dataclass(frozen=True)
class Failure:
    """Cells of one series and epsilon that ended in the same error."""

    dataset: str
    task: str
    series: str
    epsilon: float | None
    reason: str
    cells: int


@dataclass(frozen=True)
class PageData:
    """All that a page draws; ``points`` are rows of ``FIELDS``, with places in the lists."""

    datasets: Sequence[Mapping[str, str]]
    measures: Sequence[Measure]
    series: Sequence[Series]
    points: Sequence[Sequence[object]]
    costs: Sequence[Cost]
    failures: Sequence[Failure]
    cells: int
    failed: int
    seeds: int
    epsilons: Sequence[float]

    def drawn(self) -> dict[str, object]:
        """Return as plain values what the page's script needs; the rest is text already."""
        return {
            "fields": FIELDS,
            "datasets": [dataset["name"] for dataset in self.datasets],
            "measures": [
                {"label": measure.described, "attack": measure.attack} for measure in self.measures
            ],
            "series": [
                {"name": one.name, "kind": one.kind, "hidden": one.hidden} for one in self.series
            ],
            "points": list(self.points),
        }


def page_data(records: pd.DataFrame) -> PageData:
    """Return what a page of these records shows; cells that were run beside records are left out.

    InputError where the table does not hold records, or none.
    """
    rows = _prepared(records)
    means = _means(rows)
    if means.empty:
        raise InputError(NOTHING)
    pairs = means[["task", "metric"]].drop_duplicates().itertuples(index=False, name=None)
    found = measures(pairs)
    series = _series(rows)
    fitted = rows[rows["epsilon"].notna()]
    ranked = _ranked(means, {(m.task, m.metric): m.better for m in found})
    names = sorted(rows["dataset"].unique())
    failures = list(_failures(rows))
    cells = rows.drop_duplicates(["dataset", "task", "series", "epsilon", "seed"])
    return PageData(
        datasets=[{"name": name, "note": _note(rows, name)} for name in names],
        measures=found,
        series=list(series.values()),
        points=_points(ranked, names, found, list(series)),
        costs=list(_costs(cells)),
        failures=failures,
        cells=len(cells),
        failed=sum(failure.cells for failure in failures),
        seeds=int(rows["seed"].nunique()),
        epsilons=sorted(float(epsilon) for epsilon in fitted["epsilon"].unique()),
    )


def _prepared(records: pd.DataFrame) -> pd.DataFrame:
    """Return the records with the ``series`` of each, and columns that older ones lack.

    A series is a method; where methods were fitted under several kinds of budget, under one kind.
    """
    from dp_synth.benchmark.statistics import method_names

    newer = {"live": False} | {name: np.nan if of is None else of for name, of in ADDED.items()}
    lacking = [name for name in RECORD_COLUMNS if name not in {*records, *newer}]
    if lacking:
        raise InputError(f"not records of a benchmark: there is no column {lacking[0]!r}")
    rows = records.assign(**{name: of for name, of in newer.items() if name not in records})
    rows = rows[~rows["live"].astype(bool)].reset_index(drop=True)
    if rows.empty:
        raise InputError(NOTHING)
    rows = rows.assign(error=rows["error"].fillna(""), metric=rows["metric"].fillna(""))
    names = method_names(rows)
    keys = zip(rows["synthesizer"], rows["settings"], _budgets(rows), strict=True)
    return rows.assign(series=[names[name, text] + budget for name, text, budget in keys])


def _budgets(rows: pd.DataFrame) -> list[str]:
    """Return what to add to a method's name: its kind of budget, where there are several."""
    said = [
        ""
        if np.isnan(epsilon)
        else f" [{ADJACENCIES.get(adjacency, adjacency)}, δ = {rounded_up(delta)}]"
        for epsilon, adjacency, delta in zip(
            rows["epsilon"].astype(float), rows["adjacency"], rows["delta"], strict=True
        )
    ]
    return said if len(set(said) - {""}) > 1 else [""] * len(said)


def _means(rows: pd.DataFrame) -> pd.DataFrame:
    """Return mean and interval over seeds of each series; the ceilings of all as one series."""
    from dp_synth.benchmark.statistics import over_seeds

    means = over_seeds(_by_series(rows)).rename(columns={"synthesizer": "series"})
    is_ceiling = means["metric"] == CEILING
    highest = means[is_ceiling].groupby(["dataset", "epsilon"], as_index=False)["mean"].max()
    highest = highest.assign(task="leakage", metric=CEILING, series=CEILING)
    parts = [means.loc[~is_ceiling, POINT], highest.reindex(columns=POINT)]
    every: pd.DataFrame = pd.concat(parts, ignore_index=True)
    return every


def _by_series(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the records as those of synthesizers that are named as the series are."""
    return rows.assign(synthesizer=rows["series"], settings="{}")


def _series(rows: pd.DataFrame) -> dict[str, Series]:
    """Return every series by its name: fitted ones, baselines, then the ceiling if there is one."""
    fitted = fitted_series(rows)
    peers = set(rows.loc[rows["budget"] == PEER, "series"])
    found = {
        name: Series(named(name), "peer" if name in peers else "fitted", look)
        for name, look in looks(fitted, sorted(peers)).items()
    }
    for name in sorted(set(rows["series"]) - set(fitted)):
        hidden = name.startswith("sample_of_rows")  # of many levels: shown when asked for
        found[name] = Series(named(name), "baseline", baseline_look(name), hidden)
    if (rows["metric"] == CEILING).any():
        found[CEILING] = Series(LARGEST, "ceiling", baseline_look(CEILING))
    return found


def _ranked(means: pd.DataFrame, better: Mapping[tuple[str, str], str]) -> pd.DataFrame:
    """Return the means with the rank of each fitted series among those of its block.

    A block is a table at one epsilon, and rank 1 is the best; ties share the mean of their ranks.
    ``mean_rank`` is over those ``blocks`` of a measure in which most series have a value: a rank
    among few would be no peer of one among many.
    """
    way = pd.Series(
        [better[pair] for pair in zip(means["task"], means["metric"], strict=True)], means.index
    )
    chosen = means["epsilon"].notna() & (means["series"] != CEILING) & (way != "")
    fitted = means[chosen]
    score = fitted["mean"].where(way[chosen] == "lower", -fitted["mean"])
    block = [fitted[name] for name in ("dataset", "task", "metric", "epsilon")]
    ranks = score.groupby(block).rank()
    among = ranks.groupby(block).transform("count")
    most = among.groupby([fitted["task"], fitted["metric"]]).transform("max")
    kept = ranks.where(among == most)
    whole = kept.groupby([fitted[name] for name in ("task", "metric", "series")])
    return means.assign(
        rank=ranks, mean_rank=whole.transform("mean"), blocks=whole.transform("count")
    )


def _points(
    means: pd.DataFrame, datasets: Sequence[str], found: Sequence[Measure], series: Sequence[str]
) -> list[list[object]]:
    places = {(measure.task, measure.metric): i for i, measure in enumerate(found)}
    keys = ["task", "metric", "dataset", "series", "epsilon"]
    return [
        [
            series.index(row["series"]),
            datasets.index(row["dataset"]),
            places[row["task"], row["metric"]],
            *(finite(row[name]) for name in ("epsilon", "mean", "low", "high", "seeds")),
            said(row["mean"], row["low"], row["high"]),
            *(finite(row[name]) for name in ("rank", "mean_rank", "blocks")),
        ]
        for row in means.sort_values(keys).to_dict("records")
    ]


def _costs(cells: pd.DataFrame) -> Iterator[Cost]:
    done = cells[(cells["error"] == "") & cells["epsilon"].notna()]
    for key, fits in done.groupby(["dataset", "task", "series"]):
        dataset, task, series = map(str, key)
        spent = [_middle(fits[name]) for name in ("seconds", "wall_seconds", "peak_mb")]
        if any(spent):
            yield Cost(dataset, task, named(series), len(fits), *spent)


def _failures(rows: pd.DataFrame) -> Iterator[Failure]:
    from dp_synth.benchmark.statistics import failed_cells

    keys = ["dataset", "task", "synthesizer", "epsilon", "error"]
    failed = failed_cells(_by_series(rows)).groupby(keys, dropna=False, as_index=False).size()
    for row in failed.to_dict("records"):
        yield Failure(
            row["dataset"],
            row["task"],
            named(row["synthesizer"]),
            finite(row["epsilon"]),
            row["error"],
            int(row["size"]),
        )


def _middle(values: pd.Series[float]) -> tuple[float, float, float] | None:
    known = values.dropna().to_numpy(float)
    if not len(known):
        return None
    return float(np.median(known)), float(known.min()), float(known.max())


def _note(rows: pd.DataFrame, dataset: str) -> str:
    """Return in words what the points of one table have in common: budget, seeds, intervals."""
    fitted = rows[(rows["dataset"] == dataset) & rows["epsilon"].notna()]
    if fitted.empty:
        return "baselines only"
    parts = [ADJACENCIES.get(name, name) for name in sorted(fitted["adjacency"].unique())]
    parts += [f"δ = {rounded_up(delta)}" for delta in sorted(fitted["delta"].unique())]
    counts = fitted[fitted["error"] == ""].groupby(["task", "series", "epsilon"])["seed"].nunique()
    fewest, most = (int(counts.min()), int(counts.max())) if len(counts) else (0, 0)
    if most < 2:
        return ", ".join(parts) + "; one seed, so no interval"
    seeds = f"{most}" if fewest == most else f"{fewest} to {most}"
    return ", ".join(parts) + f"; mean and 95 % t interval over {seeds} seeds"


def said(mean: float, low: float | None, high: float | None) -> str:
    """Return a mean with its interval, where it has one.

    >>> said(0.04712, 0.046, 0.0482), said(957.4, None, None)
    ('0.0471 (0.0460 to 0.0482)', '957.4')
    """
    middle, *ends = (
        None if value is None else f"{value:.4f}" if abs(value) < 10 else f"{value:.1f}"
        for value in (mean, finite(low), finite(high))
    )
    return f"{middle}" if None in ends else f"{middle} ({' to '.join(map(str, ends))})"


def measures(pairs: Iterable[tuple[str, str]]) -> list[Measure]:
    """Return the measures of ``(task, metric)`` pairs, utility first, what matters most first."""
    found = sorted(set(pairs), key=_place)
    attacks = attacks_of(metric for task, metric in found if task == "leakage")
    return [_measure(task, metric, attacks) for task, metric in found]


def _place(pair: tuple[str, str]) -> tuple[bool, int, bool, str]:
    task, metric = pair
    first = next((i for i, name in enumerate(ORDER) if metric.startswith(name)), len(ORDER))
    return task == "leakage", first, HOLDOUT in metric, metric


def _measure(task: str, metric: str, attacks: Sequence[str]) -> Measure:
    from dp_synth.benchmark.statistics import better

    name, way = metric.partition(":")[0], ""
    with suppress(InputError):  # of metrics whose code is not here nothing is known
        way = better(metric, task)
    kind, attack = without_attack(metric, attacks if task == "leakage" else ())
    high = 1000.0 if name.startswith("kmarginal") else 1.0 if name.startswith(SHARES) else None
    ends = (None if high is None else 0.0, high)
    if not attack:
        return Measure(task, metric, _score(metric), "", "", "", way, *ends, None)
    # What an attack that knows nothing has is 0.5, or the rate at which it is read.
    chance, words = 0.5 if name == "auc" else None, "attack AUC"
    if name.startswith(RATES):
        chance = float(name.removeprefix(RATES))
        words = f"TPR at {100 * chance:g} % FPR"
    elif chance is None:
        words = name.replace("_", " ")
    about = f"{words}, {'isolated' if kind.endswith(':isolated') else 'all'} targets"
    label = f"{about}: {named(attack)}"
    return Measure(task, metric, label, attack, kind, about, way, *ends, chance)


def _score(metric: str) -> str:
    """Return a score in words.

    >>> _score("tv2_holdout"), _score("auc:gradient_boosting"), _score("range_queries")
    ('total variation, pairs of columns, against hold-out rows', \
'AUC on held-out rows: gradient boosting', 'range queries')
    """
    if metric == CEILING:
        return LARGEST
    name, *rest = metric.split(":")
    plain = name.removesuffix(HOLDOUT)
    words = SCORES.get(plain, plain.replace("_", " "))
    against = ", against hold-out rows" if plain != name else ""
    return ": ".join([words + against, *(named(part).replace("_", " ") for part in rest)])


SURFACES = {"light": "#ffffff", "dark": "#15181d"}  # benchmark.css draws charts on these
LEAST_CONTRAST = 3.0  # of a line beside its surface: WCAG 2.2, success criterion 1.4.11
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])  # WCAG 2.2, definitions
SHAPES = {  # matplotlib's markers, as Vega names them
    "o": "circle",
    "s": "square",
    "^": "triangle-up",
    "v": "triangle-down",
    "<": "triangle-left",
    ">": "triangle-right",
    "D": "diamond",
    "P": "cross",
    "X": "M-.9 -.5L-.5 -.9L0 -.4L.5 -.9L.9 -.5L.4 0L.9 .5L.5 .9L0 .4L-.5 .9L-.9 .5L-.4 0Z",
    "h": "M0 -1L.87 -.5V.5L0 1L-.87 .5V-.5Z",
    "p": "M0 -1L.95 -.31L.59 .81H-.59L-.95 -.31Z",
    "*": "M0 -1L.25 -.35L.95 -.31L.4 .12L.59 .81L0 .42L-.59 .81L-.4 .12L-.95 -.31L-.25 -.35Z",
    "d": "M0 -1L.6 0L0 1L-.6 0Z",
}
SOLID, PEER_DASHES = [1, 0], [9, 3, 2, 3, 2, 3]
DASHES = {"-": SOLID, "--": [7, 4], "-.": [8, 3, 2, 3], ":": [2, 3]}


@dataclass(frozen=True)
class Look:
    """Colours of a series on the light and the dark page, its dashes and the shape of its marks."""

    light: str
    dark: str
    dashes: tuple[float, ...]
    shape: str


def looks(fitted: Sequence[str], peers: Sequence[str]) -> dict[str, Look]:
    """Return the look of each fitted series, no two alike; peers are those of others' code."""
    found: dict[str, Look] = {}
    for name, line in lines_of(fitted).items():
        found[name] = next(
            (look for look in _choices(line, peer=name in peers) if look not in found.values()),
            _look(line),
        )
    return found


def baseline_look(name: str) -> Look:
    """Return the look of a baseline; a share of the real rows is dotted."""
    return _look(BASELINES.get(name, Line(GREY, ":", "d")))


def _choices(line: Line, *, peer: bool) -> Iterator[Look]:
    """Yield a line's look, then others that differ in their marks alone: a palette has few."""
    first = _look(line)
    dashes = tuple(PEER_DASHES) if peer else first.dashes
    for shape in dict.fromkeys([first.shape, *SHAPES.values()]):
        yield Look(first.light, first.dark, dashes, shape)


def _look(line: Line) -> Look:
    dashes = (
        DASHES[line.dashes] if isinstance(line.dashes, str) else [2 * n for n in line.dashes[1]]
    )
    light, dark = (readable(line.color, surface) for surface in SURFACES.values())
    return Look(light, dark, tuple(dashes), SHAPES[line.marker])


def readable(color: str, surface: str) -> str:
    """Return the colour nearest to ``color``, towards black or white, that shows on ``surface``.

    >>> readable("#0072B2", "#ffffff"), contrast(readable("#E69F00", "#ffffff"), "#ffffff") >= 3
    ('#0072b2', True)
    """
    from matplotlib.colors import to_hex, to_rgb

    towards = max("#000000", "#ffffff", key=lambda end: contrast(surface, end))
    start, end = np.array(to_rgb(color)), np.array(to_rgb(towards))
    mixtures = (to_hex((1 - share) * start + share * end) for share in np.linspace(0, 1, 51))
    return next(found for found in mixtures if contrast(found, surface) >= LEAST_CONTRAST)


def contrast(color: str, other: str) -> float:
    """Return the contrast ratio of two colours, between 1 and 21 (WCAG 2.2, definitions)."""
    from matplotlib.colors import to_rgb

    parts = np.array([to_rgb(color), to_rgb(other)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    darker, lighter = sorted(linear @ LUMINANCE)
    return float((lighter + 0.05) / (darker + 0.05))
