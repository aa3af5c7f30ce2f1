"""Records of a small benchmark with everything that a page can show, and known numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dp_synth.records import RECORD_COLUMNS

EPSILONS = (0.1, 1.0, 10.0)
SEEDS = (0, 1, 2)
REASON = "InputError: the schema names <no> label"
GOOD = {"mst": 0.3, "independent": 0.1, "dpctgan": 0.2, "smartnoise/mst": 0.25}
BASELINES = {"fresh_rows": 0.4, "independent_without_noise": 0.15}
MANIFEST = {"name": "small", "dp_synth": "1.0", "data": {"adult": "00ff"}, "cores": 2}
CARD = {
    "publishable": {
        "title": "Adult & <b>MST</b>",
        "promise": {"epsilon": 1.0, "delta": 1e-5, "statement": "(1, 1e-05)-DP"},
        "scope": {"summary": "of 6 pairs 2 are <not> covered"},
        "findings": [{"severity": "blocking", "text": "seeded: not for release"}],
    },
    "internal": {"tv2": 0.123456},
}


def record(dataset, task, synthesizer, epsilon, seed):
    """Return the fields that all values of one cell share."""
    fitted = epsilon is not None
    budget = (epsilon, 1e-5, "add_remove") if fitted else (np.nan, np.nan, None)
    vouched = "peer-declared" if "/" in synthesizer else "ledger"
    spent = (1.0 + seed, 2.0 + seed, 100.0) if fitted else (np.nan,) * 3
    values = (dataset, task, synthesizer, "{}", *budget, seed, "", np.nan, np.nan, np.nan)
    values += (*spent, vouched if fitted else "", "1.0", "", "", "", "")
    return dict(zip(RECORD_COLUMNS, values, strict=True))


def scores(task, synthesizer, epsilon, seed):
    """Return the values of one cell: between seeds they differ by 0.01."""
    good = (GOOD | BASELINES)[synthesizer] + 0.05 * np.log10(1e3 if epsilon is None else epsilon)
    shift = 0.01 * (seed - 1)
    found = {"tv2": 0.5 - good + shift, "auc:gradient_boosting": 0.5 + good + shift}
    if task == "utility":
        return found
    for attack in ("closest_record", "density_ratio"):
        found[f"auc:{attack}"] = 0.5 + good / 4 + shift
        found[f"tpr_at_fpr_0.01:{attack}"] = 0.02 + good / 10
    if epsilon is not None:
        found["auc_ceiling"] = 1 - 0.5 / (1 + epsilon)
    return found


def made_records():
    """Return records of two tables, both tasks, four methods, a peer and failed cells."""
    runs = [(name, epsilon) for name in GOOD for epsilon in EPSILONS]
    runs += [(name, None) for name in BASELINES]
    rows = [
        record(dataset, task, name, epsilon, seed) | {"metric": metric, "value": value}
        for dataset, task in (("adult", "utility"), ("adult", "leakage"), ("census", "utility"))
        for name, epsilon in runs
        for seed in SEEDS
        for metric, value in scores(task, name, epsilon, seed).items()
    ]
    rows += [record("census", "utility", "aim", 1.0, seed) | {"error": REASON} for seed in (0, 1)]
    return pd.DataFrame(rows, columns=list(RECORD_COLUMNS))
