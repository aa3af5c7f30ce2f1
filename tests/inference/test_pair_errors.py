"""What errors pairs are expected to have, and whether any are worth what columns pay for them."""

import math

import numpy as np
import pytest
from whole_tables import over_seeds

from dp_synth.domain import Domain
from dp_synth.inference import Compression, pair_errors
from dp_synth.inference.pair_errors import (
    DROWNED,
    FAITHFUL,
    HEARD,
    IMPLIED,
    PairErrors,
    column_weight,
)
from dp_synth.inference.pair_selection import MEAN_NOISE, Allocation
from dp_synth.transcript import Measurement

DOMAIN = Domain(("a", "b", "c"), (3, 4, 5))
PAIRS = [("a", "b"), ("a", "c"), ("b", "c")]


def even_errors(total, stddev=1.0, domain=DOMAIN):
    """Errors of columns all of whose codes are alike."""
    ones = [
        Measurement((a,), np.full(domain.size(a), total / domain.size(a)), stddev) for a in domain
    ]
    return PairErrors.of(domain, Compression.identity(domain), ones, total)


def sample_distances(rng, joint, records, times):
    """L1 distances of samples of a joint distribution from the product of its columns."""
    product = records * np.multiply.outer(joint.sum(axis=1), joint.sum(axis=0))
    counts = rng.multinomial(records, joint.ravel(), size=times).reshape(times, *joint.shape)
    return np.abs(counts - product).sum(axis=(1, 2))


@pytest.mark.parametrize("strength", [0.0, 0.1, 0.3])
def test_the_dependence_is_what_a_score_says_less_chance_in_squares(strength):
    rng, records = np.random.default_rng(0), 400
    domain = Domain(("a", "b"), (4, 4))
    joint = (1 - strength) * np.full((4, 4), 1 / 16) + strength * np.eye(4) / 4
    errors = even_errors(records, 1e-6, domain)
    noise = rng.normal(0, 5, 4000)
    scores = sample_distances(rng, joint, records, 4000) + noise
    found = errors.dependence([("a", "b")] * 4000, scores, 5.0).mean()
    truth = records * strength * 1.5  # of the product, cell by cell
    # By subtraction .3 would lose two thirds of what chance alone shows, 51 records.
    assert found == pytest.approx(truth, abs=0.07 * records)


def test_no_dependence_is_found_where_scores_are_no_more_than_noise():
    errors = even_errors(100.0, 50.0)
    assert not errors.dependence(PAIRS, np.array([20.0, 30.0, -5.0]), 20.0).any()


@over_seeds(20)
def test_no_dependence_is_larger_than_that_of_one_column_that_tells_the_other(seed):
    rng = np.random.default_rng(seed)
    total = float(rng.integers(10, 1000))
    shares = {a: rng.dirichlet(np.ones(DOMAIN.size(a))) for a in DOMAIN}
    ones = [Measurement((a,), total * shares[a], 1e-6) for a in DOMAIN]
    errors = PairErrors.of(DOMAIN, Compression.identity(DOMAIN), ones, total)
    for pair, most in zip(PAIRS, errors.largest_dependence(PAIRS), strict=True):
        first, second = shares[pair[0]], shares[pair[1]]
        joint = np.zeros((len(first), len(second)))  # as dependent as its columns allow, or less
        left = [first.copy(), second.copy()]
        for i in rng.permutation(len(first)):
            for j in rng.permutation(len(second)):
                joint[i, j] = min(left[0][i], left[1][j])
                left[0][i] -= joint[i, j]
                left[1][j] -= joint[i, j]
        distance = total * np.abs(joint - np.multiply.outer(first, second)).sum()
        assert distance <= most * (1 + 1e-9)


def test_errors_fall_with_precision_and_are_those_of_chance_without_noise():
    errors, records = even_errors(5000.0), 5000
    alone = [errors.of_columns({}, precision) for precision in (1e-3, 1.0, 1e6)]
    assert alone[0] > alone[1] > alone[2]
    # Records and rows lie off the product of columns by chance, in squares.
    chance = (
        MEAN_NOISE * math.sqrt(2 * records) * sum(math.sqrt(DOMAIN.cells(pair)) for pair in PAIRS)
    )
    assert even_errors(5000.0, 1e-9).of_columns({}, 1.0) == pytest.approx(chance, rel=1e-6)


def test_pairs_pay_where_records_are_many_and_columns_alone_where_they_are_few():
    for records, pays in ((20, False), (200, False), (100_000, True)):
        errors = even_errors(float(records), 30.0)
        dependences = dict.fromkeys(PAIRS, 0.4 * records)
        assert bool(errors.paying(dependences, PAIRS, 0.01)) == pays
        if records > 20:  # of so few, all that is said drowns alike
            assert errors.could_pay(0.01, cost=0.05) == pays
    assert even_errors(100_000.0).paying(dict.fromkeys(PAIRS, 0.0), PAIRS, 1e-6) == []
    assert even_errors(100_000.0).paying({}, [], 1.0) == []


