"""The door charges first: what is refused reads, draws and records nothing."""

from __future__ import annotations

import ast
import errno
import os
from functools import cache
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from made_tables import DOMAIN, made_codes, made_table

import dp_synth
from dp_synth.accounting import Accountant, Gaussians, Ledger, Selections
from dp_synth.errors import BudgetExceeded, LedgerError
from dp_synth.mechanisms import Distances, measure, select
from dp_synth.mechanisms.table import PrivateTable

ONES = [(attribute,) for attribute in DOMAIN]
PACKAGE = Path(dp_synth.__file__).parent


def _flat(table: PrivateTable) -> Distances:
    return Distances(table, lambda clique: np.zeros(DOMAIN.shape(clique)))


class Witness:
    """Holds a table and a generator, and tells whether either was touched."""

    def __init__(self, ledger: Path | None = None) -> None:
        self.rng = np.random.default_rng(0)
        self.table = made_table(made_codes(self.rng, 20), ledger=ledger)
        self.ones = self.table.payer.plan.gaussians("ones")
        self.tree = self.table.payer.plan.selections("tree")
        self.note()

    def note(self) -> None:
        self.before = self._state()

    def _state(self) -> tuple[object, object, int]:
        ledger: Ledger = self.table.payer.accountant.ledger
        return self.rng.bit_generator.state, ledger, self.table.reads

    def saw_nothing(self) -> bool:
        return self._state() == self.before


FOREIGN_GAUSSIANS = [
    Gaussians(3, noise_multiplier=5.0, name="pairs"),
    Gaussians(3, noise_multiplier=4.999, name="ones"),
    Gaussians(3, noise_multiplier=5.001, name="ones"),
    Gaussians(99, noise_multiplier=5.0, name="ones"),
    Gaussians(3, noise_multiplier=5.0, name="tree"),
]


@pytest.mark.parametrize("part", FOREIGN_GAUSSIANS)
def test_a_part_that_the_plan_does_not_name_pays_for_nothing(part: Gaussians) -> None:
    seen = Witness()
    with pytest.raises(BudgetExceeded, match="nothing was released"):
        measure(seen.table, ONES, part, seen.rng)
    assert seen.saw_nothing()


@pytest.mark.parametrize(
    "part", [Selections(2, epsilon=0.5, name="tree"), Selections(2, epsilon=0.4, name="ones")]
)
def test_a_choice_that_the_plan_does_not_name_is_not_made(part: Selections) -> None:
    seen = Witness()
    with pytest.raises(BudgetExceeded, match="nothing was released"):
        select(_flat(seen.table), ONES, part, seen.rng)
    assert seen.saw_nothing()


def test_more_answers_than_planned_are_refused() -> None:
    seen = Witness()
    with pytest.raises(BudgetExceeded, match=r"asks for 4 .* has 3 left; nothing was rel"):
        measure(seen.table, [*ONES, ("age", "sex")], seen.ones, seen.rng)
    assert seen.saw_nothing()
    assert len(measure(seen.table, ONES, seen.ones, seen.rng)) == 3
    seen.note()
    with pytest.raises(BudgetExceeded, match="has 0 left"):
        measure(seen.table, ONES[:1], seen.ones, seen.rng)
    assert seen.saw_nothing()


def test_more_choices_than_planned_are_refused() -> None:
    seen = Witness()
    distances = _flat(seen.table)
    for _ in range(2):
        assert select(distances, ONES, seen.tree, seen.rng) in ONES
    seen.note()
    with pytest.raises(BudgetExceeded, match="has 0 left"):
        select(distances, ONES, seen.tree, seen.rng)
    assert seen.saw_nothing()


def test_unknown_attributes_are_refused_before_the_charge() -> None:
    seen = Witness()
    with pytest.raises(KeyError, match="no attribute 'wage'"):
        measure(seen.table, [("age",), ("wage",)], seen.ones, seen.rng)
    with pytest.raises(KeyError, match="no attribute 'wage'"):
        select(_flat(seen.table), [("age",), ("wage",)], seen.tree, seen.rng)
    with pytest.raises(ValueError, match="at least one candidate"):
        select(_flat(seen.table), [], seen.tree, seen.rng)
    assert seen.saw_nothing()


def test_an_uncalibrated_part_is_refused_before_the_charge() -> None:
    seen = Witness()
    with pytest.raises(ValueError, match="calibrate its plan first"):
        measure(seen.table, ONES, Gaussians(3, name="ones"), seen.rng)
    assert seen.saw_nothing()


def test_asking_for_nothing_costs_nothing() -> None:
    seen = Witness()
    assert measure(seen.table, [], seen.ones, seen.rng) == []
    assert seen.saw_nothing()


def test_a_read_that_crashes_stays_charged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Witness(tmp_path / "ledger.jsonl")

    def crash(self: PrivateTable, clique: object) -> NoReturn:
        raise MemoryError

    monkeypatch.setattr(PrivateTable, "exact_marginals", crash)
    with pytest.raises(MemoryError):
        measure(seen.table, ONES[:2], seen.ones, seen.rng)
    with pytest.raises(MemoryError):
        select(_flat(seen.table), ONES, seen.tree, seen.rng)
    ledger = seen.table.payer.accountant.ledger
    assert [(entry.part, entry.count) for entry in ledger] == [("ones", 2), ("tree", 1)]
    reopened = Accountant(ledger.budget, ledger=tmp_path / "ledger.jsonl")
    assert reopened.ledger == ledger


