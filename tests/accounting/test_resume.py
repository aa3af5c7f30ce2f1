"""What an accountant lets a stopped fit go on with: its own reservation, and no more of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dp_synth.accounting import Accountant, Gaussians, Plan, PrivacyBudget, Reservation
from dp_synth.errors import BudgetExceeded

BUDGET = PrivacyBudget(1.0, 1e-6)
PLAN = Plan({"ones": Gaussians(3), "pairs": Gaussians(4)})


def charge(piece: Reservation, name: str, count: int) -> None:
    part = piece.plan.gaussians(name)
    piece.charge(part, part.event(), count, why=name)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


def begun(path: Path) -> Reservation:
    """A slice of a process that ends after three and one answers."""
    piece = Accountant(BUDGET, ledger=path).admit("fit", PLAN)
    charge(piece, "ones", 3)
    charge(piece, "pairs", 1)
    return piece


def resumed(path: Path, plan: Plan, **options: object) -> Reservation:
    return Accountant(BUDGET, ledger=path).resume("fit", plan, **options)  # type: ignore[arg-type]


def test_what_was_charged_stays_spent_and_the_rest_can_be_charged_once(path: Path) -> None:
    plan = begun(path).plan
    piece = resumed(path, plan)
    assert [piece.left(part) for part in plan.parts.values()] == [0, 3]
    with pytest.raises(BudgetExceeded, match="3 left"):
        charge(piece, "pairs", 4)
    charge(piece, "pairs", 3)
    with pytest.raises(BudgetExceeded, match="nothing was released"):
        charge(piece, "pairs", 1)
    ledger = piece.accountant.ledger
    assert len(ledger.reservations) == 2
    assert sum(entry.count for entry in ledger.charges) == 7
    assert ledger.epsilon <= 1.0


def test_two_processes_that_resume_share_what_is_left(path: Path) -> None:
    first = begun(path)
    one, other = resumed(path, first.plan), resumed(path, first.plan)
    charge(one, "pairs", 2)
    with pytest.raises(BudgetExceeded, match="other processes have used up"):
        charge(other, "pairs", 2)
    charge(other, "pairs", 1)
    for piece in (one, other, first):
        with pytest.raises(BudgetExceeded, match="other processes have used up"):
            charge(piece, "pairs", 1)
    assert sum(entry.count for entry in resumed(path, first.plan).accountant.ledger) == 7


def test_other_lines_than_were_reserved_are_refused(path: Path) -> None:
    plan = begun(path).plan
    louder = Plan({**plan.parts, "pairs": Gaussians(4, noise_multiplier=0.1)})
    longer = Plan({**plan.parts, "pairs": Gaussians(5, noise_multiplier=100.0)})
    before = path.read_bytes()
    for other in (louder, longer, Plan({"ones": plan.parts["ones"]}).at(1.0)):
        with pytest.raises(BudgetExceeded, match="nothing was released"):
            resumed(path, other)
    for options in ({"reserved_at": 1}, {"randomness": "seeded"}):
        with pytest.raises(BudgetExceeded, match="nothing was released"):
            resumed(path, plan, **options)
    with pytest.raises(BudgetExceeded, match="nothing was released"):
        Accountant(BUDGET, ledger=path).resume("other", plan)
    assert path.read_bytes() == before


def test_only_a_planned_ledger_on_disk_can_be_gone_on_with(path: Path) -> None:
    adaptive = Accountant(BUDGET, ledger=path, adaptive=True)
    plan = adaptive.admit("fit", PLAN).plan
    memory = Accountant(BUDGET)
    memory.admit("fit", plan)
    for accountant in (adaptive, memory, Accountant(BUDGET)):
        with pytest.raises(BudgetExceeded, match="no planned ledger on disk"):
            accountant.resume("fit", plan)


def test_a_resumed_ledger_still_takes_no_other_plan(path: Path) -> None:
    piece = resumed(path, begun(path).plan)
    with pytest.raises(BudgetExceeded, match="already holds a plan for the whole budget"):
        piece.accountant.admit("another", PLAN)


def test_reservations_know_their_place_in_the_ledger(path: Path) -> None:
    accountant = Accountant(BUDGET, ledger=path)
    pieces = accountant.admit_jointly({"fit": (PLAN, 1.0), "other": (PLAN, 1.0)})
    charge(pieces["fit"], "ones", 3)
    assert [piece.reserved_at for piece in pieces.values()] == [0, 2]
    again = Accountant(BUDGET, ledger=path)
    second = again.resume("other", pieces["other"].plan, reserved_at=2)
    assert second.left(second.plan.parts["ones"]) == 3
