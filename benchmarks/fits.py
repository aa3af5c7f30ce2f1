"""Fits of methods to tables, measured by grids, as lines of results.

A line is one fit with all its values, or with the error that came instead. Each fit has a process
of its own, with one thread for linear algebra, and calibrates from nothing; memory is the most that
the process held until the end of the fit, program and table included.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

import dp_synth as dps
from benchmarks.inputs import Source, boosted, load
from benchmarks.measured import Record, keep
from dp_synth.benchmark import run_grid
from dp_synth.benchmark.cell import canonical_json
from dp_synth.benchmark.grid import SynthesizerSpec

DELTA = 1e-9
STORES = Path("results")
LIMITS = {"seconds": 600, "give_up": 1}  # of a fit and its scores, on the clock
BASELINES = {  # what lines call them
    "real_rows": "real rows",
    "fresh_rows": "held-out rows",
    "independent_without_noise": "independent without noise",
}
ALIKE = ("real_rows", "fresh_rows")  # at all seeds
VALUES = {  # what a line calls the values of a cell
    "tv1": "tv1",
    "tv2": "tv",
    "tv2_holdout": "tv_holdout",
    "auc_boosted": "auc",
    "auc:logistic_regression": "auc_logistic",
    "cost:calibration_seconds": "calibration_seconds",
    "cost:fit_seconds": "fit_seconds",
    "cost:mb_before_fit": "megabytes_before",
    "cost:fit_peak_mb": "megabytes",
    "cost:draw_seconds": "many_rows_seconds",
}

Method = tuple[str, Mapping[str, object]]


@dataclass(frozen=True)
class Fits:
    """Fits of methods to one table at some epsilons, and what is wanted of them.

    ``classified`` trains classifiers on the rows, ``many_rows`` are sampled beside for the time
    that it takes, and ``baselines`` keeps those of the grid.
    """

    source: Source
    methods: Sequence[Method]
    epsilons: Sequence[float]
    seeds: Sequence[int]
    classified: bool = False
    many_rows: int = 0
    baselines: bool = False
    delta: float = DELTA

    def lines(self, store: Path, *, jobs: int = 1) -> list[Record]:
        """Return a line a fit, run where ``store`` has it not yet."""
        data = load(self.source)
        metrics: list[object] = ["tv1", "tv2", *([boosted, "auc"] if self.classified else [])]
        drawn = {"drawn": self.many_rows} if self.many_rows else {}
        grid: dict[str, object] = {
            "name": "fits",
            "dataset": data,
            "delta": self.delta,
            "seeds": list(self.seeds),
            "synthesizers": [{"name": name, "set": dict(given)} for name, given in self.methods],
            "utility": {"epsilons": self.epsilons, "metrics": metrics, "costs": True, **drawn},
            "limits": LIMITS,
        }
        os.environ["DP_SYNTH_CACHE"] = ""  # calibrations are searched for, not remembered
        found = run_grid(grid, store, jobs=jobs)
        return list(self._lines(found, data))

    def _lines(self, records: pd.DataFrame, data: dps.datasets.Dataset) -> Iterator[Record]:
        cells = ["synthesizer", "settings", "epsilon", "seed"]
        given = {(name, _whole(name, some)): dict(some) for name, some in self.methods}
        for key, cell in records.groupby(cells, dropna=False, sort=False):
            name, text, epsilon, seed = key
            if name in BASELINES and not self.baselines:
                continue
            if name in ALIKE and seed != self.seeds[0]:
                continue
            line: Record = {
                "table": self.source.label,
                "synthesizer": BASELINES.get(name, name),
                "epsilon": 0.0 if name in BASELINES else float(epsilon),
                "seed": int(seed),
                "settings": given.get((name, text), {}),
                "delta": self.delta,
                "adjacency": "add_remove",
            }
            error = cell["error"].iloc[0]
            if error:
                yield line | {"error": error}
                continue
            values = {
                VALUES[metric]: float(value)
                for metric, value in zip(cell["metric"], cell["value"], strict=True)
                if metric in VALUES and not pd.isna(value)
            }
            if name == "fresh_rows":  # tested on what one was trained on says nothing
                values = {"tv": values["tv"]}
            sizes = {"records": float(len(data.train)), "columns": float(len(data.schema.names))}
            yield line | {"version": dps.__version__, "values": {**sizes, **values}}


def _whole(name: str, some: Mapping[str, object]) -> str:
    """Return all settings of a method as records have them."""
    return canonical_json(SynthesizerSpec(name=name, set=dict(some)).settings())


def compute(fits: Iterable[Fits], results: Path, *, resume: bool) -> None:
    """Run all fits and keep a line for each; with ``resume`` those that a stopped run has left."""
    if "DP_SYNTH_DATA" not in os.environ:
        raise dps.InputError("DP_SYNTH_DATA must name the folder of tables that are not bundled")
    store = STORES / f"fits_{results.stem}"
    if not resume:
        shutil.rmtree(store, ignore_errors=True)
    lines: list[Record] = []
    for some in fits:
        print(some.source.label, *(name for name, _ in some.methods), file=sys.stderr)
        lines += some.lines(store)
    keep(results, lines)
