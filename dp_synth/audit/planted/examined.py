"""Planted faults that need no attack: seeds, shared records, uncharged answers, wrong accountants.

Each function examines what it makes with the fault, or without it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dp_synth.accounting import Accountant, Event, Gaussian, Gaussians, Plan, PrivacyBudget, Votes
from dp_synth.audit.checks import (
    CheckResult,
    accountant_is_certified,
    answers_are_charged,
    fresh_randomness,
    ledger_adds_up,
    on_a_fixed_grid,
    sampled_by_poisson,
    schema_ignores_data,
    stages_within,
    teachers_are_disjoint,
)
from dp_synth.audit.planted.attacked import DELTA, CaughtBy
from dp_synth.mechanisms.noise import rounded_gaussian
from dp_synth.transcript import VoteAnswer

BUDGET = PrivacyBudget(1.0, DELTA)
STDDEV = 4.0
OTHERS = (31.0, 35.0, 40.0)  # records beside the target
TARGET = 97.0
EPOCHS, BATCHES, BATCH = 8, 10, 40
ASKED, CHARGED = 20, 15  # votes
TEACHERS = 5
ANSWERS = 12  # of Gaussian noise, in an ordinary regime of accounting and in one of little noise


@dataclass(frozen=True)
class StructuralBug:
    """A fault that no attack is needed for: ``examine(faulty, rng)`` checks it, or its absence."""

    name: str
    fault: str
    twin_of: str
    examine: Callable[[bool, np.random.Generator], CheckResult]
    caught_by: CaughtBy = "structural"


def noise_of_a_seed(faulty: bool, rng: np.random.Generator) -> CheckResult:
    """Examine two releases of noise from the seed 0, or from fresh seeds."""

    def release() -> object:
        seed = 0 if faulty else int(rng.integers(2**63))
        return rounded_gaussian(STDDEV, (30,), np.random.default_rng(seed).bytes)

    return fresh_randomness(release)


def categories_seen(faulty: bool, rng: np.random.Generator) -> CheckResult:
    """Examine the categories of a release: those that occur, or those of a schema."""

    def facts(values: Sequence[float]) -> object:
        return sorted(set(values)) if faulty else list(range(120))

    return schema_ignores_data(facts, OTHERS, (*OTHERS, TARGET))


def bounds_seen(faulty: bool, rng: np.random.Generator) -> CheckResult:
    """Examine the bounds of a release: those of the data, or those of a schema."""

    def facts(values: Sequence[float]) -> object:
        return (min(values), max(values)) if faulty else (0.0, 120.0)

    return schema_ignores_data(facts, OTHERS, (*OTHERS, TARGET))


def shared_records(faulty: bool, rng: np.random.Generator) -> CheckResult:
    """Examine the rows of teachers over two rounds: parted anew in each, or once for all."""
    parts = np.array_split(rng.permutation(100), TEACHERS)
    again = np.array_split(rng.permutation(100), TEACHERS) if faulty else parts
    both = [np.concatenate(rounds) for rounds in zip(parts, again, strict=True)]
    return teachers_are_disjoint(both)


def one_teacher(faulty: bool, rng: np.random.Generator) -> CheckResult:
    """Examine whether teachers are objects of their own, or one that stands for all."""
    teacher = object()
    teachers = [teacher if faulty else object() for _ in range(TEACHERS)]
    return teachers_are_disjoint(np.array_split(np.arange(100), TEACHERS), teachers)


def uncharged_votes(faulty: bool, rng: np.random.Generator) -> CheckResult:
    """Examine votes of which the clear ones return before they are charged, or none does."""
    accountant = Accountant(BUDGET)
    payer = accountant.admit("pategan", Plan({"votes": Votes(ASKED, 11)}))
    part, why = payer.plan.votes("votes"), "votes"
    payer.charge(part, part.event(), CHARGED if faulty else ASKED, why=why)
    none = np.zeros(ASKED, dtype=np.int32)
    event = part.event()
    answer = VoteAnswer(
        "votes",
        why,
        np.zeros((ASKED, 2), dtype=np.int32),
        none,
        none + 1,
        rng.random(ASKED) < 0.5,
        event.noise,
        event.scale,
        event.teachers,
        {},
    )
    return answers_are_charged(accountant.ledger, [answer])


def shuffled_batches(faulty: bool, rng: np.random.Generator) -> CheckResult:
    """Examine who took part in each step: a shuffled epoch's batches, or whose coin fell so."""
    records = BATCHES * BATCH
    drawn = rng.random((EPOCHS * BATCHES, records)) < 1 / BATCHES
    if faulty:
        drawn[:] = False
        for epoch in range(EPOCHS):
            batches = rng.permutation(records).reshape(BATCHES, BATCH)
            for step, batch in enumerate(batches):
                drawn[epoch * BATCHES + step, batch] = True
    return sampled_by_poisson(drawn, 1 / BATCHES)


