"""Records of several sources as one table, and cells run now beside those recorded before."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dp_synth.benchmark.cell import RECORD_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

SERIES = ("dataset", "task", "synthesizer", "settings", "delta", "adjacency")
CELL = (*SERIES, "epsilon", "seed")
COMPARED = {"utility": "tv2", "leakage": "auc:density_ratio"}  # what a line says of a cell


@dataclass(frozen=True)
class LiveCell:
    """A live cell beside its record; ``recorded`` is None where no record has its seed.

    ``spread`` is the range of the recorded values over seeds; of one seed, the width of the
    record's own interval.
    """

    cell: str  # which, and by which metric
    live: float
    recorded: float | None
    spread: float

    @property
    def agrees(self) -> bool:
        """Whether the two are no further apart than recorded seeds are from each other."""
        return self.recorded is None or abs(self.live - self.recorded) <= self.spread

    def __str__(self) -> str:
        """Return the one line to print.

        >>> print(LiveCell("dpctgan epsilon 1 seed 0 tv2", 0.04712, 0.04708, 0.002))
        dpctgan epsilon 1 seed 0 tv2: live 0.0471, recorded 0.0471
        """
        known = "-" if self.recorded is None else f"{self.recorded:.4f}"
        return f"{self.cell}: live {self.live:.4f}, recorded {known}"


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
    one, two = json.loads(text), json.loads(other)
    return all(one[field] == two[field] for field in one.keys() & two.keys())


def compare(records: pd.DataFrame) -> list[LiveCell]:
    """Return each live cell that ended well beside its record, by one metric of its task."""
    compared = records[records["metric"] == records["task"].map(COMPARED)]
    compared = compared[compared["value"].notna()]
    recorded = compared[~compared["live"]]
    return [_compared(recorded, row) for _, row in compared[compared["live"]].iterrows()]


def failures(records: pd.DataFrame) -> list[str]:
    """Return a line for each live cell that failed."""
    failed = records[records["live"] & (records["error"] != "")]
    return [f"{_name(row)}: failed with {row['error']}" for _, row in failed.iterrows()]


def _compared(recorded: pd.DataFrame, row: pd.Series[float]) -> LiveCell:
    fields = [*SERIES, "epsilon", "metric"]
    alike = recorded[(recorded[fields] == row[fields]).all(axis=1)]
    same = alike[alike["seed"] == row["seed"]]
    spread = alike["value"].max() - alike["value"].min()
    if len(alike) == 1:
        spread = (alike["high"] - alike["low"]).iloc[0]
    known = float(same["value"].iloc[0]) if len(same) else None
    width = 0.0 if math.isnan(spread) else float(spread)
    return LiveCell(f"{_name(row)} {row['metric']}", float(row["value"]), known, width)


def _name(row: pd.Series[float]) -> str:
    return f"{row['synthesizer']} epsilon {row['epsilon']:g} seed {row['seed']}"


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
