"""The audit of a synthesizer against its own ledger, stage by stage, by the strongest attack.

And the search for tables on which the synthesizer tells the most, before they are used in one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

import numpy as np

from dp_synth.accounting import (
    Accountant,
    Adjacency,
    Filtered,
    Gaussian,
    Gaussians,
    LaplaceCounts,
    PrivacyBudget,
    PrivacyCurve,
    Round,
    SampledGaussians,
    Selection,
    Selections,
    Votes,
    compose,
)
from dp_synth.accounting.events import Event
from dp_synth.attacks.base import cites
from dp_synth.audit.bounds import (
    PROVING_SHARE,
    Bound,
    Worlds,
    ceiling,
    clopper_pearson_bound,
    gaussian_bound,
    one_run_bound,
)
from dp_synth.audit.likelihood_ratio import ComparedRun, SampledComparison, compare
from dp_synth.audit.neighbours import NeighbouringTables, contrast, worst_case
from dp_synth.audit.roc import AreaTest, area_test
from dp_synth.errors import InputError
from dp_synth.formatting import at_least, at_most, rounded_up
from dp_synth.metrics.estimate import mann_whitney_area
from dp_synth.synthesizers.base import Synthesizer
from dp_synth.synthesizers.fitting import Request

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
    one without it, ``runs`` times each; the target is a record, or all records of a unit of the
    budget. Scores are the exact likelihood ratios of all that was
    released (Neyman & Pearson 1933): no attack on the release has a larger area under its ROC
    curve. The claim is the curve of the synthesizer's own ledger; each stage is tested against
    its own lines (``stages_of``). Low bits of noisy sums, which the ratios of real numbers do not
    see, are a stage of their own (``low_bits_of``). The level is shared so that a correct
    mechanism fails with chance ``level`` at most.

    InputError for a design of another adjacency, where the ceiling of so many runs is 0, and
    for synthesizers whose answers are not compared.
    """
    chosen = design or worst_case(budget.adjacency, unit=budget.unit, rows=budget.max_rows)
    _check(synthesizer, budget, chosen, runs, level)
    noise, coins = np.random.SeedSequence(seed).spawn(2)
    inside, outside = watch(synthesizer, chosen, budget, runs=runs, seed=noise)
    rng = np.random.default_rng(coins)
    accountant = Accountant(budget, simulate=True)  # of a fit to the design's tables
    domain = Request.of_simulation(synthesizer, chosen.schema, budget, 0).domain_of(synthesizer)
    accountant.admit(synthesizer.name, synthesizer.charges(domain))
    claim = accountant.ledger.curve
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
        bounds=tuple(
            bound(worlds, delta, level=part, rng=rng)
            for bound in (clopper_pearson_bound, gaussian_bound)
            if delta or bound is not gaussian_bound  # no Gaussian has an epsilon at delta 0
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
    if budget.unit != design.unit:
        raise InputError(
            f"the design's tables differ in all records of one {design.unit or 'record'}, the "
            f"budget protects {budget.protects}"
        )
    if design.adjacency != budget.adjacency:
        raise InputError(
            f"the design's tables are {design.adjacency} neighbours, the budget says "
            f"{budget.adjacency}"
        )
    domain = Request.of_simulation(synthesizer, design.schema, budget, 0).domain_of(synthesizer)
    for name, part in synthesizer.charges(domain).parts.items():
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


LOW_BITS = "low bits"  # of a stage's name: what its numbers say beyond their values

Charges = tuple[tuple[Event, int], ...]


@dataclass(frozen=True, eq=False)
class Stage:
    """What the answers of one kind say between two worlds, and the curve of their charges."""

    name: str
    worlds: Worlds
    claim: PrivacyCurve


def stages_of(inside: Sequence[ComparedRun], outside: Sequence[ComparedRun]) -> list[Stage]:
    """Return every stage that says something between the tables, by part and reason.

    The scores are of fresh answers. In either world half of them were given in runs about the
    table with the target, half in runs about the other: earlier answers, and all noise that was
    chosen in view of them, then have one law in both worlds, so that the stage's own curve
    bounds the area of any score. Where runs were charged differently, `dearest` is the claim.
    """
    names = dict.fromkeys((c.part, c.why) for run in (*inside, *outside) for c in run.comparisons)
    found = []
    for part, why in names:
        first, second = _scores(inside, outside, part, why)
        if np.ptp([*first, *second]):
            claim = dearest({_charges(run, part, why) for run in (*inside, *outside)})
            found.append(Stage(f"{part}: {why}", Worlds.of(first, second), claim))
    return found


def low_bits_of(
    inside: Sequence[ComparedRun], outside: Sequence[ComparedRun], claim: PrivacyCurve
) -> list[Stage]:
    """Return a stage of low bits for each kind of noisy sums in which they differ over the runs.

    The score of a run is in how many steps floating-point noise leads to all that was released
    from the sum with the target alone, less those where it does from the sum without it alone.
    It is a function of everything that was released, so that ``claim`` is the curve of all.
    Likelihood ratios, of the real numbers that are meant, know nothing of it.
    """

    def sums_of(run: ComparedRun) -> list[SampledComparison]:
        return [one for one in run.comparisons if isinstance(one, SampledComparison)]

    sums = chain(*map(sums_of, (*inside, *outside)))
    found = []
    for stage in dict.fromkeys((c.part, c.why) for c in sums):
        first, second = (
            [
                float(sum(c.low_bits for c in sums_of(run) if (c.part, c.why) == stage))
                for run in world
            ]
            for world in (inside, outside)
        )
        if np.ptp([*first, *second]):
            name = ": ".join((*stage, LOW_BITS))
            found.append(Stage(name, Worlds.of(first, second), claim))
    return found


def total_scores(runs: Sequence[ComparedRun]) -> list[float]:
    """Return each run's log-likelihood ratio of all its answers: the asked table's to the other."""
    return [math.fsum(c.log_ratio() for c in run.comparisons) for run in runs]


def _scores(
    inside: Sequence[ComparedRun], outside: Sequence[ComparedRun], part: str, why: str
) -> tuple[list[float], list[float]]:
    """Return a stage's scores of the world with the target, and of the one without it."""
    scores: tuple[list[float], list[float]] = ([], [])
    for asked, runs in enumerate((inside, outside)):
        for number, run in enumerate(runs):
            there = bool(number % 2)
            score = math.fsum(
                c.fresh_log_ratio(there=there)
                for c in run.comparisons
                if (c.part, c.why) == (part, why)
            )
            scores[(asked + there) % 2].append(-score if asked else score)
    return scores


def dearest(charges: Iterable[Charges]) -> PrivacyCurve:
    """Return one curve that no run's charges of a stage exceed.

    Three facts make it a bound of every run, and of a pool of runs whose charges were decided by
    what has one law in both worlds (its attacks' rates are averages of points below one concave
    ROC curve):

    - A mechanism whose privacy loss has range r has any larger range as well, by definition, and
      a constant has range 0. So choices of ranges r1 >= r2 >= ... are choices of R1 >= R2 >= ...
      too where Ri >= ri for every i, and none is a choice of any range: their curve, certified
      for all mechanisms of these ranges, holds for runs with smaller and with fewer ranges. Ri
      is the largest i-th range of all runs.
    - Laplace answers of less noise dominate those of more, so that the i-th least noise of all runs
      is as good as choices' largest range; those of one kind apart.
    - Gaussian answers are one of mu = sqrt(sum of mu_i ** 2) (Dong, Roth & Su 2022, Cor. 3.3), and
      a larger mu dominates a smaller.
    - What dominates part by part dominates the product (Zhu, Dong & Wang 2022): given the
      earlier answers a run's fresh ones are independent, in whatever order they are composed.

    Of charges of another kind each is taken as often as in the run that has most of it.
    """
    runs = list(charges)
    gaussians = max(
        ([(event, count) for event, count in run if isinstance(event, Gaussian)] for run in runs),
        key=lambda events: compose(events).mu,
    )
    ranges = zip_longest(*(_ranges(run) for run in runs), fillvalue=0.0)
    choices = [(Selection(max(column)), 1) for column in ranges]
    others: Counter[Event] = Counter()
    for run in runs:
        own: Counter[Event] = Counter()
        for event, count in run:
            if not isinstance(event, Gaussian | Selection | LaplaceCounts):
                own[event] += count
        others |= own  # the larger of both counts
    return compose([*gaussians, *choices, *_least_laplaces(runs), *others.items()])


def _least_laplaces(runs: Sequence[Charges]) -> Iterator[tuple[Event, int]]:
    """Yield Laplace answers that dominate those of each run."""
    kinds: dict[tuple[int, bool], list[list[float]]] = {}
    for number, run in enumerate(runs):
        for event, count in run:
            if isinstance(event, LaplaceCounts):
                key = event.sensitivity, event.replaced
                of = kinds.setdefault(key, [[] for _ in runs])
                of[number] += [event.noise_multiplier] * count
    for (sensitivity, replaced), each in kinds.items():
        ranks = zip_longest(*map(sorted, each), fillvalue=math.inf)
        for least, count in Counter(map(min, ranks)).items():
            yield LaplaceCounts(least, sensitivity, replaced), count


def _ranges(run: Charges) -> list[float]:
    """Return the range of every choice of a run, the largest first."""
    ranges = ([event.epsilon] * count for event, count in run if isinstance(event, Selection))
    return sorted(chain(*ranges), reverse=True)


def _charges(run: ComparedRun, part: str, why: str) -> Charges:
    """Return what a stage was charged for; of rounds, whose answers are another's, the choices."""
    events = ((e.event, e.count) for e in run.ledger.charges if (e.part, e.why) == (part, why))
    return tuple((e.choice if isinstance(e, Round) else e, count) for e, count in events)


def candidates(adjacency: Adjacency = "add_remove") -> list[NeighbouringTables]:
    """Return the designs that a search tries unless it is given others."""
    return [
        *(worst_case(adjacency, columns=columns) for columns in (1, 2, 3, 5)),
        *(contrast(adjacency, columns=columns) for columns in (3, 4, 6)),
        contrast(adjacency, columns=4, records=1000),
    ]


def search_design(
    synthesizer: Synthesizer,
    budget: PrivacyBudget,
    *,
    designs: Sequence[NeighbouringTables] | None = None,
    runs: int = 100,
    seed: int | None = None,
) -> NeighbouringTables:
    """Return the design with the largest area of likelihood ratios in so many runs a world.

    These runs choose and prove nothing: audit the design with a seed of its own. InputError as
    in `audit`, and for fewer than two runs.
    """
    tried = list(candidates(budget.adjacency) if designs is None else designs)
    if not tried or runs < 2:
        raise InputError(f"a search needs a design and two runs, got {len(tried)} and {runs}")
    for design in tried:
        check_design(synthesizer, budget, design)
    streams = np.random.SeedSequence(seed).spawn(len(tried))
    areas = []
    for design, stream in zip(tried, streams, strict=True):
        inside, outside = watch(synthesizer, design, budget, runs=runs, seed=stream)
        with_target, without = np.array(total_scores(inside)), -np.array(total_scores(outside))
        areas.append(mann_whitney_area(with_target, without))
    return tried[int(np.argmax(areas))]


CITABLE = (audit, one_run_bound)
