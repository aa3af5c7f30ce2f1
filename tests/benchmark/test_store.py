"""A half-written file is never read, and the gathered table says what the cells say."""

import dataclasses
import hashlib
import io
import json
import os
import pickle
import re
import subprocess
import sys
import time
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pytest
from fake_cells import fake_cell
from fsspec.implementations.memory import MemoryFileSystem

import dp_synth.benchmark.cell as cell_module
from dp_synth.benchmark import store as store_module
from dp_synth.benchmark.cell import Outcome, measured
from dp_synth.benchmark.store import (
    gather,
    open_store,
    outcomes,
    read,
    read_records,
    save,
    store_at,
    stored,
)
from dp_synth.errors import InputError
from dp_synth.files import Url
from dp_synth.records import RECORD_COLUMNS

OUTCOME = Outcome(
    (measured("tv2", 0.1 + 0.2, 0.4, 0.6), measured("auc", np.nan, 0, 1)),
    seconds=0.25,
    wall_seconds=1.5,
    peak_mb=100.0,
    budget="ledger",
    ledger='{"\u03b5": [1]}',
)
FAILED = Outcome(error="ValueError: no", trace="secret")


class Broken(MemoryFileSystem):
    """A service whose client raises exceptions that nobody else has."""

    protocol = "broken"

    def pipe_file(self, path, value, mode="overwrite", **settings):
        raise Refused("no credentials\nwere found")

    def cat_file(self, path, start=None, end=None, **settings):
        raise Refused("no credentials")

    find = pipe_file


class Refused(Exception):
    pass


class Bucket(MemoryFileSystem):
    """An object store: what is put is there at once, and a move would be a copy."""

    protocol = "oss"
    store = {}  # noqa: RUF012
    pseudo_dirs = [""]  # noqa: RUF012

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.replace("oss://", "memory://"))

    def mv(self, *arguments, **settings):
        raise AssertionError("an object is put under its own name")


@pytest.fixture(params=["folder", "file", "memory", "local", "oss"])
def store(request, tmp_path):
    """A store on disk by path and by address, in memory, on disk as if it were far, in a bucket."""
    fsspec.register_implementation("oss", Bucket, clobber=True)
    if request.param == "local":
        return store_module.Store(Url(f"local://{tmp_path}/store"))
    where = {
        "folder": tmp_path / "store",
        "file": (tmp_path / "store").as_uri(),
        "memory": f"memory://{tmp_path.name}/store/",
        "oss": f"oss://{tmp_path.name}/store",
    }
    return open_store(where[request.param])


def files_of(store):
    if isinstance(store.folder, Path):
        return sorted(str(path) for path in store.folder.rglob("*") if path.is_file())
    return sorted(store.folder.files_below())


def change_file(store, cell, change):
    path = store.file_of(cell.key)
    content = change(path.read_bytes())
    path.write_bytes(content) if isinstance(path, Path) else path.put(content)


def test_what_was_saved_is_read(store, tmp_path):
    cell = fake_cell(0, tmp_path)
    assert read(store, cell) is None
    save(store, cell, OUTCOME)
    assert read(store, cell) == OUTCOME
    (name,) = (re.sub(r"\\", "/", file) for file in files_of(store))
    assert name.endswith(f"cells/{cell.key[:2]}/{cell.key}.json")
    assert json.loads(store.file_of(cell.key).read_bytes())["cell"] == dataclasses.asdict(cell)
    if isinstance(path := store.file_of(cell.key), Path):
        assert path.stat().st_mode & 0o777 == 0o600  # its numbers may be of private rows


def test_a_store_is_a_value(store):
    other = pickle.loads(pickle.dumps(store))
    assert other == store
    assert hash(other) == hash(store)


@pytest.mark.parametrize("length", [0, 1, 100, -1, -2])
def test_a_half_written_file_is_a_cell_that_never_ended(store, tmp_path, length):
    cell = fake_cell(0, tmp_path)
    save(store, cell, OUTCOME)
    change_file(store, cell, lambda content: content[:length])
    assert read(store, cell) is None
    assert list(outcomes(store, [cell])) == [(cell, None)]
    assert list(stored(store)) == [None]


def test_a_file_with_one_byte_changed_is_a_cell_that_never_ended(tmp_path):
    store, cell = open_store(tmp_path / "store"), fake_cell(0, tmp_path)
    save(store, cell, OUTCOME)
    content = store.file_of(cell.key).read_bytes()
    for place in range(0, len(content), 7):
        other = bytes([content[place] ^ 1])
        store.file_of(cell.key).write_bytes(content[:place] + other + content[place + 1 :])
        assert read(store, cell) is None, place
    store.file_of(cell.key).write_bytes(content)
    assert read(store, cell) == OUTCOME


