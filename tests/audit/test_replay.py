"""A replay says exactly what neighbours change, finds planted faults, and accuses nobody else."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from benchmarks.replay import quick, replayed
from dp_synth.accounting import Accountant, Gaussians, Plan, PrivacyBudget
from dp_synth.audit import FitOptions, ReplayReport, replay
from dp_synth.audit.door import Door
from dp_synth.audit.neighbour_counts import NONE, Neighbours, NeighbourTables
from dp_synth.audit.planted import leaking
from dp_synth.audit.planted.replayed import REPLAYED, planted_table, replay_planted
from dp_synth.audit.replayer import made_table
from dp_synth.counting import CodeCounts
from dp_synth.domain import Domain
from dp_synth.errors import InputError
from dp_synth.estimates import read_question
from dp_synth.mechanisms import gaussian, measure
from dp_synth.mechanisms.simulation import watched
from dp_synth.mechanisms.table import Dependences, Distances, PrivateTable
from dp_synth.schema import Schema
from dp_synth.synthesizers import SYNTHESIZERS, Independent, PublishedMST, Synthesizer
from dp_synth.synthesizers.validation import Validation

BUDGET = PrivacyBudget(1.0, 1e-5)
REPLACED = PrivacyBudget(1.0, 1e-5, "replace_one")
GAUSSIAN = ("independent", "mst", "clique_tree", "marginal_generator")  # no choices, and no samples
NETWORKS = ("dpgan", "dpctgan", "pategan", "patectgan", "marginal_generator")
FEW = 40  # records of a quick replay


def quickly(name: str, budget: PrivacyBudget) -> ReplayReport:
    if name in NETWORKS:
        pytest.importorskip("torch")
    return replay(quick(name), budget, *made_table(FEW), seed=0)


@pytest.mark.parametrize("name", list(SYNTHESIZERS))
def test_no_neighbour_moves_a_synthesizer_of_ours_further_than_its_ledger_says(name: str) -> None:
    report = quickly(name, BUDGET)
    assert report.passed, report
    assert report.is_sealed
    assert report.is_complete
    assert 0.5 < report.audited_epsilon <= report.claimed_epsilon
    if name in GAUSSIAN:  # the worst pair uses all that is charged
        assert report.audited_epsilon >= 0.99 * report.claimed_epsilon
    assert all(answer.share <= 1 + 1e-9 for answer in report.answers)


@pytest.mark.parametrize("name", ["independent", "mst", "published_mst", "privbayes", "pategan"])
def test_replaced_records_move_no_more_than_is_charged_either(name: str) -> None:
    report = quickly(name, REPLACED)
    assert report.passed, report
    assert report.is_complete
    assert report.audited_epsilon <= report.claimed_epsilon
    if name in GAUSSIAN:
        assert report.audited_epsilon >= 0.99 * report.claimed_epsilon


@pytest.mark.parametrize("name", list(REPLAYED))
def test_a_planted_fault_is_named_and_a_correct_mechanism_is_not_accused(name: str) -> None:
    bug = REPLAYED[name]
    report = replay_planted(bug)
    assert report.is_complete
    assert report.passed == bug.is_correct, report
    if not bug.is_correct:
        assert bug.fault
        assert bug.twin_of
        assert bug.found in {fault.kind for fault in report.faults}, report


def test_a_read_outside_the_door_is_named_with_its_call() -> None:
    report = replay_planted(REPLAYED["P15 exact total"])
    (fault,) = (one for one in report.faults if one.kind == "read outside the door")
    assert "exact_marginal in exact_total (leaking.py:" in fault.sentence
    assert not report.is_sealed
    (told,) = (one for one in report.faults if "number of records" in one.sentence)
    assert told.neighbours == report.executed == report.neighbours  # each of them tells


DOMAIN = Domain(("a", "b", "c"), (3, 2, 4))


def some_codes(records: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, DOMAIN.sizes, (records, 3)).astype(np.int32)


def payer_of(budget: PrivacyBudget = BUDGET):
    accountant = Accountant(budget, simulate=True)
    return accountant.admit("made", Plan({"ones": Gaussians(3)}))


def by_hand(codes: np.ndarray, near: Neighbours, number: int) -> np.ndarray:
    rows = codes.tolist()
    if near.removed[number] != NONE:
        rows.remove(near.records[near.removed[number]].tolist())
    if near.added[number] != NONE:
        rows.append(near.records[near.added[number]].tolist())
    return np.array(sorted(rows), dtype=np.int32).reshape(-1, 3)


@pytest.mark.parametrize("adjacency", ["add_remove", "replace_one"])
def test_neighbours_are_all_tables_that_differ_in_one_record_each_once(adjacency: str) -> None:
    codes = some_codes(9, 1)
    near = Neighbours.of(CodeCounts.of(codes, DOMAIN), adjacency, 10_000, np.random.default_rng(0))
    found = [by_hand(codes, near, number).tolist() for number in range(len(near))]
    every = [list(cell) for cell in product(*map(range, DOMAIN.sizes))]
    rows = codes.tolist()
    wanted = []
    for place, row in enumerate(rows):
        others = rows[:place] + rows[place + 1 :]
        more = [[cell] for cell in every if cell != row] if adjacency == "replace_one" else [[]]
        wanted += [sorted(others + one) for one in more]
    if adjacency == "add_remove":
        wanted += [sorted([*rows, cell]) for cell in every]
    distinct = {json.dumps(table) for table in wanted}
    assert {json.dumps(table) for table in found} == distinct
    assert len(found) == len(distinct) == near.possible  # equal records are visited once


@pytest.mark.parametrize("seed", range(25))
def test_shifted_counts_are_those_of_the_neighbour(seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes, adjacency = some_codes(12, seed), ("add_remove", "replace_one")[seed % 2]
    near = Neighbours.of(CodeCounts.of(codes, DOMAIN), adjacency, 20, rng)
    groups = {"c": np.array([0, 1, 1, 0], dtype=np.int32)}
    payer = payer_of()
    tables = NeighbourTables.of(CodeCounts.of(codes, DOMAIN), near, payer)
    changes = (lambda one: one.coarsen(groups), lambda one: one.remembering())[: seed % 3]
    for number, table in enumerate(tables.changed(changes)):
        slow = PrivateTable(by_hand(codes, near, number), DOMAIN, payer)
        for change in changes:
            slow = change(slow)
        for clique in [(), ("a",), ("c", "b"), ("b", "a", "c")]:
            assert np.array_equal(table.exact_marginal(clique), slow.exact_marginal(clique))
        assert all(map(np.array_equal, table.exact_records(), slow.exact_records()))


def test_codes_of_records_follow_the_changes_of_their_table() -> None:
    codes, groups = some_codes(6, 3), {"c": np.array([2, 0, 1, 0], dtype=np.int32)}
    near = Neighbours.of(CodeCounts.of(codes, DOMAIN), "add_remove", 99, np.random.default_rng(0))
    tables = NeighbourTables.of(CodeCounts.of(codes, DOMAIN), near, payer_of())
    wanted = near.records.copy()
    wanted[:, 2] = groups["c"][wanted[:, 2]]
    assert np.array_equal(tables.changed((lambda one: one.coarsen(groups),)).codes, wanted)


def test_shifts_are_those_of_marginals_that_were_counted_by_hand() -> None:
    frame, schema = made_table(30)
    report = replay(Independent(), REPLACED, frame, schema, seed=0)
    codes = schema.encode(frame)
    most = 0.0
    for other in product(*map(range, schema.domain.sizes)):
        for record in np.unique(codes, axis=0):
            most = max(most, float(np.sqrt(2 * np.sum(record != np.array(other)))))
    (answer,) = report.answers
    mu = float(answer.shift.split("mu ")[1])
    stddev = float(answer.charged.split("stddev ")[1].split(",")[0])
    assert mu == pytest.approx(most / stddev, rel=1e-3)  # both are printed with four digits


def test_halved_sensitivities_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = gaussian.marginal_sensitivity
    monkeypatch.setattr(gaussian, "marginal_sensitivity", lambda *given: exact(*given) / 2)
    report = replay(Independent(), BUDGET, *made_table(FEW), seed=0)
    assert {fault.kind for fault in report.faults} == {"sensitivity", "above the ledger"}
    assert report.answers[0].share == pytest.approx(2)
    assert report.audited_epsilon > 1.9


@pytest.mark.parametrize(
    ("scores", "name"), [(Distances, "published_mst"), (Dependences, "privbayes")]
)
def test_choices_by_scores_that_move_further_are_found(
    monkeypatch: pytest.MonkeyPatch, scores: type, name: str
) -> None:
    exact = scores.sensitivity.fget
    less = {"published_mst": 2.0, "privbayes": 8.0}[name]  # dependences move less than is charged
    monkeypatch.setattr(scores, "sensitivity", property(lambda self: exact(self) / less))
    report = replay(SYNTHESIZERS[name](), BUDGET, *made_table(200), seed=0)
    assert "sensitivity" in {fault.kind for fault in report.faults}


NUMBERED = Schema.from_dict(
    {
        "name": "numbered",
        "columns": [
            {"name": "a", "type": "categorical", "categories": list("xyz")},
            {"name": "n", "type": "integer", "lower": 0, "upper": 5},
        ],
    }
)
ASKED = ("share a=x", "mean n where a=x", "linear n ~ a")
OPTIONS = FitOptions(0.1, [read_question(text, NUMBERED) for text in ASKED])


def numbered_table(records: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    letters = rng.choice(list("xyz"), records)
    return pd.DataFrame({"a": letters, "n": rng.integers(0, 6, records)})


@pytest.mark.parametrize("budget", [BUDGET, REPLACED], ids=["add_remove", "replace_one"])
@pytest.mark.parametrize("name", ["independent", "clique_tree", "aim", "dpgan"])
def test_what_is_measured_beside_a_model_is_replayed_too(name: str, budget: PrivacyBudget) -> None:
    if name in NETWORKS:
        pytest.importorskip("torch")
        budget = BUDGET
    report = replay(quick(name), budget, numbered_table(), NUMBERED, options=OPTIONS, seed=0)
    assert report.passed, report
    assert report.is_sealed
    assert report.audited_epsilon <= report.claimed_epsilon
    if budget == BUDGET and name in GAUSSIAN:
        assert report.audited_epsilon >= 0.99 * report.claimed_epsilon
    parts = {answer.part for answer in report.answers}
    assert {"validation_count", "validation_distances", "questions"} <= parts, parts


@pytest.mark.parametrize("broken", ["clip_vectors", "sum_sensitivity", "Distances"])
def test_faults_in_what_is_measured_beside_a_model_are_found(
    monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    why = "corrections of answers"
    if broken == "Distances":
        charged, why = Distances.sensitivity.fget, "distances from the model"
        monkeypatch.setattr(Distances, "sensitivity", property(lambda self: charged(self) / 2))
    else:
        exact, times = getattr(gaussian, broken), 2 if broken == "clip_vectors" else 1 / 2
        monkeypatch.setattr(gaussian, broken, lambda *given: times * exact(*given))
    asked = FitOptions(0.1, [read_question("mean n where a=x", NUMBERED)])
    report = replay(Independent(), BUDGET, numbered_table(), NUMBERED, options=asked, seed=0)
    assert any(f"({why})" in fault.sentence for fault in report.faults), report
    assert {fault.kind for fault in report.faults} <= {"sensitivity", "above the ledger"}


def test_gradients_that_are_not_clipped_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    dp_sgd = import_module("dp_synth.mechanisms.dp_sgd")
    exact = dp_sgd.whole_sums

    def twice(*given):
        return [type(one)(2 * one.whole, one.bits) for one in exact(*given)]

    monkeypatch.setattr(dp_sgd, "whole_sums", twice)
    report = replay(quick("dpgan"), BUDGET, *made_table(FEW), seed=0)
    (fault,) = (one for one in report.faults if one.kind == "sensitivity")
    assert "clips of 1" in fault.sentence


def test_one_seed_is_one_replay() -> None:
    first, again = (replay(PublishedMST(), BUDGET, *made_table(FEW), seed=3) for _ in range(2))
    assert first.to_dict() == again.to_dict()
    other = replay(PublishedMST(), BUDGET, *made_table(FEW), seed=4)
    assert [answer.loss for answer in other.answers] != [answer.loss for answer in first.answers]


def test_a_fit_after_a_replay_draws_its_noise_as_ever() -> None:
    frame, schema = made_table(FEW)
    replay(Independent(), BUDGET, frame, schema, seed=0)
    first, second = (Independent().fit(frame, schema, BUDGET).transcript[0] for _ in range(2))
    assert not np.array_equal(first.values, second.values)


def test_what_nobody_simulates_cannot_be_watched() -> None:
    frame, schema = made_table(FEW)
    door = Door(np.random.default_rng(0))
    with watched(door), pytest.raises(InputError, match="the accountant that fit was given"):
        Independent().fit(frame, schema, BUDGET)
    assert door.payer is None


@dataclass(frozen=True)
class OwnAccountant(Synthesizer):
    """Opens an accountant of its own, whatever it is given."""

    name: ClassVar[str] = "own_accountant"

    def plan(self, domain):
        return Plan({"ones": Gaussians(len(domain))})

    def _fit(self, table, plan, rng):
        return leaking.columns(table, plan, rng)

    def fit(self, data, schema, budget, *, seed=None):
        return super().fit(data, schema, BUDGET, seed=seed)


@dataclass(frozen=True)
class Writer(OwnAccountant):
    """Writes down how many records there are."""

    name: ClassVar[str] = "writer"

    def fit(self, data, schema, budget, *, seed=None):
        Path("count.txt").write_text(str(len(data)), encoding="utf-8")
        print(len(data))
        return Synthesizer.fit(self, data, schema, budget, seed=seed)


@dataclass(frozen=True)
class Twice(OwnAccountant):
    """Fits twice."""

    name: ClassVar[str] = "twice"

    def fit(self, data, schema, budget, *, seed=None):
        Synthesizer.fit(self, data, schema, Accountant(BUDGET, simulate=True), seed=seed)
        return Synthesizer.fit(self, data, schema, budget, seed=seed)


@dataclass(frozen=True)
class OutOfHand(OwnAccountant):
    """Draws coins from nowhere that a seed could repeat."""

    name: ClassVar[str] = "out_of_hand"

    def _fit(self, table, plan, rng):
        return leaking.columns(table, plan, rng)

    def fit(self, data, schema, budget, *, seed=None):
        release = Synthesizer.fit(self, data, schema, budget, seed=seed)
        total = float(np.random.default_rng().normal())
        return replace(release, model=replace(release.model, total=total))


def test_files_and_lines_that_tell_are_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    report = replay(Writer(), BUDGET, *planted_table(), seed=0)
    said = {fault.sentence for fault in report.faults}
    assert {"it writes other files", "it prints something else"} <= said
    assert capsys.readouterr().out == ""  # what a fit prints is compared, not shown


def test_what_differs_about_the_same_table_is_no_leak_and_is_told_apart() -> None:
    report = replay(OutOfHand(), BUDGET, *planted_table(), seed=0)
    assert {fault.kind for fault in report.faults} == {"not repeatable"}


def small_schema(**more: object) -> Schema:
    column = {"name": "a", "type": "categorical", "categories": ["x", "y"], **more}
    return Schema.from_dict({"name": "t", "columns": [column]})


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (partial(replay, Independent(), replace(BUDGET, epsilon=np.inf)), "at inf nothing is"),
        (
            partial(replay, Independent(), PrivacyBudget(1, 1e-5, unit="id", max_rows=2)),
            "give no unit",
        ),
        (partial(replay, Independent(), BUDGET, made_table()[0]), "needs both data and its schema"),
        (partial(replay, Independent(), BUDGET, schema=small_schema()), "needs both data"),
        (
            partial(
                replay, Independent(), BUDGET, options=FitOptions(Validation(0.1, attack=True))
            ),
            "its validation has no hold-out",
        ),
        (partial(replay, Independent(), BUDGET, neighbours=0), "neighbours must be from 1 to"),
        (partial(replay, Independent(), BUDGET, neighbours=10**9), "got 1,000,000,000"),
        (
            partial(
                replay,
                Independent(),
                BUDGET,
                pd.DataFrame({"a": ["x"]}),
                small_schema(open=True),
            ),
            "column 'a' is open",
        ),
        (
            partial(replay, Independent(), REPLACED, pd.DataFrame({"a": []}), small_schema()),
            "has no neighbours to replay",
        ),
        (partial(replay, OwnAccountant(), BUDGET), "the accountant that fit was given"),
        (partial(replay, Twice(), BUDGET), "follows one private table"),
    ],
    ids=[
        "inf",
        "unit",
        "data",
        "schema",
        "hold-out",
        "none",
        "giant",
        "open",
        "empty",
        "accountant",
        "two tables",
    ],
)
def test_what_cannot_be_replayed_is_refused_in_one_line(asked, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        asked()
    assert "\n" not in str(caught.value)


def wide_table() -> tuple[pd.DataFrame, Schema]:
    rng = np.random.default_rng(0)
    fields = [{"name": name, "type": "categorical", "size": 200} for name in "abc"]
    frame = pd.DataFrame(rng.integers(0, 40, (30, 3)), columns=list("abc"))
    return frame, Schema.from_dict({"name": "wide", "columns": fields})


def test_worse_neighbours_are_looked_for_where_not_all_are_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bug = REPLAYED["P12 no clipping"].synthesizer
    found = replay(bug, BUDGET, *wide_table(), neighbours=50, seed=0)
    assert not found.is_complete
    assert "drawn of 8,000,0" in str(found)
    assert "none of these neighbours" not in str(found)  # it did not pass
    monkeypatch.setattr("dp_synth.audit.replayer.SEARCHES", 0)
    drawn = replay(bug, BUDGET, *wide_table(), neighbours=50, seed=0)
    largest = 199 * np.sqrt(3)
    assert drawn.answers[0].share < found.answers[0].share <= largest
    assert found.answers[0].share > 0.95 * largest


def test_a_report_can_be_written_and_says_what_was_compared() -> None:
    report = replay(PublishedMST(), BUDGET, *made_table(FEW), seed=0)
    fields = json.loads(json.dumps(report.to_dict()))
    assert fields["passed"] is True
    assert fields["neighbours"] == fields["possible_neighbours"] == report.neighbours
    text = str(report)
    assert f"all {report.neighbours} neighbours of made" in text
    assert "tree: an edge of the tree: 4 answers, log-ratios in a range of" in text
    assert text.endswith("or anything else")
    ledger_lines = [answer.line for answer in report.answers]
    assert ledger_lines == sorted(ledger_lines)
    assert min(ledger_lines) > 3  # three lines of the ledger reserve


def test_the_benchmark_says_what_a_replay_found() -> None:
    row = replayed("independent", "add_remove")
    assert (row.faults, row.answers) == ((), 1)
    assert row.neighbours == 70
    assert 0.99 <= row.share <= 1


def test_an_answer_of_a_wrong_length_is_not_paid() -> None:
    @dataclass(frozen=True)
    class Short(OwnAccountant):
        name: ClassVar[str] = "short"

        def plan(self, domain):
            return Plan({"ones": Gaussians(len(domain) + 1)})

        def fit(self, data, schema, budget, *, seed=None):
            return Synthesizer.fit(self, data, schema, budget, seed=seed)

        def _fit(self, table, plan, rng):
            part = plan.gaussians("ones")
            measure(table, [()], part, rng)
            event = leaking.charged(table, part, 1.0, 1)
            draw = leaking.rounded(table, event, rng)
            values = leaking.answer(table, part, event, leaking.one_way, draw)
            return leaking.model_of(table, values, event.stddev)

    report = replay(Short(), BUDGET, *planted_table(), seed=0)
    (fault,) = (one for one in report.faults if one.kind == "uncharged")
    assert "1 events pay for an answer of 3" in fault.sentence
