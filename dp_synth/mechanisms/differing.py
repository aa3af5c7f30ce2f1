"""Records that one of two neighbouring tables has and the other has not: for audits alone."""

from __future__ import annotations

from collections import Counter

import numpy as np

from dp_synth.domain import Codes
from dp_synth.errors import UnsupportedEvent
from dp_synth.mechanisms.table import PrivateTable


def differing(table: PrivateTable) -> tuple[Codes, Codes]:
    """Return the records that only ``table`` has, and those that only its twin has.

    Codes of shape (records, attributes), a record as often as it is more frequent.
    """
    assert table.twin is not None
    here, there = (_counted(one) for one in (table, table.twin))
    return _listed(here - there, table), _listed(there - here, table)


def one_more(table: PrivateTable) -> tuple[Codes, bool]:
    """Return the one record by which a table and its twin differ, and whether ``table`` has it.

    UnsupportedEvent where they differ by more.
    """
    here, there = differing(table)
    if len(here) + len(there) != 1:
        raise UnsupportedEvent("sampled sums are compared between tables that differ by one record")
    return (here, True) if len(here) else (there, False)


def _counted(table: PrivateTable) -> Counter[tuple[int, ...]]:
    codes, counts = table.exact_records()
    return Counter(dict(zip(map(tuple, codes.tolist()), counts.tolist(), strict=True)))


def _listed(records: Counter[tuple[int, ...]], table: PrivateTable) -> Codes:
    found = list(records.elements())
    return np.array(found, dtype=np.int32).reshape(len(found), len(table.domain))