def test_a_part_of_the_pairs_is_kept_where_all_of_them_cost_too_much():
    errors = even_errors(2000.0, 30.0)
    dependences = {("a", "b"): 1200.0, ("a", "c"): 0.0, ("b", "c"): 0.0}
    one, all_pairs = (
        errors.of_pairs(dependences, Allocation.of(DOMAIN, pairs, 0.002))
        for pairs in (PAIRS[:1], PAIRS)
    )
    alone = errors.of_columns(dependences, 0.002)
    assert one < alone < all_pairs
    assert errors.paying(dependences, PAIRS, 0.002) == PAIRS[:1]


def test_pairs_are_looked_for_where_they_may_seem_to_err_a_little_more():
    errors = even_errors(200.0, 30.0)  # all drowns nearly alike
    assert errors.could_pay(0.03, cost=0.05)
    assert not errors.could_pay(0.03, cost=0.05, unsure=1.0)


def test_rounds_may_pay_by_more_pairs_than_a_tree_has(monkeypatch):
    domain = Domain(tuple("abcdefghijklmn"), (2,) * 6 + (10,) * 8)  # small pairs come first
    errors, asked = even_errors(1000.0, 100.0, domain), []
    of_pairs = PairErrors.of_pairs

    def noted(self, dependences, allocation):
        found = of_pairs(self, dependences, allocation)
        asked.append((len(allocation.weights), found))
        return found

    monkeypatch.setattr(PairErrors, "of_pairs", noted)
    assert errors.could_pay(0.01, cost=0.1, in_rounds=True)
    paying = asked[-1]
    assert paying[0] >= len(domain)
    asked.clear()
    assert not errors.could_pay(0.01, cost=0.1, unsure=0.0)  # all that a tree has are tried
    assert max(count for count, _ in asked) == 2 * len(domain) - 1  # its pairs, beside columns


def test_rounds_pay_where_columns_are_not_measured_again():
    domain = Domain(tuple("abcdefghij"), (15,) * 10)
    few, some = even_errors(500.0, 30.0, domain), even_errors(800.0, 30.0, domain)
    assert not some.could_pay(0.03, cost=0.1)
    assert some.could_pay(0.03, cost=0.1, in_rounds=True)
    assert not few.could_pay(0.03, cost=0.1, in_rounds=True)
    drowned = even_errors(100.0, 60.0, domain)  # all errors are as large as they can be
    assert not drowned.could_pay(0.003, cost=0.1, in_rounds=True)


def test_a_lone_column_has_no_pair_that_could_pay():
    assert not even_errors(100.0, domain=Domain(("a",), (3,))).could_pay(1.0)


def test_columns_weigh_by_their_cells_up_to_those_that_are_seen():
    domain = Domain(("few", "codes", "numbers"), (2, 64, 64), (0, 0, 64))
    few, codes, numbers = (column_weight(domain, attribute) for attribute in domain)
    assert few < numbers < codes
    assert (codes / few) ** 1.5 == pytest.approx(32)  # cells to the power 2/3


@pytest.mark.parametrize(("dependence", "is_kept"), [(400.0, True), (200.0, False)])
def test_pairs_may_seem_to_lose_a_little_where_they_are_heard(dependence, is_kept, monkeypatch):
    errors, precision = even_errors(2000.0, 10.0), 0.002
    dependences = dict.fromkeys(PAIRS, dependence)
    alone = errors.of_columns(dependences, precision)
    loss = errors.of_pairs(dependences, Allocation.of(DOMAIN, PAIRS, precision)) / alone
    assert 1 < loss < IMPLIED if is_kept else loss > IMPLIED
    assert errors.paying(dependences, PAIRS, precision) != PAIRS  # nothing is known of the noise
    clear = dependence / HEARD
    assert (errors.paying(dependences, PAIRS, precision, clear * 0.99) == PAIRS) == is_kept
    asked = DROWNED + (HEARD - DROWNED) * (loss - 1) / (IMPLIED - 1)  # times the noise, to be kept
    noise = dependence / min(asked, HEARD)
    assert noise > FAITHFUL * errors.total  # such scores are believed where clearly heard
    assert errors.paying(dependences, PAIRS, precision, clear * 1.01) != PAIRS
    monkeypatch.setattr(pair_errors, "FAITHFUL", 1.0)
    assert (errors.paying(dependences, PAIRS, precision, noise * 0.99) == PAIRS) == is_kept
    assert errors.paying(dependences, PAIRS, precision, noise * 1.01) != PAIRS
