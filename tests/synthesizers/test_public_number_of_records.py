"""Under replace_one the number of records is public: nobody pays for it, everybody uses it."""

from __future__ import annotations

import numpy as np
import pytest
from planted_tables import SCHEMA, tree_table

from dp_synth.accounting import Accountant, Gaussians, Plan, PrivacyBudget
from dp_synth.mechanisms import measure
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.synthesizers import (
    AIM,
    MST,
    MWEM,
    CliqueTree,
    Independent,
    PrivBayes,
    PublishedMST,
    Synthesizer,
)
from dp_synth.transcript import MarginalAnswer

RECORDS = 701
PUBLIC = PrivacyBudget(1.0, 1e-6, "replace_one")
RECIPES = [Independent(), MST(), PublishedMST(), CliqueTree(), AIM(), MWEM(), PrivBayes()]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_every_estimate_has_as_many_records_as_there_are(recipe: Synthesizer) -> None:
    release = recipe.fit(tree_table(RECORDS), SCHEMA, PUBLIC, seed=0)
    assert release.model.total == pytest.approx(RECORDS, abs=1e-6)
    assert len(release.sample(seed=0)) == RECORDS
    assert "701, a public number" in repr(release)


@pytest.mark.parametrize("recipe", [MWEM(), PrivBayes()], ids=lambda recipe: recipe.name)
@pytest.mark.parametrize("open_as", ["planned", "zcdp", "gdp"])
def test_nothing_is_paid_for_what_is_public(recipe: Synthesizer, open_as: str) -> None:
    adaptive = False if open_as == "planned" else open_as
    for budget, pays in [(PUBLIC, False), (PrivacyBudget(1.0, 1e-6), True)]:
        accountant = Accountant(budget, adaptive=adaptive)  # type: ignore[arg-type]
        recipe.fit(tree_table(50), SCHEMA, accountant, seed=0)
        entries = accountant.ledger.entries
        assert any(entry.part == "total" for entry in entries) == pays


def test_a_unit_of_several_records_keeps_their_number_private() -> None:
    frame = tree_table(RECORDS).assign(person=np.arange(RECORDS) // 2)
    budget = PrivacyBudget(1.0, 1e-6, "replace_one", "person", 2)
    release = MWEM().fit(frame, SCHEMA, budget, seed=0)
    assert any(entry.part == "total" for entry in release.ledger)
    assert release.model.total != pytest.approx(RECORDS, abs=1e-6)


def test_a_table_is_moved_onto_the_number_and_the_transcript_says_what_was_drawn() -> None:
    plan = Plan({"ones": Gaussians(1, noise_multiplier=3.0)})
    payer = Accountant(PrivacyBudget(9.0, 1e-6, "replace_one")).admit("x", plan)
    codes = SCHEMA.encode(tree_table(RECORDS))
    table = PrivateTable(codes, SCHEMA.domain, payer)
    [found] = measure(table, [("a", "b")], payer.plan.gaussians("ones"), np.random.default_rng(0))
    [answer] = table.transcript
    assert isinstance(answer, MarginalAnswer)
    assert found.values.sum() == pytest.approx(RECORDS)
    assert answer.values.sum() != RECORDS
    assert np.array_equal(answer.values, np.rint(answer.values))
    assert np.ptp(found.values - answer.values) == pytest.approx(0, abs=1e-9)
