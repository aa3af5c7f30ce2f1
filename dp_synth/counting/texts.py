"""Columns of a block of records as distinct texts, and codes that are looked up once for each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.domain import Domain
from dp_synth.schema import DiscreteColumn, IdColumn, Misfits, Schema
from dp_synth.schema.cells import Cells
from dp_synth.schema.constraints import Column as SchemaColumn
from dp_synth.schema.grid import Grid
from dp_synth.schema.misfits import faults_of
from dp_synth.typed_cells import texts_of

if TYPE_CHECKING:
    import pyarrow as pa

MOST_WHOLE = 2**12  # integers of a column that are written ahead, whether or not they occur
INT64 = 2**62  # beyond, the difference of two integers may not be one


class Texts(NamedTuple):
    """Cells of one column: ``distinct`` texts, and in ``places`` which of them each record holds.

    A text may stand twice, and need not occur. Columns of equal distinct texts share the list.
    """

    distinct: Sequence[str]
    places: NDArray[np.integer]

    @classmethod
    def of(cls, cells: Sequence[str]) -> Texts:
        """Return the texts of so many records."""
        places, distinct = pd.factorize(np.array(cells, dtype=object))
        return cls(list(distinct), places)


Block = Mapping[str, Texts]
"""The cells of several records, by column."""


class TextReader:
    """Reads the Arrow arrays of one column, block by block, as `datasets.read_table` writes them.

    Each distinct cell is written once, and only anew where a block has others than the one before.
    """

    def __init__(self) -> None:
        self._dictionary: pa.Array | None = None
        self._whole: range | None = None
        self._texts: list[str] = []

    def read(self, column: pa.Array) -> Texts:
        """Return the cells of a block; a null is an empty text."""
        import pyarrow as pa

        if pa.types.is_integer(column.type) and (found := self._integers(column)):
            return found
        try:
            encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        except pa.ArrowNotImplementedError:  # lists and the like
            return Texts.of(texts_of(column))
        if self._dictionary is None or not encoded.dictionary.equals(self._dictionary):
            self._dictionary, self._whole = encoded.dictionary, None
            self._texts = [*texts_of(encoded.dictionary), ""]  # the last one is that of a null
        places = encoded.indices
        if places.null_count:
            places = places.cast(pa.int64()).fill_null(len(self._texts) - 1)
        return Texts(self._texts, places.to_numpy())

    def _integers(self, column: pa.Array) -> Texts | None:
        """Return integers that lie close together, by their distance from the least of them."""
        import pyarrow as pa
        from pyarrow import compute

        low, high = compute.min_max(column).as_py().values()
        if low is None or not -INT64 < low <= high < INT64:
            return None
        if self._whole is None or not (low in self._whole and high in self._whole):
            known = self._whole or range(low, high + 1)
            whole = range(min(low, known[0]), max(high, known[-1]) + 1)
            if len(whole) > MOST_WHOLE:
                return None
            self._dictionary, self._whole = None, whole
            self._texts = [*map(str, whole), ""]
        first = self._whole[0]
        numbers = column.cast(pa.int64())
        if numbers.null_count:
            numbers = numbers.fill_null(first + len(self._texts) - 1)
        return Texts(self._texts, numbers.to_numpy() - first)


def blocks_of(batches: Iterable[pa.RecordBatch], names: Sequence[str]) -> Iterator[Block]:
    """Give each batch of Arrow's, whose columns are those ``names``, as a block."""
    readers = [TextReader() for _ in names]
    for batch in batches:
        columns = zip(names, readers, batch.columns, strict=True)
        yield {name: reader.read(column) for name, reader, column in columns}


class Encoder:
    """Gives the codes of one column, over its own cells or those of ``grid``, as small integers.

    What does not fit the schema is counted in ``misfits`` as well.
    """

    def __init__(
        self, column: SchemaColumn, size: int, grid: Grid | None, misfits: Misfits | None
    ) -> None:
        self._column, self._grid, self._misfits = column, grid, misfits
        self._dtype = np.min_scalar_type(size - 1)
        self._known: Sequence[str] | None = None
        self._codes = np.empty(0, dtype=self._dtype)
        self._faults: dict[str, NDArray[np.bool_]] = {}

    def encode(self, texts: Texts) -> NDArray[np.integer]:
        """Return the code of each record."""
        if texts.distinct is not self._known:
            self._look_up(texts.distinct)
        if self._faults and self._misfits is not None:
            counts = np.bincount(texts.places, minlength=len(texts.distinct))
            for what, chosen in self._faults.items():
                self._misfits.note(self._column.name, what, int(counts[chosen].sum()))
        return self._codes.take(texts.places)

    def _look_up(self, distinct: Sequence[str]) -> None:
        column, cells = (
            self._column,
            Cells(np.array(distinct, dtype=object), np.arange(len(distinct))),
        )
        assert not isinstance(column, IdColumn)
        if isinstance(column, DiscreteColumn) or self._grid is None:
            codes = column.codes(cells)
        else:
            codes = column.codes(cells, self._grid)
        faults = faults_of(column, cells).items()
        self._codes = codes.astype(self._dtype)
        self._faults = {what: chosen[:-1] for what, chosen in faults if chosen[:-1].any()}
        self._known = distinct


def encoders_of(
    schema: Schema, domain: Domain, misfits: Misfits | None = None
) -> dict[str, Encoder]:
    """Return what encodes each column over ``domain``: the schema's own, or the finest one."""
    fine = {} if domain is schema.domain else schema.fine
    return {
        name: Encoder(schema.column(name), size, fine[name].grid if name in fine else None, misfits)
        for name, size in zip(domain, domain.sizes, strict=True)
    }
