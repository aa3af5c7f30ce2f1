"""Records that stay in a database: their counts are asked for, and nothing else comes back.

One connection reads one snapshot, where the engine has them. What an engine says of a fault may
quote a cell: no error here repeats it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import Any, NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray

from dp_synth.counting.columns import MemoryColumns
from dp_synth.counting.kept_tables import DistantCounts, KeptTables
from dp_synth.counting.records import PrivateRecords, finest_domain
from dp_synth.counting.sql import (
    CodeExpression,
    Kind,
    counting_statement,
    marginals_of,
    parity_statement,
    quoted,
    translated,
    used_in,
)
from dp_synth.databases import Address, connected
from dp_synth.domain import Domain, ParitySets
from dp_synth.errors import InputError, SchemaError
from dp_synth.schema import IdColumn, Schema
from dp_synth.types import Clique, Codes, Floats

FETCHED = 2**16  # rows of counts that are fetched at one time
MOST_SETS = 400  # marginals of one statement; engines refuse very many
MOST_PARITIES = {"duckdb": 5_000, "postgres": 1_600, "spark": 400}  # columns of an answer

_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("tinyint", "smallint", "integer", "bigint", "hugeint"), "whole"),
    **dict.fromkeys(("utinyint", "usmallint", "uinteger", "ubigint"), "whole"),
    **dict.fromkeys(("int2", "int4", "int8"), "whole"),
    **dict.fromkeys(("double", "float8"), "double"),
    **dict.fromkeys(("float", "float4", "decimal", "numeric"), "number"),
    **dict.fromkeys(("boolean", "bool"), "truth"),
    **dict.fromkeys(("varchar", "text", "enum"), "text"),
    "date": "day",
    "timestamp": "moment",
}


class DatabaseTable:
    """A table of a database at an address, read in one snapshot.

    ``duckdb:///folder/file.db?table=people`` or ``postgresql://user@host/base?table=people``, the
    name also as ``schema.people``; all other parts are the engine's own. InputError for an address
    that names no table, and for a database or a table that cannot be read.
    """

    def __init__(self, text: str) -> None:
        address = Address.of(text)
        if address.table is None:
            raise InputError(f"{address.said}: must end in ?table=NAME")
        self.name, self.dialect = address.table, address.dialect
        self.statements = 0
        self.kept = KeptTables()
        translated("SELECT 1", self.dialect)  # what it needs beside
        self._connection, self._faults = connected(address)

    @cached_property
    def types(self) -> dict[str, str]:
        """The engine's name of each column's type, in small letters; no record is read."""
        source = ".".join(map(quoted, self.name.split(".")))
        with self._cursor(f"SELECT * FROM {source} LIMIT 0") as cursor:
            described = cursor.description or ()
            if self.dialect == "duckdb":
                return {one[0]: str(one[1]).lower() for one in described}
            found = {}
            for one in described:
                known = self._connection.adapters.types.get(one.type_code)
                found[one.name] = "unknown" if known is None else str(known.name).lower()
            return found

    def kind(self, name: str) -> Kind:
        """Return what the engine holds in a column; SchemaError where nothing here counts it."""
        if name not in self.types:
            raise SchemaError(f"{self.name}: lacks column {name!r}, which the schema names")
        known = self.types[name].partition("(")[0].strip()
        if known not in _KINDS:
            raise SchemaError(
                f"column {name!r}: is of a type of the database that is not counted there; give a "
                "view in which it is cast to text, a number, a date or a timestamp"
            )
        return _KINDS[known]

    @cached_property
    def records(self) -> int:
        """The number of records, private, counted once."""
        return int(self.counts(counting_statement(self.name, {}, [()], dialect=self.dialect))[0, 0])

    def counts(self, statement: str, *, as_written: bool = False) -> NDArray[np.int64]:
        """Return the rows of a statement that gives whole numbers.

        DuckDB takes it ``as_written``, without looking for a better way: of very many sums that
        takes longer than they do.
        """
        if as_written and self.dialect == "duckdb":
            with self._cursor("PRAGMA disable_optimizer"):
                pass
            try:
                return self.counts(statement)
            finally:
                with self._cursor("PRAGMA enable_optimizer"):
                    pass
        rows: list[NDArray[np.int64]] = []
        with self._cursor(statement) as cursor:
            width = len(cursor.description)
            while part := cursor.fetchmany(FETCHED):
                rows.append(np.array(part, dtype=np.int64))
        self.statements += 1
        return np.concatenate(rows) if rows else np.empty((0, width), dtype=np.int64)

    def _cursor(self, statement: str) -> _Cursor:
        return _Cursor(self, self._connection, self._faults, statement)

    def close(self) -> None:
        """End the snapshot and the connection."""
        with suppress(self._faults):
            self._connection.close()


class _Cursor:
    """The cursor of one statement; a fault of the engine is one line without its words."""

    def __init__(
        self, table: DatabaseTable, connection: Any, faults: type[Exception], statement: str
    ) -> None:
        self._table, self._connection = table, connection
        self._faults, self._statement = faults, statement

    def __enter__(self) -> Any:
        try:
            self._cursor = self._connection.cursor()
            if self._table.dialect == "duckdb":  # a cursor of DuckDB is another connection
                self._cursor.close()
                self._cursor = self._connection
            self._cursor.execute(self._statement)
        except self._faults as error:
            self._refuse(error)
        return self._cursor

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, self._faults):
            self._refuse(error)

    def _refuse(self, error: BaseException) -> NoReturn:
        raise InputError(
            f"table {self._table.name!r}: the database did not answer ({type(error).__name__}): "
            "is it there, may this user read it, is the connection up? What a ledger was charged "
            "stays charged"
        ) from None


class SqlTable(Protocol):
    """A table that an engine of SQL counts."""

    name: str
    dialect: str
    statements: int
    kept: KeptTables

    @property
    def records(self) -> int:
        """The number of records, private."""

    def kind(self, name: str) -> Kind:
        """Return what the engine holds in a column; SchemaError where nothing here counts it."""

    def counts(self, statement: str, *, as_written: bool = False) -> NDArray[np.int64]:
        """Return the rows of a statement that gives whole numbers."""

    def close(self) -> None:
        """Give back what the table holds of the engine."""


class SqlCounts(DistantCounts):
    """Exact counts of a table that stays in its database: one statement for all that is asked.

    Cells and codes are those of a fit in memory. A null counts as an empty text, as it does in a
    CSV or Parquet file of the table.
    """

    where = "in their database"

    def __init__(
        self,
        table: SqlTable,
        expressions: Mapping[str, CodeExpression],
        domain: Domain,
        groups: Mapping[str, Codes] | None = None,
    ) -> None:
        super().__init__(domain, groups or {}, table.kept)
        self._table = table
        self._expressions = expressions

    def __len__(self) -> int:
        return self._table.records

    def _asked(self, cliques: Sequence[Clique]) -> list[Floats]:
        parts = (cliques[at : at + MOST_SETS] for at in range(0, len(cliques), MOST_SETS))
        return [table for part in parts for table in self._counted(part)]

    def _counted(self, cliques: Sequence[Clique]) -> list[Floats]:
        used = used_in(self._expressions, cliques)
        statement = counting_statement(
            self._table.name,
            self._expressions,
            cliques,
            groups=self._groups,
            dialect=self._table.dialect,
        )
        return marginals_of(self._table.counts(statement), used, self.domain, cliques)

    def parities(self, asked: ParitySets) -> Floats:
        """Return for each set the records with an even number of its bits less those with odd."""
        odd, most = list[NDArray[np.int64]](), MOST_PARITIES[self._table.dialect]
        for start in range(0, len(asked), most):
            part = replace(asked, sets=asked.sets[start : start + most])
            statement = parity_statement(
                self._table.name,
                self._expressions,
                part,
                groups=self._groups,
                dialect=self._table.dialect,
            )
            odd.append(self._table.counts(statement, as_written=True)[0])
        return self._table.records - 2.0 * np.concatenate([*odd, np.empty(0, dtype=np.int64)])

    def _over(self, domain: Domain, groups: Mapping[str, Codes]) -> SqlCounts:
        return SqlCounts(self._table, self._expressions, domain, groups)


class DatabaseRecords(PrivateRecords):
    """Private records that stay in a database, which counts them."""

    def __init__(self, schema: Schema, table: SqlTable) -> None:
        super().__init__(schema, MemoryColumns([], 0))
        self.table = table

    @classmethod
    def of_table(cls, schema: Schema, table: SqlTable) -> DatabaseRecords:
        """Return the records of a table, which is closed where its columns do not fit."""
        records = cls(schema, table)
        try:
            _ = records.counts
        except InputError:
            records.close()
            raise
        return records

    @cached_property
    def counts(self) -> SqlCounts:  # type: ignore[override]
        """The records, counted over `finest_domain`."""
        schema, expressions = self.schema, {}
        for name in schema.domain:
            column = schema.column(name)
            assert not isinstance(column, IdColumn)
            grid = schema.fine[name].grid if name in schema.fine else None
            expressions[name] = CodeExpression(column, self.table.kind(name), grid)
        return SqlCounts(self.table, expressions, finest_domain(schema))

    def close(self) -> None:
        """End the snapshot and the connection."""
        self.table.close()


def read_database(address: str, schema: Schema, unit: str | None = None) -> DatabaseRecords:
    """Return the records of a table in a database for a fit over ``schema``; none is read yet.

    SchemaError for a column that is not there or of another type, for open columns, and for units
    of several records: these take the records themselves. InputError as `DatabaseTable`.
    """
    schema = schema.without_keys
    check_of_table(schema, unit)
    return DatabaseRecords.of_table(schema, DatabaseTable(address))


def check_of_table(schema: Schema, unit: str | None) -> None:
    """Raise SchemaError for what takes the records themselves."""
    if schema.open:
        raise SchemaError(
            f"column {schema.open[0]!r} is open, and texts that the schema does not list never "
            "leave a database; list them"
        )
    if unit is not None:
        raise SchemaError(
            f"unit {unit!r}: records of one unit are told apart where the records are read, and "
            "these stay in their database; fit a table of one record a unit, or from a file"
        )
