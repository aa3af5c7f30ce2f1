"""Cells beside cells: two stores and what differs in them, live cells and their records."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from dp_synth.benchmark.cell import Cell, Machine, Measured, Outcome
from dp_synth.benchmark.store import Store, StoredCell, stored
from dp_synth.errors import InputError
from dp_synth.formatting import rounded_up
from dp_synth.readers import parse_json
from dp_synth.records import CELL, RECORD_COLUMNS
from dp_synth.types import Floats

if TYPE_CHECKING:
    import pandas as pd


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
            MetricChange(metric, len(every), max((x for x in every if x is not None), default=None))
            for metric, every in sorted(found.items())
        )


def diff(first: Store, second: Store) -> StoreDiff:
    """Return how two stores differ, series by series; InputError where one holds no cell.

    Of several cells of one series in one store, left by several versions of the code or of the
    data, the one that was written last is taken.
    """
    (here, damaged_here), (there, damaged_there) = _latest(first), _latest(second)
    both = sorted(here.keys() & there.keys())
    apart = {series: _differences(here[series], there[series]) for series in both}
    changed = tuple(Change(series, found) for series, found in apart.items() if found)
    machines = (
        tuple(sorted({str(found[change.series].machine) for change in changed}))
        for found in (here, there)
    )
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
        machines=(next(machines), next(machines)),
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


def _differences(first: Outcome, second: Outcome) -> dict[str, float | None]:
    """Return by metric how far apart values are; nothing of cells of which one failed."""
    if first.error or second.error:
        return {}
    one, two = ({value.metric: value for value in of.measured} for of in (first, second))
    return {
        metric: _apart(one.get(metric), two.get(metric))
        for metric in sorted(one.keys() | two.keys())
        if one.get(metric) != two.get(metric)
    }


def _apart(one: Measured | None, two: Measured | None) -> float | None:
    if one is None or two is None or (one.value is None) != (two.value is None):
        return None
    return 0.0 if one.value is None or two.value is None else abs(one.value - two.value)


SERIES = ("dataset", "task", "synthesizer", "settings", "delta", "adjacency")  # at any epsilon
COMPARED = {"utility": "tv2", "leakage": "auc:density_ratio"}  # what a line says of a cell
COVERAGE = 0.99  # of a prediction interval: one live cell in a hundred lies outside by chance


@dataclass(frozen=True)
class LiveCell:
    """A live cell beside the records of its series at all their seeds.

    A seed repeats its result on one kind of processor alone, so that the live value is taken for
    one more seed's: it should lie between ``low`` and ``high``, an interval that holds the next
    of so many normal values with probability ``COVERAGE``. Of one recorded seed it is as wide to
    either side as the record's own interval is in all. ``machines`` are those of the live cell
    and of the records.
    """

    cell: str  # which, and by which metric
    live: float
    recorded: float  # mean over seeds
    seeds: int
    low: float
    high: float
    machines: tuple[str, str] = ("", "")

    @classmethod
    def of(
        cls, cell: str, live: float, recorded: Sequence[float] | Floats, width: float
    ) -> LiveCell:
        """Return the live value of a cell beside the ``recorded`` ones, one a seed.

        ``width`` is that of the interval of the first of them.
        """
        from scipy import stats

        seeds, mean = len(recorded), float(np.mean(recorded))
        half = width
        if seeds > 1:
            quantile = float(stats.t.ppf((1 + COVERAGE) / 2, seeds - 1))
            half = quantile * float(np.std(recorded, ddof=1)) * math.sqrt(1 + 1 / seeds)
        half = 0.0 if math.isnan(half) else half
        return cls(cell, live, mean, seeds, mean - half, mean + half)

    @property
    def agrees(self) -> bool:
        """Whether the live value lies where one more seed's is to be expected."""
        return self.low <= self.live <= self.high or math.isclose(self.live, self.recorded)

    def __str__(self) -> str:
        """Return the one line to print.

        >>> print(LiveCell.of("mst tv2", 0.0471, [0.045, 0.046, 0.05], 0.002))
        mst tv2: live 0.0471, recorded 0.0470 (3 seeds, another's in [0.0167, 0.0773] at 99 %)
        """
        where = f"in [{self.low:.4f}, {self.high:.4f}]"
        known = f"{self.seeds} seeds, another's {where} at {100 * COVERAGE:g} %"
        known = known if self.seeds > 1 else f"1 seed, {where}"
        return f"{self.cell}: live {self.live:.4f}, recorded {self.recorded:.4f} ({known})"


