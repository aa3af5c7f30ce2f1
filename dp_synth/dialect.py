"""How the text of a CSV file is cut into cells and columns: separator, encoding, names, index."""

from __future__ import annotations

import codecs
import csv
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from dp_synth.errors import InputError, SchemaMismatch, warn

OTHER_SEPARATORS = (";", "\t", "|")
"""Signs that a header without a comma may have been written with."""

REPLACEMENT = "\ufffd"  # stands for bytes that are not of the encoding

Text = Annotated[str, Field(strict=True)]

_SPELT = {"\\t": "\t", "tab": "\t"}


class Dialect(BaseModel):
    """How a CSV file is written; what is not said is as the common kind has it.

    ``separator`` stands between cells: a comma, and a header that holds another sign instead is
    refused with a hint. ``encoding`` is UTF-8. ``decimal`` is the decimal sign of numbers, a point.
    ``names`` are those of the columns of a file without a header line; an empty list numbers them,
    ``column_1`` first. ``index`` says that the first column is a row index without a name, which
    is left out. A Parquet file has no dialect.

    >>> Dialect(separator=";", index=True).names_in(["", "age"], "t.csv")
    ['', 'age']
    """

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    separator: Text | None = None
    encoding: Text | None = None
    decimal: Literal[".", ","] | None = None
    names: tuple[Text, ...] | None = None
    index: Annotated[bool, Field(strict=True)] | None = None

    @field_validator("separator")
    @classmethod
    def _separator_is_one_sign(cls, given: str | None) -> str | None:
        spelt = None if given is None else _SPELT.get(given, given)
        if spelt is not None and (len(spelt) != 1 or spelt in '"\r\n' or spelt.isalnum()):
            raise ValueError(f"must be one sign, such as ';', got {spelt!r}")
        return spelt

    @field_validator("encoding")
    @classmethod
    def _encoding_is_known(cls, given: str | None) -> str | None:
        try:
            "".encode(given or "utf-8")
        except (LookupError, ValueError):
            raise ValueError(
                f"must be one that Python knows, such as 'latin-1' or 'cp1252', got {given!r}"
            ) from None
        return given

    @field_validator("names")
    @classmethod
    def _names_are_distinct(cls, given: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if given is not None and (len(set(given)) < len(given) or "" in given):
            raise ValueError("must be distinct, and none of them empty")
        return given

    @property
    def delimiter(self) -> str:
        """The sign between cells."""
        return self.separator or ","

    @property
    def codec(self) -> str:
        """The encoding to read by: UTF-8 is read with or without its mark."""
        found = codecs.lookup(self.encoding or "utf-8").name
        return "utf-8-sig" if found == "utf-8" else found

    def check_decoded(self, first: Sequence[str], source: str) -> None:
        """Raise InputError for a header with bytes that are not of the encoding."""
        if not self.has_header or not any(REPLACEMENT in name for name in first):
            return
        if self.encoding is not None:
            raise InputError(f"{source}: is not written in {self.encoding}")
        raise InputError(
            f"{source}: must be UTF-8 text; else give --encoding, such as latin-1, cp1252 or "
            "utf-16 (in Python Dialect(encoding='latin-1'))"
        )

    def warn_of_bytes(self, source: str) -> None:
        """Give a SchemaMismatch for cells with bytes that are not of the encoding."""
        text = (
            f"{source}: some bytes of its cells are no {self.encoding or 'UTF-8'} text, and each "
            f"stands as {REPLACEMENT!r}; give --encoding if the file is written in another way. "
            "That this is said depends on the records: keep it private"
        )
        warn(text, SchemaMismatch)

    def records_in(self, lines: Iterable[str], *, strict: bool = False) -> Iterator[list[str]]:
        """Yield the records of a CSV text, an empty line as an empty one; cells of any length.

        csv.Error where ``strict`` and a quote is not closed, or followed by more text.
        """
        with _any_length():
            yield from csv.reader(lines, delimiter=self.delimiter, strict=strict)

    @property
    def has_header(self) -> bool:
        """Whether the first line of the file names the columns."""
        return self.names is None

    def or_else(self, other: Dialect | None) -> Dialect:
        """Return this dialect, and what it does not say as ``other`` has it."""
        said = {} if other is None else other.model_dump(exclude_none=True)
        return Dialect(**said | self.model_dump(exclude_none=True))

    def names_in(self, first: Sequence[str], source: str) -> list[str]:
        """Return the names of all columns of a file whose first record is ``first``.

        The name of an index to be left out is empty. InputError, without a cell in it, opened by
        ``source``, when the columns cannot be told by such names.
        """
        if self.names is not None:
            skipped = [""] * bool(self.index)
            names = list(self.names) or _numbered(len(first) - len(skipped))
            if len(skipped) + len(names) != len(first):
                raise InputError(
                    f"{source}: has {len(first)} columns, and {len(skipped) + len(names)} are named"
                )
            return [*skipped, *names]
        self._check_separator(first, source)
        names = list(first)
        is_indexed = len(names) > 1 and names[0] == "" and "" not in names[1:]
        if is_indexed and not self.index:
            raise InputError(
                f"{source}: its first column has no name: is it a row index? leave it out with "
                "--index (in Python Dialect(index=True))"
            )
        check_names(names[1:] if is_indexed else names, source)
        return names

    def _check_separator(self, names: Sequence[str], source: str) -> None:
        if len(names) > 1 or self.separator == ",":
            return
        if self.separator is not None and "," in names[0]:
            # The whole line would be one name, and it may be a record.
            raise InputError(
                f"{source}: its header holds ',' and no {_named(self.separator)}: is the comma "
                "the separator? then give none"
            )
        for sign in OTHER_SEPARATORS:
            if self.separator is None and sign in names[0]:
                shown = "tab" if sign == "\t" else sign
                raise InputError(
                    f"{source}: its header holds {_named(sign)} and no ',': is it the separator? "
                    f"give --separator '{shown}' (in Python Dialect(separator={sign!r}))"
                )


COMMON = Dialect()
"""Commas, UTF-8, a header line, no index: what is read where nobody says otherwise."""


@contextmanager
def _any_length() -> Iterator[None]:
    """Let cells be of any length: whether one is too long for a reader depends on the records."""
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _numbered(count: int) -> list[str]:
    return [f"column_{place}" for place in range(1, count + 1)]


def _named(sign: str) -> str:
    return "tabs" if sign == "\t" else repr(sign)


def check_names(names: Sequence[str], source: str) -> None:
    """Raise InputError, opened by ``source``, for a column without a name of its own."""
    if "" in names:
        raise InputError(f"{source}: a column has no name; the header must name each column")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice and any(is_number(name) for name in names):
        # The first line may be a record, whose cells are private.
        raise InputError(
            f"{source}: two columns of its first line have one name, and there are numbers among "
            "the names: if that line is no header, give --no-header (in Python Dialect(names=()))"
        )
    if twice:
        raise InputError(f"{source}: column {twice[0]!r} stands twice; names must be distinct")


def is_number(name: str) -> bool:
    """Tell whether the name of a column is a number, as a cell would be.

    >>> is_number("52310.5"), is_number("age"), is_number("nan")
    (True, False, False)
    """
    try:
        float(name)
    except ValueError:
        return False
    return any(sign.isdigit() for sign in name)
