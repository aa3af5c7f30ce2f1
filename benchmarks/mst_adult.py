"""MST on the coded Adult table at epsilon 1, delta 1e-9, over five seeds.

Train: the first 39,074 rows of numpy.random.default_rng(0).permutation(48842); the rest is held
out. TV is the mean total variation of all pairs, wide ordinal columns cut at train's 20-quantiles;
AUC is that of LightGBM (200 trees) trained on synthetic codes and tested on held-out rows. Each fit
runs in a process of its own, whose CPU seconds and peak memory are printed, calibration apart.
Needs the table `adult_discrete` (see `dp_synth.datasets.load`).
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

import dp_synth as dps
from dp_synth.accounting import calibrate

SEEDS = range(5)
BUDGET = dps.PrivacyBudget(epsilon=1, delta=1e-9)
TRAIN_ROWS = 39_074
LABELS = {
    "sample_seconds": "sampling",
    "cold": "calibration, cold",
    "warm": "calibration, warm",
}


def load() -> tuple[pd.DataFrame, pd.DataFrame, dps.Schema]:
    """Return train, hold-out rows and the schema, split as the figures in the docs are."""
    data = dps.datasets.load("adult_discrete")
    # `load` splits 60/20/20 along the same permutation, so that joining restores its order.
    rows = pd.concat([data.train, data.holdout, data.reference], ignore_index=True)
    return rows[:TRAIN_ROWS], rows[TRAIN_ROWS:].reset_index(drop=True), data.schema


def one_fit(name: str, seed: int, out: Path) -> None:
    """Fit in this process; print seconds, memory and the calibration's time as JSON."""
    train, _, schema = load()
    recipe = dps.SYNTHESIZERS[name]()
    plan = {name: (recipe.plan(schema.domain), 1.0)}
    cold = time.process_time()
    calibrate(plan, BUDGET)
    warm = time.process_time()
    calibrate(plan, BUDGET)
    started = time.process_time()
    release = recipe.fit(train, schema, BUDGET, seed=seed)
    fitted = time.process_time()
    release.sample(seed=seed).to_parquet(out)
    print(
        json.dumps(
            {
                "fit_seconds": fitted - started,
                "sample_seconds": time.process_time() - fitted,
                "cold": warm - cold,
                "warm": started - warm,
                "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "epsilon": release.epsilon,
            }
        )
    )


def boosted_auc(train: pd.DataFrame, holdout: pd.DataFrame, label: str) -> float:
    from lightgbm import LGBMClassifier
    from sklearn.metrics import roc_auc_score

    if train[label].nunique() < 2:
        return 0.5
    model = LGBMClassifier(n_estimators=200, verbose=-1, n_jobs=1)
    model.fit(train.drop(columns=label).to_numpy(), train[label].to_numpy())
    scores = model.predict_proba(holdout.drop(columns=label).to_numpy())[:, 1]
    return float(roc_auc_score(holdout[label].to_numpy(), scores))


def interval(values: list[float]) -> str:
    """Return the mean and its 95 % t-interval over seeds."""
    mean, error = np.mean(values), stats.sem(values)
    half = stats.t.ppf(0.975, len(values) - 1) * error
    return f"{mean:.4f} +- {half:.4f}"


def measure(name: str) -> None:
    train, holdout, schema = load()
    numbers = train.astype(int), holdout.astype(int)
    found: dict[str, list[float]] = {}
    single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    environment = {**os.environ, **single, "DP_SYNTH_CACHE": ""}  # calibrations start cold
    for seed in SEEDS:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "rows.parquet"
            command = [sys.executable, __file__, "--one-fit", name, str(seed), str(out)]
            done = subprocess.run(
                command, capture_output=True, text=True, check=True, env=environment
            )
            rows = pd.read_parquet(out)
        measured = json.loads(done.stdout)
        tv = dps.metrics.workload_error
        measured["tv"] = tv(train, rows, schema).value
        measured["tv_holdout"] = tv(holdout, rows, schema, cuts_from=train).value
        measured["auc"] = boosted_auc(rows.astype(int), numbers[1], schema.label or "")
        for key, value in measured.items():
            found.setdefault(key, []).append(value)
    print(f"{name}: TV {interval(found['tv'])}, against hold-out {interval(found['tv_holdout'])}")
    print(f"  AUC {interval(found['auc'])}")
    print(f"  fit {interval(found['fit_seconds'])} s of CPU")
    for key in ("sample_seconds", "cold", "warm"):
        print(f"  {LABELS[key]} {np.mean(found[key]):.4f} s of CPU")
    print(f"  peak memory {max(found['megabytes']):.0f} MB")
    print(f"  epsilon spent {max(found['epsilon']):.6f}")


def main() -> None:
    train, holdout, schema = load()
    print(f"floor: TV of held-out rows {dps.metrics.workload_error(train, holdout, schema)}")
    auc = boosted_auc(train.astype(int), holdout.astype(int), schema.label or "")
    print(f"real rows: AUC {auc:.4f}")
    for name in ("independent", "mst"):
        measure(name)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one-fit"]:
        one_fit(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
    else:
        try:
            main()
        except dps.InputError as error:
            sys.exit(f"mst_adult: {error}")
