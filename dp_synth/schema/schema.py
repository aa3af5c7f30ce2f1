"""The schema of a table: its columns, in order, and what is public about the table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Annotated, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from dp_synth.dialect import Dialect
from dp_synth.domain import Domain, Support
from dp_synth.errors import SchemaError
from dp_synth.extensions import listed, nearest, unknown
from dp_synth.faults import Fault, Parts, first_fault
from dp_synth.files import written_whole
from dp_synth.formatting import ROWS, html_table
from dp_synth.frames import ArrowTable, as_frame, column_of
from dp_synth.readers import read_json
from dp_synth.schema.columns import MAX_OPEN, DiscreteColumn, FineBins, IdColumn
from dp_synth.schema.constraints import (
    Case,
    Column,
    Constraint,
    Function,
    Interval,
    cuts_of,
    supports_of,
)
from dp_synth.schema.kinds import Kinds, checked, in_kinds
from dp_synth.schema.numeric import DatetimeColumn, LineColumn, NumericColumn
from dp_synth.schema.parsing import Cells, NumberFormat, Text, moved_to_columns
from dp_synth.types import Codes, Floats

BOUNDS_FROM = "read from the data: confirm each bound and category"
"""What a draft says of its bounds, until a person has confirmed them."""


def is_draft(bounds_from: str | None) -> bool:
    """Tell whether ``bounds_from`` says that bounds were read from the records.

    >>> is_draft("read from the data of 'age'; else the census"), is_draft("the census")
    (True, False)
    """
    return (bounds_from or "").startswith(BOUNDS_FROM.partition(":")[0])


RECORD_WORDS = ("row", "record", "line")  # for a unit that is one record

_PARTS: Parts = {
    "categorical": DiscreteColumn,
    "ordinal": DiscreteColumn,
    "integer": NumericColumn,
    "real": NumericColumn,
    "datetime": DatetimeColumn,
    "id": IdColumn,
    "dialect": Dialect,
    "format": NumberFormat,
    "constraints": Constraint,
    "function": Function,
    "where": Case,
}


class Schema(BaseModel):
    """Columns of a table with their public bounds and categories; frozen.

    Read one with `load` or `from_dict`, which report a fault in one line. ``positive`` is the
    category of the label that counts as positive, compared as text. ``constraints`` say what
    can never occur together: cells of numeric columns then begin where a condition does.
    ``dialect`` says how the table's CSV files are written, where not in the common way.

    >>> schema = Schema.from_dict({"name": "people", "columns": [
    ...     {"name": "age", "type": "integer", "lower": 17, "upper": 90},
    ...     {"name": "job", "type": "categorical", "categories": ["a", "b"], "missing": ["?"]}]})
    >>> schema.domain.attributes, schema.domain.sizes, schema.domain.ordered
    (('age', 'job'), (74, 3), (74, 0))
    >>> schema.encode(pd.DataFrame({"age": ["17", "20"], "job": ["b", "?"]})).tolist()
    [[0, 1], [3, 2]]
    """

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    name: Text
    label: Text | None = None
    positive: int | str | None = None
    unit_of_privacy: Text | None = None
    bounds_from: Text | None = None
    dialect: Dialect | None = None
    constraints: tuple[Constraint, ...] = ()
    columns: tuple[Annotated[Column, Field(discriminator="type")], ...] = Field(min_length=1)

    def __repr__(self) -> str:
        columns = [f"{column.name} ({column.type})" for column in self.columns]
        label = f"; label {self.label!r}" if self.label is not None else ""
        return f"<Schema {self.name}: {len(columns)} columns: {listed(columns, ROWS)}{label}>"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        rows = [
            (column.name, column.type, "" if isinstance(column, IdColumn) else f"{column.size:,}")
            for column in self.columns
        ]
        return html_table(("column", "type", "codes"), rows, [f"label: {self.label or 'none'}"])

    def __hash__(self) -> int:
        """Return the hash of the columns alone: constraints hold mappings, which have none."""
        return hash((self.name, self.columns))

    @model_validator(mode="before")
    @classmethod
    def _columns_say_their_decimal_sign(cls, content: object) -> object:
        return moved_to_columns(content) if isinstance(content, Mapping) else content

    @field_validator("columns")
    @classmethod
    def _cells_meet_conditions_whole_or_not(
        cls, columns: tuple[Column, ...], info: ValidationInfo
    ) -> tuple[Column, ...]:
        rules: tuple[Constraint, ...] = info.data.get("constraints", ())
        return tuple(
            column.cut_at(cuts_of(rules, column)) if isinstance(column, LineColumn) else column
            for column in columns
        )

    @model_validator(mode="after")
    def _names_fit_together(self) -> Self:
        seen: set[str] = set()
        for name in self.names:
            if name in seen:
                raise ValueError(f"column {name!r}: is given twice; names must be distinct")
            seen.add(name)
        if self.label is not None and self.label not in seen:
            raise ValueError(
                f"field 'label': must name a column, got {self.label!r}; "
                f"{nearest(self.label, self.names)}"
            )
        self._check_positive()
        self._check_open()
        _ = self.supports  # ValueError for a constraint that does not fit the columns
        return self

    def _check_positive(self) -> None:
        if self.positive is None:
            return
        if self.label is None:
            raise ValueError("field 'positive': must stand beside 'label', which is not given")
        label = self.column(self.label)
        texts = label.texts if isinstance(label, DiscreteColumn) else ()
        if str(self.positive) not in texts:
            known = ", ".join(map(repr, texts[:10])) or "none: it must be categorical"
            raise ValueError(
                f"field 'positive': must be a category of {self.label!r} ({known}), "
                f"got {str(self.positive)!r}"
            )

    def _check_open(self) -> None:
        """Refuse what could fail, or not, by the categories that a fit adds."""
        conditions = (
            (n, c) for rule in self.constraints for n in self.open for c in rule.conditions(n)
        )
        for name, condition in conditions:
            if isinstance(condition, Interval):
                raise ValueError(
                    f"column {name!r}: is open, so that a constraint must name its categories, "
                    "not say 'from' and 'below'"
                )

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Schema:
        """Return the schema in the JSON file at ``path``; SchemaError says what is wrong in it."""
        return cls.from_dict(read_json(path, SchemaError), source=str(path))

    @classmethod
    def from_dict(cls, mapping: Mapping[str, object], source: str = "schema") -> Schema:
        """Return the schema that ``mapping`` describes; ``source`` opens the error line."""
        if not isinstance(mapping, Mapping):
            raise SchemaError(f"{source}: must be an object with 'name' and 'columns'")
        try:
            return cls.model_validate(dict(mapping))
        except ValidationError as error:
            fault = first_fault(error, cls, _PARTS, shows_input=True)
        raise SchemaError(f"{source}: {_told(fault, mapping)}")

    def save(self, path: str | PathLike[str]) -> None:
        """Write the schema to a new JSON file, whole or not at all, for `load` to read.

        A draft is private: its owner alone can read it. SchemaError where a file is there already:
        one that a person has confirmed is not lost.

        >>> schema = Schema.from_dict({"name": "t", "columns": [{"name": "serial", "type": "id"}]})
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     schema.save(f"{folder}/t.meta.json")
        ...     Schema.load(f"{folder}/t.meta.json") == schema
        True
        """
        if Path(path).exists():
            raise SchemaError(f"{path}: is there already, and a schema is never overwritten")
        text = json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
        try:
            with written_whole(path, private=self.is_draft) as passing:
                passing.write_text(f"{text}\n", encoding="utf-8")
        except OSError as error:
            raise SchemaError(f"{path}: cannot be written: {error.strerror}") from None

    def to_dict(self) -> dict[str, object]:
        """Return the content of the schema's file."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)

    @property
    def is_draft(self) -> bool:
        """Whether its bounds were read from the records, and nobody has confirmed them."""
        return is_draft(self.bounds_from)

    @property
    def has_units(self) -> bool:
        """Whether it says that whom it protects is something else than one record."""
        words = set((self.unit_of_privacy or "row").lower().split())
        return words.isdisjoint(RECORD_WORDS)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of all columns, in order."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def domain(self) -> Domain:
        """The attributes and their numbers of codes; SchemaError when there is an `id` column.

        Of a column whose cells a fit chooses it tells how many histograms that takes, and it
        names those to which a fit adds categories.
        """
        columns = self.synthesized()
        ordered = (0 if c.type == "categorical" else c.size - len(c.missing) for c in columns)
        depths = (self.fine[name].depth if name in self.fine else 0 for name in self.names)
        sizes = tuple(c.size for c in columns)
        return Domain(
            self.names,
            sizes,
            tuple(ordered),
            self.supports,
            tuple(depths),
            self.open,
            None if self.label is None else str(self.label),
        )

    @cached_property
    def supports(self) -> tuple[Support, ...]:
        """The structural zeros that the constraints are."""
        return tuple(supports_of(self.constraints, self.columns))

    @cached_property
    def open(self) -> tuple[str, ...]:
        """The names of the columns whose lists of categories are open."""
        return tuple(c.name for c in self.columns if isinstance(c, DiscreteColumn) and c.open)

    def opened(self, texts: Mapping[str, Sequence[str]]) -> Schema:
        """Return the schema with more categories in some columns; SchemaError for no room."""
        columns = tuple(
            column.opened(texts[column.name])
            if isinstance(column, DiscreteColumn) and texts.get(column.name)
            else column
            for column in self.columns
        )
        try:
            return self._with({"columns": columns})
        except ValidationError as error:
            fault = first_fault(error, type(self), _PARTS)
        raise SchemaError(f"with as many categories as a fit may add: {_told(fault, {})}")

    def widest(self) -> Schema:
        """Return the schema with as many categories in open columns as a fit may add."""
        others = tuple(f"\0{place}" for place in range(MAX_OPEN))
        return self.opened(dict.fromkeys(self.open, others)) if self.open else self

    @cached_property
    def fine(self) -> dict[str, FineBins]:
        """The fine cells of those columns whose own a fit chooses, by noisy counts that it pays."""
        lines = [c for c in self.columns if isinstance(c, LineColumn)]
        return {column.name: column.fine for column in lines if column.fine is not None}

    @cached_property
    def fine_domain(self) -> Domain:
        """The attributes that have fine cells, and the numbers of their fine codes."""
        grids = self.fine
        marks = [len(self.column(name).missing) for name in grids]
        cells = tuple(len(fine.grid) for fine in grids.values())
        sizes = tuple(count + more for count, more in zip(cells, marks, strict=True))
        return Domain(tuple(grids), sizes, cells)

    def binned(self, groups: Mapping[str, Codes]) -> Schema:
        """Return the schema with cells declared that are groups of neighbouring fine ones.

        ``groups[name][code]`` is the group of each fine code of a column, missing marks last.
        """
        columns = []
        for column in self.columns:
            if isinstance(column, LineColumn) and column.name in groups:
                fine = self.fine[column.name]
                column = column.with_cells(fine.merged(groups[column.name][: len(fine.grid)]))
            columns.append(column)
        return self._with({"columns": tuple(columns)})

    def with_densities(self, slopes: Mapping[str, Floats]) -> Schema:
        """Return the schema with densities inside the cells of some columns, a slope a cell."""
        columns = tuple(
            column.with_density(slopes[column.name])
            if isinstance(column, LineColumn) and column.name in slopes
            else column
            for column in self.columns
        )
        return self._with({"columns": columns})

    @cached_property
    def keys(self) -> tuple[tuple[int, IdColumn], ...]:
        """The columns that get new keys in synthetic rows, each with its place among all."""
        return tuple(
            (place, column)
            for place, column in enumerate(self.columns)
            if isinstance(column, IdColumn) and column.pattern is not None
        )

    @property  # not kept: a schema that held itself could not be compared
    def without_keys(self) -> Schema:
        """The schema of the columns that a fit reads: all but those that get new keys."""
        return self.without(column.name for _, column in self.keys) if self.keys else self

    def with_keys(self, keys: Iterable[tuple[int, IdColumn]]) -> Schema:
        """Return the schema with columns of new keys put in, each at its place: of `keys`."""
        columns = list(self.columns)
        for place, column in keys:
            columns.insert(place, column)
        return self._with({"columns": tuple(columns)})

    def read_as(self, dialect: Dialect) -> Schema:
        """Return the schema for files in ``dialect``; what that leaves open stays as it was."""
        whole = dialect.or_else(self.dialect).model_dump(exclude_none=True)
        return Schema.from_dict({**self.to_dict(), "dialect": whole}) if whole else self

    def column(self, name: str) -> Column:
        """Return the column called ``name``; SchemaError when there is none."""
        column = self._by_name.get(name)
        if column is None:
            raise SchemaError(f"schema {self.name!r} has {unknown('column', name, self.names)}")
        return column

    @cached_property
    def _by_name(self) -> dict[str, Column]:
        return {column.name: column for column in self.columns}

    def discrete(self, name: str) -> DiscreteColumn:
        """Return the column called ``name``; SchemaError when it has no categories."""
        column = self.column(name)
        if not isinstance(column, DiscreteColumn):
            raise SchemaError(f"column {name!r} must be categorical or ordinal")
        return column

    def select(self, names: str | Iterable[str]) -> Schema:
        """Return the schema of the columns ``names``, in that order; a label left out is none."""
        names = [names] if isinstance(names, str) else names
        columns = tuple(self.column(name) for name in names)
        if not columns:
            raise SchemaError(f"no column was chosen from schema {self.name!r}")
        chosen = {column.name for column in columns}
        if len(chosen) != len(columns):
            raise SchemaError("a column was chosen twice; each must be chosen once")
        kept = tuple(rule for rule in self.constraints if chosen.issuperset(rule.names))
        update: dict[str, object] = {"columns": columns}
        if len(kept) < len(self.constraints):
            update["constraints"] = kept
        if self.label is not None and self.label not in chosen:
            update |= {"label": None, "positive": None}
        return self._with(update)

    def without(self, names: str | Iterable[str]) -> Schema:
        """Return the schema of all columns but ``names``; SchemaError for one that is not there."""
        names = [names] if isinstance(names, str) else names
        dropped = {self.column(name).name for name in names}
        return self.select([n for n in self.names if n not in dropped]) if dropped else self

    def _with(self, update: Mapping[str, object]) -> Schema:
        fields = {name: getattr(self, name) for name in self.model_fields_set}
        return Schema.model_validate({**fields, **update})

    def check(self, frame: pd.DataFrame | ArrowTable) -> list[str]:
        """Return one line for each mismatch of ``frame``: private, as `schema.check` gives them."""
        from dp_synth.schema.check import check

        return check(frame, self)

    def encode(self, frame: pd.DataFrame | ArrowTable) -> Codes:
        """Return the codes of ``frame``, shape (records, attributes), in Fortran order.

        Cells may be text or typed, of a frame or an Arrow table. Columns that the schema does not
        name are ignored; a value outside the schema takes the nearest code, it never raises.
        """
        columns, frame = self.synthesized(), as_frame(frame)
        codes = np.empty((len(frame), len(columns)), dtype=np.int32, order="F")
        for i, column in enumerate(columns):
            codes[:, i] = column.codes(self.cells(frame, column.name))
        return codes

    def cells(self, frame: pd.DataFrame, name: str) -> Cells:
        """Return the cells of the column ``name`` in a table; SchemaError when it lacks that."""
        return Cells.of(column_of(frame, name, self.name))

    def encode_finely(self, frame: pd.DataFrame) -> Codes:
        """Return the fine codes of ``frame`` over `fine_domain`, in Fortran order."""
        codes = np.empty((len(frame), len(self.fine)), dtype=np.int32, order="F")
        for i, (name, fine) in enumerate(self.fine.items()):
            column = self.column(name)
            assert isinstance(column, LineColumn)
            codes[:, i] = column.codes(self.cells(frame, name), fine.grid)
        return codes

    def decode(self, codes: NDArray[np.integer], rng: np.random.Generator) -> pd.DataFrame:
        """Return the table of ``codes``, shape (records, attributes), values drawn in their cells.

        Cells are as a CSV file has them: integers int64, real numbers float64, all else text; a
        numeric column with missing marks objects, its marks as the schema writes them.
        `in_kinds` makes values of them.
        """
        columns = self.synthesized()
        own = checked(columns, codes)
        return pd.DataFrame({c.name: c.decode(own[:, i], rng) for i, c in enumerate(columns)})

    def in_kinds(self, frame: pd.DataFrame | ArrowTable, kinds: Kinds = "schema") -> pd.DataFrame:
        """Return ``frame`` in the kinds that the schema tells, missing cells absent.

        int64, and Int64 where a column has missing marks; float64, with NaN; datetime64[s], in
        the time zone of the bounds; bool or boolean where the categories are true and false, else
        a categorical of the schema's categories, ordered in an ordinal column. Which of several
        missing marks a cell held is lost; ``kinds="written"`` keeps cells as `decode` gives them.
        A frame, its ``dtypes`` or a mapping gives dtypes by column, which are then public: nullable
        where cells may be missing, and categories always those of the schema. InputError for a
        dtype that cannot hold its column.

        >>> schema = Schema.from_dict({"name": "people", "columns": [
        ...     {"name": "age", "type": "integer", "lower": 17, "upper": 90, "missing": ["?"]}]})
        >>> schema.in_kinds(pd.DataFrame({"age": ["20", "?"]}))["age"].tolist()
        [20, <NA>]
        """
        written = self.typed(frame)
        if isinstance(kinds, str) and kinds == "written":
            return written
        return in_kinds(self.columns, written, kinds)

    def typed(self, frame: pd.DataFrame | ArrowTable) -> pd.DataFrame:
        """Return ``frame`` with cells written as `decode` does, values kept unbinned."""
        series, frame = {}, as_frame(frame)
        for column in self.columns:
            cells = column_of(frame, column.name, self.name).reset_index(drop=True)
            series[column.name] = cells if isinstance(column, IdColumn) else column.typed(cells)
        return pd.DataFrame(series)

    def in_rows(self) -> tuple[Column, ...]:
        """Return the columns of synthetic rows; SchemaError for an identifier without new keys."""
        self.without_keys.synthesized()
        return self.columns

    def synthesized(self) -> tuple[DiscreteColumn | NumericColumn | DatetimeColumn, ...]:
        """Return the columns; SchemaError where one is an identifier."""
        kept = tuple(column for column in self.columns if not isinstance(column, IdColumn))
        if len(kept) < len(self.columns):
            identifiers = [column.name for column in self.columns if isinstance(column, IdColumn)]
            raise SchemaError(
                f"column {identifiers[0]!r} is an identifier, and identifiers are never "
                f"synthesized; leave it out with --drop {','.join(identifiers)!r}, in Python by "
                "schema.without(...), or give it a pattern of new keys in the schema"
            )
        return kept


