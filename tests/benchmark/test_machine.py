"""What a cell ran on stands in its records, and in nothing that decides the result."""

import json
import sys
from types import SimpleNamespace

import pandas as pd
from fake_cells import fake_cell, work

from dp_synth.benchmark.cell import Machine, Outcome, measured, processor, records
from dp_synth.benchmark.diff import diff
from dp_synth.benchmark.executor import Worker
from dp_synth.benchmark.store import gather, open_store, read_records, save
from dp_synth.records import ADDED, RECORD_COLUMNS

ONE, OTHER = (Machine("A Fast One", "2.13.0", level) for level in ("AVX2", "AVX512"))
VALUES = (measured("tv2", 0.5, 0.4, 0.6),)


def test_every_cell_of_a_worker_says_its_processor(tmp_path):
    worker = Worker(work)
    try:
        outcome = worker.run(fake_cell(0, tmp_path))
    finally:
        worker.close()
    assert outcome.machine == Machine(processor())  # its process had no need of torch


def test_torch_is_asked_for_its_kernels_where_it_is_loaded_and_never_loaded(monkeypatch):
    cpu = SimpleNamespace(get_cpu_capability=lambda: "AVX2")
    loaded = SimpleNamespace(__version__="2.13.0", backends=SimpleNamespace(cpu=cpu))
    monkeypatch.setitem(sys.modules, "torch", loaded)
    assert Machine.here() == Machine(processor(), "2.13.0", "AVX2")
    monkeypatch.delitem(sys.modules, "torch")
    assert Machine.here() == Machine(processor())
    assert "torch" not in sys.modules


def test_a_machine_survives_store_and_records(tmp_path):
    store, cell = open_store(str(tmp_path / "store")), fake_cell(0, tmp_path)
    save(store, cell, Outcome(VALUES, machine=ONE))
    gather(store, [cell])
    (found,) = read_records(store).to_dict("records")
    assert Machine(found["processor"], found["torch"], found["kernels"]) == ONE


def test_what_a_store_kept_before_machines_is_read_as_unknown(tmp_path):
    old = json.loads(json.dumps({"measured": [], "seconds": 1.0, "error": ""}))
    assert Outcome.from_fields(old).machine == Machine()
    store, cell = open_store(str(tmp_path / "store")), fake_cell(0, tmp_path)
    save(store, cell, Outcome(VALUES))
    path = gather(store, [cell])
    pd.read_parquet(path).drop(columns=list(ADDED)).to_parquet(path)
    found = read_records(store)
    assert list(found.columns) == list(RECORD_COLUMNS)
    assert (found[["processor", "torch", "kernels"]] == "").all(axis=None)


def test_a_failed_cell_says_its_machine_as_well(tmp_path):
    (row,) = records(fake_cell(0, tmp_path), Outcome(error="ValueError: no", machine=ONE))
    assert (row["processor"], row["torch"], row["kernels"]) == ("A Fast One", "2.13.0", "AVX2")


def test_a_difference_names_the_machines_of_what_changed_and_of_nothing_else(tmp_path):
    first, second = (open_store(str(tmp_path / name)) for name in "ab")
    for seed, (value, machine) in enumerate([(0.5, OTHER), (0.55, ONE)]):
        cell = fake_cell(seed, tmp_path)
        save(first, cell, Outcome(VALUES, machine=ONE))
        save(second, cell, Outcome((measured("tv2", value, 0.4, 0.6),), machine=machine))
    assert diff(first, second).machines == ((str(ONE),), (str(ONE),))
    same = diff(first, first)
    assert (same.is_same, same.machines) == (True, ((), ()))
