"""Sums over units drawn whole: one coin a unit, one part of the clip, charged as one record is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dp_synth.accounting import (
    ADJACENCIES,
    Accountant,
    Adjacency,
    Plan,
    PrivacyBudget,
    SampledGaussians,
)
from dp_synth.accounting.events import SampledGaussian, event_from_fields, event_to_fields
from dp_synth.counting.units import UnitRows
from dp_synth.domain import Domain
from dp_synth.errors import InputError
from dp_synth.mechanisms.table import PrivateTable

torch = pytest.importorskip("torch", reason="the extra deep is not installed")

from dp_synth.mechanisms import dp_sgd  # noqa: E402
from dp_synth.mechanisms.dp_sgd import (  # noqa: E402
    Critic,
    SampledGradients,
    clipped_sum,
    whole_sums,
)
from dp_synth.mechanisms.per_sample_gradients import Encoded, module_sums  # noqa: E402

DOMAIN = Domain(("a", "b"), (50, 40))
MOST = 5


def made_units(rng: np.random.Generator, units: int) -> UnitRows:
    """Units of one to five records, that lie in no order."""
    numbers = rng.permutation(np.repeat(np.arange(units), rng.integers(1, MOST + 1, units)))
    columns = [rng.integers(0, size, len(numbers), dtype=np.int32) for size in DOMAIN.sizes]
    return UnitRows.of(DOMAIN.attributes, columns, numbers)


def made_gradients(
    rows: UnitRows,
    *,
    rate: float = 0.3,
    adjacency: Adjacency = "add_remove",
    batches: list[np.ndarray] | None = None,
) -> SampledGradients:
    budget = PrivacyBudget(1e4, 1e-6, adjacency, "person", MOST)
    part = SampledGaussians(300, rate, noise_multiplier=2.0, by_unit=True)
    payer = Accountant(budget).admit("test", Plan({"steps": part}), randomness="seeded")
    codes, _ = rows.of_units(np.arange(len(rows)))
    table = PrivateTable(codes, DOMAIN, payer)
    table.keep_units(rows)

    def encode(codes: torch.Tensor, coins: torch.Tensor) -> torch.Tensor:
        if batches is not None:
            batches.append(codes.numpy().copy())
        return codes.float()

    steps = payer.plan.sampled("steps")
    return SampledGradients(table, steps, np.random.default_rng(1), clip=1.0, encode=encode)


def made_critic() -> Critic:
    return Critic(2, (7, 5), torch.Generator().manual_seed(0))


def part_of(codes: np.ndarray, shares: torch.Tensor | None, clip: float, network: object) -> float:
    """Return the norm of the sum of records, in clips."""
    coins = torch.arange(len(codes)) << 32
    batch = Encoded(torch.from_numpy(codes).float(), coins, shares)
    summed = whole_sums if isinstance(network, Critic) else module_sums
    sums = summed(network, batch, -1.0, clip)  # type: ignore[arg-type]
    return float(sum(float(one.times(1.0).square().sum()) for one in sums) ** 0.5)


def own_network() -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))


@pytest.mark.parametrize("made", [made_critic, own_network])
@pytest.mark.parametrize("clip", [0.01, 1.0, 50.0])
def test_a_unit_adds_one_clip_at_most_however_many_records_it_has(made, clip: float) -> None:  # type: ignore[no-untyped-def]
    network, rng = made(), np.random.default_rng(0)
    if not isinstance(network, Critic):
        pytest.importorskip("opacus", reason="the extra deep is not installed")
    longest = 0.0
    for count in range(1, 20):
        codes = np.repeat(rng.integers(0, DOMAIN.sizes, (1, 2)), count, axis=0).astype(np.int32)
        shares = torch.full((count,), 1 / count, dtype=torch.float64)
        assert part_of(codes, shares, clip, network) <= 1.0
        longest = max(longest, part_of(codes, None, clip, network))
    if clip < 1:
        assert longest > 15  # records that are clipped one by one, with no share, would add up


def test_what_one_unit_more_changes_of_a_sum_is_its_own_part_alone() -> None:
    rows, critic = made_units(np.random.default_rng(2), 30), made_critic()
    gradients = made_gradients(rows)
    codes, owners = rows.of_units(np.arange(30))
    every = gradients._encoded(torch.from_numpy(codes), owners)
    whole = whole_sums(critic, every, -1.0, 0.5)
    for unit in range(30):
        others = whole_sums(critic, every.where(torch.from_numpy(owners != unit)), -1.0, 0.5)
        own = whole_sums(critic, every.where(torch.from_numpy(owners == unit)), -1.0, 0.5)
        for a, b, c in zip(whole, others, own, strict=True):
            assert torch.equal(a.whole - b.whole, c.whole)
        assert sum(float(one.times(1.0).square().sum()) for one in own) <= 1.0


def test_all_records_of_a_unit_are_drawn_or_none_is() -> None:
    units = 40
    counts = 1 + np.arange(units) % MOST
    numbers = np.repeat(np.arange(units), counts)
    within = np.concatenate([np.arange(count) for count in counts])
    rows = UnitRows.of(DOMAIN.attributes, [numbers.astype(np.int32), within], numbers)
    batches: list[np.ndarray] = []
    gradients, critic = made_gradients(rows, rate=0.3, batches=batches), made_critic()
    drawn = np.zeros((300, units), dtype=bool)
    for step in range(300):
        gradients.step(critic, -1.0)
        owners = batches[-1][:, 0]
        found = np.bincount(owners, minlength=units)
        assert set(np.unique(found / counts)) <= {0.0, 1.0}
        drawn[step] = found > 0
    # Each unit by a coin of its own: 300 tosses of chance .3, whose pairs do not go together.
    assert np.all(np.abs(drawn.mean(axis=0) - 0.3) < 6 * np.sqrt(0.21 / 300))
    together = np.cov(drawn.T.astype(float))
    assert np.abs(together - np.diag(np.diag(together))).max() < 6 * 0.21 / np.sqrt(300)


def test_units_are_gathered_from_wherever_their_records_lie() -> None:
    rng = np.random.default_rng(3)
    numbers = rng.integers(0, 20, 100)
    rows = UnitRows.of(["a"], [np.arange(100)], numbers)
    for places in (np.arange(len(rows)), np.array([3, 3, 0]), np.array([], dtype=int)):
        codes, owners = rows.of_units(places)
        expected = [np.flatnonzero(numbers == np.unique(numbers)[place]) for place in places]
        assert codes[:, 0].tolist() == [int(line) for lines in expected for line in lines]
        assert owners.tolist() == [int(p) for p, lines in zip(places, expected) for _ in lines]  # noqa: B905
    assert [numbers[line] for line in rows.last()[:, 0]] == np.unique(numbers).tolist()


@pytest.mark.parametrize("adjacency", ADJACENCIES)
def test_a_step_is_charged_as_one_of_a_single_record_is(adjacency: Adjacency) -> None:
    gradients = made_gradients(made_units(np.random.default_rng(4), 5), adjacency=adjacency)
    gradients.step(made_critic(), -1.0)
    (charge,) = gradients._table.payer.accountant.ledger.charges
    replaced = adjacency == "replace_one"
    assert charge.event == SampledGaussian(2.0, 0.3, 1, 1, replaced, by_unit=True)
    assert event_from_fields(event_to_fields(charge.event)) == charge.event


def test_an_event_of_units_is_not_for_records_nor_the_other_way_round() -> None:
    budget = PrivacyBudget(1.0, 1e-6, unit="person", max_rows=MOST)
    whole, single = SampledGaussian(2.0, 0.1, 1, by_unit=True), SampledGaussian(2.0, 0.1, 1)
    assert not whole.unfit(budget)
    assert single.unfit(budget)
    assert whole.unfit(replace(budget, adjacency="replace_one"))
    part = SampledGaussians(10, 0.1, noise_multiplier=2.0, by_unit=True).under(budget)
    assert part.event() == whole
    plain = SampledGaussians(10, 0.1, by_unit=True).under(PrivacyBudget(1.0, 1e-6))
    assert not plain.by_unit


def test_noise_has_the_scale_that_was_charged_for() -> None:
    gradients, critic = made_gradients(made_units(np.random.default_rng(0), 0)), made_critic()
    steps = [torch.cat([one.flatten() for one in gradients.step(critic, -1.0)]) for _ in range(50)]
    drawn = torch.cat(steps).double() / 2.0
    assert abs(float(drawn.square().sum()) - len(drawn)) < 6 * np.sqrt(2 * len(drawn))


def test_without_units_nothing_is_drawn_and_nothing_charged() -> None:
    payer = made_gradients(made_units(np.random.default_rng(0), 3))._table.payer
    table = PrivateTable(np.zeros((4, 2), dtype=np.int32), DOMAIN, payer)
    part, rng = payer.plan.sampled("steps"), np.random.default_rng(0)
    with pytest.raises(InputError, match="nobody has said which records"):
        SampledGradients(table, part, rng, clip=1.0, encode=lambda codes, coins: codes.float())
    assert not payer.accountant.ledger.charges


def test_a_table_follows_its_units_through_a_change_of_codes() -> None:
    rows = made_units(np.random.default_rng(5), 12)
    table = made_gradients(rows)._table
    groups = {"a": np.arange(50, dtype=np.int32) // 10}
    coarse = table.coarsen(groups)
    for changed in (coarse, coarse.remembering()):
        assert np.array_equal(changed.exact_units().columns["a"], rows.columns["a"] // 10)
        assert np.array_equal(changed.exact_units().columns["b"], rows.columns["b"])
    assert float(table.of_units().exact_marginal(())) == 12


def test_clipping_that_knows_no_units_is_found_by_its_norm(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault of this file: every record has the whole clip."""
    rows = UnitRows.of(DOMAIN.attributes, [np.full(MOST, 7), np.full(MOST, 9)], np.zeros(MOST, int))
    gradients, critic = made_gradients(rows), made_critic()
    codes, owners = rows.of_units(np.array([0]))

    def norm() -> float:
        batch = gradients._encoded(torch.from_numpy(codes), owners)
        sums = [one * 1.0 for one in clipped_sum(critic, batch, -1.0, 1e-3)]
        return float(sum(float(one.square().sum()) for one in sums) ** 0.5) / 1e-3

    assert 0.9 < norm() <= 1.0
    monkeypatch.setattr(dp_sgd, "rows_of_units", np.ones_like)
    assert norm() > 0.9 * MOST
