"""Constraints of a table in a DuckDB database: types, NOT NULL, keys, ENUM and CHECK."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from dp_synth.errors import InputError, SchemaError, missing_extra
from dp_synth.schema.foreign.dates import iso_text
from dp_synth.schema.foreign.described import Described, Known, cell_text, value_of, whole_end
from dp_synth.schema.foreign.sdv import chosen

WHOLE = re.compile(r"U?(?:TINY|SMALL|BIG|HUGE)?INT(?:EGER)?\b|U?INTEGER", re.IGNORECASE)
_DECIMAL = re.compile(r"(?:DECIMAL|NUMERIC)\((\d+),\s*(\d+)\)", re.IGNORECASE)
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>'(?:[^']|'')*')|(?P<name>"(?:[^"]|"")*"|[A-Za-z_]\w*)"""
    r"""|(?P<number>[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)|(?P<sign><=|>=|<>|!=|::|[][<>=(),]))"""
)
Tokens = list[tuple[str, str]]
_FLIPPED = {"<=": ">=", ">=": "<=", "<": ">", ">": "<", "=": "="}


class Rule(NamedTuple):
    """One comparison of a column: ``sign`` is <=, >=, <, >, = or IN, with its values as text."""

    column: str
    sign: str
    values: tuple[str, ...]


def read(path: Path, name: str, table: str | None) -> Described:
    """Return what a DuckDB database declares of ``table``, or of its only one."""
    try:
        import duckdb
    except ImportError:
        raise missing_extra(f"{path}: reading a DuckDB database", "DuckDB", "bigdata") from None
    try:
        settings: dict[str, Any] = {"enable_external_access": False, "threads": 1}
        database = duckdb.connect(str(path), read_only=True, config=settings)
    except duckdb.Error:
        raise InputError(f"{path}: is not a DuckDB database, or one in use, or damaged") from None
    with database:
        names = _rows(database, "SELECT table_name FROM duckdb_tables() WHERE NOT internal")
        chosen_name = chosen(list(dict.fromkeys(row[0] for row in names)), table, str(path))
        if sum(row[0] == chosen_name for row in names) > 1:
            raise SchemaError(f"{path}: table {chosen_name!r} stands in several of its schemas")
        columns = _rows(
            database,
            "SELECT column_name, data_type, is_nullable, comment FROM duckdb_columns() "
            "WHERE table_name = ? ORDER BY column_index",
            chosen_name,
        )
        declared = _rows(
            database,
            "SELECT constraint_type, expression, constraint_column_names, referenced_table "
            "FROM duckdb_constraints() WHERE table_name = ?",
            chosen_name,
        )
    rules, unread = rules_of([row[1] for row in declared if row[0] == "CHECK"])
    keys = {
        row[2][0]: row[3]
        for row in declared
        if row[0] in ("PRIMARY KEY", "UNIQUE", "FOREIGN KEY") and len(row[2]) == 1
    }
    known = [known_column(column, about(column[0], rules), keys, str(path)) for column in columns]
    known = [noted(one, unread) for one in known]
    return Described(chosen_name, f"the constraints of table {chosen_name} in DuckDB", known)


def about(name: str, rules: Sequence[Rule]) -> list[Rule]:
    """Return the rules of a column, which SQL finds in any case."""
    return [rule for rule in rules if rule.column.lower() == name.lower()]


def _rows(database: Any, query: str, *given: str) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = database.execute(query, list(given)).fetchall()
    return rows


def noted(known: Known, unread: Sequence[str]) -> Known:
    """Return what is known of a column, and a note of each expression about it that is not read."""
    about = [
        text for text in unread if re.search(rf"\b{re.escape(known.name)}\b", text, re.IGNORECASE)
    ]
    notes = tuple(f"CHECK ({text}) is not read" for text in about)
    return Known(**{**known.__dict__, "notes": (*known.notes, *notes)})


