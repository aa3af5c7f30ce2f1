"""Whether methods hold structures that pairs do not show, or that few records, many columns or
heavy tails hide: made-up tables whose floor and ceiling are known.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from experiments.any_structure.tables import MOST_BITS, NOISE, STRUCTURES, Structure, held

import dp_synth as dps
from benchmarks.measured import ROOT, Record, by_seed, chosen, keep, read, shown
from dp_synth.benchmark import run_grid
from dp_synth.benchmark.peers import PeerError, environment
from dp_synth.figures.style import (
    BASELINES,
    FULL_WIDTH,
    below,
    lines_of,
    name_rows,
    named,
    new_figure,
)
from experiments.outline import RECORDS, Experiment, ends, interval, timed, whiskers
from paper.documents import markdown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HERE = Path(__file__).resolve().parent
STORE = ROOT / "results" / "any-structure"
JOBS = 2
EPSILON, DELTA = 1.0, 1e-5
SEEDS = 5
METHODS = ("clique_tree", "mst", "aim", "independent", "privbayes", "mwem", "marginal_generator")
SLOW = ("privbayes", "mwem", "marginal_generator")
SLOW_SEEDS = 2
MANY = "clique_tree"  # whose parities are measured with more seeds
MANY_SEEDS = 10
PEER, PEERS, PEER_SEEDS = "smartnoise", ("smartnoise/mst",), 2  # its AIM takes minutes a fit
OF_PEERS = ("xor_3", "clusters")
TIED_DECIMALS = 1  # of shares that are ranked
LIMITS = {"seconds": 120, "give_up": 1}
FLOOR, CEILING = "independent_without_noise", "fresh_rows"
PARITIES = tuple(f"xor_{bits}" for bits in range(1, MOST_BITS + 1))
OTHERS = tuple(name for name in STRUCTURES if name not in PARITIES)


# Measure


def measure(resume: bool) -> None:
    """Fit every method to every table, the tables one after the other; failed cells are lines."""
    if not resume:
        shutil.rmtree(STORE, ignore_errors=True)
    lines: list[Record] = []
    for structure in STRUCTURES.values():
        with timed(HERE, structure.name):
            data = structure.dataset()
            for methods, seeds in runs(structure):
                lines += cells(data, methods, seeds)
        keep(HERE / RECORDS, _distinct(lines), version=dps.__version__)


def runs(structure: Structure) -> Iterator[tuple[Sequence[str], int]]:
    """Yield methods, and how many seeds they are run with on a table."""
    yield [name for name in METHODS if name not in SLOW], SEEDS
    yield SLOW, min(SLOW_SEEDS, SEEDS)
    if structure.name in PARITIES:
        yield [MANY], MANY_SEEDS
    if structure.name in OF_PEERS and _has_peer():
        yield PEERS, min(PEER_SEEDS, SEEDS)


def _has_peer() -> bool:
    try:
        environment(PEER)
    except PeerError:
        return False
    return True


def cells(data: dps.datasets.Dataset, methods: Sequence[str], seeds: int) -> Iterator[Record]:
    """Yield a line a cell: its scores, or the error that came instead."""
    grid = {
        "name": "any-structure",
        "dataset": data,
        "delta": DELTA,
        "seeds": seeds,
        "synthesizers": list(methods),
        "utility": {"epsilons": [EPSILON], "metrics": [held]},
        "limits": LIMITS,
    }
    found = run_grid(grid, STORE, jobs=JOBS, retry=False)
    for (name, seed), cell in found.groupby(["synthesizer", "seed"], sort=False):
        line: Record = {"table": data.name, "synthesizer": name, "seed": int(seed)}
        if error := cell["error"].iloc[0]:
            yield line | {"error": error}
        else:
            values = dict(zip(cell["metric"], cell["value"].map(float), strict=True))
            seconds = cell["seconds"].iloc[0]
            took = {} if pd.isna(seconds) else {"seconds": round(float(seconds), 2)}
            yield line | {"values": {**values, **took}}


def _distinct(lines: Sequence[Record]) -> list[Record]:
    """Return the lines without those of cells that several grids have: baselines, first seeds."""
    return list({(r["table"], r["synthesizer"], r["seed"]): r for r in lines}.values())


# Read


def values(records: Sequence[Record], table: str, method: str, value: str = "held") -> list[float]:
    """Return one value of a method's fits to a table, in the order of their seeds."""
    done = [record for record in records if value in record.get("values", ())]
    return list(by_seed(done, value, table=table, synthesizer=method).values())


