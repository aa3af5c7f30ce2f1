"""Several fits and one budget: jointly, in planned turns, or decided as one goes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dp_synth.accounting import Accountant, PrivacyBudget, compose, read_ledger
from dp_synth.errors import BudgetExceeded
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.release import Release
from dp_synth.schema import Schema
from dp_synth.synthesizers import MST, Independent, fit_jointly

BUDGET = PrivacyBudget(2.0, 1e-6)
SCHEMA = Schema.from_dict(
    {
        "name": "people",
        "columns": [
            {"name": "sex", "type": "categorical", "categories": ["f", "m"]},
            {"name": "job", "type": "categorical", "categories": ["a", "b", "c"]},
        ],
    }
)
OTHER = SCHEMA.select(["job"])


def _people(count: int = 200) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {"sex": rng.choice(["f", "m"], count), "job": rng.choice(["a", "b"], count)}
    )


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every marginal that is read from a private table."""
    seen: list[object] = []
    exact = PrivateTable.exact_marginal

    def noted(table: PrivateTable, clique: tuple[str, ...]) -> object:
        seen.append(clique)
        return exact(table, clique)

    monkeypatch.setattr(PrivateTable, "exact_marginal", noted)
    return seen


def test_joint_fits_share_one_composed_budget() -> None:
    accountant = Accountant(BUDGET)
    releases = fit_jointly({Independent(): 1, MST(): 2}, _people(), SCHEMA, accountant, seed=0)
    assert 0.99 * 2 <= accountant.epsilon() <= 2
    assert [release.synthesizer for release in releases.values()] == ["independent", "mst"]
    recipes = [entry.recipe for entry in accountant.ledger.reservations]
    assert list(dict.fromkeys(recipes)) == ["1-independent", "2-mst"]
    rhos = dict.fromkeys(recipes, 0.0)
    for entry in accountant.ledger.reservations:
        rhos[entry.recipe] += (entry.event.rho or 0.0) * entry.count
    assert rhos["2-mst"] == pytest.approx(2 * rhos["1-independent"], rel=1e-9)


def test_planned_fits_meet_their_targets_one_after_another(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    planned = [(Independent(), 0.5), (MST(), 2.0)]
    accountant = Accountant(BUDGET, ledger=path, planned=planned)
    early = Independent().fit(_people(), SCHEMA, accountant, seed=0)
    first = [(entry.event, entry.count) for entry in accountant.ledger]
    assert 0.999 * 0.5 <= compose(first).epsilon(BUDGET.delta) <= 0.5
    assert 0.999 * 0.5 <= early.epsilon <= 0.5 < 0.99 * 2 <= accountant.epsilon() <= 2
    release = MST().fit(_people(), SCHEMA, accountant, seed=0)
    everything = [(entry.event, entry.count) for entry in accountant.ledger]
    assert 0.99 * 2 <= compose(everything).epsilon(BUDGET.delta) <= 2
    assert release.ledger == read_ledger(path)


def test_a_fit_out_of_its_turn_reads_and_writes_nothing(
    tmp_path: Path, reads: list[object]
) -> None:
    path = tmp_path / "ledger.jsonl"
    planned = [(Independent(), 0.5), (MST(), 2.0)]
    accountant = Accountant(BUDGET, ledger=path, planned=planned)
    with pytest.raises(BudgetExceeded, match="not what was planned to come next"):
        MST().fit(_people(), SCHEMA, accountant, seed=0)
    assert not path.exists()
    Independent().fit(_people(), SCHEMA, accountant, seed=0)
    before = path.read_bytes()
    reads.clear()
    with pytest.raises(BudgetExceeded, match="not what was planned to come next"):
        MST().fit(_people(), OTHER, accountant, seed=0)
    with pytest.raises(BudgetExceeded, match="not what was planned to come next"):
        Independent().fit(_people(), SCHEMA, accountant, seed=0)
    assert reads == []
    assert path.read_bytes() == before


def test_an_adaptive_budget_pays_for_fits_until_nothing_is_left(reads: list[object]) -> None:
    accountant = Accountant(BUDGET, adaptive="gdp")
    part = accountant.portion(1.0)
    Independent().fit(_people(), SCHEMA, part.portion(0.4), seed=0)
    Independent().fit(_people(), SCHEMA, part, seed=1)
    release = MST().fit(_people(), OTHER, accountant, seed=2)
    assert release.epsilon == accountant.epsilon() == 2.0
    assert release.ledger.curve.epsilon(BUDGET.delta) <= 2.0
    assert 0.5 < release.largest_auc() < 1
    before = accountant.ledger
    reads.clear()
    for payer in (accountant, part, accountant.portion(0.1)):
        with pytest.raises(BudgetExceeded, match="nothing was released"):
            Independent().fit(_people(), SCHEMA, payer, seed=3)
    assert reads == []
    assert accountant.ledger == before


def test_a_second_fit_on_a_plain_accountant_is_refused(reads: list[object]) -> None:
    accountant = Accountant(BUDGET)
    Independent().fit(_people(), SCHEMA, accountant, seed=0)
    before = accountant.ledger
    reads.clear()
    with pytest.raises(BudgetExceeded, match="share an adaptive accountant"):
        Independent().fit(_people(), SCHEMA, accountant, seed=1)
    assert reads == []
    assert accountant.ledger == before


def test_a_part_of_an_adaptive_budget_is_noisier_than_a_budget_of_its_own() -> None:
    def stddev(release: Release) -> float:
        return release.ledger.charges[0].event.stddev  # type: ignore[union-attr]

    alone = stddev(Independent().fit(_people(), SCHEMA, PrivacyBudget(1.0, 1e-6), seed=0))
    shared = Accountant(BUDGET, adaptive="gdp").portion(1.0)
    assert stddev(Independent().fit(_people(), SCHEMA, shared, seed=0)) == pytest.approx(
        alone, rel=1e-3
    )
    half = Accountant(BUDGET, adaptive="gdp").portion(0.5)
    assert stddev(Independent().fit(_people(), SCHEMA, half, seed=0)) > 1.8 * alone
