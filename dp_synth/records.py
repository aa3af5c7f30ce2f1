"""Records of measured values: their columns, their file, names of methods, means over seeds.

A record is one value of one cell, a row of a long table. Whoever runs cells writes records, and
whoever draws, tests or prints them reads these alone: no data and no synthesizer is known here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dp_synth.errors import InputError
from dp_synth.files import written_whole
from dp_synth.readers import JsonFault, parse_json, read_json_lines
from dp_synth.types import Floats

if TYPE_CHECKING:
    import pandas as pd

Record = dict[str, str | float | int | None]

RECORD_COLUMNS: dict[str, type] = {  # of gathered records, in order, and the kind of each
    "dataset": str,
    "task": str,
    "synthesizer": str,
    "settings": str,
    "epsilon": float,
    "delta": float,
    "adjacency": str,
    "seed": int,
    "metric": str,
    "value": float,
    "low": float,
    "high": float,
    "seconds": float,
    "wall_seconds": float,
    "peak_mb": float,
    "budget": str,
    "version": str,
    "processor": str,
    "torch": str,
    "kernels": str,
    "error": str,
}

ADDED: Record = {  # columns that the first records lack, and what stands there
    "wall_seconds": None,
    "peak_mb": None,
    "budget": "",
    "processor": "",
    "torch": "",
    "kernels": "",
}

BLOCK = ("dataset", "epsilon", "delta", "adjacency")  # what methods are compared within
SERIES = ("dataset", "task", "synthesizer", "settings", "epsilon", "delta", "adjacency")
CELL = (*SERIES, "seed")
LEVEL = 0.95  # of every interval over seeds

FILE_COLUMNS: dict[str, type] = {**RECORD_COLUMNS, "command": str}


def write_record_file(records: pd.DataFrame, path: Path, command: str) -> None:
    """Write every record, failed cells too, as a line that also names ``command``."""
    rows = [_plain(row) for row in records.to_dict("records")]
    lines = [json.dumps({**row, "command": command}, allow_nan=False) for row in rows]
    try:
        with written_whole(path) as passing:
            passing.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); name another") from None


def read_record_file(path: Path) -> pd.DataFrame:
    """Return the records of a file with their ``command``; InputError where it is not one.

    Files of before wall time, memory, the machine and the voucher of the budget were recorded say
    nothing of the first three, and had every budget from a ledger.
    """
    import pandas

    whole: list[Record] = []
    try:
        for row in read_json_lines(path):
            if not _is_record(row):
                whole = []
                break
            whole.append(_before_added(row) | row)
    except JsonFault as fault:
        raise InputError(f"{fault}; benchmark export writes them") from None
    if not whole:
        raise InputError(f"{path}: not records of a benchmark; benchmark export writes them")
    check_settings_texts({row["settings"] for row in whole}, path)
    return pandas.DataFrame(whole, columns=list(FILE_COLUMNS)).astype(
        {name: float for name, kind in FILE_COLUMNS.items() if kind is float}
    )


def check_settings_texts(texts: Iterable[object], source: object) -> None:
    """Raise InputError where ``settings`` of records are not what names a method: JSON objects."""
    for text in texts:
        try:
            known = isinstance(text, str) and isinstance(parse_json(text), dict)
        except InputError:
            known = False
        if not known:
            raise InputError(f"{source}: the settings of each record must be a JSON object")


def _is_record(row: object) -> bool:
    """Tell whether a line holds every column, those apart that were added, and no other."""
    if not isinstance(row, dict):
        return False
    if not set(FILE_COLUMNS) - set(ADDED) <= set(row) <= set(FILE_COLUMNS):
        return False
    return all(value is None or _is_of(value, FILE_COLUMNS[name]) for name, value in row.items())


def _is_of(value: object, kind: type) -> bool:
    """Tell whether a value of JSON is of a column's kind; whole numbers are numbers too."""
    if kind is int:
        return type(value) is int and abs(value) < 2**63
    if kind is float:
        return type(value) in (float, int) and math.isfinite(float(value))  # type: ignore[arg-type]
    return type(value) is kind


def _before_added(row: Mapping[str, object]) -> Record:
    """Return what the added columns are where a line does not say."""
    is_fitted = row["epsilon"] is not None and not row["error"]
    return {**ADDED, "budget": "ledger" if is_fitted else ""}


def _plain(row: Mapping[Hashable, object]) -> Record:
    """Return a row as JSON can hold it: None where a value is missing."""
    import pandas

    plain: Record = {}
    for name, kind in RECORD_COLUMNS.items():
        value = row[name]
        missing = value is None or value is pandas.NA or value != value  # NaN
        plain[name] = None if missing else kind(value)
    return plain


def method_names(records: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Return the name of the method that each synthesizer is under each of its settings.

    It is the synthesizer's, with those fields that differ at one and the same table: a method
    whose settings name the label of each table is one method over all tables.
    """
    names = {}
    for synthesizer, of_one in records.groupby("synthesizer"):
        rows = of_one[["dataset", "settings"]].drop_duplicates()
        fields = _differing(texts for _, texts in rows.groupby("dataset")["settings"])
        for text in rows["settings"].unique():
            choice = parse_json(text)
            said = ", ".join(f"{field}={choice.get(field)}" for field in fields)
            names[str(synthesizer), text] = f"{synthesizer} ({said})" if said else str(synthesizer)
    return names


def _differing(tables: Iterable[Iterable[str]]) -> list[str]:
    """Return the fields in which settings differ, at one table or more."""
    differing: set[str] = set()
    for texts in tables:
        choices = [parse_json(text) for text in texts]
        for field in {field for choice in choices for field in choice}:
            if len({json.dumps(choice.get(field)) for choice in choices}) > 1:
                differing.add(field)
    return sorted(differing)


@dataclass(frozen=True)
class Spread:
    """A mean over seeds and the half width of its 95 % t-interval; NaN of one seed."""

    mean: float
    half: float
    seeds: int

    @classmethod
    def of(cls, values: Sequence[float] | Floats) -> Spread:
        """Return the spread of one value a seed.

        Student 1908: exact for normal values however few they are.

        >>> Spread.of([1.0, 2.0, 3.0]).shown(2), Spread.of([2.0]).shown(1, sign=True)
        ('2.00 ± 2.48', '+2.0')
        """
        from scipy.special import stdtrit

        numbers = np.asarray(values, float)
        mean, count = float(numbers.mean()), len(numbers)
        if count < 2:
            return cls(mean, float("nan"), count)
        error = float(numbers.std(ddof=1)) / count**0.5
        return cls(mean, float(stdtrit(count - 1, (1 + LEVEL) / 2)) * error, count)

    def shown(self, decimals: int, *, sign: bool = False) -> str:
        """Return the mean with its interval, or alone where no interval is known."""
        mean = f"{self.mean:{'+' if sign else ''}.{decimals}f}"
        return mean if math.isnan(self.half) else f"{mean} ± {self.half:.{decimals}f}"


def t_interval(values: Sequence[float] | Floats) -> tuple[float, float] | None:
    """Return Student's 95 % interval of the mean; None of fewer than two values.

    >>> [round(end, 4) for end in t_interval([1.0, 2.0, 3.0])]
    [-0.4841, 4.4841]
    """
    if len(values) < 2:
        return None
    spread = Spread.of(values)
    return spread.mean - spread.half, spread.mean + spread.half
