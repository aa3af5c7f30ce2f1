"""What a source says of a table and of its columns, and the content of a schema made of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, floor
from typing import Any, NoReturn

from dp_synth.errors import SchemaError
from dp_synth.schema.keys import NAMED, KeyPattern
from dp_synth.schema.schema import BOUNDS_FROM, Schema

DETECTED = "may have been read from the records by the program that wrote it: confirm"

Bound = float | str


@dataclass(frozen=True)
class Known:
    """What a source says of one column; None and empty where it says nothing.

    ``detected`` names what may come from the records, in words such as "range". ``pattern`` is that
    of new keys, of an identifier.
    """

    name: str
    type: str | None = None
    lower: Bound | None = None
    upper: Bound | None = None
    categories: tuple[str, ...] | None = None
    missing: tuple[str, ...] = ()
    title: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    format: object = None
    decimals: int | None = None
    pattern: str | None = None
    detected: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Described:
    """A table as a source describes it; ``what`` names the kind of source, such as SDV V2."""

    name: str
    what: str
    columns: Sequence[Known]
    dialect: Mapping[str, object] | None = None


class Part:
    """An object of a foreign file, whose values are asked for by key and kind.

    SchemaError in one line, which names file, column and field, where one is of another kind.
    """

    def __init__(self, content: object, source: str, where: str = "") -> None:
        if not isinstance(content, Mapping):
            raise SchemaError(f"{source}: {f'{where}: ' if where else ''}must be an object")
        self.content, self.source, self.where = content, source, where

    def refuse(self, key: str, what: str) -> NoReturn:
        """Raise the error of a field."""
        where = f"{self.where}: " if self.where else ""
        raise SchemaError(f"{self.source}: {where}field {key!r}: {what}")

    def _of(self, key: str, kinds: type | tuple[type, ...], words: str) -> Any:
        value = self.content.get(key)
        wrong = isinstance(value, bool) and kinds is not bool
        if value is not None and (wrong or not isinstance(value, kinds)):
            self.refuse(key, f"must be {words}, got {str(value)[:60]!r}")
        return value

    def text(self, key: str) -> str | None:
        """Return a text, None without one."""
        found: str | None = self._of(key, str, "text")
        return found

    def number(self, key: str) -> float | None:
        """Return a number, None without one."""
        found: float | None = self._of(key, (int, float), "a number")
        if found is not None and (found != found or abs(found) == float("inf")):
            self.refuse(key, "must be a finite number")
        return found

    def truth(self, key: str) -> bool | None:
        """Return true or false, None without one."""
        found: bool | None = self._of(key, bool, "true or false")
        return found

    def items(self, key: str) -> list[Any] | None:
        """Return a list, None without one."""
        found: list[Any] | None = self._of(key, list, "a list")
        return found

    def part(self, key: str, where: str | None = None) -> Part | None:
        """Return an object within, None without one."""
        value = self.content.get(key)
        inner = f"{self.where}: field {key!r}" if self.where else f"field {key!r}"
        return (
            None if value is None else Part(value, self.source, inner if where is None else where)
        )

    def texts(self, key: str) -> tuple[str, ...] | None:
        """Return a list of values as the texts of cells; None without one."""
        values = self.items(key)
        if values is None:
            return None
        if not values:
            self.refuse(key, "must name at least one value")
        return tuple(self.cell(key, value) for value in values)

    def cell(self, key: str, value: object) -> str:
        """Return a value as the text of a cell."""
        if not isinstance(value, (str, int, float)):
            self.refuse(key, f"must hold texts, numbers and truths, got {str(value)[:60]!r}")
        return cell_text(value)


def column_part(content: object, source: str, name: object) -> Part:
    """Return the object that describes a column."""
    return Part(content, source, f"column {name!r}")


def cell_text(value: object) -> str:
    """Return a value as a CSV file holds it.

    >>> cell_text(True), cell_text(3.0), cell_text("a"), cell_text(0.25)
    ('true', '3', 'a', '0.25')
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)


def key_pattern(expression: str | None) -> tuple[str | None, tuple[str, ...]]:
    """Return the pattern of keys that a regular expression is, and a note where it is none.

    >>> key_pattern("^P-[0-9]{6}$"), key_pattern("[a-z]+")
    (('P-[0-9]{6}', ()), (None, ("'[a-z]+' is no pattern of new keys: left out",)))
    """
    if expression is None:
        return None, ()
    plain = expression.removeprefix("^").removesuffix("$")
    named = next((name for name, own in NAMED.items() if own == plain), plain)
    try:
        return KeyPattern.of(named).text, ()
    except ValueError:
        return None, (f"{expression!r} is no pattern of new keys: left out",)


def value_of(text: str) -> object:
    """Return the number or truth that a text of a cell writes plainly; else the text.

    >>> value_of("3"), value_of("03"), value_of("0.5"), value_of("true"), value_of("a")
    (3, '03', 0.5, True, 'a')
    """
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        if cell_text(number) == text and abs(number) < 2**53:
            return number
    return text


