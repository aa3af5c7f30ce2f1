"""What an adaptive root certifies holds for its fits together, networks among them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dp_synth.accounting import Accountant, PrivacyBudget, PrivacyCurve
from dp_synth.audit import Worlds, area_test
from dp_synth.audit.likelihood_ratio import compared
from dp_synth.audit.neighbours import worst_case
from dp_synth.synthesizers import DPGAN, Independent, Synthesizer
from dp_synth.synthesizers.fitting import Request

BUDGET, RUNS = PrivacyBudget(10.0, 1e-5), 30
SMALL = {"fakes": 4, "critic_width": 2, "generator_width": 2, "components": 4}
NETWORK = DPGAN(steps=4, rate=0.5, learning_rate=1e-3, **SMALL)  # type: ignore[arg-type]
RECIPES: tuple[tuple[Synthesizer, float], ...] = ((NETWORK, 5.0), (Independent(), 6.0))


def _root() -> tuple[Accountant, list[Request]]:
    """A root and what is fitted from portions of it, in this order."""
    root, schema = Accountant(BUDGET, adaptive=True, simulate=True), worst_case("add_remove").schema
    return root, [
        Request({recipe: 1.0}, schema, root.portion(epsilon), seed)
        for seed, (recipe, epsilon) in enumerate(RECIPES)
    ]


def _scores(*, inside: bool) -> tuple[list[float], PrivacyCurve]:
    """Return the log ratio of all that each run releases, and what the root certifies."""
    design = worst_case("add_remove")
    here, there = (design.inside, design.outside)[:: 1 if inside else -1]
    root, requests = _root()
    total = np.zeros(RUNS)
    for request in requests:
        for run, found in enumerate(compared(request, (here, there), runs=RUNS)):
            total[run] += math.fsum(one.log_ratio() for one in found.comparisons)
    return list(total if inside else -total), root.ledger.curve


@pytest.fixture(scope="module")
def watched() -> tuple[Worlds, PrivacyCurve]:
    pytest.importorskip("torch", reason="the extra deep is not installed")
    inside, claim = _scores(inside=True)
    outside, _ = _scores(inside=False)
    return Worlds.of(inside, outside), claim


def _passes(worlds: Worlds, claim: PrivacyCurve) -> bool:
    rng = np.random.default_rng(0)
    return area_test(worlds, claim, BUDGET.delta, level=1e-4, rng=rng).passed


def test_a_network_and_another_fit_stay_within_what_their_root_certifies(
    watched: tuple[Worlds, PrivacyCurve],
) -> None:
    worlds, claim = watched
    assert _passes(worlds, claim)


def test_a_root_that_had_certified_a_tenth_would_be_caught(
    watched: tuple[Worlds, PrivacyCurve],
) -> None:
    small = Accountant(PrivacyBudget(BUDGET.epsilon / 10, BUDGET.delta), adaptive=True)
    small.admit("forgotten", Independent().charges(worst_case("add_remove").schema.domain))
    assert not _passes(watched[0], small.ledger.curve)
