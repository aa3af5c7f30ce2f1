"""Canaries in one training: its noisy gradients tell little as charged, and all with a fault."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra deep is not installed")
from experiments.audit_tightness import canaries

FEW = replace(canaries.RECIPE, steps=25, rate=1.0)  # no batches, whose chance would hide canaries
CANARIES = 30


def found(noise: float) -> dict[str, float]:
    values = canaries.audited(CANARIES, noise, 0, FEW)["values"]
    assert isinstance(values, dict)
    return values


def test_every_canary_is_told_where_there_is_hardly_noise() -> None:
    values = found(1e-3)
    assert values["right"] == values["made"] == CANARIES * canaries.SHARE // 2 * 2
    assert values["epsilon"] == values["ceiling"] > 0.5


def test_with_the_noise_that_is_charged_a_training_proves_no_more_than_it_claims() -> None:
    values = found(1.0)
    assert values["epsilon"] <= canaries.BUDGET.epsilon
    assert values["right"] < values["made"]


def test_a_canary_is_in_by_a_coin_of_its_own() -> None:
    drill = canaries.Drill.drawn(400, np.random.default_rng(0))
    assert len(drill.table) == canaries.OTHERS + drill.included.sum()
    assert abs(drill.included.sum() - 200) < 5 * np.sqrt(100)
