"""In wide tables, where scores of all pairs would drown, likely pairs are chosen before scores."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from dp_synth.accounting import (
    ADJACENCIES,
    Adjacency,
    PrivacyBudget,
    Selection,
)
from dp_synth.accounting.filters import cost
from dp_synth.inference import Compression
from dp_synth.inference.pair_errors import UNSURE, PairErrors
from dp_synth.inference.pair_selection import Allocation
from dp_synth.mechanisms import l1_distance_sensitivity
from dp_synth.release import Release
from dp_synth.schema import Schema
from dp_synth.synthesizers import MST, CliqueTree
from dp_synth.synthesizers._one_shot import MISSED, MOST_CHOICES, FilterBudget
from dp_synth.transcript import ChoiceAnswer, MarginalAnswer, Measurement, ScoresAnswer
from dp_synth.types import Clique

COLUMNS, BLOCK, COPY_NOISE = 120, 3, 0.1
RECORDS = 2_000
BUDGET = PrivacyBudget(1.0, 1e-5)
SCHEMA = Schema.from_dict(
    {
        "name": "wide",
        "columns": [
            {"name": f"x{place}", "type": "categorical", "size": 2} for place in range(COLUMNS)
        ],
    }
)
METHODS = [CliqueTree(), MST()]


def wide_table(count: int, seed: int = 0) -> pd.DataFrame:
    """Return bits in blocks, of which all but the first are noisy copies of it."""
    rng = np.random.default_rng(seed)
    first = rng.integers(2, size=(COLUMNS // BLOCK, 1, count))
    wrong = rng.random((COLUMNS // BLOCK, BLOCK, count)) < COPY_NOISE
    wrong[:, 0] = False
    codes = (first ^ wrong).reshape(COLUMNS, count)
    return SCHEMA.typed(pd.DataFrame(dict(zip(SCHEMA.names, codes.astype(str), strict=True))))


def in_block(pair: Clique) -> bool:
    first, second = (int(name[1:]) // BLOCK for name in pair)
    return first == second


def measured_pairs(release: Release) -> list[Clique]:
    found = [one.clique for one in release.transcript if isinstance(one, MarginalAnswer)]
    return [clique for clique in found if len(clique) == 2]


def choices(release: Release) -> list[ChoiceAnswer]:
    return [answer for answer in release.transcript if isinstance(answer, ChoiceAnswer)]


def spent(release: Release, kind: type | tuple[type, ...] = object) -> float:
    """Return how much of the filter's amount events of a kind were charged, as a part of it."""
    [amount] = [cost(entry.event, "gdp") for entry in release.ledger.reservations]
    events = [(entry.event, entry.count) for entry in release.ledger]
    return sum(n * cost(event, "gdp") for event, n in events if isinstance(event, kind)) / amount


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", range(2))
def test_planted_pairs_of_a_wide_table_are_found(method: CliqueTree | MST, seed: int) -> None:
    frame = wide_table(RECORDS, seed)
    release = method.fit(frame, SCHEMA, BUDGET, seed=seed)
    pairs = measured_pairs(release)
    edges = COLUMNS * (BLOCK - 1) // BLOCK
    assert sum(map(in_block, pairs)) >= 0.8 * edges
    assert sum(map(in_block, pairs)) >= 0.9 * len(pairs)
    codes = SCHEMA.encode(frame)
    errors = []
    for pair in filter(in_block, combinations(SCHEMA.names, 2)):
        one, other = (codes[:, SCHEMA.domain.axis(name)] for name in pair)
        exact = np.bincount(2 * one + other, minlength=4).reshape(2, 2)
        errors.append(np.abs(release.model.marginal(pair) - exact).sum() / 2 / RECORDS)
    assert np.mean(errors) < 0.15  # independent columns are off by .32 to .4 without any noise


@pytest.mark.parametrize("adjacency", ADJACENCIES)
@pytest.mark.parametrize("method", METHODS)
def test_choices_are_charged_within_their_share_of_the_filter(
    method: CliqueTree | MST, adjacency: Adjacency
) -> None:
    budget = PrivacyBudget(2.0, 1e-5, adjacency)
    release = method.fit(wide_table(RECORDS), SCHEMA, budget, seed=0)
    asked = choices(release)
    charged = [entry for entry in release.ledger if isinstance(entry.event, Selection)]
    assert sum(entry.count for entry in charged) == len(asked) > 0
    assert 0 < spent(release, Selection) <= MOST_CHOICES
    assert 0.999 <= spent(release) <= 1
    assert release.epsilon <= budget.epsilon
    moved = l1_distance_sensitivity(adjacency)
    least = 2 * moved * math.log(COLUMNS - 1) / (MISSED * RECORDS)
    for answer in asked:  # half of the records have either bit, but for noise of a first look
        assert answer.sensitivity == moved
        assert least * 0.95 < answer.epsilon < least * 1.3