def known_column(
    column: tuple[Any, ...], rules: Sequence[Rule], keys: dict[str, Any], source: str
) -> Known:
    """Return what is declared of one column: its name, type, whether it may be null, comment."""
    name, kind, nullable, comment = column
    title = comment or ""
    if name in keys:
        notes = (f"refers to table {keys[name]!r}",) if keys[name] else ()
        return Known(name, "id", title=title, notes=notes)
    if str(kind).endswith("]"):
        return Known(name, "id", title=title, notes=("holds several values: left out",))
    missing = ("",) if nullable else ()
    listed = _listed(kind, rules)
    if listed is not None:
        return Known(name, "categorical", categories=listed, missing=missing, title=title)
    upper_kind = str(kind).upper()
    if upper_kind == "BOOLEAN":
        logical = ("false", "true")
        return Known(name, "categorical", categories=logical, missing=missing, title=title)
    decimal = _DECIMAL.match(upper_kind)
    is_whole = bool(WHOLE.match(upper_kind)) or bool(decimal and decimal[2] == "0")
    if is_whole or decimal or upper_kind in ("DOUBLE", "FLOAT", "REAL"):
        pairs = zip(_ends(rules), (1, -1), strict=True)
        lower, upper = (_number(end, inwards, whole=is_whole) for end, inwards in pairs)
        _check_order(source, name, lower, upper)
        places = int(decimal[2]) if decimal and not is_whole and int(decimal[2]) <= 12 else None
        whole = "integer" if is_whole else "real"
        return Known(name, whole, lower, upper, missing=missing, title=title, decimals=places)
    if upper_kind.startswith(("DATE", "TIMESTAMP", "TIME")):
        form = "%H:%M:%S" if upper_kind.startswith("TIME") and upper_kind[4:5] != "S" else None
        first, last = (end and iso_text(end.value, None) for end in _ends(rules))
        _check_order(source, name, first, last)
        return Known(name, "datetime", first, last, missing=missing, title=title, format=form)
    if upper_kind.startswith("VARCHAR"):
        return Known(name, "categorical", missing=missing, title=title)
    return Known(name, "id", title=title, notes=(f"of type {kind}: left out",))


def _check_order(source: str, name: str, lower: Any, upper: Any) -> None:
    if lower is not None and upper is not None and lower > upper:
        raise SchemaError(
            f"{source}: column {name!r}: field 'CHECK': the least value {lower} is above the "
            f"largest one {upper}"
        )


def _listed(kind: str, rules: Sequence[Rule]) -> tuple[str, ...] | None:
    """Return the values that ENUM or IN lists."""
    if str(kind).upper().startswith("ENUM("):
        texts = [token for what, token in _tokens(kind[4:]) if what == "text"]
        return tuple(texts)
    values = next((rule.values for rule in rules if rule.sign == "IN"), None)
    return None if values is None else tuple(cell_text(value_of(value)) for value in values)


class _End(NamedTuple):
    value: str
    step: int


def _ends(rules: Sequence[Rule]) -> list[_End | None]:
    """Return the tightest bounds that rules say, each with its step inwards."""
    ends: list[_End | None] = []
    for signs, inwards in ((">", 1), ("<", -1)):
        found = [
            _End(rule.values[0], 0 if rule.sign.endswith("=") else inwards)
            for rule in rules
            if rule.sign[0] == signs
        ]
        ends.append(max(found, key=lambda end: _tightness(end, inwards)) if found else None)
    return ends


def _tightness(end: _End, inwards: int) -> tuple[float, str]:
    try:
        return inwards * (float(end.value) + end.step), ""
    except ValueError:
        return 0.0, end.value


def _number(end: _End | None, inwards: int, *, whole: bool) -> float | None:
    if end is None:
        return None
    try:
        number = float(end.value)
    except ValueError:
        return None
    return whole_end(number, inwards, is_open=bool(end.step)) if whole else number


def rules_of(
    checks: Sequence[str], plain: Callable[[Tokens], Tokens] = list
) -> tuple[list[Rule], list[str]]:
    """Return the rules that CHECK expressions say, and the expressions that are not read.

    Read are comparisons of a column with a number, a text or a date, BETWEEN and IN, joined by
    AND, once ``plain`` has made the words of a database those of the standard.

    >>> rules_of(["((age >= 0) AND (age <= 120))"])[0]
    [Rule(column='age', sign='>=', values=('0',)), Rule(column='age', sign='<=', values=('120',))]
    >>> rules_of(["(a < b)"])
    ([], ['(a < b)'])
    """
    rules, unread = [], []
    for check in checks:
        try:
            rules += list(_conjunction(plain(list(_tokens(check)))))
        except Unread:
            unread.append(check)
    return rules, unread


