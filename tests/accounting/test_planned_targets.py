"""Recipes registered beforehand, each until the total reaches its target."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from dp_synth.accounting import (
    Accountant,
    Gaussians,
    Plan,
    PrivacyBudget,
    Reservation,
    SampledGaussians,
    Selections,
    compose,
    read_ledger,
)
from dp_synth.errors import BudgetExceeded, InputError

BUDGET = PrivacyBudget(3.0, 1e-6)


@dataclass(frozen=True)
class Asker:
    """Asks for an answer an attribute, and some choices after them."""

    name: str
    choices: int = 0

    def charges(self, domain: int, /) -> Plan:
        return Plan({"ones": Gaussians(domain), "tree": Selections(self.choices)})


FIRST, SECOND, THIRD = Asker("first"), Asker("second"), Asker("third")
PLANNED = [(FIRST, 0.5), (SECOND, 1.0), (THIRD, 3.0)]


def _use(payer: Reservation) -> None:
    for part in payer.plan.parts.values():
        if part.count:
            payer.charge(part, part.event(), part.count, why="test")


def test_after_each_turn_the_total_is_at_its_target_and_never_above(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    accountant = Accountant(BUDGET, ledger=path, planned=PLANNED)
    for turn, (recipe, target) in enumerate(PLANNED, 1):
        payer = accountant.turn(recipe, 4)
        _use(payer)
        names = [f"{i}-{asker.name}" for i, (asker, _) in enumerate(PLANNED[:turn], 1)]
        so_far = [each for each in accountant.ledger.reservations if each.recipe in names]
        events = [(each.event, each.count) for each in so_far]
        assert 0.999 * target <= compose(events).epsilon(BUDGET.delta) <= target
        charged = [(each.recipe, each.part, each.event, each.count) for each in accountant.ledger]
        assert charged == [(each.recipe, each.part, each.event, each.count) for each in so_far]
    assert 0.999 * 3.0 <= accountant.epsilon() <= 3.0
    assert read_ledger(path) == accountant.ledger
    assert accountant.ledger.rule == "planned"


def test_all_turns_are_reserved_before_the_first_reads_anything() -> None:
    accountant = Accountant(BUDGET, planned=PLANNED)
    accountant.turn(FIRST, 4)
    recipes = [entry.recipe for entry in accountant.ledger.reservations]
    assert recipes == ["1-first", "2-second", "3-third"]
    assert len(accountant.ledger) == 0
    assert 0.999 * 3.0 <= accountant.epsilon() <= 3.0


def test_turns_together_use_less_noise_than_budgets_that_add_up() -> None:
    accountant = Accountant(BUDGET, planned=[(FIRST, 1.5), (THIRD, 3.0)])
    accountant.turn(FIRST, 4)
    second = accountant.turn(THIRD, 4).plan.gaussians("ones").noise_multiplier
    alone = Accountant(PrivacyBudget(1.5, 5e-7)).admit("third", THIRD.charges(4))
    apart = alone.plan.gaussians("ones").noise_multiplier
    assert second is not None
    assert apart is not None
    assert second < 0.9 * apart


def test_a_wrong_recipe_is_refused_and_leaves_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    accountant = Accountant(BUDGET, ledger=path, planned=PLANNED)
    for wrong in (SECOND, Asker("first", choices=1)):
        with pytest.raises(BudgetExceeded, match="needs an adaptive accountant; nothing was rel"):
            accountant.turn(wrong, 7)
    assert accountant.ledger.entries == ()
    assert not path.exists()
    accountant.turn(FIRST, 4)  # the wrong ones' domain binds nobody


def test_another_domain_and_one_turn_too_many_are_refused() -> None:
    accountant = Accountant(BUDGET, planned=PLANNED)
    accountant.turn(FIRST, 4)
    before = accountant.ledger
    with pytest.raises(BudgetExceeded, match="not what was planned to come next"):
        accountant.turn(SECOND, 5)
    with pytest.raises(BudgetExceeded, match="not what was planned to come next"):
        accountant.turn(FIRST, 4)
    accountant.turn(SECOND, 4)
    accountant.turn(THIRD, 4)
    for recipe in (FIRST, THIRD):
        with pytest.raises(BudgetExceeded, match=r"\(nothing\)"):
            accountant.turn(recipe, 4)
    assert accountant.ledger == before


def test_an_earlier_turn_cannot_charge_after_a_later_one() -> None:
    accountant = Accountant(BUDGET, planned=PLANNED)
    first = accountant.turn(FIRST, 4)
    _use(accountant.turn(SECOND, 4))
    before = accountant.ledger
    with pytest.raises(BudgetExceeded, match="planned order only; nothing was released"):
        _use(first)
    assert accountant.ledger == before


def test_a_planned_root_takes_no_other_plan() -> None:
    accountant = Accountant(BUDGET, planned=PLANNED)
    with pytest.raises(BudgetExceeded, match="fit them in their turn, or open an adaptive one"):
        accountant.admit("extra", FIRST.charges(4))
    assert accountant.ledger.entries == ()


def test_a_ledger_with_a_plan_takes_no_second_one(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    Accountant(BUDGET, ledger=path, planned=PLANNED).turn(FIRST, 4)
    before = path.read_bytes()
    again = Accountant(BUDGET, ledger=path, planned=PLANNED)
    with pytest.raises(BudgetExceeded, match="already holds a plan"):
        again.turn(FIRST, 4)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "targets", [(1.0, 1.0), (2.0, 1.0), (0.0, 1.0), (1.0, 3.1), (1.0, float("nan"))]
)
def test_targets_must_rise_to_at_most_the_budget(targets: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="targets must rise from above 0 to at most epsilon 3"):
        Accountant(BUDGET, planned=list(zip((FIRST, SECOND), targets, strict=True)))


def test_a_root_is_not_both_planned_and_adaptive() -> None:
    with pytest.raises(ValueError, match="either adaptive or has planned recipes"):
        Accountant(BUDGET, planned=PLANNED, adaptive=True)


def test_targets_that_no_noise_can_meet_are_refused_without_a_trace() -> None:
    @dataclass(frozen=True)
    class Trained:
        name: str = "trained"

        def charges(self, domain: int, /) -> Plan:
            return Plan({"steps": SampledGaussians(domain, 0.1)})

    accountant = Accountant(PrivacyBudget(1.0, 0.0), planned=[(Trained(), 1.0)])
    with pytest.raises(InputError, match="delta must be above 0 for training by DP-SGD"):
        accountant.turn(Trained(), 4)
    assert accountant.ledger.entries == ()


def test_targets_without_delta_are_met_one_after_another() -> None:
    accountant = Accountant(PrivacyBudget(1.0, 0.0), planned=[(FIRST, 0.4), (SECOND, 1.0)])
    first, second = accountant.turn(FIRST, 4), accountant.turn(SECOND, 4)
    for found, target in (([first], 0.4), ([first, second], 1.0)):
        total = compose(event for one in found for event in one.plan.events()).epsilon(0.0)
        assert (1 - 1e-6) * target <= total <= target


def test_a_turn_whose_total_exceeds_its_target_is_refused_whatever_was_calibrated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def too_little_noise(plans, budget, *, before=()):
        return {name: plan.at(10.0) for name, (plan, _) in plans.items()}

    monkeypatch.setattr("dp_synth.accounting.accountant.calibrate", too_little_noise)
    accountant = Accountant(BUDGET, planned=PLANNED)
    with pytest.raises(BudgetExceeded, match=r"where its target is 0\.5"):
        accountant.turn(FIRST, 4)
    assert accountant.ledger.entries == ()
