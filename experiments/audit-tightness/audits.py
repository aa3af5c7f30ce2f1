"""Audits synthesizers at three epsilons: what was audited, beside the ledger.

    python -m experiments.audit_tightness.audits [--only mst] [--resume]

Each audit has the design that a search of other runs liked best, those of networks the worst
case. Networks are small, with few steps or votes: what is audited is how each is sampled, clipped,
noised and charged, which no size changes. The exit code is 1 where anything was found above the
ledger's own epsilon, of the whole or of a stage. ``marginal_generator`` has no audit of its
own: what it asks a table is what ``clique_tree`` asks, up to the choice of pairs. Then MST's and
AIM's measurements alone at (1, 1e-2) with noise calibrated by zCDP, which arXiv:2604.18352 found to
have mu of about 0.43 where the whole has 0.45.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import product
from typing import Any

import numpy as np
from experiments.audit_tightness.tables import audits_table
from scipy.optimize import brentq
from scipy.special import ndtri

import dp_synth as dps
from benchmarks.measured import Record, arguments, keep, read
from dp_synth.accounting import Accountant
from dp_synth.accounting.conversions import zcdp_epsilon
from dp_synth.audit import (
    AuditReport,
    Worlds,
    area_test,
    audit,
    candidates,
    search_design,
    worst_case,
)
from dp_synth.audit.likelihood_ratio import GaussianComparison, LikelihoodRatios
from dp_synth.counting import CodeCounts
from dp_synth.mechanisms.table import PrivateTable

DELTA, SEED = 1e-5, 20_261_122
EPSILONS = (1.0, 4.0, 10.0)
SEARCH_RUNS, FEW_SEARCH_RUNS = 100, 30
PROVING = ("clopper_pearson", "gaussian_threshold")


@dataclass(frozen=True)
class Audited:
    """A synthesizer, how many runs a world its audit has, and how many designs are tried.

    Without any to try it is audited on the worst case.
    """

    synthesizer: str
    runs: int = 1000
    designs: int = 8
    settings: Mapping[str, object] = field(default_factory=dict)
    sizes: Mapping[str, object] = field(default_factory=dict)  # of networks, beside the settings

    @property
    def label(self) -> str:
        """Its name in tables."""
        return ", ".join([self.synthesizer, *self.settings])


STEPS = {"steps": 10, "rate": 0.5, "fakes": 4, "components": 4, "learning_rate": 1e-3}
STEPS |= {"critic_width": 2, "generator_width": 2}
VOTES = {"votes": 20, "teachers": 3, "rounds": 1, "steps": 1, "rows": 4}

AUDITS = (
    Audited("independent"),
    Audited("mst"),
    Audited("mst", settings={"as_published": True}),
    Audited("clique_tree"),
    Audited("privbayes", 500, 7),
    Audited("mwem", 300, 5),
    Audited("aim", 300, 3),
    Audited("dpgan", 80, 0, sizes=STEPS),
    Audited("dpctgan", 80, 0, sizes=STEPS | {"frequencies_weight": 0.0}),
    Audited("pategan", 100, 0, sizes=VOTES),
    Audited("patectgan", 100, 0, sizes=VOTES),
)


def audited(one: Audited, epsilon: float, seed: int) -> tuple[AuditReport, float]:
    """Return the audit on the design that tells most, and its CPU seconds without the search."""
    recipe = dps.SYNTHESIZERS[one.synthesizer](**one.settings, **one.sizes)
    budget = dps.PrivacyBudget(epsilon, DELTA)
    searching, proving = (int(s) for s in np.random.SeedSequence(seed).generate_state(2))
    design, runs = worst_case(), SEARCH_RUNS if one.runs > 300 else FEW_SEARCH_RUNS
    if one.designs:
        tried = candidates()[: one.designs]
        design = search_design(recipe, budget, designs=tried, runs=runs, seed=searching)
    begun = time.process_time()
    report = audit(recipe, budget, design=design, runs=one.runs, seed=proving)
    return report, time.process_time() - begun


def main() -> None:
    """Keep a line an audit as soon as it is done, and print what they found."""
    parser = arguments()
    parser.add_argument("--only", help="this synthesizer alone; its lines are not kept")
    asked = parser.parse_args()
    chosen = [one for one in AUDITS if asked.only in (None, one.synthesizer)]
    path = asked.results / "audits.jsonl"
    done = read(path) if asked.resume else []
    records: list[Record] = []
    for record in _records(chosen, done):
        records.append(record)
        if asked.only is None:
            keep(path, [*records, *(one for one in done if one not in records)])
    if asked.only is None:
        keep(path, records)
    print(audits_table(records), *_measurements(), sep="\n")
    if found := [line for record in records for line in above(record)]:
        sys.exit("above the ledger: " + "; ".join(found))


def above(record: Mapping[str, Any]) -> list[str]:
    """Return the tests of an audit that found more than their own lines of the ledger allow."""
    tests = {"total": record["total"], **record["stages"]}
    claim, at = record["claimed_epsilon"], f"{record['synthesizer']} at {record['epsilon']:g}"
    found = [
        f"{at}, {name}"
        for name, test in tests.items()
        if test["epsilon_if_curve"] is not None
        and test["epsilon_if_curve"] > test["claimed_epsilon"]
    ]
    proven = (name for name in PROVING if record["bounds"][name] > claim)
    return found + [f"{at}, {name}" for name in proven]


def _records(chosen: list[Audited], done: Sequence[Record]) -> Iterator[Record]:
    """Yield the record of each audit, of those that are done already without doing them again."""
    for one, epsilon in product(chosen, EPSILONS):
        known = {**asdict(one), "epsilon": epsilon}
        same = [record for record in done if known.items() <= record.items()]
        yield same[0] if same else _record(one, epsilon)


def _record(one: Audited, epsilon: float) -> Record:
    report, seconds = audited(one, epsilon, SEED)
    print(f"{one.label}, epsilon {epsilon:g}: {report}, {seconds:.1f} CPU s", flush=True)
    about = {"seconds": seconds, "version": dps.__version__, "command": "audits.py"}
    return {**asdict(one), "epsilon": epsilon, **about, **report.to_dict()}


def _measurements(runs: int = 400) -> Iterator[str]:
    """Yield the mu of Gaussian answers alone, of plans that zCDP alone calibrates to (1, 1e-2)."""
    budget = dps.PrivacyBudget(1.0, 1e-2)
    rho = brentq(lambda value: zcdp_epsilon(value, budget.delta) - budget.epsilon, 1e-4, 1.0)
    yield f"zCDP at (1, 1e-2): rho {rho:.5f}, mu of the whole {math.sqrt(2 * rho):.4f}"
    aim = dps.AIM()  # its one-way marginals come without a choice
    ones = aim.alpha / aim.rounds
    shares = {dps.PublishedMST(): 2 / 3, aim: ones + (1 - ones) * aim.alpha}
    for recipe, share in shares.items():
        scores, mu = _gaussian_scores(recipe, budget, rho, runs)
        claim = dps.accounting.compose([(dps.accounting.Gaussian(1 / mu, 1.0), 1)])
        rng = np.random.default_rng(SEED)
        test = area_test(scores, claim, budget.delta, level=0.05, rng=rng)
        seen = math.sqrt(2) * ndtri(test.area), math.sqrt(2) * ndtri(test.low)
        yield (
            f"{recipe.name}: measurements have mu {mu:.4f} (share {share:.3f}: "
            f"{math.sqrt(2 * rho * share):.4f}); seen {seen[0]:.3f}, above {seen[1]:.3f} at 95 %"
        )


def _gaussian_scores(
    recipe: dps.MST | dps.AIM, budget: dps.PrivacyBudget, rho: float, runs: int
) -> tuple[Worlds, float]:
    """Return the scores of measurements in both worlds, and how far apart they are."""
    design = worst_case(columns=2)
    domain = design.schema.domain
    accountant = Accountant(budget, simulate=True)
    piece = accountant.admit(recipe.name, recipe.plan(domain).at(rho))
    codes = [design.schema.encode(table) for table in (design.inside, design.outside)]
    worlds: list[list[float]] = []
    apart: list[float] = []
    for here, there, sign in ((*codes, 1.0), (*codes[::-1], -1.0)):
        counts = [CodeCounts.of(found, domain) for found in (here, there)]
        worlds.append([])
        for _ in range(runs):
            payer = accountant.repeat(piece)
            ratios = LikelihoodRatios(PrivateTable(counts[1], domain, payer))
            table = PrivateTable(counts[0], domain, payer, auditor=ratios)
            recipe._release(table, piece.plan, np.random.default_rng())
            found = [c for c in ratios.comparisons if isinstance(c, GaussianComparison)]
            worlds[-1].append(sign * math.fsum(c.log_ratio() for c in found))
            apart.append(math.sqrt(math.fsum(c.distance**2 for c in found)))
    return Worlds.of(*worlds), float(np.max(apart))


if __name__ == "__main__":
    main()
