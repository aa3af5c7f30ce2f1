"""Questions about records: counts, shares, means, quantiles, and comparisons of two groups."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, fields
from typing import ClassVar

import numpy as np
import pandas as pd

from dp_synth.errors import InputError
from dp_synth.estimates import functionals
from dp_synth.estimates.functionals import Distribution, Evaluated
from dp_synth.estimates.grammar import spelled, spelled_name
from dp_synth.estimates.groups import Conditions, Group, column_of_numbers
from dp_synth.schema import Schema
from dp_synth.types import Clique, Floats


@dataclass(frozen=True)
class Question(ABC):
    """A number, or some, that the records of a release answer.

    What is given of columns is as in `Release.sample`: a value, a list of values, or a range
    ``(low, high)``. ``str`` gives the text that `read_question` takes.
    """

    givens: ClassVar[tuple[str, ...]] = ("event", "first", "second", "where")

    def __post_init__(self) -> None:
        for one in fields(self):
            given = getattr(self, one.name)
            if one.name in self.givens and isinstance(given, Mapping):
                plain = {str(name): _plain(wanted) for name, wanted in given.items()}
                object.__setattr__(self, one.name, plain)

    @property
    def columns(self) -> Clique:
        """The names of the columns that it asks of, each once, what is given of them last."""
        given = [getattr(self, name, {}) for name in self.givens]
        names = [name for one in given if isinstance(one, Mapping) for name in one]
        return tuple(dict.fromkeys([*self._asked(), *names]))

    @property
    def possible(self) -> tuple[float, float]:
        """The least and the largest number that any records can have."""
        return -math.inf, math.inf

    def _asked(self) -> Iterable[str]:
        """Return the columns that it asks of beside those of which something is given."""
        return ()

    @abstractmethod
    def check(self, schema: Schema) -> None:
        """Raise InputError where the columns of a schema can have no answer."""

    @abstractmethod
    def evaluate(self, distribution: Distribution) -> Evaluated:
        """Return the answer that a distribution over `columns` gives, with its influences.

        InputError where a group has none of its records.
        """


@dataclass(frozen=True)
class Count(Question):
    """The number of records."""

    where: Conditions = field(default_factory=dict)

    @property
    def possible(self) -> tuple[float, float]:
        """From 0."""
        return 0.0, math.inf

    def check(self, schema: Schema) -> None:
        """Raise InputError for what is given of unknown columns, or of none of their values."""
        Group.of(schema, self.where)

    def evaluate(self, distribution: Distribution) -> Evaluated:
        """Return the distribution's total times the group's share; 0 where there is none."""
        inside = distribution.within(Group.of(distribution.schema, self.where))
        share = float(distribution.weights @ inside)
        total = distribution.total
        return Evaluated.single("count", total * share, total * (inside - share), [share])

    def __str__(self) -> str:
        return f"count{_where(self.where)}"


class OfGroup(Question):
    """A number of one group of records, which two groups may be compared by."""

    where: Conditions

    def check(self, schema: Schema) -> None:
        """Raise InputError as `check_among` does, of the question's own group."""
        self.check_among(schema, self.where)

    def evaluate(self, distribution: Distribution) -> Evaluated:
        """Return the answer of the question's own group."""
        return self.among(distribution, self.where)

    def __str__(self) -> str:
        return self._spelled()

    @abstractmethod
    def check_among(self, schema: Schema, *groups: Conditions) -> None:
        """Raise InputError where records that meet all of ``groups`` can have no answer."""

    @abstractmethod
    def among(self, distribution: Distribution, *groups: Conditions) -> Evaluated:
        """Return the answer of the records that meet all of ``groups``."""

    @abstractmethod
    def _spelled(self, between: str = "") -> str:
        """Return the text that reads back, with what it is compared between."""


class OfNumbers(OfGroup):
    """A number of a group's numbers in one column."""

    column: str

    def _asked(self) -> Iterable[str]:
        return (self.column,)

    def check_among(self, schema: Schema, *groups: Conditions) -> None:
        """Raise InputError for a column of no numbers, and as `Count` does."""
        column_of_numbers(schema, self.column)
        Group.of(schema, *groups)


@dataclass(frozen=True)
class Share(OfGroup):
    """The share of records ``where`` that are as ``event`` says; missing marks are not."""

    event: Conditions
    where: Conditions = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_event(self.event)

    @property
    def possible(self) -> tuple[float, float]:
        """From 0 to 1."""
        return 0.0, 1.0

    def check_among(self, schema: Schema, *groups: Conditions) -> None:
        """Raise InputError as `Count` does, and where event and groups exclude each other."""
        Group.of(schema, *groups, self.event)

    def among(self, distribution: Distribution, *groups: Conditions) -> Evaluated:
        """Return the share of the records of ``groups`` that have the event."""
        value, influence, share = _risk(distribution, self.event, groups)
        return Evaluated.single("share", value, influence, [share])

    def _spelled(self, between: str = "") -> str:
        return f"share {spelled(self.event)}{between}{_where(self.where)}"