def resealed(content, **change):
    """Return a file's content with some of it replaced, and the digest that belongs to it."""
    found = json.loads(content) | change
    head = {name: found.pop(name) for name in ("format", "key", "sha256")}
    body = json.dumps(found)[1:].encode() + b"\n"
    head["sha256"] = hashlib.sha256(body).hexdigest()
    return json.dumps(head)[:-1].encode() + b",\n" + body


def test_a_file_sealed_as_it_was_is_read(tmp_path):
    store, cell = open_store(tmp_path / "store"), fake_cell(0, tmp_path)
    save(store, cell, OUTCOME)
    change_file(store, cell, lambda content: resealed(content, written="later"))
    assert read(store, cell) == OUTCOME


@pytest.mark.parametrize(
    "change",
    [
        {"format": 1},
        {"key": "0"},
        {"outcome": []},
        {"outcome": {}},
        {"outcome": {"measured": [{}]}},
        {"outcome": {"measured": [], "unknown": 1}},
        {"cell": {}},
        {"cell": None},
    ],
)
def test_a_foreign_file_is_a_cell_that_never_ended(tmp_path, change):
    store, cell = open_store(tmp_path / "store"), fake_cell(0, tmp_path)
    save(store, cell, OUTCOME)
    change_file(store, cell, lambda content: resealed(content, **change))
    assert read(store, cell) is None
    assert list(outcomes(store, [cell])) == [(cell, None)]
    assert list(stored(store)) == [None]


def test_the_file_of_another_cell_is_not_taken_for_this_one(tmp_path):
    store, cell, other = open_store(tmp_path / "s"), fake_cell(0, tmp_path), fake_cell(1, tmp_path)
    save(store, cell, OUTCOME)
    save(store, other, OUTCOME)
    os.replace(store.file_of(cell.key), store.file_of(other.key))
    assert read(store, other) is None


def test_every_cell_is_given_in_order_with_what_it_gave(store, tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "BATCH", 7)
    cells = [fake_cell(seed, tmp_path) for seed in range(20)]
    for cell in cells[::3]:
        save(store, cell, dataclasses.replace(OUTCOME, seconds=float(cell.seed)))
    save(store, cells[1], FAILED)
    found = list(outcomes(store, iter(cells)))
    assert found == [(cell, read(store, cell)) for cell in cells]
    assert [cell.seed for cell, outcome in found if outcome] == [0, 1, 3, 6, 9, 12, 15, 18]
    assert sorted(one.cell.seed for one in stored(store)) == [0, 1, 3, 6, 9, 12, 15, 18]


def test_a_store_that_is_not_there_holds_nothing(tmp_path):
    cell = fake_cell(0, tmp_path)
    for where in (tmp_path / "absent", "memory://absent", f"local://{tmp_path}/absent"):
        store = store_at(where)
        assert list(outcomes(store, [cell])) == [(cell, None)]
        assert list(stored(store)) == []
        with pytest.raises(InputError, match=r"no records in .*absent: run the grid first"):
            read_records(store)
    assert not (tmp_path / "absent").exists()


def test_whatever_else_lies_in_a_store_is_not_a_cell(tmp_path):
    store, cell = open_store(tmp_path / "store"), fake_cell(0, tmp_path)
    save(store, cell, OUTCOME)
    shard = store.file_of(cell.key).parent
    (store.cells / ".DS_Store").write_text("")
    (shard / "notes.txt").write_text("")
    (shard / f".{cell.key}.json.1-ab.part").write_text("")  # of a process that was killed
    (shard / f".{cell.key}.json").write_text("")
    assert [one.cell for one in stored(store)] == [cell]


def test_a_failure_leaves_its_trace_until_the_cell_is_done(store, tmp_path):
    cell = fake_cell(0, tmp_path)
    save(store, cell, FAILED)
    trace = store.failures / f"{cell.key}.txt"
    assert trace.read_bytes().endswith(b"ValueError: no\nsecret")
    assert b"secret" not in store.file_of(cell.key).read_bytes()
    assert read(store, cell) == dataclasses.replace(FAILED, trace="")
    save(store, cell, OUTCOME)
    assert not trace.exists()
    assert read(store, cell) == OUTCOME


def test_a_failure_never_takes_the_place_of_a_result(store, tmp_path):
    cell = fake_cell(0, tmp_path)
    save(store, cell, OUTCOME)
    save(store, cell, FAILED)
    assert read(store, cell) == OUTCOME
    assert not (store.failures / f"{cell.key}.txt").exists()


