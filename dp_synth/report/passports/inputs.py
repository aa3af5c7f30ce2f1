"""What every passport is made of: a release, its card, its rows as a file, and a person's words."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dp_synth.errors import InputError
from dp_synth.formatting import rounded_up
from dp_synth.release import Release
from dp_synth.report.card import data_card
from dp_synth.report.passports.person import Person
from dp_synth.report.publishable import Publishable
from dp_synth.schema import Schema
from dp_synth.synthesizers import SYNTHESIZERS

NOT_STATED = "not stated"


@dataclass(frozen=True)
class RowsFile:
    """A file of synthetic rows: its name, length in bytes, SHA-256, and number of rows."""

    name: str
    size: int
    sha256: str
    rows: int

    @classmethod
    def of(cls, path: str | Path, schema: Schema) -> RowsFile:
        """Return what is to be known of a file of rows; InputError where it has other columns."""
        from dp_synth.datasets import read_table

        place = Path(path)
        if place.suffix.lower() not in (".csv", ".parquet"):
            raise InputError(f"{place}: rows must be a .csv or .parquet file")
        frame = read_table(place, schema.dialect)
        own, wanted = [str(name) for name in frame.columns], list(schema.names)
        if own != wanted:
            lacking = next((name for name in wanted if name not in own), None)
            said = f"lacks column {lacking!r}" if lacking else "has other columns, or another order"
            raise InputError(f"{place}: {said}; give rows that were drawn from the release")
        content = place.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        return cls(place.name, len(content), digest, len(frame))

    @property
    def is_parquet(self) -> bool:
        """Whether the rows are in Parquet, with kinds of their own."""
        return self.name.lower().endswith(".parquet")

    @property
    def media_type(self) -> str:
        """The file's media type."""
        return "application/x-parquet" if self.is_parquet else "text/csv"


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a passport is filled from: nothing in it is typed twice.

    ``part`` is the publishable card of the release.
    """

    release: Release
    part: Publishable
    person: Person
    rows: RowsFile | None = None

    @classmethod
    def of(
        cls,
        release: Release,
        *,
        person: Person | None = None,
        title: str | None = None,
        rows: RowsFile | None = None,
    ) -> Inputs:
        """Return the inputs for a release."""
        if title is not None and not title.strip():
            raise InputError("a title must not be empty")
        said = person or Person()
        intended = () if said.intended_use is None else (said.intended_use,)
        part = data_card(release, title=title, intended=intended).publishable
        return cls(release, part, said, rows)

    @property
    def schema(self) -> Schema:
        """What is public of the columns that rows have."""
        return self.release.row_schema

    @property
    def slug(self) -> str:
        """The title in lower-case letters, digits and hyphens."""
        signs = (sign if sign.isalnum() and sign.isascii() else "-" for sign in self.part.title)
        return "-".join(filter(None, "".join(signs).lower().split("-"))) or "synthetic-table"

    @property
    def description(self) -> str:
        """What a person says the data are, or what the release says of itself."""
        if self.person.description is not None:
            return self.person.description
        return (
            f"Synthetic records of the table {self.part.title!r}, drawn from a model that "
            f"{self.method} fitted to the private records. {self.guarantee}"
        )

    @property
    def method(self) -> str:
        """The synthesizer, by its name and what it is."""
        known = SYNTHESIZERS.get(self.release.synthesizer)
        return self.part.method.name if known is None else f"{known.name} ({known.title})"

    @property
    def guarantee(self) -> str:
        """The promise of the ledger, in a sentence."""
        return self.part.promise.statement

    @property
    def epsilon(self) -> str:
        """Epsilon rounded up, for a text."""
        epsilon = self.part.promise.epsilon
        return "inf" if epsilon is None else rounded_up(epsilon)

    @property
    def limits(self) -> Sequence[str]:
        """What holds of every such table, and what the card warns of."""
        found = (f"{one.column} {one.text}".strip() for one in self.part.findings)
        return (*self.part.limits, *found)

    def absent(self, *keys: str) -> tuple[str, ...]:
        """Return those keys of a person's file that are wanted and were not said."""
        return tuple(key for key in keys if getattr(self.person, key) is None)

    def rows_file(self, format_name: str) -> RowsFile:
        """Return the rows; InputError where none were given, and the format describes a file."""
        if self.rows is None:
            raise InputError(f"{format_name} describes a file of rows; give it by --synthetic")
        return self.rows

    def plain_rows(self, format_name: str) -> RowsFile:
        """Return the rows; InputError where a reader that is told no dialect would misread them."""
        rows, dialect = self.rows_file(format_name), self.schema.dialect
        plain = dialect is None or (
            dialect.delimiter == "," and dialect.codec == "utf-8-sig" and dialect.has_header
        )
        if plain or rows.is_parquet:
            return rows
        raise InputError(
            f"{format_name} has no words for the dialect of this schema's CSV files (separator, "
            "encoding, header); give rows as a .parquet file by --synthetic"
        )


@dataclass(frozen=True)
class Passport:
    """The text of a passport, and what a person has not said of what it wants."""

    text: str
    absent: tuple[str, ...]
