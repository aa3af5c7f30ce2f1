"""The numbers of the paper, computed once more in another way."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks.calibration import floor, worst_fixed
from dp_synth.accounting import Gaussian, Selection, compose
from dp_synth.accounting.calibration import scaled
from dp_synth.audit import ceiling
from paper import collected
from paper.number import Number

ROOT = Path(__file__).parents[2]
NUMBERS = collected.collect()
RESULTS = ROOT / "benchmarks" / "results"


def frame(name: str) -> pd.DataFrame:
    return pd.json_normalize(
        [json.loads(line) for line in (RESULTS / name).read_text().splitlines()], max_level=1
    )


def test_means_and_intervals_over_seeds_are_those_of_the_lines() -> None:
    lines = frame("adult.jsonl")
    for method, values in (
        ("clique_tree", {"tv": "tv", "auc": "auc"}),
        ("privbayes", {"tv": "tv"}),
    ):
        for short, column in values.items():
            found = lines[(lines["synthesizer"] == method) & (lines["epsilon"] == 1)]
            sample = found[f"values.{column}"].to_numpy()
            ends = stats.t.interval(0.95, len(sample) - 1, sample.mean(), stats.sem(sample))
            number = NUMBERS[f"{method}_{short}_adult"]
            assert number.seeds == len(sample)
            assert (number.low, number.high) == pytest.approx(ends, rel=1e-12)


def test_comparisons_with_columns_are_told_by_their_intervals() -> None:
    rows = pd.read_json(ROOT / "experiments/many-tables/records.jsonl", lines=True)
    rows = rows[rows["metric"] == "tv2"].dropna(subset=["epsilon"])
    wide = rows.pivot_table(
        index=["dataset", "epsilon", "seed"], columns="synthesizer", values="value"
    )
    away = (wide["clique_tree"] - wide["independent"]).dropna().groupby(["dataset", "epsilon"])
    half = away.sem() * stats.t.ppf(0.975, away.count() - 1)
    assert NUMBERS["clique_tree_compared"].value == len(half) > 0
    assert NUMBERS["clique_tree_better"].value == (away.mean() + half < 0).sum()
    assert NUMBERS["clique_tree_worse"].value == (away.mean() - half > 0).sum()


def test_audits_that_are_counted_are_all_there_are() -> None:
    lines = [json.loads(line) for line in (RESULTS / "audits.jsonl").read_text().splitlines()]
    assert NUMBERS["audits"].value == len(lines)
    assert NUMBERS["audits_refuted"].value == sum(bool(line["violations"]) for line in lines)


def test_power_is_the_first_number_of_runs_that_reaches_the_share() -> None:
    lines = frame("audit_runs.jsonl")
    rows = lines[(lines["test"] == "area") & np.isclose(lines["factor"], 2)].sort_values("runs")
    first = rows[rows["alarms"] >= 0.8]["runs"].iloc[0]
    assert NUMBERS["power_area_2"].value == first
    assert not NUMBERS["power_area_2"].more_than


def test_the_ceiling_of_the_text_is_the_formula_of_the_code() -> None:
    def formula(runs: int, level: float) -> float:
        most = 1 - (level / 2) ** (1 / runs)
        return math.log((1 - most) / most)

    for runs in (100, 1000):
        assert formula(runs, 0.05) == pytest.approx(ceiling(runs, 0.05), rel=1e-9)


def test_the_floor_is_below_every_certified_factor_and_close_to_it() -> None:
    keys = [name for name in NUMBERS if name.startswith("mst_noise_floor")]
    assert keys
    for name in keys:
        here = NUMBERS[name.replace("floor", "here")].value
        assert NUMBERS[name].value < here < 1.01 * NUMBERS[name].value
        assert here < NUMBERS[name.replace("floor", "zcdp")].value


def test_the_floor_of_one_selection_alone_is_its_own_curve() -> None:
    """With hardly any Gaussian beside it the worst t gives the closed form of one selection."""
    for epsilon in (0.05, 0.2, 0.35):
        closed = (1 - math.exp((epsilon - 0.4) / 2)) ** 2 / (1 - math.exp(-0.4))
        assert worst_fixed(1e-4, 0.4, 1, epsilon) == pytest.approx(closed, rel=2e-3)


def test_the_floor_is_where_the_certified_curve_has_the_wanted_delta() -> None:
    events = [(Gaussian(3.0, 1.0), 4), (Selection(0.3), 3)]
    least = floor(events, 1.0, 1e-5)
    assert compose(scaled(events, least)).delta(1.0) >= 1e-5 * (1 - 1e-6)
    assert compose(scaled(events, 1.02 * least)).delta(1.0) < 1e-5


def test_a_rerun_with_other_seeds_is_within_the_tolerance_in_nineteen_of_twenty() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(2000):
        first, second = rng.normal(size=(2, 5))
        number = Number.over_seeds(list(first), 3, "", "")
        hits += abs(second.mean() - number.value) <= number.tolerance
    assert abs(hits / 2000 - 0.95) < 0.03


def test_every_number_names_a_file_of_the_repository() -> None:
    stored = json.loads((ROOT / "paper" / "numbers.json").read_text(encoding="utf-8"))
    assert set(stored) == set(NUMBERS)
    for name, entry in stored.items():
        assert (ROOT / entry["record"]).exists(), name
        assert entry["how"], name
        assert entry["tolerance"] >= 0, name
