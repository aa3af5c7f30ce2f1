"""Rows of units that have few count for more: no unit adds more than before, and rows come out."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dp_synth.accounting import Accountant, PrivacyBudget
from dp_synth.attacks import AttackerView, TranscriptRatio
from dp_synth.counting import CodeCounts, PrivateRecords
from dp_synth.counting.columns import DiskColumns, MemoryColumns, WeightedColumns
from dp_synth.counting.parities import count_parities
from dp_synth.domain import Domain, ParitySets
from dp_synth.errors import ReleaseError
from dp_synth.estimates import read_question
from dp_synth.inference import JunctionTree, JunctionTreeModel
from dp_synth.mechanisms import (
    dependence_sensitivity,
    l1_distance_sensitivity,
    marginal_sensitivity,
    parity_sensitivity,
)
from dp_synth.monitor import monitor, monitor_exactly, monitoring_budget
from dp_synth.readers import parse_json
from dp_synth.release import Release
from dp_synth.schema import Schema
from dp_synth.synthesizers import MST, SYNTHESIZERS, CliqueTree, Independent, fitting
from dp_synth.synthesizers.reading import records_in
from dp_synth.unit_weights import ATTRIBUTE, MOST_CLASSES, UnitWeights

SCHEMA = Schema.from_dict(
    {
        "name": "visits",
        "label": "ill",
        "columns": [
            {"name": "ward", "type": "categorical", "categories": ["a", "b", "c"]},
            {"name": "age", "type": "integer", "lower": 0, "upper": 99, "bins": 10},
            {"name": "ill", "type": "categorical", "categories": ["no", "yes"]},
        ],
    }
)
MOST = 10


def _budget(epsilon: float = 1.0, adjacency: str = "add_remove") -> PrivacyBudget:
    return PrivacyBudget(epsilon, 1e-6, adjacency, "patient", MOST)  # type: ignore[arg-type]


def _visits(units: int, seed: int, *, alike: bool = False) -> pd.DataFrame:
    """Return visits of patients, 1 to 14 each; who comes often is more often ill."""
    rng = np.random.default_rng(seed)
    rows = np.where(rng.random(units) < 0.1, rng.integers(2, 15, units), 1)
    patients = np.repeat(np.arange(units), rows)
    often = np.repeat(rows > 1, rows)
    count = len(patients)
    drawn = patients if alike else np.arange(count)
    people = np.random.default_rng(seed + 1)
    ages = people.integers(0, 100, count)[drawn]
    ill = people.random(count)[drawn] < np.where(often, 0.8, 0.2)
    frame = pd.DataFrame(
        {
            "patient": patients,
            "ward": people.choice(["a", "b", "c"], count)[drawn],
            "age": ages,
            "ill": np.where(ill, "yes", "no"),
        }
    )
    return frame.sample(frac=1, random_state=seed, ignore_index=True)


@pytest.mark.parametrize("max_rows", [2, 3, 10, 37, 1000, 123_456])
def test_no_unit_adds_more_than_its_bound_and_few_rows_give_up_little(max_rows: int) -> None:
    weights = UnitWeights(max_rows)
    rows = np.arange(1, max_rows + 1)
    classes = weights.classes(rows)
    added = rows * weights.weights[classes]
    assert added.max() <= max_rows
    assert added[0] == max_rows
    assert len(weights.largest) <= MOST_CLASSES
    assert (rows <= weights.largest[classes]).all()
    assert added.min() >= max_rows / (2 if max_rows < 64 else 4)


def _moved(frame: pd.DataFrame, unit: int, replaced: bool, rng: np.random.Generator) -> tuple:
    """Return the counts of a table and of one that differs in all rows of a unit."""
    other = frame[frame["patient"] != unit]
    if replaced:
        new = _visits(1, int(rng.integers(2**31)))
        new["patient"] = unit
        other = pd.concat([other, new], ignore_index=True)
    return tuple(
        records_in(one, SCHEMA, _budget(), np.random.default_rng(0)).weighted_counts
        for one in (frame, other)
    )


def _distance(table: np.ndarray) -> float:
    total = table.sum()
    apart = np.outer(table.sum(axis=1), table.sum(axis=0)) / total if total else 0 * table
    return float(np.abs(table - apart).sum())


@pytest.mark.parametrize("adjacency", ["add_remove", "replace_one"])
def test_one_unit_moves_weighted_counts_by_at_most_their_sensitivities(adjacency: str) -> None:
    rng, largest = np.random.default_rng(3), 0.0
    halves = (np.array([0, 1, 1]), np.array([0, 1]), np.tile([0, 1], 5))
    asked = ParitySets(("ward", "ill", "age"), halves, np.array([[0, 1], [1, 2], [0, 2]]))
    for turn in range(40):
        frame = _visits(int(rng.integers(1, 30)), int(rng.integers(2**31)))
        frame = frame.groupby("patient").head(MOST)  # so that nobody is cut at random
        alike = frame[frame["patient"] == 0].head(1)  # the rows of one unit in one cell
        others = frame[frame["patient"] != 0]
        frame = pd.concat([others, *[alike] * (turn % MOST + 1)], ignore_index=True)
        counts = _moved(frame, 0, adjacency == "replace_one", rng)
        for clique in (("ward",), ("ward", "ill"), ("age", ATTRIBUTE), (ATTRIBUTE,)):
            one, other = (each.marginal(clique) for each in counts)
            moved = one - other
            assert np.linalg.norm(moved) <= marginal_sensitivity(adjacency, MOST) + 1e-9  # type: ignore[arg-type]
            assert np.abs(moved).sum() <= l1_distance_sensitivity(adjacency, MOST)  # type: ignore[arg-type]
            largest = max(largest, float(np.linalg.norm(moved)))
            if len(clique) == 2:
                off = abs(_distance(one) - _distance(other))
                assert off <= dependence_sensitivity(adjacency, MOST) + 1e-9  # type: ignore[arg-type]
        moved = count_parities(counts[0], asked) - count_parities(counts[1], asked)
        assert np.linalg.norm(moved) <= parity_sensitivity(3, adjacency, MOST) + 1e-9  # type: ignore[arg-type]
    assert largest >= 0.99 * marginal_sensitivity(adjacency, MOST)  # type: ignore[arg-type]


def test_lines_of_any_weight_move_the_distance_from_independence_by_four_times_theirs() -> None:
    rng, largest = np.random.default_rng(4), 0.0
    for _ in range(3000):
        table = rng.gamma(0.2, 3.0, (3, 4)) * (rng.random((3, 4)) < 0.6)
        more, weight = table.copy(), float(rng.exponential(3))
        more[rng.integers(3), rng.integers(4)] += weight
        moved = abs(_distance(more) - _distance(table)) / weight
        largest = max(largest, moved)
        assert moved <= dependence_sensitivity("add_remove") + 1e-9
    assert largest > 1.5


def test_a_model_of_weighted_counts_tells_rows_exactly() -> None:
    frame = _visits(400, 5)
    records = records_in(frame, SCHEMA, _budget(), np.random.default_rng(0))
    weights = records.unit_weights
    assert weights is not None
    counts = records.weighted_counts
    every = counts.domain.attributes
    tree = JunctionTree.of(counts.domain, [every])
    table = counts.marginal(every)
    model = JunctionTreeModel(tree, (table / table.sum(),), float(table.sum()))
    of_rows = weights.of_rows(model)
    assert of_rows.total == pytest.approx(len(records.counts))
    for clique in (("ill",), ("age", "ill"), ("ward", "age", "ill")):
        np.testing.assert_allclose(of_rows.marginal(clique), records.counts.marginal(clique))
    back = weights.of_counts(of_rows)
    assert back.total == pytest.approx(model.total)
    np.testing.assert_allclose(back.marginal(every), table)


@pytest.mark.parametrize("where", ["memory", "disk"])
def test_weighted_columns_count_as_lines_that_are_repeated(where: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    codes = np.column_stack([rng.integers(0, size, 500) for size in (3, 4)]).astype(np.int32)
    last, weights = rng.integers(0, 5, 500).astype(np.int32), rng.integers(1, 9, 500)
    columns: MemoryColumns | DiskColumns = MemoryColumns(list(codes.T), 500)
    if where == "disk":
        columns = DiskColumns((3, 4), tmp_path)
        columns.append(list(codes.T))
    domain = Domain(("a", "b", "u"), (3, 4, 5))
    with CodeCounts(WeightedColumns.beside(columns, last, weights.astype(float)), domain) as found:
        whole = np.repeat(np.column_stack([codes, last]), weights, axis=0)
        plain = CodeCounts.of(whole, domain)
        groups = {"a": np.array([0, 1, 1], dtype=np.int32), "u": np.array([0, 0, 1, 1, 2])}
        for one, other in ((found, plain), (found.coarsened(groups), plain.coarsened(groups))):
            assert len(one) == len(other) == weights.sum()
            for clique in ((), ("a",), ("u",), ("b", "u"), ("u", "a", "b")):
                np.testing.assert_array_equal(one.marginal(clique), other.marginal(clique))
            for mine, theirs in zip(
                one.occupied(("b", "u")), other.occupied(("b", "u")), strict=True
            ):
                np.testing.assert_array_equal(mine, theirs)


MARGINAL = [name for name, kind in SYNTHESIZERS.items() if kind.measures]


@pytest.mark.parametrize("name", MARGINAL)
@pytest.mark.parametrize("adjacency", ["add_remove", "replace_one"])
def test_rows_of_a_release_are_rows_and_their_number_is_that_of_rows(
    name: str, adjacency: str, tmp_path: Path
) -> None:
    if name == "marginal_generator":
        pytest.importorskip("torch")
    frame = _visits(3000, 7)
    release = SYNTHESIZERS[name]().fit(frame, SCHEMA, _budget(4.0, adjacency), seed=0)
    kept = int(frame.groupby("patient").size().clip(upper=MOST).sum())
    # Noise of rare classes, cut at 0, is what PrivBayes has in small tables.
    assert release.model.total == pytest.approx(kept, rel=0.2 if name == "privbayes" else 0.1)
    assert list(release.sample(50, seed=0).columns) == list(SCHEMA.names)
    assert 1 <= release.design_effect <= MOST
    release.save(tmp_path / "release.npz")
    again = Release.load(tmp_path / "release.npz")
    assert again.unit_weights == release.unit_weights == UnitWeights(MOST)
    assert again.sample(50, seed=1).equals(release.sample(50, seed=1))
    assert release.sample(20, seed=0, given={"ill": "yes"})["ill"].eq("yes").all()
    assert len(release.sample(20, seed=0, balance="ward")) == 20
    partial = pd.DataFrame({"ward": ["a", "", "c"]})
    assert release.sample(seed=0, given=partial)["ward"].tolist()[::2] == ["a", "c"]


def test_rows_are_weighed_back_and_one_row_a_unit_needs_no_weights() -> None:
    frame = _visits(20_000, 8)
    ill = float(frame.groupby("patient").head(MOST)["ill"].eq("yes").mean())
    by_unit = float(frame.groupby("patient")["ill"].first().eq("yes").mean())
    release = MST().fit(frame, SCHEMA, _budget(), seed=0)
    share = release.model.marginal(("ill",))[1] / release.model.total
    assert abs(share - ill) < abs(ill - by_unit) / 5
    single = replace(_budget(), max_rows=1)
    assert MST().fit(frame, SCHEMA, single, seed=0).unit_weights is None


def test_weights_leave_a_third_of_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = _visits(2000, 9)
    real = SCHEMA.encode(frame.groupby("patient").head(MOST))
    exact = np.bincount(real[:, 1].astype(int), minlength=10) / len(real)

    def errors() -> float:
        found = []
        for seed in range(5):
            model = Independent().fit(frame, SCHEMA, _budget(0.3), seed=seed).model
            counts = model.marginal(("age",))
            found.append(np.abs(counts / counts.sum() - exact).sum())
        return float(np.mean(found))

    weighted = errors()
    monkeypatch.setattr(fitting, "weights_of", lambda *given: None)
    assert weighted < errors() / 2.5


def test_the_column_of_classes_takes_no_name_of_the_table(tmp_path: Path) -> None:
    fields = SCHEMA.to_dict()
    columns = [*fields["columns"], {"name": ATTRIBUTE, "type": "ordinal", "size": 2}]  # type: ignore[misc]
    schema = Schema.from_dict({**fields, "columns": columns})
    frame = _visits(500, 10).assign(**{ATTRIBUTE: 1})
    release = Independent().fit(frame, schema, _budget(5.0), seed=0)
    assert release.unit_weights == UnitWeights(MOST, ATTRIBUTE + "'")
    release.save(tmp_path / "release.npz")
    assert Release.load(tmp_path / "release.npz").sample(5, seed=0)[ATTRIBUTE].eq("1").all()


def test_a_file_with_other_weights_than_its_ledger_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "release.npz"
    Independent().fit(_visits(200, 11), SCHEMA, _budget(), seed=0).save(path)
    with np.load(path) as arrays:
        known = dict(arrays)
    header = parse_json(str(known.pop("header")))
    header["unit_weights"] = asdict(UnitWeights(MOST + 1))
    np.savez(path, header=np.array(json.dumps(header)), **known)
    with pytest.raises(ReleaseError, match="cannot be read as a release"):
        Release.load(path)


def test_a_validation_and_questions_are_of_rows_that_count_once() -> None:
    frame = _visits(20_000, 12)
    kept, asked = frame.groupby("patient").head(MOST), read_question("share ill=yes", SCHEMA)
    release = CliqueTree().fit(
        frame, SCHEMA, _budget(2.0), seed=0, validation=0.2, questions=[asked]
    )
    found = release.estimate(asked)
    assert found.low <= kept["ill"].eq("yes").mean() <= found.high  # type: ignore[union-attr]
    assert release.validation is not None
    assert release.epsilon <= 2.0


def test_planned_recipes_and_portions_have_weights_where_all_of_them_count() -> None:
    frame = _visits(500, 13)
    planned = Accountant(_budget(2.0), planned=[(Independent(), 1), (MST(), 2)])
    for recipe in (Independent(), MST()):
        assert recipe.fit(frame, SCHEMA, planned, seed=0).unit_weights is not None


def test_intervals_hold_where_rows_of_a_unit_are_alike() -> None:
    # A unit counts as often as it has rows: without the design effect half as many would hold.
    draws, held = 40, 0
    for draw in range(draws):
        frame = _visits(800, 100 + 2 * draw, alike=True)
        release = Independent().fit(frame, SCHEMA, _budget(8.0), seed=draw)
        found = release.estimate("mean age")
        held += found.low <= 49.5 <= found.high  # type: ignore[union-attr]
        assert found.sampling > 1.2 * 29 / np.sqrt(release.model.total)  # type: ignore[union-attr]
    assert held >= 28  # of 40 at 95 %: fewer with a chance below 1e-6


def test_monitoring_compares_weighted_counts_with_weighted_counts() -> None:
    before, same, other = _visits(3000, 14), _visits(3000, 15), _visits(3000, 16)
    other["ill"] = "yes"
    release = MST().fit(before, SCHEMA, _budget(3.0), seed=0)
    budget = monitoring_budget(release, 3.0, 1e-6)
    rows = len(same.groupby("patient").head(MOST))
    for report in (monitor(release, same, budget, seed=1), monitor_exactly(release, same)):
        assert not report.found
        assert report.records_now == pytest.approx(rows, rel=0.15)
        assert report.records_then == pytest.approx(rows, rel=0.15)
    assert monitor(release, other, budget, seed=1).found


def test_the_attack_on_a_transcript_says_that_it_counts_records() -> None:
    frame = _visits(300, 17)
    release = MST().fit(frame, SCHEMA, _budget(), seed=0)
    view = AttackerView(
        release.sample(100, seed=0), SCHEMA, reference=frame, transcript=release.transcript
    )
    assert "weighted rows of units" in str(TranscriptRatio().missing(view))


def test_records_without_units_are_counted_once_each() -> None:
    records = PrivateRecords.of(_visits(50, 18), SCHEMA)
    assert records.weighted_counts is records.counts
