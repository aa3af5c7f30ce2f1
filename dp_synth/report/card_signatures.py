"""Who signed what about a card: a JSON file beside it, to which lines are added and never changed.

A signature is a name that somebody wrote, not cryptography: it is worth as much as the folder
that it lies in. It holds for the bytes of one card, and of a card with an internal part for that
card without it; whoever changes the card needs it anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from dp_synth.errors import InputError
from dp_synth.files import locked, written_whole
from dp_synth.readers import JsonFault, parse_json

FORMAT, VERSION = "dp_synth.signatures", 1


@dataclass(frozen=True)
class Signature:
    """One statement, who signed it in which role, when (UTC), and for which card.

    ``publishable_sha256`` is of the card's publishable part, by which a published card is known
    as the one that was signed.
    """

    role: str
    name: str
    statement: str
    card_sha256: str
    publishable_sha256: str
    at: str

    @classmethod
    def now(
        cls, role: str, name: str, statement: str, *, card_sha256: str, publishable_sha256: str
    ) -> Signature:
        """Return a signature of this moment."""
        at = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(role, name, statement, card_sha256, publishable_sha256, at)


def signature_file(card: str | Path) -> Path:
    """Return where the signatures of a card are kept.

    >>> signature_file("adult.json").name
    'adult.signatures.json'
    """
    return Path(card).with_suffix(".signatures.json")


def digest_of(card: str | Path) -> str:
    """Return the SHA-256 of a card's file."""
    return hashlib.sha256(Path(card).read_bytes()).hexdigest()


def read_signatures(path: Path) -> tuple[Signature, ...]:
    """Return the signatures in a file, none where it is not there; InputError for others."""
    from pydantic import TypeAdapter, ValidationError

    text = path.read_bytes() if path.exists() else b""
    if not text:  # as it is while somebody signs first
        return ()
    try:
        content = parse_json(text)
    except JsonFault as fault:
        raise InputError(f"{path}: must be JSON: {fault}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: must be an object with a list of signatures")
    if (content.get("format"), content.get("version")) != (FORMAT, VERSION):
        raise InputError(f"{path}: is not {FORMAT!r} of version {VERSION}")
    adapter = TypeAdapter(tuple[Signature, ...])
    try:
        signed: tuple[Signature, ...] = adapter.validate_python(content.get("signatures"))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, ("signatures", *first["loc"])))
        raise InputError(f"{path}: {where}: {first['msg']}") from None
    return signed


def add_signatures(path: Path, signed: Sequence[Signature]) -> None:
    """Add signatures to a file, after those that are there; it is written whole.

    Whoever else signs at the same time waits, so that no signature is lost.
    """
    with locked(path, to_replace=True):
        lines = [asdict(one) for one in (*read_signatures(path), *signed)]
        content = {"format": FORMAT, "version": VERSION, "signatures": lines}
        with written_whole(path) as passing:
            passing.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")
