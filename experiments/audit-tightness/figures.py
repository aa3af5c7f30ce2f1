"""Draws the figures of docs/auditing.md from committed records; ``--measure`` makes these anew.

Records: ``audit_bounds.png`` from ``audits.jsonl`` (``audits.py``), ``audit_power.png`` from
``audit_runs.jsonl``, ``roc.png`` from ``roc.jsonl`` and ``risks.png`` from ``risks.jsonl``,
which are measured here with fixed seeds: some minutes of one core. A figure whose records are
not there is left out, with a word about the command that makes them. ``--pdf`` writes PDF too. The
document's tables are drawn by tables.py.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from experiments.audit_tightness.power import DELTA, LEVEL, Row, alarms
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

import dp_synth as dps
from benchmarks.measured import RESULTS, ROOT, Record, keep, read
from dp_synth import figures
from dp_synth.attacks import AttackerView, ClosestRecord, DensityRatio
from dp_synth.audit import NeighbouringTables, Roc, worst_case
from dp_synth.figures.files import save
from dp_synth.metrics.estimate import clopper_pearson
from dp_synth.report import risk_report
from experiments.faults import noise_of, worlds_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SEED = 20_261_122
BUDGET = dps.PrivacyBudget(4.0, DELTA)
RUNS, BLACK_BOX_RUNS, SYNTHETIC = 4000, 500, 100  # releases and fits a world, rows of a sample
FEWEST_BEYOND = 4  # non-members beyond the strictest threshold that is drawn
AUDITS = 300
RATES = {
    "area": (100, 250, 500, 1000, 2000, 4000),
    "common_noise": (25, 50, 100),
    "gaussian_threshold": (100, 250, 500, 1000, 2000, 4000),
    "clopper_pearson": (100, 250, 500, 1000, 2000, 4000),
}
FACTORS = (1.0, math.sqrt(2), 2.0, 4.0)
MADE_BY = "python -m experiments.audit_tightness.figures --measure"

Worlds = tuple[NDArray[np.float64], NDArray[np.float64]]


def measure_power() -> Iterator[Record]:
    """Yield how often each test alarms at each number of runs."""
    rows = [
        Row(test, 1, factor, runs, AUDITS)
        for test, sizes in RATES.items()
        for factor in FACTORS
        for runs in sizes
    ]
    for row, stream in zip(rows, np.random.SeedSequence(SEED).spawn(len(rows)), strict=True):
        count = sum(alarms(row, np.random.default_rng(stream)))
        low, high = clopper_pearson(count, row.audits)
        rates = {"alarms": count / row.audits, "low": low, "high": high}
        yield {**asdict(row), **rates, "delta": DELTA, "level": LEVEL}


def measure_roc() -> Iterator[Record]:
    """Yield points of the ROC curves of attacks on MST about the two tables of a worst case."""
    design = worst_case()
    curves = {
        "likelihood ratio of the transcript": _transcript_scores(design, 1.0),
        "the same, noise halved by a bug": _transcript_scores(design, 0.5),
        **_black_box_scores(design),
    }
    for name, (inside, outside) in curves.items():
        roc = Roc(inside, outside)
        for fpr in np.geomspace(1e-3, 0.8, 25):
            if fpr * len(outside) >= FEWEST_BEYOND:
                found = roc.tpr_at_fpr(float(fpr))
                ends = {"tpr": found.value, "low": found.low, "high": found.high}
                faulty = "bug" in name
                yield {"attack": name, "fpr": float(fpr), **ends, "faulty": faulty}
    fprs = np.geomspace(1e-4, 1, 60)
    for fpr, tpr in zip(fprs, _claim(design).tpr(fprs), strict=True):
        yield {"attack": "", "fpr": float(fpr), "tpr": float(tpr)}


def _claim(design: NeighbouringTables) -> dps.accounting.PrivacyCurve:
    accountant = dps.Accountant(BUDGET, simulate=True)
    accountant.admit("mst", dps.MST().charges(design.schema.domain))
    return accountant.ledger.curve


def _transcript_scores(design: NeighbouringTables, factor: float) -> Worlds:
    """Return log-likelihood ratios of releases whose noise is ``factor`` times what is claimed."""

    seed = np.random.SeedSequence([SEED, int(100 * factor)])
    with noise_of(factor):
        found = worlds_of(dps.MST(), design, BUDGET, RUNS, seed)
    return found.inside, found.outside


def _black_box_scores(design: NeighbouringTables) -> dict[str, Worlds]:
    """Return what two attacks on synthetic rows say of the target, who know all other records."""
    attacks = {"density ratio of synthetic rows": DensityRatio(), "closest record": ClosestRecord()}
    target = design.inside.tail(1)
    found: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in attacks}
    for world, table in enumerate((design.inside, design.outside)):
        for run in range(BLACK_BOX_RUNS):
            accountant = dps.Accountant(BUDGET, simulate=True)
            number = 2 * run + world
            release = dps.MST().fit(table, design.schema, accountant, seed=SEED + number)
            rows = release.sample(SYNTHETIC, seed=number)
            view = AttackerView(rows, design.schema, design.outside)
            for name, attack in attacks.items():
                found[name][world].append(float(attack.scores(target, view)[0]))
    return {name: (np.array(worlds[0]), np.array(worlds[1])) for name, worlds in found.items()}


def measure_risks() -> Iterator[Record]:
    """Yield the rows of the risk report of MST on the bundled table, which is public."""
    data = dps.datasets.load("adult")
    release = dps.MST().fit(data.train, data.schema, BUDGET, seed=SEED)
    rows = release.sample(5000, seed=1)
    report = risk_report(data.train, data.holdout, rows, release, reference=data.reference)
    for row in report.rows():
        yield {**row, "largest_auc": release.largest_auc()}


MEASURED = {"audit_runs": measure_power, "roc": measure_roc, "risks": measure_risks}


def draw_power(records: Sequence[Record]) -> tuple[Axes, ...]:
    return figures.power_curves(pd.DataFrame(records))


def draw_roc(records: Sequence[Record]) -> tuple[Axes, ...]:
    frame = pd.DataFrame(records)
    points, envelope = frame[frame["attack"] != ""], frame[frame["attack"] == ""]
    claim = f"the ledger of MST, ε = {BUDGET.epsilon:g}, δ = {BUDGET.delta:g}"
    return figures.roc_curves(points, envelope, claim=claim)


def draw_risks(records: Sequence[Record]) -> tuple[Axes, ...]:
    return figures.risk_bars(pd.DataFrame(records), largest_auc=records[0]["largest_auc"])


def draw_bounds(records: Sequence[Record]) -> tuple[Axes, ...]:
    return figures.audit_bounds(figures.bounds_of(records))


Draw = Callable[[Sequence[Record]], "tuple[Axes, ...]"]
DRAWN: Mapping[str, tuple[str, Draw, str]] = {
    "roc": ("roc", draw_roc, MADE_BY),
    "audit_bounds": ("audits", draw_bounds, "python -m experiments.audit_tightness.audits"),
    "risks": ("risks", draw_risks, MADE_BY),
    "audit_power": ("audit_runs", draw_power, MADE_BY),
}


def main() -> None:
    """Measure where that is asked for, then draw what there are records of."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", nargs="*", choices=list(MEASURED), help="all, or some")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    parser.add_argument("--pdf", action="store_true", help="also as PDF, with embedded fonts")
    asked = parser.parse_args()
    for name in MEASURED if asked.measure == [] else asked.measure or ():
        told = {"version": dps.__version__, "command": MADE_BY}
        keep(asked.results / f"{name}.jsonl", MEASURED[name](), **told)
    for name, (source, draw, command) in DRAWN.items():
        records = read(asked.results / f"{source}.jsonl")
        if not records:
            print(f"{name}: no {source}.jsonl; {command} makes it", file=sys.stderr)
            continue
        for ending in ("png", "pdf") if asked.pdf else ("png",):
            path = asked.out / f"{name}.{ending}"
            save(lambda draw=draw, records=records: draw(records), path)  # type: ignore[misc]
            print(path)


if __name__ == "__main__":
    with threadpool_limits(limits=1):
        main()