@dataclass(frozen=True)
class Mean(OfNumbers):
    """The mean of a column's numbers, missing ones left out; dates in steps since 1970."""

    column: str
    where: Conditions = field(default_factory=dict)

    def among(self, distribution: Distribution, *groups: Conditions) -> Evaluated:
        """Return the mean over the records of ``groups`` that have a number."""
        group = Group.of(distribution.schema, *groups)
        numbers, _ = distribution.numbers(group, self.column)
        value, influence, share = functionals.mean(
            distribution.weights, distribution.within(group), numbers
        )
        check_share(share, groups, self.column)
        return Evaluated.single("mean", value, influence, [share])

    def _spelled(self, between: str = "") -> str:
        return f"mean {spelled_name(self.column)}{between}{_where(self.where)}"


@dataclass(frozen=True)
class Quantile(OfNumbers):
    """The number that a part ``level`` of a column's numbers do not exceed; .5 is the median."""

    column: str
    level: float
    where: Conditions = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.level < 1:
            raise InputError(f"the level of a quantile lies between 0 and 1, got {self.level}")

    def among(self, distribution: Distribution, *groups: Conditions) -> Evaluated:
        """Return the quantile over the numbers of ``groups``, with its inverse."""
        group = Group.of(distribution.schema, *groups)
        value, influence, share, inverse = functionals.quantile(
            distribution, group, self.column, self.level
        )
        check_share(share, groups, self.column)
        values, influences = np.array([value]), influence[:, None]
        return Evaluated((self.noun,), values, influences, (share,), inverse=inverse)

    @property
    def noun(self) -> str:
        """What it is called, in tables and in its text."""
        return "median" if self.level == 0.5 else f"quantile {float(self.level)!r}"

    def _spelled(self, between: str = "") -> str:
        return f"{self.noun} {spelled_name(self.column)}{between}{_where(self.where)}"


@dataclass(frozen=True)
class Difference(Question):
    """A share, mean or quantile where ``first``, less that where ``second``.

    Both groups are of the records that the question ``of`` is about.
    """

    of: Share | Mean | Quantile
    first: Conditions
    second: Conditions

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.of, (Share, Mean, Quantile)):
            raise InputError(
                f"a difference is one of shares, means or quantiles, got {type(self.of).__name__}"
            )
        _check_groups(self.first, self.second)

    @property
    def possible(self) -> tuple[float, float]:
        """From the least less the largest number of either group, to the contrary."""
        least, largest = self.of.possible
        return least - largest, largest - least

    def _asked(self) -> Iterable[str]:
        return self.of.columns

    def check(self, schema: Schema) -> None:
        """Raise InputError as the question does, of either group."""
        for group in (self.first, self.second):
            self.of.check_among(schema, self.of.where, group)

    def evaluate(self, distribution: Distribution) -> Evaluated:
        """Return the first group's value less the second's."""
        first = self.of.among(distribution, self.of.where, self.first)
        second = self.of.among(distribution, self.of.where, self.second)
        return Evaluated(
            ("difference",),
            first.values - second.values,
            first.influences - second.influences,
            first.groups + second.groups,
        )

    def __str__(self) -> str:
        return self.of._spelled(_between(self.first, self.second))


@dataclass(frozen=True)
class Ratio(Question):
    """A number of two groups of which one is a multiple of the other, by the risk of ``event``.

    Its interval is one of its logarithm.
    """

    event: Conditions
    first: Conditions
    second: Conditions
    where: Conditions = field(default_factory=dict)

    noun: ClassVar[str]

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_event(self.event)
        _check_groups(self.first, self.second)

    def check(self, schema: Schema) -> None:
        """Raise InputError as `Share` does, of either group."""
        for group in (self.first, self.second):
            Group.of(schema, self.where, group, self.event)

    def evaluate(self, distribution: Distribution) -> Evaluated:
        """Return the ratio; InputError where a group's risk leaves it undefined."""
        groups = (self.first, self.second)
        found = [_risk(distribution, self.event, [self.where, group]) for group in groups]
        risks, influences, shares = zip(*found, strict=True)
        self._check_risks(risks)
        value, influence = self._ratio(risks, influences)
        return Evaluated.single(self.noun, value, influence, shares, "log")

    def _check_risks(self, risks: Sequence[float]) -> None:
        """Raise InputError where the second group has no event."""
        if risks[1] <= 0:
            raise self._undefined(self.second, "no")

    def _undefined(self, group: Conditions, how: str) -> InputError:
        return InputError(
            f"there is no {self.noun}: {how} record where {spelled(group)} has "
            f"{spelled(self.event)} in the release"
        )

    @staticmethod
    @abstractmethod
    def _ratio(risks: Sequence[float], influences: Sequence[Floats]) -> tuple[float, Floats]:
        """Return the ratio of two risks, and its influence."""

    def __str__(self) -> str:
        between = _between(self.first, self.second)
        return f"{self.noun} {spelled(self.event)}{between}{_where(self.where)}"