def test_each_column_chooses_among_its_own_pairs_and_what_is_chosen_is_scored() -> None:
    release = MST().fit(wide_table(RECORDS), SCHEMA, BUDGET, seed=0)
    asked = choices(release)
    chosen = [answer.chosen for answer in asked]
    assert len(set(chosen)) == len(chosen) == COLUMNS
    shared = [set.intersection(*map(set, answer.candidates)) for answer in asked]
    assert {name for (name,) in shared} == set(SCHEMA.names)
    for place, answer in enumerate(asked):
        assert not set(answer.candidates) & set(chosen[:place])
    [scores] = [answer for answer in release.transcript if isinstance(answer, ScoresAnswer)]
    assert list(scores.cliques) == chosen
    assert set(measured_pairs(release)) <= set(chosen)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("records", "epsilon"), [(0, 1.0), (1, 1.0), (100, 1.0), (2_000, 0.01)])
def test_nothing_is_chosen_where_not_one_choice_would_be_heard(
    method: CliqueTree | MST, records: int, epsilon: float
) -> None:
    budget = PrivacyBudget(epsilon, 1e-5)
    release = method.fit(wide_table(records), SCHEMA, budget, seed=0)
    assert not choices(release)
    assert not measured_pairs(release)
    assert not any(isinstance(answer, ScoresAnswer) for answer in release.transcript)
    assert 0.999 <= spent(release) <= 1


def test_scores_of_all_pairs_are_taken_where_they_do_not_drown() -> None:
    release = MST().fit(wide_table(RECORDS), SCHEMA, PrivacyBudget(20.0, 1e-5), seed=0)
    assert not choices(release)
    [scores] = [answer for answer in release.transcript if isinstance(answer, ScoresAnswer)]
    assert len(scores.cliques) == math.comb(COLUMNS, 2)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("epsilon", "all_are_scored"), [(2.0, False), (20.0, True)])
def test_without_delta_all_pairs_are_scored_where_that_is_heard(
    method: CliqueTree | MST, epsilon: float, all_are_scored: bool
) -> None:
    """One choice a column misses pairs, however large the budget is."""
    schema = SCHEMA.select(SCHEMA.names[:12])
    release = method.fit(wide_table(RECORDS), schema, PrivacyBudget(epsilon, 0.0), seed=0)
    [scores] = [answer for answer in release.transcript if isinstance(answer, ScoresAnswer)]
    assert scores.noise == "laplace"
    assert bool(choices(release)) is not all_are_scored
    assert (len(scores.cliques) == math.comb(12, 2)) is all_are_scored
    if all_are_scored:
        assert sum(map(in_block, measured_pairs(release))) >= 8  # a tree of each block
    assert release.epsilon <= epsilon


def test_pairs_are_favoured_as_long_as_the_summed_error_falls() -> None:
    domain = SCHEMA.domain
    half = np.full(2, RECORDS / 2)
    ones = [Measurement((name,), half, 100.0) for name in domain]
    errors = PairErrors.of(domain, Compression.identity(domain), ones, float(RECORDS))
    pairs = [pair for pair in combinations(domain, 2) if in_block(pair)]
    dependences = dict.fromkeys(pairs, 0.7 * RECORDS)
    usual = Allocation.of(domain, pairs, 0.05)
    favour = errors.best_favour(dependences, pairs, 0.05)
    found = [
        errors.of_pairs(dependences, usual.favouring(factor))
        for factor in (1.0, favour, 2 * favour)
    ]
    assert favour > 1
    assert found[1] < found[0]
    assert found[1] <= found[2]
    favoured = usual.favouring(favour)
    assert sum(map(favoured.of_clique, favoured.weights)) == pytest.approx(0.05)
    ratio = favoured.of_clique(pairs[0]) / favoured.of_clique((pairs[0][0],))
    before = usual.of_clique(pairs[0]) / usual.of_clique((pairs[0][0],))
    assert ratio == pytest.approx(favour * before)


@pytest.mark.parametrize(
    ("noise", "doubt"), [(0.15, UNSURE), (0.2, 1.0)], ids=["some noise", "much noise"]
)
def test_faint_scores_are_asked_for_only_where_pairs_surely_pay(
    monkeypatch: pytest.MonkeyPatch, noise: float, doubt: float
) -> None:
    told = []

    def could_pay(self: PairErrors, precision: float, *, cost: float, unsure: float) -> bool:
        told.append(unsure)
        return False

    def score_stddev(self: FilterBudget, count: int, part: float) -> float:
        return noise * RECORDS

    monkeypatch.setattr(PairErrors, "could_pay", could_pay)
    monkeypatch.setattr(FilterBudget, "score_stddev", score_stddev)
    release = MST().fit(wide_table(RECORDS), SCHEMA, PrivacyBudget(20.0, 1e-5), seed=0)
    assert told == [doubt]
    assert not any(isinstance(answer, ScoresAnswer) for answer in release.transcript)
