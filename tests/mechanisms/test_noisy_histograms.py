"""Noisy histograms of a score: how far a record moves them, what noise they get, what is paid."""

from __future__ import annotations

from itertools import combinations_with_replacement, product

import numpy as np
import pytest
from made_tables import DOMAIN, made_codes, made_table
from numpy.typing import NDArray
from scipy.stats import kstest, norm

from dp_synth.accounting import ADJACENCIES, Adjacency, Gaussian, Gaussians
from dp_synth.errors import BudgetExceeded
from dp_synth.mechanisms import marginal_sensitivity, measure_histogram
from dp_synth.mechanisms.gaussian import _counted
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.transcript import HistogramAnswer

Codes = NDArray[np.int32]


def by_sum(codes: Codes) -> NDArray[np.int64]:
    """A public score of each record: the sum of its codes."""
    return codes.sum(axis=1).astype(np.int64)


@pytest.mark.parametrize("adjacency", ADJACENCIES)
def test_a_record_moves_a_histogram_by_at_most_the_sensitivity(adjacency: Adjacency) -> None:
    records = list(product(range(2), range(2), range(2)))
    payer, largest = made_table(made_codes(np.random.default_rng(0), 0), adjacency).payer, 0.0

    def counted(rows: tuple[tuple[int, ...], ...]) -> NDArray[np.float64]:
        codes = np.array(rows, dtype=np.int32).reshape(-1, 3)
        return _counted(PrivateTable(codes, DOMAIN, payer), by_sum, 3)  # the last cell holds two

    for size in range(3):
        for rows in combinations_with_replacement(records, size):
            for record in records:
                other = (*rows, record) if adjacency == "add_remove" else (*rows[1:], record)
                if rows or adjacency == "add_remove":
                    moved = float(np.linalg.norm(counted(rows) - counted(other)))
                    largest = max(largest, moved)
    assert largest == pytest.approx(marginal_sensitivity(adjacency), abs=1e-12)


@pytest.mark.parametrize("adjacency", ADJACENCIES)
@pytest.mark.parametrize("max_rows", [1, 40])
def test_noise_has_the_scale_that_was_charged(adjacency: Adjacency, max_rows: int) -> None:
    rng, size = np.random.default_rng(1), 30_000
    table = made_table(made_codes(rng, 50), adjacency, max_rows=max_rows)
    part = table.payer.plan.gaussians("ones")
    values = measure_histogram(table, by_sum, size, part, rng)
    [entry] = table.payer.accountant.ledger
    claimed = 5.0 * marginal_sensitivity(adjacency, max_rows)
    assert isinstance(entry.event, Gaussian)
    assert (entry.count, entry.event.stddev) == (1, pytest.approx(claimed))
    assert (values == np.rint(values)).all()
    noise = values - _counted(table, by_sum, size)
    smooth = noise + rng.uniform(-0.5, 0.5, size)
    assert kstest(smooth, norm(0, claimed).cdf).pvalue > 1e-6
    assert kstest(smooth, norm(0, 0.9 * claimed).cdf).pvalue < 1e-6  # the test can fail
    [answer] = table.transcript
    assert isinstance(answer, HistogramAnswer)
    assert answer.values.tolist() == values.tolist()


def test_what_cannot_be_paid_reads_and_draws_nothing() -> None:
    rng = np.random.default_rng(2)
    table = made_table(made_codes(rng, 20))
    before = rng.bit_generator.state
    with pytest.raises(BudgetExceeded, match="nothing was released"):
        measure_histogram(table, by_sum, 5, Gaussians(1, noise_multiplier=4.0, name="ones"), rng)
    assert len(table.payer.accountant.ledger) == table.reads == 0
    assert rng.bit_generator.state == before
