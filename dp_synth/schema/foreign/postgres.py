"""Constraints of a table in a PostgreSQL database: types, domains, NOT NULL, keys, ENUM, CHECK.

All of it is read from the catalogue (pg_catalog) in one read-only transaction; no record is.
"""

from __future__ import annotations

import re
from typing import Any

from dp_synth.databases import Address, connected
from dp_synth.errors import InputError
from dp_synth.schema.foreign.described import Described
from dp_synth.schema.foreign.sdv import chosen
from dp_synth.schema.foreign.sql import Tokens, Unread, about, known_column, noted, rules_of

_KINDS = {
    "double precision": "DOUBLE",
    "real": "REAL",
    "boolean": "BOOLEAN",
    "text": "VARCHAR",
    "timestamp without time zone": "TIMESTAMP",
    "timestamp with time zone": "TIMESTAMP WITH TIME ZONE",
    "time without time zone": "TIME",
}
_TEXTS = ("TEXT", "CHARACTER", "VARCHAR", "BPCHAR")
_TABLES = (
    "SELECT n.nspname, c.relname, c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = "
    "c.relnamespace WHERE c.relkind IN ('r', 'p', 'f') AND n.nspname <> 'information_schema' AND "
    "n.nspname NOT LIKE 'pg\\_%%' ORDER BY 1, 2"
)
_COLUMNS = (
    "SELECT a.attname, a.atttypid, format_type(a.atttypid, a.atttypmod), a.attnotnull, "
    "col_description(a.attrelid, a.attnum) FROM pg_attribute a "
    "WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
)
_CONSTRAINTS = (
    "SELECT k.contype::text, pg_get_constraintdef(k.oid), (SELECT array_agg(a.attname) FROM "
    "pg_attribute a WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)), "
    "k.confrelid::regclass::text, k.convalidated FROM pg_constraint k WHERE k.conrelid = %s"
)
_TYPE = (
    "SELECT typtype::text, typbasetype, format_type(typbasetype, typtypmod), typnotnull "
    "FROM pg_type WHERE oid = %s"
)
_LABELS = "SELECT enumlabel FROM pg_enum WHERE enumtypid = %s ORDER BY enumsortorder"
_OF_DOMAIN = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contypid = %s"


def read(address: Address) -> Described:
    """Return what a PostgreSQL database declares of the table at an address, or of its only one."""
    connection, fault = connected(address)
    try:
        with connection as database:
            return _described(_Catalogue(database), address)
    except fault as error:
        kind = type(error).__name__
        raise InputError(f"{address.said}: its catalogue cannot be read ({kind})") from None


def _described(catalogue: _Catalogue, address: Address) -> Described:
    found = catalogue.rows(_TABLES)
    twice = [name for _, name, _ in found]
    shown = [name if twice.count(name) == 1 else f"{schema}.{name}" for schema, name, _ in found]
    asked = address.table
    if asked is not None and asked not in shown:  # its schema may be said though it need not be
        whole = [f"{schema}.{name}" for schema, name, _ in found]
        asked = shown[whole.index(asked)] if asked in whole else asked
    name = chosen(sorted(shown), asked, address.said)
    number = found[shown.index(name)][2]
    declared = catalogue.rows(_CONSTRAINTS, number)
    checks = [_checked(row[1]) for row in declared if row[0] == "c" and row[4]]
    keys = {
        row[2][0]: row[3] if row[0] == "f" else None
        for row in sorted(declared, key=lambda row: row[0] == "f")
        if row[0] in ("p", "u", "f") and len(row[2]) == 1
    }
    columns = []
    for column, kind, shown_kind, required, title in catalogue.rows(_COLUMNS, number):
        basic, never_null, own = catalogue.basic(column, kind, shown_kind)
        checks += own
        columns.append((column, basic, not (required or never_null), title))
    rules, unread = rules_of(checks, _plain)
    known = [
        noted(known_column(one, about(one[0], rules), keys, address.said), unread)
        for one in columns
    ]
    what = f"the constraints of table {name} in PostgreSQL"
    return Described(name.rpartition(".")[2], what, known)


