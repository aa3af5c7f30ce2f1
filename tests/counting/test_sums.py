"""Counts that several holders add: those of the union of their records, and nothing else told."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dp_synth import Accountant, PrivacyBudget, Schema
from dp_synth.counting import HolderFolder, Masks, PrivateRecords
from dp_synth.counting.holders import SESSION, answer_of
from dp_synth.counting.sums import LocalAdder, SummedRecords
from dp_synth.errors import InputError, RowsNeeded, SchemaError
from dp_synth.synthesizers import SYNTHESIZERS, serve

SCHEMA = Schema.from_dict(
    {
        "name": "people",
        "bounds_from": "made for this test",
        "columns": [
            {"name": "sex", "type": "categorical", "categories": ["F", "M"]},
            {"name": "code", "type": "categorical", "size": 4},
            {"name": "age", "type": "integer", "lower": 0, "upper": 90},
            {"name": "wage", "type": "real", "lower": 0, "upper": 10, "bins": 5},
        ],
    }
)
BUDGET = PrivacyBudget(1, 1e-6)
MST = SYNTHESIZERS["mst"]
KEY = bytes(range(32))


def people(records: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "sex": rng.choice(["F", "M"], records),
            "code": rng.integers(0, 4, records),
            "age": rng.integers(0, 91, records),
            "wage": rng.random(records) * 10,
        }
    )


HELD = [people(40, 1), people(0, 2), people(75, 3)]
UNION = pd.concat(HELD, ignore_index=True)


def assert_alike(ours, theirs) -> None:
    assert ours.sample(60, seed=1).equals(theirs.sample(60, seed=1))
    assert list(map(repr, ours.transcript)) == list(map(repr, theirs.transcript))


def test_summed_counts_are_those_of_the_union():
    parts = [PrivateRecords.of(frame, SCHEMA) for frame in HELD]
    ours = SummedRecords(SCHEMA, LocalAdder(parts)).counts
    theirs = PrivateRecords.of(UNION, SCHEMA).counts
    groups = {"age": np.arange(theirs.domain.size("age")) // 7, "code": np.array([1, 0, 1, 0])}
    cliques = [(), ("age",), *combinations(theirs.domain, 2), ("wage", "sex", "code")]
    for mine, other in ((ours, theirs), (ours.coarsened(groups), theirs.coarsened(groups))):
        for one, two in zip(mine.marginals(cliques), other.marginals(cliques), strict=True):
            assert np.array_equal(one, two)
        for one, two in zip(*(c.occupied(("age", "sex")) for c in (mine, other)), strict=True):
            assert np.array_equal(one, two)
    assert len(ours) == len(UNION)
    twice = ours.coarsened(groups).coarsened({"age": np.arange(13) // 2})
    other = theirs.coarsened(groups).coarsened({"age": np.arange(13) // 2})
    assert np.array_equal(twice.marginal(("age",)), other.marginal(("age",)))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name not in ("mst", "independent")))
        for name, one in SYNTHESIZERS.items()
        if one.measures
    ],
)
def test_a_release_over_several_tables_is_that_of_their_union(name):
    recipe = SYNTHESIZERS[name](**{"rounds": 2} if name == "mwem" else {})
    ours = recipe.fit(HELD, SCHEMA, BUDGET, seed=3)
    assert_alike(ours, recipe.fit(UNION, SCHEMA, BUDGET, seed=3))


def test_cells_that_the_fit_chooses_are_those_of_the_union():
    schema = Schema.from_dict(
        {
            "name": "fine",
            "bounds_from": "made for this test",
            "columns": [{"name": "wage", "type": "real", "lower": 0, "upper": 10}],
        }
    )
    assert schema.fine
    ours = MST().fit(HELD, schema, BUDGET, seed=3)
    assert_alike(ours, MST().fit(UNION, schema, BUDGET, seed=3))


def test_holders_may_have_files_and_databases(tmp_path):
    duckdb = pytest.importorskip("duckdb")
    first = tmp_path / "first.csv"
    HELD[0].to_csv(first, index=False)
    last = HELD[2]
    with duckdb.connect(str(tmp_path / "last.db")) as base:
        base.register("given", last)
        base.execute("CREATE TABLE people AS SELECT * FROM given")
    places = [str(first), HELD[1], f"duckdb:///{tmp_path}/last.db?table=people"]
    ours = MST().fit(places, SCHEMA, BUDGET, seed=3)
    assert_alike(ours, MST().fit(UNION, SCHEMA, BUDGET, seed=3))


def test_what_is_not_for_several_holders_is_refused_before_anything_is_read(tmp_path):
    missing = [str(tmp_path / "none.csv")]  # would be another error, if it were read
    with pytest.raises(InputError, match="reads records, which stay with their holders"):
        SYNTHESIZERS["dpctgan"]().fit(missing, SCHEMA, BUDGET)
    with pytest.raises(InputError, match="validation, or questions, of records that stay with"):
        MST().fit(missing, SCHEMA, BUDGET, validation=0.1)
    unit = PrivacyBudget(1, 1e-6, unit="sex", max_rows=2)
    with pytest.raises(SchemaError, match="records with several holders"):
        MST().fit(missing, SCHEMA, unit)
    opened = {"name": "job", "type": "categorical", "categories": ["a"], "open": True}
    told = {"name": "open", "bounds_from": "made", "columns": [opened]}
    with pytest.raises(SchemaError, match="never leave where they are"):
        MST().fit(missing, Schema.from_dict(told), BUDGET)
    with pytest.raises(InputError, match="must have one or more, and is empty"):
        MST().fit([], SCHEMA, BUDGET)


def test_records_never_come_from_holders():
    wide = Schema.from_dict(
        {
            "name": "wide",
            "bounds_from": "made",
            "columns": [{"name": n, "type": "categorical", "size": 100} for n in "abcd"],
        }
    )
    frame = pd.DataFrame({name: [1, 2] for name in "abcd"})
    counts = SummedRecords(wide, LocalAdder([PrivateRecords.of(frame, wide)])).counts
    with pytest.raises(RowsNeeded, match="only marginals come"):
        counts.occupied(tuple("abcd"))


def served(folder: Path, frames: dict[str, pd.DataFrame], masks: dict[str, Masks] | None = None):
    """Serve each frame in a thread; give the threads and what they raised."""
    raised: dict[str, Exception] = {}

    def one(name: str) -> None:
        try:
            own = None if masks is None else masks.get(name)
            serve(folder, frames[name], SCHEMA, name=name, masks=own, seconds=20)
        except Exception as error:
            raised[name] = error

    threads = [threading.Thread(target=one, args=(name,)) for name in frames]
    for thread in threads:
        thread.start()
    return threads, raised


def joined(threads) -> None:
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


@pytest.mark.parametrize("masked", [False, True])
def test_a_release_over_a_folder_is_that_of_the_union_and_leaves_nothing_there(masked, tmp_path):
    frames = dict(zip("abc", HELD, strict=True))
    masks = dict.fromkeys(frames, Masks(list(frames), KEY)) if masked else None
    threads, raised = served(tmp_path, frames, masks)
    ours = MST().fit(HolderFolder(tmp_path, list(frames), 30), SCHEMA, BUDGET, seed=3)
    assert ours.counted_by == "several holders"
    joined(threads)
    assert not raised
    assert_alike(ours, MST().fit(UNION, SCHEMA, BUDGET, seed=3))
    assert list(tmp_path.iterdir()) == []


def test_a_holder_in_another_process_answers_the_same(tmp_path):
    folder = tmp_path / "shared"
    folder.mkdir()
    SCHEMA.save(tmp_path / "schema.json")
    started = []
    for name, frame in zip(("one", "two"), (HELD[0], HELD[2]), strict=True):
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
        code = (
            "import sys; from dp_synth import Schema; from dp_synth.counting import Masks; "
            "from dp_synth.synthesizers import serve; folder, data, schema, name = sys.argv[1:]; "
            "masks = Masks(['one', 'two'], bytes(range(32))); "
            "serve(folder, data, Schema.load(schema), name=name, masks=masks, seconds=60)"
        )
        given = [folder, tmp_path / f"{name}.csv", tmp_path / "schema.json", name]
        started.append(subprocess.Popen([sys.executable, "-c", code, *map(str, given)]))
    ours = MST().fit(HolderFolder(folder, ["one", "two"], 60), SCHEMA, BUDGET, seed=3)
    assert [process.wait(60) for process in started] == [0, 0]
    assert_alike(ours, MST().fit(UNION, SCHEMA, BUDGET, seed=3))


def evenness(words: np.ndarray) -> float:
    """Return chi-squared of the bytes of words against even ones, by its degrees of freedom."""
    seen = np.bincount(words.view(np.uint8), minlength=256)
    expected = seen.sum() / 256
    return float(((seen - expected) ** 2 / expected).sum() / 255)


def test_one_masked_answer_looks_uniform_and_the_sum_is_exact():
    rng, names = np.random.default_rng(0), ["a", "b", "c"]
    exact = {name: rng.integers(0, 50, 4096).astype(np.uint64) for name in names}
    masks = Masks(names, KEY)
    masked = {name: masks.applied(exact[name], name, b"request") for name in names}
    for name in names:
        assert evenness(masked[name]) < 1.5 < evenness(exact[name])
    assert evenness(masked["a"] + masked["b"]) < 1.5
    assert np.array_equal(sum(masked.values()), sum(exact.values()))
    again = masks.applied(exact["a"], "a", b"another")
    assert evenness(again - masked["a"]) < 1.5  # no mask is used twice


def test_who_has_no_key_is_not_told_it():
    masks = Masks(["a", "b"], KEY)
    assert repr(KEY) not in repr(masks)
    assert masks.told("s") != Masks(["a", "b"], KEY[::-1]).told("s")
    with pytest.raises(InputError, match="32 random bytes"):
        Masks(["a"], b"short")
    with pytest.raises(InputError, match="small letters"):
        HolderFolder(".", ["../a"])
    with pytest.raises(InputError, match="named once"):
        HolderFolder(".", ["a", "a"])


def refused(folder: Path, holders: list[str], match: str, seconds: float = 20) -> None:
    """Fit over a folder, which fails in one line before anything is charged."""
    accountant = Accountant(BUDGET)
    with pytest.raises(InputError, match=match) as raised:
        MST().fit(HolderFolder(folder, holders, seconds), SCHEMA, accountant, seed=3)
    assert "\n" not in str(raised.value)
    assert not accountant.ledger.entries
    assert list(folder.iterdir()) == []


def test_a_holder_that_is_not_there_is_named(tmp_path):
    threads, _ = served(tmp_path, {"a": HELD[0]})
    refused(tmp_path, ["a", "b"], "holder 'b' did not answer within", 0.5)
    joined(threads)


def test_a_holder_of_another_schema_is_named(tmp_path):
    def other() -> None:
        with pytest.raises(SchemaError, match="another schema"):
            serve(tmp_path, HELD[0], SCHEMA.select(["sex", "age"]), name="a", seconds=20)

    thread = threading.Thread(target=other)
    thread.start()
    refused(tmp_path, ["a"], "holder 'a' has another schema")
    joined([thread])


def test_masks_of_another_key_or_list_are_refused(tmp_path):
    masks = {"a": Masks(["a", "b"], KEY), "b": Masks(["a", "b"], KEY[::-1])}
    threads, _ = served(tmp_path, {"a": HELD[0], "b": HELD[2]}, masks)
    refused(tmp_path, ["a", "b"], "different keys")
    joined(threads)
    threads, raised = served(tmp_path, {"a": HELD[0]}, {"a": Masks(["a", "b"], KEY)})
    refused(tmp_path, ["a"], "holder 'a' refused the request")  # alone it would have no mask
    joined(threads)
    assert "other holders" in str(raised["a"])


def test_an_answer_that_is_cut_short_is_one_line_and_what_was_charged_stays_charged(tmp_path):
    def cut() -> None:
        asked, session = 0, None
        while asked < 2:
            if session is None and (tmp_path / SESSION).exists():
                session = json.loads((tmp_path / SESSION).read_text() or "null")
            if session is None:
                continue
            stem = f"{session['session']}-{asked + 1}"
            if (tmp_path / f"{stem}.request").exists():
                whole = answer_of(np.zeros(0 if not asked else 9, dtype=np.uint64), {"masks": None})
                (tmp_path / f"{stem}.new").write_bytes(whole[:-1] if asked else whole)
                (tmp_path / f"{stem}.new").rename(tmp_path / f"{stem}.a")
                asked += 1

    thread, accountant = threading.Thread(target=cut), Accountant(BUDGET)
    thread.start()
    with pytest.raises(InputError, match=r"'a': its answer is cut short.*stays charged") as raised:
        MST().fit(HolderFolder(tmp_path, ["a"], 20), SCHEMA, accountant, seed=3)
    joined([thread])
    assert "\n" not in str(raised.value)
    assert accountant.ledger.charges


def test_a_folder_in_use_and_one_that_is_not_there_are_refused(tmp_path):
    (tmp_path / SESSION).write_text("{}")
    with pytest.raises(InputError, match="take an empty folder"):
        MST().fit(HolderFolder(tmp_path, ["a"]), SCHEMA, BUDGET)
    with pytest.raises(InputError, match="there is no such folder"):
        MST().fit(HolderFolder(tmp_path / "none", ["a"]), SCHEMA, BUDGET)
    with pytest.raises(InputError, match="nobody asked within"):
        serve(tmp_path, HELD[0], SCHEMA, name="a", seconds=0.1)
