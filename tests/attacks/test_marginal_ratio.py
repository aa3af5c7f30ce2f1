from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from dp_synth.accounting import PrivacyBudget
from dp_synth.attacks import AttackerView, MarginalRatio, focal_points, marginal_ratio
from dp_synth.attacks.density import log_odds
from dp_synth.errors import InputError
from dp_synth.schema import Schema
from dp_synth.synthesizers import MST, Independent, PrivBayes, PublishedMST

NAMES = "abcd"
SCHEMA = Schema.from_dict(
    {"name": "t", "columns": [{"name": n, "type": "categorical", "size": 3} for n in NAMES]}
)
BUDGET = PrivacyBudget(epsilon=100, delta=1e-6)


def table(n, seed):
    """Records of which a and b agree, and c and d agree, nine times in ten."""
    rng = np.random.default_rng(seed)
    a, c = rng.integers(0, 3, (2, n))
    b, d = (np.where(rng.random(n) < 0.9, column, rng.integers(0, 3, n)) for column in (a, c))
    return pd.DataFrame({"a": a, "b": b, "c": c, "d": d})


def records_of(frame):
    return frame.to_dict("records")


def slow_ratio(record, clique, synthetic, reference, smoothing):
    """Counts in the record's cell: seen, expected, and the variance of what is to be expected."""
    counts, seen = (
        sum(all(one[name] == record[name] for name in clique) for one in records)
        for records in (synthetic, reference)
    )
    expected = (seen + smoothing) * len(synthetic) / len(reference)
    return counts, expected, expected * len(synthetic) / len(reference)


def slow_odds(record, clique, *tables):
    counts, expected, unsure = slow_ratio(record, clique, *tables)
    return float(log_odds(np.array([counts]), np.array([expected]), expected + unsure)[0])


def slow_beyond(record, parts, synthetic, reference, smoothing):
    """The log odds of a clique given those of its parts, as likely as a table is off elsewhere."""
    tables = (synthetic, reference, smoothing)

    def given_parts(one):
        counts, expected, unsure = slow_ratio(one, "".join(parts), *tables)
        expected *= np.exp(sum(slow_odds(one, part, *tables) for part in parts))
        return counts, expected, expected + unsure

    cells = {tuple(one[name] for name in "".join(parts)): one for one in reference}
    elsewhere = [given_parts(one) for one in cells.values()]
    off = np.mean([(counts - expected) ** 2 - v for counts, expected, v in elsewhere])
    counts, expected, variance = given_parts(record)
    return float(log_odds(np.array([counts]), np.array([expected]), variance + max(off, 0))[0])


def test_without_a_synthesizer_all_pairs_count_as_in_a_random_tree():
    targets, frames = table(10, 0), (table(60, 1), table(90, 2))
    tables = (*map(records_of, frames), 0.3)
    view = AttackerView(frames[0], SCHEMA, frames[1])
    scores = MarginalRatio(smoothing=0.3).scores(targets, view)
    for score, target in zip(scores, records_of(targets), strict=True):
        # a tree of 4 columns has 3 of the 6 pairs
        expected = sum(slow_odds(target, name, *tables) for name in NAMES) + sum(
            slow_beyond(target, pair, *tables) / 2 for pair in combinations(NAMES, 2)
        )
        assert score == pytest.approx(expected)


def test_focal_points_are_what_the_synthesizer_chooses():
    view = AttackerView(
        table(500, 0), SCHEMA, table(2000, 1), synthesizer=PublishedMST(), budget=BUDGET
    )
    weights = focal_points(view, 5, 0)
    assert weights["a", "b"] == weights["c", "d"] == 1
    assert sum(weights.values()) == pytest.approx(3)  # a tree a run
    assert focal_points(view, 5, 1)["a", "b"] == 1


def test_chosen_pairs_count_by_how_often_they_are_chosen(monkeypatch):
    targets, frames = table(10, 0), (table(60, 1), table(90, 2))
    tables = (*map(records_of, frames), 0.5)
    chosen = {("a", "b"): 1.0, ("b", "c"): 0.25}
    monkeypatch.setattr(marginal_ratio, "focal_points", lambda view, runs, seed: chosen)
    scores = MarginalRatio().scores(targets, AttackerView(frames[0], SCHEMA, frames[1]))
    for score, target in zip(scores, records_of(targets), strict=True):
        expected = sum(slow_odds(target, name, *tables) for name in NAMES)
        expected += slow_beyond(target, ("a", "b"), *tables)
        expected += slow_beyond(target, ("b", "c"), *tables) / 4
        assert score == pytest.approx(expected)


