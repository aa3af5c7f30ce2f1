"""The tables in the documents are those that the committed results give, figure by figure."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import deep_tables
import numpy as np
import pytest
import tables
from measured import Spread
from scipy import stats

Draw = Callable[[Path], None]


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch) -> Draw:
    """Run the script that draws the tables so that it looks only; SystemExit where one differs."""

    def run(results: Path) -> None:
        monkeypatch.setattr(sys, "argv", ["tables.py", "--check", "--results", str(results)])
        tables.main()

    return run


def test_every_measured_table_is_drawn_from_the_committed_results(check: Draw) -> None:
    check(Path(tables.__file__).with_name("results"))


def test_a_table_that_other_results_give_is_noticed(check: Draw, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="its tables are not those of"):
        check(tmp_path)


EPSILONS = (0.3, 1.0, 3.0, 10.0)
KEPT = {"dataset": "adult", "task": "utility", "settings": "{}", "delta": 1e-5}
KEPT |= {"adjacency": "add_remove", "low": None, "high": None, "seconds": 1.0, "version": "1.0"}
KEPT |= {"error": "", "command": "make it"}


def kept_raw(folder: Path, seeds: int) -> None:
    """Keep made-up values of one network: both AUC rise with epsilon, TV of pairs does not."""
    values = {"auc:gradient_boosting": 0.8, "auc:logistic_regression": 0.7, "tv2": 0.1}
    lines = [
        KEPT
        | {"synthesizer": "dpgan", "epsilon": epsilon, "seed": seed, "metric": metric}
        | {"value": value + (0.001 * i + 0.0001 * seed if metric != "tv2" else 0.001 * seed)}
        for metric, value in values.items()
        for i, epsilon in enumerate(EPSILONS)
        for seed in range(seeds)
    ]
    (folder / "deep.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def kept_coded(folder: Path) -> None:
    values = {"tv": 0.05, "auc": 0.9, "auc_logistic": 0.88, "fit_seconds": 70.0, "megabytes": 500.0}
    lines = [
        {"table": table, "synthesizer": "dpgan", "settings": {}, "epsilon": 1.0}
        | {"seed": seed, "values": {name: x + more + 0.001 * seed for name, x in values.items()}}
        for table, more in (("adult_discrete", 0.0), ("adult_raw", 0.01))
        for seed in range(3)
    ]
    (folder / "deep_adult.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def body(name: str, folder: Path) -> list[list[str]]:
    """Return the cells of a drawn table's rows, its head left out."""
    lines = deep_tables.DRAWN[name](folder).splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("name", deep_tables.DRAWN)
def test_what_has_no_record_yet_has_no_row(tmp_path: Path, name: str) -> None:
    assert body(name, tmp_path) == []


def test_networks_are_shown_with_the_interval_of_their_own_records(tmp_path: Path) -> None:
    kept_raw(tmp_path, seeds=3)
    kept_coded(tmp_path)
    rows = body("networks raw", tmp_path)
    expected = Spread.of([0.801, 0.8011, 0.8012]).shown(3)
    assert [row[:3] for row in rows] == [["dpgan", f"{e:g}", "3"] for e in EPSILONS]
    assert rows[1][4] == expected
    (coded,) = body("networks coded", tmp_path)
    assert coded[:2] == ["dpgan", "1"]
    assert coded[3] == Spread.of([0.9, 0.901, 0.902]).shown(3)
    (beside,) = body("networks beside", tmp_path)
    assert beside[4:6] == [Spread.of([0.91, 0.911, 0.912]).shown(3), coded[3]]


def test_growth_is_near_one_where_values_rise_and_unclear_where_they_do_not(tmp_path: Path) -> None:
    kept_raw(tmp_path, seeds=5)
    boosting, logistic, tv = body("networks growth", tmp_path)
    for rising in (boosting, logistic):
        assert rising[2] == "5"
        value, points, seeds = (float(cell) for cell in rising[3:])
        assert value > 0.9
        assert 0.8 < seeds <= points < value  # five seeds are few: farther off than a percentile
    assert float(tv[3]) == pytest.approx(0.0, abs=1e-9)
    assert float(tv[4]) < 0


def test_one_seed_is_too_few_for_a_lower_limit(tmp_path: Path) -> None:
    kept_raw(tmp_path, seeds=1)
    assert body("networks growth", tmp_path) == []


def test_correlations_are_those_of_scipy_ties_included() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(5, 4)).round(1)
    chosen = rng.integers(20, size=(50, 20))
    flat, epsilons = values.ravel(), np.tile(EPSILONS, 5)
    slow = [stats.spearmanr(flat[one], epsilons[one]).statistic for one in chosen]
    assert deep_tables.correlations(values, chosen) == pytest.approx(slow)
