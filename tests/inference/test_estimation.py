"""Estimation from noisy marginals is the relaxed maximum entropy that its docstring states."""

import numpy as np
import pytest
from scipy import optimize
from whole_tables import (
    aligned,
    marginal_of,
    over_seeds,
    possible_cells,
    random_cliques,
    random_domain,
    with_supports,
)

from dp_synth.domain import Domain
from dp_synth.errors import InputError
from dp_synth.inference import JunctionTree, combine, estimate, estimate_total, project_to_simplex
from dp_synth.inference.estimation import FLOOR, SHRINKAGE, SHRINKAGE_ONES, _Dual, _in_order
from dp_synth.transcript import Measurement

DOMAIN = Domain(tuple("abc"), (3, 4, 2))
CHAIN = [("a", "b"), ("b", "c")]


def noisy(domain, joint, cliques, stddev, rng):
    tables = [marginal_of(domain, joint, clique) for clique in cliques]
    return [
        Measurement(clique, table + rng.normal(0, stddev, table.shape), stddev)
        for clique, table in zip(cliques, tables, strict=True)
    ]


def random_problem(seed, *, stddev=None, supports=False, most=4):
    """Counts of a random distribution, and noisy marginals of it, with cycles or without."""
    rng = np.random.default_rng(seed)
    domain = random_domain(rng, most)
    if supports:
        domain = with_supports(rng, domain)
    possible = possible_cells(domain)
    truth = np.zeros(domain.sizes)
    truth[possible] = 1_000 * rng.dirichlet(np.ones(possible.sum()))
    cliques = [(a,) for a in domain] + [c for c in random_cliques(rng, domain) if c]
    scale = stddev or float(rng.choice([1.0, 10.0, 100.0]))
    return domain, truth, noisy(domain, truth, cliques, scale, rng)


def dual_of(domain, measurements):
    targets = [_in_order(domain, m) for m in combine(measurements)]
    tree = JunctionTree.of(domain, [m.clique for m in measurements])
    return _Dual.of(tree, targets, estimate_total(measurements))


def primal(domain, measurements, log_joint):
    """The objective that the docstring states and its gradient in log probabilities.

    Softness around a centre of one-way parameters is relative entropy to the product of them.
    """
    total = estimate_total(measurements)
    shifted = np.where(possible_cells(domain), log_joint, -np.inf)
    joint = np.exp(shifted - shifted.max())
    joint /= joint.sum()
    logs = np.log(joint, out=np.zeros(joint.shape), where=joint > 0)
    value, slope = total * float((joint * logs).sum()), total * (logs + 1)
    for m in combine(measurements):
        softness = (SHRINKAGE_ONES if len(m.clique) == 1 else SHRINKAGE) * np.square(m.stddev)
        gap = total * marginal_of(domain, joint, m.clique) - m.values
        value += float((np.square(gap) / (2 * softness)).sum())
        pull = total * gap / softness
        if len(m.clique) == 1:
            known = project_to_simplex(m.values, total, np.square(m.stddev))
            centre = np.log(np.maximum(known, FLOOR * np.asarray(m.stddev)) / total)
            value -= total * float((marginal_of(domain, joint, m.clique) * centre).sum())
            pull = pull - total * centre
        slope = slope + aligned(domain, m.clique, pull)
    return value, joint * (slope - (joint * slope).sum())


def logs_of(model):
    """The log of all cells up to a constant: the sum of the model's parameters."""
    domain = model.domain
    parts = [
        aligned(domain, clique, flat.reshape(domain.shape(clique)))
        for clique, flat in model.parameters.items()
    ]
    return sum(parts, np.zeros(domain.sizes))


def joint_of(model):
    logs = np.where(possible_cells(model.domain), logs_of(model), -np.inf)
    joint = np.exp(logs - logs.max())
    return model.total * joint / joint.sum()


def least_primal(domain, measurements, model):
    """What the dual at the model's parameters proves: no distribution has a smaller primal."""
    dual = dual_of(domain, measurements)
    flat = np.concatenate([model.parameters[clique].reshape(-1) for clique in dual.cliques])
    return -dual.loss(flat)[0] - float(dual.centre @ dual.values)


def slack(domain):
    """The nats by which stopping early may miss the minimum."""
    return 0.01 * (1 + np.prod(domain.sizes))