def test_a_network_is_scored_by_each_attribute_given_its_parents(monkeypatch):
    targets, frames = table(10, 0), (table(60, 1), table(90, 2))
    tables = (*map(records_of, frames), 0.5)
    chosen = {("a",): 1.0, ("b", "a"): 1.0, ("d", "c", "a"): 0.5}
    monkeypatch.setattr(marginal_ratio, "focal_points", lambda view, runs, seed: chosen)
    view = AttackerView(frames[0], SCHEMA, frames[1], algorithm="privbayes")
    scores = MarginalRatio().scores(targets, view)
    for score, target in zip(scores, records_of(targets), strict=True):
        expected = sum(slow_odds(target, name, *tables) for name in NAMES)
        expected += slow_beyond(target, ("b", "a"), *tables)
        expected += slow_beyond(target, ("d", "ca"), *tables) / 2
        assert score == pytest.approx(expected)


@pytest.mark.parametrize("off", [0, 1])
def test_a_clique_that_is_off_everywhere_says_less_of_each_target(off):
    reference = table(900, 2)
    synthetic = table(90, 1)
    if off:  # b no longer goes with a: a model that leaves the pair out
        synthetic["b"] = synthetic["b"].sample(frac=1, random_state=0).to_numpy()
    targets = table(20, 0)
    targets["b"] = (targets["a"] + 1) % 3
    tables = (records_of(synthetic), records_of(reference), 0.5)
    said = [slow_beyond(target, ("a", "b"), *tables) for target in records_of(targets)]
    full = [
        slow_odds(target, "ab", *tables)
        - slow_odds(target, "a", *tables)
        - slow_odds(target, "b", *tables)
        for target in records_of(targets)
    ]
    assert (max(said) < max(full) / 2) == bool(off)


@pytest.mark.parametrize("synthesizer", [PrivBayes(), MST()])
def test_rehearsals_are_of_as_many_records_as_were_fitted(synthesizer, monkeypatch):
    sizes = []

    def select_only(self, data, schema, budget, *, runs=1, seed=None):
        sizes.append((len(data), budget))
        return [(("a", "b"),)]

    monkeypatch.setattr(type(synthesizer), "select_only", select_only)
    known = {"synthesizer": synthesizer, "budget": BUDGET}
    reference = table(20, 1)
    focal_points(AttackerView(table(7, 0), SCHEMA, reference, **known), 2, 0)
    focal_points(AttackerView(table(7, 0), SCHEMA, reference, **known, records=50), 1, 0)
    assert sizes == [(7, BUDGET), (7, BUDGET), (50, BUDGET)]
    focal_points(AttackerView(table(7, 9), SCHEMA, reference, **known), 2, 0)
    assert len(sizes) == 3  # another synthetic table of the same fit
    focal_points(AttackerView(table(7, 0), SCHEMA, reference.copy(), **known), 1, 0)
    assert len(sizes) == 4


def test_a_synthesizer_that_chooses_nothing_is_attacked_by_all_pairs():
    known = AttackerView(
        table(50, 0), SCHEMA, table(80, 1), synthesizer=Independent(), budget=BUDGET
    )
    unknown = AttackerView(table(50, 0), SCHEMA, table(80, 1))
    assert focal_points(known, 2, 0) == {}
    scores = [MarginalRatio().scores(table(9, 2), view) for view in (known, unknown)]
    np.testing.assert_array_equal(*scores)


@pytest.mark.parametrize("rows", [(0, 5), (5, 0)])
def test_empty_tables_give_finite_scores(rows):
    view = AttackerView(
        table(rows[0], 0), SCHEMA, table(rows[1], 1), synthesizer=MST(), budget=BUDGET
    )
    assert not MarginalRatio().scores(table(3, 2), view).any()


def test_one_attribute_is_enough():
    schema = SCHEMA.select(["b"])
    scores = MarginalRatio().scores(table(5, 0), AttackerView(table(9, 1), schema, table(9, 2)))
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("settings", [{"runs": 0}, {"smoothing": 0.0}])
def test_settings_without_meaning_are_refused(settings):
    with pytest.raises(InputError, match=next(iter(settings))):
        MarginalRatio(**settings)
