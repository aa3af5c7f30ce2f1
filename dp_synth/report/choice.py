"""Choice of a budget: risk beside noise and expected error, before any record is read.

The errors are those of fits to a *surrogate*: rows that are drawn from the public schema alone.
They say how much noise hides at this size, not what real rows look like, and never leave here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dp_synth.accounting import Accountant, PrivacyBudget, compose
from dp_synth.accounting.dominating_gaussian import summarized
from dp_synth.accounting.risk_target import largest_advantage, largest_tpr
from dp_synth.errors import InputError
from dp_synth.metrics.fidelity import workload_error
from dp_synth.records import Spread
from dp_synth.schema import Schema
from dp_synth.synthesizers import Synthesizer

ADVANTAGES = (0.02, 0.05, 0.1, 0.2, 0.4)
"""Risks that are compared unless others are named."""

REPEATS = 3
FPR = 0.01  # at which the largest true-positive rate is told
FOLLOWS = 0.5  # share of surrogate cells that follow the column before them
STEEP = 1.0  # exponent of the shares of a surrogate column's cells, by rank (Zipf)
MOST_ROWS = 200_000
SURROGATE = "no record was read: errors are of a surrogate drawn from the schema alone, not of data"
UNPRIVATE = "fresh rows, no noise"


@dataclass(frozen=True)
class Option:
    """A budget, what it lets attacks do, and what it costs.

    ``advantage``, ``epsilon``, ``tpr`` (at `FPR`) and ``mu`` are certified upper bounds for the
    plan of the synthesizer, mu but for a chance that `summarized` leaves out; ``noise`` is the
    standard deviation on one count of records, were it the only question. ``errors`` are the mean
    total variations of pairs of columns, one a fit to a surrogate, between its rows and those of
    the release.
    """

    risk: str
    advantage: float
    epsilon: float
    delta: float
    tpr: float
    mu: float
    noise: float
    errors: tuple[float, ...]

    @property
    def error(self) -> Spread | None:
        """Mean of the errors and its interval; None where nothing was fitted."""
        return Spread.of(self.errors) if self.errors else None


@dataclass(frozen=True)
class Choice:
    """Budgets side by side. ``floor`` are the errors of fresh surrogate rows in place of a release.

    ``surrogate`` says in words that no record was read.
    """

    schema: str
    synthesizer: str
    rows: int
    options: tuple[Option, ...]
    floor: tuple[float, ...]
    surrogate: str = SURROGATE

    def points(self) -> pd.DataFrame:
        """Return a row an option: ``advantage, noise, error, low, high``."""
        found = [(one, one.error) for one in self.options]
        return pd.DataFrame(
            {
                "advantage": [one.advantage for one, _ in found],
                "noise": [one.noise for one, _ in found],
                "error": [math.nan if own is None else own.mean for _, own in found],
                "half": [math.nan if own is None else own.half for _, own in found],
            }
        )


def options_for(
    recipe: Synthesizer,
    schema: Schema,
    rows: int,
    budgets: Sequence[PrivacyBudget] = (),
    *,
    repeats: int = REPEATS,
    seed: int = 0,
) -> Choice:
    """Return what each budget costs a table of ``rows`` records that has this schema.

    Those of `ADVANTAGES` unless others are given. With ``repeats`` 0 nothing is fitted. No record
    is read, and nothing is spent. InputError for a risk that no noise reaches, and for a schema or
    a number of rows that the synthesizer cannot have.
    """
    if not 1 <= rows <= MOST_ROWS:
        raise InputError(
            f"rows must lie between 1 and {MOST_ROWS:,} for a surrogate, got {rows:,}; the noise "
            "does not depend on them, and errors of more rows are smaller still"
        )
    budgets = budgets or [PrivacyBudget.from_risk(advantage=one) for one in ADVANTAGES]
    for budget in budgets:
        recipe.check_budget(schema, budget)
    tables = [_surrogate(schema, rows, (seed, i)) for i in range(repeats)]
    fresh = [_surrogate(schema, rows, (seed, i, 1)) for i in range(repeats)]
    floor = [_error(one, other, schema) for one, other in zip(tables, fresh, strict=True)]
    options = [_option(recipe, schema, budget, tables, seed) for budget in budgets]
    return Choice(schema.name, recipe.name, rows, tuple(options), tuple(floor))


def _option(
    recipe: Synthesizer,
    schema: Schema,
    budget: PrivacyBudget,
    tables: Sequence[pd.DataFrame],
    seed: int,
) -> Option:
    accountant = Accountant(budget, simulate=True)
    plans = accountant.check({recipe.name: (recipe.charges(schema.widest().domain), 1.0)})
    curve = compose(event for plan in plans.values() for event in plan.events())
    mu = summarized(curve).mu
    errors = []
    for repeat, table in enumerate(tables):
        payer = Accountant(budget, simulate=True)
        release = recipe.fit(table, schema, payer, seed=seed + repeat)
        made = release.sample(len(table), seed=seed + repeat)
        errors.append(_error(table, made, schema))
    return Option(
        risk=budget.said,
        advantage=largest_advantage(curve),
        epsilon=curve.epsilon(budget.delta),
        delta=budget.delta,
        tpr=largest_tpr(curve, FPR),
        mu=mu,
        noise=1 / mu if mu else math.inf,
        errors=tuple(errors),
    )


def _error(one: pd.DataFrame, other: pd.DataFrame, schema: Schema) -> float:
    degree = min(2, len(schema.synthesized()))
    return workload_error(one, other, schema, degree).value


def _surrogate(schema: Schema, rows: int, key: tuple[int, ...]) -> pd.DataFrame:
    """Return rows that the schema alone decides, in its cells.

    Shares of a column's cells fall as one over their rank, in an order drawn by the first number
    of ``key``; half of the cells have the rank, in parts of all, of the column before them. So
    columns are uneven and depend on each other, as those of people do, and on nothing else.
    """
    layout, rng = np.random.default_rng(key[0]), np.random.default_rng(key)
    domain = schema.widest().domain
    drawn, before = np.zeros((rows, len(domain.sizes)), dtype=np.int64), rng.random(rows)
    for i, size in enumerate(domain.sizes):
        shares = 1 / np.arange(1, size + 1) ** STEEP
        ends = np.cumsum(shares / shares.sum())
        before = np.where(rng.random(rows) < FOLLOWS, before, rng.random(rows))
        ranks = np.minimum(np.searchsorted(ends, before), size - 1)
        drawn[:, i] = layout.permutation(size)[ranks]
    return schema.widest().decode(drawn, rng)
