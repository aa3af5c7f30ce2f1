"""The clique tree finds what is there, spends all of its filter, and keeps its model small."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from planted_tables import EDGES, NAMES, PAIRS, SCHEMA, largest_error, tree_table

from dp_synth.accounting import (
    ADJACENCIES,
    Accountant,
    Adjacency,
    Entry,
    Gaussian,
    PrivacyBudget,
    Reservation,
)
from dp_synth.accounting.filters import cost
from dp_synth.errors import BudgetExceeded, InputError
from dp_synth.inference import JunctionTree, RefinedModel
from dp_synth.mechanisms import l1_distance_sensitivity, marginal_sensitivity
from dp_synth.release import Release
from dp_synth.schema import Schema
from dp_synth.synthesizers import Independent
from dp_synth.synthesizers.clique_tree import CliqueTree

BUDGET = PrivacyBudget(1.0, 1e-6)


def _charges(release: Release, why: str = "") -> list[tuple[Entry, Gaussian]]:
    found = [(entry, entry.event) for entry in release.ledger if why in entry.why]
    return [(entry, event) for entry, event in found if isinstance(event, Gaussian)]


def _spent_part(release: Release) -> float:
    """How much of the filter's amount was charged, as a part of it."""
    [amount] = [cost(entry.event, "gdp") for entry in release.ledger.reservations]
    spent = [entry.count * cost(entry.event, "gdp") for entry in release.ledger]
    return sum(spent) / amount


@pytest.mark.parametrize("seed", range(3))
def test_planted_pairs_are_found_and_make_the_model_better_than_columns(seed: int) -> None:
    frame = tree_table(20_000, seed)
    release = CliqueTree().fit(frame, SCHEMA, PrivacyBudget(2.0, 1e-6), seed=seed)
    measured = sum(entry.count for entry, _ in _charges(release, "chosen pairs"))
    assert measured >= len(EDGES)
    assert all(release.model.tree.home(edge) is not None for edge in EDGES)
    alone = Independent().fit(frame, SCHEMA, PrivacyBudget(2.0, 1e-6), seed=seed).model
    assert largest_error(release.model, frame, PAIRS) < 0.05
    assert largest_error(alone, frame, EDGES) > 0.5


def test_of_independent_columns_hardly_a_pair_is_measured() -> None:
    frame = tree_table(20_000, kept=0.0)
    release = CliqueTree().fit(frame, SCHEMA, BUDGET, seed=0)
    assert len(_charges(release, "chosen pairs")) <= 2
    assert largest_error(release.model, frame, PAIRS) < 0.03