def _told(fault: Fault, mapping: Mapping[str, object]) -> str:
    """Return a fault in one line that names column or constraint, and field, of a schema."""
    said, where = [], list(fault.where)
    if len(where) >= 2 and where[0] == "columns":
        said.append(f"column {_column_name(mapping, int(where[1]))}")
        # Behind the place stands the tag of the column's type, where it has one.
        where = where[2:] if fault.kind.startswith("union_tag") else where[3:]
    elif len(where) >= 2 and where[0] == "constraints":
        said.append(f"constraint {int(where[1]) + 1}")
        if where[2:3] == ["impossible"] and len(where) > 3:
            said.append(f"column {where[3]!r}")
        where = [] if len(said) > 1 else where[2:][-1:]
    elif where == ["columns"] and fault.kind == "value_error":
        where = []  # the message names the column
    if where:
        said.append(f"field {str(where[0])!r}")
    return ": ".join([*said, fault.what])


def _column_name(mapping: Mapping[str, object], place: int) -> str:
    """Return the quoted name of a column, or its place where it has none."""
    columns = mapping.get("columns")
    if isinstance(columns, Sequence) and place < len(columns):
        column = columns[place]
        if isinstance(column, Mapping) and isinstance(column.get("name"), str):
            return repr(column["name"])
    return f"number {place + 1}"
