"""Interactions: what no pair shows is found, paid for, measured, and comes out in the rows."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from dp_synth.accounting import ADJACENCIES, Adjacency, Entry, PrivacyBudget
from dp_synth.accounting.filters import cost
from dp_synth.domain import Domain
from dp_synth.mechanisms import parity_sensitivity
from dp_synth.release import Release
from dp_synth.schema import Schema
from dp_synth.synthesizers import AIM
from dp_synth.synthesizers._interactions import MOST_HARM_ALONE, MOST_SHARE, affordable_share
from dp_synth.synthesizers.clique_tree import CliqueTree
from dp_synth.transcript import ParityAnswer

BUDGET = PrivacyBudget(1.0, 1e-5)
FLIPPED = 0.05


def schema_of(sizes: list[int], label: str | None = "y") -> Schema:
    columns = [
        {"name": f"c{place}", "type": "categorical", "size": size}
        for place, size in enumerate(sizes)
    ]
    columns.append({"name": "y", "type": "categorical", "size": 2})
    named = {} if label is None else {"label": label}
    return Schema.from_dict({"name": "xor", **named, "columns": columns})


def xor_table(records: int, sizes: list[int], order: int, seed: int = 0) -> pd.DataFrame:
    """Independent columns, and a label that is odd where the first codes' sum is, mostly."""
    rng = np.random.default_rng([seed, order])
    codes = rng.integers(0, sizes, (records, len(sizes)))
    label = (codes[:, :order] % 2).sum(axis=1) % 2 ^ (rng.random(records) < FLIPPED)
    frame = pd.DataFrame(codes, columns=[f"c{place}" for place in range(len(sizes))])
    return frame.assign(y=label).astype(str)


def agreement(release: Release, order: int, seed: int = 1) -> float:
    """In how many drawn rows the label is the exclusive or of the first columns."""
    rows = release.sample(20_000, seed=seed).astype(int).to_numpy()
    odd = (rows[:, :order] % 2).sum(axis=1) % 2
    return float((odd == rows[:, -1]).mean())


def charges(release: Release, why: str) -> list[Entry]:
    return [entry for entry in release.ledger.charges if why in entry.why]


@pytest.mark.parametrize("order", range(2, 8))
def test_an_exclusive_or_of_any_order_comes_out_in_the_rows(order: int) -> None:
    frame, schema = xor_table(20_000, [2] * 10, order), schema_of([2] * 10)
    release = CliqueTree().fit(frame, schema, BUDGET, seed=order)
    assert agreement(release, order) > 0.93
    assert len(charges(release, "parities")) == 1
    assert charges(release, "interactions")
    without = CliqueTree(interactions=False).fit(frame, schema, BUDGET, seed=order)
    assert agreement(without, order) < 0.6
    assert not charges(without, "parities")


def test_without_a_label_it_is_found_as_well() -> None:
    frame, schema = xor_table(20_000, [2] * 8, 3), schema_of([2] * 8, label=None)
    assert agreement(CliqueTree().fit(frame, schema, BUDGET, seed=0), 3) > 0.93


@pytest.mark.parametrize("size", [3, 4, 6])
def test_odd_codes_of_categories_interact_as_bits_do(size: int) -> None:
    frame, schema = xor_table(20_000, [size] * 8, 2), schema_of([size] * 8)
    assert agreement(CliqueTree().fit(frame, schema, BUDGET, seed=0), 2) > 0.93


def test_columns_whose_table_is_too_large_are_cut_to_the_halves_that_interact() -> None:
    frame, schema = xor_table(20_000, [6] * 6, 4), schema_of([6] * 6)
    release = CliqueTree().fit(frame, schema, BUDGET, seed=0)
    assert agreement(release, 4) > 0.93
    assert release.model.tree.cells < 6**4  # the whole table would have twice as many
    assert set(release.sample(2000, seed=0)["c0"].astype(str)) == set("012345")


