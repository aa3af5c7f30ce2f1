"""Records as text to commit: a line of JSON a record, with the command that made it."""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dp_synth.benchmark.cell import ADDED, RECORD_COLUMNS, Record
from dp_synth.errors import InputError
from dp_synth.files import written_whole
from dp_synth.readers import JsonFault, parse_json, read_json_lines

if TYPE_CHECKING:
    import pandas as pd

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