@over_seeds(50)
def test_the_dual_gradient_is_that_of_finite_differences(seed):
    domain, _, measurements = random_problem(seed, supports=seed % 2 == 1)
    dual = dual_of(domain, measurements)
    rng = np.random.default_rng(seed)
    point = dual.centre + rng.normal(0, 0.3, dual.centre.size)
    _, gradient = dual.loss(point)
    for _ in range(3):
        step = rng.normal(0, 1, point.size)
        ahead, behind = (dual.loss(point + sign * 1e-5 * step)[0] for sign in (1, -1))
        assert (ahead - behind) / 2e-5 == pytest.approx(gradient @ step, rel=1e-4, abs=1e-2)


@over_seeds(50)
def test_the_minimum_is_that_of_a_solver_over_the_whole_table(seed):
    domain, _, measurements = random_problem(seed, supports=seed % 3 == 2)

    def objective(flat):
        value, slope = primal(domain, measurements, flat.reshape(domain.sizes))
        return value, slope.reshape(-1)

    start = np.zeros(np.prod(domain.sizes))
    options = {"maxiter": 1000, "maxfun": 2000, "maxcor": 50, "ftol": 1e-12, "gtol": 1e-6}
    best = optimize.minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
    model = estimate(domain, measurements)
    proven = least_primal(domain, measurements, model)
    assert best.fun - slack(domain) <= proven <= best.fun + 1e-6 * (1 + abs(best.fun))
    solved = np.where(possible_cells(domain), best.x.reshape(domain.sizes), -np.inf)
    solved = np.exp(solved - solved.max())
    for m in measurements:
        expected = model.total * marginal_of(domain, solved / solved.sum(), m.clique)
        np.testing.assert_allclose(model.marginal(m.clique), expected, atol=0.6 * m.stddev)


def test_few_iterations_are_caught_far_from_the_minimum():
    far = []
    for seed in range(20):
        domain, _, measurements = random_problem(seed)
        models = (estimate(domain, measurements, iterations=n) for n in (1, 200))
        early, late = (least_primal(domain, measurements, model) for model in models)
        far.append(early < late - slack(domain))
    assert np.mean(far) > 0.5  # so that the comparison with a solver can fail


@over_seeds(50)
def test_the_model_is_the_exponential_of_its_parameters(seed):
    domain, _, measurements = random_problem(seed, supports=seed % 2 == 1)
    model = estimate(domain, measurements, iterations=5)
    joint = joint_of(model)
    for clique in model.tree.cliques:
        expected = marginal_of(domain, joint, clique)
        np.testing.assert_allclose(model.marginal(clique), expected, atol=1e-6)


@over_seeds(50)
def test_tables_agree_on_what_they_share_and_structural_zeros_stay_zero(seed):
    domain, _, measurements = random_problem(seed, supports=True, most=6)
    model = estimate(domain, measurements)
    tables = dict(zip(model.tree.cliques, model.probabilities, strict=True))
    for one, first in tables.items():
        for other, second in tables.items():
            shared = tuple(a for a in domain if a in one and a in other)
            sums = [
                table.sum(axis=tuple(i for i, a in enumerate(clique) if a not in shared))
                for clique, table in ((one, first), (other, second))
            ]
            np.testing.assert_allclose(*sums, atol=1e-9)
    for support in domain.supports:
        counts = model.marginal(support.clique)
        assert not counts[~support.mask(domain.shape(support.clique))].any()


@over_seeds(50)
def test_measured_marginals_become_exact_as_noise_vanishes(seed):
    errors = []
    for stddev in (30.0, 1.0, 0.01):
        domain, truth, measured = random_problem(seed, stddev=stddev)
        model = estimate(domain, measured)
        gaps = [model.marginal(m.clique) - marginal_of(domain, truth, m.clique) for m in measured]
        errors.append(max(float(np.abs(gap).max()) for gap in gaps))
    assert errors[2] < 1  # of 1,000 records
    assert errors[0] > errors[2]


@over_seeds(20)
def test_an_estimate_started_from_an_earlier_one_reaches_the_same_optimum(seed):
    domain, _, measurements = random_problem(seed)
    cold = estimate(domain, measurements)
    early = estimate(domain, measurements[: len(domain)])
    warm = estimate(domain, measurements, start=early)
    values = [least_primal(domain, measurements, model) for model in (cold, warm)]
    assert values[0] == pytest.approx(values[1], abs=slack(domain))
    again = estimate(domain, measurements, start=cold, iterations=1)
    assert least_primal(domain, measurements, again) >= values[0] - 1e-6 * (1 + abs(values[0]))


