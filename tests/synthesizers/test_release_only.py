"""Runs of the mechanism alone: what a fit would release, with noise of its own in each run."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from small_settings import small

from dp_synth.accounting import Accountant, Gaussians, Plan, PrivacyBudget
from dp_synth.counting import CodeCounts
from dp_synth.errors import InputError
from dp_synth.schema import Schema
from dp_synth.synthesizers import (
    MST,
    SYNTHESIZERS,
    CliqueTree,
    Independent,
    PrivBayes,
    PublishedMST,
)
from dp_synth.transcript import Answer, MarginalAnswer, ScoresAnswer, chosen, measured

BUDGET = PrivacyBudget(1.0, 1e-6)
SCHEMA = Schema.from_dict(
    {
        "name": "made",
        "columns": [
            {"name": "a", "type": "integer", "lower": 0, "upper": 5},
            {"name": "b", "type": "categorical", "categories": ["x", "y", "z"]},
            {"name": "c", "type": "categorical", "categories": ["x", "y"]},
        ],
    }
)
WAGES = Schema.from_dict(
    {"name": "wages", "columns": [{"name": "wage", "type": "real", "lower": 0, "upper": 1000}]}
)


def made_frame(records: int = 3_000) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 6, records)
    b = np.array(["x", "y", "z"])[(a // 2 + (rng.random(records) < 0.2)) % 3]
    return pd.DataFrame({"a": a, "b": b, "c": np.where(a > 2, "x", "y")})


def outline(answers: tuple[Answer, ...]) -> Counter[tuple[str, str, str]]:
    return Counter((type(answer).__name__, answer.part, answer.why) for answer in answers)


@pytest.fixture(params=list(SYNTHESIZERS))
def synthesizer(request):
    return small(request.param)


def test_a_run_asks_all_that_a_fit_asks(synthesizer) -> None:
    (run,) = synthesizer.release_only(made_frame(), SCHEMA, BUDGET, seed=1)
    fitted = synthesizer.fit(made_frame(), SCHEMA, BUDGET, seed=1).transcript
    assert outline(run).keys() == outline(fitted).keys()
    if synthesizer.name not in ("aim", "privbayes"):  # how often these ask depends on their noise
        assert outline(run) == outline(fitted)


def test_runs_differ_and_one_seed_gives_them_again(synthesizer) -> None:
    first, again, other = (
        synthesizer.release_only(made_frame(300), SCHEMA, BUDGET, runs=2, seed=seed)
        for seed in (3, 3, 4)
    )

    def values(run: tuple[Answer, ...]) -> list[list[float]]:
        return [a.values.tolist() for a in run if isinstance(a, MarginalAnswer | ScoresAnswer)]

    assert list(map(values, first)) == list(map(values, again))
    assert values(first[0]) != values(first[1])
    assert list(map(values, first)) != list(map(values, other))


def test_without_a_seed_no_two_calls_agree() -> None:
    one, two = (Independent().release_only(made_frame(9), SCHEMA, BUDGET)[0] for _ in range(2))
    assert any(a.values.tolist() != b.values.tolist() for a, b in zip(one, two, strict=True))


def test_the_noise_of_each_run_is_that_of_the_whole_budget() -> None:
    runs, frame = 400, made_frame(1_000)
    answers = Independent().release_only(frame, SCHEMA, BUDGET, runs=runs, seed=0)
    fitted = Independent().fit(frame, SCHEMA, BUDGET, seed=0).transcript
    exact = np.bincount(frame["a"], minlength=6)
    noise = np.array([run[0].values - exact for run in answers]) / fitted[0].stddev
    assert all(run[0].stddev == fitted[0].stddev for run in answers)
    # The mean square of 2,400 standard normal numbers; five of its deviations: 1 in 2e6.
    assert abs(np.square(noise).mean() - 1) < 5 * np.sqrt(2 / noise.size) + 1 / 12
    correlation = np.corrcoef(noise[:-1].ravel(), noise[1:].ravel())[0, 1]
    assert abs(correlation) < 5 / np.sqrt(noise.size)  # between runs


@pytest.mark.parametrize("kind", [MST, CliqueTree, PrivBayes])
def test_no_model_is_fitted(kind, monkeypatch) -> None:
    def fail(*_arguments, **_options):
        raise AssertionError("fitted")

    monkeypatch.setattr("dp_synth.synthesizers._one_shot.estimate", fail)
    monkeypatch.setattr("dp_synth.synthesizers.privbayes._joint", fail)
    kind().release_only(made_frame(), SCHEMA, BUDGET, runs=2, seed=0)
    kind().select_only(made_frame(), SCHEMA, BUDGET, runs=2, seed=0)
    with pytest.raises(AssertionError, match="fitted"):
        kind().fit(made_frame(), SCHEMA, BUDGET, seed=0)


def test_records_are_counted_once_for_all_runs(monkeypatch) -> None:
    counted: list[int] = []
    plain = CodeCounts.marginals
    monkeypatch.setattr(
        CodeCounts,
        "marginals",
        lambda self, cliques: counted.append(len(cliques)) or plain(self, cliques),
    )
    published = PublishedMST()
    published.release_only(made_frame(), SCHEMA, BUDGET, runs=1, seed=0)
    once = sum(counted)
    published.release_only(made_frame(), SCHEMA, BUDGET, runs=30, seed=0)
    assert sum(counted) - once == once == 6  # three columns and three pairs


def test_the_cliques_selected_are_those_that_a_run_chooses_and_measures() -> None:
    frame, published = made_frame(), PublishedMST()
    for seed in range(3):
        (run,) = published.release_only(frame, SCHEMA, BUDGET, seed=seed)
        assert published.select_only(frame, SCHEMA, BUDGET, seed=seed) == [chosen(run)]
        assert measured(run)[3:] == chosen(run)
        (run,) = CliqueTree().release_only(frame, SCHEMA, BUDGET, seed=seed)
        (pairs,) = CliqueTree().select_only(frame, SCHEMA, BUDGET, seed=seed)
        assert set(pairs) == {clique for clique in measured(run) if len(clique) > 1}


def test_every_synthesizer_says_what_it_chose_in_each_run(synthesizer) -> None:
    found = synthesizer.select_only(made_frame(), SCHEMA, BUDGET, runs=3, seed=0)
    assert len(found) == 3
    assert all(set(clique) <= set(SCHEMA.names) for run in found for clique in run)
    assert any(found) == (
        synthesizer.name not in ("independent", "dpgan", "dpctgan", "pategan", "patectgan")
    )


def test_cells_that_a_run_chooses_are_part_of_what_it_releases() -> None:
    frame = pd.DataFrame({"wage": np.random.default_rng(0).gamma(2.0, 50.0, 500)})
    runs = Independent().release_only(frame, WAGES, BUDGET, runs=2, seed=0)
    for run in runs:
        assert {answer.part for answer in run} == {"bins", "ones"}
    fitted = Independent().fit(frame, WAGES, BUDGET, seed=0)
    assert {answer.part for answer in fitted.transcript} == {"bins", "ones"}


def test_an_empty_table_and_no_runs_take_the_same_path(synthesizer) -> None:
    empty = made_frame().head(0)
    assert len(synthesizer.release_only(empty, SCHEMA, BUDGET, runs=2, seed=0)) == 2
    assert synthesizer.release_only(empty, SCHEMA, BUDGET, runs=0) == []
    with pytest.raises(InputError, match="runs must be 0 or more, got -1"):
        synthesizer.release_only(empty, SCHEMA, BUDGET, runs=-1)


def test_a_repeat_is_charged_to_a_ledger_of_its_own_that_says_simulation() -> None:
    plan = Plan({"ones": Gaussians(2, noise_multiplier=9.0)})
    accountant = Accountant(BUDGET, simulate=True)
    piece = accountant.admit("made", plan)
    part = piece.plan.gaussians("ones")
    for _ in range(3):
        repeat = accountant.repeat(piece)
        repeat.charge(part, part.event(), 2, why="all")
        assert [entry.count for entry in repeat.accountant.ledger] == [2]
        assert repeat.accountant.ledger.epsilon == accountant.ledger.epsilon
        assert "simulation: each repeat" in str(repeat.accountant.ledger)
    assert len(accountant.ledger) == 0


def test_only_a_simulation_can_be_repeated() -> None:
    accountant = Accountant(BUDGET)
    piece = accountant.admit("made", Plan({"ones": Gaussians(2)}))
    with pytest.raises(ValueError, match="only a simulation"):
        accountant.repeat(piece)
