"""What risks cost a schema and a size, before any record is read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dp_synth import MST, Independent, PrivacyBudget
from dp_synth.cli import main
from dp_synth.errors import InputError
from dp_synth.figures.choice import FLOOR, choice_of_budget
from dp_synth.report.choice import SURROGATE, _surrogate, options_for
from dp_synth.schema import Schema

COLUMNS = [
    {"name": "who", "type": "id"},
    {"name": "age", "type": "integer", "lower": 0, "upper": 99},
    {"name": "sex", "type": "categorical", "categories": ["f", "m"]},
    {"name": "job", "type": "categorical", "categories": list("abcdefgh")},
]
CONTENT = {"name": "people", "columns": COLUMNS}
SCHEMA = Schema.from_dict(CONTENT).without("who")
BUDGETS = [PrivacyBudget.from_risk(advantage=one) for one in (0.01, 0.1, 0.5)]


def test_more_risk_is_less_noise_and_less_error_down_to_that_of_fresh_rows() -> None:
    found = options_for(Independent(), SCHEMA, 300, BUDGETS, repeats=4)
    noises = [one.noise for one in found.options]
    assert noises == sorted(noises, reverse=True)
    means = [one.error.mean for one in found.options if one.error]
    assert means[0] > means[1] > means[2] > 0.5 * np.mean(found.floor)
    for budget, one in zip(BUDGETS, found.options, strict=True):
        assert one.advantage <= budget.target
        assert one.noise == 1 / one.mu
    assert found.surrogate == SURROGATE


def test_more_rows_are_less_error_at_the_same_noise() -> None:
    few, many = (options_for(MST(), SCHEMA, rows, BUDGETS[1:2]).options[0] for rows in (100, 3000))
    assert few.noise == many.noise
    assert few.error is not None
    assert many.error is not None
    assert few.error.mean > 2 * many.error.mean


def test_a_surrogate_is_of_the_schema_and_no_two_are_alike() -> None:
    one, same, other = (_surrogate(SCHEMA, 500, key) for key in ((0, 1), (0, 1), (0, 2)))
    assert one.equals(same)
    assert not one.equals(other)
    assert list(one) == ["age", "sex", "job"]
    assert SCHEMA.check(one) == []
    assert one["job"].value_counts(normalize=True).max() > 0.25  # uneven


def test_nothing_is_fitted_where_no_repeats_are_asked() -> None:
    found = options_for(MST(), SCHEMA, 100, BUDGETS, repeats=0)
    assert [one.error for one in found.options] == [None] * 3
    assert found.floor == ()


def test_the_figure_says_that_nothing_is_data() -> None:
    found = options_for(Independent(), SCHEMA, 200, BUDGETS, repeats=2)
    left, right = choice_of_budget(found.points(), found.floor, found.surrogate)
    drawn = left.lines[0].get_xydata()
    assert np.allclose(drawn, found.points()[["advantage", "noise"]])
    figure = left.get_figure(root=True)
    assert figure is not None
    assert "no record was read" in figure.get_suptitle().replace("\n", " ")
    assert FLOOR in right.get_legend_handles_labels()[1]


def test_an_interval_is_named_where_there_is_one() -> None:
    for repeats, said in ((1, "error of a fit to the surrogate"), (2, "surrogate, 95 %")):
        found = options_for(MST(), SCHEMA, 100, BUDGETS[:1], repeats=repeats)
        _, right = choice_of_budget(found.points(), found.floor, found.surrogate)
        (label,) = [text for text in right.get_legend_handles_labels()[1] if "error" in text]
        assert label.endswith(said)


def test_rows_for_which_there_is_no_surrogate_are_refused() -> None:
    for rows in (0, 10**9):
        with pytest.raises(InputError, match="rows must lie between 1 and"):
            options_for(MST(), SCHEMA, rows)


@pytest.fixture
def schema_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("people.meta.json").write_text(json.dumps(CONTENT))
    return "people.meta.json"


def test_the_command_prints_draws_and_writes_that_no_record_was_read(
    schema_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    more = (
        "--drop who --rows 200 --repeats 2 --risk advantage=0.1 --risk tpr=.3,fpr=.1 --plot c.png"
    )
    assert main(["choose", schema_file, *more.split(), "--json", "c.json"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("no record was read: ")
    assert "tpr 0.3 at fpr 0.1" in printed
    written = json.loads(Path("c.json").read_text())
    assert written["surrogate"] == SURROGATE
    assert len(written["options"]) == 2
    assert Path("c.png").stat().st_size > 10_000
    assert sorted(path.name for path in Path.cwd().iterdir()) == [
        "c.json",
        "c.png",
        "people.meta.json",
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--drop who --rows 100 --risk advantage=0", "which no noise reaches"),
        ("--rows 100 --risk tpr=.1,fpr=.2", "tpr must be above fpr"),
        ("--drop who --rows 1000000000", "rows must lie between 1 and"),
        ("--rows 100 --synthesizer mts", "no synthesizer named 'mts'"),
        ("--rows 100", "'who' is an identifier"),
        ("--rows 100 --adjacency replaced", "adjacency must be"),
    ],
)
def test_bad_arguments_are_one_line_and_nothing_is_written(
    schema_file: str, options: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["choose", schema_file, *options.split(), "--plot", "c.png"]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.strip().splitlines()) == 1
    assert not Path("c.png").exists()
