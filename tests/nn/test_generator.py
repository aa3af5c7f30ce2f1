"""Conditions of one law for records and generated rows, raked rows, averaged weights."""

from __future__ import annotations

import numpy as np
import pytest

from dp_synth.domain import Domain

torch = pytest.importorskip("torch", reason="the extra deep is not installed")

from dp_synth.nn.generator import (  # noqa: E402
    Averaged,
    Conditions,
    Encoding,
    Generator,
    raked,
)

DOMAIN = Domain(("a", "b"), (3, 2))
FREQUENCIES = torch.tensor([0.5, 0.3, 0.2, 0.9, 0.1])


def coins(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def own_coins(records: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(2**62, (records,), generator=coins(seed))


def made_conditions() -> Conditions:
    return Conditions(Encoding(DOMAIN), FREQUENCIES)


def test_a_records_condition_is_a_code_of_its_own() -> None:
    codes = torch.tensor([[2, 1]] * 200)
    marks = made_conditions().of_records(codes, own_coins(200))
    assert (marks.sum(1) == 1).all()
    assert set(marks.argmax(1).tolist()) == {2, 4}


def test_a_records_condition_depends_on_no_other_record() -> None:
    codes = torch.tensor([[2, 1], [0, 0], [1, 0]])
    other = torch.tensor([[0, 0], [0, 0], [1, 0]])
    first, second = (made_conditions().of_records(rows, own_coins(3, 3)) for rows in (codes, other))
    assert torch.equal(first[1:], second[1:])


def test_conditions_of_generated_rows_have_the_law_of_the_records() -> None:
    count = 40_000
    rng = np.random.default_rng(0)
    codes = np.stack(
        [rng.choice(3, count, p=[0.5, 0.3, 0.2]), rng.choice(2, count, p=[0.9, 0.1])], axis=1
    )
    conditions = made_conditions()
    real = conditions.of_records(torch.from_numpy(codes), own_coins(count, 1)).mean(0)
    made = conditions.drawn(count, coins(2)).mean(0)
    bound = 6 * torch.sqrt(2 * FREQUENCIES / 2 / count)
    assert (torch.abs(real - made) <= bound).all()


def test_raked_rows_have_the_frequencies_as_their_means() -> None:
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.dirichlet(np.ones(3), 500), rng.dirichlet(np.ones(2), 500)], axis=1)
    tables = raked(rows, FREQUENCIES.double().numpy(), DOMAIN.sizes)
    for table, wanted in zip(tables, ([0.5, 0.3, 0.2], [0.9, 0.1]), strict=True):
        assert np.allclose(table.sum(axis=1), 1)
        assert np.allclose(table.mean(axis=0), wanted, atol=1e-5)
    order = np.argsort(rows[:, 3])
    assert (np.diff(tables[1][order, 0]) >= 0).all()  # rows keep their order


def test_an_average_moves_by_its_part_and_leaves_the_network() -> None:
    network = Generator(4, 8, torch.zeros(5), coins())
    mean = Averaged(network, kept=0.9)
    with torch.no_grad():
        network.last.bias.fill_(1.0)
    mean.take(network)
    assert torch.allclose(mean.network.last.bias, torch.full((5,), 0.1))
    assert torch.equal(network.last.bias, torch.ones(5))


def test_a_generator_starts_near_the_frequencies() -> None:
    network = Generator(4, 8, torch.log(FREQUENCIES), coins())
    rows = Encoding(DOMAIN).softmax(network(torch.randn(2000, 4, generator=coins(1))))
    assert torch.allclose(rows.mean(0), FREQUENCIES, atol=0.1)


def test_networks_are_drawn_from_their_own_coins_alone() -> None:
    before = torch.random.get_rng_state()
    first, second = (Generator(4, 8, torch.zeros(5), coins(7)) for _ in range(2))
    assert torch.equal(first.last.weight, second.last.weight)
    assert torch.equal(before, torch.random.get_rng_state())
