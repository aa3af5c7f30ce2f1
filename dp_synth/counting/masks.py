"""Who the holders of a fit's records are, and the masks that hide each one's answers."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from dp_synth.errors import InputError

Words = NDArray[np.uint64]

SHORTEST_KEY = 32  # bytes
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


@dataclass(frozen=True)
class HolderFolder:
    """Holders who answer in a folder, as the data of a fit: by name, and how long to wait.

    Each runs `synthesizers.serve` over its own records. InputError for names that are none of
    small letters, digits and hyphens, or that stand twice.
    """

    folder: str | PathLike[str]
    holders: Sequence[str]
    seconds: float = 600.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "holders", checked_names(self.holders))
        if not self.seconds > 0:
            raise InputError(f"seconds to wait must be more than 0, got {self.seconds}")


@dataclass(frozen=True)
class Masks:
    """Pairwise masks of the answers of ``holders``: each pair's cancel in the sum.

    ``key`` are at least 32 random bytes, such as of ``secrets.token_bytes(32)``, that all holders
    have and the coordinator has not. Who has it can take the masks off any answer.

    Privacy
    -------
    Each mask is a stream of SHAKE-256 from the key, the pair and the request, so that to whom has
    no key any answers but all of them look uniform. It hides counts from a coordinator who follows
    the protocol, and not from the other holders; the sum itself is exact and has no noise.
    """

    holders: Sequence[str]
    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "holders", checked_names(self.holders))
        key: object = self.key
        if not isinstance(key, bytes) or len(key) < SHORTEST_KEY:
            raise InputError(f"the key of masks must be {SHORTEST_KEY} random bytes or more")

    def applied(self, words: Words, name: str, request: bytes) -> Words:
        """Return the words of the answer of ``name`` to a request, with its masks added."""
        masked = words.copy()
        for other in self.holders:
            if other != name:
                pair = ":".join(sorted((name, other)))
                stream = self._stream(f"mask:{pair}:".encode() + request, masked.nbytes)
                mask = np.frombuffer(stream, dtype="<u8")
                masked = masked + mask if name < other else masked - mask
        return masked

    def told(self, session: str) -> str:
        """Return what tells this key and these holders from others, without telling the key."""
        label = f"told:{','.join(self.holders)}:{session}".encode()
        return self._stream(label, 16).hex()

    def _stream(self, label: bytes, length: int) -> bytes:
        framed = len(self.key).to_bytes(8, "big") + self.key + hashlib.sha256(label).digest()
        return hashlib.shake_256(framed).digest(length)


def checked_names(names: Sequence[object]) -> tuple[str, ...]:
    """Return the names of holders in order; InputError for such as no file can have, or twice."""
    if isinstance(names, str) or not names:
        raise InputError("holders must be a list of one or more names")
    for name in names:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise InputError(
                f"a holder's name must be of small letters, digits and hyphens, got {name!r}"
            )
    if len(set(names)) != len(names):
        raise InputError("each holder must be named once")
    return tuple(sorted(map(str, names)))
