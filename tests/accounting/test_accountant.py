"""One accountant: plans first, charges after, and never more than the budget."""

from __future__ import annotations

import contextlib
import copy
import os
import pickle
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

from dp_synth.accounting import (
    Accountant,
    Gaussian,
    Gaussians,
    Plan,
    PrivacyBudget,
    Reservation,
    Selection,
    Selections,
)
from dp_synth.errors import BudgetExceeded, InputError

BUDGET = PrivacyBudget(1.0, 1e-6)


def _fixed(count: int, noise: float = 20.0) -> Plan:
    return Plan({"ones": Gaussians(count, noise_multiplier=noise)})


def _charge(payer: Reservation, count: int = 1) -> None:
    part = payer.plan.gaussians("ones")
    payer.charge(part, part.event(), count, why="test")


def test_a_planned_fit_spends_the_budget_to_the_last_thousandth() -> None:
    accountant = Accountant(BUDGET)
    _charge(accountant.admit("fit", Plan({"ones": Gaussians(12)})), 12)
    assert 0.999 <= accountant.epsilon() <= 1.0


def _as_many_as_fit(accountant: Accountant) -> list[Reservation]:
    admitted: list[Reservation] = []
    with contextlib.suppress(BudgetExceeded):
        while len(admitted) < 1000:
            admitted.append(accountant.admit(f"fit {len(admitted)}", _fixed(1)))
    return admitted


def test_plans_with_given_noise_are_admitted_while_they_fit_and_refused_beyond() -> None:
    accountant, admitted = Accountant(BUDGET), _as_many_as_fit(Accountant(BUDGET))
    assert 10 < len(admitted) < 1000
    admitted = [accountant.admit(payer.name, payer.plan) for payer in admitted]
    with pytest.raises(BudgetExceeded, match=r"would bring the total to epsilon=1\..* 1 at delta="):
        accountant.admit("one more", _fixed(1))
    for payer in admitted:
        _charge(payer)
    assert 0.9 < accountant.epsilon() <= 1.0
    single = Accountant(BUDGET)
    single.admit("fit", _fixed(len(admitted)))
    with pytest.raises(BudgetExceeded, match="nothing was released"):
        Accountant(BUDGET).admit("fit", _fixed(len(admitted) + 1))


def test_a_refused_plan_leaves_no_trace() -> None:
    accountant = Accountant(BUDGET)
    with pytest.raises(BudgetExceeded):
        accountant.admit("greedy", _fixed(10_000))
    assert accountant.ledger.entries == ()
    _charge(accountant.admit("modest", Plan({"ones": Gaussians(3)})), 3)
    assert 0.999 <= accountant.epsilon() <= 1.0


def test_a_plan_to_calibrate_is_refused_beside_one_that_holds_a_part() -> None:
    accountant = Accountant(BUDGET)
    accountant.admit("first", _fixed(1))
    with pytest.raises(
        BudgetExceeded, match=r"already holds a plan .* fitted jointly with it, .* nothing was"
    ):
        accountant.admit("second", Plan({"ones": Gaussians(1)}))


@pytest.mark.parametrize("late", [_fixed(1), Plan({"ones": Gaussians(1)}), Plan({})])
def test_nothing_is_admitted_after_the_first_charge(late: Plan) -> None:
    accountant = Accountant(BUDGET)
    _charge(accountant.admit("first", _fixed(1)))
    before = accountant.ledger
    with pytest.raises(
        BudgetExceeded, match=r"late must be fitted jointly with it, .* an adaptive acc"
    ):
        accountant.admit("late", late)
    assert accountant.ledger == before


@pytest.mark.parametrize(
    "event",
    [Gaussian(19.99, 1.0), Selection(1e-9)],
)
def test_cheaper_noise_or_another_kind_than_planned_is_refused(event: Gaussian | Selection) -> None:
    accountant = Accountant(BUDGET)
    payer = accountant.admit("fit", _fixed(3))
    with pytest.raises(BudgetExceeded, match="nothing was released"):
        payer.charge(payer.plan.gaussians("ones"), event, 1, why="too good")
    assert len(accountant.ledger) == 0
    assert payer.left(payer.plan.gaussians("ones")) == 3
    payer.charge(payer.plan.gaussians("ones"), Gaussian(21.0, 2.0), 3, why="noisier than planned")
    assert [entry.event for entry in accountant.ledger] == [Gaussian(21.0, 2.0)]


def test_what_is_reserved_counts_as_spent_even_if_nothing_is_charged() -> None:
    accountant = Accountant(BUDGET)
    payer = accountant.admit("fit", Plan({"ones": Gaussians(3), "pairs": Gaussians(2)}))
    reserved = accountant.epsilon()
    assert 0.999 <= reserved <= 1.0
    assert [entry.kind for entry in accountant.ledger.entries] == ["reservation"] * 2
    assert len(accountant.ledger) == 0
    _charge(payer)  # and no more: where a fit stops may depend on outputs
    assert accountant.epsilon() == reserved


def test_charges_out_of_the_planned_order_are_refused() -> None:
    accountant = Accountant(BUDGET)
    plan = Plan({"ones": Gaussians(2), "tree": Selections(2), "pairs": Gaussians(1)})
    payer = accountant.admit("fit", plan)
    ones, tree = payer.plan.gaussians("ones"), payer.plan.selections("tree")
    payer.charge(ones, ones.event(), 1, why="first")
    payer.charge(tree, tree.event(), 1, why="second")
    before = accountant.ledger
    with pytest.raises(BudgetExceeded, match="holds in the planned order only; nothing was rel"):
        payer.charge(ones, ones.event(), 1, why="too late")
    assert accountant.ledger == before
    assert payer.left(ones) == 1
    payer.charge(tree, tree.event(), 1, why="still its turn")
    pairs = payer.plan.gaussians("pairs")
    payer.charge(pairs, pairs.event(), 1, why="the last")


