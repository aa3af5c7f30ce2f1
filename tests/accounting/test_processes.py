"""Several processes and one ledger file: never overspent, never lost."""

from __future__ import annotations

import multiprocessing
import os
import signal
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from spenders import BUDGET, ONE, die_before_the_charge, spend_adaptively, take_the_plan

from dp_synth.accounting import Accountant, Gaussians, Plan, read_ledger
from dp_synth.accounting.filters import Filter
from dp_synth.errors import BudgetExceeded

WHOLE = Filter(BUDGET, "gdp", 0.02 * BUDGET.delta).limit
SPAWN = multiprocessing.get_context("spawn")


def test_processes_together_never_overspend_an_adaptive_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    Accountant(BUDGET, ledger=path, adaptive=True).open()
    with ProcessPoolExecutor(4, mp_context=SPAWN) as pool:
        paid = sum(pool.map(spend_adaptively, [path] * 4, [25] * 4))
    ledger, whole = read_ledger(path), WHOLE
    assert paid == int(whole / ONE.cost("gdp")) < 100  # all that fits, and not one more
    assert len(ledger.reservations) == len(ledger.charges) == paid
    assert ledger.spent("gdp") <= whole
    assert ledger.epsilon == BUDGET.epsilon


def test_of_processes_that_race_for_a_planned_ledger_one_wins(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with ProcessPoolExecutor(2, mp_context=SPAWN) as pool:
        won = list(pool.map(take_the_plan, [path] * 4))
    assert sum(won) == 1
    assert len(read_ledger(path).reservations) == 1


def test_what_a_crash_left_reserved_counts_as_spent(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    victim = SPAWN.Process(target=die_before_the_charge, args=(path,))
    victim.start()
    victim.join(60)
    assert victim.exitcode == -signal.SIGKILL
    ledger = read_ledger(path)
    assert [entry.recipe for entry in ledger.reservations] == ["lost"]
    assert len(ledger) == 0
    assert ledger.epsilon == BUDGET.epsilon
    again = Accountant(BUDGET, ledger=path, adaptive=True)  # the lock died with its holder
    assert again.left() < 0.3 * WHOLE
    with pytest.raises(BudgetExceeded, match="nothing was released"):
        again.portion(0.9).admit_jointly({"again": (Plan({"ones": Gaussians(3)}), 1.0)})


def _in_a_fork(ask: Callable[[], object]) -> str:
    """What a forked child is told when it asks."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking beside threads
        child = os.fork()
    if child == 0:
        try:
            ask()
            os.write(writer, b"allowed")
        except BudgetExceeded as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        said = answer.read().decode()
    os.waitpid(child, 0)
    return said


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_can_reserve_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    accountant = Accountant(BUDGET, ledger=path, adaptive=True)
    accountant.open()
    portion, before = accountant.portion(0.5), path.read_bytes()
    asks: list[Callable[[], object]] = [
        lambda: accountant.admit("fit", ONE),
        lambda: portion.admit_jointly({"fit": (ONE, 1.0)}),
    ]
    for ask in asks:
        said = _in_a_fork(ask)
        assert "belongs to the process that opened it" in said
        assert "nothing was released" in said
    assert path.read_bytes() == before
    accountant.admit("fit", ONE)  # the parent still can
