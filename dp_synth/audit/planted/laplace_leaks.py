"""Planted mechanisms with Laplace noise, at delta 0: a right one, and the same with faults."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from dp_synth.accounting import LaplaceCounts, Laplaces, Plan
from dp_synth.audit.planted.leaking import Read, model_of, one_way
from dp_synth.inference import Model
from dp_synth.mechanisms.laplace import LaplaceLaw, laplace_noise
from dp_synth.mechanisms.noise import random_bits
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.types import Floats

Drawn = Callable[[Sequence[Floats]], list[Floats]]
WHY = "an own mechanism"


def own_laplace(
    table: PrivateTable,
    plan: Plan,
    rng: np.random.Generator,
    *,
    told: float = 1.0,
    read: Read = one_way,
    floating: bool = False,
) -> Model:
    """Release columns with Laplace noise of ``told`` times what is charged.

    ``read`` gives what is noised, one event an array; noise may be ``floating``.
    """
    part = plan.gaussians("ones")
    assert isinstance(part, Laplaces)
    event, count = part.event(), len(table.domain) if read is one_way else 1
    table.payer.charge(part, event, count, why=WHY)
    less = replace(event, noise_multiplier=event.noise_multiplier * told)
    draw = _in_floats(table, less, rng) if floating else _exact(table, less, rng)
    here, values = table.answered(read, draw)
    table.record_answers(LaplaceLaw(part.name, WHY, read, draw, less.scale, 1, here, values))
    counts = values if read is one_way else [np.ones(size) for size in table.domain.sizes]
    return model_of(table, counts, event.stddev)


def _exact(table: PrivateTable, event: LaplaceCounts, rng: np.random.Generator) -> Drawn:
    """Return right noise of an event."""
    bits = random_bits(table.payer, rng)
    return lambda here: [one + laplace_noise(event, one.shape, bits) for one in here]


def _in_floats(table: PrivateTable, event: LaplaceCounts, rng: np.random.Generator) -> Drawn:
    """Return noise of floating point."""
    own = np.random.default_rng(int.from_bytes(random_bits(table.payer, rng)(8), "little"))
    return lambda here: [one + own.laplace(0.0, event.scale, one.shape) for one in here]
