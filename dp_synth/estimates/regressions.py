"""Regressions: linear and logistic coefficients over a distribution, with their influences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from scipy.linalg import hadamard
from scipy.special import expit, log_expit

from dp_synth.errors import InputError
from dp_synth.estimates.formula import Coefficient, Formula, coefficients, read_formula
from dp_synth.estimates.functionals import Distribution, Evaluated
from dp_synth.estimates.grammar import given_of, spelled, spelled_name
from dp_synth.estimates.groups import (
    Conditions,
    Group,
    column_of_numbers,
    has_numbers,
    ordinary_codes,
)
from dp_synth.estimates.questions import Question, check_share
from dp_synth.sampling import attribute_of
from dp_synth.schema import DiscreteColumn, IdColumn, Schema
from dp_synth.types import Flags, Floats

COLLINEAR = 1e-10  # of a column's square, by which it must differ from what the others tell
MOST_CROSSED = 4  # columns whose numbers vary inside cells, each against each
MOST_STEPS = 50
CONVERGED = 1e-10  # in the logarithm of odds
SEPARATED = (
    "the terms tell some values of the response for certain, so that coefficients are infinite; "
    "leave out a term"
)


@dataclass(frozen=True)
class Regression(Question):
    """The coefficients of a linear regression, or of a logistic one of a two-valued response.

    ``formula`` is as in `read_formula`. Columns with numbers are numbers, all others are compared
    with their first possible category. Records with a missing mark in any of its columns are left
    out. A logistic response names its event, ``Y=V``; of two categories the last one is meant.
    """

    formula: str
    where: Conditions = field(default_factory=dict)
    logistic: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "formula", self.formula.strip())
        if read_formula(self.formula).event is not None and not self.logistic:
            raise InputError(
                f"formula {self.formula!r}: a linear response is a column alone; ask "
                f"'logistic {self.formula}' for the odds of one of its values"
            )

    def _asked(self) -> Iterable[str]:
        return read_formula(self.formula).columns

    def check(self, schema: Schema) -> None:
        """Raise InputError for unknown columns, and for a response of the wrong kind."""
        formula = read_formula(self.formula)
        for name in formula.columns:
            attribute_of(schema, name)
        Group.of(schema, self.where)
        if self.logistic:
            Group.of(schema, self.where, _event(schema, formula))
        else:
            column_of_numbers(schema, formula.response)

    def evaluate(self, distribution: Distribution) -> Evaluated:
        """Return the coefficients over the group's complete records.

        InputError where terms are collinear, or where they separate the two values.
        """
        self.check(distribution.schema)
        formula, group = read_formula(self.formula), Group.of(distribution.schema, self.where)
        inside = distribution.within(group)
        response = self._response(distribution, formula, group, inside)
        inside = np.where(_complete(distribution, formula), inside, 0.0)
        inside[np.isnan(response)] = 0.0
        design = Design.of(distribution, formula, group, inside)
        inside = design.inside
        share = float(distribution.weights @ inside)
        check_share(share, [self.where], *formula.columns)
        names = tuple(one.name for one in design.coefficients)
        response = np.where(inside > 0, response, 0.0)
        fitted = _logistic if self.logistic else _linear
        try:
            values, influences = fitted(design, distribution.weights, response)
        except _Undetermined as error:
            raise InputError(f"{self}: {error}") from None
        return Evaluated(names, values, influences, (share,))

    def _response(
        self, distribution: Distribution, formula: Formula, group: Group, inside: Floats
    ) -> Floats:
        """Return the mean of the response in each cell: its number, or the share of the event."""
        if not self.logistic:
            return distribution.numbers(group, formula.response)[0]
        schema = distribution.schema
        having = distribution.within(Group.of(schema, self.where, _event(schema, formula)))
        return np.divide(having, inside, out=np.zeros(len(inside)), where=inside > 0)

    def __str__(self) -> str:
        where = f" where {spelled(self.where)}" if self.where else ""
        return f"{'logistic' if self.logistic else 'linear'} {self.formula}{where}"


def _event(schema: Schema, formula: Formula) -> Conditions:
    """Return the event of a logistic response; InputError where none is named among several."""
    name = formula.response
    if formula.event is not None:
        return given_of(schema, {name: formula.event})
    column = schema.column(attribute_of(schema, name))
    if isinstance(column, DiscreteColumn) and len(column.texts) == 2:
        return {name: column.texts[-1]}
    if not isinstance(column, (DiscreteColumn, IdColumn)):
        grid = column.grid
        if grid.whole and grid.upper - grid.lower == 1:
            return {name: column.written(np.array([grid.upper])).tolist()[0]}
    raise InputError(
        f"column {name!r} is not two-valued; name the event, as in "
        f"'logistic {spelled_name(name)}=VALUE ~ ...'"
    )


def _complete(distribution: Distribution, formula: Formula) -> Flags:
    """Return which cells have no missing mark in any column of a formula."""
    complete = np.ones(len(distribution), dtype=bool)
    for name in formula.columns:
        column = distribution.schema.column(name)
        assert not isinstance(column, IdColumn)  # a release has none
        codes = distribution.codes[:, distribution.axis(name)]
        complete &= codes < ordinary_codes(column)
    return complete


class _Undetermined(Exception):
    """The distribution does not tell what the coefficients are."""


@dataclass(frozen=True, eq=False)
class Design:
    """The columns of a regression over a distribution's cells, and each cell's part in it.

    Numbers vary inside cells. A cell stands for points at one standard deviation to either side of
    its mean in each such column, so that means, variances and products of different columns are
    those of the records in it: of more than `MOST_CROSSED` columns those of any three.
    """

    coefficients: tuple[Coefficient, ...]
    distribution: Distribution
    inside: Floats
    numbers: Mapping[str, tuple[Floats, Floats]]  # mean and standard deviation in each cell

    @classmethod
    def of(
        cls, distribution: Distribution, formula: Formula, group: Group, inside: Floats
    ) -> Design:
        """Return the design of a formula's terms; records without a number are left out.

        InputError for a category that is the only one.
        """
        schema = distribution.schema
        numbers: dict[str, tuple[Floats, Floats]] = {}
        for name in formula.predictors:
            if has_numbers(schema, name):
                means, variances = distribution.numbers(group, name)
                inside = np.where(np.isnan(means), 0.0, inside)
                numbers[name] = means, np.sqrt(variances)
        for name, found in numbers.items():
            numbers[name] = tuple(np.where(inside > 0, one, 0.0) for one in found)  # type: ignore[assignment]
        levels: dict[str, list[int]] = {}
        texts: dict[str, tuple[str, ...]] = {}
        for name in set(formula.predictors) - set(numbers):
            column = schema.discrete(name)
            codes = distribution.codes[:, distribution.axis(name)]
            counts = np.bincount(codes, distribution.weights * inside, column.size)
            levels[name], texts[name] = np.flatnonzero(counts > 0).tolist(), column.texts
            if len(levels[name]) == 1:
                raise InputError(
                    f"column {name!r} is {column.texts[levels[name][0]]!r} in all records of the "
                    "regression; leave it out"
                )
        return cls(tuple(coefficients(formula.terms, levels, texts)), distribution, inside, numbers)

    def averaged(self, of: Callable[[Floats], Floats]) -> Floats:
        """Return the mean over the points of what ``of`` says of the design at each."""
        total, count = np.zeros(()), 0
        for rows in self.points():
            total, count = total + of(rows), count + 1
        return total / count

    def points(self) -> Iterator[Floats]:
        """Yield the design at each of its cells' points, all of equal weight; (cells, k)."""
        vary = [name for name, (_, off) in self.numbers.items() if off.any()]
        for signs in _signs(len(vary)):
            side = dict(zip(vary, signs, strict=True))
            at = {
                name: means + side.get(name, 0.0) * off
                for name, (means, off) in self.numbers.items()
            }
            yield self._rows(at)

    def _rows(self, numbers: Mapping[str, Floats]) -> Floats:
        rows = np.ones((len(self.distribution), len(self.coefficients)))
        for j, one in enumerate(self.coefficients):
            for name in one.numbers:
                rows[:, j] *= numbers[name]
            for name, code in one.codes.items():
                rows[:, j] *= self.distribution.codes[:, self.distribution.axis(name)] == code
        return rows


