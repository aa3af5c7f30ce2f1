"""PATE training: rounds of votes, a student taught by them, and a generator by the student."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from dp_synth.accounting import Gaussians, Plan, ThresholdedGaussians
from dp_synth.domain import Domain
from dp_synth.inference import Compression, Model, estimate_total, independent_model
from dp_synth.inference.mixture import MixtureModel
from dp_synth.inference.one_way import cautious_histogram
from dp_synth.mechanisms import measure
from dp_synth.mechanisms.pate import Questions, StoppingRule, Teachers
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.nn.marginal_network import MarginalTargets, RowGenerator, Training
from dp_synth.nn.pate_queries import QueryBatch, QueryMaker, Student, independent_records
from dp_synth.nn.settings import PateSettings
from dp_synth.transcript import Measurement
from dp_synth.types import Clique, Codes, Flags, Floats, Integers

LEAST_MADE, MOST_MADE = 2048, 8192  # records that the student keeps, and is asked about
MADE_CELLS = 1 << 20  # of which there are fewer where attributes have more codes together
COPIES = 2  # of each, which go their own ways at the end
ASKING_SWEEPS, LAST_SWEEPS = 6, 15
RARE = 5e-4  # pairs of codes that are rarer weigh no more in the generator's error


def fit_by_votes(
    table: PrivateTable,
    plan: Plan,
    settings: PateSettings,
    ask: QueryMaker,
    rng: np.random.Generator,
) -> Model:
    """Return the model of a fit: columns are measured, then all else is asked of teachers.

    Independent columns where the plan has no votes: nothing can be asked of one attribute.
    """
    ones = _measured(table, plan, rng)
    if not plan.votes("votes").count:
        return independent_model(table.domain, ones)
    return _train(table, ones, settings, ask, rng)


def only_votes(
    table: PrivateTable,
    plan: Plan,
    settings: PateSettings,
    ask: QueryMaker,
    rng: np.random.Generator,
) -> None:
    """Ask the table all that `fit_by_votes` asks of it, and end with the last vote."""
    ones = _measured(table, plan, rng)
    if plan.votes("votes").count:
        _, reference, teachers = _setup(table, ones, settings, rng)
        ask_all(teachers, reference, settings, ask, rng)


def _measured(table: PrivateTable, plan: Plan, rng: np.random.Generator) -> list[Measurement]:
    columns: list[Clique] = [(attribute,) for attribute in table.domain]
    return measure(table, columns, plan.gaussians("ones"), rng)


def _setup(
    table: PrivateTable,
    ones: Sequence[Measurement],
    settings: PateSettings,
    rng: np.random.Generator,
) -> tuple[Compression, list[Floats], Teachers]:
    """Return groups of codes, the frequencies of the groups, and the teachers over them."""
    total = estimate_total(ones)
    compression = few_groups(table.domain, ones, settings.most_groups)
    reference = [
        np.bincount(compression.groups[one.clique[0]], weights=_histogram(table.domain, one, total))
        / total
        for one in ones
    ]
    stop = _stopping_rule(table, settings) if settings.stops_by_votes else None
    coarse = table.coarsen(compression.groups)
    votes = table.payer.plan.votes("votes")
    return compression, reference, Teachers(coarse, votes, reference, rng, stop=stop)


def _stopping_rule(table: PrivateTable, settings: PateSettings) -> StoppingRule:
    """Return the rule that counts, beside the votes, all that the fit pays for."""
    parts = [part for part in table.payer.plan.parts.values() if part.count]
    gaussians = [p for p in parts if isinstance(p, Gaussians | ThresholdedGaussians)]
    rho = sum(0.5 * part.count / part.event().noise_multiplier ** 2 for part in gaussians)
    thresholds = [part for part in parts if isinstance(part, ThresholdedGaussians)]
    told = sum(part.count * part.event().delta for part in thresholds)
    return StoppingRule(settings.target_epsilon, table.payer.budget.delta - told, rho)


def _train(
    table: PrivateTable,
    ones: Sequence[Measurement],
    settings: PateSettings,
    ask: QueryMaker,
    rng: np.random.Generator,
) -> MixtureModel:
    """Return the generator that a student taught by noisy votes has trained.

    Codes are merged to a few groups by paid one-way marginals, whose independent attributes are
    the reference. In each round the student's own records are asked about; it is then taught
    by the winners of all rounds together. The generator sees the student's records alone.
    """
    compression, reference, teachers = _setup(table, ones, settings, rng)
    made = student_records(teachers, reference, settings, ask, rng)
    training = Training(rows=settings.rows, steps=settings.steps)
    generator = generator_of(made, reference, training, int(rng.integers(2**63)))
    coarse = generator.model(compression.domain, estimate_total(ones), np.concatenate(reference))
    return coarse.refined(table.domain, compression.groups, compression.shares)


@dataclass(frozen=True, eq=False)
class StudentState:
    """State of a student: winners, losers, where they differ, and records of its own."""

    better: Codes
    worse: Codes
    attributes: Integers
    records: Codes
    leanings: Sequence[Floats]

    def heard(self, questions: Questions, won: Flags) -> StudentState:
        """Return the state after these questions were answered."""
        asked, twins = questions.records, questions.twins()
        return replace(
            self,
            better=np.concatenate([self.better, np.where(won[:, None], asked, twins)]),
            worse=np.concatenate([self.worse, np.where(won[:, None], twins, asked)]),
            attributes=np.concatenate([self.attributes, questions.attributes]),
        )

    def taught(
        self, reference: Sequence[Floats], rng: np.random.Generator
    ) -> tuple[Student, StudentState]:
        """Return the student of all winners so far, and the state with its new records."""
        student = Student.taught(reference, self.better, self.worse, self.attributes)
        records, leanings = student.sweep(self.records, self.leanings, ASKING_SWEEPS, rng)
        return student, replace(self, records=records, leanings=leanings)


def student_records(
    teachers: Teachers,
    reference: Sequence[Floats],
    settings: PateSettings,
    ask: QueryMaker,
    rng: np.random.Generator,
) -> Codes:
    """Return records of the student who was taught in rounds, every vote of the part used."""
    state = ask_all(teachers, reference, settings, ask, rng)
    student = Student.untaught(reference)
    if len(state.better):
        student, state = state.taught(reference, rng)
    copies = np.repeat(state.records, COPIES, axis=0)
    return student.sweep(copies, state.leanings, LAST_SWEEPS, rng)[0]


def ask_all(
    teachers: Teachers,
    reference: Sequence[Floats],
    settings: PateSettings,
    ask: QueryMaker,
    rng: np.random.Generator,
) -> StudentState:
    """Return what a student heard in all rounds, before it is taught by the last of them.

    Between rounds it is taught, for the next questions are about its records. The votes end
    early where the teachers answer fewer than they were asked.
    """
    label = settings.label_axis(teachers.domain)
    state = _empty_state(reference, rng)
    for asked in np.array_split(np.arange(settings.votes), settings.rounds):
        if not len(asked):
            break  # the larger shares come first
        if len(state.better):
            state = state.taught(reference, rng)[1]
        wanted = QueryBatch(len(asked), label, settings.label_share)
        questions = ask(state.records, reference, wanted, rng)
        won = teachers.vote(questions, why="which of two made records is more real")
        state = state.heard(questions.first(len(won)), won)
        if len(won) < len(questions):
            break
    return state


def _empty_state(reference: Sequence[Floats], rng: np.random.Generator) -> StudentState:
    made = MADE_CELLS // sum(len(frequencies) for frequencies in reference)
    made = min(MOST_MADE, max(LEAST_MADE, made))
    records = independent_records(reference, made, rng)
    leanings = Student.untaught(reference).leanings()
    none = np.empty((0, len(reference)), dtype=np.int32)
    return StudentState(none, none, np.empty(0, dtype=np.int64), records, leanings)


def generator_of(
    made: Codes, reference: Sequence[Floats], training: Training, seed: int
) -> RowGenerator:
    """Return a generator whose pairs are those of ``made``, and its ones those of the reference."""
    sizes = tuple(len(frequencies) for frequencies in reference)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    marks = np.zeros((len(made), int(starts[-1])), dtype=np.float32)
    marks[np.arange(len(made))[:, None], made + starts[:-1]] = 1.0
    pairs = marks.T @ marks / len(made)
    precision = 1 / (pairs + RARE)
    for start, end in pairwise(starts):
        precision[start:end, start:end] = 0.0
    ones = np.concatenate(reference)
    strict = len(sizes) / (ones + 1 / np.sqrt(len(made)))
    generator = RowGenerator.of(sizes, ones, training, seed)
    targets = MarginalTargets(sizes, ones, strict, pairs, precision)
    generator.train(targets.loss(training.device), training)
    return generator


def few_groups(domain: Domain, ones: Sequence[Measurement], most: int) -> Compression:
    """Return groups of codes, at most ``most`` an attribute, of about equal size where ordered.

    The most frequent of unordered codes stay alone. An attribute of two codes or more keeps two
    groups, so that there is something to ask about it.
    """
    total = estimate_total(ones)
    groups = {}
    for one in ones:
        attribute = one.clique[0]
        counts = _histogram(domain, one, total)
        ordered = domain.ordered[domain.axis(attribute)]
        groups[attribute] = _group(counts, ordered, most)
    compression = Compression(domain.coarsened(groups), groups, {})
    return compression.shared_by(domain, ones)


def _histogram(domain: Domain, one: Measurement, total: float) -> Floats:
    return cautious_histogram(one, domain.ordered[domain.axis(one.clique[0])], total)


def _group(counts: Floats, ordered: int, most: int) -> Codes:
    size = len(counts)
    if size <= most:
        return np.arange(size, dtype=np.int32)
    marks = size - ordered
    kept = min(marks, max(1, most // 2)) if ordered else most - 1
    label = np.empty(size, dtype=np.int64)
    if ordered:
        runs = max(1, most - kept - (marks > kept))
        middle = np.cumsum(counts[:ordered]) - counts[:ordered] / 2
        whole = max(float(counts[:ordered].sum()), 1e-300)
        label[:ordered] = np.minimum(middle / whole * runs, runs - 1).astype(np.int64)
    rank = np.empty(marks, dtype=np.int64)
    rank[np.argsort(-counts[ordered:], kind="stable")] = np.arange(marks)
    label[ordered:] = size + np.minimum(rank, kept)
    if ordered == size and len(np.unique(label)) < 2:
        label = np.arange(size) * 2 // size
    return np.unique(label, return_inverse=True)[1].reshape(-1).astype(np.int32)
