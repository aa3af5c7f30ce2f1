import numpy as np
import pytest
from scipy.special import log_softmax

from dp_synth.accounting import Accountant, Gaussians, Plan, PrivacyBudget, Selections
from dp_synth.audit import contrast, worst_case
from dp_synth.audit.likelihood_ratio import (
    ChoiceComparison,
    GaussianComparison,
    LikelihoodRatios,
    compare,
)
from dp_synth.domain import Domain
from dp_synth.mechanisms import Distances, measure, measure_distances, select
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.synthesizers import MST, Independent, PublishedMST

DOMAIN = Domain(("a", "b", "c"), (2, 3, 2))
HERE = np.array([[0, 1, 0], [1, 2, 1], [1, 2, 0]], dtype=np.int32)
THERE = HERE[:2]
PAIRS = [("a", "b"), ("b", "c")]
BUDGET = PrivacyBudget(1.0, 1e-5)


def watched(simulate=True, seed=0):
    accountant = Accountant(BUDGET, simulate=simulate)
    plan = Plan({"scores": Gaussians(9), "choices": Selections(3)})
    payer = accountant.admit("tried", plan, randomness="seeded")
    ratios = LikelihoodRatios(PrivateTable(THERE, DOMAIN, payer))
    table = PrivateTable(HERE, DOMAIN, payer, auditor=ratios)
    return table, ratios.comparisons, payer.plan, np.random.default_rng(seed)


def expected(clique):
    return np.full(DOMAIN.shape(clique), 0.4)


def counts(codes, clique):
    table = np.zeros(DOMAIN.shape(clique))
    for record in codes:
        table[tuple(record[DOMAIN.axis(a)] for a in clique)] += 1
    return table


def log_density(values, mean, stddev):
    return -0.5 * np.sum(((values - mean) / stddev) ** 2)


def test_a_measurement_is_compared_by_its_two_densities():
    table, comparisons, plan, rng = watched()
    noisy = measure(table, PAIRS, plan.gaussians("scores"), rng)
    for found, answer, clique in zip(comparisons, noisy, PAIRS, strict=True):
        here, there = counts(HERE, clique), counts(THERE, clique)
        assert (found.here == here).all()
        assert (found.there == there).all()
        assert (found.values == answer.values).all()
        assert found.stddev == answer.stddev
        assert found.distance == pytest.approx(1 / answer.stddev)
        ratio = log_density(answer.values, here, found.stddev)
        ratio -= log_density(answer.values, there, found.stddev)
        assert found.log_ratio() == pytest.approx(ratio)
        # One cell differs, by one: its distance from the middle, over the variance.
        cell = np.argwhere(here != there)[0]
        by_hand = (answer.values - (here + there) / 2)[tuple(cell)] / found.stddev**2
        assert found.log_ratio() == pytest.approx(by_hand)


def test_distances_are_compared_by_their_two_densities():
    table, comparisons, plan, rng = watched()
    noisy = measure_distances(Distances(table, expected), PAIRS, plan.gaussians("scores"), rng)
    (found,) = comparisons
    for exact, codes in ((found.here, HERE), (found.there, THERE)):
        by_hand = [
            np.abs(counts(codes, clique) - np.rint(expected(clique))).sum() for clique in PAIRS
        ]
        assert exact.tolist() == by_hand
    ratio = log_density(noisy, found.here, found.stddev)
    ratio -= log_density(noisy, found.there, found.stddev)
    assert found.log_ratio() == pytest.approx(ratio)


def test_a_choice_is_compared_by_its_two_chances():
    table, comparisons, plan, rng = watched()
    part = plan.selections("choices")
    chosen = select(Distances(table, expected), PAIRS, part, rng)
    (found,) = comparisons
    for odds, codes in ((found.here, HERE), (found.there, THERE)):
        scores = [
            np.abs(counts(codes, clique) - np.rint(expected(clique))).sum() for clique in PAIRS
        ]
        assert odds == pytest.approx(part.event().epsilon / 2 * np.array(scores), rel=1e-5)
    place = PAIRS.index(chosen)
    assert found.chosen == place
    ratio = log_softmax(found.here)[place] - log_softmax(found.there)[place]
    assert found.log_ratio() == pytest.approx(ratio)


def test_fresh_noise_is_the_same_about_either_table_and_not_that_of_the_answer():
    rng = np.random.default_rng(0)
    here, there = np.array([3.0, 1.0]), np.array([2.0, 1.0])
    pairs = []
    for _ in range(2000):
        own, fresh = rng.normal(size=(2, 2))
        one = GaussianComparison("p", "w", here, there, here + own, there + fresh, 1.0)
        assert one.fresh_log_ratio(there=False) == pytest.approx(fresh[0] + 0.5)
        assert one.fresh_log_ratio(there=True) == pytest.approx(fresh[0] - 0.5)
        pairs.append((one.log_ratio(), one.fresh_log_ratio(there=False)))
    assert abs(np.corrcoef(np.array(pairs).T)[0, 1]) < 5 / np.sqrt(2000)
    choice = ChoiceComparison("p", "w", here, there, 0, 1, 1)
    again = choice.fresh_log_ratio(there=False)
    assert again == choice.fresh_log_ratio(there=True) != choice.log_ratio()


def test_an_answer_about_a_real_release_is_never_compared():
    with pytest.raises(ValueError, match="only a simulation may be watched"):
        watched(simulate=False)


def test_a_table_without_an_auditor_is_not_compared_and_a_coarsened_one_keeps_its_auditor():
    table, comparisons, plan, rng = watched()
    measure(PrivateTable(HERE, DOMAIN, table.payer), PAIRS, plan.gaussians("scores"), rng)
    assert comparisons == []
    coarse = table.coarsen({"b": np.array([0, 0, 1], dtype=np.int32)})
    measure(coarse, [("b",)], plan.gaussians("scores"), rng)
    (found,) = comparisons
    assert (found.here.tolist(), found.there.tolist()) == ([1, 2], [1, 1])


@pytest.mark.parametrize("synthesizer", [MST(), PublishedMST(), Independent()])
def test_nothing_that_a_fit_does_depends_on_the_other_table(synthesizer):
    first, second = worst_case(), contrast(columns=3)
    others = [first.outside, first.inside.iloc[:1], second.outside]
    budget = PrivacyBudget(4.0, 1e-5)
    runs = [
        compare(synthesizer, (first.inside, other), first.schema, budget, runs=3, seed=1)
        for other in others
    ]
    released = synthesizer.release_only(first.inside, first.schema, budget, runs=3, seed=1)
    for one, *rest, answers in zip(*runs, released, strict=True):
        assert len(one.ledger.charges) == len(rest[0].ledger.charges)
        for same in rest:
            assert same.ledger == one.ledger
            for mine, theirs in zip(one.comparisons, same.comparisons, strict=True):
                assert np.array_equal(mine.here, theirs.here)
                assert np.array_equal(_answer(mine), _answer(theirs))
        # The first answer is drawn before any noise about the other table.
        assert np.array_equal(one.comparisons[0].values, answers[0].values)


def _answer(one):
    return one.values if isinstance(one, GaussianComparison) else one.chosen
