"""What every experiment does alike: markers, records, run times, checks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from experiments import outline
from paper import documents


def drawn():
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().plot([1, 2])
    return figure


@pytest.fixture
def experiment(tmp_path):
    """An experiment of one record, whose README has a value, a table and its run time."""
    records = tmp_path / outline.RECORDS
    records.write_text('{"value": 3}\n')
    (tmp_path / outline.README).write_text(
        "<!-- value: three -->?<!-- end --> in <!-- value: run time -->?<!-- end -->\n"
        "<!-- table: all -->\n<!-- end -->\n"
    )

    def texts():
        (record,) = outline.read(records)
        table = documents.markdown(["value"], [[str(record["value"])]])
        return {"three": str(record["value"]), "all": table}

    return outline.Experiment(tmp_path, (records,), texts, drawn, lambda resume: None)


def test_drawing_fills_every_marker_and_a_check_then_finds_nothing(experiment):
    outline.main(experiment, ["--draw"])
    text = (experiment.folder / outline.README).read_text()
    assert "<!-- value: three -->3<!-- end -->" in text
    assert "| value |\n|---|\n| 3 |\n" in text
    assert "?" not in text
    outline.main(experiment, ["--check"])


def test_drawing_twice_gives_the_same_bytes(experiment):
    outline.main(experiment, ["--draw"])
    first = [(experiment.folder / n).read_bytes() for n in (outline.README, outline.FIGURE)]
    outline.main(experiment, ["--draw"])
    assert first == [(experiment.folder / n).read_bytes() for n in (outline.README, outline.FIGURE)]


def test_a_check_fails_once_a_record_changes(experiment):
    outline.main(experiment, ["--draw"])
    experiment.sources[0].write_text('{"value": 4}\n')
    assert outline.differences(experiment) == [outline.README, outline.FIGURE]
    with pytest.raises(SystemExit, match=r"README\.md, figure\.png"):
        outline.main(experiment, ["--check"])


def test_a_check_fails_once_a_number_is_typed_by_hand(experiment):
    outline.main(experiment, ["--draw"])
    readme = experiment.folder / outline.README
    readme.write_text(readme.read_text().replace("three -->3", "three -->5"))
    assert outline.differences(experiment) == [outline.README]


def test_a_check_fails_where_there_is_no_figure(experiment):
    outline.main(experiment, ["--draw"])
    (experiment.folder / outline.FIGURE).unlink()
    assert outline.differences(experiment) == [outline.FIGURE]


def test_a_marker_that_nothing_is_known_of_is_an_error():
    with pytest.raises(KeyError, match="unknown"):
        documents.filled("<!-- value: unknown -->1<!-- end -->", {}.__getitem__)


def test_only_what_no_record_answers_is_missing():
    tasks = [{"seed": 0}, {"seed": 1}]
    assert outline.missing(tasks, [{"seed": 0, "tv": 0.1}]) == [{"seed": 1}]


def test_records_are_appended_with_the_version_that_made_them(tmp_path):
    path = tmp_path / "records.jsonl"
    outline.append(path, {"seed": 0})
    outline.append(path, {"seed": 1})
    assert [record["seed"] for record in outline.read(path)] == [0, 1]
    assert all(record["version"] for record in outline.read(path))


def test_what_was_answered_is_not_asked_again_and_anew_all_of_it_is(tmp_path):
    asked = []

    def found(task):
        asked.append(task["seed"])
        return {"tv": 0.1}

    for resume, seeds in ((False, 2), (True, 3), (False, 2)):
        outline.begin(tmp_path, resume)
        outline.answer(tmp_path, [{"seed": s} for s in range(seeds)], found, part="fits")
    assert asked == [0, 1, 2, 0, 1]
    records = outline.read(tmp_path / outline.RECORDS)
    assert [(r["seed"], r["tv"]) for r in records] == [(0, 0.1), (1, 0.1)]
    assert {r["part"] for r in outline.read(tmp_path / outline.TIMES)} == {"fits"}


def test_run_times_of_parts_and_of_stopped_runs_add_up(tmp_path):
    for seconds in (60, 30, 31):
        outline.append(tmp_path / outline.TIMES, {"part": "fits", "cpu_seconds": seconds})
    assert outline.run_time(tmp_path) == "2 CPU minutes"


def test_a_part_that_was_stopped_leaves_its_time(tmp_path):
    with pytest.raises(RuntimeError), outline.timed(tmp_path, "fits"):
        raise RuntimeError
    assert [record["part"] for record in outline.read(tmp_path / outline.TIMES)] == ["fits"]


def test_measuring_anew_forgets_earlier_run_times_and_resuming_keeps_them(experiment):
    asked = []
    again = replace(experiment, measure=asked.append)
    outline.append(experiment.folder / outline.TIMES, {"part": "a", "cpu_seconds": 1.0})
    outline.main(again, ["--resume"])
    assert (experiment.folder / outline.TIMES).exists()
    outline.main(again, [])
    assert not (experiment.folder / outline.TIMES).exists()
    assert asked == [True, False]


def test_an_interval_is_the_t_interval_of_the_mean():
    mean, half = outline.interval([1.0, 2.0, 3.0])
    assert mean == 2.0
    assert half == pytest.approx(4.302653 / 3**0.5)  # t of 2 degrees of freedom at 97.5 %


def test_json_lines_hold_no_nan(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        outline.append(tmp_path / "records.jsonl", {"value": float("nan")})
