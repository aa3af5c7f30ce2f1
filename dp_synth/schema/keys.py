"""Keys: new identifiers of a public pattern, drawn without a look at any that there are.

Keys that kept away from the old ones would tell which these are. So they are drawn from all keys
of the pattern, whoever is in the table; that one of them is an old one is a coincidence, whose
chance is known beforehand: n new ones meet m old ones n * m / size times on average.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.errors import InputError

UUID = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
NAMED = {"integer": "[1-9][0-9]{11}", "uuid": UUID}
"""Patterns that have a name: whole numbers of 12 digits, and random UUIDs (RFC 9562, version 4)."""

MOST_SIGNS = 64  # of one key
LARGEST_ORDERED = 2**60  # keys that are put into a random order; further signs are drawn apart
ROUNDS = 6  # of the network that orders them
SURPRISE = math.log(1e6)  # a chance below one in a million is none

_PIECE = re.compile(r"(\\d|\\.|\[[^\]]*\]|[^\\\[\]{}()*+?.|^$])(?:\{(\d{1,3})\})?", re.DOTALL)
Words = NDArray[np.uint64]


@dataclass(frozen=True)
class KeyPattern:
    """All keys that a pattern allows: ``signs`` are the choices at each place.

    A pattern is a name (`NAMED`), or a part of the language of regular expressions: signs as they
    are, ``\\d``, a class such as ``[A-F0-9]``, each with a number ``{n}`` of times.

    >>> pattern = KeyPattern.of("P-[0-9]{6}")
    >>> pattern.size
    1000000
    >>> pattern.draw(3, seed=0)[0].startswith("P-")
    True
    """

    text: str
    signs: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> KeyPattern:
        """Return the keys of a pattern; ValueError that says what of it is not understood."""
        written, signs, place = NAMED.get(text, text), list[str](), 0
        while place < len(written):
            found = _PIECE.match(written, place)
            if found is None:
                raise ValueError(
                    f"must be integer, uuid, or signs and classes such as 'P-[0-9]{{6}}', got "
                    f"{text!r}, which is not understood from {written[place : place + 8]!r} on"
                )
            signs += [_choices(found[1])] * int(found[2] or 1)
            place = found.end()
        if not 0 < len(signs) <= MOST_SIGNS:
            raise ValueError(f"must be of 1 to {MOST_SIGNS} signs, got {len(signs)}")
        return cls(text, tuple(signs))

    @cached_property
    def size(self) -> int:
        """How many keys there are."""
        return math.prod(map(len, self.signs))

    @cached_property
    def ordered(self) -> int:
        """How many keys can be told apart by their last signs: no more rows can have one each."""
        return math.prod(map(len, self.signs[self._first :]))

    @cached_property
    def _first(self) -> int:
        """The first place of those whose signs are put into order."""
        size, place = 1, len(self.signs)
        while place and size * len(self.signs[place - 1]) <= LARGEST_ORDERED:
            place -= 1
            size *= len(self.signs[place])
        return place

    @property
    def expression(self) -> str:
        """The regular expression of its keys."""
        return NAMED.get(self.text, self.text)

    @property
    def ends(self) -> tuple[str, str]:
        """The keys of the lowest, and of the highest sign at each place."""
        return "".join(map(min, self.signs)), "".join(map(max, self.signs))

    @property
    def said(self) -> str:
        """What is public of them, in words.

        >>> KeyPattern.of("P-[0-9]{6}").said
        'new keys of the pattern P-[0-9]{6}, one of 1,000,000 a row, whoever is in the table'
        """
        there = f"{self.size:,}" if self.size < 10**12 else f"{self.size:.1e}"
        return f"new keys of the pattern {self.text}, one of {there} a row, whoever is in the table"

    def coincidences(self, new: int, old: int) -> float:
        """Return how many of ``new`` keys are among ``old`` ones of the pattern, on average.

        Also an upper bound on the chance that any is.

        >>> KeyPattern.of("P-[0-9]{6}").coincidences(1_000, 500)
        0.5
        """
        return new * old / self.size

    def compared(self, new: Sequence[str], old: Sequence[str]) -> str:
        """Return how keys of rows stand to those of records, in words: private, as the latter are.

        Of n new ones, drawn evenly, more than k are among m old ones with no more chance than
        ``exp(k - k log(k / e) - e)`` for k above their mean e (Chernoff's bound of Hoeffding 1963,
        sect. 6: without replacement as with it).
        """
        there, matches = set(new), re.compile(self.expression).fullmatch
        met = len(there.intersection(old))
        expected = self.coincidences(len(new), sum(matches(key) is not None for key in set(old)))
        said = [f"{met:,} of {len(new):,} are keys of fitted records, {expected:.2g} by chance"]
        if met > expected and (
            not expected or met * math.log(met / expected) - met + expected > SURPRISE
        ):
            said.append("too many for chance: they are no new keys")
        if twice := len(new) - len(there):
            said.append(f"{twice:,} stand there again")
        if foreign := sum(matches(key) is None for key in new):
            said.append(f"{foreign:,} are not of the pattern {self.text}")
        return "; ".join(said)

    def check_room(self, name: str, rows: int) -> None:
        """Raise InputError where there are fewer keys than rows."""
        if rows > self.ordered:
            raise InputError(
                f"column {name!r}: its pattern {self.text!r} has {self.ordered:,} keys, fewer than "
                f"the {rows:,} rows asked for; give it more signs, or ask for fewer rows"
            )

    def draw(self, count: int, seed: int | np.random.SeedSequence, start: int = 0) -> list[str]:
        """Return ``count`` distinct keys: those from number ``start`` on of an order by ``seed``.

        The order is random, by a Feistel network whose rounds are keyed by the seed (Black &
        Rogaway 2002, sect. 5), so that blocks drawn one after another share no key.
        """
        entropy = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
        rounds = entropy.generate_state(2 * ROUNDS, np.uint64).astype(np.uint64)
        every: Words = np.arange(start, start + count, dtype=np.uint64)
        numbers = _permuted(every, self.ordered, rounds)
        places: list[NDArray[np.str_]] = []
        for choices in reversed(self.signs[self._first :]):
            base = np.uint64(len(choices))
            places.append(np.array(list(choices))[(numbers % base).astype(np.int64)])
            numbers = numbers // base
        further = entropy.generate_state(2 * ROUNDS + 2 * self._first, np.uint64)[2 * ROUNDS :]
        for place in reversed(range(self._first)):
            choices = self.signs[place]
            drawn = _mixed(every, further[2 * place], further[2 * place + 1])
            places.append(np.array(list(choices))[(drawn % np.uint64(len(choices))).astype(int)])
        return ["".join(signs) for signs in zip(*reversed(places), strict=True)]

    def column(self, name: str, keys: Sequence[str]) -> pd.Series:
        """Return keys as a column: whole numbers of the pattern ``integer``, else texts."""
        if self.text == "integer":
            return pd.Series(np.array(keys, dtype=np.int64), name=name)
        return pd.Series(list(keys), name=name, dtype=object)


def proposed_pattern(texts: Sequence[str]) -> str | None:
    """Return a pattern that all texts have; None where they have nothing in common.

    >>> proposed_pattern(["P-104", "P-977"]), proposed_pattern(["ann", "bo"])
    ('P-[0-9]{3}', None)
    """
    if not texts or len(set(map(len, texts))) != 1 or not 2 <= len(texts[0]) <= MOST_SIGNS:
        return None
    if all(re.fullmatch(UUID, text) for text in texts):
        return "uuid"
    pieces = [_piece(set(signs)) for signs in zip(*texts, strict=True)]
    if None in pieces or not any(piece and piece.startswith("[") for piece in pieces):
        return None
    found, place = "", 0
    while place < len(pieces):
        times = 1
        while place + times < len(pieces) and pieces[place + times] == pieces[place]:
            times += 1
        found += f"{pieces[place]}" + (f"{{{times}}}" if times > 1 else "")
        place += times
    return found


def _piece(signs: set[str]) -> str | None:
    """Return the class that signs at one place are of; None where there is none."""
    if len(signs) == 1 and not next(iter(signs)).isdigit():
        return re.sub(r"([\\\[\]{}()*+?.|^$])", r"\\\1", signs.pop())
    for kind, pattern in (("[0-9]", "0123456789"), ("[0-9a-f]", "0123456789abcdef")):
        if signs <= set(pattern):
            return kind
    whole = {"[A-Z]": str.isupper, "[a-z]": str.islower}
    return next(
        (kind for kind, is_one in whole.items() if all(s.isascii() and is_one(s) for s in signs)),
        None,
    )


def _choices(piece: str) -> str:
    """Return the signs that a piece of a pattern stands for; ValueError for a class of none."""
    if piece == r"\d":
        return "0123456789"
    if not piece.startswith("["):
        return piece.removeprefix("\\")
    inner, found, place = piece[1:-1], list[str](), 0
    if inner.startswith("^") or "\\" in inner:
        raise ValueError(f"a class must list its signs, got {piece!r}")
    while place < len(inner):
        if inner[place + 1 : place + 2] == "-" and place + 2 < len(inner):
            first, last = ord(inner[place]), ord(inner[place + 2])
            if last < first or last - first > 200:
                raise ValueError(f"a range of a class must rise, got {piece!r}")
            found += map(chr, range(first, last + 1))
            place += 3
        else:
            found.append(inner[place])
            place += 1
    if not found or len(set(found)) < len(found):
        raise ValueError(f"a class must list distinct signs, and one at least, got {piece!r}")
    return "".join(found)


def _permuted(numbers: Words, size: int, rounds: Words) -> Words:
    """Return the place of each number in a random order of those below ``size``.

    Numbers that a network on an even number of bits leads beyond are led on until they are back.
    """
    half = np.uint64(max(1, (max(size - 1, 1).bit_length() + 1) // 2))
    mask = np.uint64((1 << int(half)) - 1)
    found = _network(numbers, half, mask, rounds)
    while (beyond := found >= size).any():
        found[beyond] = _network(found[beyond], half, mask, rounds)
    return found


def _network(numbers: Words, half: np.uint64, mask: np.uint64, rounds: Words) -> Words:
    left, right = numbers >> half, numbers & mask
    for key, more in zip(rounds[::2], rounds[1::2], strict=True):
        left, right = right, left ^ (_mixed(right, key, more) & mask)
    return (left << half) | right


def _mixed(numbers: Words, key: np.uint64, more: np.uint64) -> Words:
    """Return 44 mixed bits of each number: the finalizer of SplitMix64, keyed twice."""
    with np.errstate(over="ignore"):
        mixed = (numbers ^ key) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27)) ^ more) * np.uint64(0x94D049BB133111EB)
        return np.asarray((mixed ^ (mixed >> np.uint64(31))) >> np.uint64(20))
