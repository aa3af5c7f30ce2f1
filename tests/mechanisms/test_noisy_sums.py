"""Noisy sums of vectors: how far a unit moves them, what noise they get, what is paid and kept."""

from __future__ import annotations

from itertools import combinations_with_replacement, product

import numpy as np
import pytest
from made_tables import DOMAIN, made_codes, made_table
from numpy.typing import NDArray
from scipy.stats import kstest, norm

from dp_synth.accounting import ADJACENCIES, Accountant, Adjacency, Gaussian, Gaussians, Plan
from dp_synth.accounting.budget import PrivacyBudget
from dp_synth.audit.checks import answers_are_charged
from dp_synth.audit.likelihood_ratio import GaussianComparison, LikelihoodRatios
from dp_synth.errors import BudgetExceeded, InputError
from dp_synth.mechanisms import RecordVectors, measure_sums, sum_sensitivity
from dp_synth.mechanisms.gaussian import LARGEST_BOUND, MOST_SUMS, _summed, clip_vectors
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.transcript import AskedSums, SumsAnswer, from_fields, to_fields

Codes = NDArray[np.int32]
Integers = NDArray[np.int64]


def asked_sums(count: int) -> AskedSums:
    numbers = np.arange(1.0, count + 1)
    names = tuple(f"value {i}" for i in range(count))
    logs = np.arange(count) % 2 == 1
    return AskedSums(("mean age",) * count, names, logs, numbers, 1 / numbers, -numbers, numbers)


def made_vectors(
    count: int, bound: int, *, rng: np.random.Generator | None = None
) -> RecordVectors:
    """Vectors by age and sex that are longer than the bound for some records, shorter for others.

    The first two records of all point to opposite ends.
    """
    rng = np.random.default_rng(7) if rng is None else rng
    table = rng.integers(-2 * bound, 2 * bound + 1, size=(4, 2, count))
    table[0, 0], table[0, 1] = 0, 0
    table[0, 0, 0], table[0, 1, 0] = 5 * bound, -5 * bound

    def vectors(codes: Codes) -> Integers:
        return np.asarray(table[codes[:, 0], codes[:, 1]], dtype=np.int64)

    return RecordVectors(("age", "sex"), vectors, bound, asked_sums(count))


@pytest.mark.parametrize("adjacency", ADJACENCIES)
@pytest.mark.parametrize("max_rows", [1, 2])
def test_a_unit_moves_sums_by_at_most_the_sensitivity(adjacency: Adjacency, max_rows: int) -> None:
    records = list(product(range(4), range(2), range(1)))
    payer = made_table(made_codes(np.random.default_rng(0), 0), adjacency).payer
    vectors, largest = made_vectors(3, 50), 0.0

    def summed(rows: tuple[tuple[int, ...], ...]) -> NDArray[np.float64]:
        codes = np.array(rows, dtype=np.int32).reshape(-1, 3)
        return _summed(PrivateTable(codes, DOMAIN, payer), vectors)

    units = list(combinations_with_replacement(records, max_rows))
    for others in [(), *((record,) for record in records)] if max_rows == 1 else [()]:
        for unit in units:
            replaced = units if adjacency == "replace_one" else [()]
            for other in replaced:
                moved = summed((*others, *unit)) - summed((*others, *other))
                largest = max(largest, float(np.linalg.norm(moved)))
    stated = sum_sensitivity(50, adjacency, max_rows)
    assert largest == pytest.approx(stated, rel=1e-12)  # never above, and reached


@pytest.mark.parametrize("bound", [1, 2, 3, 1000, 2**20, LARGEST_BOUND])
@pytest.mark.parametrize("size", [1, 2, 7, MOST_SUMS])
def test_no_norm_is_above_the_bound_not_by_a_bit(bound: int, size: int) -> None:
    rng = np.random.default_rng(bound + size)
    scale = rng.choice([1, bound, 4 * bound, 2**40], size=(400, 1))
    vectors = rng.integers(-scale, scale + 1, size=(400, size))
    vectors[0], vectors[1], vectors[2] = np.iinfo(np.int64).min, np.iinfo(np.int64).max, 0
    vectors[3:20] = 0
    vectors[3:20, 0] = bound + np.arange(-8, 9)  # at the bound itself
    clipped = clip_vectors(vectors, bound)
    exact = [sum(int(number) ** 2 for number in row) for row in clipped]
    assert max(exact) <= bound**2
    norms = [sum(int(number) ** 2 for number in row) for row in vectors]
    kept = np.array([norm <= bound**2 for norm in norms])
    assert kept.any()
    assert np.array_equal(clipped[kept], vectors[kept])
    # What is cut keeps its direction, but for less than one in each number.
    cut = np.flatnonzero(~kept & (np.abs(vectors) <= LARGEST_BOUND).all(axis=1))
    for row in cut:
        wanted = vectors[row] * (bound / float(norms[row]) ** 0.5)
        assert np.all(np.abs(clipped[row]) <= np.abs(wanted) + 1e-6)
        assert np.all(np.abs(clipped[row] - wanted) <= 1 + bound * 1e-9 + bound / norms[row] ** 0.5)


