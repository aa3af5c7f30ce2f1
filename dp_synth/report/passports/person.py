"""What only a person can say of a release: curator, region, licence, use; read from a YAML file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
)

from dp_synth.errors import InputError
from dp_synth.faults import first_fault
from dp_synth.readers import YamlFault, line_of, parse_yaml, read_text

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, strict=True)]
Url = Annotated[Text, Field(pattern=r"^https?://[^\s]+$")]


class Person(BaseModel):
    """What a person says of a release; a key left out is listed as absent where it is wanted.

    ``licence`` is an SPDX identifier, or the address of a text; ``authors`` wrote the record of a
    registry; ``url`` is where the release is published.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    curators: Annotated[tuple[Text, ...], Field(min_length=1)] | None = None
    contact: Text | None = None
    description: Text | None = None
    intended_use: Text | None = None
    region: Text | None = None
    sector: (
        Literal["Technology", "Healthcare", "Education", "Government", "Energy", "Finance"] | None
    ) = None
    licence: Text | None = None
    publication_date: date | None = None
    url: Url | None = None
    language: Annotated[Text, Field(pattern=r"^[a-z]{2,3}$")] | None = None
    authors: Annotated[tuple[Text, ...], Field(min_length=1)] | None = None
    actors: Text | None = None
    justification: Text | None = None
    sources: Text | None = None

    @field_validator("licence")
    @classmethod
    def _licence_has_an_address(cls, given: str | None) -> str | None:
        if given is not None and not re.fullmatch(r"https?://\S+|[A-Za-z0-9.+-]+", given):
            raise ValueError(
                "must be an SPDX identifier, such as CC-BY-4.0, or the address of a text, "
                f"got {given!r}"
            )
        return given

    @field_validator("publication_date", mode="before")
    @classmethod
    def _date_is_no_number(cls, given: object) -> object:
        if isinstance(given, (int, float)):  # which would be taken for seconds since 1970
            raise ValueError(f"must be a date such as 2026-05-01, got {given!r}")
        return given

    @classmethod
    def load(cls, path: str | Path) -> Person:
        """Return what a YAML file says; InputError names the line and the key that is wrong."""
        return cls.from_text(read_text(path), source=str(path))

    @classmethod
    def from_text(cls, text: str, source: str = "person") -> Person:
        """Return what a YAML text says; ``source`` begins an error's line.

        >>> Person.from_text("region: Europe").region
        'Europe'
        >>> Person.from_text("regoin: Europe")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        dp_synth.errors.InputError: person: line 1: regoin: unknown key; did you mean 'region'? ...
        """
        try:
            content, lines = parse_yaml(text)
        except YamlFault as fault:
            raise InputError(f"{source}: {fault}") from None
        if content is None:
            return cls()
        if not isinstance(content, Mapping):
            raise InputError(f"{source}: must be a mapping with the keys {', '.join(KEYS)}")
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            found = first_fault(error, cls, shows_input=True)
        raise InputError(f"{source}: line {line_of(found.where, lines) or 1}: {found.line()}")

    @property
    def licence_url(self) -> str | None:
        """The address of the licence; None where none is said."""
        if self.licence is None or self.licence.startswith(("http://", "https://")):
            return self.licence
        return f"https://spdx.org/licenses/{self.licence}.html"


KEYS = tuple(Person.model_fields)
