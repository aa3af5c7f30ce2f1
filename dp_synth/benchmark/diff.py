"""Two stores side by side: what stands in one alone, and which values are not the same."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from dp_synth.benchmark.cell import Cell, Measured, Outcome
from dp_synth.benchmark.store import Store, StoredCell, stored
from dp_synth.errors import InputError
from dp_synth.formatting import rounded_up
from dp_synth.readers import parse_json

Values = Mapping[str, tuple[float | None, float | None, float | None]]  # value, low, high


@dataclass(frozen=True, order=True)
class Series:
    """What a cell measures, whatever version of the code did it.

    ``options`` are the task's numbers; its lists of names say what is measured, not of what.
    """

    dataset: str
    task: str
    synthesizer: str
    settings: str
    epsilon: float  # 0 for baselines
    delta: float
    adjacency: str
    options: str
    seed: int

    def __str__(self) -> str:
        """Return the line's worth of it.

        >>> print(Series("adult", "utility", "mst", "{}", 1.0, 1e-9, "add_remove", "{}", 3))
        adult utility mst epsilon 1 seed 3
        """
        settings = "" if self.settings == "{}" else f" {self.settings}"
        budget = f" epsilon {rounded_up(self.epsilon, 6)}" if self.epsilon else ""
        return f"{self.dataset} {self.task} {self.synthesizer}{settings}{budget} seed {self.seed}"


@dataclass(frozen=True)
class Change:
    """A series that ended well in both stores, with other values.

    ``differences`` has, by metric, how far apart the values are: 0 where only the intervals
    differ, None where only one store has a number.
    """

    series: Series
    differences: Mapping[str, float | None]


@dataclass(frozen=True)
class FailureChange:
    """A series that failed in one store alone, or for another reason; "" is no failure."""

    series: Series
    first: str
    second: str


@dataclass(frozen=True)
class MetricChange:
    """In how many series a metric differs, and by how much at most; None without two numbers."""

    metric: str
    cells: int
    largest: float | None


@dataclass(frozen=True)
class StoreDiff:
    """What is not the same in two stores; times and memory are not compared.

    ``equal`` counts the series with the same values, or the same failure, in both. ``damaged``
    counts the files of either store that could not be read and take no part. ``machines`` are
    those that changed series ran on, of either store: processors sum in orders of their own, and
    trainings of networks carry that on.
    """

    only_first: tuple[Series, ...]
    only_second: tuple[Series, ...]
    equal: int
    changed: tuple[Change, ...]
    failures: tuple[FailureChange, ...]
    damaged: tuple[int, int]
    machines: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())

    @property
    def is_same(self) -> bool:
        """Whether both hold the same cells with the same values."""
        return not (self.only_first or self.only_second or self.changed or self.failures)

    @property
    def by_metric(self) -> tuple[MetricChange, ...]:
        """What the changed series come to, a metric each, by name."""
        found: dict[str, list[float | None]] = {}
        for change in self.changed:
            for metric, difference in change.differences.items():
                found.setdefault(metric, []).append(difference)
        return tuple(
            MetricChange(metric, len(all_), max(_numbers(all_), default=None))
            for metric, all_ in sorted(found.items())
        )


def diff(first: Store, second: Store) -> StoreDiff:
    """Return how two stores differ, series by series; InputError where one holds no cell.

    Of several cells of one series in one store, left by several versions of the code or of the
    data, the one that was written last is taken.
    """
    (here, damaged_here), (there, damaged_there) = _latest(first), _latest(second)
    both = sorted(here.keys() & there.keys())
    changed = tuple(_changes((series, here[series], there[series]) for series in both))
    failures = tuple(
        FailureChange(series, here[series].error, there[series].error)
        for series in both
        if here[series].error != there[series].error
    )
    return StoreDiff(
        only_first=tuple(sorted(here.keys() - there.keys())),
        only_second=tuple(sorted(there.keys() - here.keys())),
        equal=len(both) - len(changed) - len(failures),
        changed=changed,
        failures=failures,
        damaged=(damaged_here, damaged_there),
        machines=(_machines(here, changed), _machines(there, changed)),
    )


def series_of(cell: Cell) -> Series:
    """Return what the cell measures."""
    options = parse_json(cell.options)
    numbers = {name: value for name, value in options.items() if not isinstance(value, list)}
    return Series(
        dataset=cell.dataset,
        task=cell.task,
        synthesizer=cell.synthesizer,
        settings=cell.settings,
        epsilon=cell.epsilon or 0.0,
        delta=cell.delta or 0.0,
        adjacency=cell.adjacency or "",
        options=json.dumps(numbers, sort_keys=True),
        seed=cell.seed,
    )


def _latest(store: Store) -> tuple[dict[Series, Outcome], int]:
    """Return the outcome of every series, and how many files are damaged."""
    latest: dict[Series, StoredCell] = {}
    damaged = 0
    for found in stored(store):
        if found is None:
            damaged += 1
            continue
        series = series_of(found.cell)
        if series not in latest or found.written > latest[series].written:
            latest[series] = found
    if not latest:
        raise InputError(f"no cells in {store.folder}: is it a store? run the grid first")
    return {series: found.outcome for series, found in latest.items()}, damaged


def _changes(pairs: Iterable[tuple[Series, Outcome, Outcome]]) -> Iterator[Change]:
    for series, first, second in pairs:
        if first.error or second.error:
            continue
        one, two = _values(first.measured), _values(second.measured)
        metrics = sorted(name for name in one.keys() | two.keys() if one.get(name) != two.get(name))
        if metrics:
            yield Change(series, {name: _apart(one, two, name) for name in metrics})


def _machines(found: Mapping[Series, Outcome], changed: Iterable[Change]) -> tuple[str, ...]:
    return tuple(sorted({str(found[change.series].machine) for change in changed}))


def _values(measured: Iterable[Measured]) -> Values:
    return {one.metric: (one.value, one.low, one.high) for one in measured}


def _apart(one: Values, two: Values, metric: str) -> float | None:
    if metric not in one or metric not in two:
        return None
    here, there = one[metric][0], two[metric][0]
    if here is None and there is None:
        return 0.0
    return None if here is None or there is None else abs(here - there)


def _numbers(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]