def test_plans_admitted_together_are_charged_in_their_order() -> None:
    accountant = Accountant(BUDGET)
    plan = Plan({"ones": Gaussians(2)})
    one, other = accountant.admit_jointly({"one": (plan, 1.0), "other": (plan, 2.0)}).values()
    assert 0.999 <= accountant.epsilon() <= 1.0
    _charge(one)
    _charge(other)
    with pytest.raises(BudgetExceeded, match="planned order"):
        _charge(one)


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
def test_a_weight_that_is_no_share_is_refused_by_every_root(adaptive: bool, weight: float) -> None:
    accountant = Accountant(BUDGET, adaptive=adaptive)
    plan = Plan({"ones": Gaussians(2)})
    with pytest.raises(InputError, match="weight of 'bad' must be a finite number above 0"):
        accountant.admit_jointly({"good": (plan, 1.0), "bad": (plan, weight)})
    assert accountant.ledger.entries == ()


@pytest.mark.parametrize("adaptive", [False, True])
def test_plans_with_and_without_noise_are_not_mixed(adaptive: bool) -> None:
    accountant = Accountant(BUDGET, adaptive=adaptive)
    with pytest.raises(InputError, match="'fixed' has its noise already; admit it apart"):
        accountant.admit_jointly(
            {"fixed": (_fixed(1), 1.0), "free": (Plan({"ones": Gaussians(1)}), 1.0)}
        )
    assert accountant.ledger.entries == ()


def test_a_choice_with_a_wider_range_than_planned_is_refused() -> None:
    accountant = Accountant(BUDGET)
    payer = accountant.admit("fit", Plan({"tree": Selections(2, epsilon=0.1)}))
    part = payer.plan.selections("tree")
    with pytest.raises(BudgetExceeded, match="nothing was released"):
        payer.charge(part, Selection(0.1000001), 1, why="too good")
    payer.charge(part, Selection(0.1), 2, why="as planned")
    assert accountant.epsilon() <= 0.2


def test_a_negative_count_gives_nothing_back() -> None:
    accountant = Accountant(BUDGET)
    payer = accountant.admit("fit", _fixed(2))
    _charge(payer, 2)
    with pytest.raises(ValueError, match="0 answers or more"):
        _charge(payer, -2)
    with pytest.raises(BudgetExceeded, match="has 0 left; nothing was released"):
        _charge(payer)


def test_slices_of_one_name_do_not_share_what_they_may_spend() -> None:
    accountant = Accountant(BUDGET)
    slices = [accountant.admit("fit", _fixed(1)) for _ in range(2)]
    for payer in slices:
        _charge(payer)
        with pytest.raises(BudgetExceeded, match="has 0 left; nothing was released"):
            _charge(payer)
    assert len(accountant.ledger) == 2


def test_neither_an_accountant_nor_its_slices_can_be_copied_or_sent() -> None:
    accountant = Accountant(BUDGET)
    payer = accountant.admit("fit", _fixed(1))
    for owner in (accountant, payer):
        for spread in (pickle.dumps, copy.deepcopy):
            with pytest.raises(TypeError, match=r"cannot be pickled|cannot pickle"):
                spread(owner)
    with pytest.raises(TypeError, match="cannot be pickled"):
        copy.copy(accountant)
    _charge(copy.copy(payer))  # shares all that the first may spend
    with pytest.raises(BudgetExceeded, match="has 0 left; nothing was released"):
        _charge(payer)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_cannot_charge() -> None:
    payer = Accountant(BUDGET).admit("fit", _fixed(1))
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking beside threads
        child = os.fork()
    if child == 0:
        try:
            _charge(payer)
            os.write(writer, b"charged")
        except BudgetExceeded as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        said = answer.read()
    os.waitpid(child, 0)
    assert b"belongs to the process that opened it" in said
    assert b"nothing was released" in said
    _charge(payer)  # the parent still can


def test_threads_together_never_overspend_a_part() -> None:
    accountant = Accountant(BUDGET)
    payer = accountant.admit("fit", _fixed(500, noise=200.0))
    start = threading.Barrier(8)

    def spend(_: int) -> int:
        start.wait()
        paid = 0
        for _ in range(100):
            try:
                _charge(payer)
                paid += 1
            except BudgetExceeded:
                pass
        return paid

    switching = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            paid = sum(pool.map(spend, range(8)))
    finally:
        sys.setswitchinterval(switching)
    assert paid == len(accountant.ledger) == 500


def test_a_ledger_prints_what_was_paid_and_that_a_seed_protects_nobody() -> None:
    accountant = Accountant(BUDGET)
    _charge(accountant.admit("fit", _fixed(2), randomness="seeded"), 2)
    lines = str(accountant.ledger).splitlines()
    assert lines[0].split() == ["recipe", "part", "count", "event", "why"]
    assert lines[1].split()[:3] == ["fit", "ones", "2"]
    assert lines[-2].startswith("epsilon 0.")
    assert "of 1 at delta 1e-06" in lines[-2]
    assert lines[-1] == "seeded: not for release"