def test_an_estimate_is_closer_to_the_truth_than_the_noisy_tables_are():
    rng = np.random.default_rng(0)
    gains = []
    for _ in range(20):
        truth = rng.dirichlet(np.full(12, 0.7)).reshape(3, 4, 1) * rng.dirichlet([1, 1], (1, 4))
        measured = noisy(DOMAIN, 1000 * truth, [*CHAIN, ("a",), ("b",), ("c",)], 30.0, rng)
        model = estimate(DOMAIN, measured)
        exact = [marginal_of(DOMAIN, 1000 * truth, m.clique) for m in measured]
        raw = sum(np.abs(m.values - e).sum() for m, e in zip(measured, exact, strict=True))
        gaps = [model.marginal(m.clique) - e for m, e in zip(measured, exact, strict=True)]
        gains.append(raw / sum(np.abs(gap).sum() for gap in gaps))
    assert min(gains) > 1
    assert np.mean(gains) > 1.3


@over_seeds(20)
def test_measurements_of_one_clique_combine_to_their_mean_by_inverse_variance(seed):
    rng = np.random.default_rng(seed)
    shapes = {("a", "b"): (3, 4), ("b", "a"): (4, 3)}
    cliques = [("a", "b"), ("b", "a"), ("a", "b"), ("b",)]
    several = [
        Measurement(c, rng.normal(0, 9, shapes.get(c, 4)), rng.uniform(1, 5, shapes.get(c, 4)))
        for c in cliques
    ]
    several[2] = Measurement(("a", "b"), several[2].values, 2.5)
    found, alone = combine(several)
    values = [several[0].values, several[1].values.T, several[2].values]
    weights = [several[0].stddev ** -2.0, several[1].stddev.T ** -2.0, np.full((3, 4), 2.5**-2)]
    assert found.clique == ("a", "b")
    np.testing.assert_allclose(found.values, np.average(values, axis=0, weights=weights))
    np.testing.assert_allclose(found.stddev, np.sum(weights, axis=0) ** -0.5)
    assert alone is several[3]


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


def test_a_pair_that_is_all_noise_is_hardly_believed():
    rng = np.random.default_rng(0)
    one = [Measurement((a,), np.full(n, 1000 / n), 1.0) for a, n in zip("ab", (3, 4), strict=False)]
    pair = Measurement(("a", "b"), rng.normal(1000 / 12, 1e5, (3, 4)), 1e5)
    model = estimate(DOMAIN, [*one, pair])
    assert np.abs(model.marginal(("a", "b")) - 1000 / 12).max() < 1


def test_a_cycle_of_pairs_fits_as_well_as_a_tree_and_respects_the_cells_allowed():
    rng = np.random.default_rng(0)
    truth = 1000 * rng.dirichlet(np.ones(24)).reshape(DOMAIN.sizes)
    measured = noisy(DOMAIN, truth, [*CHAIN, ("a", "c")], 0.01, rng)
    model = estimate(DOMAIN, measured, max_cells=24)
    assert model.tree.cliques == (("a", "b", "c"),)
    for m in measured:
        np.testing.assert_allclose(model.marginal(m.clique), m.values, atol=0.5)
    with pytest.raises(InputError, match="24 cells in all, at most 23"):
        estimate(DOMAIN, measured, max_cells=23)


@pytest.mark.parametrize("stddev", [1e-3, 1.0, 1e4, 1e8])
@pytest.mark.parametrize("total", [0.0, 1.0, 1e6])
def test_an_estimate_is_a_distribution_at_every_size_and_noise(stddev, total):
    rng = np.random.default_rng(0)
    domain = Domain(tuple("abc"), (3, 1, 60))
    truth = np.zeros(domain.sizes)
    truth[0, 0, 0] = total  # all mass in one cell
    cliques = [("a", "b"), ("b", "c"), ("a",)]
    model = estimate(domain, noisy(domain, truth, cliques, stddev, rng))
    for clique in cliques:
        table = model.marginal(clique)
        assert (table >= 0).all()
        assert table.sum() == pytest.approx(model.total)
