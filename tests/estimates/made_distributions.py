"""A schema of all kinds of columns, distributions over it, and what tests compare answers with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from dp_synth.estimates import Distribution, Question
from dp_synth.schema import Schema

SCHEMA = Schema.from_dict(
    {
        "name": "people",
        "columns": [
            {"name": "sex", "type": "categorical", "categories": ["F", "M"]},
            {"name": "region", "type": "categorical", "categories": ["n", "e", "s"],
             "missing": ["?"]},
            {"name": "age", "type": "integer", "lower": 18, "upper": 37},
            {"name": "hours", "type": "integer", "lower": 0, "upper": 59,
             "bins": [0, 10, 25, 40], "missing": ["-1"]},
            {"name": "wage", "type": "real", "lower": 0, "upper": 40,
             "bins": [0, 0, 5, 10, 25], "density": [0, -2, 0.5, 3, -1], "missing": ["?"]},
            {"name": "grade", "type": "ordinal", "size": 5, "missing": [""]},
            {"name": "house size", "type": "ordinal", "categories": ["1", "2", "4", "many"]},
            {"name": "income", "type": "real", "lower": 1, "upper": 1000, "scale": "log",
             "bins": 3},
            {"name": "born", "type": "datetime", "lower": "1980-01-01", "upper": "1999-12-31",
             "bins": 5},
        ],
    }
)  # fmt: skip


def made(*columns: str, cells: int = 60, seed: int = 0, total: float = 1_000.0) -> Distribution:
    """A distribution over some columns: random cells, each code at least once, random weights."""
    rng = np.random.default_rng(seed)
    sizes = [SCHEMA.domain.size(column) for column in columns]
    codes = np.array([rng.permutation(np.arange(cells) % size) for size in sizes])
    weights = 0.5 * rng.dirichlet(np.ones(cells)) + 0.5 / cells
    return Distribution(SCHEMA, columns, codes.T.astype(np.int32), weights, total)


def drawn(distribution: Distribution, copies: int, seed: int = 1) -> pd.DataFrame:
    """Rows of a distribution with a column of weights: each cell so often, values drawn in it."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(distribution.codes, copies, axis=0)
    schema = distribution.schema.select(distribution.columns)
    order = [distribution.axis(name) for name in schema.names]
    rows = schema.in_kinds(schema.decode(codes[:, order], rng))
    return rows.assign(weight=np.repeat(distribution.weights / copies, copies))


def towards(distribution: Distribution, cell: int, step: float) -> Distribution:
    """The mixture of a distribution, and of ``step`` records in one of its cells."""
    weights = (1 - step) * distribution.weights
    weights[cell] += step
    return replace(distribution, weights=weights)


def derivatives(
    question: Question, distribution: Distribution, cells: Sequence[int], step: float = 1e-6
) -> np.ndarray:
    """The derivatives of values towards some cells, of two-sided differences; (cells, k)."""
    sides = [
        [question.evaluate(towards(distribution, cell, side)).values for cell in cells]
        for side in (step, -step)
    ]
    return (np.array(sides[0]) - np.array(sides[1])) / (2 * step)


def check_influences(question: Question, distribution: Distribution) -> None:
    """Some influences are the derivatives of the values; the mean of all of them is 0."""
    found = question.evaluate(distribution)
    assert found.influences.shape == (len(distribution), len(found.values))
    cells = np.arange(0, len(distribution), 5)
    numeric = derivatives(question, distribution, cells)
    scales = np.abs(found.influences).max(axis=0) + 1e-3 * np.abs(found.values) + 1e-9
    assert found.influences[cells] / scales == pytest.approx(numeric / scales, rel=1e-4, abs=1e-5)
    assert distribution.weights @ found.influences / scales == pytest.approx(0, abs=1e-6)
    assert all(0 < share <= 1 + 1e-9 for share in found.groups)
