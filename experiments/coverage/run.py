"""Whether intervals of a release hold: coverage of the population's value, by kind of question."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from experiments.coverage.questions import Generator, Population
from joblib import Parallel, delayed
from scipy import stats

import dp_synth as dps
from benchmarks.measured import Record, append, chosen, read
from dp_synth.accounting import Gaussians, Plan
from dp_synth.estimates import Distribution, Evaluated, Question
from dp_synth.estimates.intervals import Answerer, Estimate
from dp_synth.figures.style import FULL_WIDTH, below, lines_of, named, new_figure
from experiments.outline import RECORDS, Experiment, begin, missing, timed
from paper.documents import markdown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HERE = Path(__file__).resolve().parent
JOBS = 2
DELTA, LEVEL = 1e-6, 0.95
QUESTIONS, QUESTION_SEED = 110, 7
DRAWS = 40  # of records, each with its fit
METHODS = ("clique_tree", "mst", "aim", "independent")
EPSILONS, RECORD_NUMBERS = (0.3, 1.0, 3.0), (5_000, 20_000)
COLUMNS = {  # of tables that are taken for populations
    "adult_discrete": (
        "age",
        "sex",
        "hours-per-week",
        "education-num",
        "marital-status",
        "occupation",
        "race",
        "income>50K",
    ),
    "bank_marketing": ("age", "job", "marital", "education", "day", "housing", "campaign", "y"),
    "nist_ma2019": ("AGEP", "SEX", "MSP", "RAC1P", "OWN_RENT", "EDU", "POVPIP", "PWGTP"),
}
TITLES = {"adult_discrete": "Adult", "bank_marketing": "bank marketing", "nist_ma2019": "NIST"}
ALONE, MEASURED, UNMEASURED, MORE = (
    "one column",
    "two, measured",
    "two, not measured",
    "three or more",
)
REGRESSIONS = ("linear regression", "logistic regression")


# Measure


@cache
def population(table: str) -> Population:
    """Return all records of a table over some columns."""
    data = dps.datasets.load(table)
    rows = pd.concat([data.train, data.holdout, data.reference], ignore_index=True)
    names = list(COLUMNS[table])
    schema, rows = data.schema.select(names), rows[names]
    exact = _each_whole_number(schema)
    return Population(schema, exact, rows, exact.encode(rows))


def _each_whole_number(schema: dps.Schema) -> dps.Schema:
    """Return the schema in which every whole number is a cell, so that statistics are exact."""
    fields = schema.to_dict()
    for column in fields["columns"]:  # type: ignore[attr-defined]
        if column["type"] == "integer":
            column["bins"] = column["upper"] - column["lower"] + 1
    return dps.Schema.from_dict(fields)


@cache
def questions(table: str) -> list[tuple[str, Question]]:
    """Return the questions about a table with their kinds."""
    return Generator(population(table), QUESTION_SEED).draw(QUESTIONS)


@cache
def answered(table: str, records: int) -> list[tuple[str, Question, Evaluated, np.ndarray]]:
    """Return the questions with the population's values, and variances of a record's influence."""
    people = population(table)
    return [(kind, one, *people.answer(one, records)) for kind, one in questions(table)]


def tasks(draws: int) -> Iterator[Record]:
    """Yield all cells, the first draw of each before the second."""
    for draw in range(draws):
        for table in COLUMNS:
            for records in RECORD_NUMBERS:
                for epsilon in EPSILONS:
                    for method in METHODS:
                        yield {
                            "table": table,
                            "records": records,
                            "epsilon": epsilon,
                            "synthesizer": method,
                            "draw": draw,
                        }


def measure(resume: bool) -> None:
    """Fit every method to fresh draws of each population, and ask each release all questions."""
    if "DP_SYNTH_DATA" not in os.environ:
        raise dps.InputError("DP_SYNTH_DATA must name the folder of tables that are not bundled")
    begin(HERE, resume)
    todo = missing(list(tasks(int(os.environ.get("DRAWS", DRAWS)))), read(HERE / RECORDS))
    with timed(HERE, "all"):
        for line in Parallel(JOBS, return_as="generator_unordered")(map(delayed(cell), todo)):
            append(HERE / RECORDS, line)


def cell(task: Record) -> Record:
    """Return how the intervals of one release cover, by kind of question and what is known."""
    warnings.simplefilter("ignore")
    table, records = str(task["table"]), int(task["records"])  # type: ignore[call-overload]
    people = population(table)
    rng = np.random.default_rng([int(task["draw"]), records])  # type: ignore[call-overload]
    places = rng.integers(len(people.rows), size=records)
    rows = people.rows.iloc[places].reset_index(drop=True)
    budget = dps.PrivacyBudget(float(task["epsilon"]), DELTA)  # type: ignore[arg-type]
    recipe = dps.SYNTHESIZERS[str(task["synthesizer"])]()
    release = recipe.fit(rows, people.declared, budget, seed=int(task["draw"]))  # type: ignore[call-overload]
    answerer = Answerer(release)
    pairs = {frozenset(pair) for pair in answerer.misfit.measured}
    drawn = release.schema.encode(release.sample(records, seed=0, kinds="written"))
    noise = _multiplier(budget.epsilon)
    found: dict[str, dict[str, list[float]]] = {}
    for kind, question, truth, variances in answered(table, records):
        for estimate, covered in _covered(answerer, question, truth):
            place = truth.names.index(estimate.name)
            key = f"{kind}; {_known(question, pairs)}"
            into = found.setdefault(key, {"covered": [], "naive": [], "width": [], "bounded": []})
            into["covered"].append(float(covered))
            into["naive"].append(float(_naive(drawn, release, question, truth, place)))
            into["width"].append(
                _width(estimate)
                / _direct(truth, place, float(variances[place]) / records, noise / records)
            )
            into["bounded"].append(float(not estimate.not_covered))
    return {**task, "values": {key: _summed(own) for key, own in found.items()}}


def _covered(
    answerer: Answerer, question: Question, truth: Evaluated
) -> Iterator[tuple[Estimate, bool]]:
    try:
        answered = answerer.answer(question, LEVEL)
    except dps.InputError:  # a group or a category that the release does not have
        return
    for one in answered:
        if one.name in truth.names:
            value = float(truth.values[truth.names.index(one.name)])
            yield one, one.low <= value <= one.high


def _known(question: Question, pairs: set[frozenset[str]]) -> str:
    names = frozenset(question.columns)
    if len(names) == 1:
        return ALONE
    if len(names) > 2:
        return MORE
    return MEASURED if names in pairs else UNMEASURED


def _naive(
    codes: np.ndarray, release: dps.Release, question: Question, truth: Evaluated, place: int
) -> bool:
    """Tell whether the interval that rows give, taken for real ones, holds the value."""
    axes = [release.schema.domain.axis(name) for name in question.columns]
    cells, counts = np.unique(codes[:, axes], axis=0, return_counts=True)
    weights = counts / counts.sum()
    rows = Distribution(release.schema, question.columns, cells, weights, float(len(codes)))
    try:
        found = question.evaluate(rows)
    except dps.InputError:
        return False
    name = truth.names[place]
    if name not in found.names:
        return False
    own = found.names.index(name)
    value = float(found.values[own])
    stderr = float(np.sqrt(weights @ np.square(found.influences[:, own]) / len(codes)))
    wide = float(stats.norm.ppf((1 + LEVEL) / 2)) * stderr
    true = float(truth.values[place])
    if found.scale == "log" and value > 0:
        return bool(abs(np.log(true / value)) <= wide / value) if true > 0 else False
    return bool(abs(true - value) <= wide)


def _width(estimate: Estimate) -> float:
    """Return half an interval, of a ratio that of its logarithm."""
    if estimate.scale == "log":
        return float(np.log(estimate.high / estimate.low)) / 2
    return (estimate.high - estimate.low) / 2


def _direct(truth: Evaluated, place: int, sampling: float, noise: float) -> float:
    """Return half the interval of one Gaussian answer that takes the whole budget, and sampling.

    What it asks is the mean of the influence function in the population itself, bounded by its own
    largest value: nobody could ask that, so that it is the best that a direct answer could be.
    ``sampling`` is a variance, ``noise`` the deviation of a mean of numbers up to 1.
    """
    largest = float(np.abs(truth.influences[:, place]).max())
    scale = abs(float(truth.values[place])) if truth.scale == "log" else 1.0
    deviation = float(np.hypot(np.sqrt(sampling), noise * largest))
    return float(stats.norm.ppf((1 + LEVEL) / 2)) * deviation / scale


@cache
def _multiplier(epsilon: float) -> float:
    """Return the noise of one Gaussian answer of sensitivity 1 that takes a whole budget."""
    accountant = dps.Accountant(dps.PrivacyBudget(epsilon, DELTA), simulate=True)
    (plan,) = accountant.check({"one": (Plan({"one": Gaussians(1)}), 1.0)}).values()
    return float(plan.gaussians("one").event().noise_multiplier)


def _summed(own: dict[str, list[float]]) -> Record:
    return {
        "asked": len(own["covered"]),
        "covered": int(np.sum(own["covered"])),
        "naive": int(np.sum(own["naive"])),
        "bounded": int(np.sum(own["bounded"])),
        "width": round(float(np.median(own["width"])), 4),
    }
