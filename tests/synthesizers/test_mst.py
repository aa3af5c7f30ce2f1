"""MST and its paper's algorithm find what is there, and several synthesizers share one budget."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from dp_synth.accounting import Accountant, PrivacyBudget
from dp_synth.datasets import load
from dp_synth.errors import BudgetExceeded
from dp_synth.schema import Schema
from dp_synth.settings import made_of
from dp_synth.synthesizers import MST, Independent, PublishedMST, fit_jointly, synthesizer_named

NAMES = "abcdef"
EDGES = {("a", "b"), ("b", "c"), ("b", "d"), ("d", "e"), ("e", "f")}
SCHEMA = Schema.from_dict(
    {
        "name": "tree",
        "columns": [
            {"name": name, "type": "categorical", "categories": list("0123")} for name in NAMES
        ],
    }
)


def tree_table(count, seed):
    """Each attribute repeats its parent's value with probability 0.7, else it is uniform."""
    rng = np.random.default_rng(seed)
    columns = {"a": rng.integers(0, 4, count)}
    for parent, child in sorted(EDGES):
        kept = rng.random(count) < 0.7
        columns[child] = np.where(kept, columns[parent], rng.integers(0, 4, count))
    return pd.DataFrame({name: columns[name].astype(str) for name in NAMES})


@pytest.mark.parametrize(("kind", "seed"), [(MST, 0), (MST, 1), (PublishedMST, 2)])
def test_mst_finds_the_tree_that_made_the_table(kind, seed):
    budget = PrivacyBudget(10.0, 1e-6)
    release = kind().fit(tree_table(20_000, seed), SCHEMA, budget, seed=seed)
    assert set(release.model.tree.cliques) == EDGES


def test_the_papers_algorithm_goes_by_its_own_name_and_by_the_setting_of_older_versions():
    with pytest.warns(DeprecationWarning, match="named published_mst"):
        assert MST(as_published=True) == PublishedMST()
    with pytest.warns(DeprecationWarning, match="named published_mst"):
        assert replace(MST(0.1), as_published=True) == PublishedMST()
    with pytest.warns(DeprecationWarning, match="named published_mst"):
        stored = synthesizer_named("mst")(coarseness=0.4, as_published=True)  # as in a grid's cell
    assert stored == synthesizer_named("published_mst")()
    with pytest.warns(DeprecationWarning, match="named published_mst"):
        assert made_of(MST, {"coarseness": 0.4, "as_published": True}) == PublishedMST()
    assert MST(as_published=False) == MST() == synthesizer_named("mst")()


def pair_distance(real, synthetic, schema):
    """The mean total variation distance over all pairs of attributes."""
    tables = [schema.encode(real), schema.encode(synthetic)]
    sizes = schema.domain.sizes
    distances = []
    for i in range(len(sizes)):
        for j in range(i):
            one, two = (
                np.bincount(t[:, i] * sizes[j] + t[:, j], minlength=sizes[i] * sizes[j]) / len(t)
                for t in tables
            )
            distances.append(0.5 * np.abs(one - two).sum())
    return float(np.mean(distances))


def test_mst_keeps_pairs_that_independent_columns_lose():
    frame, budget = tree_table(5_000, 0), PrivacyBudget(1.0, 1e-6)
    scores = {
        kind: [
            pair_distance(
                frame, kind().fit(frame, SCHEMA, budget, seed=s).sample(5_000, seed=s), SCHEMA
            )
            for s in range(5)
        ]
        for kind in (MST, Independent)
    }
    # The pairs of this table lie 0.3 from independence on average; noise costs a tenth of it.
    assert max(scores[MST]) < 0.4 * min(scores[Independent])


def test_the_largest_auc_grows_with_epsilon_and_stays_below_one():
    frame = tree_table(100, 0)
    bounds = [
        MST().fit(frame, SCHEMA, PrivacyBudget(epsilon, 1e-6), seed=0).largest_auc()
        for epsilon in (0.01, 0.1, 1.0, 10.0, 100.0)
    ]
    assert bounds == sorted(bounds)
    assert 0.5 < bounds[0] < 0.51
    assert bounds[-1] <= 1


def test_every_cell_of_a_fitted_adult_is_a_probability_and_sums_are_one():
    data = load("adult")
    for epsilon in (0.01, 1.0, 100.0):
        release = MST().fit(data.train.head(2_000), data.schema, PrivacyBudget(epsilon, 1e-9))
        for table in release.model.probabilities:
            assert (table >= 0).all()
            assert table.sum() == pytest.approx(1)


def test_synthesizers_fitted_jointly_share_one_budget_and_use_it_up():
    accountant = Accountant(PrivacyBudget(1.0, 1e-6))
    frame = tree_table(500, 0)
    releases = fit_jointly({MST(): 1, Independent(): 2}, frame, SCHEMA, accountant, seed=0)
    assert 0.99 <= accountant.epsilon() <= 1.0
    for synthesizer, release in releases.items():
        assert release.synthesizer == synthesizer.name
        assert release.epsilon == accountant.epsilon()  # the ledger of the whole run
    assert {entry.recipe for entry in accountant.ledger} == {"1-mst", "2-independent"}
    with pytest.raises(BudgetExceeded, match="fitted jointly"):
        Independent().fit(frame, SCHEMA, accountant, seed=0)


def test_a_larger_weight_buys_less_noise():
    def noise(weight):
        accountant = Accountant(PrivacyBudget(1.0, 1e-6))
        weights = {MST(): 1, Independent(): weight}
        fit_jointly(weights, tree_table(50, 0), SCHEMA, accountant, seed=0)
        return next(e.event.stddev for e in accountant.ledger if e.recipe == "2-independent")

    # Two thirds of the zCDP cost where it was a third: half of the variance.
    assert noise(2) == pytest.approx(noise(0.5) / np.sqrt(2), rel=0.01)


@pytest.mark.parametrize("weight", [0, -1, float("nan"), float("inf")])
def test_a_weight_must_be_a_finite_number_above_zero(weight):
    accountant = Accountant(PrivacyBudget(1.0, 1e-6))
    with pytest.raises(ValueError, match="must be a finite number above 0"):
        fit_jointly({MST(): weight}, tree_table(5, 0), SCHEMA, accountant)
    assert len(accountant.ledger) == 0
