"""Spreadsheets of Excel: the first sheet, whose first row names the columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, time
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dp_synth.dialect import check_names
from dp_synth.errors import InputError, LeftOut, missing_extra, warn
from dp_synth.formats import FileSize, check_readable, needs_more_memory
from dp_synth.frames import FOREIGN, text_of
from dp_synth.readers import ArchiveFault, size_unpacked

if TYPE_CHECKING:
    import pandas as pd

NO_SHEET = "is not an .xlsx file, or a damaged one"
MOST_ROWS = 2**20
"""Rows of a sheet, its header among them: Excel has no more."""
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")  # what XML cannot hold
FIRST_YEAR = 1900  # Excel has no dates before
TIMES = 2  # how much longer a sheet's XML is than the text of its cells, at least


def _openpyxl(path: str | PathLike[str], what: str) -> Any:
    try:
        import openpyxl  # type: ignore[import-untyped]
    except ImportError:
        raise missing_extra(f"{path}: {what} .xlsx", "openpyxl", "files") from None
    return openpyxl


@contextmanager
def _opened(path: str | PathLike[str]) -> Iterator[Any]:
    """Give the first sheet of a file; InputError where there is none."""
    openpyxl = _openpyxl(path, "reading")
    check_readable(path)
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except FOREIGN:  # what openpyxl raises of a damaged file is of many kinds, and may quote it
        raise InputError(f"{path}: {NO_SHEET}") from None
    try:
        if not book.worksheets:
            raise InputError(f"{path}: has no sheet with cells")
        sheet = book.worksheets[0]
        if others := [repr(other.title) for other in book.worksheets[1:]]:
            warn(f"{path}: only its first sheet is read, not {', '.join(others)}", LeftOut)
        sheet.reset_dimensions()  # what other programs write there may be wrong
        yield sheet
    finally:
        book.close()


def read_sheet(path: str | PathLike[str], most: int) -> pd.DataFrame:
    """Return the first sheet of a spreadsheet as text; InputError as `formats.read` says."""
    import pandas as pd

    check_readable(path)
    if _unpacked(path) > max(most, 2**20) * 8:
        raise needs_more_memory(path)
    with _opened(path) as sheet:
        try:
            rows = iter(sheet.iter_rows(values_only=True))
            names = _names(next(rows, ()), path)
            cells: list[list[str]] = [[] for _ in names]
            for row in rows:
                texts = [_text(cell) for cell in row]
                if not any(texts):
                    continue  # spreadsheets end with empty rows, which are no records
                if any(texts[len(names) :]):
                    raise InputError(f"{path}: a row has cells beyond the columns that are named")
                for place, column in enumerate(cells):
                    column.append(texts[place] if place < len(texts) else "")
                most -= sum(map(len, texts)) + len(names)
                if most < 0:
                    raise needs_more_memory(path)
        except InputError:
            raise
        except FOREIGN:  # as above
            raise InputError(f"{path}: {NO_SHEET}") from None
    return pd.DataFrame(dict(zip(names, cells, strict=True)), dtype="str")


def _names(row: Sequence[object], path: str | PathLike[str]) -> list[str]:
    names = [_text(cell) for cell in row]
    while names and not names[-1]:
        names.pop()
    if not names:
        raise InputError(f"{path}: is empty; its first row must name the columns")
    check_names(names, str(path))
    return names


def _text(cell: object) -> str:
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time(0) else cell.isoformat(sep=" ")
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53:
        return str(int(cell))
    return text_of(cell)


def _unpacked(path: str | PathLike[str]) -> int:
    try:
        return size_unpacked(path)
    except ArchiveFault:
        raise InputError(f"{path}: {NO_SHEET}") from None


def size_of_sheet(path: str | PathLike[str]) -> FileSize:
    """Return the size of a spreadsheet, told from the length of its XML and its first rows."""
    check_readable(path)
    text = _unpacked(path) // TIMES
    with _opened(path) as sheet:
        row = next(iter(sheet.iter_rows(values_only=True)), ())
    columns = max(len(row), 1)
    return FileSize(text // (10 * columns), columns, text)


def write_sheet(blocks: Iterable[pd.DataFrame], path: Path) -> None:
    """Write frames below one another as the one sheet of a new file; absent cells stay empty.

    Texts are texts, also where they begin as a formula does. InputError beyond `MOST_ROWS`.
    """
    openpyxl = _openpyxl(path, "writing")
    from openpyxl.cell import WriteOnlyCell  # type: ignore[import-untyped]

    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("rows")

    def cell(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        made = WriteOnlyCell(sheet, _CONTROL.sub("\ufffd", value))
        made.data_type = "s"
        return made

    written = 0
    for frame in blocks:
        if not written:
            sheet.append([cell(str(name)) for name in frame.columns])
            written = 1
        columns = [_values(frame.iloc[:, place]) for place in range(frame.shape[1])]
        for row in zip(*columns, strict=True):
            sheet.append([cell(value) for value in row])
        written += len(frame)
        if written > MOST_ROWS:
            raise InputError(f"{path}: a sheet holds at most {MOST_ROWS - 1:,} rows")
    book.save(path)


def _values(column: pd.Series) -> list[Any]:
    """Return the cells of a column as a sheet holds them; times lose their zone."""
    import pandas as pd

    if isinstance(column.dtype, pd.DatetimeTZDtype):
        column = column.dt.tz_localize(None)
    absent = column.isna().tolist()
    kept = column.astype(object).tolist()
    return [None if no else _value(cell) for cell, no in zip(kept, absent, strict=True)]


def _value(cell: Any) -> Any:
    import pandas as pd

    if isinstance(cell, pd.Timestamp):
        moment = cell.to_pydatetime()
        if moment.year < FIRST_YEAR:
            return _text(moment)
        return moment.date() if moment.time() == time(0) else moment
    return cell.item() if hasattr(cell, "item") else cell
