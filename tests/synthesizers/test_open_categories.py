"""A fit finds the categories of open columns, pays for them, and never without being asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dp_synth.accounting import ADJACENCIES, Accountant, Adjacency, Plan, PrivacyBudget
from dp_synth.accounting.events import PartitionSelection, ThresholdedGaussian
from dp_synth.accounting.plan import SPARE_SHARE
from dp_synth.errors import SchemaError
from dp_synth.release import Release
from dp_synth.schema import Schema
from dp_synth.schema.columns import MAX_OPEN
from dp_synth.synthesizers import MST, Independent, fit_jointly
from dp_synth.synthesizers.base import BINNING_SHARE, OPENING_SHARE

BUDGET = PrivacyBudget(1.0, 1e-6)
AGE: dict[str, object] = {"name": "age", "type": "integer", "lower": 0, "upper": 9}
WAGE: dict[str, object] = {"name": "wage", "type": "real", "lower": 0, "upper": 1000}
SEX: dict[str, object] = {"name": "sex", "type": "categorical", "categories": ["F", "M"]}
JOB: dict[str, object] = {
    "name": "job",
    "type": "categorical",
    "categories": ["clerk"],
    "missing": ["?"],
}


def schema_of(*columns: object, **fields: object) -> Schema:
    return Schema.from_dict({"name": "t", "columns": list(columns), **fields})


OPEN = schema_of(AGE, {**JOB, "open": True}, {**SEX, "open": True})


def made_frame(records: int = 2_000) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    jobs = rng.choice(["clerk", "smith", "baker", "?"], records, p=[0.4, 0.3, 0.2, 0.1])
    jobs[0] = "astronaut"
    return pd.DataFrame(
        {
            "age": rng.integers(0, 10, records).astype(str),
            "wage": rng.integers(0, 1000, records).astype(str),
            "job": jobs.astype(object),
            "sex": rng.choice(["F", "M"], records),
            "person": np.arange(records) // 2,
        }
    )


@pytest.mark.parametrize("synthesizer", [Independent(), MST()], ids=lambda s: s.name)
def test_frequent_categories_join_the_release_and_rare_ones_are_missing(
    synthesizer: Independent | MST, tmp_path: Path
) -> None:
    release = synthesizer.fit(made_frame(), OPEN, BUDGET, seed=0)
    assert release.schema.discrete("job").texts == ("clerk", "baker", "smith")
    assert release.schema.discrete("sex").texts == ("F", "M")
    assert release.schema.open == ("job", "sex")
    shares = release.sample(4_000, seed=1, kinds="written")["job"].value_counts(normalize=True)
    assert set(shares.index) == {"clerk", "baker", "smith", "?"}
    assert shares["smith"] == pytest.approx(0.3, abs=0.06)
    release.save(tmp_path / "r.npz")
    again = Release.load(tmp_path / "r.npz")
    assert again.schema == release.schema
    assert again.sample(50, seed=2).equals(release.sample(50, seed=2))


def test_the_order_of_records_says_nothing_about_the_categories() -> None:
    frame = made_frame()
    one = Independent().fit(frame, OPEN, BUDGET, seed=0)
    other = Independent().fit(frame.iloc[::-1], OPEN, BUDGET, seed=0)
    assert one.schema == other.schema


def test_the_rare_category_appears_in_no_part_of_a_release(tmp_path: Path) -> None:
    release = MST().fit(made_frame(), OPEN, BUDGET, seed=0)
    assert "astronaut" not in str(release.schema.to_dict()) + str(release.ledger)
    sizes = {answer.clique: answer.values.shape for answer in release.transcript[:3]}  # type: ignore[union-attr]
    assert sizes[("job",)] == (4,)
    assert not any(answer.groups.get("job") is not None for answer in release.transcript[:3])


@pytest.mark.parametrize("adjacency", ADJACENCIES)
@pytest.mark.parametrize("max_rows", [1, 2])
def test_each_open_column_is_an_item_of_the_ledger_within_the_budget(
    adjacency: Adjacency, max_rows: int
) -> None:
    unit = "person" if max_rows > 1 else None
    budget = PrivacyBudget(1.0, 1e-6, adjacency, unit, max_rows)
    ledger = Independent().fit(made_frame(), OPEN, budget, seed=0).ledger
    assert 0.99 <= ledger.epsilon <= 1.0
    charges = [entry for entry in ledger if entry.part == "categories"]
    assert [entry.why for entry in charges] == ["categories of 'job'", "categories of 'sex'"]
    events = [entry.event for entry in charges]
    moved = max_rows * (1.0 if adjacency == "add_remove" else 2**0.5)
    for event in events:
        if moved == 1:  # one count, of which one bit is told
            assert isinstance(event, PartitionSelection)
        else:
            assert isinstance(event, ThresholdedGaussian)
            assert event.sensitivity == moved
        assert 0 < 2 * event.delta < SPARE_SHARE[moved == 1] * budget.delta


def test_categories_take_their_share_beside_that_of_cells() -> None:
    schema = schema_of(WAGE, {**JOB, "open": True})
    plan = Independent().charges(schema.domain).with_delta(1e-6).at(1.0)
    rhos = {name: Plan({name: part}) for name, part in plan.parts.items()}
    assert list(rhos) == ["categories", "bins", "ones"]
    assert rhos["bins"].rho == pytest.approx(BINNING_SHARE)
    assert rhos["ones"].rho == pytest.approx(1 - BINNING_SHARE - OPENING_SHARE)
    release = Independent().fit(made_frame(), schema, BUDGET, seed=0)
    assert 0.99 <= release.ledger.epsilon <= 1.0
    assert "smith" in release.schema.discrete("job").texts
    assert release.schema.domain.levels == (0, 0)


def test_nothing_is_charged_or_released_unless_asked() -> None:
    frame = made_frame()
    plain = Independent().fit(frame, schema_of(AGE, JOB), BUDGET, seed=0)
    said = Independent().fit(frame, schema_of(AGE, {**JOB, "open": False}), BUDGET, seed=0)
    assert {entry.part for entry in said.ledger} == {"ones"}
    assert said.ledger == plain.ledger
    assert said.sample(300, seed=1).equals(plain.sample(300, seed=1))
    assert said.schema.discrete("job").texts == ("clerk",)


def test_an_empty_table_pays_the_same_and_releases_no_category() -> None:
    release = Independent().fit(made_frame().iloc[:0], OPEN, BUDGET, seed=0)
    assert sum(entry.count for entry in release.ledger if entry.part == "categories") == 2
    assert release.schema == OPEN


def test_several_fits_of_one_budget_stay_within_it() -> None:
    frame, pair = made_frame(500), {Independent(): 1.0, MST(): 2.0}
    joint = Accountant(BUDGET)
    for release in fit_jointly(pair, frame, OPEN, joint, seed=0).values():
        assert release.schema.open == ("job", "sex")
    in_turn = Accountant(BUDGET, planned=[(Independent(), 0.5), (MST(), 1.0)])
    for synthesizer in pair:
        synthesizer.fit(frame, OPEN, in_turn, seed=0)
    for accountant in (joint, in_turn):
        assert 0.99 <= accountant.epsilon() <= 1.0


def test_a_filter_pays_for_categories_in_one_fit_after_another() -> None:
    accountant = Accountant(BUDGET, adaptive=True)
    for payer in (accountant.portion(0.5), accountant):
        release = Independent().fit(made_frame(50), OPEN, payer, seed=0)
        assert release.schema.open == ("job", "sex")
    assert accountant.epsilon() == BUDGET.epsilon


def test_a_schema_without_room_for_more_categories_is_refused_before_reading() -> None:
    wide = {"name": "code", "type": "categorical", "size": 1_500}
    rules = [{"impossible": {"code": ["3"], "job": ["clerk"]}}]
    schema = schema_of(wide, {**JOB, "open": True}, constraints=rules)
    with pytest.raises(SchemaError, match="with as many categories as a fit may add"):
        Independent().check(schema)
    assert schema_of(JOB).widest() == schema_of(JOB)
    wider = schema_of({**JOB, "open": True}).widest()
    assert wider.domain.size("job") == 2 + MAX_OPEN