def combined(stores: Sequence[pd.DataFrame], files: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the records of all sources, each once, with a column ``live``.

    Live are the fitted cells of ``stores`` whose series the ``files`` hold as well: they are kept
    beside their records, and take their settings, which may lack fields that were added since.
    Whatever else stands in several sources, such as baselines, is taken from the first.
    """
    import pandas

    recorded, run = _stacked(files), _stacked(stores)
    texts = recorded.groupby("synthesizer")["settings"].unique()
    run["settings"] = [
        next((text for text in texts.get(name, []) if _agree(text, own)), own)
        for name, own in zip(run["synthesizer"], run["settings"], strict=True)
    ]
    known = pandas.MultiIndex.from_frame(recorded[list(SERIES)])
    live = run["epsilon"].notna() & pandas.MultiIndex.from_frame(run[list(SERIES)]).isin(known)
    rows = _stacked([run.assign(live=live), recorded.assign(live=False)], "live")
    return rows.drop_duplicates([*CELL, "metric", "live"], ignore_index=True)


def _agree(text: str, other: str) -> bool:
    """Tell whether two settings say the same of every field that both have."""
    if text == other:
        return True
    one, two = parse_json(text), parse_json(other)
    return all(one[field] == two[field] for field in one.keys() & two.keys())


def compare(records: pd.DataFrame) -> list[LiveCell]:
    """Return each live cell that ended well beside its records, by one metric of its task.

    A series of which every recorded seed failed is left out.
    """
    compared = records[records["metric"] == records["task"].map(COMPARED)]
    compared = compared[compared["value"].notna()]
    recorded = compared[~compared["live"]]
    found = (_compared(recorded, row) for _, row in compared[compared["live"]].iterrows())
    return [one for one in found if one is not None]


def failures(records: pd.DataFrame) -> list[str]:
    """Return a line for each live cell that failed."""
    failed = records[records["live"] & (records["error"] != "")]
    return [f"{_name(row)}: failed with {row['error']}" for _, row in failed.iterrows()]


def _compared(recorded: pd.DataFrame, row: pd.Series[float]) -> LiveCell | None:
    fields = [*SERIES, "epsilon", "metric"]
    alike = recorded[(recorded[fields] == row[fields]).all(axis=1)]
    if alike.empty:
        return None
    width = float((alike["high"] - alike["low"]).iloc[0])
    named = f"{_name(row)} {row['metric']}"
    found = LiveCell.of(named, float(row["value"]), alike["value"].to_numpy(dtype=float), width)
    there = {_machine(one) for _, one in alike.iterrows()}
    return replace(found, machines=(_machine(row), "; ".join(sorted(there))))


def _machine(row: pd.Series[float]) -> str:
    return str(Machine(*(str(row[name] or "") for name in ("processor", "torch", "kernels"))))


def _name(row: pd.Series[float]) -> str:
    return f"{row['synthesizer']} epsilon {rounded_up(row['epsilon'], 6)} seed {row['seed']}"


def _stacked(frames: Iterable[pd.DataFrame], *more: str) -> pd.DataFrame:
    """Return the rows of all frames under one set of columns, whatever each takes as missing."""
    import pandas

    columns = [*RECORD_COLUMNS, *more]
    rows = [row for frame in frames for row in frame[columns].to_dict("records")]
    stacked = pandas.DataFrame(rows, columns=columns)
    numbers = {name: float for name, kind in RECORD_COLUMNS.items() if kind is float}
    texts = [name for name, kind in RECORD_COLUMNS.items() if kind is str]
    stacked[texts] = stacked[texts].astype(object).where(stacked[texts].notna(), None)
    return stacked.astype(numbers)
