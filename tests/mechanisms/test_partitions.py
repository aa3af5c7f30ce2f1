"""Texts that a schema does not list: released where many hold them, hardly ever where one does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import binomtest

from dp_synth.accounting import (
    ADJACENCIES,
    Accountant,
    Adjacency,
    Plan,
    PrivacyBudget,
    ThresholdedGaussians,
    compose,
)
from dp_synth.accounting.events import PartitionSelection, ThresholdedGaussian
from dp_synth.domain import Domain
from dp_synth.errors import BudgetExceeded
from dp_synth.mechanisms import marginal_sensitivity, partition_selection
from dp_synth.mechanisms.partition_selection import chance_alone, least_count, release_texts
from dp_synth.mechanisms.table import PrivateTable

LISTED = 2  # categories that the schema names


def table_of(
    counts: Sequence[int], noise_multiplier: float, delta: float, max_rows: int = 1
) -> tuple[PrivateTable, ThresholdedGaussians]:
    """A table of one column: two listed categories, then texts that so many records hold."""
    part = ThresholdedGaussians(1, noise_multiplier=noise_multiplier, delta=delta)
    budget = PrivacyBudget(1e9, 0.5, unit="person" if max_rows > 1 else None, max_rows=max_rows)
    payer = Accountant(budget).admit("test", Plan({"categories": part}), randomness="seeded")
    codes = np.repeat(np.arange(LISTED + len(counts), dtype=np.int32), [7, 0, *counts])
    table = PrivateTable(codes[:, None], Domain(("job",), (LISTED + len(counts),)), payer)
    return table, payer.plan.thresholded("categories")


def released(counts: Sequence[int], seed: int, *, noise: float = 2.0, delta: float = 1e-6) -> int:
    """How many of the texts with these counts are released."""
    table, part = table_of(counts, noise, delta)
    texts = [f"t{place}" for place in range(len(counts))]
    return len(release_texts(table, {"job": texts}, part, np.random.default_rng(seed))["job"])


@pytest.mark.parametrize("delta", [0.05, 0.3])
def test_a_text_of_one_record_is_released_with_at_most_the_stated_chance(delta: float) -> None:
    runs = 3_000
    found = released([1] * runs, 0, noise=1.7, delta=delta)
    chance = chance_alone(1.7, least_count(1.7, delta))
    assert chance <= delta
    assert binomtest(found, runs, delta, alternative="greater").pvalue > 1e-6
    assert binomtest(found, runs, chance).pvalue > 1e-6
    assert binomtest(found, runs, chance / 3).pvalue < 1e-6


def test_texts_that_many_hold_are_released_and_texts_that_none_holds_never_are() -> None:
    assert released([60, 80, 200], 1) == 3
    assert released([0] * 500, 1, noise=50.0, delta=0.4) == 0


@pytest.mark.parametrize("max_rows", [1, 2, 3, 7])
@pytest.mark.parametrize("stddev", [0.6, 5.0, 40.0])
@pytest.mark.parametrize("delta", [0.3, 1e-3, 1e-10])
def test_the_threshold_is_the_least_that_keeps_delta_however_records_are_spread(
    max_rows: int, stddev: float, delta: float
) -> None:
    least = least_count(stddev, delta, max_rows)
    spreads = list(_spreads(max_rows))
    for threshold in (least, least - 1):
        worst = max(1 - prod(ndtr((threshold - 0.5 - c) / stddev) for c in s) for s in spreads)
        bound = chance_alone(stddev, threshold, max_rows)
        assert worst - 1e-15 <= bound
        assert bound == pytest.approx(worst, rel=1e-3, abs=1e-15)
    assert (
        chance_alone(stddev, least, max_rows) <= delta < chance_alone(stddev, least - 1, max_rows)
    )


def _spreads(records: int, largest: int | None = None) -> Iterator[tuple[int, ...]]:
    """Yield all ways to spread so many records over texts, at least one in each."""
    if not records:
        yield ()
    for first in range(min(records, largest or records), 0, -1):
        for others in _spreads(records - first, first):
            yield (first, *others)


Held = Mapping[str, int]
NEIGHBOURS: dict[Adjacency, list[tuple[int, Held, Held]]] = {
    "add_remove": [
        (1, {"x": 3}, {"x": 4}),
        (1, {"x": 3}, {"x": 3, "u": 1}),
        (2, {"x": 3}, {"x": 4, "u": 1}),
        (2, {"x": 3}, {"x": 3, "u": 1, "v": 1}),
        (2, {"x": 3}, {"x": 3, "u": 2}),
    ],
    "replace_one": [
        (1, {"x": 3, "y": 2}, {"x": 2, "y": 3}),
        (1, {"x": 3, "u": 1}, {"x": 3, "v": 1}),
        (1, {"x": 3, "u": 1}, {"x": 4}),
        (2, {"x": 3, "u": 2}, {"x": 3, "v": 2}),
        (2, {"x": 3, "u": 1}, {"x": 2, "v": 2}),
    ],
}


@pytest.mark.parametrize("adjacency", ADJACENCIES)
def test_exact_outputs_of_neighbours_stay_below_the_curve_that_is_charged(
    adjacency: Adjacency,
) -> None:
    """Noisy counts of what is released are seen as well: more than the mechanism tells."""
    beyond = 0
    for max_rows, one, other in NEIGHBOURS[adjacency]:
        event = ThresholdedGaussian(1.2, marginal_sensitivity(adjacency, max_rows), 0.02)
        names = sorted({*one, *other})
        p, q = (_outputs(held, names, event, max_rows) for held in (one, other))
        assert p.sum() == pytest.approx(1.0)
        curve, counted = compose([(event, 1)]), compose([(event.counted, 1)])
        for epsilon in (0.0, 0.1, 0.5, 1.0, 2.0, 4.0):
            exact = max(np.maximum(a - np.exp(epsilon) * b, 0).sum() for a, b in ((p, q), (q, p)))
            assert exact <= curve.delta(epsilon) + 1e-12
            beyond += exact > counted.delta(epsilon)
    assert beyond  # without the threshold's delta the curve is too low


def _outputs(
    held: Held, names: Sequence[str], event: ThresholdedGaussian, max_rows: int
) -> NDArray[np.float64]:
    """The chance of each output: of each text nothing, or a noisy count from the least on."""
    least = least_count(event.stddev, event.delta, max_rows)
    seen = np.arange(least, least + int(6 * event.stddev) + 4)
    joint = np.ones(())
    for name in names:
        count = held.get(name, 0)
        below = ndtr((seen - 0.5 - count) / event.stddev)
        law = np.diff(below, prepend=0.0, append=1.0) if count else np.eye(len(seen) + 1)[0]
        joint = np.multiply.outer(joint, law)
    return joint.ravel()


@pytest.mark.parametrize("most", [1, 2, 9])
def test_which_texts_are_released_tells_no_more_than_a_bit_of_one_count(most: int) -> None:
    """Exact chances of all sets of texts, where the largest of too many are kept and elsewhere."""
    event = PartitionSelection(1.2, 0.02)
    curve, tight = compose([(event, 1)]), 0.0
    for others in ((3, 2), (4, 4), (5,)):
        for count in (0, 1, 2, 3, 5):
            p, q = (_released_sets((*others, c), event, most) for c in (count, count + 1))
            for epsilon in (0.0, 0.1, 0.5, 1.0, 2.0):
                exact = max(
                    np.maximum(a - np.exp(epsilon) * b, 0).sum() for a, b in ((p, q), (q, p))
                )
                assert exact <= curve.delta(epsilon) + 1e-12
                tight = max(tight, exact / curve.delta(epsilon))
    assert tight > 0.8


def _released_sets(
    counts: Sequence[int], event: PartitionSelection, most: int
) -> NDArray[np.float64]:
    """The chance of each set of texts, of which at most so many of the largest are kept."""
    least = least_count(event.stddev, event.delta)
    values = np.arange(least - 1, least + 9)  # all below the least are alike
    chances, places = np.ones(()), np.indices((len(values),) * len(counts)).reshape(len(counts), -1)
    for count in counts:
        below = ndtr((values[1:] - 0.5 - count) / event.stddev)
        law = np.diff(below, prepend=0.0, append=1.0) if count else np.eye(len(values))[0]
        chances = np.multiply.outer(chances, law)
    order = np.argsort(-places, axis=0, kind="stable")[:most]
    kept = np.take_along_axis(places, order, axis=0) > 0
    return np.bincount((kept << order).sum(axis=0), chances.ravel(), 2 ** len(counts))


def test_of_too_many_texts_the_largest_are_kept_in_alphabetical_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(partition_selection, "MAX_OPEN", 3)
    table, part = table_of([100, 900, 500, 300, 700], 2.0, 1e-6)
    texts = ["e", "d", "c", "b", "a"]
    found = release_texts(table, {"job": texts}, part, np.random.default_rng(0))
    assert found == {"job": ("a", "c", "d")}


def test_a_part_that_cannot_pay_reads_draws_and_records_nothing() -> None:
    table, part = table_of([50, 1], 2.0, 1e-6)
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    for foreign in (
        ThresholdedGaussians(1, noise_multiplier=1.9, delta=1e-6, name="categories"),
        ThresholdedGaussians(1, noise_multiplier=2.0, delta=2e-6, name="categories"),
        ThresholdedGaussians(1, noise_multiplier=2.0, delta=1e-6, name="other"),
    ):
        with pytest.raises(BudgetExceeded, match="nothing was released"):
            release_texts(table, {"job": ["a", "b"]}, foreign, rng)
    release_texts(table, {"job": ["a", "b"]}, part, rng)
    state = rng.bit_generator.state
    with pytest.raises(BudgetExceeded, match="nothing was released"):
        release_texts(table, {"job": ["a", "b"]}, part, rng)
    assert state != before
    assert (rng.bit_generator.state, table.reads) == (state, 1)
    assert len(table.payer.accountant.ledger) == 1