def methods_of(records: Sequence[Record]) -> list[str]:
    """Return the fitted methods, ours first."""
    found = dict.fromkeys(str(record["synthesizer"]) for record in records)
    return [name for name in (*METHODS, *PEERS) if name in found]


def titled(method: str) -> str:
    """Return a method's words, and the library of one that is not ours.

    >>> titled("mst"), titled("smartnoise/mst")
    ('MST', 'MST (smartnoise)')
    """
    library, slash, name = method.rpartition("/")
    return f"{named(name)} ({library})" if slash else named(name)


def shares(records: Sequence[Record], table: str, method: str) -> list[float]:
    """Return where each fit stands between the mean floor, 0, and the mean ceiling, 1."""
    floor, ceiling = (float(np.mean(values(records, table, name))) for name in (FLOOR, CEILING))
    return [(x - floor) / (ceiling - floor) for x in values(records, table, method)]


def mean_shares(records: Sequence[Record], tables: Sequence[str]) -> pd.DataFrame:
    """Return the mean share of each of our methods (columns) on each table, none where none ended.

    A share counts as 0 at least and as 1 at most.
    """
    methods = [method for method in methods_of(records) if method in METHODS]
    means = [
        [
            float(np.clip(np.mean(own), 0, 1)) if (own := shares(records, t, m)) else 0
            for m in methods
        ]
        for t in tables
    ]
    return pd.DataFrame(means, index=list(tables), columns=methods)


def ranks(records: Sequence[Record], tables: Sequence[str]) -> dict[str, float]:
    """Return the mean rank of each of our methods over tables, 1 being best.

    Shares that agree in a first decimal are tied, else methods would be ranked where all hold
    nothing.
    """
    means = mean_shares(records, tables).round(TIED_DECIMALS)
    placed = means.rank(axis=1, ascending=False).mean()
    return {str(name): float(rank) for name, rank in placed.items()}


# Text


def score_table(records: Sequence[Record], tables: Sequence[str]) -> str:
    """Return the scores of every method on each table, between floor and ceiling."""
    methods = methods_of(records)
    head = ["structure", "score", "floor", *map(titled, methods), "ceiling"]
    rows = []
    for table in tables:
        structure = STRUCTURES[table]
        cells = [_cell(records, table, method) for method in (FLOOR, *methods, CEILING)]
        rows.append([structure.title, structure.meaning, *cells])
    return markdown(head, rows)


def _cell(records: Sequence[Record], table: str, method: str) -> str:
    own = values(records, table, method)
    if own:
        return shown(own, 3)
    failed = [r for r in chosen(records, table=table, synthesizer=method) if "error" in r]
    return "none" if failed else "-"


def accuracy_table(records: Sequence[Record]) -> str:
    """Return what a classifier learns from the rows of each method about each parity."""
    methods = methods_of(records)
    head = ["accuracy on fresh records", *map(titled, methods), "ceiling"]
    rows = []
    for table in PARITIES:
        own = [values(records, table, method, "accuracy") for method in (*methods, CEILING)]
        rows.append([STRUCTURES[table].title, *(shown(cell, 3) for cell in own)])
    return markdown(head, rows)


def share_table(records: Sequence[Record]) -> str:
    """Return where each method stands on each table, and its means over all."""
    methods = [method for method in methods_of(records) if method in METHODS]
    rows = []
    for table in STRUCTURES:
        cells = [shown(shares(records, table, method), 2) for method in methods]
        rows.append([STRUCTURES[table].title, *cells])
    placed, means = ranks(records, list(STRUCTURES)), mean_shares(records, list(STRUCTURES)).mean()
    rows.append(["**mean share**", *(f"**{means[method]:.2f}**" for method in methods)])
    rows.append(["**mean rank**", *(f"**{placed[method]:.2f}**" for method in methods)])
    return markdown(["floor 0, ceiling 1", *map(titled, methods)], rows)


