"""Nearest records without a look at every pair equal those of all pairs, bit for bit."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dp_synth.attacks import AttackerView, RecordsWithinRadius, neighbours
from dp_synth.attacks.neighbours import MixedRecords, count_within, mean_nearest, parted
from dp_synth.schema import Schema

KINDS = {
    "categorical": {"type": "categorical", "size": 4, "missing": ["?"]},
    "many": {"type": "categorical", "size": 200},
    "constant": {"type": "categorical", "size": 1},
    "ordinal": {"type": "ordinal", "size": 5, "missing": ["?"]},
    "integer": {"type": "integer", "lower": -3, "upper": 3, "missing": [""]},
    "real": {"type": "real", "lower": 0, "upper": 1, "missing": [""]},
    "datetime": {"type": "datetime", "lower": "2000-01-01", "upper": "2000-01-20"},
}


def cells(kind, rng, n):
    """Few values, some beyond the bounds and some missing, so that most distances are tied."""
    if kind == "datetime":
        days = pd.Timestamp("1999-12-25") + pd.to_timedelta(rng.integers(0, 40, n), unit="D")
        return days.strftime("%Y-%m-%d").astype(object)
    if kind == "real":
        found = rng.choice(np.array([-1.0, 0.0, 0.1, 1 / 3, 0.7, 2.0]), n).astype(str)
    elif kind == "integer":
        found = rng.integers(-4, 5, n).astype(str)
    else:
        found = rng.integers(0, KINDS[kind].get("size"), n).astype(str)
    found = found.astype(object)
    if missing := KINDS[kind].get("missing"):
        found[rng.random(n) < 0.2] = missing[0]
    return found


def schema_of(kinds):
    columns = [{"name": f"{i} {kind}", **KINDS[kind]} for i, kind in enumerate(kinds)]
    return Schema.from_dict({"name": "t", "columns": columns})


def table(kinds, n, seed):
    rng = np.random.default_rng(seed)
    frame = {f"{i} {kind}": cells(kind, rng, n) for i, kind in enumerate(kinds)}
    return pd.DataFrame(frame).iloc[rng.integers(0, max(n, 1), n)].reset_index(drop=True)


def all_pairs(targets, records):
    """The definition: a distance for every pair, in single precision, numbers first."""
    shape = (len(targets), len(records))
    away = np.zeros(shape, dtype=np.float32)
    for mine, theirs in zip(targets.numbers, records.numbers, strict=True):
        away += np.minimum(np.abs(mine[:, None] - theirs), np.float32(1))
    unequal = np.zeros(shape, dtype=np.uint16)
    for mine, theirs in zip(targets.codes, records.codes, strict=True):
        unequal += mine[:, None] != theirs
    return away + unequal.astype(np.float32)


tables = st.tuples(
    st.lists(st.sampled_from(list(KINDS)), min_size=1, max_size=6),
    st.integers(0, 90),
    st.integers(0, 300),
    st.integers(0, 2**32),
)


def small_searches(patch, **sizes):
    """Have every pair of tables searched by runs, of few records each."""
    chosen = {"FEW_PAIRS": -1, "RUN": 5, "RUNS_IN_BOX": 2, "SEEDS": 3} | sizes
    for name, value in chosen.items():
        patch.setattr(neighbours, name, value)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(tables, st.integers(1, 7), st.sampled_from([7, 200_000]))
def test_means_and_counts_equal_those_of_all_pairs(given_tables, count, block):
    kinds, targets, records, seed = given_tables
    schema = schema_of(kinds)
    left, right = (
        MixedRecords.of(table(kinds, n, seed + i), schema) for i, n in enumerate((targets, records))
    )
    away = all_pairs(left, right)
    expected = np.full(targets, float(len(kinds)))
    if records:
        least = np.sort(away, axis=1)[:, :count].astype(np.float64)
        expected = np.cumsum(least, axis=1)[:, -1] / least.shape[1]
    radius = float(np.median(away)) if away.size else 0.5
    with pytest.MonkeyPatch.context() as patch:
        for few_pairs in (-1, 10**9):
            small_searches(patch, FEW_PAIRS=few_pairs, BLOCK_CELLS=block)
            np.testing.assert_array_equal(mean_nearest(left, right, count), expected)
            for limit in (0.0, radius, 100.0):
                inside = (away <= limit).sum(axis=1)
                np.testing.assert_array_equal(count_within(left, right, limit), inside)


def test_numbers_of_many_values_are_found_as_exactly(monkeypatch):
    rng = np.random.default_rng(0)
    left, right = (
        MixedRecords(
            rng.integers(0, 3, (2, n)).astype(np.int16),
            rng.random((4, n)).astype(np.float32) * np.float32(0.3),
        )
        for n in (200, 900)
    )
    small_searches(monkeypatch, RUN=32, SEEDS=16)
    least = np.sort(all_pairs(left, right), axis=1)[:, :2].astype(np.float64)
    np.testing.assert_array_equal(mean_nearest(left, right, 1), least[:, 0])
    np.testing.assert_array_equal(mean_nearest(left, right, 2), least.sum(axis=1) / 2)


def test_codes_that_share_a_bit_are_not_taken_for_equal(monkeypatch):
    small_searches(monkeypatch)
    schema, rows = schema_of(["many"]), np.arange(200).astype(str)
    odd, even = (MixedRecords.of(pd.DataFrame({"0 many": rows[i::2]}), schema) for i in (1, 0))
    assert (mean_nearest(odd, even, 1) == 1).all()
    assert not mean_nearest(odd, odd, 1).any()


def test_records_without_attributes_are_all_alike(monkeypatch):
    small_searches(monkeypatch)
    nothing = MixedRecords(np.empty((0, 40), dtype=np.int16), np.empty((0, 40), dtype=np.float32))
    assert not mean_nearest(nothing, nothing, 1).any()
    assert (count_within(nothing, nothing, 0.0) == 40).all()


def test_an_attack_that_counts_is_the_same_by_both_ways(monkeypatch):
    kinds = list(KINDS)
    view = AttackerView(table(kinds, 200, 1), schema_of(kinds))
    plain = RecordsWithinRadius().scores(table(kinds, 100, 0), view)
    small_searches(monkeypatch)
    np.testing.assert_array_equal(RecordsWithinRadius().scores(table(kinds, 100, 0), view), plain)


@pytest.mark.parametrize("kinds", [["constant"], ["categorical", "real"], list(KINDS)])
def test_runs_are_small_and_hold_every_record_once(kinds):
    records = MixedRecords.of(table(kinds, 500, 0), schema_of(kinds))
    runs = parted(records, 20)
    assert max(map(len, runs)) <= 20
    np.testing.assert_array_equal(np.sort(np.concatenate(runs)), np.arange(500))


def test_a_search_holds_no_table_of_all_pairs(monkeypatch):
    monkeypatch.setattr(neighbours, "FEW_PAIRS", -1)
    rng = np.random.default_rng(0)  # nothing can be left alone where all is far from all
    left, right = (
        MixedRecords(
            rng.integers(0, 9, (9, 4000)).astype(np.int16), rng.random((5, 4000), np.float32)
        )
        for _ in range(2)
    )
    tracemalloc.start()
    mean_nearest(left, right, 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16_000_000  # a byte for each pair
