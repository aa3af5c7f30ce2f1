"""What is public about one column of a table: its type, categories or bounds, missing marks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Literal, Self

import numpy as np
import pandas as pd
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from dp_synth.frames import well_formed
from dp_synth.schema.parsing import Cells, narrowed, numbers_of, truth_of
from dp_synth.types import Codes, Floats

ABSENT_MARKS = ("", "nan", "NaN")
"""Marks for an absent cell (NaN, None, NaT) of a typed column, the first declared one wins."""

MAX_MAGNITUDE = 2.0**53 - 1
"""Numbers beyond this are matched by text alone; as bounds they are refused."""

MAX_CODES = 1_000_000
"""More categories, codes or missing marks than this are refused in one column."""

MAX_OPEN = 1_000
"""At most so many categories are added to an open column."""


def _writable(text: str) -> str:
    """Return ``text``; ValueError where UTF-8 cannot write it: a release must be written."""
    if well_formed(text) != text:
        raise ValueError(f"{text!r} holds half of a sign, which no file can hold")
    return text


Text = Annotated[str, Field(strict=True), AfterValidator(_writable)]


class BaseColumn(BaseModel):
    """The fields that all columns share. Codes of missing marks follow those of the values.

    ``note`` is for people who read the schema, such as what a draft asks; nothing else reads it.
    """

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid", populate_by_name=True)

    name: Annotated[Text, Field(min_length=1)]
    missing: tuple[Text, ...] = ()
    note: Text | None = None

    @field_validator("missing")
    @classmethod
    def _marks_are_distinct(cls, marks: tuple[str, ...]) -> tuple[str, ...]:
        _check_count(len(marks), "missing marks")
        return _distinct(marks)

    def _with(self, update: Mapping[str, object]) -> Self:
        """Return the column with some of its fields changed."""
        fields = self.model_dump(by_alias=True, exclude_unset=True)
        return type(self).model_validate({**fields, **update})

    @property
    def absent_mark(self) -> int:
        """The place in ``missing`` that an absent cell takes; 0 when none says so by name."""
        named = [mark for mark in ABSENT_MARKS if mark in self.missing]
        return self.missing.index(named[0]) if named else 0


class DiscreteColumn(BaseColumn):
    """A column of named categories, or of integer codes ``0`` to ``size - 1``.

    ``open`` declares that others than the named categories may occur: a fit then adds those
    whose noisy counts are large, and pays for it.

    >>> column = DiscreteColumn(name="sex", type="categorical", categories=("F", "M"))
    >>> column.encode(pd.Series(["M", "F", "never seen"])).tolist()
    [1, 0, 0]
    """

    type: Literal["categorical", "ordinal"]
    categories: tuple[Text, ...] | None = None
    code_count: Annotated[int | None, Field(alias="size", ge=1, strict=True)] = None
    open: Annotated[bool, Field(strict=True)] = False

    @field_validator("categories")
    @classmethod
    def _categories_are_distinct(
        cls, categories: tuple[str, ...] | None, info: ValidationInfo
    ) -> tuple[str, ...] | None:
        _check_count(len(categories or ()), "categories")
        marks = set(info.data.get("missing", ()))
        for category in _distinct(categories or ()):
            if category in marks:
                raise ValueError(f"{category!r} is also a missing mark; it must be one of the two")
        if categories == () and not marks:
            raise ValueError("must name at least one category, or `missing` at least one mark")
        return categories

    @field_validator("code_count")
    @classmethod
    def _codes_are_no_marks(cls, count: int | None, info: ValidationInfo) -> int | None:
        _check_count(count or 0, "codes")
        for mark in info.data.get("missing", ()):
            # Not all decimal signs are of ASCII, and a text of very many is no code.
            few = mark.isdecimal() and len(mark) <= len(str(MAX_CODES))
            if count is not None and few and str(int(mark)) == mark and int(mark) < count:
                raise ValueError(f"{mark!r} is also a missing mark; it must be one of the two")
        return count

    @model_validator(mode="after")
    def _categories_or_size(self) -> Self:
        if (self.categories is None) == (self.code_count is None):
            raise ValueError("field 'categories': must be given, or else 'size', but not both")
        if self.open and (self.type != "categorical" or self.categories is None):
            raise ValueError("field 'open': must stand in a categorical column of 'categories'")
        return self

    @property
    def is_numeric(self) -> bool:
        """False: codes of categories have no distance."""
        return False

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """The text of each ordinary code."""
        if self.categories is not None:
            return self.categories
        return tuple(map(str, range(self.code_count or 0)))

    @property
    def size(self) -> int:
        """The number of codes, those of missing marks included."""
        return (self.code_count or len(self.texts)) + len(self.missing)

    @cached_property
    def _by_text(self) -> dict[str, int]:
        return {text: code for code, text in enumerate((*self.texts, *self.missing))}

    @cached_property
    def _by_number(self) -> dict[float, int]:
        numbers = numbers_of((*self.texts, *self.missing)).tolist()
        # Beyond MAX_MAGNITUDE two whole numbers can be one float.
        pairs = [(n, code) for code, n in enumerate(numbers) if abs(n) <= MAX_MAGNITUDE]
        return dict(reversed(pairs))  # of two spellings of one number the first wins

    @cached_property
    def _by_narrow(self) -> dict[float, int]:
        """The codes of numbers by what 32-bit floats hold of them, where that tells them apart."""
        held = narrowed(numbers_of((*self.texts, *self.missing))).tolist()
        often = Counter(held)
        return {n: code for code, n in enumerate(held) if n == n and often[n] == 1}

    @cached_property
    def _by_truth(self) -> dict[float, int]:
        """The codes of true (1) and false (0), of which the categories say one each at most."""
        truths = map(truth_of, self.texts)
        found = [(truth, code) for code, truth in enumerate(truths) if truth == truth]
        return dict(found) if len(dict(found)) == len(found) else {}

    def encode(self, series: pd.Series) -> Codes:
        """Return the code of each cell, matched by text, else by value.

        Values are numbers, what 32-bit floats hold of numbers, and true and false. An unseen
        category becomes the first missing mark, else the first category.
        """
        return self.codes(Cells.of(series))

    def codes(self, cells: Cells) -> Codes:
        """Return what `encode` does, of cells that were read already."""
        codes = [self._unseen if code is None else code for code in self.lookup(cells)]
        codes.append(self._unseen + self.absent_mark)
        return np.array(codes, dtype=np.int32)[cells.positions]

    def encode_openly(self, series: pd.Series) -> tuple[Codes, tuple[str, ...]]:
        """Return the code of each cell, and the unseen texts: their codes follow all others.

        Texts are sorted, and compared as they are read; an empty cell is none.
        """
        cells = Cells.of(series)
        texts, codes = cells.texts()[:-1], self.lookup(cells)
        pairs = zip(texts, codes, strict=True)
        unseen = tuple(sorted({text for text, code in pairs if code is None and text}))
        places = {text: self.size + place for place, text in enumerate(unseen)}
        by_cell = [
            places.get(text, self._unseen) if code is None else code
            for text, code in zip(texts, codes, strict=True)
        ]
        by_cell.append(self._unseen + self.absent_mark)
        return np.array(by_cell, dtype=np.int32)[cells.positions], unseen

    def opened(self, texts: Sequence[str]) -> Self:
        """Return the column with more categories, after those that it names."""
        return self._with({"categories": (*self.texts, *texts)})

    def codes_of(self, texts: Iterable[str]) -> Codes:
        """Return the code of each text, matched by text alone; unseen ones as in `encode`."""
        return np.array([self._by_text.get(text, self._unseen) for text in texts], dtype=np.int32)

    @property
    def _unseen(self) -> int:
        return len(self.texts) if self.missing else 0

    def lookup(self, cells: Cells) -> list[int | None]:
        """Return the code of each distinct cell but the absent one; None for an unseen category."""
        codes = [self._by_text.get(text) for text in cells.texts()[:-1]]
        ways: tuple[tuple[dict[float, int], Callable[[], Floats]], ...] = (
            (self._by_number, cells.numbers),
            (self._by_narrow, lambda: narrowed(cells.numbers())),
            (self._by_truth, cells.truths),
        )
        for known, values in ways:
            if known and None in codes:
                codes = [
                    known.get(value) if code is None else code
                    for code, value in zip(codes, values().tolist()[:-1], strict=True)
                ]
        return codes

    def decode(self, codes: Codes, rng: np.random.Generator) -> pd.Series:
        """Return the category or missing mark of each code, as text."""
        return self._texts_of(codes)

    def typed(self, series: pd.Series) -> pd.Series:
        """Return the declared text of each cell: its category, or a missing mark."""
        return self._texts_of(self.encode(series))

    def _texts_of(self, codes: Codes) -> pd.Series:
        texts = np.array([*self.texts, *self.missing], dtype=object)
        return pd.Series(texts[codes], name=self.name, dtype=object)

    def values(self, series: pd.Series) -> Floats:
        """Return the code of each cell; NaN for missing ones."""
        codes = self.encode(series)
        return np.where(codes < len(self.texts), codes, np.nan)


class IdColumn(BaseColumn):
    """An identifier: known to the schema so that it can be left out, never synthesized."""

    type: Literal["id"]

    @property
    def is_numeric(self) -> bool:
        """False: identifiers have no distance."""
        return False


def _check_count(count: int, noun: str) -> None:
    if count > MAX_CODES:
        raise ValueError(f"must be at most {MAX_CODES:,} {noun} in one column, got {count:,}")


def _distinct(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Return ``texts``; ValueError that names the first text given twice."""
    seen: set[str] = set()
    for text in texts:
        if text in seen:
            raise ValueError(f"{text!r} is given twice; each text must be given once")
        seen.add(text)
    return texts