@pytest.mark.parametrize("adjacency", ADJACENCIES)
@pytest.mark.parametrize("epsilon", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("records", [0, 30, 3000])
def test_all_of_the_filter_is_spent_and_never_more(
    adjacency: Adjacency, epsilon: float, records: int
) -> None:
    budget = PrivacyBudget(epsilon, 1e-6, adjacency)
    release = CliqueTree().fit(tree_table(records), SCHEMA, budget, seed=0)
    assert 0.999 <= _spent_part(release) <= 1
    assert 0.99 * epsilon <= release.epsilon <= epsilon
    assert all(entry.part == "answers" for entry in release.ledger)


def test_nothing_is_asked_once_the_budget_has_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    charge, asked = Reservation.charge, [0]

    def refuse_the_third(self: Reservation, *arguments: object, **options: object) -> None:
        asked[0] += 1
        if asked[0] == 3:
            raise BudgetExceeded("nothing was released")
        charge(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Reservation, "charge", refuse_the_third)
    accountant = Accountant(BUDGET)
    with pytest.raises(BudgetExceeded):
        CliqueTree().fit(tree_table(500), SCHEMA, accountant, seed=0)
    assert asked == [3]
    assert len(accountant.ledger.charges) == 2


@pytest.mark.parametrize("adjacency", ADJACENCIES)
@pytest.mark.parametrize("max_rows", [1, 3])
def test_noise_grows_with_the_sensitivity_of_counts_and_of_scores(
    adjacency: Adjacency, max_rows: int
) -> None:
    budget = PrivacyBudget(1.0, 1e-6, adjacency, "person" if max_rows > 1 else None, max_rows)
    frame = tree_table(20_000).assign(person=np.arange(20_000).astype(str))
    release = CliqueTree().fit(frame, SCHEMA, budget, seed=0)
    scores, counts = (
        l1_distance_sensitivity(adjacency, max_rows),
        marginal_sensitivity(adjacency, max_rows),
    )
    assert _charges(release, "scores")
    assert _charges(release, "chosen pairs")
    for entry, event in _charges(release):
        if "parities" not in entry.why:
            assert event.sensitivity == (scores if "scores" in entry.why else counts)
        assert event.stddev == pytest.approx(event.noise_multiplier * event.sensitivity)
    assert 0.999 <= _spent_part(release) <= 1


@pytest.mark.parametrize("max_cells", [24, 60, 200, 5000])
@pytest.mark.parametrize("seed", range(3))
def test_the_model_has_no_more_cells_than_allowed(max_cells: int, seed: int) -> None:
    budget = PrivacyBudget(20.0, 1e-6)
    release = CliqueTree(max_cells=max_cells).fit(tree_table(5000), SCHEMA, budget, seed=seed)
    cells = release.model.tree.cells
    assert cells <= max_cells
    assert cells > 24 or max_cells < 40  # a pair needs 16 cells in place of 8


def test_columns_that_alone_need_more_cells_are_refused_before_anything_is_charged() -> None:
    accountant = Accountant(BUDGET)
    with pytest.raises(InputError, match="24 cells in all, at most 23"):
        CliqueTree(max_cells=23).fit(tree_table(50), SCHEMA, accountant, seed=0)
    assert len(accountant.ledger) == 0


@pytest.mark.parametrize(("max_cells", "coarseness"), [(0, 0.4), (10, -1.0), (10, float("nan"))])
def test_settings_out_of_range_are_refused(max_cells: int, coarseness: float) -> None:
    with pytest.raises(InputError, match="1 or more and coarseness a finite number from 0"):
        CliqueTree(max_cells=max_cells, coarseness=coarseness)


@pytest.mark.parametrize(("records", "epsilon"), [(0, 1.0), (20, 1.0), (3000, 0.003)])
def test_where_scores_would_drown_columns_alone_are_measured(records: int, epsilon: float) -> None:
    budget = PrivacyBudget(epsilon, 1e-6)
    release = CliqueTree().fit(tree_table(records), SCHEMA, budget, seed=0)
    assert not _charges(release, "scores")
    assert not _charges(release, "chosen pairs")
    assert release.model.tree.cliques == tuple((name,) for name in NAMES)
    assert 0.999 <= _spent_part(release) <= 1


def _lone() -> tuple[Schema, pd.DataFrame]:
    column = {"name": "x", "type": "categorical", "categories": list("abc")}
    frame = pd.DataFrame({"x": np.repeat(list("abc"), [700, 250, 50])})
    return Schema.from_dict({"name": "t", "columns": [column]}), frame


def test_a_lone_attribute_is_measured_once_with_all_there_is() -> None:
    schema, frame = _lone()
    release = CliqueTree().fit(frame, schema, BUDGET, seed=0)
    assert len(_charges(release)) == 1
    assert 0.999 <= _spent_part(release) <= 1
    counts = release.model.marginal(("x",))
    stddev = _charges(release)[0][1].stddev
    np.testing.assert_allclose(counts, [700, 250, 50], atol=6 * stddev)


CONSTRAINED = {
    "name": "people",
    "columns": [
        {"name": "age", "type": "integer", "lower": 0, "upper": 40},
        {"name": "married", "type": "categorical", "categories": ["no", "yes"]},
        {"name": "job", "type": "categorical", "categories": ["none", "clerk", "judge"]},
    ],
    "constraints": [{"impossible": {"age": {"below": 16}, "married": ["yes"]}}],
}


def test_what_cannot_occur_is_never_drawn() -> None:
    schema = Schema.from_dict(CONSTRAINED)
    assert schema.domain.supports
    rng = np.random.default_rng(0)
    age = rng.integers(0, 41, 4000)
    frame = pd.DataFrame(
        {
            "age": age,
            "married": np.where((age > 15) & (rng.random(4000) < 0.6), "yes", "no"),
            "job": np.where(age > 20, rng.choice(["clerk", "judge"], 4000), "none"),
        }
    ).astype(str)
    for epsilon in (0.01, 1.0, 50.0):
        release = CliqueTree().fit(frame, schema, PrivacyBudget(epsilon, 1e-6), seed=0)
        rows = release.sample(4000, seed=1)
        assert not ((rows["age"] < 16) & (rows["married"] == "yes")).any()
        assert epsilon < 1 or (rows["married"] == "yes").mean() > 0.2


def test_one_seed_gives_one_model_bit_for_bit() -> None:
    frame = tree_table(5000)
    one, two, other = (CliqueTree().fit(frame, SCHEMA, BUDGET, seed=s).model for s in (3, 3, 4))
    assert isinstance(one, RefinedModel)
    assert isinstance(two, RefinedModel)
    assert len(one.probabilities) == len(two.probabilities)
    for first, second in zip(one.probabilities, two.probabilities, strict=True):
        assert first.tobytes() == second.tobytes()
    assert one.total == two.total != other.total
    for attribute, share in one.shares.items():
        assert share.tobytes() == two.shares[attribute].tobytes()


def test_no_pair_is_chosen_by_more_than_was_paid_for() -> None:
    """Chosen pairs, scores and columns are all that the ledger has, each as often as it says."""
    release = CliqueTree().fit(tree_table(20_000), SCHEMA, BUDGET, seed=0)
    [(scores, _)] = _charges(release, "scores of all pairs")
    assert scores.count == len(list(combinations(NAMES, 2)))
    looks = sum(entry.count for entry, _ in _charges(release, "first look"))
    again = sum(entry.count for entry, _ in _charges(release, "one-way marginals"))
    pairs = sum(entry.count for entry, _ in _charges(release, "chosen pairs"))
    [(parities, _)] = _charges(release, "parities")
    assert looks == again == len(NAMES)
    assert parities.count == 1
    counted = looks + again + pairs + scores.count + parities.count
    assert counted == sum(entry.count for entry in release.ledger)
    tree = JunctionTree.of(SCHEMA.domain, release.model.tree.cliques)
    assert pairs <= sum(tree.home(pair) is not None for pair in PAIRS)
