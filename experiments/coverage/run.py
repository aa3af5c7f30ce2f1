"""Whether intervals of a release hold: coverage of the population's value, by kind of question."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy import stats

import dp_synth as dps
from benchmarks.measured import Record, append, read
from dp_synth.accounting import Gaussians, Plan
from dp_synth.estimates import Distribution, Evaluated, Question
from dp_synth.estimates.corrected import MOST_CELLS, answers_to
from dp_synth.estimates.intervals import Answerer, Estimate
from dp_synth.figures.style import FULL_WIDTH, below, named, new_figure
from experiments.coverage.questions import Generator, Population
from experiments.outline import RECORDS, Experiment, begin, missing, timed
from paper.documents import markdown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HERE = Path(__file__).resolve().parent
JOBS = 2
DELTA, LEVEL = 1e-6, 0.95
QUESTIONS, QUESTION_SEED = 110, 7


@dataclass(frozen=True)
class Part:
    """Methods at some epsilons, of so many records drawn, and how often these are drawn.

    With ``declared`` questions a fit is told so many of them, and is asked no others.
    """

    methods: Sequence[str]
    epsilons: Sequence[float]
    records: int
    draws: int
    declared: int = 0


PARTS = (
    Part(("clique_tree",), (1.0,), 5_000, 20),
    Part(("clique_tree",), (0.3, 3.0), 5_000, 12),
    Part(("clique_tree",), (1.0,), 20_000, 8),
    Part(("mst", "aim", "independent"), (1.0,), 5_000, 8),
    Part(("clique_tree", "independent"), (1.0,), 5_000, 18, declared=3),
)
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
KNOWN = (ALONE, MEASURED, UNMEASURED, MORE)
DECLARED = "declared"
REGRESSIONS = ("linear regression", "logistic regression")
KINDS = (
    "count",
    "share",
    "mean",
    "quantile",
    "difference of means",
    "difference of shares",
    "risk ratio",
    "odds ratio",
    "correlation",
    *REGRESSIONS,
)


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


def tasks() -> Iterator[Record]:
    """Yield all cells: the first draw of each, then the second."""
    for draw in range(max(part.draws for part in PARTS)):
        for part in PARTS:
            for table in COLUMNS if draw < part.draws else ():
                for epsilon, method in product(part.epsilons, part.methods):
                    yield {
                        "table": table,
                        "records": part.records,
                        "epsilon": epsilon,
                        "synthesizer": method,
                        "declared": part.declared,
                        "draw": draw,
                    }


def measure(resume: bool) -> None:
    """Fit every method to fresh draws of each population, and ask each release all questions."""
    if "DP_SYNTH_DATA" not in os.environ:
        raise dps.InputError("DP_SYNTH_DATA must name the folder of tables that are not bundled")
    begin(HERE, resume)
    todo = missing(list(tasks()), read(HERE / RECORDS))
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
    asked = answered(table, records)
    declared = _declared(table, int(task["declared"]), rng)  # type: ignore[call-overload]
    recipe = dps.SYNTHESIZERS[str(task["synthesizer"])]()
    release = recipe.fit(
        rows,
        people.declared,
        budget,
        seed=int(task["draw"]),  # type: ignore[call-overload]
        questions=[asked[place][1] for place in declared] or None,
    )
    answerer = Answerer(release)
    pairs = {frozenset(pair) for pair in answerer.misfit.measured}
    drawn = release.schema.encode(release.sample(records, seed=0, kinds="written"))
    noise = _multiplier(budget.epsilon)
    found: dict[str, dict[str, list[float]]] = {}
    for kind, question, truth, variances in [asked[place] for place in declared] or asked:
        for estimate, covered in _covered(answerer, question, truth):
            place = truth.names.index(estimate.name)
            key = f"{kind}; {DECLARED if declared else _known(question, pairs)}"
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
    release = answerer.release
    try:
        own = answers_to(question, release.answers, release.schema)
        answered = tuple(one.estimate(LEVEL) for one in own) or answerer.answer(question, LEVEL)
    except dps.InputError:  # a group or a category that the release does not have
        return
    for one in answered:
        if one.name in truth.names:
            value = float(truth.values[truth.names.index(one.name)])
            yield one, one.low <= value <= one.high


def _declared(table: str, count: int, rng: np.random.Generator) -> list[int]:
    """Return the places of so many questions that a fit is told: regressions first, of each kind.

    Only such as it can be told: of columns that have few enough cells together.
    """
    if not count:
        return []
    schema, every = population(table).declared, questions(table)
    fits = [
        place
        for place, (_, one) in enumerate(every)
        if schema.domain.cells(one.columns) <= MOST_CELLS
    ]
    chosen = list[int]()
    for kind in REGRESSIONS:
        if own := [place for place in fits if every[place][0] == kind]:
            chosen.append(int(rng.choice(own)))
    others = [place for place in fits if every[place][0] not in REGRESSIONS]
    return [*chosen, *rng.choice(others, count - len(chosen), replace=False).tolist()]


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
        low, high = estimate.low, estimate.high
        return float(np.log(high / low)) / 2 if low > 0 else float("inf")
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
    width = float(np.median(own["width"]))
    return {
        "asked": len(own["covered"]),
        "covered": int(np.sum(own["covered"])),
        "naive": int(np.sum(own["naive"])),
        "bounded": int(np.sum(own["bounded"])),
        "width": round(width, 4) if np.isfinite(width) else None,  # of intervals without an end
    }


# Text


def chosen(found: Sequence[Record], **wanted: object) -> list[Record]:
    """Return the records that have all of these values."""
    return [record for record in found if wanted.items() <= record.items()]


def pooled(found: Sequence[Record], key: str, **wanted: object) -> tuple[int, ...]:
    """Return how many intervals were asked, covered, and of rows taken for real, over records.

    ``key`` is a kind of question or what is known of its columns; empty for all.
    """
    own = [
        values
        for record in chosen(found, **wanted)
        for name, values in record["values"].items()  # type: ignore[attr-defined]
        if not key or key in name.split("; ")
    ]
    return tuple(int(sum(one[of] for one in own)) for of in ("asked", "covered", "naive"))


def width(found: Sequence[Record], key: str, **wanted: object) -> float:
    """Return the median width over that of a direct answer, each kind weighing by its questions."""
    own = [
        (np.inf if values["width"] is None else float(values["width"]), int(values["asked"]))
        for record in chosen(found, **wanted)
        for name, values in record["values"].items()  # type: ignore[attr-defined]
        if not key or key in name.split("; ")
    ]
    widths, weights = (np.array(part) for part in zip(*sorted(own), strict=True))
    place = np.searchsorted(np.cumsum(weights), weights.sum() / 2)
    return float(widths[place])


def shown(covered: int, asked: int) -> str:
    """Return a share in percent with its interval of Clopper and Pearson (1934).

    Questions of one release are not independent of each other: the interval is narrower than that
    of releases would be.
    """
    low = stats.beta.ppf(0.025, covered, asked - covered + 1) if covered else 0.0
    high = stats.beta.ppf(0.975, covered + 1, asked - covered) if covered < asked else 1.0
    return f"{100 * covered / asked:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def table_of(found: Sequence[Record], keys: Sequence[str], first: str, **wanted: object) -> str:
    """Return a line for each kind of question."""
    lines = []
    for key in keys:
        asked, covered, naive = pooled(found, key, **wanted)
        if asked:
            wide = f"{width(found, key, **wanted):.2f}"
            own = [shown(covered, asked), f"{100 * naive / asked:.1f}"]
            lines.append([key, f"{asked:,}", *own, wide])
    head = [first, "intervals", "cover, %", "rows taken for real, %", "width over direct"]
    return markdown(head, lines)


def methods_table(found: Sequence[Record]) -> str:
    """Return a line for each method, epsilon and number of records, by what is known."""
    lines = []
    settings = {(r["synthesizer"], r["records"], r["epsilon"]) for r in found}
    for method, records, epsilon in sorted(settings, key=str):
        own = {"synthesizer": method, "records": records, "epsilon": epsilon}
        releases = len(chosen(found, **own))
        cells = []
        for key in KNOWN:
            asked, covered, _ = pooled(found, key, **own)
            cells.append(f"{100 * covered / asked:.1f}" if asked else "-")
        row = [named(str(method)), f"{records:,}", f"{epsilon:g}", str(releases), *cells]
        lines.append([*row, f"{width(found, '', **own):.2f}"])
    head = ["method", "records", "ε", "releases", *KNOWN, "width over direct"]
    return markdown(head, lines)


def declared_table(found: Sequence[Record]) -> str:
    """Return a line for each method and kind of question that was declared."""
    lines = []
    for method in ("clique_tree", "independent"):
        own = [r for r in chosen(found, synthesizer=method) if r["declared"]]
        for kind in (*REGRESSIONS, DECLARED):
            asked, covered, naive = pooled(own, kind)
            if asked:
                shares = [shown(covered, asked), f"{100 * naive / asked:.1f}"]
                name = "all" if kind == DECLARED else kind
                row = [named(method), name, f"{asked:,}", *shares, f"{width(own, kind):.2f}"]
                lines.append(row)
    head = ["method", "question, declared", "intervals", "cover, %", "rows taken for real, %"]
    return markdown([*head, "width over direct"], lines)


def texts() -> dict[str, str]:
    """Return what the README says in numbers."""
    found = read(HERE / RECORDS)
    own = {"synthesizer": "clique_tree", "declared": 0}
    parts = {name: pooled(found, name, **own) for name in KNOWN}
    return {
        "releases": str(len(found)),
        "questions": str(QUESTIONS),
        "of clique tree": str(len(chosen(found, **own))),
        "kinds": table_of(found, KINDS, "question, clique tree", **own),
        "known": table_of(found, KNOWN, "columns, clique tree", **own),
        "methods": methods_table(chosen(found, declared=0)),
        "declared": declared_table(found),
        "alone": f"{100 * parts[ALONE][1] / parts[ALONE][0]:.1f}",
        "measured": f"{100 * parts[MEASURED][1] / parts[MEASURED][0]:.1f}",
        "unmeasured": f"{100 * parts[UNMEASURED][1] / parts[UNMEASURED][0]:.1f}",
        "more": f"{100 * parts[MORE][1] / parts[MORE][0]:.1f}",
        "naive": f"{100 * parts[UNMEASURED][2] / parts[UNMEASURED][0]:.1f}",
    }


# Draw


def draw() -> Figure:
    """Return how many intervals of each kind hold the population's value, and of rows so taken."""
    found = chosen(read(HERE / RECORDS), synthesizer="clique_tree", declared=0)
    kinds = [kind for kind in KINDS if pooled(found, kind)[0]]
    figure = new_figure(FULL_WIDTH, 3.6)
    axes = figure.subplots()
    places = np.arange(len(kinds))[::-1]
    for place, (title, marker) in enumerate(
        (("interval of the release", "o"), ("rows taken for real", "x")), 1
    ):
        shares = [100 * pooled(found, k)[place] / pooled(found, k)[0] for k in kinds]
        axes.plot(shares, places, marker, label=title)
    axes.axvline(100 * LEVEL, color="0.5", linestyle="--", label="nominal")
    axes.set(xlabel="intervals that hold the population's value, %", xlim=(0, 101))
    axes.set_yticks(places, kinds)
    note = "clique tree, δ = 1e-06; three populations, all numbers of records and epsilons"
    below(figure, [axes], note, message="Which intervals hold")
    return figure


EXPERIMENT = Experiment(HERE, (HERE / RECORDS,), texts, draw, measure)
