"""Audits synthesizers at three epsilons: what was audited, beside the ledger.

    python -m experiments.audit_tightness.audits [--only mst] [--resume]

Each audit has the design that a search of other runs liked best, those of networks the worst
case. Networks are small, with few steps or votes: what is audited is how each is sampled, clipped,
noised and charged, which no size changes. The exit code is 1 where anything was found above the
ledger's own epsilon, of the whole or of a stage. ``marginal_generator`` has no audit of its
own: what it asks a table is what ``clique_tree`` asks, up to the choice of pairs.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import product
from typing import Any

import numpy as np
from experiments.audit_tightness.tables import audits_table

import dp_synth as dps
from benchmarks.measured import Record, arguments, keep, read
from dp_synth.audit import (
    AuditReport,
    audit,
    candidates,
    search_design,
    worst_case,
)

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
    print(audits_table(records))
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


if __name__ == "__main__":
    main()
