"""Cells that do not fit their schema, counted for the data holder and shown to nobody else."""

from __future__ import annotations

import pandas as pd
import pytest

from dp_synth.counting import PrivateRecords
from dp_synth.schema import Schema, check

SCHEMA = Schema.from_dict(
    {
        "name": "people",
        "columns": [
            {"name": "income", "type": "real", "lower": 0, "upper": 1000, "missing": ["?"]},
            {"name": "sex", "type": "categorical", "categories": ["F", "M"]},
            {"name": "born", "type": "datetime", "lower": "1900-01-01", "upper": "2020-12-31"},
        ],
    }
)
FRAME = pd.DataFrame(
    {
        "income": ["812,40", "5.5", "?", "2000", "n/a"],
        "sex": ["F", "m", "M", None, "F"],
        "born": ["05/06/1980", "1980-06-05", "1899-01-01", "", "1980-01-01"],
    }
)


def test_cells_that_do_not_fit_are_counted_by_column_while_records_are_encoded() -> None:
    misfits = PrivateRecords.of(FRAME, SCHEMA).misfits
    assert misfits.lines() == [
        "column 'income': cell outside the bounds: 1 of 5",
        "column 'income': cell that is no number: 2 of 5",
        "column 'sex': unseen category: 1 of 5",
        "column 'sex': absent cell without a missing mark in the schema: 1 of 5",
        "column 'born': cell outside the bounds: 1 of 5",
        "column 'born': cell that is no date: 2 of 5",
    ]
    assert repr(misfits) == "Misfits()"
    assert repr(PrivateRecords.of(FRAME, SCHEMA)) == "PrivateRecords('people')"


def test_what_a_fit_counts_is_what_the_check_lists() -> None:
    counted = PrivateRecords.of(FRAME, SCHEMA).misfits.counts()
    listed = SCHEMA.check(FRAME)
    assert listed == check(FRAME, SCHEMA)
    assert len(counted) == len(listed)
    for (name, what), count in counted.items():
        start = f"column {name!r}: {what}: {count} cell"
        assert any(line.startswith(start) for line in listed), start


def test_a_table_that_fits_has_no_misfits() -> None:
    fitting = pd.DataFrame({"income": ["?"], "sex": ["F"], "born": ["1980-01-01"]})
    assert not PrivateRecords.of(fitting, SCHEMA).misfits
    assert not PrivateRecords.of(FRAME.head(0), SCHEMA).misfits


@pytest.mark.parametrize(("missing", "unseen"), [([], 1), (["?"], 1), ([""], 0)])
def test_what_an_open_column_does_not_list_is_no_misfit(missing: list[str], unseen: int) -> None:
    column = {"name": "job", "type": "categorical", "categories": ["a"], "missing": missing}
    schema = Schema.from_dict({"name": "t", "columns": [{**column, "open": True}]})
    frame = pd.DataFrame({"job": ["a", "b", "c", ""]})
    assert sum(PrivateRecords.of(frame, schema).misfits.counts().values()) == unseen
    assert len(check(frame, schema)) == unseen
