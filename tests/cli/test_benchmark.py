"""`dp-synth benchmark`: run, status, export, plot, and what is said when something is wrong."""

import contextlib
import io
import json
import shlex
import shutil

import pandas as pd
import pytest

from dp_synth.benchmark import Status
from dp_synth.cli import main
from dp_synth.records import RECORD_COLUMNS

GRID = """
name: small
dataset: adult
delta: 1.0e-5
seeds: 1
synthesizers: [independent]
leakage:
  epsilons: [1]
  members: 50
  isolated: 0
"""


@pytest.fixture
def grid(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "grid.yaml"
    path.write_text(GRID)
    return path


@pytest.fixture(scope="module")
def run_once(tmp_path_factory):
    """A folder in which the grid was run, and what was said of that."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "grid.yaml").write_text(GRID)
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
    ):
        assert main(["benchmark", "run", "grid.yaml", "--jobs", "1"]) == 0
    return folder, out.getvalue(), err.getvalue()


@pytest.fixture
def done(run_once, tmp_path, monkeypatch):
    """The grid in a copy of that folder, where we are."""
    shutil.copytree(run_once[0], tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy" / "grid.yaml"


def refuse(*arguments, **settings):
    raise AssertionError("nothing was left to run")


def test_a_grid_is_run_once_told_about_and_drawn(run_once, done, capfd, monkeypatch):
    said = "3 of 3 cells done; records: results/small/records.parquet\n"
    assert run_once[1] == said
    assert "3 done, 0 failed, 0 left" in run_once[2]

    monkeypatch.setattr("dp_synth.benchmark.runner.run", refuse)
    assert main(["benchmark", "run", "grid.yaml"]) == 0
    spoken = capfd.readouterr()
    nothing = "nothing to do: every cell of this grid is done already\n"
    assert (spoken.out, spoken.err) == (nothing + said, "")

    assert main(["benchmark", "status", "grid.yaml"]) == 0
    assert capfd.readouterr().out == "results/small: 3 done, 0 failed, 0 left\n"

    assert main(["benchmark", "plot", "grid.yaml"]) == 0
    assert "results/small/figures/leakage.pdf\n" in capfd.readouterr().out
    monkeypatch.setattr("dp_synth.figures.draw_all", lambda records, folder, audits=(): [folder])
    assert main(["benchmark", "plot", "results/small", "--out", "drawn"]) == 0
    assert capfd.readouterr().out == "drawn\n"


def test_what_was_run_is_exported_and_drawn_beside_itself(done, capfd):
    assert main(["benchmark", "export", "grid.yaml", "--out", "kept.jsonl"]) == 0
    said = capfd.readouterr().out
    lines = (done.parent / "kept.jsonl").read_text().splitlines()
    assert said == f"{len(lines)} records, 0 of them failed cells: kept.jsonl\n"
    made = "dp-synth benchmark run grid.yaml"
    assert all(json.loads(line)["command"] == made for line in lines)

    assert main(["benchmark", "plot", "grid.yaml", "kept.jsonl", "--out", "drawn"]) == 0
    spoken = capfd.readouterr()
    first, *paths = spoken.out.splitlines()
    assert first.startswith("independent epsilon 1 seed 0 auc:density_ratio: live 0.")
    live, recorded = first.split(": ")[1].split(", ", 1)
    assert live.removeprefix("live ") in recorded.removeprefix("recorded ")
    assert "drawn/leakage.png" in paths
    assert spoken.err == ""


def test_live_cells_that_are_far_off_or_failed_are_warned_about(grid, capfd):
    row = dict.fromkeys(RECORD_COLUMNS, "") | dict.fromkeys(
        ("seconds", "wall_seconds", "peak_mb", "low", "high"), 0.1
    )
    row |= {"dataset": "adult", "task": "utility", "synthesizer": "mst", "settings": "{}"}
    row |= {"epsilon": 1.0, "delta": 1e-5, "adjacency": "add_remove", "seed": 0}
    found = row | {"metric": "tv2", "value": 0.5}
    failed = row | {"seed": 1, "value": None, "error": "ImportError: no torch"}
    (grid.parent / "results" / "small").mkdir(parents=True)
    pd.DataFrame([found, failed]).to_parquet(grid.parent / "results" / "small" / "records.parquet")
    kept = found | {"value": 0.9, "command": "make it"}
    (grid.parent / "kept.jsonl").write_text(json.dumps(kept) + "\n")
    assert main(["benchmark", "plot", "results/small", "kept.jsonl"]) == 0
    spoken = capfd.readouterr()
    assert spoken.out.startswith(
        "mst epsilon 1 seed 0 tv2: live 0.5000, recorded 0.9000 (1 seed, in ["
    )
    far, failure = spoken.err.splitlines()
    assert "warning: mst epsilon 1 seed 0 tv2: the live value lies outside" in far
    assert far.endswith("the records are of a machine that is not recorded")
    assert failure.endswith("warning: mst epsilon 1 seed 1: failed with ImportError: no torch")


def test_nothing_is_done_or_made_before_the_first_run(grid, capfd):
    assert main(["benchmark", "status", str(grid)]) == 0
    assert capfd.readouterr().out == "results/small: 0 done, 0 failed, 3 left\n"
    assert not (grid.parent / "results").exists()
    assert main(["benchmark", "run", str(grid), "--dry-run", "--jobs", "1"]) == 0
    *kinds, total = capfd.readouterr().out.splitlines()
    assert [line.split()[:3] for line in kinds] == [
        ["adult", "leakage", name] for name in ("no_privacy", "fresh_rows", "independent")
    ]
    assert all(line.endswith("1 cells, time unknown") for line in kinds)
    assert total == "3 of 3 cells left: 3 of kinds that never ran here"
    assert not (grid.parent / "results").exists()


def test_a_dry_run_says_what_is_left_and_how_long_it_may_take(done, capfd):
    more = ["--dry-run", "--jobs", "2", "--set", "seeds=2"]
    assert main(["benchmark", "run", "grid.yaml", *more]) == 0
    *kinds, total = capfd.readouterr().out.splitlines()
    assert all(" 1 cells, " in line and line.endswith(" MB") for line in kinds)
    assert total.startswith("3 of 6 cells left: ")
    assert total.endswith(" s with 2 processes")


def test_ctrl_c_is_one_line_that_says_how_to_go_on(grid, capfd, monkeypatch):
    def interrupted(*arguments, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("dp_synth.benchmark.runner.run", interrupted)
    run = ["benchmark", "run", str(grid), "--store", "here", "--set", "seeds=1"]
    assert main([*run, "--set", "utility.epsilons=[1, 2]"]) == 130
    last = capfd.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("dp-synth: stopped; finished cells are kept; go on with: ")
    again = last.partition("go on with: ")[2]
    assert shlex.split(again) == ["dp-synth", *run, "--set", "utility.epsilons=[1, 2]"]


@pytest.mark.parametrize(
    ("tally", "code", "said"),
    [
        (
            Status(4, {"ValueError: no": 2}),
            0,
            "warning: 2 of 6 cells failed; traces are in results",
        ),
        (Status(0, {"ValueError: no": 6}), 2, "every cell failed, the first with ValueError: no"),
    ],
)
def test_failed_cells_are_counted_aloud(grid, capfd, monkeypatch, tally, code, said):
    monkeypatch.setattr(
        "dp_synth.benchmark.run_grid", lambda grid, store, report, **settings: report(tally)
    )
    assert main(["benchmark", "run", str(grid)]) == code
    assert said in capfd.readouterr().err


def spoiled_grid(folder):
    (folder / "grid.yaml").write_text(GRID.replace("seeds", "sedes"))


def blocked_store(folder):
    (folder / "results").write_text("")


def foreign_records(folder):
    (folder / "results" / "small").mkdir(parents=True)
    (folder / "results" / "small" / "records.parquet").write_text("not a table")


@pytest.mark.parametrize(
    ("command", "spoil", "said"),
    [
        ("run", spoiled_grid, "sedes: unknown key; did you mean 'seeds'?"),
        ("status", spoiled_grid, "sedes: unknown key; did you mean 'seeds'?"),
        ("run", lambda folder: (folder / "grid.yaml").unlink(), "No such file"),
        ("run", blocked_store, "the store results/small cannot be written"),
        ("plot", lambda folder: None, "no records in results/small: run the grid first"),
        ("plot", foreign_records, "not a Parquet file"),
    ],
)
def test_what_is_wrong_is_one_line(grid, capfd, command, spoil, said):
    spoil(grid.parent)
    assert main(["benchmark", command, str(grid)]) == 2
    (line,) = capfd.readouterr().err.strip().splitlines()
    assert line.startswith("dp-synth: ")
    assert said in line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["export", ".", "--out", "kept.jsonl"], "say with --command what made the store"),
        (["export", "grid.yaml", "--out", "kept.jsonl"], "no records in results/small"),
        (["plot", "kept.jsonl", "--out", "drawn"], "kept.jsonl cannot be read"),
        (["plot", "grid.yaml", "foreign.jsonl"], "no records in results/small"),
        (["plot", "foreign.jsonl"], "foreign.jsonl: not lines of JSON"),
    ],
)
def test_sources_that_hold_no_records_are_one_line(grid, capfd, arguments, said):
    (grid.parent / "foreign.jsonl").write_text("no")
    assert main(["benchmark", *arguments]) == 2
    (line,) = capfd.readouterr().err.strip().splitlines()
    assert line.startswith("dp-synth: ")
    assert said in line


def kept(folder, *rows):
    """Write records of a cell of ``independent``, as the store of the grid."""
    cell = dict.fromkeys(RECORD_COLUMNS, "") | dict.fromkeys(
        ("seconds", "wall_seconds", "peak_mb", "low", "high"), 0.1
    )
    cell |= {"dataset": "adult", "synthesizer": "independent", "settings": "{}", "epsilon": 1.0}
    cell |= {"delta": 1e-5, "adjacency": "add_remove", "seed": 0, "value": 0.5}
    (folder / "results" / "small").mkdir(parents=True)
    frame = pd.DataFrame([cell | {"task": task, "metric": metric} for task, metric in rows])
    frame.to_parquet(folder / "results" / "small" / "records.parquet")


TV1 = (("utility", "tv1"), ("utility", "tv1_holdout"))


def test_a_plot_of_what_no_figure_shows_says_which_metrics_figures_show(grid, capfd):
    assert main(["benchmark", "plot", "results/small", "--out", "drawn"]) == 2
    capfd.readouterr()
    kept(grid.parent, *TV1)
    assert main(["benchmark", "plot", str(grid)]) == 2
    assert capfd.readouterr().err == (
        f"dp-synth: nothing to draw in {grid}: no figure shows tv1, tv1_holdout: "
        "that of utility takes tv2 or auc\n"
    )


def test_a_plot_says_which_of_its_figures_are_left_out(grid, capfd):
    attacked = [f"{kind}:closest_record" for kind in ("auc", "tpr_at_fpr_0.01", "tpr_at_fpr_0.1")]
    kept(grid.parent, *TV1, *[("leakage", metric) for metric in attacked])
    assert main(["benchmark", "plot", str(grid)]) == 0
    spoken = capfd.readouterr()
    assert "results/small/figures/leakage.png" in spoken.out
    assert spoken.err.splitlines() == [
        "dp-synth: no figure shows tv1, tv1_holdout: that of utility takes tv2 or auc",
        "dp-synth: no trade-off is drawn of closest_record: it takes the attack rows_ratio or "
        "density_ratio",
    ]


def test_a_plot_of_failed_cells_alone_says_that_none_is_done(grid, capfd):
    row = dict.fromkeys(RECORD_COLUMNS, "") | {"task": "utility", "synthesizer": "mst"}
    numbers = {name: 1.0 for name, kind in RECORD_COLUMNS.items() if kind is float}
    failed = row | numbers | {"settings": "{}", "seed": 0, "error": "ValueError: no"}
    (grid.parent / "results" / "small").mkdir(parents=True)
    pd.DataFrame([failed | {"value": None}]).to_parquet(
        grid.parent / "results" / "small" / "records.parquet"
    )
    assert main(["benchmark", "plot", "results/small"]) == 2
    assert "no cell of a synthesizer is done" in capfd.readouterr().err
