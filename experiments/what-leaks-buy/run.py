"""What known leaks buy in utility, and what an audit proves that they cost.

MST's leaks are those of ``leaks.py``; PATE-GAN's are those of ``pate_leaks.py``, whose
records are read where it keeps them.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from experiments.what_leaks_buy.leaks import DELTA, EPSILON, HONEST, LEAKS

import dp_synth as dps
from benchmarks.inputs import scored
from benchmarks.measured import RESULTS, ROOT, Record, by_seed, chosen, read, shown
from dp_synth.accounting import Gaussian, compose
from dp_synth.accounting.calibration import noise_factor
from dp_synth.audit import clopper_pearson_bound, gaussian_bound
from dp_synth.figures.style import FULL_WIDTH, GREY, below, lines_of, new_figure
from dp_synth.formatting import at_least, at_most
from experiments.outline import RECORDS, Experiment, answer, begin, ends, in_words, interval
from paper.documents import markdown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HERE = Path(__file__).resolve().parent
PATE = RESULTS / "pate_leaks.jsonl"
SEEDS, RUNS = 5, 600
HONEST_TIMES = 5  # as many runs: what keeps its claim shows little in each
AUDIT_SEED = 20260101
METHODS = {"mst": "MST, as published", "pategan": "PATE-GAN"}
AT_CEILING = 0.99  # of it: more could not have been proven with so many runs
SIDE = 0.16  # of epsilon: marks at one ceiling stand side by side, left of it


# Measure


def measure(resume: bool) -> None:
    """Write an audit a leak and a fit a leak and seed, of MST and then of PATE-GAN."""
    begin(HERE, resume)
    answer(HERE, _tasks(), lambda task: {"values": _outcome(task)}, part="mst")
    command = [sys.executable, "-m", "experiments.what_leaks_buy.pate_leaks"]
    subprocess.run([*command, *(["--resume"] if resume else [])], check=True, cwd=ROOT)


def _tasks() -> Iterator[Record]:
    for leak in LEAKS:
        runs = RUNS * (HONEST_TIMES if leak == HONEST else 1)
        yield {"leak": leak, "kind": "audit", "runs": runs, "epsilon": EPSILON, "delta": DELTA}
    for seed, leak in product(range(SEEDS), LEAKS):
        yield {"leak": leak, "kind": "fit", "seed": seed, "epsilon": EPSILON, "delta": DELTA}


def _outcome(task: Record) -> Record:
    if task["kind"] == "audit":
        return _audit(task["leak"], task["runs"])
    return _fit(task["leak"], task["seed"])


def _audit(leak: str, runs: int) -> Record:
    """Return the epsilon that the runs prove with 95 % confidence, and the most that they could."""
    worlds = LEAKS[leak].worlds(runs, AUDIT_SEED)
    rng = np.random.default_rng(0)
    proven = clopper_pearson_bound(worlds, DELTA, rng=rng)
    auc = dps.Roc(worlds.inside, worlds.outside).auc()
    return {
        "epsilon": proven.epsilon,
        "ceiling": proven.ceiling,
        "epsilon_if_gaussian": gaussian_bound(worlds, DELTA, rng=rng).epsilon,
        "attack_auc": auc.value,
        "attack_auc_low": auc.low,
    }


def _fit(leak: str, seed: int) -> Record:
    data = dps.datasets.load("adult")
    started = time.process_time()
    rows = LEAKS[leak].rows(data, seed)
    seconds = time.process_time() - started
    return {**scored(rows, data, seed), "seconds": round(seconds, 3)}


# Draw


def records() -> dict[str, list[Record]]:
    """Return the records of each method."""
    return {"mst": read(HERE / RECORDS), "pategan": read(PATE)}


def fits(found: list[Record], leak: str, value: str) -> dict[int, float]:
    """Return one value of the fits that have a leak, by seed."""
    return by_seed(found, value, leak=leak, kind="fit")


def gains(found: list[Record], leak: str, value: str) -> list[float]:
    """Return by how much a leak makes a value better than no leak does, seed by seed."""
    sign = -1 if value == "tv" else 1
    leaking, honest = (fits(found, name, value) for name in (leak, HONEST))
    return [sign * (leaking[seed] - honest[seed]) for seed in leaking if seed in honest]


def audit_of(found: list[Record], leak: str) -> dict[str, float]:
    """Return what the audit of a leak found."""
    return chosen(found, leak=leak, kind="audit")[0]["values"]


def leaks_table(found: list[Record]) -> str:
    """Return utility, what each leak gains, and what its audit proves."""
    head = ["leak", "TV of pairs", "TV gained", "AUC", "AUC gained"]
    head += ["epsilon proven", "of at most", "attack's AUC"]
    rows = []
    for leak in dict.fromkeys(record["leak"] for record in found):
        row = [leak]
        for value in ("tv", "auc"):
            row.append(shown(list(fits(found, leak, value).values()), 4))
            row.append("" if leak == HONEST else shown(gains(found, leak, value), 4, sign=True))
        audit = audit_of(found, leak)
        row += [at_least(audit["epsilon"], 2), at_least(audit["ceiling"], 2)]
        row.append(f"{audit['attack_auc']:.3f}")
        rows.append(row)
    return markdown(head, rows)


def summary(found: list[Record], method: str) -> str:
    """Return in words which leaks gain more than chance does, and which of them were caught."""
    leaks = [leak for leak in dict.fromkeys(r["leak"] for r in found) if leak != HONEST]
    sentences = []
    for value, name in (("tv", "total variation of pairs"), ("auc", "AUC")):
        better = [leak for leak in leaks if _low(gains(found, leak, value)) > 0]
        worse = [leak for leak in leaks if _low([-x for x in gains(found, leak, value)]) > 0]
        sentences.append(f"In {name}, {_listed(better)} gain{'s' * (len(better) < 2)}")
        sentences[-1] += f", and {_listed(worse)} lose{'s' * (len(worse) < 2)}." if worse else "."
    caught = [leak for leak in leaks if audit_of(found, leak)["epsilon"] > EPSILON]
    sentences.append(
        f"The audit proves more than epsilon {EPSILON:g} of {len(caught)} of {len(leaks)} leaks"
        f" ({_listed(caught)}). The attack's AUC is above {at_most(_permitted(), 3)}, the most"
        f" that a Gaussian mechanism of this claim permits, for {_listed(_above(found, leaks))}."
    )
    return f"**{METHODS[method]}.** " + " ".join(sentences)


@cache
def _permitted() -> float:
    """Return the largest AUC of any attack on a Gaussian mechanism that keeps the claim."""
    noise = noise_factor([(Gaussian(1.0, 1.0), 1)], EPSILON, DELTA)
    return compose([(Gaussian(noise, 1.0), 1)]).largest_auc()


def _above(found: list[Record], leaks: list[str]) -> list[str]:
    """Return the leaks whose attack is better than the claim permits, beyond its interval."""
    return [leak for leak in leaks if audit_of(found, leak)["attack_auc_low"] > _permitted()]


def _low(values: list[float]) -> float:
    mean, half = interval(values)
    return mean - half if half == half else float("-inf")


def _listed(names: list[str]) -> str:
    """Return names as a sentence has them."""
    if len(names) < 2:
        return f"“{names[0]}”" if names else "no leak"
    quoted = [f"“{name}”" for name in names]
    return ", ".join(quoted[:-1]) + " and " + quoted[-1]


def texts() -> dict[str, str]:
    """Return what the README says in numbers."""
    found = records()
    said = {method: leaks_table(found[method]) for method in METHODS}
    said |= {f"{method} in words": summary(found[method], method) for method in METHODS}
    of_pate = chosen(found["pategan"], kind="fit")
    said["pategan time"] = in_words(sum(record["values"]["seconds"] for record in of_pate))
    said["seeds"] = ends(len(fits(of, r["leak"], "tv")) for of in found.values() for r in of)
    return said


def draw() -> Figure:
    """Return gains in TV and AUC against the epsilon that an audit proves, a row a method."""
    found = records()
    figure = new_figure(FULL_WIDTH, 5.6)
    grid = figure.subplots(2, 2, sharex=True)
    for row, method in zip(grid, METHODS, strict=True):
        for axes, value in zip(row, ("tv", "auc"), strict=True):
            _draw_panel(axes, found[method], value)
            axes.set_title(METHODS[method])
    for axes in grid[1]:
        axes.set_xlabel("ε that the audit proves")
    note = f"Adult, claimed ε = {EPSILON:g}, δ = {DELTA:g}; mean and 95 % t-interval over seeds"
    note += "; marks at the ceiling stand side by side"
    below(figure, grid.ravel(), note)
    return figure


def _draw_panel(axes: Axes, found: list[Record], value: str) -> None:
    axes.axvline(EPSILON, color=GREY, linestyle="--", linewidth=1, label="claimed ε")
    ceilings = [audit_of(found, leak)["ceiling"] for leak in _names(found)]
    axes.axvline(min(ceilings), color=GREY, linestyle="-.", linewidth=1, label="ceiling of audits")
    axes.axhline(0, color=GREY, linestyle=":", linewidth=1, label="no leak")
    looks = lines_of([leak for method in records().values() for leak in _names(method)])
    high = [leak for leak in _names(found) if _is_at_ceiling(found, leak)]
    for leak in _names(found):
        mean, half = interval(gains(found, leak, value))
        aside = SIDE * (len(high) - high.index(leak)) if leak in high else 0.0
        axes.errorbar(
            audit_of(found, leak)["epsilon"] - aside,
            mean,
            yerr=0 if half != half else half,
            color=looks[leak].color,
            marker=looks[leak].marker,
            linestyle="none",
            label=leak,
        )
    axes.set_ylabel("TV of pairs gained" if value == "tv" else "AUC gained")


def _is_at_ceiling(found: list[Record], leak: str) -> bool:
    audit = audit_of(found, leak)
    return audit["epsilon"] > AT_CEILING * audit["ceiling"]


def _names(found: list[Record]) -> list[str]:
    return [leak for leak in dict.fromkeys(r["leak"] for r in found) if leak != HONEST]


DRAWN = {
    "pate leaks": lambda folder: leaks_table(read(folder / PATE.name))
}  # of docs/synthesizers.md
EXPERIMENT = Experiment(HERE, (HERE / RECORDS, PATE), texts, draw, measure)