@pytest.mark.parametrize("adjacency", ADJACENCIES)
@pytest.mark.parametrize("max_rows", [1, 3])
def test_noise_has_the_scale_that_was_charged(adjacency: Adjacency, max_rows: int) -> None:
    rng, count = np.random.default_rng(1), 1000
    table = made_table(made_codes(rng, 50), adjacency, max_rows=max_rows, answers=20)
    part, vectors = table.payer.plan.gaussians("ones"), made_vectors(count, 50)
    values = np.concatenate([measure_sums(table, vectors, part, rng) for _ in range(20)])
    claimed = 5.0 * sum_sensitivity(50, adjacency, max_rows)
    for entry in table.payer.accountant.ledger:
        assert isinstance(entry.event, Gaussian)
        assert (entry.count, entry.event.stddev) == (1, pytest.approx(claimed))
        assert (entry.event.noise_multiplier, entry.sampler) == (5.0, "exact")
    assert (values == np.rint(values)).all()
    noise = values - np.tile(_summed(table, vectors), 20)
    assert kstest(noise, norm(0, claimed).cdf).pvalue > 1e-6
    assert kstest(noise, norm(0, 0.9 * claimed).cdf).pvalue < 1e-6  # the test can fail
    assert answers_are_charged(table.payer.accountant.ledger, table.transcript).passed


def test_what_cannot_be_paid_reads_and_draws_nothing() -> None:
    rng = np.random.default_rng(2)
    table, vectors = made_table(made_codes(rng, 20)), made_vectors(3, 50)
    before = rng.bit_generator.state
    unpaid = Gaussians(1, noise_multiplier=4.0, name="ones")
    with pytest.raises(BudgetExceeded, match="nothing was released"):
        measure_sums(table, vectors, unpaid, rng)
    ones = table.payer.plan.gaussians("ones")
    foreign = RecordVectors(("wage",), vectors.of, 50, vectors.asked)
    with pytest.raises(KeyError, match="no attribute 'wage'"):
        measure_sums(table, foreign, ones, rng)
    drowned = Gaussians(1, noise_multiplier=1e10, name="ones")
    with pytest.raises(InputError, match="says nothing"):
        measure_sums(table, vectors, drowned, rng)
    assert len(table.payer.accountant.ledger) == table.reads == 0
    assert rng.bit_generator.state == before


def test_sums_of_a_seeded_table_repeat_and_others_do_not() -> None:
    def asked(randomness: str) -> list[float]:
        rng = np.random.default_rng(3)
        plan = Plan({"ones": Gaussians(1, noise_multiplier=5.0)})
        payer = Accountant(PrivacyBudget(1e9, 1e-6)).admit(
            "test",
            plan,
            randomness=randomness,  # type: ignore[arg-type]
        )
        table = PrivateTable(made_codes(rng, 20), DOMAIN, payer)
        vectors = made_vectors(3, 2**20)
        return [float(v) for v in measure_sums(table, vectors, payer.plan.gaussians("ones"), rng)]

    assert asked("seeded") == asked("seeded")
    assert asked("os") != asked("os")


def test_records_that_are_taken_together_count_as_often_as_they_occur() -> None:
    rng = np.random.default_rng(4)
    codes = made_codes(rng, 3000)  # of 24 cells
    vectors, table = made_vectors(5, 10**6), made_table(codes)
    expected = clip_vectors(vectors.of(codes[:, :2]), 10**6).sum(axis=0)
    assert _summed(table, vectors).tolist() == expected.tolist()
    merged = {"job": np.array([0, 0, 1], dtype=np.int32)}
    assert _summed(table.coarsen(merged), vectors).tolist() == expected.tolist()
    assert _summed(table.remembering(), vectors).tolist() == expected.tolist()
    backwards = RecordVectors(
        ("sex", "age"), lambda c: vectors.of(c[:, ::-1]), 10**6, vectors.asked
    )
    assert _summed(table, backwards).tolist() == expected.tolist()


