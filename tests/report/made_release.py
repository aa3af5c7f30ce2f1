"""A small population, and a release about a part of it."""

import numpy as np
import pandas as pd

import dp_synth as dps

SCHEMA = dps.Schema.from_dict(
    {
        "name": "people",
        "columns": [
            {"name": "job", "type": "categorical", "size": 6},
            {"name": "age", "type": "integer", "lower": 18, "upper": 90},
            {"name": "income", "type": "real", "lower": 0, "upper": 1000},
            {"name": "ill", "type": "categorical", "size": 2},
        ],
    }
)


def people(n, seed):
    """Return records of the population: age and income go with the job."""
    rng = np.random.default_rng(seed)
    job = rng.integers(0, 6, n)
    age = np.clip(rng.normal(30 + 5 * job, 12), 18, 90).astype(int)
    income = np.clip(rng.gamma(2 + job, 50), 0, 1000)
    ill = (rng.random(n) < 0.2 + 0.006 * (age - 18)).astype(int)
    return pd.DataFrame({"job": job, "age": age, "income": income, "ill": ill})


TRAIN, HOLDOUT, REFERENCE = people(200, 0), people(180, 1), people(250, 2)


def released(epsilon):
    """Return a release of MST about the fitted records."""
    return dps.MST().fit(TRAIN, SCHEMA, dps.PrivacyBudget(epsilon, 1e-5), seed=0)
