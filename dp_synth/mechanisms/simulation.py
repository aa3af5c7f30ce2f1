"""Simulation: whoever stands at the door of every table that a block of code asks.

A replay has to hand out the answers of an earlier run, and to know of everything that is asked
of private records. It is told of each table as it is made, whoever makes it, and gives the bits
of its noise. Only simulations can be watched, whose outputs nobody publishes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

import numpy as np

from dp_synth.accounting import Reservation
from dp_synth.counting import Counts
from dp_synth.errors import InputError

if TYPE_CHECKING:
    from dp_synth.mechanisms.table import Auditor

Bits = Callable[[int], bytes]


class Door(Protocol):
    """Who watches the tables of a simulation."""

    def watch(self, counts: Counts, payer: Reservation) -> tuple[Counts, Auditor]:
        """Return what a new table may hold in place of its records, and who hears its answers."""

    def bits(self, rng: np.random.Generator) -> Bits:
        """Return the source of the noise of a mechanism that was given this generator."""


_DOOR: ContextVar[Door | None] = ContextVar("door of a simulation", default=None)


@contextmanager
def watched(door: Door | None) -> Iterator[None]:
    """Let ``door`` watch all tables that are made in the block; None for nobody."""
    token = _DOOR.set(door)
    try:
        yield
    finally:
        _DOOR.reset(token)


def door_of(payer: Reservation) -> Door | None:
    """Return who watches what is paid here; InputError for a payer that is no simulation."""
    door = _DOOR.get()
    if door is not None and not payer.accountant.ledger.simulation:
        raise InputError(
            "a replay needs every table to be paid by the accountant that fit was given; this one "
            "opened another"
        )
    return door