def test_sums_over_no_record_are_noise_around_zero() -> None:
    rng = np.random.default_rng(5)
    table, vectors = made_table(made_codes(rng, 0)), made_vectors(4, 2**20)
    assert _summed(table, vectors).tolist() == [0.0] * 4
    values = measure_sums(table, vectors, table.payer.plan.gaussians("ones"), rng)
    assert np.all(np.abs(values) < 6 * 5 * 2**20)
    assert np.all(values != 0)


@pytest.mark.parametrize(
    ("attributes", "bound", "count"), [((), 5, 1), (("age",), 0, 1), (("age",), 2**27, 1)]
)
def test_vectors_without_a_sense_are_refused(
    attributes: tuple[str, ...], bound: int, count: int
) -> None:
    with pytest.raises(ValueError, match="must be"):
        RecordVectors(attributes, made_vectors(1, 5).of, bound, asked_sums(count))
    with pytest.raises(ValueError, match="1 to 1024 sums"):
        RecordVectors(("age",), made_vectors(1, 5).of, 5, asked_sums(0))


def test_vectors_that_are_no_whole_numbers_give_nothing() -> None:
    rng = np.random.default_rng(6)
    table = made_table(made_codes(rng, 5))
    halves = RecordVectors(("age",), lambda c: c / 2, 5, asked_sums(1))  # type: ignore[arg-type,return-value]
    with pytest.raises(ValueError, match="1 whole numbers a record"):
        measure_sums(table, halves, table.payer.plan.gaussians("ones"), rng)
    assert table.transcript == []


def answered() -> PrivateTable:
    rng = np.random.default_rng(8)
    table = made_table(made_codes(rng, 40)).coarsen({"job": np.array([0, 0, 1], dtype=np.int32)})
    measure_sums(table, made_vectors(3, 2**20), table.payer.plan.gaussians("ones"), rng, why="odd")
    return table


def test_an_answer_comes_back_as_it_was_kept() -> None:
    [answer] = answered().transcript
    assert isinstance(answer, SumsAnswer)
    [again] = from_fields(*to_fields([answer]))
    assert isinstance(again, SumsAnswer)
    assert (again.part, again.why, again.stddev) == ("ones", "odd", answer.stddev)
    assert again.bound == answer.bound == 2**20
    assert again.values.tolist() == answer.values.tolist()
    assert again.groups["job"].tolist() == [0, 0, 1]
    for name, part in answer.asked.__dict__.items():
        assert np.array_equal(getattr(again.asked, name), part)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        ({"answer_0": np.zeros(2)}, "a sum for each"),
        ({"answer_0": np.full(3, np.inf)}, "finite"),
        ({"answer_0_models": np.zeros(2)}, "five numbers each"),
        ({"answer_0_models": np.full(3, np.nan)}, "finite"),
        ({"answer_0_units": np.zeros(3)}, "above 0"),
        ({"answer_0_variances": -np.ones(3)}, "not below"),
        ({"answer_0_logs": np.zeros(3)}, "true or false"),
        ({"answer_0_logs": np.zeros(2, dtype=np.bool_)}, "five numbers each"),
    ],
)
def test_sums_that_do_not_fit_together_are_refused(array, said: str) -> None:
    fields, arrays = to_fields(answered().transcript)
    with pytest.raises(ValueError, match=said):
        from_fields(fields, {**arrays, **array})


def test_an_auditor_hears_by_what_law_sums_were_drawn() -> None:
    rng = np.random.default_rng(9)
    codes = np.zeros((30, 3), dtype=np.int32)  # the first of all records, whose norm is the bound
    table, heard = made_table(codes), list[object]()

    class Hearing:
        def answer(self, asked_table, read, draw):
            exact = read(asked_table)
            return exact, draw(exact)

        def hear(self, law: object) -> None:
            heard.append(law)

    table._auditor = Hearing()  # type: ignore[assignment]
    measure_sums(table, made_vectors(3, 1000), table.payer.plan.gaussians("ones"), rng)
    [law] = heard
    ratios = LikelihoodRatios(PrivateTable(codes[1:], DOMAIN, table.payer), [])
    [comparison] = ratios._compared(law)  # type: ignore[arg-type]
    assert isinstance(comparison, GaussianComparison)
    assert comparison.distance == pytest.approx(1 / 5.0)
