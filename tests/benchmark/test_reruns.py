"""Sources are joined without counting anything twice, and live cells stand beside their records."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dp_synth.benchmark import Grid, combined, compare, failures
from dp_synth.benchmark.diff import COVERAGE, LiveCell
from dp_synth.records import RECORD_COLUMNS


def row(synthesizer, seed, value, **changes):
    plain = {
        "dataset": "adult",
        "task": "utility",
        "synthesizer": synthesizer,
        "settings": "{}",
        "epsilon": 1.0,
        "delta": 1e-5,
        "adjacency": "add_remove",
        "seed": seed,
        "metric": "tv2",
        "value": value,
        "low": value - 0.01,
        "high": value + 0.01,
        "seconds": 0.5,
        "version": "1.0",
        "error": "",
    }
    return plain | changes


def baseline(seed, value):
    budget = {"epsilon": np.nan, "delta": np.nan, "adjacency": None, "seconds": np.nan}
    return row("real_rows", seed, value, **budget)


def table(*rows):
    return pd.DataFrame(rows, columns=list(RECORD_COLUMNS))


RECORDED = [row("dpgan", seed, 0.10 + 0.01 * seed) for seed in range(3)]


def test_what_stands_in_several_sources_counts_once_and_the_first_counts():
    first = table(row("mst", 0, 0.2), baseline(0, 0.5))
    second = table(row("mst", 0, 0.3), row("mst", 1, 0.4), baseline(0, 0.6), baseline(1, 0.7))
    file = table(*RECORDED, baseline(0, 0.8), baseline(2, 0.9))
    found = combined([first, second], [file])
    assert not found["live"].any()
    assert found["value"].tolist() == pytest.approx([0.2, 0.5, 0.4, 0.7, 0.1, 0.11, 0.12, 0.9])


def test_only_fitted_cells_of_a_recorded_series_are_live():
    store = table(row("dpgan", 0, 0.1), row("mst", 0, 0.2), baseline(0, 0.5))
    store = store.assign(settings='{"steps":2}')
    other = row("dpgan", 0, 0.3, settings='{"steps":1}')
    found = combined([store, table(other)], [table(*RECORDED).assign(settings='{"steps":2}')])
    assert found["live"].tolist() == [True, False, False, False, False, False, False]


def test_a_field_that_was_added_since_does_not_part_a_live_cell_from_its_record():
    store = table(row("dpgan", 0, 0.1, settings='{"patience":0,"steps":2}'))
    found = combined([store], [table(*RECORDED).assign(settings='{"steps":2}')])
    assert found["live"].tolist() == [True, False, False, False]
    assert set(found["settings"]) == {'{"steps":2}'}


def test_without_files_nothing_is_live_and_files_can_stand_alone():
    assert not combined([table(*RECORDED)], [])["live"].any()
    alone = combined([], [table(*RECORDED)])
    assert len(alone) == 3
    assert not alone["live"].any()


HALF = 9.924843 * 0.01 * np.sqrt(1 + 1 / 3)  # t with 2 degrees of freedom, 99.5 %


@pytest.mark.parametrize(
    ("value", "agrees"),
    [(0.11, True), (0.11 + 0.99 * HALF, True), (0.11 - 1.01 * HALF, False), (0.5, False)],
)
@pytest.mark.parametrize("seed", [0, 7])
def test_a_live_cell_agrees_where_one_more_recorded_seed_could_lie(value, agrees, seed):
    """Whatever its own seed gave in the records: on another processor it is another draw."""
    (found,) = compare(combined([table(row("dpgan", seed, value))], [table(*RECORDED)]))
    assert str(found) == (
        f"dpgan epsilon 1 seed {seed} tv2: live {value:.4f}, recorded 0.1100 "
        "(3 seeds, another's in [-0.0046, 0.2246] at 99 %)"
    )
    assert (found.low, found.high) == pytest.approx((0.11 - HALF, 0.11 + HALF))
    assert found.agrees is agrees


def test_a_prediction_interval_holds_the_next_of_normal_values_as_often_as_it_says():
    draws = np.random.default_rng(0).normal(0.16, 0.037, (6_000, 6))
    found = [LiveCell.of("", draw[0], draw[1:], 0.0).agrees for draw in draws]
    assert np.mean(found) == pytest.approx(COVERAGE, abs=5 * np.sqrt(0.01 * 0.99 / 6_000))


def test_of_a_single_recorded_seed_the_record_has_its_own_interval():
    (found,) = compare(combined([table(row("dpgan", 0, 0.1))], [table(RECORDED[0])]))
    assert (found.low, found.high) == pytest.approx((0.08, 0.12))
    assert "recorded 0.1000 (1 seed, in [0.0800, 0.1200])" in str(found)


def test_a_live_cell_names_its_own_machine_and_those_of_the_records():
    here = {"processor": "A", "torch": "2.13", "kernels": "AVX2"}
    kept = [one | here | {"kernels": "AVX512"} for one in RECORDED[:2]]
    (found,) = compare(combined([table(row("dpgan", 0, 0.1, **here))], [table(*kept, RECORDED[2])]))
    assert found.machines == (
        "A, torch 2.13, AVX2",
        "A, torch 2.13, AVX512; a machine that is not recorded",
    )


def test_a_live_cell_of_which_every_record_failed_is_left_out():
    failed = row("dpgan", 0, np.nan, metric="", error="ImportError: no torch")
    assert compare(combined([table(row("dpgan", 0, 0.1))], [table(failed)])) == []


def test_equal_seeds_have_an_interval_of_one_value():
    kept = [row("dpgan", seed, 0.1) for seed in range(3)]
    found = compare(combined([table(row("dpgan", 0, 0.1))], [table(*kept)]))
    assert [one.agrees for one in found] == [True]


def test_a_live_cell_is_compared_with_records_of_its_own_epsilon_alone():
    others = [row("dpgan", seed, 0.5, epsilon=3.0) for seed in range(3)]
    store = table(row("dpgan", 0, 0.1), row("dpgan", 0, 0.9, metric="auc"))
    (found,) = compare(combined([store], [table(*others, *RECORDED)]))
    assert (found.recorded, found.seeds) == (pytest.approx(0.11), 3)


def test_a_live_cell_that_failed_is_named_with_its_reason():
    failed = row("dpgan", 0, np.nan, metric="", error="ImportError: no torch")
    records = combined([table(failed)], [table(*RECORDED)])
    assert compare(records) == []
    assert failures(records) == ["dpgan epsilon 1 seed 0: failed with ImportError: no torch"]


def test_the_live_grid_is_one_cell_of_each_network_of_the_recorded_grid():
    grids = Path(__file__).parents[2] / "benchmarks"
    live, whole = (
        {cell for cell in Grid.load(grids / name).cells({"adult": ""}) if not cell.is_baseline}
        for name in ("deep_live.yaml", "deep.yaml")
    )
    assert live < whole
    assert {(cell.task, cell.epsilon, cell.seed) for cell in live} == {("utility", 1.0, 0)}
    assert sorted(cell.synthesizer for cell in live) == sorted({c.synthesizer for c in whole})
