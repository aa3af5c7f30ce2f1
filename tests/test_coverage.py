"""Printed intervals miss the truth as often as they say: a light version of the full table."""

from __future__ import annotations

import pytest
from scipy.stats import binom

from experiments.verified.coverage import measured
from experiments.verified.laws import CASES, Case

REPEATS = 60
CHANCE = 1e-6  # that a test of honest intervals fails
# Beside nominal: laws that are not normal, where quantiles of Student are not exact.
ROUGH = 0.03
# The rest takes longer, or is exact by construction: experiments/verified has all of them.
LIGHT = (
    "Scores.auc, by run",
    "Scores.auc, by target",
    "t interval over seeds",
    "difference of two methods, seed by seed",
    "whisker of a figure or page",
    "live cell, prediction",
    "share of real rows",
    "excess risk",
    "difference of two groups",
    "mean over groups",
    "accuracy loss, recall gain",
    "auc loss or gain",
    "r2",
    "mean_absolute_error",
    "tv1",
    "subgroups, gap of rates",
    "subgroups, worst rate",
    "several_models:rank_agreement",
)
CELLS = [(case, size) for case in CASES if case.name in LIGHT for size in case.sizes if size < 60]


@pytest.mark.parametrize(
    ("case", "size"), CELLS, ids=[f"{case.name}-{case.law}-{size}" for case, size in CELLS]
)
def test_an_interval_of_few_misses_no_more_often_than_it_says(case: Case, size: int) -> None:
    cell = measured(case, size, REPEATS)
    most = binom.isf(CHANCE / len(CELLS), REPEATS, case.nominal + ROUGH)
    assert cell.misses <= most
    assert cell.printed == REPEATS


@pytest.mark.parametrize("law", ["chance", "runs move members against others"])
def test_an_area_over_five_runs_is_missed_at_the_level_that_it_states(law: str) -> None:
    [case] = [one for one in CASES if (one.name, one.law) == ("Scores.auc, by run", law)]
    cell = measured(case, 5, 1000)
    assert cell.misses <= binom.isf(CHANCE, 1000, case.nominal)  # percentiles of a bootstrap: 12 %


def test_every_light_case_is_there() -> None:
    assert {case.name for case, _ in CELLS} == set(LIGHT)
