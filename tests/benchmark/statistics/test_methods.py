"""Records become cells that can be compared: each once, under the name of its method."""

import json

import pandas as pd
import pytest
from made_cells import cell, table

from dp_synth.benchmark.statistics import method_names, over_seeds
from dp_synth.benchmark.statistics.scores import values_of, values_of_metric
from dp_synth.errors import InputError


def test_methods_are_named_by_what_differs_at_one_table_alone():
    choices = [("a", {"label": "income", "steps": 1}), ("a", {"label": "income", "steps": 2})]
    choices += [("b", {"label": "stroke", "steps": 1}), ("b", {"label": "stroke", "steps": 2})]
    rows = [cell("gan", 0.1, dataset=d, settings=json.dumps(choice)) for d, choice in choices]
    names = method_names(table([*rows, cell("mst", 0.1)]))
    assert sorted(set(names.values())) == ["gan (steps=1)", "gan (steps=2)", "mst"]
    assert names["gan", json.dumps(choices[3][1])] == "gan (steps=2)"


def test_what_stands_twice_counts_once_and_live_cells_do_not_count():
    rows = table([cell("mst", 0.1), cell("mst", 0.1), cell("mst", 0.9, seed=1)])
    rows = rows.assign(live=[False, False, True])
    assert values_of(rows)["value"].tolist() == [0.1]


def test_two_values_of_one_cell_are_refused():
    rows = table([cell("mst", 0.1), cell("mst", 0.2)])
    with pytest.raises(InputError, match="two different values of tv2 for mst on adult, epsilon 1"):
        over_seeds(rows)


def test_an_unknown_metric_is_refused_with_those_that_there_are():
    rows = table([cell("mst", 0.1), cell("mst", 0.3, metric="tv3")])
    with pytest.raises(InputError, match=r"'auc'; there are: tv2, tv3$"):
        values_of_metric(rows, "auc", "utility")
    with pytest.raises(InputError, match=r"no leakage record has .*; there are: none$"):
        values_of_metric(rows, "tv2", "leakage")


def test_a_table_that_holds_no_records_is_refused():
    with pytest.raises(InputError, match="no column dataset"):
        over_seeds(pd.DataFrame({"a": [1]}))
