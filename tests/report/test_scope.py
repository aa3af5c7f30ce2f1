"""The scope says of every column and pair what the interval of a question about it says itself."""

import json
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from made_release import SCHEMA, TRAIN, people

import dp_synth as dps
from dp_synth.estimates import Mean, Regression, Share
from dp_synth.inference import MixtureModel
from dp_synth.report import DataCard, data_card, judge, scope_of
from dp_synth.report.gate import Policy
from dp_synth.report.pages import card_page
from dp_synth.report.scope import FIRST, MOST_LISTED, SHOWN, Cliques
from dp_synth.transcript import MarginalAnswer

BUDGET = dps.PrivacyBudget(5.0, 1e-5)
MANY = people(3_000, 5)
DECLARED = [Share({"ill": "1"}, {"job": "0"}), Regression("ill ~ age", logistic=True)]
RELEASES = {
    "independent": dps.Independent().fit(MANY, SCHEMA, BUDGET, seed=0),
    "mst": dps.MST().fit(MANY, SCHEMA, BUDGET, seed=0),
    "clique_tree": dps.CliqueTree().fit(MANY, SCHEMA, BUDGET, seed=0),
    "aim": dps.AIM().fit(MANY, SCHEMA, BUDGET, seed=0),
    "validated": dps.Independent().fit(
        MANY,
        SCHEMA,
        BUDGET,
        seed=0,
        validation=dps.Validation(0.1, columns=("job", "age", "ill")),
    ),
}
ASKED = dps.Independent().fit(MANY, SCHEMA, BUDGET, seed=0, questions=DECLARED)


def network(release):
    """Return the release as if a network had been fitted."""
    tables = tuple(np.full((1, size), 1 / size) for size in release.schema.domain.sizes)
    model = MixtureModel(release.schema.domain, np.ones(1), tables, release.model.total)
    return replace(release, model=model)


def group(name):
    """Return a condition on a column that a part of the records meets."""
    return {"job": "0", "ill": "1", "age": (18, 45), "income": (0, 200)}[name]


def asked_of(release, pair):
    """Return the estimate of a question about two columns."""
    first, second = pair
    return release.estimate(Share({first: group(first)}, {second: group(second)}))


@pytest.mark.parametrize("name", RELEASES)
def test_each_pair_is_listed_as_its_own_interval_says(name):
    release, scope = RELEASES[name], scope_of(RELEASES[name])
    listed = (scope.pairs_measured, scope.pairs_judged, scope.pairs_uncovered)
    every = set(combinations(release.schema.domain.attributes, 2))
    assert sorted(pair for one in listed for pair in one.first) == sorted(every)
    assert [one.count for one in listed] == [len(one.first) for one in listed]
    for pair in every:
        estimate = asked_of(release, pair)
        assert (pair in scope.pairs_uncovered.first) == bool(estimate.not_covered)
        if pair in scope.pairs_judged.first:
            assert estimate.misfit > 0
    together = {
        pair
        for answer in release.transcript
        if isinstance(answer, MarginalAnswer)
        for pair in combinations(answer.clique, 2)
    }
    assert {frozenset(pair) for pair in scope.pairs_measured.first} == set(map(frozenset, together))


def test_methods_know_of_pairs_what_they_paid_for():
    scopes = {name: scope_of(release) for name, release in RELEASES.items()}
    assert scopes["independent"].pairs_uncovered.count == 6
    assert scopes["mst"].pairs_measured.count == scopes["mst"].pairs_judged.count == 3
    assert scopes["aim"].pairs_judged.count > 0  # by the noise of its rounds
    for name in ("mst", "clique_tree", "aim"):
        assert scopes[name].pairs_uncovered.count == 0
    validated = scopes["validated"]
    assert set(validated.pairs_judged.first) == set(combinations(("job", "age", "ill"), 2))
    assert {pair for pair in validated.pairs_uncovered.first if "income" not in pair} == set()


def test_a_column_is_measured_where_noisy_counts_of_it_are_over_its_own_cells():
    release = RELEASES["mst"]
    assert scope_of(release).columns_measured.count == 4
    kept = tuple(
        answer
        for answer in release.transcript
        if answer.part == "bins"
        or not (isinstance(answer, MarginalAnswer) and "income" in answer.clique)
    )
    scope = scope_of(replace(release, transcript=kept))
    assert scope.columns_uncovered == Cliques(1, (("income",),))
    assert "without counts of its own" in " ".join(row.questions for row in scope.rows())
    assert any(answer.part == "bins" and "income" in answer.clique for answer in kept)


@pytest.mark.parametrize("name", ["mst", "aim", "validated"])
def test_no_pair_is_judged_one_column_of_which_has_no_counts(name):
    release = RELEASES[name]
    kept = tuple(
        answer
        for answer in release.transcript
        if not (
            isinstance(answer, MarginalAnswer)
            and ("age" in answer.clique or {"job", "ill"} <= set(answer.clique))
        )
    )
    scope = scope_of(replace(release, transcript=kept))
    of_age = {pair for pair in combinations(SCHEMA.domain.attributes, 2) if "age" in pair}
    assert scope.columns_uncovered.first == (("age",),)
    assert of_age <= set(scope.pairs_uncovered.first)
    listed = (scope.pairs_measured, scope.pairs_judged, scope.pairs_uncovered)
    assert [one.count for one in listed] == [len(one.first) for one in listed]
    assert sum(one.count for one in listed) == 6
    assert ("job", "ill") in scope.pairs_judged.first


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (network, "its model is a network"),
        (lambda release: replace(release, transcript=()), "without the noisy answers"),
    ],
    ids=["network", "without a transcript"],
)
def test_a_release_without_replicas_covers_nothing_that_was_not_declared(change, said):
    release = change(RELEASES["mst"])
    scope = scope_of(release)
    assert said in scope.unanswered
    assert said in scope.summary
    counts = (scope.columns_uncovered.count, scope.pairs_uncovered.count)
    assert (counts, scope.columns_measured.count) == ((4, 6), 0)
    assert [row.questions for row in scope.rows()] == ["all others"]
    with pytest.raises(dps.InputError, match="nothing to tell errors by"):
        release.estimate(Mean("age"))


