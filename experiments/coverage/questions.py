"""Questions about a population that a seeded generator draws, over kinds and columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

import dp_synth as dps
from dp_synth.estimates import (
    Correlation,
    Count,
    Difference,
    Distribution,
    Evaluated,
    Mean,
    OddsRatio,
    Quantile,
    Question,
    Regression,
    RiskRatio,
    Share,
)
from dp_synth.estimates.groups import Group, column_of_numbers
from dp_synth.types import Codes, Floats

Given = dict[str, object]

LEAST_GROUP = 0.05  # of the population: smaller groups are not asked of
LEAST_RISK = 0.02  # of a group that has an event, or has not
LEVELS = (0.25, 0.5, 0.75, 0.9)
MOST_CODES = 120  # of a column in a regression
PREDICTORS = 3
TRIES = 200


@dataclass(frozen=True, eq=False)
class Population:
    """Records whose statistics are the truth, and their codes over a schema that is exact.

    ``declared`` is the schema that a fit is told.
    """

    declared: dps.Schema
    schema: dps.Schema
    rows: pd.DataFrame
    codes: Codes = field(repr=False)

    def answer(self, question: Question, records: int) -> tuple[Evaluated, Floats]:
        """Return the value of a question here, scaled to so many records, and its variances.

        These are of a single record's influence, one a value.
        """
        axes = [self.schema.domain.axis(name) for name in question.columns]
        cells, counts = np.unique(self.codes[:, axes], axis=0, return_counts=True)
        weights = counts / counts.sum()
        here = Distribution(self.schema, question.columns, cells, weights, float(records))
        found = question.evaluate(here)
        return found, weights @ np.square(found.influences)


class Generator:
    """Draws questions that have an answer: groups and events that are not too rare."""

    def __init__(self, population: Population, seed: int) -> None:
        self.population, self.rng = population, np.random.default_rng(seed)
        self.names = list(population.schema.names)
        self.numbers = [name for name in self.names if self._has_numbers(name)]

    def draw(self, count: int) -> list[tuple[str, Question]]:
        """Return so many questions with their kinds, which take turns; no question twice."""
        makers = list(self._makers().items())
        found: dict[str, tuple[str, Question]] = {}
        failed = 0
        while len(found) < count and makers:
            kind, make = makers[len(found) % len(makers)]
            question = self._asked(make)
            is_new = question is not None and str(question) not in found
            failed = 0 if is_new else failed + 1
            if question is not None and is_new:
                found[str(question)] = (kind, question)
            elif failed == TRIES:  # the table has no such question, or no more
                makers.remove((kind, make))
                failed = 0
        return list(found.values())

    def _asked(self, make: Callable[[], Question]) -> Question | None:
        """Return a question that has an answer in groups and of events that are common."""
        try:
            question = make()
            question.check(self.population.schema)
            answered, _ = self.population.answer(question, 1)
        except (dps.InputError, ValueError):
            return None
        is_common = min(answered.groups) >= LEAST_GROUP and self._is_common(question)
        return question if is_common else None

    def _makers(self) -> Mapping[str, Callable[[], Question]]:
        return {
            "count": lambda: Count(self._group(1 + int(self.rng.integers(2)))),
            "share": lambda: Share(event := self._group(1), self._perhaps(event)),
            "mean": lambda: Mean(name := self._number(), self._perhaps({name: 0})),
            "quantile": lambda: Quantile(
                name := self._number(), float(self.rng.choice(LEVELS)), self._perhaps({name: 0})
            ),
            "difference of means": lambda: Difference(
                Mean(name := self._number()), *self._two({name: 0})
            ),
            "difference of shares": lambda: Difference(
                Share(event := self._group(1)), *self._two(event)
            ),
            "risk ratio": lambda: RiskRatio(event := self._group(1), *self._two(event)),
            "odds ratio": lambda: OddsRatio(event := self._group(1), *self._two(event)),
            "correlation": lambda: Correlation(*sorted(self._some(self.numbers, 2))),
            "linear regression": self._linear,
            "logistic regression": self._logistic,
        }

    def _linear(self) -> Question:
        response = self._number()
        terms = self._some([name for name in self._regressors() if name != response], PREDICTORS)
        return Regression(f"{_quoted([response])} ~ {_quoted(terms)}")

    def _logistic(self) -> Question:
        schema = self.population.schema
        two = [name for name in self.names if schema.domain.size(name) == 2]
        if not two:
            raise dps.InputError("no column has two values")
        response = self._some(two, 1)[0]
        terms = self._some([name for name in self._regressors() if name != response], PREDICTORS)
        return Regression(f"{_quoted([response])} ~ {_quoted(terms)}", logistic=True)

    def _regressors(self) -> list[str]:
        sizes = self.population.schema.domain
        return [name for name in self.names if sizes.size(name) <= MOST_CODES]

    def _has_numbers(self, name: str) -> bool:
        try:
            column_of_numbers(self.population.schema, name)
        except dps.InputError:
            return False
        return self.population.schema.domain.size(name) > 2

    def _number(self) -> str:
        return self._some(self.numbers, 1)[0]

    def _some(self, names: Sequence[str], count: int) -> list[str]:
        return [str(name) for name in self.rng.choice(list(names), count, replace=False)]

    def _value(self, name: str) -> object:
        """Return a value as a record has it, or a range between those of two records."""
        column = self.population.rows[name]
        if name not in self.numbers:
            return str(column.iloc[int(self.rng.integers(len(column)))])
        numbers = pd.to_numeric(column, errors="coerce").dropna().to_numpy()
        low, high = np.sort(self.rng.choice(numbers, 2))
        return (_plain(low), _plain(high))

    def _group(self, count: int, but: Mapping[str, object] | None = None) -> Given:
        names = [name for name in self.names if name not in (but or {})]
        return {name: self._value(name) for name in self._some(names, count)}

    def _perhaps(self, but: Mapping[str, object]) -> Given:
        return self._group(1, but) if self.rng.random() < 0.5 else {}

    def _two(self, but: Mapping[str, object]) -> tuple[Given, Given]:
        """Return two values of one column; of numbers, those up to the median and those above."""
        (name,) = self._some([name for name in self.names if name not in but], 1)
        if name not in self.numbers:
            return {name: self._value(name)}, {name: self._value(name)}
        numbers = pd.to_numeric(self.population.rows[name], errors="coerce").dropna()
        middle = numbers.median()
        above = numbers[numbers > middle]
        return (
            {name: (_plain(numbers.min()), _plain(middle))},
            {name: (_plain(above.min()), _plain(numbers.max()))},
        )

    def _is_common(self, question: Question) -> bool:
        """Tell whether an event is neither too rare nor too common in each of its groups."""
        of = question.of if isinstance(question, Difference) else question
        if not isinstance(of, (Share, RiskRatio, OddsRatio)):
            return True
        if getattr(question, "first", None) == getattr(question, "second", 0):
            return False
        sides = [getattr(question, side) for side in ("first", "second") if hasattr(question, side)]
        schema = self.population.schema
        for side in sides or [{}]:
            inside = Group.of(schema, of.where, side)
            event = Group.of(schema, of.where, side, of.event)
            both, group = (self._share(one) for one in (event, inside))
            if not LEAST_RISK <= both / group <= 1 - LEAST_RISK:
                return False
        return True

    def _share(self, group: Group) -> float:
        parts = np.ones(len(self.population.codes))
        for name, part in group.parts.items():
            parts *= part.weights[
                self.population.codes[:, self.population.schema.domain.axis(name)]
            ]
        return float(parts.mean())


def _plain(number: float) -> int | float:
    return int(number) if float(number).is_integer() else float(number)


def _quoted(names: Sequence[str]) -> str:
    return " + ".join(f"`{name}`" for name in names)
