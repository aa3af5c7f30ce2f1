"""Estimation from noisy marginals: exact where noise is small, and the least loss elsewhere."""

import numpy as np
import pytest
from scipy import optimize

from dp_synth.domain import Domain
from dp_synth.inference import estimate, estimate_total
from dp_synth.measurement import Measurement

DOMAIN = Domain(tuple("abc"), (3, 4, 2))
CHAIN = [("a", "b"), ("b", "c")]


def chain_counts(rng, total):
    """Counts of a distribution in which a and c are independent given b, as a whole table."""
    ab = rng.dirichlet(np.full(12, 0.7)).reshape(3, 4)
    c_given_b = rng.dirichlet([1.0, 1.0], 4)
    return total * ab[:, :, None] * c_given_b


def marginal(joint, clique):
    kept = [a for a in "abc" if a in clique]
    summed = joint.sum(axis=tuple(i for i, a in enumerate("abc") if a not in clique))
    return summed.transpose([kept.index(a) for a in clique])


def noisy(joint, cliques, stddev, rng):
    tables = [marginal(joint, clique) for clique in cliques]
    return [
        Measurement(clique, table + rng.normal(0, stddev, table.shape), stddev)
        for clique, table in zip(cliques, tables, strict=True)
    ]


def loss(measurements, joint):
    return sum(
        0.5 * float((((marginal(joint, m.clique) - m.values) / m.stddev) ** 2).sum())
        for m in measurements
    )


def joint_of(model):
    ab, bc = model.marginal(("a", "b")), model.marginal(("b", "c"))
    b = bc.sum(axis=1)
    return ab[:, :, None] * (bc / np.where(b > 0, b, 1.0)[:, None])


@pytest.mark.parametrize("seed", range(10))
def test_exact_marginals_of_a_tree_distribution_come_back_when_noise_is_tiny(seed):
    rng = np.random.default_rng(seed)
    truth = chain_counts(rng, 10_000.0)
    cliques = [*CHAIN, ("a",), ("c",)]
    model = estimate(DOMAIN, noisy(truth, cliques, 1e-3, rng))
    for clique in [("b", "a"), ("b", "c"), ("a",), ("b",), ("c",)]:
        np.testing.assert_allclose(model.marginal(clique), marginal(truth, clique), atol=0.5)


def test_an_estimate_is_closer_to_the_truth_than_the_noisy_tables_are():
    rng = np.random.default_rng(0)
    gains = []
    for _ in range(20):
        truth = chain_counts(rng, 1_000.0)
        measured = noisy(truth, [*CHAIN, ("a",), ("b",), ("c",)], 30.0, rng)
        model = estimate(DOMAIN, measured)
        raw = sum(np.abs(m.values - marginal(truth, m.clique)).sum() for m in measured)
        inferred = sum(
            np.abs(model.marginal(m.clique) - marginal(truth, m.clique)).sum() for m in measured
        )
        gains.append(raw / inferred)
    assert min(gains) > 1
    assert np.mean(gains) > 1.3


@pytest.mark.parametrize("stddev", [3.0, 30.0, 300.0])
def test_the_loss_is_that_of_an_independent_solver_over_whole_tables(stddev):
    rng = np.random.default_rng(1)
    measured = noisy(chain_counts(rng, 1_000.0), [*CHAIN, ("b",), ("c",)], stddev, rng)
    total = estimate_total(measured)
    rows, values = [], []
    for m in measured:
        for cell in np.ndindex(m.values.shape):
            holds = np.zeros(m.values.shape)
            holds[cell] = 1
            order = [m.clique.index(a) for a in "abc" if a in m.clique]
            shape = [DOMAIN.size(a) if a in m.clique else 1 for a in "abc"]
            spread = np.broadcast_to(holds.transpose(order).reshape(shape), DOMAIN.sizes)
            rows.append(spread.ravel() / m.stddev)
            values.append(m.values[cell] / m.stddev)
    penalty = 1e4 / stddev  # holds the total, as a heavy row of the least squares
    rows.append(np.full(24, penalty))
    values.append(penalty * total)
    solved, _ = optimize.nnls(np.array(rows), np.array(values))
    best = loss(measured, solved.reshape(DOMAIN.sizes))
    model = estimate(DOMAIN, measured)
    np.testing.assert_allclose(joint_of(model).sum(), total)
    assert loss(measured, joint_of(model)) == pytest.approx(best, rel=0.02, abs=0.02)
    uniform = np.full(DOMAIN.sizes, total / 24)
    assert stddev > 100 or loss(measured, uniform) > 1.2 * best  # the comparison can fail


def test_measurements_of_one_clique_combine_by_inverse_variance():
    domain = Domain(("a",), (2,))
    twice = [
        Measurement(("a",), np.array([60.0, 40.0]), 1.0),
        Measurement(("a",), np.array([40.0, 60.0]), 2.0),
    ]
    model = estimate(domain, twice)
    np.testing.assert_allclose(model.marginal(("a",)), [56.0, 44.0], atol=0.1)


def test_the_total_is_the_mean_of_sums_weighted_by_inverse_variance():
    ones = [
        Measurement(("a",), np.array([60.0, 40.0]), 1.0),  # a sum of variance 2
        Measurement(("b",), np.array([50.0, 30.0, 40.0, 0.0]), 2.0),  # a sum of variance 16
    ]
    assert estimate_total(ones) == pytest.approx((100 / 2 + 120 / 16) / (1 / 2 + 1 / 16))
    assert estimate_total([Measurement(("a",), np.array([-9.0, 3.0]), 1.0)]) == 1.0
    assert estimate_total([]) == 1.0


def test_what_was_not_measured_stays_uniform_and_independent():
    model = estimate(DOMAIN, [Measurement(("a",), np.array([70.0, 20.0, 10.0]), 0.1)])
    np.testing.assert_allclose(model.marginal(("b",)), np.full(4, 25.0))
    outer = np.outer(model.marginal(("a",)), model.marginal(("b",))) / model.total
    np.testing.assert_allclose(model.marginal(("a", "b")), outer)
    assert estimate(DOMAIN, []).total == 1.0


def test_measurements_that_close_a_cycle_are_refused():
    rng = np.random.default_rng(0)
    measured = noisy(chain_counts(rng, 100.0), [*CHAIN, ("a", "c")], 1.0, rng)
    with pytest.raises(ValueError, match="have a cycle"):
        estimate(DOMAIN, measured)


@pytest.mark.parametrize("stddev", [1e-3, 1.0, 1e4, 1e8])
@pytest.mark.parametrize("total", [0.0, 1.0, 1e6])
def test_an_estimate_is_a_distribution_at_every_size_and_noise(stddev, total):
    rng = np.random.default_rng(0)
    domain = Domain(tuple("abc"), (3, 1, 60))
    truth = np.zeros(domain.sizes)
    truth[0, 0, 0] = total  # all mass in one cell
    cliques = [("a", "b"), ("b", "c"), ("a",)]
    model = estimate(domain, noisy(truth, cliques, stddev, rng))
    for clique in cliques:
        table = model.marginal(clique)
        assert (table >= 0).all()
        assert table.sum() == pytest.approx(model.total)