def test_a_write_that_stops_half_way_leaves_the_old_file_and_no_other(store, tmp_path, monkeypatch):
    cell = fake_cell(0, tmp_path)
    save(store, cell, OUTCOME)
    before = files_of(store)

    def no_space(*arguments, **settings):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dp_synth.files.os.replace", no_space)
    monkeypatch.setattr(MemoryFileSystem, "mv", no_space)
    monkeypatch.setattr("fsspec.implementations.local.LocalFileSystem.mv", no_space)
    monkeypatch.setattr(Bucket, "pipe_file", no_space)
    with pytest.raises(InputError, match=r"written \(No space left on device\); finished") as told:
        save(store, cell, dataclasses.replace(OUTCOME, seconds=9.0))
    assert "\n" not in str(told.value)
    assert read(store, cell) == OUTCOME
    assert files_of(store) == before


FULL_DISK = """
import dp_synth.benchmark.cell
dp_synth.benchmark.cell.code_digest = lambda: "as in the test"
import resource, sys
from pathlib import Path
from fake_cells import fake_cell
import dp_synth.cli
from dp_synth.benchmark.cell import Outcome
from dp_synth.benchmark.store import open_store, save

folder = Path(sys.argv[1])

def save_all(arguments, prog_name):
    store = open_store(folder / "store")
    save(store, fake_cell(0, folder), Outcome())
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
    save(store, fake_cell(1, folder), Outcome(ledger="x" * 3000))

dp_synth.cli.app = save_all
sys.exit(dp_synth.cli.main([]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a file's size are of POSIX")
def test_a_disk_that_is_full_is_one_line_and_finished_cells_are_kept(tmp_path, same_code):
    done = run_script(FULL_DISK, tmp_path)
    _, stderr = done.communicate(timeout=60)
    assert done.returncode == 2
    (line,) = stderr.splitlines()
    assert line.startswith(f"dp-synth: the store {tmp_path / 'store'} cannot be written (")
    assert "finished cells are kept" in line
    store = store_at(tmp_path / "store")
    assert [read(store, fake_cell(seed, tmp_path)) for seed in (0, 1)] == [Outcome(), None]
    assert len(files_of(store)) == 1


@pytest.fixture
def same_code(monkeypatch):
    """Let keys agree with those of another process, also while somebody edits the package."""
    monkeypatch.setattr(cell_module, "code_digest", lambda: "as in the test")


def run_script(script, *arguments):
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": path},
        stderr=subprocess.PIPE,
        text=True,
    )


TWO_RUNS = """
import dp_synth.benchmark.cell
dp_synth.benchmark.cell.code_digest = lambda: "as in the test"
import sys, time
from pathlib import Path
from fake_cells import fake_cell
from dp_synth.benchmark.cell import Outcome, measured
from dp_synth.benchmark.provenance import write_manifest
from dp_synth.benchmark.store import gather, open_store, save

folder = Path(sys.argv[1])
(folder / f"ready-{sys.argv[2]}").touch()
while not (folder / "go").exists():
    time.sleep(0.01)
store = open_store(folder / "store")
cells = [fake_cell(seed, folder) for seed in range(30)]
for _ in range(3):
    for cell in cells:
        save(store, cell, Outcome((measured("tv2", cell.seed, 0, 1),), ledger="x" * 20_000))
        if cell.seed % 10 == 0:
            gather(store, cells)
    write_manifest(store, {"name": "two"})