def failure_table(records: Sequence[Record]) -> str:
    """Return which fits gave no rows, and why; a sentence where all did."""
    reasons: dict[tuple[str, str], str] = {}
    for record in records:
        if "error" in record:
            key = STRUCTURES[str(record["table"])].title, titled(str(record["synthesizer"]))
            reasons.setdefault(key, str(record["error"]).replace("|", "/"))
    if not reasons:
        return "Every fit gave rows."
    return markdown(["structure", "method", "what ended it"], [[*k, w] for k, w in reasons.items()])


def texts() -> dict[str, str]:
    """Return what the README says in numbers."""
    records = read(HERE / RECORDS)
    fitted = [r for r in records if r["synthesizer"] in METHODS]
    counts = [
        len({r["seed"] for r in chosen(fitted, table=table, synthesizer=MANY)}) for table in OTHERS
    ]
    means = mean_shares(records, list(STRUCTURES)).mean().sort_values(ascending=False)
    order = [f"{titled(str(method))} {share:.2f}" for method, share in means.items()]
    peers = [method for method in methods_of(records) if method in PEERS]
    half = [table for table in STRUCTURES if _is_held(records, table)]
    return {
        "parities": score_table(records, PARITIES),
        "accuracies": accuracy_table(records),
        "structures": score_table(records, OTHERS),
        "shares": share_table(records),
        "failures": failure_table(records),
        "seeds": ends(counts),
        "limit": str(LIMITS["seconds"]),
        "order": ", ".join(order),
        "held": ", ".join(STRUCTURES[table].title for table in half) or "none",
        "held count": str(len(half)),
        "tables": str(len(STRUCTURES)),
        "peers": ", ".join(map(titled, peers)) or "none, since it was not installed",
    }


def _is_held(records: Sequence[Record], table: str) -> bool:
    """Tell whether the clique tree comes at least half of the way to the ceiling."""
    own = shares(records, table, MANY)
    return bool(own) and float(np.mean(own)) >= 0.5


# Draw


def draw() -> Figure:
    """Return parities by their length on the left, the other tables' shares on the right."""
    records = read(HERE / RECORDS)
    figure = new_figure(FULL_WIDTH, 3.6)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.1))
    methods = methods_of(records)
    looks = lines_of(methods)
    for place, method in enumerate(methods):
        look = {"color": looks[method].color, "marker": looks[method].marker}
        look["label"] = titled(method)
        _draw_parities(left, records, method, look)
        rows = np.arange(len(OTHERS)) + 0.7 * ((place + 0.5) / len(methods) - 0.5)
        _draw_shares(right, records, method, rows, look)
    for axes, (floor, ceiling) in ((left, (0.5, 1 - NOISE)), (right, (0, 1))):
        line = axes.axhline if axes is left else axes.axvline
        for name, level in ((FLOOR, floor), (CEILING, ceiling)):
            look = {"color": BASELINES[name].color, "linestyle": BASELINES[name].dashes}
            line(level, **look, label=named(name))
    left.set(xlabel="columns in the parity", ylabel="share of rows that obey it", ylim=(0.45, 1))
    left.set_title("XOR among 20 columns")
    name_rows(right, [STRUCTURES[table].title for table in OTHERS])
    right.set(xlabel="from independent columns (0) to fresh rows (1)", xlim=(-0.6, 1.15))
    right.set_title("other structures")
    note = f"ε = {EPSILON:g}, δ = {DELTA:g}, add/remove; mean and 95 % t-interval over seeds"
    below(figure, [left, right], note, message="What rows hold of structures that are planted")
    return figure


def _draw_parities(
    axes: Axes, records: Sequence[Record], method: str, look: Mapping[str, object]
) -> None:
    found = [values(records, table, method) for table in PARITIES]
    whiskers(axes, range(1, len(PARITIES) + 1), found, **look)


def _draw_shares(
    axes: Axes,
    records: Sequence[Record],
    method: str,
    rows: np.ndarray,
    look: Mapping[str, object],
) -> None:
    for table, row in zip(OTHERS, rows, strict=True):
        if own := shares(records, table, method):
            mean, half = interval(own)
            axes.errorbar(mean, row, xerr=np.nan_to_num(half), linestyle="none", **look)


EXPERIMENT = Experiment(HERE, (HERE / RECORDS,), texts, draw, measure)
