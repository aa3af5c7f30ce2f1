"""DP-CTGAN: what it charges, what it learns, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from dp_synth.accounting import Accountant, Adjacency, PrivacyBudget
from dp_synth.accounting.events import Gaussian, SampledGaussian
from dp_synth.errors import InputError
from dp_synth.schema import Schema
from dp_synth.synthesizers import DPCTGAN, Independent, fit_jointly

pytest.importorskip("torch", reason="the extra deep is not installed")

SMALL = DPCTGAN(steps=120, rate=0.1, fakes=128, critic_width=32, generator_width=32, components=512)
BUDGET = PrivacyBudget(1.0, 1e-6)
SCHEMA = Schema.from_dict(
    {
        "name": "made",
        "columns": [
            {"name": "a", "type": "categorical", "categories": ["x", "y", "z"]},
            {"name": "b", "type": "categorical", "categories": ["x", "y", "z"]},
            {"name": "c", "type": "integer", "lower": 0, "upper": 19},
        ],
    }
)


def made_frame(records: int = 4_000) -> pd.DataFrame:
    """Columns a and b are equal but for one record in ten; c follows a."""
    rng = np.random.default_rng(0)
    a = rng.choice(3, records, p=[0.6, 0.3, 0.1])
    b = np.where(rng.random(records) < 0.1, rng.integers(0, 3, records), a)
    words = np.array(["x", "y", "z"])
    return pd.DataFrame({"a": words[a], "b": words[b], "c": 5 * a + rng.integers(0, 5, records)})


def pair_error(rows: pd.DataFrame) -> float:
    """Total variation of the pair of a and b from that of the records."""
    ours, real = (pd.crosstab(t["a"], t["b"], normalize=True) for t in (rows, made_frame()))
    return float(ours.sub(real, fill_value=0).abs().to_numpy().sum() / 2)


def test_the_ledger_has_a_marginal_an_attribute_and_a_step_for_each_step() -> None:
    ledger = SMALL.fit(made_frame(500), SCHEMA, BUDGET, seed=0).ledger
    ones = [entry for entry in ledger.charges if isinstance(entry.event, Gaussian)]
    steps = [entry for entry in ledger.charges if isinstance(entry.event, SampledGaussian)]
    assert sum(entry.count for entry in ones) == 3
    assert sum(entry.count * entry.event.steps for entry in steps) == SMALL.steps
    assert {entry.event.rate for entry in steps} == {SMALL.rate}
    assert 0.99 <= ledger.epsilon <= 1.0


def test_what_columns_have_to_do_with_each_other_is_learned_under_privacy() -> None:
    longer = replace(SMALL, steps=300, learning_rate=0.01)
    release = longer.fit(made_frame(), SCHEMA, PrivacyBudget(8.0, 1e-6), seed=0)
    independent = made_frame().assign(b=made_frame()["b"].sample(frac=1, random_state=0).to_numpy())
    assert pair_error(release.sample(4_000, seed=1)) < 0.5 * pair_error(independent)


def test_rows_have_the_noisy_one_way_marginals() -> None:
    release = SMALL.fit(made_frame(), SCHEMA, PrivacyBudget(8.0, 1e-6), seed=0)
    for answer in release.transcript:
        expected = answer.values / release.model.total
        shares = release.model.marginal(answer.clique) / release.model.total
        assert np.abs(shares - expected).sum() < 0.02


def test_one_seed_gives_one_model_and_another_seed_another() -> None:
    frame = made_frame(300)
    first, again, other = (SMALL.fit(frame, SCHEMA, BUDGET, seed=s) for s in (3, 3, 4))
    for one, two in zip(first.model.tables, again.model.tables, strict=True):
        assert one.tobytes() == two.tobytes()
    assert first.model.total == again.model.total != other.model.total


@pytest.mark.parametrize(("adjacency", "rows"), [("replace_one", 1), ("add_remove", 3)])
def test_steps_are_paid_for_all_rows_of_a_unit(adjacency: Adjacency, rows: int) -> None:
    frame = made_frame(90).assign(person=[str(place // 3) for place in range(90)])
    budget = PrivacyBudget(1.0, 1e-6, adjacency, "person" if rows > 1 else None, rows)
    ledger = SMALL.fit(frame, SCHEMA, budget, seed=0).ledger
    events = {e.event for e in ledger if isinstance(e.event, SampledGaussian)}
    assert {(e.rows, e.replaced) for e in events} == {(rows, adjacency == "replace_one")}
    assert 0.99 <= ledger.epsilon <= 1.0


def test_constraints_are_refused_from_the_schema_alone() -> None:
    constraints = [{"impossible": {"a": ["x"], "b": ["y"]}}]
    schema = Schema.from_dict(SCHEMA.to_dict() | {"constraints": constraints})
    with pytest.raises(InputError, match="dpctgan cannot keep the schema's constraints"):
        SMALL.fit(made_frame(50), schema, BUDGET, seed=0)


def test_it_shares_one_budget_with_another_synthesizer() -> None:
    budget = PrivacyBudget(2.0, 1e-6)
    fitted = fit_jointly({SMALL: 3, Independent(): 1}, made_frame(300), SCHEMA, Accountant(budget))
    assert {0.99 * 2.0 <= release.epsilon <= 2.0 for release in fitted.values()} == {True}


def test_naming_it_loads_no_torch() -> None:
    code = "import sys; import dp_synth.synthesizers.dpctgan; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
