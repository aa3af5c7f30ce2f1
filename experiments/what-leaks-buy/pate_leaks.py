"""Known faults of public PATE-GANs, planted one by one: what each buys, and what it costs.

    python -m experiments.what_leaks_buy.pate_leaks [--seeds 5] [--runs 600] [--resume]
        [--leaks "none;private bounds"]

Each leak is a kind of `Teachers` that breaks one rule and charges as if it did not: fits of
PATE-GAN to the coded Adult table at epsilon 1, delta 1e-5 (split, TV of pairs and boosting as in
`benchmarks.synthesizers`), and an audit of its votes about one planted record against the claim
of epsilon 1. A fit, or an audit, is a line of JSON in ``benchmarks/results/pate_leaks.jsonl``.
The leaks live here and nowhere in the package. Needs the folder that DP_SYNTH_DATA names, and
the extra `deep`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from itertools import product

import numpy as np
from scipy import stats

import dp_synth as dps
from benchmarks.inputs import Source, boosted_auc, load
from benchmarks.measured import Record, append, arguments, chosen, read
from dp_synth.accounting import Plan, Votes
from dp_synth.accounting.budget import gaussian_epsilon
from dp_synth.audit import Worlds, clopper_pearson_bound
from dp_synth.domain import Domain
from dp_synth.mechanisms.pate import Ballots, Questions, Teachers, ballots, leanings, winners
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.types import Codes, Integers

EPSILON, DELTA = 1.0, 1e-5
FILE = "pate_leaks.jsonl"
COPIES = 10  # of every record, where partitions are shared
ASKED_AGAIN = 100  # times, where votes are not charged
TOY = Domain(tuple("abcdefgh"), (4,) * 8)
TOY_REFERENCE = [np.full(4, 0.25)] * 8
TOY_AGAINST, TOY_RECORDS = 5, 100  # records that vote against the planted one, of all others
TOY_VOTES, TOY_TEACHERS = 50, 101
HONEST_TIMES = 5  # as many runs: what keeps its claim shows little in each
TOY_COINS = 19


class SharedParts(Teachers):
    """Leak: every record is seen by ten teachers; the charge stays that of one."""

    def _voters(self, table: PrivateTable) -> tuple[Codes, Integers]:
        if self._known is None:
            codes = np.repeat(super()._voters(table)[0], COPIES, axis=0)
            self._known = codes, self._assigned(len(codes))
        return self._known


class UnchargedVotes(Teachers):
    """Leak: each question is asked a hundred times, charged once, and the majority kept."""

    def vote(self, questions: Questions, *, why: str = "votes") -> Ballots:
        """Return the majority of many noisy answers, of which one was charged."""
        won = super().vote(questions, why=why).astype(int)
        coins = self._coins.random((self._part.teachers, len(questions)))
        votes = ballots(*self._voters(self._table), questions, self._reference, coins)
        gaps = 2 * votes.sum(axis=0, dtype=np.int64) - self._part.teachers
        for _ in range(ASKED_AGAIN):
            won += winners(gaps, self._part.event(), self._bits)
        return np.asarray(2 * won > ASKED_AGAIN + 1)


class RealRows(Teachers):
    """Leak: the student reads the real rows, as one discriminator without a vote or noise."""

    def vote(self, questions: Questions, *, why: str = "votes") -> Ballots:
        """Return what all real rows together prefer."""
        super().vote(questions, why=why)
        codes = self._voters(self._table)[0]
        alone = np.zeros(len(codes), dtype=np.int64)
        lean = leanings(codes, alone, questions, self._reference, teachers=1)
        return np.asarray(lean[0] > 0)


class PrivateBounds(Teachers):
    """Leak: values that no record has are known to lose, as bounds read from the data tell."""

    def vote(self, questions: Questions, *, why: str = "votes") -> Ballots:
        """Return the winners, and values that were seen before those that were not."""
        won = super().vote(questions, why=why)
        columns = zip(self._voters(self._table)[0].T, self._reference, strict=True)
        seen = [np.bincount(codes, minlength=len(p)) > 0 for codes, p in columns]
        asked = list(zip(questions.attributes, questions.others, strict=True))
        own = questions.records[np.arange(len(asked)), questions.attributes]
        first = np.array([seen[a][v] for (a, _), v in zip(asked, own, strict=True)])
        other = np.array([seen[a][v] for a, v in asked])
        return np.asarray(np.where(first == other, won, first))


LEAKS: dict[str, type[Teachers]] = {
    "none": Teachers,
    "shared partitions": SharedParts,
    "uncharged votes": UnchargedVotes,
    "student on real rows": RealRows,
    "private bounds": PrivateBounds,
}


def fit_record(leak: str, seed: int) -> dict[str, float]:
    """Return the TV of pairs and the AUC of one fit whose teachers leak so."""
    from dp_synth.nn import pate_training as lessons

    lessons.Teachers = LEAKS[leak]  # type: ignore[attr-defined]
    parts = load(Source("adult_discrete"))
    schema, started = parts.schema, time.process_time()
    recipe = dps.PATEGAN(label=schema.label or "")
    release = recipe.fit(parts.train, schema, dps.PrivacyBudget(EPSILON, DELTA), seed=seed)
    seconds = time.process_time() - started
    rows = release.sample(seed=seed, kinds="written")
    codes = rows.astype(int), parts.holdout.astype(int)
    return {
        "tv": dps.metrics.workload_error(parts.train, rows, schema).value,
        "auc": boosted_auc(*codes, schema.label or ""),
        "seconds": seconds,
    }


def audit_record(leak: str, runs: int) -> dict[str, float]:
    """Return the epsilon that votes about one planted record prove, with 95 % confidence.

    The record holds values that no other has; all questions are whether they belong together.
    ``epsilon`` holds whatever the mechanism is, but not above ``ceiling`` with so many runs.
    ``epsilon_if_gaussian`` is that of the least Gaussian DP that allows the lower end of the
    attack's AUC: a correct mechanism of many votes has nearly such a curve, a leak need not.
    """
    won = [np.array([_wins(LEAKS[leak], world, run) for run in range(runs)]) for world in (0, 1)]
    worlds = Worlds.of(won[1], won[0])
    bound = clopper_pearson_bound(worlds, DELTA, rng=np.random.default_rng(0))
    auc = dps.Roc(worlds.inside, worlds.outside).auc()
    return {
        "attack_auc": auc.value,
        "attack_auc_low": auc.low,
        "epsilon": bound.epsilon,
        "ceiling": bound.ceiling,
        "epsilon_if_gaussian": _epsilon_of(auc.low),
        "runs": float(runs),
    }


def _epsilon_of(auc: float) -> float:
    mu = float(np.sqrt(2) * stats.norm.ppf(min(max(auc, 0.5), 1 - 1e-9)))
    return gaussian_epsilon(mu, DELTA) if mu > 0 else 0.0


def _wins(kind: type[Teachers], world: int, run: int) -> int:
    """Return how often the planted record won over its twin, where it is (1) or is not (0).

    All coins but the noise are the same in every run, chosen so that the planted record meets a
    teacher who votes against it: the guarantee holds given those coins, whatever they are.
    """
    accountant = dps.Accountant(dps.PrivacyBudget(EPSILON, DELTA))
    plan = Plan({"votes": Votes(TOY_VOTES, TOY_TEACHERS)})
    payer = accountant.admit("audit", plan, randomness="seeded")
    codes = np.zeros((TOY_RECORDS + world, len(TOY)), dtype=np.int32)
    codes[:TOY_AGAINST, 0], codes[:TOY_AGAINST, 1] = 1, 3
    codes[TOY_RECORDS:] = 3
    noise = np.random.default_rng([world, run])
    teachers = kind(
        PrivateTable(codes, TOY, payer), payer.plan.votes("votes"), TOY_REFERENCE, noise
    )
    teachers._sorting, teachers._coins = np.random.default_rng(TOY_COINS).spawn(2)
    records = np.full((TOY_VOTES, len(TOY)), 3, dtype=np.int32)
    attributes, others = np.zeros(TOY_VOTES, dtype=np.int64), np.ones(TOY_VOTES, dtype=np.int64)
    return int(teachers.vote(Questions(records, attributes, others)).sum())


def asked(given: argparse.Namespace) -> Iterator[Record]:
    """Yield what is to be measured: an audit and the fits of each leak."""
    names = given.leaks.split(";")
    for name in names:
        runs = given.runs * (HONEST_TIMES if name == "none" else 1)
        yield {"leak": name, "kind": "audit", "runs": runs}
    for seed, name in product(range(given.seeds), names):
        yield {"leak": name, "kind": "fit", "seed": seed}


def main() -> None:
    """Write a line an audit and a fit of which there is none."""
    parser = arguments()
    parser.add_argument("--runs", type=int, default=600)
    parser.add_argument("--leaks", default=";".join(LEAKS), help="names, separated by semicolons")
    given = parser.parse_args()
    results = given.results / FILE
    if not given.resume:
        results.unlink(missing_ok=True)
    done = read(results)
    for task in asked(given):
        if chosen(done, **task):
            continue
        leak = task["leak"]
        is_audit = task["kind"] == "audit"
        values = audit_record(leak, task["runs"]) if is_audit else fit_record(leak, task["seed"])
        beside = {"epsilon": EPSILON, "delta": DELTA, "command": f"pate_leaks.py --leaks '{leak}'"}
        append(results, {**task, **beside, "values": values})
        print(task, values, flush=True)


if __name__ == "__main__":
    try:
        main()
    except dps.InputError as error:
        sys.exit(f"pate_leaks: {error}")