def test_a_disk_that_takes_no_charge_lets_nothing_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Witness(tmp_path / "ledger.jsonl")

    def full(handle: int) -> NoReturn:
        raise OSError(errno.ENOSPC, "no space left on device")

    with monkeypatch.context() as patch:
        before = (tmp_path / "ledger.jsonl").read_bytes()
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="no space"):
            measure(seen.table, ONES, seen.ones, seen.rng)
        with pytest.raises(OSError, match="no space"):
            select(_flat(seen.table), ONES, seen.tree, seen.rng)
    assert seen.saw_nothing()
    assert (tmp_path / "ledger.jsonl").read_bytes() == before
    assert len(measure(seen.table, ONES, seen.ones, seen.rng)) == 3  # nothing had been used up


def test_a_ledger_that_others_wrote_to_lets_nothing_out(tmp_path: Path) -> None:
    seen = Witness(tmp_path / "ledger.jsonl")
    (tmp_path / "ledger.jsonl").write_text("somebody else's\n", encoding="utf-8")
    with pytest.raises(LedgerError, match=r"ledger\.jsonl, line 1: not JSON"):
        measure(seen.table, ONES, seen.ones, seen.rng)
    assert seen.saw_nothing()
    assert (tmp_path / "ledger.jsonl").read_text(encoding="utf-8") == "somebody else's\n"


def test_a_merged_table_is_paid_from_the_same_part() -> None:
    seen = Witness()
    coarse = seen.table.coarsen({"age": np.array([0, 0, 1, 1], dtype=np.int32)})
    measure(seen.table, ONES[:2], seen.ones, seen.rng)
    with pytest.raises(BudgetExceeded, match="has 1 left"):
        measure(coarse, ONES[:2], seen.ones, seen.rng)
    assert coarse.reads == 0


PUBLIC = {  # what anybody may do with a table: nothing of it depends on a record
    "has_units",
    "keep_units",
    "of_units",
    "adjacency",
    "coarsen",
    "domain",
    "groups",
    "payer",
    "public_records",
    "reads",
    "recoded",
    "shapes",
    "transcript",
    "remembering",
    "wanted",
    "idle",
}
PRIVATE = {  # for mechanisms alone
    "exact_blocks",
    "exact_marginal",
    "exact_marginals",
    "exact_pairs",
    "exact_parities",
    "exact_records",
    "exact_units",
}
LAWS = {
    "ChoiceLaw",
    "GaussianLaw",
    "LaplaceLaw",
    "Law",
    "SampledSumLaw",
    "VoteLaw",
}  # with exact values
RECORDED = {"answered", "record_answers"}  # what was paid for: for mechanisms alone
AUDITORS = {  # who hold neighbours in a simulation, and faults that are planted for them to find
    "audit/door.py",
    "audit/laplace_shifts.py",
    "audit/neighbour_counts.py",
    "audit/noise_checks.py",
    "audit/planted/laplace_leaks.py",
    "audit/planted/leaking.py",
    "audit/shifts.py",
}
STORE = {
    "_auditor",
    "_known_units",
    "_private_counts",
    "_private_units",
    "_with_counts",
}  # for the table alone


@cache
def _names_read(path: Path) -> set[str]:
    """The names of attributes that a module reads, and of those that it spells as a text."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    texts = {node.value for node in nodes if isinstance(node, ast.Constant)}
    read = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return read | {text for text in texts if isinstance(text, str)}


def _readers_of(names: set[str]) -> set[str]:
    return {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if _names_read(path) & names
    }


def test_every_name_of_a_private_table_is_known_here_as_public_or_private() -> None:
    own = {name for name in {**vars(PrivateTable), **vars(Witness().table)} if name[:2] != "__"}
    assert own == PUBLIC | PRIVATE | RECORDED | STORE


def test_only_the_table_and_the_mechanisms_read_exact_answers() -> None:
    knowing = _readers_of(PRIVATE) - AUDITORS
    assert {f"mechanisms/{name}.py" for name in ("gaussian", "dp_sgd", "table")} <= knowing
    assert all(name.startswith("mechanisms/") for name in knowing), knowing


def test_only_the_table_knows_where_the_records_are() -> None:
    assert _readers_of(STORE) == {"mechanisms/table.py"}


def test_only_mechanisms_and_the_auditor_know_by_what_law_an_answer_was_drawn() -> None:
    def knows(path: Path) -> bool:
        names = {
            node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)
        }
        return bool(names & LAWS)

    knowing = {
        path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py") if knows(path)
    }
    assert "audit/likelihood_ratio.py" in knowing
    others = {name for name in knowing if not name.startswith("mechanisms/")}
    assert others <= {"audit/likelihood_ratio.py"} | AUDITORS
    assert all(name.startswith("mechanisms/") for name in _readers_of(RECORDED) - AUDITORS)
