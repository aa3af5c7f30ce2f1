"""Residual selection: which sets are asked, and which of their parities say something new."""

from __future__ import annotations

from itertools import combinations, product
from math import prod

import numpy as np
import pytest

from dp_synth.counting import CodeCounts
from dp_synth.counting.parities import count_parities
from dp_synth.domain import NO_BIT, Domain, ParitySets
from dp_synth.inference.residual_selection import (
    Bits,
    Interaction,
    find_interactions,
    halves_of,
    highest_entropy,
    layers_of,
    parity_sets,
    threshold,
)
from dp_synth.transcript import Measurement
from dp_synth.types import Codes

STDDEV = 60.0  # of every parity here, of 10,000 records


def bits_of(codes: Codes, domain: Domain) -> Bits:
    """The bits of a table whose columns are counted with next to no noise."""
    columns = zip(domain, domain.sizes, codes.T, strict=True)
    ones = [
        Measurement((name,), np.bincount(column, minlength=size).astype(float), 1.0)
        for name, size, column in columns
    ]
    return Bits.of(domain, ones, float(len(codes)))


def found_in(codes: Codes, domain: Domain, seed: int = 0) -> list[Interaction]:
    """What stands out of noisy parities of all sets, of the first 20,000 or so."""
    bits = bits_of(codes, domain)
    layers = layers_of(bits, domain.label)
    ends = np.cumsum([layer.count for layer in layers])
    asked = parity_sets(bits, domain.label, layers[: int((ends <= 20_000).sum())])
    values = count_parities(CodeCounts.of(codes, domain), asked)
    noise = np.random.default_rng(seed).normal(0, STDDEV, len(values))
    return find_interactions(bits, asked, values + noise, STDDEV, float(len(codes)))


def cliques_of(found: list[Interaction]) -> set[frozenset[str]]:
    return {frozenset(one.clique) for one in found}


NAMES = ("a", "b", "c", "d", "e", "f", "y")
BINARY = Domain(NAMES, (2,) * 7, label="y")


def coins(rng: np.random.Generator, chances: float | list[float] = 0.5) -> Codes:
    """10,000 records of seven independent coins."""
    return (rng.random((10_000, 7)) < chances).astype(np.int32)