"""


def test_two_runs_into_one_store_at_the_same_time_are_safe(tmp_path, same_code):
    store = store_at(tmp_path / "store")
    cells = [fake_cell(seed, tmp_path) for seed in range(30)]
    runs = [run_script(TWO_RUNS, tmp_path, name) for name in "ab"]
    while not all((tmp_path / f"ready-{name}").exists() for name in "ab"):
        assert all(run.poll() is None for run in runs)
        time.sleep(0.01)
    (tmp_path / "go").touch()
    seen = 0
    while any(run.poll() is None for run in runs):
        time.sleep(0.01)
        assert all(outcome is None or outcome.ledger for _, outcome in outcomes(store, cells))
        if store.records.exists():
            table = read_records(store)
            assert (table["value"] == table["seed"]).all()
            seen += 1
    assert [run.communicate()[1] for run in runs] == ["", ""]
    assert [run.returncode for run in runs] == [0, 0]
    assert seen
    gather(store, cells)
    assert read_records(store)["value"].tolist() == list(range(30))
    assert len(list(store.runs.iterdir())) == 2 * 3
    known = {"records.parquet", "manifest.json"}
    left = {Path(file).name for file in files_of(store)} - {f"{cell.key}.json" for cell in cells}
    assert left - {path.name for path in store.runs.iterdir()} == known


def test_the_gathered_table_says_what_the_cells_say(store, tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "ROWS", 2)  # so that the table has several row groups
    good, bad, left = (fake_cell(seed, tmp_path) for seed in range(3))
    stray = fake_cell(9, tmp_path)
    baseline = fake_cell(3, tmp_path, synthesizer="real_rows", epsilon=None)
    for cell in (good, stray, baseline):
        save(store, cell, OUTCOME)
    save(store, bad, FAILED)
    table = pd.read_parquet(io.BytesIO(gather(store, [good, bad, left, baseline]).read_bytes()))
    assert list(table.columns) == list(RECORD_COLUMNS)
    assert table["seed"].tolist() == [0, 0, 1, 3, 3]
    assert table["metric"].tolist() == ["tv2", "auc", "", "tv2", "auc"]
    assert table["error"].tolist() == ["", "", "ValueError: no", "", ""]
    numbers = ["value", "low", "high", "seconds", "wall_seconds", "peak_mb"]
    assert table.loc[0, numbers].tolist() == [0.1 + 0.2, 0.4, 0.6, 0.25, 1.5, 100.0]
    assert np.isnan(table.loc[1, "value"])
    assert table["budget"].tolist() == ["ledger", "ledger", "", "ledger", "ledger"]
    assert table["epsilon"].isna().tolist() == [False] * 3 + [True] * 2
    assert table["delta"].iloc[0] == 1e-5
    pd.testing.assert_frame_equal(read_records(store), table)


def test_a_table_of_no_cell_is_empty_and_is_read(store):
    gather(store, [])
    table = read_records(store)
    assert (len(table), list(table.columns)) == (0, list(RECORD_COLUMNS))


@pytest.mark.parametrize("content", [b"", b"text", b"PAR1"])
def test_records_that_are_not_ours_are_one_clear_line(tmp_path, content):
    store = open_store(tmp_path / "store")
    store.records.write_bytes(content)
    with pytest.raises(InputError, match=r"records.parquet: not a Parquet file; run the grid"):
        read_records(store)
    pd.DataFrame({"a": [1]}).to_parquet(store.records)
    with pytest.raises(InputError, match=r"records.parquet: not the records of a benchmark"):
        read_records(store)


def test_a_store_that_cannot_be_written_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    for where in (tmp_path / "file", tmp_path / "file" / "below", (tmp_path / "file").as_uri()):
        with pytest.raises(InputError, match=r"the store .*file.* cannot be written \(.+\); name"):
            open_store(where)


@pytest.mark.parametrize("where", ["nosuch://a/b", "http://localhost/a", "broken://a"])
def test_an_address_that_cannot_be_written_is_one_clear_line(where):
    fsspec.register_implementation("broken", Broken, clobber=True)
    with pytest.raises(InputError, match=r"the store .*://.* cannot be written \(.+\)") as told:
        open_store(where)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("where", ["nosuch://a/b", "broken://a"])
def test_an_address_that_cannot_be_read_is_one_clear_line(tmp_path, where):
    fsspec.register_implementation("broken", Broken, clobber=True)
    with pytest.raises(InputError, match=r"the store .*://.* cannot be read \(.+\)"):
        list(outcomes(store_at(where), [fake_cell(0, tmp_path)]))
    with pytest.raises(InputError, match=r"the store .*://.* cannot be read \(.+\)"):
        read(store_at(where), fake_cell(0, tmp_path))
    with pytest.raises(InputError, match=r"the store .*://.* cannot be read \(.+\)"):
        read_records(store_at(where))


FIELDS = {
    "dataset": "other",
    "dataset_sha256": "1" * 64,
    "task": "leakage",
    "synthesizer": "independent",
    "settings": '{"degree":2}',
    "epsilon": 2.0,
    "delta": 1e-6,
    "adjacency": "replace_one",
    "seed": 1,
    "options": "{}",
    "code": "0123",
}


@pytest.mark.parametrize("field", FIELDS)
def test_a_key_changes_with_every_field(tmp_path, field):
    cell = fake_cell(0, tmp_path)
    assert set(FIELDS) == {f.name for f in dataclasses.fields(cell)}
    assert dataclasses.replace(cell, **{field: FIELDS[field]}).key != cell.key
    assert dataclasses.replace(cell).key == cell.key


def test_parts_that_only_show_results_are_not_part_of_a_key(tmp_path, monkeypatch):
    monkeypatch.setattr(cell_module.dp_synth, "__file__", str(tmp_path / "__init__.py"))
    digests = []
    for shown, decided in ((1, 1), (2, 1), (2, 2)):
        for part, text in (("figures", shown), ("statistics", shown), ("metrics", decided)):
            (tmp_path / part).mkdir(exist_ok=True)
            (tmp_path / part / "part.py").write_text(str(text))
        digests.append(cell_module.code_digest.__wrapped__())
    assert digests[0] == digests[1] != digests[2]


def test_a_key_changes_with_the_version(tmp_path, monkeypatch):
    before = fake_cell(0, tmp_path).key
    monkeypatch.setattr(cell_module, "__version__", "9.9.9")
    assert fake_cell(0, tmp_path).key != before
