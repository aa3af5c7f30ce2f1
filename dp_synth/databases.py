"""Addresses of tables in databases, and read-only connections to these.

What an engine says of a fault may quote a cell or name who asks, and an address may hold a
password: no error here repeats either.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from dp_synth.errors import InputError, missing_extra

ADDRESSES = ("duckdb://", "postgresql://", "postgres://")
"""What the address of a table in a database begins with."""

ENGINES = ("DuckDB", "PostgreSQL")
"""What keeps such tables, as it is called."""

ELSEWHERE = (*ENGINES, "several holders", "a cluster")
"""Where records may be counted, so that exact counts cross a wire."""

WAIT = 10  # seconds for a connection


def is_address(data: object) -> bool:
    """Tell whether ``data`` is the address of a table in a database.

    >>> is_address("postgresql://localhost/census?table=people"), is_address("people.json")
    (True, False)
    """
    return isinstance(data, str) and data.lower().startswith(ADDRESSES)


@dataclass(frozen=True)
class Address:
    """Where a table stands: the engine, the database, and the name of the table if it is given.

    ``place`` is what the engine opens: a path for DuckDB, a URL for PostgreSQL. ``said`` are the
    words for it in messages, without who asks and the password.
    """

    dialect: str
    table: str | None
    said: str
    place: str = field(repr=False)

    @classmethod
    def of(cls, text: str, table: str | None = None) -> Address:
        """Return the parts of an address; InputError where the table is named twice otherwise.

        Two slashes stand before a host, and a third before a path from here; a fourth before one
        from the root.

        >>> Address.of("postgresql://me:secret@localhost/census?table=people")
        Address(dialect='postgres', table='people', said='postgresql://localhost/census')
        >>> Address.of("duckdb:///people.db", "people").place
        'people.db'
        """
        parts = urlsplit(text)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        named = query.pop("table", None) or None
        said = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        if table and named and table != named:
            raise InputError(f"{said}: names table {named!r}, and not {table!r}")
        if parts.scheme != "duckdb":
            url = text.partition("?")[0] + (f"?{urlencode(query)}" if query else "")
            return cls("postgres", table or named, said, url)
        if query:
            raise InputError(f"{said}: takes ?table=NAME alone, got {min(query)!r}")
        path = parts.netloc + parts.path
        return cls("duckdb", table or named, said, path.removeprefix("/"))

    @property
    def engine(self) -> str:
        """What keeps the table, one of `ENGINES`."""
        return ENGINES[self.dialect == "postgres"]


def connected(address: Address) -> tuple[Any, type[Exception]]:
    """Return a connection that reads one snapshot, and the class of the engine's errors.

    InputError where the engine is not installed, and where the database cannot be opened.
    """
    return _duckdb(address) if address.dialect == "duckdb" else _postgres(address)


def _duckdb(address: Address) -> tuple[Any, type[Exception]]:
    try:
        import duckdb
    except ImportError:
        raise missing_extra(address.said, "DuckDB", "bigdata") from None
    if not os.path.isfile(address.place):
        raise InputError(f"{address.place}: there is no such database")
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    settings: dict[str, Any] = {"memory_limit": "2GB", "temp_directory": "", "threads": threads}
    try:
        connection = duckdb.connect(address.place, read_only=True, config=settings)
        connection.execute("SET enable_progress_bar = false")
        connection.execute("BEGIN TRANSACTION")
    except duckdb.Error:
        raise InputError(
            f"{address.place}: is not a DuckDB database, or one in use, or damaged"
        ) from None
    return connection, duckdb.Error


def _postgres(address: Address) -> tuple[Any, type[Exception]]:
    try:
        import psycopg
    except ImportError:
        raise missing_extra(address.said, "psycopg", "sql") from None
    try:
        connection = psycopg.connect(address.place, connect_timeout=WAIT)
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
    except psycopg.Error:
        raise InputError(
            f"{address.said}: the server cannot be reached, or lets this user not in: check the "
            "address, the server and the password"
        ) from None
    return connection, psycopg.Error