@pytest.mark.parametrize("change", [lambda release: release, network], ids=["tree", "network"])
def test_answers_to_declared_questions_are_those_of_the_release(change):
    release = change(ASKED)
    scope = scope_of(release)
    share, terms = (release.estimate(question) for question in DECLARED)
    told = [share, *terms.values()]
    assert [one.sentence for one in scope.declared] == [one.sentence for one in told]
    assert [one.name for one in scope.declared] == ["share", "Intercept", "age"]
    for one, estimate in zip(scope.declared, told, strict=True):
        assert (one.value, one.low, one.high) == (estimate.value, estimate.low, estimate.high)
    assert "2 questions were declared" in scope.summary
    assert scope.rows()[0].questions == "declared before the fit"
    page = card_page(data_card(release))
    assert all(one.sentence.partition(":")[2] in page for one in scope.declared)


def test_an_interval_without_an_end_is_null_in_the_file():
    possible = (-np.inf, np.inf)  # not of a share, which ends at 0 and 1
    endless = tuple(replace(one, curvature=np.inf, possible=possible) for one in ASKED.answers)
    release = replace(ASKED)
    release.__dict__["answers"] = endless
    written = json.loads(data_card(release).to_json(), parse_constant=pytest.fail)
    ends = {(one["low"], one["high"]) for one in written["publishable"]["scope"]["declared"]}
    assert ends == {(None, None)}


def test_of_a_wide_table_pairs_are_counted_and_the_first_named():
    names = [f"c{i}" for i in range(60)]
    columns = [{"name": name, "type": "categorical", "size": 2} for name in names]
    schema = dps.Schema.from_dict({"name": "wide", "columns": columns})
    rows = pd.DataFrame(np.zeros((50, 60), dtype=int), columns=names)
    release = dps.Independent().fit(rows, schema, BUDGET, seed=0)
    scope = scope_of(release)
    pairs = list(combinations(names, 2))
    assert scope.pairs_uncovered == Cliques(len(pairs), tuple(pairs[:FIRST]))
    assert len(pairs) > MOST_LISTED >= scope.columns_measured.count == 60
    assert len(scope.columns_measured.first) == 60
    shown = scope.pairs_uncovered.shown
    assert shown.endswith(f"and {len(pairs) - SHOWN:,} more")
    assert shown.count(",") == SHOWN - 1 + 1  # between names, and in the thousands
    assert shown in card_page(data_card(release))


def test_columns_that_a_schema_does_not_have_are_not_spoken_of():
    release = RELEASES["mst"]
    scope = scope_of(replace(release, schema=SCHEMA.select(["job", "ill"])))
    assert scope.columns_measured.first == (("job",), ("ill",))
    pairs = (scope.pairs_measured, scope.pairs_judged, scope.pairs_uncovered)
    assert [pair for one in pairs for pair in one.first] == [("job", "ill")]
    assert sum(one.count for one in pairs) == 1


def test_one_column_has_neither_pairs_nor_three():
    schema = SCHEMA.select(["job"])
    scope = scope_of(dps.Independent().fit(TRAIN[["job"]], schema, BUDGET, seed=0))
    assert [row.questions for row in scope.rows()] == ["of one column"]
    assert "of 0 pairs 0 were measured" in scope.summary


def test_a_card_and_its_page_say_the_scope_and_are_read_again(tmp_path):
    card = data_card(RELEASES["validated"])
    scope = card.publishable.scope
    assert scope == scope_of(RELEASES["validated"])
    path, page = card.write(tmp_path / "card.json")
    assert DataCard.load(path) == card
    text = page.read_text()
    for row in scope.rows():
        assert row.names in text
        assert row.covers[1:] in text
    assert scope.summary in text


def test_a_card_of_an_older_version_says_nothing_and_is_read_as_it_was(tmp_path):
    release = RELEASES["mst"]
    card = data_card(release)
    old = replace(card, publishable=replace(card.publishable, scope=None))
    assert "scope" not in old.to_dict()["publishable"]
    path, page = old.write(tmp_path / "card.json")
    again = DataCard.load(path)
    assert (again, again.digest) == (old, old.digest)
    assert old.digest != card.digest
    assert 'id="scope"' not in page.read_text()
    (found,) = [
        one for one in judge(old, Policy(), release=release).checks if one.name == "release"
    ]
    assert not found.passed
    assert "publishable.scope" in found.value


def test_a_scope_that_was_changed_by_hand_is_not_that_of_its_release():
    card = data_card(RELEASES["independent"])
    flattering = replace(card.publishable.scope, pairs_uncovered=Cliques(0, ()))
    forged = replace(card, publishable=replace(card.publishable, scope=flattering))
    assert "publishable.scope.pairs_uncovered" in data_card(RELEASES["independent"]).differs_from(
        forged
    )
