"""Two stores are compared by what was run, whatever version of the code ran it."""

import dataclasses
import json

import pytest
from fake_cells import fake_cell

import dp_synth.benchmark.cell as cell_module
from dp_synth.benchmark.cell import Machine, Outcome, measured
from dp_synth.benchmark.diff import MetricChange, diff
from dp_synth.benchmark.store import open_store, save, store_at
from dp_synth.cli import benchmark as command
from dp_synth.errors import InputError


def outcome(tv2=0.5, auc=0.8, high=0.9, **fields):
    values = (measured("tv2", tv2, 0.4, 0.6), measured("auc", auc, 0.7, high))
    return Outcome(values, **fields)


@pytest.fixture
def first(tmp_path):
    return open_store(tmp_path / "first")


@pytest.fixture
def second(tmp_path):
    return open_store(f"memory://{tmp_path.name}/second")


@pytest.fixture
def cells(tmp_path):
    return [fake_cell(seed, tmp_path) for seed in range(6)]


def test_stores_with_the_same_values_are_the_same_whatever_they_took(first, second, cells):
    for cell in cells:
        save(first, cell, outcome(seconds=1.0))
        save(second, cell, outcome(seconds=2.0, peak_mb=5.0))
    found = diff(first, second)
    assert found.is_same
    assert (found.equal, found.damaged) == (6, (0, 0))


def test_every_kind_of_difference_is_told(first, second, cells):
    failed = Outcome(error="ValueError: no")
    here = [outcome(), outcome(), outcome(), failed, failed, outcome()]
    there = [None, outcome(0.25, 0.75), outcome(high=0.95), failed, outcome(), failed]
    for cell, one, two in zip(cells, here, there, strict=True):
        save(first, cell, one)
        if two:
            save(second, cell, two)
    save(second, fake_cell(9, "", epsilon=2.0), outcome())
    found = diff(first, second)
    assert not found.is_same
    assert [series.seed for series in found.only_first] == [0]
    assert [(series.seed, series.epsilon) for series in found.only_second] == [(9, 2.0)]
    assert [change.series.seed for change in found.changed] == [1, 2]
    assert found.changed[0].differences == {"auc": pytest.approx(0.05), "tv2": 0.25}
    assert found.changed[1].differences == {"auc": 0.0}  # its interval alone
    assert found.equal == 1  # the one that failed alike
    assert [(one.series.seed, one.first, one.second) for one in found.failures] == [
        (4, failed.error, ""),
        (5, "", failed.error),
    ]
    assert found.by_metric == (
        MetricChange("auc", 2, pytest.approx(0.05)),
        MetricChange("tv2", 1, 0.25),
    )
    mirrored = diff(second, first)
    assert (mirrored.only_first, mirrored.only_second) == (found.only_second, found.only_first)
    assert mirrored.by_metric == found.by_metric


def test_a_value_that_one_store_lacks_is_a_difference_without_a_number(first, second, cells):
    save(first, cells[0], outcome(auc=float("nan")))
    save(second, cells[0], Outcome((measured("tv2", 0.5, 0.4, 0.6),)))
    assert diff(first, second).by_metric == (MetricChange("auc", 1, None),)
    save(second, cells[0], outcome())
    assert diff(first, second).by_metric == (MetricChange("auc", 1, None),)


def test_cells_of_two_versions_of_the_code_are_compared(first, second, cells, monkeypatch):
    save(first, cells[0], outcome())
    before = cells[0].key
    monkeypatch.setattr(cell_module, "__version__", "9.9.9")
    assert cells[0].key != before
    save(second, cells[0], outcome(tv2=0.25))
    found = diff(first, second)
    assert found.by_metric == (MetricChange("tv2", 1, 0.25),)
    assert (found.only_first, found.only_second) == ((), ())