class _Catalogue:
    """The system tables of a database."""

    def __init__(self, database: Any) -> None:
        self._database = database

    def rows(self, query: str, *given: object) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        found: list[tuple[Any, ...]] = self._database.execute(query, given).fetchall()
        return found

    def basic(self, column: str, kind: int, shown: str) -> tuple[str, bool, list[str]]:
        """Return a type in the words of `known_column`, whether it may not be null, its checks.

        Of a domain these are its own, about the column in place of VALUE, and those below it.
        """
        checks: list[str] = []
        required, quoted = False, '"' + column.replace('"', '""') + '"'
        while True:
            ((category, below, shown_below, never),) = self.rows(_TYPE, kind)
            if category != "d":
                break
            own = [_checked(row[0]) for row in self.rows(_OF_DOMAIN, kind)]
            checks += [quoted.join(re.split(r"\bVALUE\b", one)) for one in own]
            kind, shown, required = below, shown_below, required or never
        if category == "e":
            labels = [row[0].replace("'", "''") for row in self.rows(_LABELS, kind)]
            listed = ", ".join(f"'{label}'" for label in labels)
            return f"ENUM({listed})", required, checks
        name = re.sub(r"^(?:character varying|character|bpchar)\b.*", "VARCHAR", shown)
        return _KINDS.get(name, name), required, checks


def _checked(definition: str) -> str:
    """Return the expression of a CHECK constraint as `pg_get_constraintdef` writes it."""
    return re.sub(r"^CHECK \((.*)\)(?: NO INHERIT)?$", r"\1", definition, flags=re.DOTALL)


def _plain(tokens: Tokens) -> Tokens:
    """Return tokens without casts, and ``= ANY (ARRAY[...])`` as IN.

    A column that is compared as text by < or > has another order than its own: not read.
    """
    kept: Tokens = []
    ordered = any(token in ("<", ">", "<=", ">=") for kind, token in tokens if kind == "sign")
    place = 0
    while place < len(tokens):
        if tokens[place] != ("sign", "::"):
            kept.append(tokens[place])
            place += 1
            continue
        place, words = _after_type(tokens, place + 1)
        if kept[-1:] == [("sign", ")")] and kept[-3:-2] == [("sign", "(")]:
            kept[-3:] = [kept[-2]]  # one word in brackets
        is_literal = bool(kept) and kept[-1][0] in ("text", "number")
        if not is_literal and (ordered or words[:1] not in ([one] for one in _TEXTS)):
            raise Unread
    return _as_in(kept)


def _after_type(tokens: Tokens, place: int) -> tuple[int, list[str]]:
    """Return the place after the type that a cast names, and its words."""
    words: list[str] = []
    while place < len(tokens) and tokens[place][0] in ("name", "quoted"):
        if words and tokens[place][1].upper() in ("AND", "OR", "IN", "BETWEEN", "IS"):
            break
        words.append(tokens[place][1].upper())
        place += 1
    for opening, closing in (("(", ")"), ("[", "]")):
        if tokens[place : place + 1] == [("sign", opening)]:
            place = tokens.index(("sign", closing), place) + 1
    return place, words


def _as_in(tokens: Tokens) -> Tokens:
    """Return tokens in which each comparison with ANY of an array is one with IN."""
    kept: Tokens = []
    place = 0
    while place < len(tokens):
        if tokens[place : place + 2] != [("sign", "="), ("name", "ANY")]:
            kept.append(tokens[place])
            place += 1
            continue
        depth, end = 0, place + 2
        while end < len(tokens):
            depth += {("sign", "("): 1, ("sign", ")"): -1}.get(tokens[end], 0)
            end += 1
            if not depth:
                break
        values = [one for one in tokens[place + 2 : end] if one[0] in ("text", "number")]
        commas = [("sign", ",")] * len(values)
        listed = [part for pair in zip(values, commas, strict=True) for part in pair][:-1]
        kept += [("name", "IN"), ("sign", "("), *listed, ("sign", ")")]
        place = end
    return kept
