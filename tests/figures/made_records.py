"""Records with known numbers, as a benchmark would write them."""

import numpy as np
import pandas as pd

EPSILONS = (0.1, 1.0, 10.0)
SEEDS = (0, 1, 2)
COLUMNS = ["dataset", "task", "synthesizer", "settings", "epsilon", "delta", "adjacency"]
COLUMNS += ["seed", "metric", "value", "low", "high", "seconds", "version", "error"]


def record(task, synthesizer, epsilon, seed, metric, value, **changes):
    budget = (np.nan, np.nan, None) if epsilon is None else (epsilon, 1e-5, "add_remove")
    row = ("adult", task, synthesizer, "{}", *budget, seed, metric)
    row += (value, value - 0.01, value + 0.01, 0.5, "1.0", "")
    return dict(zip(COLUMNS, row, strict=True)) | changes


def level(synthesizer, epsilon):
    """Return how good a release is, between 0 and 1: all metrics below are functions of it."""
    better = {"mst": 0.3, "independent": 0.1}.get(synthesizer, 0.0)
    return better + 0.1 * np.log10(1 + (1e6 if epsilon is None else epsilon))


def metrics_of(task, synthesizer, epsilon):
    good = level(synthesizer, epsilon)
    if task == "utility":
        return {
            "tv2": 0.5 - good,
            "auc:gradient_boosting": 0.5 + good / 2,
            "auc:logistic_regression": 0.5 + good / 3,
        }
    found = {"tv2": 0.6 - good, "auc:gradient_boosting": 0.5 + good / 3}
    for attack in ("closest_record", "density_ratio"):
        found |= {
            f"auc:{attack}": 0.5 + good / 4,
            f"auc:{attack}:isolated": 0.5 + good / 3,
            f"tpr_at_fpr_0.01:{attack}": 0.01 + good / 10,
        }
    if epsilon is not None:
        found["auc_ceiling"] = 1 - 0.5 / (1 + epsilon) + (0.001 if synthesizer == "mst" else 0)
    return found


def made_records():
    baselines = {
        "utility": ("real_rows", "fresh_rows", "independent_without_noise"),
        "leakage": ("no_privacy", "fresh_rows"),
    }
    rows = []
    for task, names in baselines.items():
        runs = [(name, None) for name in names]
        runs += [(name, epsilon) for name in ("mst", "independent") for epsilon in EPSILONS]
        for name, epsilon in runs:
            for seed in SEEDS:
                for metric, value in metrics_of(task, name, epsilon).items():
                    shift = 0.0 if metric == "auc_ceiling" else 0.01 * (seed - 1)
                    rows.append(record(task, name, epsilon, seed, metric, value + shift))
    rows.append(record("utility", "mst", 1.0, 3, "", np.nan, error="ValueError: no"))
    return pd.DataFrame(rows)
