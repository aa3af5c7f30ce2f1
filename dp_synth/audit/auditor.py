"""The audit of a synthesizer against its own ledger, stage by stage, by the strongest attack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dp_synth.accounting import (
    Accountant,
    Filtered,
    Gaussians,
    PrivacyBudget,
    PrivacyCurve,
    SampledGaussians,
    Selections,
    Votes,
)
from dp_synth.attacks.excess_risk import cites
from dp_synth.audit.auc_test import AreaTest, area_test
from dp_synth.audit.bounds import (
    PROVING_SHARE,
    Bound,
    Worlds,
    ceiling,
    clopper_pearson_bound,
    gaussian_bound,
)
from dp_synth.audit.likelihood_ratio import ComparedRun, compare
from dp_synth.audit.neighbours import NeighbouringTables, worst_case
from dp_synth.audit.stages import low_bits_of, stages_of, total_scores
from dp_synth.errors import InputError
from dp_synth.formatting import at_least, at_most, rounded_up
from dp_synth.synthesizers.base import Synthesizer

MOST_RUNS = 10_000_000  # a world: each is held until all are judged
PARTS = 4  # of the level: total, its threshold, and two for the stages
# Parts of a plan whose answers are compared.
COMPARED = (Gaussians, Selections, Filtered, SampledGaussians, Votes)


@dataclass(frozen=True)
class AuditReport:
    """What an audit found: bounds on epsilon, and tests of the total and of every stage.

    ``level`` is the chance that a correct mechanism fails: a quarter each for the area of the
    total and for its Clopper-Pearson bound, half shared by the stages. A stage that fails
    refutes its lines of the ledger, not the total. Passing proves nothing: it says that this
    attack on these tables found nothing.
    """

    synthesizer: str
    claimed_epsilon: float
    budget: PrivacyBudget
    design: str
    runs: int
    level: float
    bounds: tuple[Bound, ...]
    total: AreaTest
    stages: Mapping[str, AreaTest]

    @property
    def violations(self) -> tuple[str, ...]:
        """What was refuted: "total", stages by name, and bounds above the claim."""
        refuted = [] if self.total.passed else ["total"]
        refuted += [name for name, stage in self.stages.items() if not stage.passed]
        if self.bounds[0].epsilon > self.claimed_epsilon:
            refuted.append(self.bounds[0].method)
        return tuple(refuted)

    @property
    def passed(self) -> bool:
        """Whether nothing was refuted."""
        return not self.violations

    @property
    def ceiling(self) -> float:
        """The largest epsilon that so many runs can prove of any mechanism."""
        return self.bounds[0].ceiling

    def to_dict(self) -> dict[str, object]:
        """Return the report as plain values, in the fields of ``dp-synth audit --json``."""
        values = {bound.method: bound.epsilon for bound in self.bounds}
        holds_for = {bound.method: bound.holds_for for bound in self.bounds}
        if self.total.epsilon_if_curve is not None:
            values["area_if_curve"] = self.total.epsilon_if_curve
            holds_for["area_if_curve"] = "the claimed curve at another noise"
        return {
            "synthesizer": self.synthesizer,
            "claimed_epsilon": self.claimed_epsilon,
            "delta": self.budget.delta,
            "adjacency": self.budget.adjacency,
            "design": self.design,
            "runs": self.runs,
            "level": self.level,
            "bounds": values,
            "holds_for": holds_for,
            "ceiling": self.ceiling,
            "noise_factor": self.total.noise_factor,
            "total": self.total.to_dict(),
            "stages": {name: stage.to_dict() for name, stage in self.stages.items()},
            "violations": list(self.violations),
            "passed": self.passed,
        }

    def __str__(self) -> str:
        lines = [
            f"{self.synthesizer}: claims epsilon {at_most(self.claimed_epsilon, 3)} at delta "
            f"{rounded_up(self.budget.delta)} ({self.budget.neighbours})",
            f"  {self.runs} runs a world, design {self.design}; a correct one fails with chance "
            f"{self.level:g} at most",
            *(f"  {bound}" for bound in self.bounds),
            f"  total: {self.total}",
            *(f"  {name}: {stage}" for name, stage in self.stages.items()),
            "  passed: nothing refutes the claim, which proves nothing"
            if self.passed
            else f"  VIOLATED: {', '.join(self.violations)}",
        ]
        return "\n".join(lines)


@cites("annamalai2024audit", "neyman1933", "delong1988", "clopper1934")
def audit(
    synthesizer: Synthesizer,
    budget: PrivacyBudget,
    *,
    design: NeighbouringTables | None = None,
    runs: int = 1000,
    level: float = 0.05,
    seed: int | None = None,
) -> AuditReport:
    """Return what an attacker who knows all but one record can tell, against what is claimed.

    The synthesizer releases, without building a model, about a table with the target and about
    one without it, ``runs`` times each. Scores are the exact likelihood ratios of all that was
    released (Neyman & Pearson 1933): no attack on the release has a larger area under its ROC
    curve. The claim is the curve of the synthesizer's own ledger; each stage is tested against
    its own lines (``stages_of``). Low bits of noisy sums, which the ratios of real numbers do not
    see, are a stage of their own (``low_bits_of``). The level is shared so that a correct
    mechanism fails with chance ``level`` at most.

    InputError for a design of another adjacency, where the ceiling of so many runs is 0, and
    for synthesizers whose answers are not compared.
    """
    chosen = design or worst_case(budget.adjacency)
    _check(synthesizer, budget, chosen, runs, level)
    noise, coins = np.random.SeedSequence(seed).spawn(2)
    inside, outside = watch(synthesizer, chosen, budget, runs=runs, seed=noise)
    rng = np.random.default_rng(coins)
    claim = _claim(synthesizer, chosen, budget)
    worlds = Worlds.of(total_scores(inside), [-score for score in total_scores(outside)])
    part, delta = level / PARTS, budget.delta
    stages = stages_of(inside, outside) + low_bits_of(inside, outside, claim)
    return AuditReport(
        synthesizer.name,
        claim.epsilon(delta),
        budget,
        chosen.name,
        runs,
        level,
        bounds=(
            clopper_pearson_bound(worlds, delta, level=part, rng=rng),
            gaussian_bound(worlds, delta, level=part, rng=rng),
        ),
        total=area_test(worlds, claim, delta, level=part, rng=rng),
        stages={
            stage.name: area_test(
                stage.worlds, stage.claim, delta, level=2 * part / len(stages), rng=rng
            )
            for stage in stages
        },
    )


def _check(
    synthesizer: Synthesizer,
    budget: PrivacyBudget,
    design: NeighbouringTables,
    runs: int,
    level: float,
) -> None:
    if not 0 < level < 1:
        raise InputError(f"level must lie in (0, 1), got {level}")
    least, most = level / PARTS, int(runs * PROVING_SHARE)
    if runs > MOST_RUNS:
        raise InputError(f"at most {MOST_RUNS:,} runs a world can be held, got {runs:,}")
    if runs < 2 or not ceiling(most, least):
        raise InputError(
            f"{runs} runs a world can prove nothing at level {level:g}: their ceiling is epsilon "
            f"0; that of 1,000 runs is {at_least(ceiling(int(1000 * PROVING_SHARE), least), 2)}"
        )
    check_design(synthesizer, budget, design)


def check_design(
    synthesizer: Synthesizer, budget: PrivacyBudget, design: NeighbouringTables
) -> None:
    """Raise InputError where no audit of this claim on these tables could be valid."""
    if budget.unit is not None:
        raise InputError("an audit is of tables that differ in one record; give no unit")
    if design.adjacency != budget.adjacency:
        raise InputError(
            f"the design's tables are {design.adjacency} neighbours, the budget says "
            f"{budget.adjacency}"
        )
    for name, part in synthesizer.charges(design.schema.domain).parts.items():
        if part.count and not isinstance(part, COMPARED):
            raise InputError(
                f"{synthesizer.name} cannot be audited: answers of its part {name!r} are not "
                "compared between two tables"
            )


def watch(
    synthesizer: Synthesizer,
    design: NeighbouringTables,
    budget: PrivacyBudget,
    *,
    runs: int,
    seed: np.random.SeedSequence,
) -> tuple[list[ComparedRun], list[ComparedRun]]:
    """Return independent runs about the table with the target, and about the one without it."""
    tables, schema = (design.inside, design.outside), design.schema
    first, second = (int(own) for own in seed.generate_state(2, np.uint64))
    return (
        compare(synthesizer, tables, schema, budget, runs=runs, seed=first),
        compare(synthesizer, tables[::-1], schema, budget, runs=runs, seed=second),
    )


def _claim(
    synthesizer: Synthesizer, design: NeighbouringTables, budget: PrivacyBudget
) -> PrivacyCurve:
    """Return the curve that a fit to the design's tables is certified by."""
    accountant = Accountant(budget, simulate=True)
    accountant.admit(synthesizer.name, synthesizer.charges(design.schema.domain))
    return accountant.ledger.curve