def _signs(columns: int) -> list[tuple[float, ...]]:
    """Return the sides of the points: all, or of many columns as few as balance any three."""
    if columns <= MOST_CROSSED:
        return list(product((-1.0, 1.0), repeat=columns))
    order = 2 ** int(np.ceil(np.log2(columns + 1)))
    half = hadamard(order).astype(float)[:, 1 : columns + 1]
    return [tuple(row) for row in np.concatenate([half, -half]).tolist()]


def _linear(design: Design, weights: Floats, response: Floats) -> tuple[Floats, Floats]:
    """Return the coefficients of least squares, and their influences (cells, k).

    These are ``H^-1 x (y - x b)`` with ``H`` the mean of ``x x'`` (Hampel, Ronchetti, Rousseeuw
    & Stahel 1986, section 6.2).
    """
    mass = weights * design.inside
    squares = _squares(design, mass)
    products = design.averaged(lambda rows: rows.T @ (mass * response))
    values = np.asarray(np.linalg.solve(squares, products), dtype=np.float64)
    scores = design.averaged(lambda rows: rows * (response - rows @ values)[:, None])
    return values, _influences(design, squares, scores)


def _logistic(design: Design, weights: Floats, response: Floats) -> tuple[Floats, Floats]:
    """Return the coefficients of greatest likelihood by Newton's steps, and their influences.

    These are ``H^-1 x (y - mu)`` with ``H`` the mean of ``mu (1 - mu) x x'``.
    """
    mass = weights * design.inside
    _squares(design, mass)
    values = np.zeros(len(design.coefficients))
    for _ in range(MOST_STEPS):
        scores, curvature = _slopes(design, mass, response, values)
        step = _newton_step(curvature, mass @ scores)
        before = _log_likelihood(design, mass, response, values)
        while _log_likelihood(design, mass, response, values + step) < before - CONVERGED:
            step = step / 2
        values = values + step
        if max(np.abs(rows @ step)[mass > 0].max() for rows in design.points()) < CONVERGED:
            scores, curvature = _slopes(design, mass, response, values)
            return values, _influences(design, curvature, scores)
    raise _Undetermined(SEPARATED)