class Unread(Exception):
    """An expression is of a kind that is not read here."""


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    place = 0
    text = text.strip()
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None or found.lastgroup is None:
            raise Unread
        place, kind, token = found.end(), found.lastgroup, found[found.lastgroup]
        if kind == "text":
            token = token[1:-1].replace("''", "'")
        if kind == "name" and token.startswith('"'):
            kind, token = "quoted", token[1:-1].replace('""', '"')
        yield kind, token


def _conjunction(tokens: Tokens) -> Iterator[Rule]:
    """Give the rules of an expression, those of AND one after another."""
    tokens = _bare(tokens)
    depth, begins, between = 0, 0, False
    parts = []
    for place, (kind, token) in enumerate(tokens):
        depth += {"(": 1, ")": -1}.get(token, 0) if kind == "sign" else 0
        word = token.upper() if kind == "name" else ""
        if word == "BETWEEN" and not depth:
            between = True
        elif word == "AND" and not depth:
            if between:
                between = False
                continue
            parts.append(tokens[begins:place])
            begins = place + 1
    if parts:
        for part in (*parts, tokens[begins:]):
            yield from _conjunction(part)
        return
    yield from _comparison(tokens)


def _bare(tokens: Tokens) -> Tokens:
    """Return tokens without the brackets around all of them."""
    while len(tokens) > 1 and tokens[0] == ("sign", "("):
        steps = [{"(": 1, ")": -1}.get(t, 0) if kind == "sign" else 0 for kind, t in tokens]
        depths = list(accumulate(steps))
        if depths.index(0) < len(tokens) - 1 if 0 in depths else True:
            break
        tokens = tokens[1:-1]
    return tokens


def _comparison(tokens: Tokens) -> Iterator[Rule]:
    words = [token.upper() if kind == "name" else token for kind, token in tokens]
    for place, (kind, token) in enumerate(tokens):
        left = tokens[:place]
        if kind == "sign" and token in _FLIPPED:
            yield _compared(left, token, tokens[place + 1 :])
            return
        if words[place] == "IN" and kind == "name":
            values = [one for one in _bare(tokens[place + 1 :]) if one != ("sign", ",")]
            listed = tuple(_literal([one]) or "" for one in values)
            if any(_literal([one]) is None for one in values) or not values:
                raise Unread
            yield Rule(_column(left), "IN", listed)
            return
        if words[place] == "BETWEEN" and kind == "name":
            middle = next(i for i in range(place, len(words)) if words[i] == "AND")
            yield _compared(left, ">=", tokens[place + 1 : middle])
            yield _compared(left, "<=", tokens[middle + 1 :])
            return
    raise Unread


def _compared(left: Tokens, sign: str, right: Tokens) -> Rule:
    value = _literal(right)
    if value is not None:
        return Rule(_column(left), sign, (value,))
    value = _literal(left)
    if value is None:
        raise Unread
    return Rule(_column(right), _FLIPPED[sign], (value,))


def _column(tokens: Tokens) -> str:
    tokens = _bare(tokens)
    if len(tokens) != 1 or tokens[0][0] not in ("name", "quoted"):
        raise Unread
    return tokens[0][1]


def _literal(tokens: Tokens) -> str | None:
    """Return a number, a text or a date, plain or cast, as text; None for anything else."""
    tokens = _bare(tokens)
    if len(tokens) == 1 and tokens[0][0] in ("number", "text"):
        return tokens[0][1]
    words = [token.upper() for _, token in tokens]
    if len(tokens) == 6 and words[0] == "CAST" and words[3] == "AS":
        return _literal([tokens[2]])
    if len(tokens) == 3 and words[1] == "::":
        return _literal([tokens[0]])
    if len(tokens) == 2 and words[0] in ("DATE", "TIMESTAMP"):
        return _literal([tokens[1]])
    return None
