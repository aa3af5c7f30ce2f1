"""Records of audits and attacks with known numbers."""

import numpy as np
import pandas as pd


def roc_points():
    """Return points of two attacks, one on a faulty mechanism, and an envelope."""
    fpr = np.array([0.001, 0.01, 0.1, 0.5])
    rows = [
        {"attack": name, "fpr": x, "tpr": y, "low": y / 2, "high": min(1.0, 2 * y), "faulty": bug}
        for name, factor, bug in (("closest_record", 1.0, False), ("bug", 10.0, True))
        for x, y in zip(fpr, np.minimum(factor * fpr, 1.0), strict=True)
    ]
    envelope = pd.DataFrame({"fpr": [1e-5, *fpr, 1.0], "tpr": [0.0, 0.002, 0.03, 0.2, 0.7, 1.0]})
    return pd.DataFrame(rows), envelope


def audit_record(synthesizer, claimed, *, passed=True, settings=None, area=None):
    """Return what a report of an audit says, as it is kept."""
    bounds = {"clopper_pearson": claimed / 4, "gaussian_threshold": claimed / 2}
    if area is not None:
        bounds["area_if_curve"] = area
    return {
        "synthesizer": synthesizer,
        "settings": settings or {},
        "claimed_epsilon": claimed,
        "runs": 1000,
        "level": 0.05,
        "delta": 1e-5,
        "bounds": bounds,
        "ceiling": 5.0,
        "passed": passed,
    }


def power_records(epsilon=1.0):
    """Return alarms of two tests at two numbers of runs and two factors."""
    rows = []
    for test, share in (("area", 0.4), ("clopper_pearson", 0.1)):
        for factor in (1.0, 2**0.5):
            for runs in (250, 1000):
                alarms = 0.05 if factor == 1 else share * runs / 500
                row = {"test": test, "epsilon": epsilon, "factor": factor, "runs": runs}
                ends = {"alarms": alarms, "low": alarms - 0.02, "high": alarms + 0.03}
                rows.append({**row, **ends, "level": 0.05, "delta": 1e-5})
    return pd.DataFrame(rows)


def risk_table():
    """Return two membership attacks and two guesses."""
    nothing = {"attacked": np.nan, "control": np.nan, "baseline": 0.5}
    rows = [
        {"attack": "closest_record", "kind": "membership", "value": 0.5, **nothing},
        {"attack": "transcript_ratio", "kind": "membership", "value": 0.6, **nothing},
        {"attack": "linkability", "kind": "guess", "value": 0.5, "attacked": 0.6, "control": 0.2},
        {"attack": "reconstruction", "kind": "guess", "value": 0.0, "attacked": 0.7},
    ]
    table = pd.DataFrame(rows).assign(
        low=lambda t: t["value"] - 0.1, high=lambda t: t["value"] + 0.1
    )
    table.loc[3, "control"] = 0.7
    table.loc[[2, 3], "baseline"] = [0.01, 0.75]
    return table