def values_of(texts: Sequence[str]) -> list[object]:
    """Return cells as values of one kind, as texts where they are of several."""
    values = [value_of(text) for text in texts]
    kinds = {bool if isinstance(v, bool) else str if isinstance(v, str) else float for v in values}
    return values if len(kinds) == 1 else list(texts)


def content_of(described: Described, source: str) -> dict[str, object]:
    """Return the content of a schema file, with nulls where something is still to be said.

    SchemaError where what is said contradicts itself, in one line that names the column.
    """
    if not described.columns:
        raise SchemaError(f"{source}: describes no columns")
    content: dict[str, object] = {
        "name": described.name,
        "unit_of_privacy": "row",
        "bounds_from": bounds_from(described),
        **({"dialect": dict(described.dialect)} if described.dialect else {}),
        "columns": [_column(one) for one in described.columns],
    }
    check_content(content, source)
    return content


def bounds_from(described: Described, filled: Collection[str] = ()) -> str:
    """Return where bounds come from: a draft's words for those that the records may have told.

    Columns that were ``filled`` from a table are among these.
    """
    told = [one.name for one in described.columns if one.detected or one.name in filled]
    drafted = list(map(repr, told))
    if not drafted:
        return described.what
    if len(drafted) == len(described.columns) and not filled:
        return f"{BOUNDS_FROM}, of {described.what}"
    return f"{BOUNDS_FROM} of {', '.join(drafted)}; else {described.what}"


def _column(known: Known) -> dict[str, object]:
    notes = list(known.notes)
    if known.detected:
        notes.insert(0, f"{' and '.join(known.detected)} {DETECTED}")
    column: dict[str, object] = {"name": known.name, "type": known.type}
    if known.title:
        column["title"] = known.title
    if known.type in ("integer", "real", "datetime"):
        column |= {"lower": _number(known.lower), "upper": _number(known.upper)}
        if known.format is not None:
            column["format"] = known.format
        if known.type == "real" and known.decimals is not None:
            column["decimals"] = known.decimals
    if known.type in ("categorical", "ordinal"):
        listed = known.categories
        column["categories"] = None if listed is None else list(listed)
    if known.type == "id" and known.pattern is not None:
        column["pattern"] = known.pattern
    if known.missing:
        column["missing"] = list(known.missing)
    if known.labels:
        column["labels"] = dict(known.labels)
    if notes:
        column["note"] = "; ".join(notes)
    return column


def whole_end(bound: float, inwards: int, *, is_open: bool) -> int:
    """Return the whole number that ends a range at a bound, which an open one leaves out.

    ``inwards`` is 1 for a lower bound and -1 for an upper one.

    >>> whole_end(17.5, 1, is_open=True), whole_end(17, 1, is_open=True)
    (18, 18)
    >>> whole_end(9.5, -1, is_open=False), whole_end(9, -1, is_open=True)
    (9, 8)
    """
    nearest = ceil(bound) if inwards > 0 else floor(bound)
    return nearest + inwards if is_open and nearest == bound else nearest


def _number(bound: Bound | None) -> Bound | None:
    return int(bound) if isinstance(bound, float) and bound.is_integer() else bound


def open_fields(column: Mapping[str, object]) -> list[str]:
    """Return the fields of a column that are null: they are still to be said."""
    return [key for key, value in column.items() if value is None]


def columns_of(content: Mapping[str, object]) -> list[dict[str, object]]:
    """Return the columns of a schema's content."""
    columns = content["columns"]
    assert isinstance(columns, list)
    return columns


def questions(content: Mapping[str, object]) -> list[str]:
    """Return what is still to be said of each column, a line for each.

    >>> questions({"columns": [{"name": "age", "type": "integer", "lower": None, "upper": None}]})
    ["column 'age': bounds are missing"]
    """
    words = {"type": "the type is", "categories": "categories are", "format": "the format is"}
    asked = []
    for column in columns_of(content):
        found = open_fields(column)
        bounds = [key for key in ("lower", "upper") if key in found]
        said = [words[key] for key in found if key in words]
        if len(bounds) == 2:
            said.append("bounds are")
        elif bounds:
            said.append(f"the {bounds[0]} bound is")
        asked += [f"column {column['name']!r}: {what} missing" for what in said]
    return asked


def check_content(content: Mapping[str, object], source: str) -> None:
    """Raise SchemaError where the columns that are complete are no schema, or names stand twice."""
    columns = columns_of(content)
    names = [str(column["name"]) for column in columns]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise SchemaError(f"{source}: column {twice!r}: is described twice")
    whole = [column for column in columns if not open_fields(column)]
    if whole:
        Schema.from_dict({**content, "columns": whole}, source)


def notes_by_column(content: Mapping[str, object]) -> Iterator[str]:
    """Give the note of each column that has one."""
    for column in columns_of(content):
        if "note" in column:
            yield f"column {column['name']!r}: {column['note']}"
