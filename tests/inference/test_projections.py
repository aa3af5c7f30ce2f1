"""Sums onto many subsets at once, and their transpose, against plain numpy."""

import numpy as np
import pytest
from whole_tables import aligned, marginal_of, random_domain

from dp_synth.inference.projections import Projections


def random_case(seed):
    """A domain, some subsets of it in domain order, numbered with gaps, and the projections."""
    rng = np.random.default_rng(seed)
    domain = random_domain(rng)
    numbers = sorted(rng.choice(40, int(rng.integers(1, 12)), replace=False).tolist())
    wanted = {n: tuple(a for a in domain if rng.random() < 0.5) for n in numbers}
    return rng, domain, wanted, Projections.of(domain, domain.attributes, wanted)


@pytest.mark.parametrize("seed", range(100))
def test_collected_sums_are_the_plain_ones(seed):
    rng, domain, wanted, projections = random_case(seed)
    table = rng.normal(size=domain.sizes)
    found = [np.empty(0)] * 40
    projections.collect(table, found)
    for number, subset in wanted.items():
        np.testing.assert_allclose(
            found[number].reshape(domain.shape(subset)),
            marginal_of(domain, table, subset),
            atol=1e-9,
        )


@pytest.mark.parametrize("seed", range(100))
def test_spreading_adds_up_the_parameters_of_all_subsets_and_is_the_transpose(seed):
    rng, domain, wanted, projections = random_case(seed)
    parameters = [np.empty(0)] * 40
    for number, subset in wanted.items():
        parameters[number] = rng.normal(size=domain.cells(subset))
    plain = sum(
        (aligned(domain, s, parameters[n].reshape(domain.shape(s))) for n, s in wanted.items()),
        np.zeros(domain.sizes),
    )
    spread = projections.spread(parameters)
    np.testing.assert_allclose(spread, plain, atol=1e-9)
    table, sums = rng.normal(size=domain.sizes), [np.empty(0)] * 40
    projections.collect(table, sums)
    paired = sum(float(sums[number] @ parameters[number]) for number in wanted)
    assert float((table * spread).sum()) == pytest.approx(paired, abs=1e-9)


def test_a_table_that_nothing_is_asked_of_spreads_zeros():
    _, domain, _, _ = random_case(0)
    projections = Projections.of(domain, domain.attributes, {})
    projections.collect(np.ones(domain.sizes), [])
    assert not projections.spread([]).any()
