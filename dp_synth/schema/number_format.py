"""How numbers are spelt in a table: decimal signs, thousands, currencies, percent signs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from dp_synth.dialect import Dialect
from dp_synth.schema.cells import numbers_of
from dp_synth.schema.columns import Text

Floats = NDArray[np.float64]
Sign = Annotated[Text, Field(max_length=8)]


class NumberFormat(BaseModel):
    """How the numbers of a column are written.

    ``decimal`` is the sign before decimals, ``thousands`` the one between groups of three digits;
    ``prefix`` and ``suffix`` stand before and behind each number, such as a currency. Cells that
    leave some of it out are read as well. Synthetic cells are written in the same way, as text.

    >>> money = NumberFormat(prefix="$", thousands=",")
    >>> money.read(["$1,250.50", "-$3", "?"]).tolist()
    [1250.5, -3.0, nan]
    >>> money.spell(np.array([1250.5]), 2).tolist()
    ['$1,250.50']
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    decimal: Literal[".", ","] | None = None
    thousands: Literal[",", ".", " ", "'", "\u00a0", "\u202f"] | None = None
    prefix: Sign = ""
    suffix: Sign = ""

    @model_validator(mode="after")
    def _signs_differ(self) -> Self:
        if self.thousands == self.point:
            raise ValueError(f"field 'thousands': must not be the decimal sign {self.point!r}")
        for name in ("prefix", "suffix"):
            if re.search(r"[\d+-]", getattr(self, name)):
                raise ValueError(f"field {name!r}: must hold no digit and no sign of a number")
        return self

    @property
    def point(self) -> str:
        """The decimal sign."""
        return self.decimal or "."

    @cached_property
    def _form(self) -> re.Pattern[str]:
        prefix, suffix = (re.escape(text.strip()) for text in (self.prefix, self.suffix))
        whole = r"\d*"
        if self.thousands:
            whole = rf"(?:\d{{1,3}}(?:{re.escape(self.thousands)}\d{{3}})+|\d*)"
        digits = rf"{whole}(?:{re.escape(self.point)}\d*)?(?:[eE][-+]?\d+)?"
        return re.compile(
            rf"\s*([-+]?)\s*(?:{prefix})?\s*([-+]?)({digits})\s*(?:{suffix})?\s*", re.ASCII
        )

    def read(self, texts: Iterable[str]) -> Floats:
        """Return the number that each text spells; NaN for anything else."""
        return numbers_of([self._plain(text) for text in texts])

    def _plain(self, text: str) -> str:
        found = self._form.fullmatch(text)
        if found is None or (found[1] and found[2]):
            return ""
        digits = found[3].replace(self.thousands, "") if self.thousands else found[3]
        return f"{found[1]}{found[2]}{digits.replace(self.point, '.')}"

    def spell(self, numbers: Floats, decimals: int | None) -> NDArray[np.generic]:
        """Return ``numbers`` as the table writes them; whole ones have no decimals of their own."""
        distinct, places = np.unique(numbers, return_inverse=True)
        texts = [self._spelt(number, decimals) for number in distinct.tolist()]
        return np.array(texts, dtype=object)[places]

    def _spelt(self, number: float, decimals: int | None) -> str:
        size = abs(number)
        if decimals is not None and round(size, decimals) == size:
            plain = f"{size:.{decimals}f}"
        else:
            plain = f"{size:.0f}" if size.is_integer() else repr(size)
        whole, point, rest = plain.partition(".")
        if self.thousands:
            whole = f"{int(whole):,}".replace(",", self.thousands) if whole.isdigit() else whole
        sign = "-" if number < 0 else ""
        return f"{sign}{self.prefix}{whole}{self.point * bool(point)}{rest}{self.suffix}"


def moved_to_columns(content: Mapping[str, object]) -> dict[str, object]:
    """Return a schema's content with the decimal sign of its dialect said by its columns."""
    dialect, columns = content.get("dialect"), content.get("columns")
    said = dialect.model_dump(exclude_none=True) if isinstance(dialect, Dialect) else dialect
    if not isinstance(said, Mapping) or not isinstance(columns, (list, tuple)):
        return dict(content)
    if said.get("decimal") not in (".", ","):
        return dict(content)
    rest = {name: value for name, value in said.items() if name != "decimal"}
    given = {"decimal": said["decimal"]}
    moved = [_with_format(column, given) for column in columns]
    kept = {name: value for name, value in content.items() if name != "dialect"}
    return {**kept, **({"dialect": rest} if rest else {}), "columns": moved}


def _with_format(column: object, given: Mapping[str, object]) -> object:
    if not isinstance(column, Mapping) or column.get("type") not in ("integer", "real"):
        return column
    own = column.get("format", {})
    return {**column, "format": {**given, **own}} if isinstance(own, Mapping) else column
