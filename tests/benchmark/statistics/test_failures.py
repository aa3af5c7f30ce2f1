"""A failed cell is counted, and takes a score for which failing never pays."""

import pytest
from made_cells import cell, table

from dp_synth.benchmark.statistics import adjusted, failed_cells
from dp_synth.errors import InputError

FLOOR = [cell("independent_without_noise", 0.5, epsilon=None, seed=seed) for seed in (0, 1)]


def failed_score(rows, **choices):
    found = adjusted(table(rows), "tv2", **choices)
    (row,) = found[found["failed"]].to_dict("records")
    return row["value"], row["took"]


def test_a_failed_cell_takes_the_score_of_the_floor():
    rows = [*FLOOR, cell("mst", 0.1), cell("mst", 0.2, seed=1), cell("aim", 0.1)]
    assert failed_score([*rows, cell("aim", None, seed=1)]) == (0.5, "independent_without_noise")


def test_failing_some_seeds_never_pays():
    rows = [*FLOOR, cell("aim", 0.7), cell("mst", 0.9), cell("aim", None, seed=1)]
    assert failed_score(rows) == (0.7, "worst_observed")  # its own, not that of mst


def test_failing_every_seed_is_no_better_than_the_worst_method():
    rows = [*FLOOR, cell("mst", 0.6), cell("mst", 0.8, seed=1), cell("dpgan", 0.1)]
    assert failed_score([*rows, cell("aim", None)]) == (pytest.approx(0.7), "worst_observed")


def test_without_the_floor_it_is_the_worst_that_was_seen_in_the_block():
    rows = [cell("mst", 0.6), cell("mst", 0.8, seed=1), cell("mst", 0.95, epsilon=0.1)]
    rows += [cell("aim", None)]
    assert failed_score(rows) == (0.8, "worst_observed")
    assert failed_score([*FLOOR, *rows], floor="worst_observed") == (0.8, "worst_observed")


def test_of_a_metric_whose_high_end_is_good_the_worst_is_the_least():
    rows = [row | {"metric": "kmarginal"} for row in [*FLOOR, cell("mst", 0.9), cell("mst", 0.3)]]
    rows[-1]["seed"] = 1
    found = adjusted(table([*rows, cell("aim", None)]), "kmarginal")
    assert found.loc[found["failed"], "value"].tolist() == [0.5]


def test_every_cell_that_ended_is_there_with_its_own_value():
    rows = [*FLOOR, cell("mst", 0.1), cell("aim", 0.3), cell("aim", None, seed=1)]
    found = adjusted(table(rows), "tv2")
    assert found[~found["failed"]].set_index("method")["value"].to_dict() == {
        "mst": 0.1,
        "aim": 0.3,
    }
    assert found.loc[found["failed"], "error"].tolist() == ["ValueError: no"]
    assert len(found) == 3  # baselines are no methods


def test_a_block_of_which_nothing_is_known_is_left_out():
    rows = [cell("mst", 0.1), cell("aim", None, dataset="other")]
    assert adjusted(table(rows), "tv2")["method"].tolist() == ["mst"]


def test_a_cell_that_ended_in_another_record_did_not_fail():
    rows = table([cell("mst", None), cell("mst", 0.1), cell("mst", None, seed=1)])
    assert failed_cells(rows)[["synthesizer", "seed", "error"]].to_numpy().tolist() == [
        ["mst", 1, "ValueError: no"]
    ]


def test_a_failed_baseline_is_counted_too_unless_it_ended_elsewhere():
    failed = cell("fresh_rows", None, epsilon=None)
    assert len(failed_cells(table([failed, cell("mst", 0.1)]))) == 1
    assert failed_cells(table([failed, cell("fresh_rows", 0.1, epsilon=None)])).empty


def test_a_floor_that_was_fitted_is_refused():
    rows = table([cell("mst", 0.1), cell("aim", 0.1)])
    with pytest.raises(InputError, match="'mst' was fitted"):
        adjusted(rows, "tv2", floor="mst")
