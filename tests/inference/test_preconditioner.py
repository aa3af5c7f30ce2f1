"""The curvature of independent columns, against covariances written out."""

import numpy as np
import pytest
from whole_tables import over_seeds, random_cliques, random_domain

from dp_synth.inference._lbfgs import Effects, expected_counts, inverse_curvature

TOTAL = 1000.0


def random_case(seed):
    """One-way marginals and some pairs of a random domain, and histograms of its columns."""
    rng = np.random.default_rng(seed)
    domain = random_domain(rng, 4)
    wanted = {tuple(a for a in domain if a in clique) for clique in random_cliques(rng, domain, 2)}
    cliques = sorted({(a,) for a in domain} | (wanted - {()}))
    known = {a: rng.dirichlet(np.full(domain.size(a), 3.0)) for a in domain}
    return rng, domain, cliques, known


def indicators(domain, cliques):
    """For each cell of the whole table, which cells of the marginals it falls into."""
    codes = np.indices(domain.sizes).reshape(len(domain), -1)
    rows = []
    for clique in cliques:
        place = [codes[domain.axis(a)] for a in clique]
        flat = np.ravel_multi_index(place, domain.shape(clique))
        rows.append(np.eye(domain.cells(clique))[flat])
    return np.concatenate(rows, axis=1)


def matrix(inverse, size):
    return np.array([inverse(unit) for unit in np.eye(size)])


@over_seeds(50)
def test_levels_collect_and_spread_the_cells_of_their_codes(seed):
    rng, domain, cliques, _ = random_case(seed)
    effects = Effects.of(domain, cliques)
    cells, levels = rng.normal(size=len(effects.home)), rng.normal(size=len(effects.code))
    blocks = np.split(cells, np.cumsum([domain.cells(c) for c in cliques])[:-1])
    plain = [
        block.reshape(domain.shape(clique)).sum(
            axis=tuple(i for i in range(len(clique)) if i != axis)
        )
        for clique, block in zip(cliques, blocks, strict=True)
        for axis in range(len(clique))
    ]
    np.testing.assert_allclose(effects.collect(cells), np.concatenate(plain), atol=1e-9)
    paired = effects.collect(cells) @ levels
    assert effects.spread(levels) @ cells == pytest.approx(paired, abs=1e-9)


@over_seeds(50)
def test_the_inverse_is_symmetric_positive_and_near_that_of_independent_columns(seed):
    _, domain, cliques, known = random_case(seed)
    cells = indicators(domain, cliques)
    joint = np.ones(())
    for attribute in domain:
        joint = np.multiply.outer(joint, known[attribute])
    mean = joint.reshape(-1) @ cells
    covariance = cells.T @ (joint.reshape(-1)[:, None] * cells) - np.outer(mean, mean)
    stiffness = np.full(mean.size, 0.5)
    hessian = TOTAL * covariance + np.diag(stiffness)
    effects = Effects.of(domain, cliques)
    expected = expected_counts(domain, known, TOTAL)
    inverse = matrix(inverse_curvature(effects, TOTAL * mean, stiffness, expected), mean.size)
    np.testing.assert_allclose(inverse, inverse.T, atol=1e-9 * np.abs(inverse).max())
    root = np.linalg.cholesky(hessian)
    spread = np.linalg.eigvalsh(root.T @ inverse @ root)
    plain = np.linalg.eigvalsh(root.T @ np.diag(1 / np.diag(hessian)) @ root)
    assert spread.min() > 0.2
    assert spread.max() < 3
    assert spread.max() / spread.min() <= plain.max() / plain.min() + 1e-6


def test_codes_without_a_known_histogram_are_expected_evenly():
    _, domain, _, known = random_case(0)
    some = dict(list(known.items())[1:])
    found = expected_counts(domain, some, TOTAL)
    first = domain.sizes[0]
    np.testing.assert_allclose(found[:first], TOTAL / first)
    assert found.sum() == pytest.approx(TOTAL * len(domain))
