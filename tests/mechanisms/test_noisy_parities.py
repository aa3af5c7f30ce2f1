"""Noisy parities: how far a unit moves them, what noise they get, what is paid and kept."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from made_tables import DOMAIN, made_codes, made_table
from scipy.stats import kstest, norm

from dp_synth.accounting import ADJACENCIES, Adjacency, Gaussian, Gaussians
from dp_synth.audit.checks import answers_are_charged
from dp_synth.audit.likelihood_ratio import GaussianComparison, LikelihoodRatios
from dp_synth.domain import NO_BIT, ParitySets
from dp_synth.errors import BudgetExceeded, InputError
from dp_synth.mechanisms import measure_parities, parity_sensitivity
from dp_synth.mechanisms.gaussian import GaussianLaw
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.transcript import ParityAnswer, from_fields, to_fields
from dp_synth.types import Codes

HALVES = (np.array([0, 0, 1, 1]), np.array([0, 1]), np.array([0, 1, 1]), np.array([1, 0, 1]))
BITS = ("age", "sex", "job", "job")


def all_sets(*, anchored: bool) -> ParitySets:
    """Every set of the bits, or those that hold the first one."""
    found = [c for size in range(1, 5) for c in combinations(range(4), size)]
    kept = [c for c in found if 0 in c or not anchored]
    sets = np.array([[*c, *[NO_BIT] * (4 - len(c))] for c in kept], dtype=np.int32)
    return ParitySets(BITS, tuple(half.astype(np.int32) for half in HALVES), sets)


def many_sets(count: int) -> ParitySets:
    """One set, asked so often."""
    half = (np.array([0, 1], dtype=np.int32),)
    return ParitySets(("sex",), half, np.zeros((count, 1), dtype=np.int32))


@pytest.mark.parametrize("adjacency", ADJACENCIES)
@pytest.mark.parametrize("rows", [1, 2, 5])
@pytest.mark.parametrize("anchored", [True, False])
def test_one_unit_moves_parities_by_at_most_their_sensitivity(
    adjacency: Adjacency, rows: int, anchored: bool
) -> None:
    rng, largest = np.random.default_rng(0), 0.0
    payer, asked = made_table(made_codes(rng, 0), adjacency).payer, all_sets(anchored=anchored)
    for _ in range(300):
        codes = made_codes(rng, int(rng.integers(rows, 12)))
        alike = rng.random() < 0.8
        codes[:rows] = codes[0] if alike else codes[:rows]
        other = codes[rows:]
        if adjacency == "replace_one":
            other = codes.copy()
            other[:rows] = made_codes(rng, 1)[0] if alike else made_codes(rng, rows)
        here, there = (
            PrivateTable(table, DOMAIN, payer).exact_parities(asked) for table in (codes, other)
        )
        largest = max(largest, float(np.linalg.norm(here - there)))
    stated = parity_sensitivity(len(asked), adjacency, rows)
    assert largest <= stated * (1 + 1e-12)
    if adjacency == "add_remove" or anchored:  # a bit that all sets share moves all of them
        assert largest == pytest.approx(stated, rel=1e-12)


@pytest.mark.parametrize("adjacency", ADJACENCIES)
@pytest.mark.parametrize("max_rows", [1, 3])
def test_noise_has_the_scale_that_was_charged(adjacency: Adjacency, max_rows: int) -> None:
    rng, count = np.random.default_rng(1), 30_000
    table = made_table(made_codes(rng, 50), adjacency, max_rows=max_rows)
    asked = many_sets(count)
    values = measure_parities(table, asked, table.payer.plan.gaussians("ones"), rng)
    [entry] = table.payer.accountant.ledger
    claimed = 5.0 * parity_sensitivity(count, adjacency, max_rows)
    assert isinstance(entry.event, Gaussian)
    assert (entry.count, entry.event.stddev) == (1, pytest.approx(claimed))
    assert entry.event.noise_multiplier == 5.0
    assert (values == np.rint(values)).all()
    noise = values - table.exact_parities(asked)
    assert kstest(noise, norm(0, claimed).cdf).pvalue > 1e-6
    assert kstest(noise, norm(0, 0.9 * claimed).cdf).pvalue < 1e-6  # the test can fail
    assert answers_are_charged(table.payer.accountant.ledger, table.transcript).passed


def test_what_cannot_be_paid_reads_and_draws_nothing() -> None:
    rng = np.random.default_rng(2)
    table = made_table(made_codes(rng, 20))
    before = rng.bit_generator.state
    unpaid = Gaussians(1, noise_multiplier=4.0, name="ones")
    with pytest.raises(BudgetExceeded, match="nothing was released"):
        measure_parities(table, many_sets(3), unpaid, rng)
    ones = table.payer.plan.gaussians("ones")
    with pytest.raises(ValueError, match="a set of bits, at least"):
        measure_parities(table, many_sets(0), ones, rng)
    foreign = ParitySets(("age",), (np.array([0, 1]),), np.zeros((1, 1), dtype=np.int32))
    with pytest.raises(ValueError, match="each of 4 codes"):
        measure_parities(table, foreign, ones, rng)
    drowned = Gaussians(1, noise_multiplier=1e10, name="ones")
    with pytest.raises(InputError, match="says nothing"):
        measure_parities(table, many_sets(9), drowned, rng)
    assert len(table.payer.accountant.ledger) == table.reads == 0
    assert rng.bit_generator.state == before


def answered(codes: Codes) -> PrivateTable:
    """A table that has answered all parities once, its ages coarsened."""
    rng = np.random.default_rng(3)
    groups = {"age": np.array([0, 0, 1, 2], dtype=np.int32)}
    table = made_table(codes).coarsen(groups)
    asked = all_sets(anchored=False)
    halves = (np.array([0, 1, 1], dtype=np.int32), *asked.halves[1:])
    asked = ParitySets(BITS, halves, asked.sets)
    measure_parities(table, asked, table.payer.plan.gaussians("ones"), rng, why="odd")
    return table


def test_an_answer_is_kept_small_and_comes_back_as_it_was() -> None:
    table = answered(made_codes(np.random.default_rng(4), 40))
    [answer] = table.transcript
    assert isinstance(answer, ParityAnswer)
    fields, arrays = to_fields([answer])
    assert arrays["answer_0"].dtype == np.int32
    assert arrays["answer_0_sets"].dtype == np.int8
    [again] = from_fields(fields, arrays)
    assert isinstance(again, ParityAnswer)
    assert (again.part, again.why, again.stddev) == ("ones", "odd", answer.stddev)
    assert again.values.dtype == np.float64
    assert again.values.tolist() == answer.values.tolist()
    assert again.asked.attributes == BITS
    assert again.asked.sets.tolist() == answer.asked.sets.tolist()
    for half, other in zip(again.asked.halves, answer.asked.halves, strict=True):
        assert half.tolist() == other.tolist()
    assert again.groups["age"].tolist() == [0, 0, 1, 2]


@pytest.mark.parametrize(
    ("array", "said"),
    [
        ({"answer_0": np.zeros(3)}, "a parity for each of 15 sets"),
        ({"answer_0": np.full(15, np.nan)}, "finite"),
        ({"answer_0_sets": np.zeros(15, np.int8)}, "the sets must be"),
        ({"answer_0_sets": np.full((15, 4), 4, np.int8)}, "the sets must be"),
        ({"answer_0_halves": np.zeros(3, np.int8)}, "a line each"),
        ({"answer_0_halves": np.full((4, 3), 2, np.int8)}, "0 or 1"),
        ({"answer_0_halves": np.zeros((3, 3), np.int8)}, "4 attributes but 3 halves"),
        ({"answer_0_halves": np.zeros((4, 3))}, "whole numbers"),
    ],
)
def test_parities_that_do_not_fit_together_are_refused(array, said: str) -> None:
    fields, arrays = to_fields(answered(made_codes(np.random.default_rng(5), 40)).transcript)
    with pytest.raises(ValueError, match=said):
        from_fields(fields, {**arrays, **array})


def test_an_auditor_hears_by_what_law_parities_were_drawn() -> None:
    rng = np.random.default_rng(6)
    codes = made_codes(rng, 30)
    table = made_table(codes)
    asked = all_sets(anchored=False)
    heard: list[object] = []

    class Hearing:
        def answer(self, asked_table, read, draw):
            exact = read(asked_table)
            return exact, draw(exact)

        def hear(self, law: object) -> None:
            heard.append(law)

    table._auditor = Hearing()  # type: ignore[assignment]
    measure_parities(table, asked, table.payer.plan.gaussians("ones"), rng)
    [law] = heard
    assert isinstance(law, GaussianLaw)
    ratios = LikelihoodRatios(PrivateTable(codes[1:], DOMAIN, table.payer), [])
    [comparison] = ratios._compared(law)
    assert isinstance(comparison, GaussianComparison)
    moved = np.linalg.norm(law.here[0] - law.exact(PrivateTable(codes[1:], DOMAIN, table.payer))[0])
    assert moved == pytest.approx(parity_sensitivity(len(asked), "add_remove"))
