"""The tables in the documents are those that the committed results give, figure by figure."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks import deep_tables, fits, tables
from benchmarks.inputs import Source
from benchmarks.versions import lines_by
from dp_synth import datasets
from dp_synth.records import Spread

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


def test_a_line_is_a_cell_of_a_grid_and_what_seeds_have_in_common_stands_once() -> None:
    one = fits.Fits(Source("adult"), [("mst", {"as_published": True})], [1.0], (0, 1))
    whole = fits._whole("mst", {"as_published": True})
    cells = [("mst", whole, 1.0, 0, ""), ("mst", whole, 1.0, 1, "ValueError: no")]
    cells += [(name, "{}", None, seed, "") for name in fits.BASELINES for seed in (0, 1)]
    values = {"tv2": 0.1, "tv2_holdout": 0.2, "cost:fit_peak_mb": 300.0, "kmarginal": 1.0}
    rows = [
        dict(zip(("synthesizer", "settings", "epsilon", "seed", "error"), cell, strict=True))
        | {"metric": metric if not cell[-1] else "", "value": value}
        for cell in cells
        for metric, value in values.items()
    ]
    data, frame = datasets.load("adult"), pd.DataFrame(rows)
    done, failed = one._lines(frame, data)
    sizes = {"records": float(len(data.train)), "columns": float(len(data.schema.names))}
    assert done["values"] == sizes | {"tv": 0.1, "tv_holdout": 0.2, "megabytes": 300.0}
    assert done["settings"] == failed["settings"] == {"as_published": True}
    assert (failed["error"], failed["seed"]) == ("ValueError: no", 1)
    beside = list(replace(one, baselines=True)._lines(frame, data))[2:]
    assert [line["synthesizer"] for line in beside] == [
        "real rows",
        "held-out rows",
        *["independent without noise"] * 2,
    ]
    assert beside[1]["values"] == sizes | {"tv": 0.1}
    assert {line["epsilon"] for line in beside} == {0.0}


def test_another_version_gives_its_package_and_none_of_its_scripts(tmp_path: Path) -> None:
    for folder, text in (("dp_synth", "the other package"), ("benchmarks", "another script")):
        (tmp_path / folder).mkdir()
        told = f"print({text!r})\nraise SystemExit(0)\n"
        (tmp_path / folder / "__init__.py").write_text(told, encoding="utf-8")
    assert lines_by(tmp_path, "benchmarks.measured") == [
        "the other package"
    ]  # which it imports first
