"""Cells of numeric columns are chosen by paid noisy histograms, and by nothing else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dp_synth.accounting import ADJACENCIES, Accountant, Gaussians, Plan, PrivacyBudget
from dp_synth.errors import BudgetExceeded
from dp_synth.inference import JunctionTreeModel
from dp_synth.mechanisms.binning import TARGET_CELLS, bin_columns
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.schema import Schema
from dp_synth.synthesizers import Independent, Release, fit_jointly
from dp_synth.synthesizers.base import BINNING_SHARE

WAGE = {"name": "wage", "type": "real", "lower": 0, "upper": 1e6, "missing": ["?"]}
DEBT = {"name": "debt", "type": "integer", "lower": -50_000, "upper": 300_000}
SEX = {"name": "sex", "type": "categorical", "categories": ["F", "M"]}


def schema_of(*columns: object) -> Schema:
    return Schema.from_dict({"name": "t", "columns": list(columns)})


SCHEMA = schema_of(WAGE, SEX, DEBT)
LEVELS = sum(SCHEMA.domain.levels)


def people(count: int, seed: int = 0) -> pd.DataFrame:
    """Skewed wages, a third of them zero, and debts that pile up at a few round numbers."""
    rng = np.random.default_rng(seed)
    wage = np.where(rng.random(count) < 1 / 3, 0, np.exp(rng.normal(8, 1.5, count)).round(2))
    frame = pd.DataFrame(
        {
            "wage": np.where(rng.random(count) < 0.1, "?", wage.astype(str)),
            "sex": rng.choice(["F", "M"], count),
            "debt": rng.choice([0, 20_000, 50_000, 1_234], count) + rng.integers(0, 2, count),
        }
    )
    return frame.astype(str).astype(object)


class Remembering(PrivateTable):
    """A private table that remembers by which groups it was coarsened."""

    def coarsen(self, groups):
        self.seen = [*getattr(self, "seen", []), groups]
        return super().coarsen(groups)


def fine_table(frame: pd.DataFrame, stddev: float, kind: type = PrivateTable) -> PrivateTable:
    plan = Plan({"bins": Gaussians(LEVELS, noise_multiplier=stddev)})
    payer = Accountant(PrivacyBudget(1e9, 1e-6)).admit("test", plan, randomness="seeded")
    return kind(SCHEMA.encode_finely(frame), SCHEMA.fine_domain, payer)


def binned(table: PrivateTable, seed: int = 0) -> dict[str, np.ndarray]:
    part = table.payer.plan.gaussians("bins")
    return bin_columns(table, SCHEMA.fine, part, np.random.default_rng(seed))


def test_one_record_moves_each_levels_histogram_by_at_most_one():
    for seed in range(50):
        frame = people(200, seed)
        table = fine_table(frame, 5.0, Remembering)
        binned(table, seed)
        fewer = fine_table(frame.drop(index=seed), 5.0)
        assert len(table.seen) == max(SCHEMA.domain.levels)
        for groups in table.seen:
            for name in groups:
                with_it = table.coarsen({name: groups[name]}).exact_marginal((name,))
                without = fewer.coarsen({name: groups[name]}).exact_marginal((name,))
                assert np.abs(with_it - without).sum() == 1


def test_each_level_of_each_column_is_charged_before_it_is_read():
    table = fine_table(people(100), 5.0)
    binned(table)
    charges = list(table.payer.accountant.ledger)
    assert len(charges) == LEVELS
    assert {entry.why for entry in charges} == {"cells of 'wage'", "cells of 'debt'"}
    assert {entry.part for entry in charges} == {"bins"}
    with pytest.raises(BudgetExceeded, match="nothing was released"):
        binned(table)
    assert len(list(table.payer.accountant.ledger)) == LEVELS


@pytest.mark.parametrize("records", [0, 1, 50, 5_000])
@pytest.mark.parametrize("stddev", [0.01, 3.0, 1e4])
def test_groups_are_runs_of_cells_within_walls_and_no_more_than_planned(records, stddev):
    for seed in range(5):
        groups = binned(fine_table(people(records, seed), stddev), seed)
        for name, fine in SCHEMA.fine.items():
            cells, marks = np.split(groups[name], [len(fine.grid)])
            steps = np.diff(cells)
            assert set(steps) <= {0, 1}
            assert (steps[fine.walls[1:]] == 1).all()
            assert cells[0] == 0
            assert cells[-1] < fine.most
            assert marks.tolist() == [cells[-1] + 1] * len(marks)


def test_with_little_noise_cells_hold_like_many_records_and_spikes_are_alone():
    frame = people(20_000)
    schema = SCHEMA.binned(binned(fine_table(frame, 0.1)))
    counts = np.bincount(schema.column("wage").encode(frame["wage"]))
    cuts = schema.column("wage").grid.cuts
    assert counts[0] == (pd.to_numeric(frame["wage"], errors="coerce") == 0).sum()
    assert 30 <= len(cuts) <= 64
    # Three digits are told apart, so that cells can come near one part in 50 of all.
    assert counts[1:-1].max() < 2 * 20_000 / TARGET_CELLS
    debts = schema.column("debt").grid
    for spike in (0.0, 20_000.0, 50_000.0):
        cell = int(debts.cells(np.array([spike]))[0])
        assert debts.cuts[cell] == spike
        assert debts.cuts[cell + 1] <= spike * 1.01 + 2


def test_noise_of_many_parts_does_not_swallow_a_run_whose_count_is_known():
    schema = schema_of({"name": "x", "type": "real", "lower": -100, "upper": 100})
    numbers = np.random.default_rng(0).normal(0, 3, 30_000)
    fine = schema.fine["x"]
    plan = Plan({"bins": Gaussians(fine.depth, noise_multiplier=120.0)})
    codes = fine.grid.cells(numbers)[:, None]
    part = plan.gaussians("bins")
    for seed in range(3):
        payer = Accountant(PrivacyBudget(1e9, 1e-6)).admit("test", plan, randomness="seeded")
        table = PrivateTable(codes, schema.fine_domain, payer)
        groups = bin_columns(table, schema.fine, part, np.random.default_rng(seed))["x"]
        counts = np.bincount(groups[codes[:, 0]])
        # A part of 600 is to be had: parts of a cell are known to 120 each, and cells to as much.
        assert counts.max() < 3 * 600


def test_a_fit_keeps_a_density_in_its_cells_and_tails_as_wide_as_they_are(tmp_path):
    schema = schema_of({"name": "x", "type": "real", "lower": -1000, "upper": 1000}, SEX)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.standard_t(5, 20_000), "sex": rng.choice(["F", "M"], 20_000)})
    release = Independent().fit(frame, schema, PrivacyBudget(1.0, 1e-9), seed=0)
    column = release.schema.column("x")
    assert len(column.density) == len(column.grid)
    release.save(tmp_path / "release.npz")
    again = Release.load(tmp_path / "release.npz")
    assert again.schema == release.schema
    rows = release.sample(20_000, seed=0)
    pd.testing.assert_frame_equal(again.sample(20_000, seed=0), rows)
    inside = rows["x"][rows["x"].abs() < 1000]  # noise leaves some records at a bound
    # The deviation of a t distribution of 5 degrees is 1.29; without a density it is 100 here.
    assert 0.8 < inside.std() / frame["x"].std() < 1.8
    between = release.sample(500, seed=0, given={"x": (0.5, 2.0)})["x"]
    assert between.between(0.5, 2.0).all()


def test_more_noise_leaves_fewer_cells():
    frame = people(2_000)
    few, many = (
        sum(binned(fine_table(frame, stddev), seed)["wage"].max() for seed in range(5))
        for stddev in (100.0, 0.1)
    )
    assert few < 0.9 * many  # a cell must hold 120 records instead of 40


def test_skewed_columns_come_back_far_better_than_from_equal_cells():
    frame = people(20_000)
    equal = schema_of({**WAGE, "bins": 64}, SEX, {**DEBT, "bins": 64})
    budget = PrivacyBudget(1.0, 1e-9)
    medians = {}
    for name, schema in (("chosen", SCHEMA), ("equal", equal)):
        rows = Independent().fit(frame, schema, budget, seed=0).sample(20_000, seed=0)
        wage = pd.to_numeric(rows["wage"], errors="coerce")
        medians[name] = float(wage[wage > 0].median())
    # A lognormal law around exp(8) = 2,981; its sample median has a standard deviation of 51.
    assert abs(medians["chosen"] - 2_981) < 300
    assert medians["equal"] > 6_000


@pytest.mark.parametrize("adjacency", ADJACENCIES)
@pytest.mark.parametrize("epsilon", [0.01, 1.0, 20.0])
def test_a_fit_with_chosen_cells_spends_its_budget_and_never_more(adjacency, epsilon):
    budget = PrivacyBudget(epsilon, 1e-6, adjacency)
    release = Independent().fit(people(300), SCHEMA, budget, seed=0)
    assert 0.99 * epsilon <= release.epsilon <= epsilon
    costs = {"bins": 0.0, "ones": 0.0}
    for entry in release.ledger:
        costs[entry.part] += entry.count / (2 * entry.event.noise_multiplier**2)
        assert entry.event.sensitivity == (1.0 if adjacency == "add_remove" else np.sqrt(2))
    assert costs["bins"] / sum(costs.values()) == pytest.approx(BINNING_SHARE)


def test_a_unit_of_several_rows_needs_so_much_more_noise_on_the_cells():
    frame = people(300).assign(person=[f"p{i // 3}" for i in range(300)])
    budget = PrivacyBudget(1.0, 1e-6, "add_remove", "person", 3)
    ledger = Independent().fit(frame, SCHEMA, budget, seed=0).ledger
    assert {entry.event.sensitivity for entry in ledger if entry.part == "bins"} == {3.0}


def test_without_columns_to_bin_nothing_is_charged_for_cells():
    schema = schema_of(SEX, {**DEBT, "bins": 9})
    assert "bins" not in Independent().charges(schema.domain).parts
    assert Independent().charges(schema.domain) == Independent().plan(schema.domain)
    release = Independent().fit(people(50), schema, PrivacyBudget(1.0, 1e-6), seed=0)
    assert release.schema == schema


def test_a_release_carries_the_cells_that_were_chosen_and_joint_fits_choose_their_own(tmp_path):
    accountant = Accountant(PrivacyBudget(20.0, 1e-6))
    recipes = {Independent(): 1.0, Coarse(): 1.0}
    releases = list(fit_jointly(recipes, people(500), SCHEMA, accountant, seed=0).values())
    assert accountant.epsilon() <= 20.0
    chosen = [release.schema.column("wage").bins for release in releases]
    assert chosen[0] != chosen[1]
    for release in releases:
        assert release.schema.domain.levels == (0, 0, 0)
        assert release.model.domain.sizes == release.schema.domain.sizes
        assert set(release.sample(100, seed=0)["wage"].map(type)) <= {str, float}
    releases[0].save(tmp_path / "release.npz")
    assert Release.load(tmp_path / "release.npz").schema == releases[0].schema


class Coarse(Independent):
    """The same algorithm under another name, for a fit beside the first."""

    name = "coarse"

    def _fit(self, table: PrivateTable, plan: Plan, rng: np.random.Generator) -> JunctionTreeModel:
        assert "bins" not in plan.parts
        return super()._fit(table, plan, rng)


def test_no_row_of_the_table_stops_a_fit_with_constraints_it_violates():
    fields = {"impossible": {"debt": {"from": 20_000}, "sex": ["F"]}}
    schema = Schema.from_dict({"name": "t", "columns": [SEX, DEBT], "constraints": [fields]})
    release = Independent().fit(people(500), schema, PrivacyBudget(1.0, 1e-6), seed=0)
    assert release.schema.constraints == schema.constraints
    assert 20_000 in release.schema.column("debt").grid.cuts


def test_the_codes_of_a_fit_are_those_of_its_releases_schema():
    seen = {}

    class Watching(Independent):
        def _fit(self, table, plan, rng):
            seen["counts"] = table.exact_marginal(("wage",))
            return super()._fit(table, plan, rng)

    frame = people(1_000)
    release = Watching().fit(frame, SCHEMA, PrivacyBudget(5.0, 1e-6), seed=0)
    codes = release.schema.encode(frame)[:, 0]
    assert np.bincount(codes, minlength=release.schema.domain.sizes[0]).tolist() == list(
        seen["counts"]
    )
