"""A small population of mixed columns, and generators that leak everything or nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dp_synth.schema import Schema

SCHEMA = Schema.from_dict(
    {
        "name": "people",
        "columns": [
            {"name": "job", "type": "categorical", "size": 6, "missing": ["?"]},
            {"name": "town", "type": "categorical", "size": 8},
            {"name": "age", "type": "integer", "lower": 18, "upper": 90, "missing": [""]},
            {"name": "income", "type": "real", "lower": 0, "upper": 1000},
            {"name": "grade", "type": "ordinal", "size": 5},
            {"name": "ill", "type": "categorical", "size": 2},
        ],
    }
)


def people(n: int, seed: int) -> pd.DataFrame:
    """Return records of the population: age and income go with the job, illness with age."""
    rng = np.random.default_rng(seed)
    job = rng.integers(0, 6, n)
    age = np.clip(rng.normal(30 + 5 * job, 12), 18, 90).astype(int)
    income = np.clip(rng.gamma(2 + job, 50), 0, 1000)
    ill = (rng.random(n) < 0.2 + 0.006 * (age - 18)).astype(int)
    job_text = np.where(rng.random(n) < 0.05, "?", job.astype(str))
    age_text = np.where(rng.random(n) < 0.05, "", age.astype(str))
    return pd.DataFrame(
        {
            "job": job_text.astype(object),
            "town": rng.integers(0, 8, n),
            "age": age_text.astype(object),
            "income": income,
            "grade": rng.integers(0, 5, n),
            "ill": ill,
        }
    )


def copies(members: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return fitted records, 40 drawn with replacement: a generator that leaks."""
    return members.sample(40, replace=True, random_state=seed % 2**32).reset_index(drop=True)


def fresh(members: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return 40 fresh records of the population: a generator that knows no member."""
    return people(40, seed % 2**32)
