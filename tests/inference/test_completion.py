"""Partial rows are completed as the joint table, written out, says."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare
from test_expanded_model import random_refinement
from whole_tables import over_seeds, random_model

from dp_synth.domain import Domain
from dp_synth.inference import MixtureModel, completion

RECORDS = 3_000


def random_mixture(rng):
    """A mixture, and the probabilities of all cells, component by component."""
    domain = Domain(("a", "b", "c"), tuple(int(n) for n in rng.integers(1, 5, 3)))
    tables = tuple(rng.dirichlet(np.full(size, 0.5), 4) for size in domain.sizes)
    tables[0][rng.random(tables[0].shape) < 0.2] = 0.0
    tables[0][:, 0] += 1e-3
    tables = (tables[0] / tables[0].sum(axis=1, keepdims=True), *tables[1:])
    weights = rng.dirichlet(np.ones(4))
    joint = np.einsum("k,ka,kb,kc->abc", weights, *tables)
    return MixtureModel(domain, weights, tables, 50.0), joint


MODELS = {"tree": random_model, "refined": random_refinement, "mixture": random_mixture}


def known_rows(rng, joint):
    """Half of the rows are one partial row, the others partial rows of records that occur."""
    cells = rng.choice(joint.size, 2 * RECORDS, p=joint.ravel())
    rows = np.stack(np.unravel_index(cells, joint.shape), axis=1).astype(np.int32)
    rows[rng.random(rows.shape) < 0.5] = -1
    rows[:RECORDS] = rows[0]
    return rows


@pytest.mark.parametrize("kind", MODELS)
@over_seeds(20)
def test_gaps_are_drawn_from_the_joint_given_what_is_known(kind, seed, monkeypatch):
    monkeypatch.setattr(completion, "MOST_CELLS", 50_000)  # several parts
    rng = np.random.default_rng(seed)
    model, joint = MODELS[kind](rng)
    known = known_rows(rng, joint)
    rows, possible = model.completed(known, rng)
    assert possible.all()
    assert ((known < 0) | (rows == known)).all()
    assert ((rows >= 0) & (rows < np.array(joint.shape))).all()
    expected = np.zeros_like(joint)
    place = tuple(slice(None) if code < 0 else slice(code, code + 1) for code in known[0])
    expected[place] = joint[place]
    expected = (expected / expected.sum()).ravel() * RECORDS
    cells = np.ravel_multi_index(tuple(rows[:RECORDS].T), joint.shape)
    found = np.bincount(cells, minlength=joint.size)
    assert found[expected == 0].sum() == 0
    large = expected >= 5
    observed = np.append(found[large], found[~large].sum())
    wanted = np.append(expected[large], expected[~large].sum())
    kept = wanted > 0
    if kept.sum() > 1:
        assert chisquare(observed[kept], wanted[kept]).pvalue > 1e-7


@pytest.mark.parametrize("kind", MODELS)
@over_seeds(20)
def test_rows_that_cannot_occur_are_told_from_those_that_can(kind, seed):
    rng = np.random.default_rng(100 + seed)
    model, joint = MODELS[kind](rng)
    known = rng.integers(0, np.array(joint.shape), (200, joint.ndim)).astype(np.int32)
    known[rng.random(known.shape) < 0.3] = -1
    _, possible = model.completed(known, rng)
    for row, can_occur in zip(known, possible, strict=True):
        place = tuple(slice(None) if code < 0 else slice(code, code + 1) for code in row)
        assert can_occur == (joint[place].sum() > 0)


@pytest.mark.parametrize("kind", MODELS)
def test_no_rows_and_whole_rows_come_back(kind):
    model, joint = MODELS[kind](np.random.default_rng(1))
    rng = np.random.default_rng(0)
    assert model.completed(np.empty((0, joint.ndim), dtype=np.int32), rng)[0].shape[0] == 0
    whole = np.array([np.unravel_index(joint.argmax(), joint.shape)], dtype=np.int32)
    assert (model.completed(whole, rng)[0] == whole).all()