@dataclass(frozen=True)
class RiskRatio(Ratio):
    """The share that has ``event`` where ``first``, as a multiple of that where ``second``."""

    noun: ClassVar[str] = "risk ratio"

    _ratio = staticmethod(functionals.risk_ratio)


@dataclass(frozen=True)
class OddsRatio(Ratio):
    """The odds of ``event`` where ``first``, as a multiple of those where ``second``."""

    noun: ClassVar[str] = "odds ratio"

    _ratio = staticmethod(functionals.odds_ratio)

    def _check_risks(self, risks: Sequence[float]) -> None:
        """Raise InputError where the second group has no event, or either has nothing else."""
        super()._check_risks(risks)
        for group, risk in zip((self.first, self.second), risks, strict=True):
            if risk >= 1:
                raise self._undefined(group, "each")


@dataclass(frozen=True)
class Correlation(Question):
    """The correlation of Pearson between the numbers of two columns."""

    first: str
    second: str
    where: Conditions = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.first == self.second:
            raise InputError(f"a correlation is of two columns, got {self.first!r} twice")

    @property
    def possible(self) -> tuple[float, float]:
        """From -1 to 1."""
        return -1.0, 1.0

    def _asked(self) -> Iterable[str]:
        return (self.first, self.second)

    def check(self, schema: Schema) -> None:
        """Raise InputError for a column of no numbers, and as `Count` does."""
        column_of_numbers(schema, self.first)
        column_of_numbers(schema, self.second)
        Group.of(schema, self.where)

    def evaluate(self, distribution: Distribution) -> Evaluated:
        """Return the correlation over the group's records that have both numbers.

        InputError where one of the columns is constant.
        """
        group = Group.of(distribution.schema, self.where)
        value, influence, share = functionals.correlation(
            distribution.weights,
            distribution.within(group),
            distribution.numbers(group, self.first),
            distribution.numbers(group, self.second),
        )
        check_share(share, [self.where], self.first, self.second)
        if np.isnan(value):
            raise InputError(
                f"columns {self.first!r} and {self.second!r} have no correlation"
                f"{_where(self.where)}: one of them is constant there"
            )
        return Evaluated.single("correlation", value, influence, [share])

    def __str__(self) -> str:
        pair = f"{spelled_name(self.first)} {spelled_name(self.second)}"
        return f"correlation {pair}{_where(self.where)}"


def _risk(
    distribution: Distribution, event: Conditions, groups: Sequence[Conditions]
) -> tuple[float, Floats, float]:
    """Return the share of a group that has an event, its influence, and the group's share."""
    inside = distribution.within(Group.of(distribution.schema, *groups))
    having = distribution.within(Group.of(distribution.schema, *groups, event))
    value, influence, share = functionals.share(distribution.weights, inside, having)
    check_share(share, groups)
    return value, influence, share


def check_share(share: float, groups: Sequence[Conditions], *columns: str) -> None:
    """Raise InputError when no record is left in groups, or none with numbers in ``columns``."""
    if share > 0:
        return
    given = ", ".join(spelled(group) for group in groups if group)
    where = f" where {given}" if given else ""
    what = f" has a value of {', '.join(map(repr, columns))}" if columns else ""
    raise InputError(f"no record of the release{what}{where}; ask for less at once")


def _check_event(event: Conditions) -> None:
    if not event:
        raise InputError("an event says of some column what it is, as in 'share sex=F'")


def _check_groups(first: Conditions, second: Conditions) -> None:
    for group in (first, second):
        if not group:
            raise InputError("a comparison names two groups, as in 'between sex=F and sex=M'")
    if first == second:
        raise InputError(f"a comparison is between two groups, got {spelled(first)} twice")


def _plain(wanted: object) -> object:
    """Return what is given in Python's own kinds: lists for sets and arrays, one value alone."""
    if isinstance(wanted, (np.ndarray, pd.Series, pd.Index)):
        wanted = np.asarray(wanted).ravel().tolist()
    elif isinstance(wanted, Set):
        wanted = sorted(wanted, key=str)
    if isinstance(wanted, tuple):
        return tuple(map(_plain, wanted))
    if isinstance(wanted, list):
        return _plain(wanted[0]) if len(wanted) == 1 else [_plain(one) for one in wanted]
    return wanted.item() if isinstance(wanted, np.generic) else wanted


def _where(given: Conditions) -> str:
    return f" where {spelled(given)}" if given else ""


def _between(first: Conditions, second: Conditions) -> str:
    return f" between {spelled(first)} and {spelled(second)}"
