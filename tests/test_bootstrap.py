"""Standard errors of a release's marginals: as large as its estimates really are off."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import pandas as pd
import pytest

from dp_synth.accounting import PrivacyBudget
from dp_synth.errors import InputError
from dp_synth.inference import MixtureModel, bootstrap, estimation, junction_tree
from dp_synth.inference.estimation import RESIDUAL
from dp_synth.schema import Schema
from dp_synth.synthesizers import AIM, MST, SYNTHESIZERS, CliqueTree, Independent
from dp_synth.transcript import measured

BUDGET = PrivacyBudget(1.0, 1e-6)
LARGE = PrivacyBudget(20.0, 1e-6)  # where samples move a model more than the noise does
SCHEMA = Schema.from_dict(
    {
        "name": "made",
        "columns": [
            {"name": "a", "type": "integer", "lower": 0, "upper": 9},
            {"name": "b", "type": "categorical", "categories": ["x", "y", "z"]},
            {"name": "c", "type": "categorical", "categories": ["x", "y", "z", "w"]},
        ],
    }
)


def made_frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 10, 3_000)
    b = (a // 4 + rng.integers(0, 2, 3_000)) % 3
    c = (b + rng.integers(0, 3, 3_000)) % 4
    return pd.DataFrame({"a": a, "b": np.array(list("xyz"))[b], "c": np.array(list("xyzw"))[c]})


FRAME = made_frame()
CODES = SCHEMA.encode(FRAME)


def exact_marginal(clique):
    table = np.zeros(SCHEMA.domain.shape(clique))
    np.add.at(table, tuple(CODES[:, SCHEMA.domain.axis(name)] for name in clique), 1)
    return table


@cache
def fitted(synthesizer, seed=0, budget=BUDGET):
    """A release of the table that several tests look at."""
    return synthesizer().fit(FRAME, SCHEMA, budget, seed=seed)


# Networks are not refitted to answers, so that they have no standard errors.
NETWORKS = ("dpgan", "dpctgan", "marginal_generator", "pategan", "patectgan")
REFITTED = {name: kind for name, kind in SYNTHESIZERS.items() if name not in NETWORKS}


@pytest.mark.parametrize("synthesizer", REFITTED.values(), ids=list(REFITTED))
def test_measured_marginals_are_off_by_about_their_standard_errors(synthesizer) -> None:
    away = []
    for seed in range(2):
        release = fitted(synthesizer, seed)
        for clique in {clique for clique in measured(release.transcript) if clique}:
            found = release.marginal(clique)
            assert found.counts.shape == found.stderr.shape == SCHEMA.domain.shape(clique)
            away.append(((found.counts - exact_marginal(clique)) / found.stderr).ravel())
    assert 0.5 < np.sqrt(np.mean(np.square(np.concatenate(away)))) < 2


def test_errors_of_one_way_marginals_without_pairs_are_those_of_the_noise() -> None:
    release = fitted(Independent)
    stddev = release.transcript[0].stddev
    ratio = release.marginal(["a"]).stderr / stddev
    # A root mean square of 20 normal numbers: between 0.45 and 1.65 but for one in a million.
    assert ((ratio > 0.4) & (ratio < 1.7)).all()


def test_a_count_that_was_cut_at_zero_has_the_error_of_its_noise() -> None:
    release = Independent().fit(FRAME.head(20), SCHEMA, BUDGET, seed=0)
    for name in SCHEMA.domain:
        found = release.marginal([name])
        near_zero = found.counts < release.transcript[0].stddev
        assert (found.stderr[near_zero] >= release.transcript[0].stddev).all()


def test_errors_shrink_as_epsilon_grows() -> None:
    releases = (fitted(MST, budget=budget) for budget in (BUDGET, LARGE))
    small, large = (release.marginal(["a", "b"]) for release in releases)
    assert large.stderr.mean() < 0.3 * small.stderr.mean()


def test_attributes_that_were_not_measured_together_have_counts_and_errors_too() -> None:
    release = fitted(CliqueTree)
    whole = release.marginal(["c", "a", "b"])
    assert whole.counts.shape == (4, 10, 3)
    assert (whole.stderr > 0).all()
    pair = release.marginal(["a", "c"])
    assert pair.counts == pytest.approx(whole.counts.sum(axis=2).T)
    assert release.marginal([]).counts == pytest.approx(release.model.total)
    assert release.marginal([]).stderr > 0


def test_the_same_release_states_the_same_errors_and_computes_them_once(monkeypatch) -> None:
    releases = [AIM().fit(FRAME, SCHEMA, BUDGET, seed=2) for _ in range(2)]
    one, other = (release.marginal(["a", "b"]).stderr for release in releases)
    assert np.array_equal(one, other)
    monkeypatch.setattr("dp_synth.release.replicas", None)
    assert np.array_equal(releases[0].marginal(["b", "a"]).stderr.T, one)


@pytest.mark.parametrize(
    ("clique", "said"),
    [
        (["a", "job"], "no column 'job'; there are: a, b, c"),
        (["a", "a"], "names each column once"),
        (["a", "b", "c"], "has 120 cells, at most 100 are allowed"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_one_line(clique, said, monkeypatch) -> None:
    release = fitted(Independent)
    monkeypatch.setattr("dp_synth.release.MAX_CELLS", 100)
    with pytest.raises(InputError, match=said) as raised:
        release.marginal(clique)
    assert "\n" not in str(raised.value)
    assert junction_tree.MAX_CELLS > 120


def deviations(release, count, **settings):
    """How far replicas' cells lie from the model's, a line a replica, for columns and pairs."""
    names = SCHEMA.domain.attributes
    cliques = [(a,) for a in names] + [(a, b) for a in names for b in names if a < b]
    model = release.model
    away = [
        np.concatenate([(r.model.marginal(c) - model.marginal(c)).ravel() for c in cliques])
        for r in bootstrap.replicas(model, release.transcript, count=count, **settings)
    ]
    return np.array(away)


@pytest.mark.parametrize("redraw", [False, True])
@pytest.mark.parametrize("synthesizer", [CliqueTree, MST, AIM])
def test_quick_refits_spread_as_tight_ones_do(synthesizer, redraw, monkeypatch) -> None:
    release = fitted(synthesizer)
    quick = deviations(release, 60, redraw=redraw)
    monkeypatch.setattr(estimation, "RESIDUAL", 1e-6)
    monkeypatch.setattr(estimation, "ITERATIONS", 5_000)
    tight = deviations(release, 60, redraw=redraw)
    # The same noise and the same records: what differs is the optimisation alone, at most about
    # RESIDUAL of how far all moves. A standard error can then be off by as much, and is off by
    # half its square, 0.5 %, where the error of the optimum does not go along with the move.
    assert np.linalg.norm(quick - tight) < 1.5 * RESIDUAL * np.linalg.norm(tight)
    ratio = np.sqrt(np.mean(quick**2, axis=0) / np.mean(tight**2, axis=0))
    assert abs(np.mean(ratio) - 1) < 0.02
    # Of other noise, such ratios have a deviation of sqrt(1 / (2 * 60) + 1 / (2 * 60)) = 0.13.
    assert np.max(np.abs(ratio - 1)) < 0.13


@pytest.mark.parametrize("synthesizer", [CliqueTree, MST])
def test_redrawn_replicas_spread_as_fits_of_new_samples_of_a_population(synthesizer) -> None:
    rng, fits = np.random.default_rng(5), 40
    release = fitted(synthesizer, budget=LARGE)
    population = release.model
    ones = [(name,) for name in SCHEMA.domain]
    found = []
    for seed in range(fits):
        codes = population.draw(len(FRAME), rng)
        frame = SCHEMA.decode(codes, rng)
        model = synthesizer().fit(frame, SCHEMA, LARGE, seed=seed).model
        found.append(np.concatenate([model.marginal(one) for one in ones]))
    fresh = np.std(found, axis=0, ddof=1)
    drawn = bootstrap.replicas(population, release.transcript, redraw=True, count=fits)
    replicated = [np.concatenate([r.model.marginal(one) for one in ones]) for r in drawn]
    ratio = np.std(replicated, axis=0, ddof=1) / fresh
    # The ratio of two deviations of 40 normal numbers each is 1 up to sqrt(1 / 80 + 1 / 80) =
    # 0.16; four of these for one of the 17 cells, and their mean, as if of four alone, to three.
    assert np.max(np.abs(np.log(ratio))) < 4 * 0.16
    assert abs(np.mean(np.log(ratio))) < 3 * 0.16 / 2
    # What the sampling of 3,000 records alone does to a column: without it, the spread is less.
    # The noise is a 30th of it all, of which ten normal numbers tell up to sqrt(1 / 18) = 0.24.
    noise_alone = bootstrap.replicas(population, release.transcript, redraw=False, count=10)
    still = [np.concatenate([r.model.marginal(one) for one in ones]) for r in noise_alone]
    assert np.mean(np.std(still, axis=0, ddof=1)) < 0.5 * np.mean(fresh)


def test_a_replica_holds_its_records_in_the_smallest_integers() -> None:
    release = fitted(MST)
    drawn = list(bootstrap.replicas(release.model, release.transcript, redraw=True, count=40))
    assert {one.codes.shape for one in drawn} == {(round(release.model.total), 3)}
    assert {one.codes.dtype for one in drawn} == {np.dtype(np.uint8)}
    expected = release.model.marginal(("a",))
    counts = [np.bincount(one.codes[:, 0], minlength=10) for one in drawn]
    # Binomial: the mean of 40 to four of its deviations, their variance to four of its own.
    spread = np.sqrt(expected * (1 - expected / release.model.total))
    assert (np.abs(np.mean(counts, axis=0) - expected) < 4 * spread / np.sqrt(40)).all()
    assert (np.abs(np.var(counts, axis=0) / spread**2 - 1) < 4 * np.sqrt(2 / 40)).all()


def test_a_large_table_is_drawn_in_part_and_spreads_as_if_it_were_whole(monkeypatch) -> None:
    release = MST().fit(FRAME, SCHEMA, PrivacyBudget(1000.0, 1e-6), seed=0)
    whole = deviations(release, 80, redraw=True)
    monkeypatch.setattr(bootstrap, "DRAWN", 1_000)
    part = list(bootstrap.replicas(release.model, release.transcript, redraw=True, count=2))
    assert [one.codes for one in part] == [None, None]
    scaled = deviations(release, 80, redraw=True)
    ratio = scaled[:, :10].std(axis=0) / whole[:, :10].std(axis=0)
    assert np.max(np.abs(np.log(ratio))) < 4 * 0.11  # sqrt(1 / 160 + 1 / 160), four times


def test_several_tables_come_from_models_that_differ_as_their_noise_and_records_do() -> None:
    release = fitted(CliqueTree)
    tables = list(release.sample_many(4, 500, seed=1))
    assert [list(table.columns) for table in tables] == [list(SCHEMA.names)] * 4
    assert [len(table) for table in tables] == [500] * 4
    again = list(release.sample_many(4, 500, seed=1))
    assert all(one.equals(other) for one, other in zip(tables, again, strict=True))
    assert not tables[0].equals(tables[1])
    assert {len(table) for table in release.sample_many(2, seed=0)} == {round(release.model.total)}
    assert next(release.sample_many(2, 5, seed=0, kinds="written"))["b"].dtype == object


def test_tables_are_refused_in_one_line_where_there_are_no_replicas() -> None:
    release = fitted(Independent)
    for m in (1, 0):
        with pytest.raises(InputError, match=f"must be 2 or more, got {m}"):
            release.sample_many(m)
    without = dataclasses.replace(release, transcript=())
    with pytest.raises(InputError, match="no transcript, and so no replicas"):
        without.sample_many(2)
    mixture = MixtureModel(
        SCHEMA.domain, np.ones(1), tuple(np.full((1, s), 1 / s) for s in SCHEMA.domain.sizes), 9.0
    )
    with pytest.raises(InputError, match="a network, and so no replicas"):
        dataclasses.replace(release, model=mixture).sample_many(2)
