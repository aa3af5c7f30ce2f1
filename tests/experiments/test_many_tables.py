"""Comparisons over many tables: worse than columns, and steps of budget, told on made records."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest
from experiments.many_tables import run

from benchmarks import never_worse
from dp_synth import Schema
from dp_synth.benchmark import write_record_file

CONSTANT = {
    "task": "utility",
    "settings": "{}",
    "delta": 1e-5,
    "adjacency": "add_remove",
    "low": None,
    "high": None,
    "seconds": 1.0,
    "wall_seconds": 1.0,
    "peak_mb": 1.0,
    "budget": "ledger",
    "version": "0",
    "processor": "",
    "torch": "",
    "kernels": "",
    "error": "",
}


def records(scores, metric=run.TV):
    """Return records of scores by method, table and epsilon, one a seed."""
    return pd.DataFrame(
        {
            **CONSTANT,
            "dataset": table,
            "synthesizer": method,
            "epsilon": epsilon,
            "seed": seed,
            "metric": metric,
            "value": value,
        }
        for (method, table, epsilon), values in scores.items()
        for seed, value in enumerate(values)
    )


COLUMNS = {("independent", "nltcs", 1.0): [0.10, 0.11, 0.12]}
ABOVE = {(method, "nltcs", 1.0): [0.20, 0.21, 0.23] for method in ("clique_tree", "mst", "aim")}
BELOW = {key: [0.05, 0.06, 0.07] for key in ABOVE}
SCATTERED = {key: [0.05, 0.12, 0.20] for key in ABOVE}  # above on average, not beyond the interval


def test_a_method_is_worse_where_its_whole_interval_is_above_columns():
    assert [method for method, _ in run.worse(records(COLUMNS | ABOVE))] == [*run.RECOMMENDED]
    assert run.worse(records(COLUMNS | BELOW)) == []
    assert run.worse(records(COLUMNS | SCATTERED)) == []


def test_the_table_of_differences_marks_what_is_worse():
    text = run.difference_table(records(COLUMNS | ABOVE))
    assert text.count("(worse)") == len(run.RECOMMENDED)
    assert "+0.1033" in text


@pytest.mark.parametrize(("metric", "back"), [(run.TV, True), (run.AUC, False)])
def test_a_step_goes_back_where_a_score_gets_worse_beyond_its_interval(metric, back):
    rising = {("mst", "nltcs", 0.1): [0.1, 0.2, 0.3], ("mst", "nltcs", 1.0): [0.4, 0.5, 0.61]}
    (step,) = run.steps(records(rising, metric), metric)
    assert step.epsilons == (0.1, 1.0)
    assert step.change.mean == pytest.approx(0.91 / 3)
    assert step.is_back is back


def test_a_step_that_is_within_its_interval_does_not_go_back():
    scattered = {("mst", "nltcs", 0.1): [0.1, 0.2], ("mst", "nltcs", 1.0): [0.1, 0.3]}
    (step,) = run.steps(records(scattered), run.TV)
    assert not step.is_back


@pytest.mark.parametrize(("size", "asked"), [(10, False), (2, True)])
def test_an_auc_is_asked_of_labels_of_two_values(size, asked, monkeypatch):
    monkeypatch.setattr(run, "boosted", lambda compared: {run.AUC: 0.5})
    column = {"name": "y", "type": "categorical", "size": size}
    schema = Schema.from_dict({"name": "t", "label": "y", "positive": 1, "columns": [column]})
    found = run.auc(SimpleNamespace(real=SimpleNamespace(schema=schema)))
    assert bool(found) is asked


def test_every_method_is_run_at_the_epsilon_of_the_ranking_on_all_tables():
    everywhere = [part for part in run.PARTS.values() if run.SHOWN_EPSILON in part.epsilons]
    methods = {method for part in run.PARTS.values() for method in part.methods}
    assert {method for part in everywhere for method in part.methods} == methods
    assert not any(part.tables for part in everywhere)
    assert len(run.TABLES) >= 8
    assert {*run.RECOMMENDED, run.BASE} <= methods


@pytest.mark.parametrize(("scores", "worse"), [(ABOVE, True), (BELOW, False)])
def test_the_command_fails_where_a_method_is_worse(scores, worse, tmp_path, monkeypatch, capsys):
    path = tmp_path / "records.jsonl"
    write_record_file(records(COLUMNS | scores), path, "made up")
    monkeypatch.setattr("sys.argv", ["never_worse", "--records", str(path)])
    if worse:
        with pytest.raises(SystemExit, match="1"):
            never_worse.main()
    else:
        never_worse.main()
    assert ("worse: mst" in capsys.readouterr().out) is worse


def test_the_command_says_in_one_line_that_there_are_no_records(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["never_worse", "--records", str(tmp_path / "none.jsonl")])
    with pytest.raises(SystemExit, match="never_worse: "):
        never_worse.main()
