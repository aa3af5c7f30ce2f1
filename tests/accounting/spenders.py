"""What other processes do to a shared ledger; importable, so that they can be spawned."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path

from dp_synth.accounting import Accountant, Gaussians, Plan, PrivacyBudget
from dp_synth.errors import BudgetExceeded

BUDGET = PrivacyBudget(1.0, 1e-6)
ONE = Plan({"ones": Gaussians(1, noise_multiplier=30.0)})


def spend_adaptively(path: Path, tries: int) -> int:
    """Reserve and charge ``tries`` times where the filter allows it; return how often it did."""
    accountant, paid = Accountant(BUDGET, ledger=path, adaptive=True), 0
    for i in range(tries):
        try:
            payer = accountant.admit(f"{os.getpid()}-{i}", ONE)
        except BudgetExceeded:
            continue
        part = payer.plan.gaussians("ones")
        payer.charge(part, part.event(), 1, why="test")
        paid += 1
    return paid


def spend_privately(path: Path, tries: int, folder: Path) -> int:
    """Spend as above in a process whose temporary folder is ``folder``, and nobody else's."""
    tempfile.tempdir = str(folder)
    return spend_adaptively(path, tries)


def take_the_plan(path: Path) -> bool:
    """Whether this process got the only plan that a planned ledger has room for."""
    try:
        Accountant(BUDGET, ledger=path).admit(str(os.getpid()), ONE)
    except BudgetExceeded:
        return False
    return True


def die_before_the_charge(path: Path) -> None:
    """Reserve, then end as by a power cut."""
    Accountant(BUDGET, ledger=path, adaptive=True).portion(0.9).admit_jointly(
        {"lost": (Plan({"ones": Gaussians(3)}), 1.0)}
    )
    os.kill(os.getpid(), signal.SIGKILL)