@pytest.mark.parametrize("order", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("label", ["y", None])
def test_an_exclusive_or_is_found_and_nothing_else(order: int, label: str | None) -> None:
    rng = np.random.default_rng(order)
    codes = coins(rng)
    codes[:, 6] = codes[:, :order].sum(axis=1) % 2 ^ (rng.random(10_000) < 0.05)
    [found] = found_in(codes, Domain(NAMES, (2,) * 7, label=label))
    assert set(found.clique) == {*NAMES[:order], "y"}
    assert abs(abs(found.effect) - 0.9) < 6 * (STDDEV / 10_000 + 0.0044)


def test_an_interaction_without_the_label_is_found_beside_one_with_it() -> None:
    rng = np.random.default_rng(0)
    codes = coins(rng)
    codes[:, 2] = codes[:, 0] ^ codes[:, 1] ^ (rng.random(10_000) < 0.1)
    codes[:, 6] = codes[:, 3] ^ codes[:, 4] ^ (rng.random(10_000) < 0.2)
    assert cliques_of(found_in(codes, BINARY)) == {frozenset("abc"), frozenset("dey")}


@pytest.mark.parametrize("seed", range(5))
def test_what_pairs_and_columns_imply_is_no_interaction(seed: int) -> None:
    """Rare codes and chains of pairs make parities of many bits large: none is news."""
    rng = np.random.default_rng(seed)
    rare = coins(rng, [0.02, 0.05, 0.1, 0.9, 0.5, 0.2, 0.03])
    assert found_in(rare, BINARY) == []
    chain = coins(rng)
    for axis in range(1, 7):
        chain[:, axis] = chain[:, axis - 1] ^ (rng.random(10_000) < 0.1)
    assert found_in(chain, BINARY) == []
    skewed = coins(rng, [0.2] * 7)
    skewed[:, 6] = np.where(rng.random(10_000) < 0.8, skewed[:, 0], skewed[:, 6])
    assert found_in(skewed, BINARY) == []


@pytest.mark.parametrize("seed", range(3))
def test_a_chain_of_equal_categories_is_no_interaction(seed: int) -> None:
    """Three cuts of equal columns multiply to one: halves by halves no pair shows it."""
    rng = np.random.default_rng(seed)
    domain = Domain(tuple("abcdef"), (4,) * 6)
    codes = rng.integers(0, 4, (10_000, 6), dtype=np.int32)
    for axis in range(1, 6):
        kept = rng.random(10_000) < 0.8
        codes[:, axis] = np.where(kept, codes[:, axis - 1], codes[:, axis])
    assert found_in(codes, domain) == []


def test_of_independent_columns_next_to_nothing_stands_out() -> None:
    rng = np.random.default_rng(1)
    assert [found_in(coins(rng), BINARY, seed) for seed in range(20)] == [[]] * 20


@pytest.mark.parametrize("size", [3, 4, 6])
def test_an_exclusive_or_of_odd_codes_of_categories_is_found(size: int) -> None:
    rng = np.random.default_rng(size)
    domain = Domain(NAMES, (size,) * 6 + (2,), label="y")
    codes = rng.integers(0, domain.sizes, (10_000, 7), dtype=np.int32)
    codes[:, 6] = (codes[:, 0] % 2) ^ (codes[:, 3] % 2) ^ (rng.random(10_000) < 0.05)
    found = found_in(codes, domain)
    assert cliques_of(found) == {frozenset("ady")}
    [one] = found
    for name in "ad":
        odd = np.arange(size) % 2
        assert one.halves[name].tolist() in (odd.tolist(), (1 - odd).tolist())


def test_sets_are_distinct_and_hold_at_most_a_bit_of_each_attribute() -> None:
    domain = Domain(tuple("abcdy"), (2, 3, 4, 6, 3), label="y")
    bits = bits_of(np.stack([np.arange(12) % n for n in domain.sizes], axis=1), domain)
    layers = layers_of(bits, "y")
    asked = parity_sets(bits, "y", layers)
    assert len(asked) == sum(layer.count for layer in layers)
    lines = [frozenset(int(bit) for bit in line if bit != NO_BIT) for line in asked.sets]
    assert len(set(lines)) == len(lines)
    several = [bits.attributes.count(name) for name in domain]
    wanted = sum(
        prod(chosen) for size in range(2, 6) for chosen in combinations(several, size)
    )  # of four columns and the label nothing is left out
    assert len(lines) == wanted
    for line in lines:
        names = [bits.attributes[bit] for bit in line]
        assert len(set(names)) == len(names)


def test_pairs_of_bits_come_before_the_sets_that_they_explain() -> None:
    domain = Domain((*"abcdefgh", "y"), (4,) * 8 + (2,), label="y")
    codes = np.random.default_rng(0).integers(0, domain.sizes, (500, 9), dtype=np.int32)
    layers = layers_of(bits_of(codes, domain), "y")
    for place, layer in enumerate(layers):
        later = [other for other in layers[place:] if other.level == layer.level]
        assert layer.length == 2 or all(other.length > 2 for other in later)


def test_halves_are_cuts_in_two_and_differ() -> None:
    for size, ordered in product(range(1, 12), (False, True)):
        shares = np.random.default_rng(size).dirichlet(np.ones(size))
        halves = [half for half, _ in halves_of(shares, ordered=ordered)]
        assert bool(halves) == (size > 1)
        assert all(0 < half.sum() < size for half in halves)
        assert len({(half ^ half[0]).tobytes() for half in halves}) == len(halves)
    six = [half for half, _ in halves_of(np.full(6, 1 / 6), ordered=False)]
    even = [half for half in six if half.sum() == 3]
    assert len(even) == 10  # of twenty halves of six, each with its other half


def test_noise_alone_passes_the_threshold_as_seldom_as_is_said() -> None:
    rng = np.random.default_rng(0)
    sets = 1000
    noise = np.abs(rng.normal(size=(4000, sets))).max(axis=1)
    passed = float((noise > threshold(sets)).mean())
    assert abs(passed - 0.05) < 5 * np.sqrt(0.05 / 4000)


def test_the_model_of_highest_entropy_has_the_means_and_is_a_product_otherwise() -> None:
    signs = np.array(list(product((1.0, -1.0), repeat=3)))
    chances = highest_entropy(signs, np.array([0.5, -0.2, 0.0]))
    expected = np.prod((1 + signs * [0.5, -0.2, 0.0]) / 2, axis=1)
    np.testing.assert_allclose(chances, expected, atol=2e-3)
    both = np.column_stack([signs, signs[:, 0] * signs[:, 1]])
    chances = highest_entropy(both, np.array([0.0, 0.0, 0.0, 0.9]))
    np.testing.assert_allclose(chances @ both, [0, 0, 0, 0.9], atol=1e-2)


def test_nothing_is_found_where_nothing_long_enough_was_asked() -> None:
    codes = coins(np.random.default_rng(0))
    bits = bits_of(codes, BINARY)
    pairs = [layer for layer in layers_of(bits, "y") if layer.length == 2]
    asked = parity_sets(bits, "y", pairs)
    assert isinstance(asked, ParitySets)
    assert find_interactions(bits, asked, np.full(len(asked), 9e3), STDDEV, 1e4) == []