def test_of_several_versions_in_one_store_the_last_is_taken(first, second, cells, monkeypatch):
    times = iter(["2026-01-02", "2026-01-03", "2026-01-01", "2026-01-04"])

    class Clock:
        @classmethod
        def now(cls, zone):
            return cls()

        def isoformat(self, timespec):
            return next(times)

    monkeypatch.setattr("dp_synth.benchmark.store.datetime", Clock)
    for version, tv2 in (("1", 0.1), ("2", 0.2), ("0", 0.3)):
        monkeypatch.setattr(cell_module, "__version__", version)
        save(first, cells[0], outcome(tv2))
    save(second, cells[0], outcome(0.2))
    assert diff(first, second).is_same


def test_the_tasks_numbers_tell_series_apart_but_not_its_lists_of_names(first, second, cells):
    def with_options(**options):
        return dataclasses.replace(cells[0], options=json.dumps(options))

    save(first, with_options(members=100, attacks=["a"]), outcome())
    save(second, with_options(members=100, attacks=["a", "b"]), outcome())
    assert diff(first, second).is_same
    save(second, with_options(members=200, attacks=["a"]), outcome())
    assert len(diff(first, second).only_second) == 1


def test_damaged_files_are_counted_and_take_no_part(first, second, cells):
    for cell in cells[:2]:
        save(first, cell, outcome())
        save(second, cell, outcome())
    path = first.file_of(cells[0].key)
    path.write_bytes(path.read_bytes()[:-9])
    found = diff(first, second)
    assert found.damaged == (1, 0)
    assert (len(found.only_first), len(found.only_second), found.equal) == (0, 1, 1)


def test_a_folder_without_cells_is_one_clear_line(first, cells, tmp_path):
    save(first, cells[0], outcome())
    with pytest.raises(InputError, match=r"no cells in .*absent: is it a store\?"):
        diff(first, store_at(tmp_path / "absent"))


def run_command(*arguments):
    """Return the exit code of the command as `dp-synth benchmark` runs it."""
    import typer

    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(command.diff)
    try:
        app([str(argument) for argument in arguments])
    except SystemExit as exit_:
        return exit_.code


def test_the_command_prints_a_short_table_and_ends_as_asked(first, second, cells, capsys):
    for cell in cells:
        save(first, cell, outcome())
        save(second, cell, outcome())
    places = (first.folder, second.folder)
    assert run_command(*places, "--exit-code") == 0
    assert "equal" in capsys.readouterr().out

    save(second, cells[0], outcome(tv2=0.25))
    save(second, cells[1], Outcome())
    save(second, fake_cell(7, ""), outcome())
    first.file_of(cells[5].key).write_bytes(b"")
    assert run_command(*places) == 0
    spoken = capsys.readouterr()
    lines = [line.split() for line in spoken.out.splitlines()]
    assert ["equal", "3"] in lines
    assert ["different", "values", "2"] in lines
    assert ["only", "in", str(second.folder), "2"] in lines
    assert ["tv2", "2", "0.25"] in lines
    assert ["auc", "1", "in", "one", "store", "alone"] in lines
    assert spoken.err == f"dp-synth: warning: {first.folder}: 1 damaged files left out\n"
    assert run_command(*places, "--exit-code") == 4


def test_the_command_names_failures_and_counts_those_beyond_the_first(first, second, capsys):
    for seed in range(12):
        save(first, fake_cell(seed, ""), outcome())
        save(second, fake_cell(seed, ""), Outcome(error="MemoryError"))
    assert run_command(first.folder, second.folder) == 0
    out = capsys.readouterr().out
    assert "  adult utility mst epsilon 1 seed 0: done | MemoryError" in out
    assert out.count("| MemoryError") == command.MOST_NAMED
    assert "  and 2 more" in out


def test_the_command_names_the_machines_of_different_values_where_they_are_not_the_same(
    first, second, capsys
):
    here, there = (Machine("A Fast One", "2.13.0", level) for level in ("AVX2", "AVX512"))
    for machine in (here, there):
        save(first, fake_cell(0, ""), outcome(machine=here))
        save(second, fake_cell(0, ""), outcome(0.25, machine=machine))
        assert run_command(first.folder, second.folder) == 0
        out = capsys.readouterr().out
        assert ("different values are of A Fast One, torch 2.13.0, AVX2 in " in out) is (
            machine == there
        )
        assert ("and of A Fast One, torch 2.13.0, AVX512 in " in out) is (machine == there)
