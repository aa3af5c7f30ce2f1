"""Data cards: what stands beside a synthetic table, so that somebody can decide about it.

A card is a JSON object and a page:

- ``format``, ``version``: "dp_synth.card" and 1; ``dp_synth``: the version that wrote it;
- ``publishable``: promise, ledger by step, public inputs, method, uses, findings, for which
  questions intervals hold (`scope`) and, where the fit paid for one, its noisy validation, made
  from the release alone (`publishable`);
- ``internal``: left out unless it was asked for. Fidelity, utility, attacks and warnings that
  were computed from private rows (`internal`), marked "not differentially private".

Numbers that are infinite or undefined are null.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar, NoReturn

from dp_synth._version import __version__
from dp_synth.datasets.sources import Source
from dp_synth.errors import InputError
from dp_synth.faults import first_fault
from dp_synth.files import written_whole
from dp_synth.readers import parse_json, read_json
from dp_synth.release import Release
from dp_synth.report.internal import InternalPart
from dp_synth.report.publishable import Publishable, publishable_part

FORMAT, VERSION = "dp_synth.card", 1
LATER = ("advantage", "mu", "regret", "left_out", "risk")
"""Fields of a promise that cards of before lack."""


@dataclass(frozen=True)
class DataCard:
    """What is known about a release: a part to publish and, if asked for, an internal one."""

    publishable: Publishable
    internal: InternalPart | None = None
    dp_synth: str = __version__

    format: ClassVar[str] = FORMAT
    version: ClassVar[int] = VERSION

    def with_internal(self, internal: InternalPart) -> DataCard:
        """Return the card with an internal part: it may no longer be published."""
        return replace(self, internal=internal)

    def published(self) -> DataCard:
        """Return the card without its internal part."""
        return replace(self, internal=None)

    @property
    def digest(self) -> str:
        """SHA-256 of the publishable part, by which a published card is known again."""
        written = json.dumps(_fields(self.publishable), sort_keys=True, allow_nan=False)
        return hashlib.sha256(written.encode()).hexdigest()

    def differs_from(self, other: DataCard) -> str | None:
        """Return the first field in which the publishable parts differ; None where none does."""
        mine, its = (
            parse_json(json.dumps(_fields(card.publishable), allow_nan=False))
            for card in (self, other)
        )
        return _first_difference(mine, its, "publishable")

    def differs_from_release(self, release: Release) -> str | None:
        """Return the first field that the release would make otherwise; None where it does not.

        What people declared is taken as it stands here.
        """
        part = self.publishable
        again = data_card(
            release,
            title=part.title,
            source=part.source,
            intended=part.intended,
            not_intended=part.not_intended,
        )
        return again.differs_from(self)

    def to_dict(self) -> dict[str, object]:
        """Return the card as a JSON object, its internal part left out where there is none."""
        head = {"format": FORMAT, "version": VERSION, "dp_synth": self.dp_synth}
        parts = {"publishable": _fields(self.publishable)}
        if self.internal is not None:
            parts["internal"] = asdict(self.internal)
        return {**head, **parts}

    def to_json(self) -> str:
        """Return the text of the card's file."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def write(self, path: str | Path) -> tuple[Path, Path]:
        """Write the card to ``path`` and its page beside it; return both places.

        Each is there whole or not at all, and both or none. With an internal part its owner alone
        can read them. InputError for another ending, and for texts that no file can hold.
        """
        from dp_synth.report.pages import card_page

        target, page = places(path)
        private = self.internal is not None
        with (
            written_whole(page, private=private) as passing_page,
            written_whole(target, private=private) as passing,
        ):
            try:
                passing_page.write_text(card_page(self), encoding="utf-8")
                passing.write_text(self.to_json(), encoding="utf-8")
            except UnicodeEncodeError:
                raise InputError(
                    f"{path}: a text of the card holds half of a surrogate pair, which no file can "
                    "hold; give it whole"
                ) from None
        return target, page

    @classmethod
    def load(cls, path: str | Path) -> DataCard:
        """Return the card in a file; InputError, in one line, for anything else."""
        return cls.from_dict(read_json(path, constant=_refuse_constant), source=str(path))

    @classmethod
    def from_dict(cls, content: object, source: str = "card") -> DataCard:
        """Return the card that ``to_dict`` wrote; ``source`` opens the line of an InputError."""
        from pydantic import TypeAdapter, ValidationError

        if not isinstance(content, Mapping) or content.get("format") != FORMAT:
            raise InputError(f"{source}: is no data card: its 'format' must be {FORMAT!r}")
        if content.get("version") != VERSION:
            raise InputError(
                f"{source}: is of version {content.get('version')!r}; {VERSION} is known here"
            )
        given = {name: part for name, part in content.items() if name not in ("format", "version")}
        try:
            card: DataCard = TypeAdapter(cls).validate_python(given)
        except ValidationError as error:
            raise InputError(f"{source}: {first_fault(error).line()}") from None
        other = _first_difference(parse_json(card.to_json()), dict(content))
        if other is not None:
            raise InputError(f"{source}: {other}: is not as a card has it")
        return card


def data_card(
    release: Release,
    *,
    title: str | None = None,
    source: Source | None = None,
    intended: Sequence[str] = (),
    not_intended: Sequence[str] = (),
) -> DataCard:
    """Return the publishable card of a release; it looks at nothing but the release.

    ``title`` is the schema's name unless one is given. ``intended`` and ``not_intended`` say
    what the table is for, in sentences; ``source`` whom to cite for the private table.
    """
    part = publishable_part(
        release, title=title, source=source, intended=intended, not_intended=not_intended
    )
    return DataCard(part)


def places(path: str | Path) -> tuple[Path, Path]:
    """Return where a card and its page go; InputError unless ``path`` ends in .json.

    >>> [place.name for place in places("adult.json")]
    ['adult.json', 'adult.html']
    """
    target = Path(path)
    if target.suffix.lower() != ".json":
        raise InputError(f"{target}: a card must end in .json; its page goes beside it as .html")
    return target, target.with_suffix(".html")


def _fields(part: Publishable) -> dict[str, object]:
    """Return a publishable part as JSON has it: what it lacks, validation or scope, is left out.

    And of its promise what cards of before lack.
    """
    given = {"validation": bool(part.validation), "scope": part.scope is not None}
    fields = {name: field for name, field in asdict(part).items() if given.get(name, True)}
    promise = fields["promise"]
    fields["promise"] = {k: v for k, v in promise.items() if k not in LATER or v not in (None, "")}
    return fields


def _first_difference(ours: object, given: object, where: str = "card") -> str | None:
    """Return where two JSON values first differ; None where they are equal."""
    if isinstance(ours, dict) and isinstance(given, dict):
        for name in (*given, *ours):
            if (name in ours) != (name in given):
                return f"{where}.{name}"
        parts = [(str(name), ours[name], given[name]) for name in ours]
    elif isinstance(ours, list) and isinstance(given, list) and len(ours) == len(given):
        parts = [(str(i), ours[i], given[i]) for i in range(len(ours))]
    else:
        return None if ours == given else where
    found = (_first_difference(a, b, f"{where}.{name}") for name, a, b in parts)
    return next((place for place in found if place is not None), None)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")
