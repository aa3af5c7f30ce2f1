"""Parities of sets of bits: the same by every way and store as counted record by record."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_counts import halved, made_table

from dp_synth.counting import CachedCounts, CodeCounts, parities, read_counts
from dp_synth.counting.columns import DiskColumns
from dp_synth.counting.marginals import Counts
from dp_synth.counting.parities import count_parities, walsh_hadamard
from dp_synth.domain import NO_BIT, Domain, ParitySets
from dp_synth.schema import Schema
from dp_synth.types import Codes, Floats


def some_sets(rng: np.random.Generator, domain: Domain, bits: int, count: int) -> ParitySets:
    """Random bits, several of one attribute among them, and random sets of up to five."""
    attributes = tuple(str(name) for name in rng.choice(domain.attributes, bits))
    halves = tuple(rng.integers(0, 2, domain.size(name)).astype(np.int32) for name in attributes)
    sets = np.full((count, 5), NO_BIT, dtype=np.int32)
    for line in sets:
        chosen = rng.permutation(bits)[: rng.integers(0, 6)]
        line[: len(chosen)] = chosen
    return ParitySets(attributes, halves, sets)


def slow_parities(codes: Codes, domain: Domain, asked: ParitySets) -> Floats:
    """Multiply signs record by record."""
    found = np.zeros(len(asked))
    for number in range(len(asked)):
        signs = np.ones(len(codes))
        for attribute, half in asked.parts_of(number):
            signs *= 1 - 2 * half[codes[:, domain.axis(attribute)]]
        found[number] = signs.sum()
    return found


@pytest.mark.parametrize("most", [0, parities.MOST_TRANSFORMED])
@pytest.mark.parametrize("bits", [1, 6, 13])
@pytest.mark.parametrize("records", [0, 1, 63, 64, 65, 5000])
def test_both_ways_count_what_records_say(
    monkeypatch: pytest.MonkeyPatch, most: int, bits: int, records: int
) -> None:
    monkeypatch.setattr(parities, "MOST_TRANSFORMED", most)
    monkeypatch.setattr(parities, "PER_TRANSFORMED", 0.0)  # whatever it would cost
    monkeypatch.setattr(parities, "PER_LINE_AND_BIT", 0.0)
    monkeypatch.setattr(parities, "WORDS_OF_PARTS", 40)  # several passes
    monkeypatch.setattr(parities, "WORDS_A_PASS", 100)
    rng = np.random.default_rng([records, bits])
    codes, domain = made_table(rng, records)
    asked = some_sets(rng, domain, bits, 60)
    found = count_parities(CodeCounts.of(codes, domain), asked)
    assert found.tolist() == slow_parities(codes, domain, asked).tolist()


def test_equal_records_that_are_taken_together_count_as_often_as_they_are() -> None:
    rng = np.random.default_rng(1)
    domain = Domain(("a", "b", "c", "d", "e"), (2, 3, 2, 1, 2))
    codes = rng.integers(0, domain.sizes, (4000, 5), dtype=np.int32)
    counts = CodeCounts.of(codes, domain)
    assert counts._columns.weights is not None
    asked = some_sets(rng, domain, 12, 50)
    expected = slow_parities(codes, domain, asked).tolist()
    for most in (0, parities.MOST_TRANSFORMED):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(parities, "MOST_TRANSFORMED", most)
            assert count_parities(counts, asked).tolist() == expected


def test_every_store_gives_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    codes, domain = made_table(rng, 900)
    asked = some_sets(rng, domain, 9, 40)
    disk = DiskColumns(domain.sizes)
    disk.append(list(codes.T))
    columns = [{"name": n, "type": "ordinal", "size": domain.size(n)} for n in domain]
    schema = Schema.from_dict({"name": "t", "columns": columns})
    frame = pd.DataFrame(codes, columns=list(domain.attributes))
    frame.to_parquet(tmp_path / "table.parquet")
    stores: list[Counts] = [
        CodeCounts.of(codes, domain),
        CodeCounts(disk, domain),
        read_counts(tmp_path / "table.parquet", schema),
        CachedCounts(CodeCounts.of(codes, domain)),
    ]
    expected = slow_parities(codes, domain, asked).tolist()
    for store in stores:
        assert count_parities(store, asked).tolist() == expected
    groups = {"a": halved(domain, "a"), "c": halved(domain, "c")}
    coarse, fewer = codes.copy(), domain.coarsened(groups)
    for name, group in groups.items():
        coarse[:, domain.axis(name)] = group[codes[:, domain.axis(name)]]
    asked = some_sets(rng, fewer, 9, 40)
    expected = slow_parities(coarse, fewer, asked).tolist()
    for store in stores:
        assert count_parities(store.coarsened(groups), asked).tolist() == expected


def test_the_transform_is_that_of_signs() -> None:
    rng = np.random.default_rng(3)
    for bits in range(13):
        table = rng.integers(-9, 9, 1 << bits).astype(float)
        found = walsh_hadamard(table)
        for place in rng.integers(0, 1 << bits, 5).tolist():
            signs = [(-1) ** (place & cell).bit_count() for cell in range(1 << bits)]
            assert found[place] == table @ signs


def test_ones_are_counted_alike_with_any_numpy() -> None:
    words = np.random.default_rng(4).integers(0, 2**64, (7, 11), dtype=np.uint64)
    expected = [[int(word).bit_count() for word in line] for line in words]
    assert parities.ones_in(words).tolist() == expected
    assert parities._ones_looked_up(words).tolist() == expected


def test_bits_of_another_domain_are_refused() -> None:
    counts = CodeCounts.of(np.zeros((3, 1), dtype=np.int32), Domain(("a",), (3,)))
    sets = np.zeros((1, 1), dtype=np.int32)
    with pytest.raises(ValueError, match="each of 3 codes"):
        count_parities(counts, ParitySets(("a",), (np.array([0, 1]),), sets))
    with pytest.raises(KeyError, match="'b'"):
        count_parities(counts, ParitySets(("b",), (np.array([0, 1]),), sets))


def test_sets_that_name_no_bit_are_refused() -> None:
    half = (np.array([0, 1]),)
    for sets in (np.array([[1]]), np.array([[-2]]), np.array([0])):
        with pytest.raises(ValueError, match="sets must be of 1 bits"):
            ParitySets(("a",), half, sets)
    with pytest.raises(ValueError, match="0 or 1"):
        ParitySets(("a",), (np.array([0, 2]),), np.array([[0]]))
    with pytest.raises(ValueError, match="2 attributes but 1 halves"):
        ParitySets(("a", "b"), half, np.array([[0]]))
