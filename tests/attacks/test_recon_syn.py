import numpy as np
import pytest

from dp_synth.attacks.reconstruction import MetricOracle, ReconSyn
from dp_synth.errors import InputError

SIZES = (4, 4, 4, 4, 4, 4, 4)
ATTACK = ReconSyn(SIZES, furthest=5)


def toy(seed=0):
    """90 records of a crowd, whose attributes lean to 0, and 10 that are spread evenly."""
    rng = np.random.default_rng(seed)
    crowd = np.minimum(rng.geometric(0.6, (90, 7)) - 1, 3)
    outliers = rng.integers(0, 4, (10, 7))
    return np.concatenate([crowd, outliers]).astype(np.int32), outliers.astype(np.int32)


def generator(private, seed):
    """Return a generator of independent columns with the private frequencies, smoothed."""
    rng = np.random.default_rng(seed)
    shares = [(np.bincount(c, minlength=4) + 5) / (len(c) + 20) for c in private.T]

    def generate(records):
        columns = [rng.choice(4, records, p=share) for share in shares]
        return np.stack(columns, axis=1).astype(np.int32)

    return generate


def among(records, others):
    held = set(map(tuple, others.tolist()))
    return np.array([tuple(record) in held for record in records.tolist()], dtype=bool)


def test_two_metrics_give_away_the_rows_that_lie_apart():
    private, outliers = toy()
    generate, oracle = generator(private, 1), MetricOracle(private)
    copies = ATTACK.sample(generate, oracle, records=300, rounds=5)
    walked = ATTACK.search(generate(600), oracle)
    found = np.concatenate([copies, walked])
    assert among(found, private).all()
    assert among(np.unique(outliers, axis=0), found).mean() >= 0.7
    # Chance alone would need about 4^7 guesses a record.
    assert oracle.calls < 600 * sum(SIZES) + 5 * 600


def test_copies_are_all_that_the_exact_match_share_betrays():
    private, _ = toy(1)
    table = np.concatenate([private[:20], np.full((5, 7), 3, dtype=np.int32)])
    oracle = MetricOracle(private)
    found = ATTACK.sample(lambda records: table, oracle, records=25, rounds=1)
    np.testing.assert_array_equal(found, np.unique(table[among(table, private)], axis=0))


def test_every_walk_that_starts_near_enough_ends_at_a_private_record():
    private, _ = toy(2)
    rng = np.random.default_rng(0)
    starts = private[:30].copy()
    for row in starts:
        row[rng.permutation(7)[:3]] = rng.integers(0, 4, 3)
    found = ATTACK.search(starts, MetricOracle(private))
    assert len(found)
    assert among(found, private).all()
    far = ReconSyn(SIZES, furthest=1).search(np.full((1, 7), 3), MetricOracle(private[:90] * 0))
    assert far.shape == (0, 7)


def test_reports_are_the_plain_metrics():
    private = np.array([[0, 0, 0], [1, 1, 1]], dtype=np.int32)
    oracle = MetricOracle(private)
    table = np.array([[0, 0, 0], [0, 0, 1], [1, 2, 3]], dtype=np.int32)
    assert oracle.exact_match_share(table) == pytest.approx(1 / 3)
    assert oracle.mean_distance(table) == pytest.approx((0 + 1 + 2) / 3)
    assert oracle.exact_match_share(table[:0]) == oracle.mean_distance(table[:0]) == 0.0
    assert oracle.calls == 4


def test_settings_without_meaning_are_refused():
    with pytest.raises(InputError, match="furthest"):
        ReconSyn(SIZES, furthest=0)
    with pytest.raises(InputError, match="sizes"):
        ReconSyn(())