def rare_class(faulty: bool, rng: np.random.Generator) -> CheckResult:
    """Examine who took part where a rare class is always drawn, or as often as others."""
    chances = np.full(BATCHES * BATCH, 1 / BATCHES)
    if faulty:
        chances[: BATCH // 4] = 1.0
    return sampled_by_poisson(rng.random((EPOCHS * BATCHES, len(chances))) < chances, 1 / BATCHES)


def one_epoch_more(faulty: bool, rng: np.random.Generator) -> CheckResult:
    """Examine a ledger whose budget was looked at before each epoch, or before each step."""
    accountant = Accountant(BUDGET)
    payer = accountant.admit("dpgan", Plan({"steps": Gaussians(EPOCHS * BATCHES)}))
    part = payer.plan.gaussians("steps")
    payer.charge(part, part.event(), EPOCHS * BATCHES, why="an epoch")
    ledger = accountant.ledger
    if faulty:  # our own accountant would refuse
        extra = replace(ledger.charges[-1], count=BATCHES)
        ledger = replace(ledger, entries=(*ledger.entries, extra))
    return ledger_adds_up(ledger)


def shares_too_large(faulty: bool, rng: np.random.Generator) -> CheckResult:
    """Examine stages of one third, one third and two thirds of a budget, or of thirds."""
    rho = 0.035914  # Gaussian DP of epsilon 1 at delta 1e-5: half the square of mu = 0.26801
    shares = {"ones": 1 / 3, "tree": 1 / 3, "pairs": (2 if faulty else 1) / 3}
    stages = {
        name: [(Gaussian(math.sqrt(1 / (2 * rho * share)), 1.0), 1)]
        for name, share in shares.items()
    }
    return stages_within(stages, BUDGET.epsilon, DELTA)


def orders_from_zero(faulty: bool, rng: np.random.Generator) -> CheckResult:
    """Examine a moments accountant in which one bracket counts orders from 0, or from 1."""
    orders = np.arange(1, 200)

    def epsilon_of(event: Event, count: int, delta: float) -> float:
        assert isinstance(event, Gaussian)
        first = orders - (1 if faulty else 0)  # moments are count * order * (order + 1) * rho
        moments = count * orders * (first + (0 if faulty else 1)) * event.rho
        return float(np.min((moments - math.log(delta)) / orders))

    regimes = [(Gaussian(4.0, 1.0), 1), (Gaussian(1.0, 1.0), ANSWERS), (Gaussian(0.25, 1.0), 1)]
    return accountant_is_certified(epsilon_of, regimes, delta=DELTA)


def floating_point(faulty: bool, rng: np.random.Generator) -> CheckResult:
    """Examine counts with noise in floating point, or in whole numbers."""
    noise = rng.laplace(0.0, STDDEV, 50) if faulty else rounded_gaussian(STDDEV, (50,), rng.bytes)
    return on_a_fixed_grid(len(OTHERS) + noise)


LOGIC_BUGS = (
    StructuralBug(
        "P5 categories seen, structural",
        "the domain is what occurs in the data",
        "synthcity PrivBayes and AIM, smartnoise MST and AIM, dpmm before 2026 (dpmm#19)",
        categories_seen,
    ),
    StructuralBug(
        "P6 bounds seen, structural",
        "bounds are the least and the largest value of the data",
        "smartnoise PATE-GAN, synthcity PATE-GAN (synthcity#278)",
        bounds_seen,
    ),
    StructuralBug(
        "P8 fixed seed",
        "every fit draws its noise from the seed 0",
        "all plugins of synthcity, PRIVBAYES of reprosyn (tapas#101)",
        noise_of_a_seed,
    ),
    StructuralBug(
        "P10 parted anew",
        "records are parted among teachers anew in each round",
        "synthcity PATE-GAN (synthcity#275), mlforhealthlabpub (#29)",
        shared_records,
    ),
    StructuralBug(
        "P10 one teacher",
        "all teachers are one and the same object",
        "smartnoise PATECTGAN",
        one_teacher,
    ),
    StructuralBug(
        "P11 uncharged votes",
        "clear votes are answered before the line that charges for them",
        "synthcity PATE-GAN",
        uncharged_votes,
    ),
    StructuralBug(
        "P13 shuffled batches",
        "batches of a fixed size from a shuffled epoch are charged as Poisson samples",
        "synthcity DPGAN, smartnoise DPGAN",
        shuffled_batches,
    ),
    StructuralBug(
        "P13 rare class, structural",
        "records of a rare class take part ten times as often as others",
        "smartnoise DPCTGAN",
        rare_class,
    ),
    StructuralBug(
        "P16 one epoch more",
        "the budget is looked at before an epoch, so that the last one is trained past it",
        "smartnoise DPGAN and DPCTGAN (smartnoise-sdk#569)",
        one_epoch_more,
    ),
    StructuralBug(
        "P16 shares of 4/3",
        "the shares of three stages add up to 1.33",
        "akin to smartnoise DPCTGAN: a budget split by hand",
        shares_too_large,
    ),
    StructuralBug(
        "P17 orders from 0",
        "a bracket of the moments bound counts orders from 0",
        "synthcity PATE-GAN",
        orders_from_zero,
    ),
    StructuralBug(
        "P18 floating-point noise",
        "the last bits of a float tell which value the noise was added to",
        "noise of np.random",
        floating_point,
    ),
)