def _newton_step(curvature: Floats, slope: Floats) -> Floats:
    try:
        return np.asarray(np.linalg.solve(curvature, slope), dtype=np.float64)
    except np.linalg.LinAlgError:
        raise _Undetermined(SEPARATED) from None


def _influences(design: Design, curvature: Floats, scores: Floats) -> Floats:
    """Return ``H^-1`` times each cell's scores."""
    found = np.linalg.solve(curvature, (design.inside[:, None] * scores).T).T
    return np.asarray(found, dtype=np.float64)


def _slopes(
    design: Design, mass: Floats, response: Floats, values: Floats
) -> tuple[Floats, Floats]:
    """Return the derivatives of each cell's log likelihood, and the mean curvature."""

    def curved(rows: Floats) -> Floats:
        chances = expit(rows @ values)
        return np.asarray(rows.T @ ((mass * chances * (1 - chances))[:, None] * rows))

    scores = design.averaged(lambda rows: rows * (response - expit(rows @ values))[:, None])
    return scores, design.averaged(curved)


def _log_likelihood(design: Design, mass: Floats, response: Floats, values: Floats) -> float:
    def of_cells(rows: Floats) -> Floats:
        odds = rows @ values
        return np.asarray(response * log_expit(odds) + (1 - response) * log_expit(-odds))

    return float(mass @ design.averaged(of_cells))


def _squares(design: Design, mass: Floats) -> Floats:
    """Return the mean of ``x x'``, for whose columns none is a sum of the others."""
    squares = design.averaged(lambda rows: rows.T @ (mass[:, None] * rows))
    _check_determined(design, squares)
    return squares


def _check_determined(design: Design, squares: Floats) -> None:
    """Raise for a column of the design that is a sum of those before it."""
    sizes = np.sqrt(np.diag(squares))
    scaled = squares / np.outer(*[np.where(sizes > 0, sizes, 1.0)] * 2)
    if np.linalg.eigvalsh(scaled)[0] > COLLINEAR:
        return
    left = [
        scaled[j, j] - scaled[j, :j] @ np.linalg.lstsq(scaled[:j, :j], scaled[:j, j])[0]
        for j in range(len(sizes))
    ]
    name = design.coefficients[int(np.argmin(left))].name
    raise _Undetermined(f"the other terms tell all of {name!r} (collinear); leave out one of them")
