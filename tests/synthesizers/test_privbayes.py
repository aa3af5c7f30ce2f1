"""PrivBayes learns a network of useful tables, and its model is that network's distribution."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from planted_tables import EDGES, NAMES, PAIRS, SCHEMA, largest_error, tree_table

from dp_synth.accounting import Accountant, Gaussian, PrivacyBudget, Selection
from dp_synth.domain import Domain
from dp_synth.errors import InputError
from dp_synth.inference import JunctionTree
from dp_synth.mechanisms import measure
from dp_synth.synthesizers import PrivBayes
from dp_synth.synthesizers.privbayes import _joint
from dp_synth.transcript import Measurement
from dp_synth.types import Clique

BUDGET = PrivacyBudget(1.0, 1e-6)


@pytest.fixture
def networks(monkeypatch: pytest.MonkeyPatch) -> list[list[Clique]]:
    """What each fit measures after its count: attributes followed by their parents."""
    seen: list[list[Clique]] = []

    def noted(*arguments: object, **options: object) -> list[Measurement]:
        cliques = arguments[1]
        if cliques != [()]:
            seen.append(list(cliques))  # type: ignore[call-overload]
        return measure(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("dp_synth.synthesizers.privbayes.measure", noted)
    return seen


@pytest.mark.parametrize("seed", range(3))
def test_privbayes_finds_the_tree_that_made_the_table(
    networks: list[list[Clique]], seed: int
) -> None:
    frame = tree_table(20_000, seed)
    synthesizer = PrivBayes(degree=1)
    model = synthesizer.fit(frame, SCHEMA, PrivacyBudget(5.0, 1e-6), seed=seed).model
    [network] = networks
    assert {frozenset(table) for table in network[1:]} == {frozenset(edge) for edge in EDGES}
    assert set(model.tree.cliques) == set(EDGES)
    assert largest_error(model, frame, PAIRS) < 0.03


def test_each_attribute_comes_once_after_its_parents(networks: list[list[Clique]]) -> None:
    for seed in range(5):
        PrivBayes(degree=2).fit(tree_table(3000), SCHEMA, PrivacyBudget(5.0, 1e-6), seed=seed)
    for network in networks:
        before: set[str] = set()
        for attribute, *parents in network:
            assert attribute not in before
            assert set(parents) <= before
            assert len(parents) <= 2
            before.add(attribute)
        assert before == set(NAMES)
    assert len({network[0] for network in networks}) > 1  # the first is drawn at random


@pytest.mark.parametrize(("theta", "widest"), [(4.0, 4), (16.0, 3), (60.0, 2), (1e9, 1)])
def test_tables_are_as_large_as_their_noise_allows(
    networks: list[list[Clique]], theta: float, widest: int
) -> None:
    # 20,000 records and noise of mean size 9.9: useful up to 507, 127, 34 cells, and to none.
    synthesizer = PrivBayes(theta=theta)
    ledger = synthesizer.fit(tree_table(20_000), SCHEMA, BUDGET, seed=0).ledger
    event = next(entry.event for entry in ledger if entry.part == "tables")
    assert isinstance(event, Gaussian)
    useful = 20_000 / (np.sqrt(2 / np.pi) * event.stddev * theta)
    [network] = networks
    assert max(len(table) for table in network) == widest
    assert all(4 ** len(table) <= 1.05 * useful for table in network if len(table) > 1)


def test_the_network_gets_beta_of_the_cost() -> None:
    ledger = PrivBayes(beta=0.3).fit(tree_table(500), SCHEMA, BUDGET, seed=0).ledger
    rhos = dict.fromkeys(("total", "network", "tables"), 0.0)
    for entry in ledger:
        rhos[entry.part] += entry.count * (entry.event.rho or 0.0)
        assert isinstance(entry.event, Selection if entry.part == "network" else Gaussian)
    total = sum(rhos.values())
    assert rhos["total"] == pytest.approx(0.01 * total)
    assert rhos["network"] == pytest.approx(0.3 * 0.99 * total)
    assert [entry.part for entry in ledger] == ["total", *["network"] * 5, "tables"]


def test_the_model_is_the_product_of_its_conditionals() -> None:
    rng = np.random.default_rng(0)
    domain = Domain(tuple("abcd"), (2, 3, 2, 2))
    network: list[Clique] = [("c",), ("a", "c"), ("d", "c"), ("b", "d", "a")]
    tables = [
        Measurement(clique, rng.normal(2, 3, domain.shape(clique)), 3.0) for clique in network
    ]
    tables[3].values[:, 1, 0] = -1.0  # no record there: uniform
    model = _joint(JunctionTree.of(domain, network), tables, 10.0)

    def conditional(counts: NDArray[np.float64], first: int, *given: int) -> float:
        column = np.maximum(np.moveaxis(counts, 0, -1)[given], 0)
        return float(column[first] / column.sum()) if column.sum() else 1 / len(column)

    expected = np.zeros(domain.sizes)
    for a, b, c, d in product(*map(range, domain.sizes)):
        expected[a, b, c, d] = (
            conditional(tables[0].values, c)
            * conditional(tables[1].values, a, c)
            * conditional(tables[2].values, d, c)
            * conditional(tables[3].values, b, d, a)
        )
    assert model.marginal(("a", "b", "c", "d")) == pytest.approx(10 * expected, abs=1e-9)
    assert expected.sum() == pytest.approx(1)


@pytest.mark.parametrize("max_cells", [24, 60, 200])
def test_the_model_never_grows_beyond_max_cells(max_cells: int) -> None:
    synthesizer = PrivBayes(max_cells=max_cells)
    model = synthesizer.fit(tree_table(20_000), SCHEMA, PrivacyBudget(10.0, 1e-6), seed=0).model
    assert max_cells / 2 < model.tree.cells <= max_cells


def test_a_table_too_wide_for_max_cells_is_refused_before_anything_is_paid() -> None:
    accountant = Accountant(BUDGET)
    with pytest.raises(InputError, match="24 cells in all, at most 23 are allowed"):
        PrivBayes(max_cells=23).fit(tree_table(10), SCHEMA, accountant)
    assert accountant.ledger.entries == ()


def test_measured_tables_get_exact_as_epsilon_grows() -> None:
    frame = tree_table(2000)
    errors = [
        largest_error(
            PrivBayes().fit(frame, SCHEMA, PrivacyBudget(epsilon, 1e-6), seed=0).model, frame, EDGES
        )
        for epsilon in (0.1, 1e3)
    ]
    assert errors[1] < 0.01 < errors[0]


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"degree": -1}, "degree must be 0 or more, got -1"),
        ({"beta": 1.0}, r"beta must lie in \(0, 1\), got 1.0"),
        ({"theta": float("inf")}, "theta must be a finite number above 0, got inf"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, float], match: str) -> None:
    with pytest.raises(InputError, match=match):
        PrivBayes(**settings)  # type: ignore[arg-type]