@pytest.mark.parametrize("adjacency", ADJACENCIES)
@pytest.mark.parametrize("max_rows", [1, 3])
def test_parities_are_one_answer_with_noise_of_their_sensitivity(
    adjacency: Adjacency, max_rows: int
) -> None:
    budget = PrivacyBudget(3.0, 1e-5, adjacency, "who" if max_rows > 1 else None, max_rows)
    frame = xor_table(20_000, [2] * 6, 3).assign(who=np.arange(20_000).astype(str))
    release = CliqueTree().fit(frame, schema_of([2] * 6), budget, seed=0)
    [entry] = charges(release, "parities")
    [answer] = [one for one in release.transcript if isinstance(one, ParityAnswer)]
    expected = parity_sensitivity(len(answer.asked), adjacency, max_rows)
    assert (entry.count, entry.event.sensitivity) == (1, expected)
    assert answer.stddev == entry.event.stddev == entry.event.noise_multiplier * expected
    [amount] = [cost(one.event, "gdp") for one in release.ledger.reservations]
    spent = sum(one.count * cost(one.event, "gdp") for one in release.ledger)
    assert 0.999 <= spent / amount <= 1


def test_where_parities_would_say_nothing_they_are_not_asked() -> None:
    schema = schema_of([2] * 10)
    for records, epsilon in ((0, 1.0), (300, 1.0), (3000, 0.01)):
        budget = PrivacyBudget(epsilon, 1e-5)
        release = CliqueTree().fit(xor_table(records, [2] * 10, 3), schema, budget, seed=0)
        assert not charges(release, "parities")


@pytest.mark.parametrize("records", [1e3, 1e4, 1e5, 1e6])
def test_parities_beside_columns_alone_cost_them_no_more_than_is_said(records: float) -> None:
    """What a smaller rest adds to the noise of columns, as total variation, is bounded."""
    sizes = np.array([2, 5, 20, 20, 60])
    domain = Domain(tuple("abcde"), tuple(sizes.tolist()))
    budget = SimpleNamespace(precision_left=0.01)

    def noise(precision: float) -> float:
        each = precision * sizes ** (2 / 3) / (sizes ** (2 / 3)).sum()
        return float(np.mean(np.sqrt(2 / np.pi) * sizes / np.sqrt(each)) / records)

    share = affordable_share(domain, [], budget, records)  # type: ignore[arg-type]
    added = noise(0.01 * (1 - share)) - noise(0.01)
    assert added <= 1.3 * MOST_HARM_ALONE  # a root is bent: at most by so much below a third
    assert share == MOST_SHARE or added >= MOST_HARM_ALONE
    assert (share == MOST_SHARE) == (records > 5e5)


def test_a_release_with_parities_is_saved_small_and_read_back(tmp_path) -> None:
    frame, schema = xor_table(5000, [2] * 20, 2), schema_of([2] * 20)
    release = CliqueTree().fit(frame, schema, PrivacyBudget(10.0, 1e-5), seed=0)
    release.save(tmp_path / "release.npz")
    again = Release.load(tmp_path / "release.npz")
    [answer], [other] = (
        [one for one in kept.transcript if isinstance(one, ParityAnswer)]
        for kept in (release, again)
    )
    assert len(answer.asked) == len(other.asked) > 1000
    assert answer.values.tolist() == other.values.tolist()
    assert answer.asked.sets.tolist() == other.asked.sets.tolist()
    assert (tmp_path / "release.npz").stat().st_size < 100_000 + 8 * len(answer.asked)


@pytest.mark.parametrize("settings", [{}, {"alpha": 0.5}])
def test_aim_may_choose_what_parities_show(settings: dict[str, float]) -> None:
    frame, schema = xor_table(20_000, [2] * 5, 3), schema_of([2] * 5)
    found = AIM(interactions=True, rounds=4, **settings).fit(frame, schema, BUDGET, seed=0)
    assert agreement(found, 3) > 0.9
    assert len(charges(found, "parities")) == 1
    assert agreement(AIM(rounds=4, **settings).fit(frame, schema, BUDGET, seed=0), 3) < 0.6
