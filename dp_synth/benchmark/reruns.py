"""Records of several sources as one table, and cells run now beside those recorded before."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dp_synth.benchmark.cell import Machine
from dp_synth.formatting import rounded_up
from dp_synth.readers import parse_json
from dp_synth.records import RECORD_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

Values = Sequence[float] | NDArray[np.float64]

SERIES = ("dataset", "task", "synthesizer", "settings", "delta", "adjacency")
CELL = (*SERIES, "epsilon", "seed")
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
    def of(cls, cell: str, live: float, recorded: Values, width: float) -> LiveCell:
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
