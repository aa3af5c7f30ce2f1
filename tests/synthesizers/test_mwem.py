"""MWEM measures the worst marginal so many times, and what it never chose stays uniform."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from planted_tables import EDGES, NAMES, PAIRS, SCHEMA, largest_error, tree_table

from dp_synth.accounting import Accountant, Gaussian, PrivacyBudget, Selection
from dp_synth.errors import InputError
from dp_synth.schema import Schema
from dp_synth.synthesizers import MWEM

BUDGET = PrivacyBudget(1.0, 1e-6)


def test_mwem_finds_the_tree_that_made_the_table() -> None:
    frame = tree_table(20_000)
    model = MWEM().fit(frame, SCHEMA, PrivacyBudget(5.0, 1e-6), seed=0).model
    assert all(model.tree.home(edge) is not None for edge in EDGES)
    assert largest_error(model, frame, PAIRS) < 0.05


def test_a_count_then_a_choice_and_a_measurement_a_round_are_charged() -> None:
    charges = MWEM(rounds=3).fit(tree_table(500), SCHEMA, BUDGET, seed=0).ledger.charges
    parts = ["total", *(f"{kind} {i}" for i in (1, 2, 3) for kind in ("choice", "answer"))]
    assert [entry.part for entry in charges] == parts
    assert all(entry.count == 1 for entry in charges)
    kinds = [type(entry.event) for entry in charges]
    assert kinds == [Gaussian, *[Selection, Gaussian] * 3]
    rhos = [entry.event.rho or 0.0 for entry in charges]
    assert rhos[1:] == pytest.approx([rhos[1]] * 6)
    assert rhos[0] == pytest.approx(0.01 * sum(rhos))


def test_what_was_never_chosen_stays_uniform() -> None:
    rows = 4000
    frame = pd.DataFrame({name: ["0"] * rows for name in NAMES})
    model = MWEM(rounds=1).fit(frame, SCHEMA, PrivacyBudget(10.0, 1e-6), seed=0).model
    [pair] = [clique for clique in model.tree.cliques if len(clique) == 2]
    for name in NAMES:
        counts = model.marginal((name,)) / model.total
        expected = [1, 0, 0, 0] if name in pair else [0.25] * 4
        assert counts == pytest.approx(np.array(expected), abs=0.01)


def test_as_many_rounds_as_attributes_unless_told() -> None:
    names = [f"{kind} {i}" for i in range(1, 7) for kind in ("choice", "answer")]
    assert list(MWEM().plan(SCHEMA.domain).parts) == ["total", *names]
    assert len(MWEM(rounds=2).plan(SCHEMA.domain).parts) == 5


@pytest.mark.parametrize("max_cells", [24, 40, 90])
def test_the_model_never_grows_beyond_max_cells(max_cells: int) -> None:
    frame = tree_table(5000)
    synthesizer = MWEM(max_cells=max_cells)
    model = synthesizer.fit(frame, SCHEMA, PrivacyBudget(5.0, 1e-6), seed=0).model
    assert model.tree.cells <= max_cells
    free = MWEM().fit(frame, SCHEMA, PrivacyBudget(5.0, 1e-6), seed=0).model
    assert free.tree.cells > 90  # so that the limits bind


def test_a_table_too_wide_for_max_cells_is_refused_before_anything_is_paid() -> None:
    accountant = Accountant(BUDGET)
    with pytest.raises(InputError, match="24 cells in all, at most 23 are allowed"):
        MWEM(max_cells=23).fit(tree_table(10), SCHEMA, accountant)
    assert accountant.ledger.entries == ()


def test_where_no_pair_fits_attributes_are_measured_alone() -> None:
    wide = Schema.from_dict(
        {"name": "wide", "columns": [{"name": n, "type": "ordinal", "size": 100} for n in "xy"]}
    )
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({n: rng.integers(0, 5, 500).astype(str) for n in "xy"})
    release = MWEM(max_cells=300).fit(frame, wide, PrivacyBudget(10.0, 1e-6), seed=0)
    assert release.model.tree.cliques == (("x",), ("y",))
    assert release.model.marginal(("x",))[:5].sum() > 400


def test_every_marginal_of_the_workload_gets_exact_as_epsilon_grows() -> None:
    frame = tree_table(2000)
    errors = [
        largest_error(
            MWEM(rounds=8).fit(frame, SCHEMA, PrivacyBudget(epsilon, 1e-6), seed=0).model,
            frame,
            EDGES,
        )
        for epsilon in (0.1, 1e3)
    ]
    assert errors[1] < 0.01 < errors[0]


@pytest.mark.parametrize("settings", [{"degree": 0}, {"rounds": 0}, {"rounds": -1}])
def test_settings_that_mean_nothing_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(InputError, match="degree and rounds must be 1 or more"):
        MWEM(**settings)
