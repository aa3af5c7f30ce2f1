"""Residual selection: interactions of many attributes, found by noisy parities of halves of them.

A parity of several bits is what no marginal over fewer of them shows: where those are even, an
exclusive or of seven columns and a label changes one parity alone, and that by all of its records.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from dp_synth.domain import NO_BIT, Domain, ParitySets
from dp_synth.inference.histograms import project_to_simplex
from dp_synth.transcript import Measurement
from dp_synth.types import Clique, Codes, Flags, Floats, Integers

MOST_OTHERS = 7  # bits that a set holds beside one of the label
MOST_FREE = 4  # bits of a set without the label, where there is one
MOST_CUT = 6  # categories of which all even cuts are asked
MOST_SETS = 150_000  # that are asked at one time
FALSE_ALARM = 0.05  # chance that noise alone stands out anywhere among all sets
LEAST_EFFECT = 0.1  # of the records: weaker interactions are not worth a table
MOST_FOUND = 16  # interactions; each is a table of the model
MOST_CHECKED = 1000  # sets that stand out, in descending order
MOST_MODELS = 30  # that are fitted to tell what pairs imply
MOST_MODELLED = 600  # cells of such a model
LINKED = 3.0  # in standard deviations: a pair of bits beyond it links their attributes
CERTAIN = 0.98  # the largest parity that a model is fitted to
KNOWN = 3.0  # in standard deviations: parities of parts below it count as zero
RIDGE = 1e-3  # keeps parameters finite where what is known contradicts itself
STEPS = 20  # of Newton's method


@dataclass(frozen=True, eq=False)
class Bits:
    """Halves of attributes: bit i is ``halves[i]`` of ``attributes[i]``, whose mean sign is known.

    ``levels`` say when bits are asked: 0 of each attribute's first, then of what fewer sets allow.
    Bits of one attribute stand together, in the order of the domain.
    """

    attributes: Clique
    halves: tuple[Codes, ...]
    means: Floats
    levels: Integers

    @classmethod
    def of(cls, domain: Domain, ones: Sequence[Measurement], total: float) -> Bits:
        """Return the bits that one-way estimates suggest; none where half is next to nobody."""
        found: list[tuple[str, Codes, float, int]] = []
        for one in ones:
            attribute = one.clique[0]
            counts = project_to_simplex(one.values, total, np.square(one.stddev))
            shares = counts / max(float(counts.sum()), 1e-9)
            ordered = domain.ordered[domain.axis(attribute)] > 0
            for half, level in halves_of(shares, ordered=ordered):
                found.append((attribute, half, float(shares @ (1 - 2 * half)), level))
        found.sort(key=lambda bit: domain.axis(bit[0]))
        return cls(
            tuple(attribute for attribute, *_ in found),
            tuple(half for _, half, *_ in found),
            np.array([mean for *_, mean, _ in found]),
            np.array([level for *_, level in found], dtype=np.int64),
        )

    def __len__(self) -> int:
        return len(self.attributes)


def halves_of(shares: Floats, *, ordered: bool) -> list[tuple[Codes, int]]:
    """Return cuts of an attribute's codes into two halves, each with its level.

    At level 0 the most even one. At level 1 of three codes each against the others; of more the
    Walsh functions of four runs of neighbours that hold about a quarter each, and odd codes
    against even ones. At level 2, of categories of which there are few, all even cuts and each
    code against the others.

    >>> [(half.tolist(), level) for half, level in halves_of(np.full(4, 0.25), ordered=True)]
    [([0, 0, 1, 1], 0), ([0, 1, 1, 0], 1), ([0, 1, 0, 1], 1)]
    """
    size = len(shares)
    codes = np.arange(size)
    alone = [codes == code for code in range(size - 1, -1, -1)]
    if size < 2:
        return []
    if size <= 3:
        cuts = sorted(alone[: size * 2 - 3], key=lambda cut: abs(float(shares[cut].sum()) - 0.5))
    else:
        quarter = _quarters(shares)
        cuts = [quarter >= 2, (quarter == 1) | (quarter == 2), quarter % 2 == 1, codes % 2 == 1]
    levels = [0] + [1] * (len(cuts) - 1)
    if not ordered and 3 < size <= MOST_CUT:
        even = [np.isin(codes, chosen) for chosen in combinations(range(size), size // 2)]
        cuts += even + alone
        levels += [2] * (len(even) + size)
    distinct: dict[bytes, tuple[Codes, int]] = {}
    for cut, level in zip(cuts, levels, strict=True):
        half = cut.astype(np.int32)
        if 0 < half.sum() < size:
            distinct.setdefault((half ^ half[0]).tobytes(), (half, level))
    return list(distinct.values())


def _quarters(shares: Floats) -> Integers:
    """Return the number of a quarter for each code: runs of neighbours, as even as they can be."""
    size = len(shares)
    before = np.concatenate([[0.0], np.cumsum(shares)[:-1]]) + shares / 2
    middle = int(np.clip(np.searchsorted(before, 0.5), 1, size - 1))
    quarter = np.zeros(size, dtype=np.int64)
    for start, stop, low in ((0, middle, 0), (middle, size, 2)):
        inner = before[start:stop]
        quarter[start:stop] = low + (inner > (inner[0] + inner[-1]) / 2)
    return quarter


@dataclass(frozen=True)
class Layer:
    """Sets of one kind, of which all are asked or none: of ``others`` bits beside the label's.

    ``anchored`` ones hold a bit of the label. Their bits are of ``level`` and below, one of them
    at least of ``level`` itself. ``count`` says how many there are.
    """

    others: int
    anchored: bool
    level: int
    count: int

    @property
    def length(self) -> int:
        """The number of bits of each set."""
        return self.others + self.anchored


def layers_of(bits: Bits, label: str | None) -> list[Layer]:
    """Return the kinds of sets that can be asked, in the order in which they are taken up.

    Few sets come before many, but no sets before the pairs of their bits: of these, what they
    imply is known.
    """
    free = MOST_FREE if label in bits.attributes else MOST_OTHERS + 1
    kinds = [(others, True) for others in range(1, MOST_OTHERS + 1)]
    kinds += [(others, False) for others in range(2, free + 1)]
    found: list[Layer] = []
    below = dict.fromkeys(kinds, 0)
    for level in range(int(bits.levels.max(initial=-1)) + 1):
        several, anchors = _per_attribute(bits, label, level)
        ways = _choices(several)
        for others, anchored in kinds:
            count = ways[others] * (anchors if anchored else 1)
            if count > below[others, anchored]:
                found.append(Layer(others, anchored, level, count - below[others, anchored]))
            below[others, anchored] = count
    pairs = {layer.level: 0 for layer in found}
    for layer in found:
        pairs[layer.level] += layer.count * (layer.length == 2)

    def place(layer: Layer) -> tuple[int, bool, int]:
        return max(layer.count, pairs[layer.level]), layer.length != 2, layer.level

    return sorted(found, key=place)


def _per_attribute(bits: Bits, label: str | None, level: int) -> tuple[list[int], int]:
    """Return how many bits up to a level each attribute has, and how many the label has."""
    several: dict[str, int] = {}
    for attribute, own in zip(bits.attributes, bits.levels.tolist(), strict=True):
        several[attribute] = several.get(attribute, 0) + (own <= level)
    anchors = several.pop(label, 0) if label is not None else 0
    return list(several.values()), anchors


def _choices(several: Sequence[int]) -> list[int]:
    """Return in how many ways 0, 1, ... bits can be chosen, at most one of each attribute."""
    ways = [1] + [0] * (MOST_OTHERS + 1)
    for count in several:
        ways = [a + count * b for a, b in zip(ways, [0, *ways[:-1]], strict=True)]
    return ways


def parity_sets(bits: Bits, label: str | None, layers: Sequence[Layer]) -> ParitySets:
    """Return the sets of all layers, that bit of the label first which a set holds."""
    longest = max((layer.length for layer in layers), default=0)
    is_anchor = np.array([attribute == label for attribute in bits.attributes], dtype=bool)
    parts = [np.empty((0, longest), dtype=np.int32)]
    for layer in layers:
        allowed = bits.levels <= layer.level
        sets = _one_of_each(np.flatnonzero(allowed & ~is_anchor), bits.attributes, layer.others)
        if layer.anchored:
            heads = np.flatnonzero(allowed & is_anchor)
            column = np.repeat(heads, len(sets))
            sets = np.column_stack([column, np.tile(sets, (len(heads), 1))])
        sets = sets[(bits.levels[sets] == layer.level).any(axis=1)]
        filled = np.full((len(sets), longest), NO_BIT, dtype=np.int32)
        filled[:, : layer.length] = sets
        parts.append(filled)
    return ParitySets(bits.attributes, bits.halves, np.concatenate(parts))


def _one_of_each(pool: Integers, attributes: Clique, order: int) -> Integers:
    """Return all sets of so many bits of the pool, ascending, at most one of each attribute."""
    numbers: dict[str, int] = {}
    owner = np.array([numbers.setdefault(attributes[bit], len(numbers)) for bit in pool], dtype=int)
    after = np.searchsorted(owner, owner, side="right")  # where the next attribute's bits begin
    sets = np.arange(len(pool))[:, None]
    for _ in range(order - 1):
        begin = after[sets[:, -1]]
        more = len(pool) - begin
        rows = np.repeat(np.arange(len(sets)), more)
        ends = np.cumsum(more)
        last = np.arange(len(rows)) - np.repeat(ends - more, more) + begin[rows]
        sets = np.column_stack([sets[rows], last])
    return pool[sets]


def threshold(sets: int) -> float:
    """Return how many standard deviations noise alone exceeds nowhere, but for `FALSE_ALARM`."""
    return float(-ndtri(FALSE_ALARM / (2 * max(sets, 1))))


@dataclass(frozen=True, eq=False)
class Interaction:
    """A set of bits whose parity no smaller part explains: its attributes, halves and size."""

    clique: Clique
    halves: Mapping[str, Codes]
    effect: float


def find_interactions(
    bits: Bits, asked: ParitySets, values: Floats, stddev: float, total: float
) -> list[Interaction]:
    """Return the sets whose parities stand out of the noise and of what their parts imply.

    The strongest first, none within another. A set of three bits or more stands out where it is
    beyond the noise of all sets (`threshold`) and `LEAST_EFFECT`; where it is not the product of
    two parts of it; and where it is beyond what pairs, and interactions found before, can make.
    """
    known = _Known.of(bits, asked, values / total, stddev / total)
    least = max(threshold(len(asked)) * known.noise, LEAST_EFFECT)
    lengths = (asked.sets != NO_BIT).sum(axis=1)
    rows = np.flatnonzero((lengths > 2) & (np.abs(known.values) > least))
    rows = rows[np.argsort(-np.abs(known.values[rows]), kind="stable")]
    rows = rows[~known.are_products(rows, least)][:MOST_CHECKED]
    found: list[tuple[frozenset[int], float]] = []
    cliques: list[frozenset[str]] = []
    for row in rows.tolist():
        line = frozenset(int(bit) for bit in asked.sets[row] if bit != NO_BIT)
        names = frozenset(bits.attributes[bit] for bit in line)
        value = float(known.values[row])
        if any(names <= clique for clique in cliques):
            continue
        if abs(value) <= least + known.implied(line, found):
            continue
        found.append((line, value))
        cliques.append(names)
        if len(found) == MOST_FOUND:
            break
    return [
        Interaction(
            tuple(bits.attributes[bit] for bit in sorted(line)),
            {bits.attributes[bit]: bits.halves[bit] for bit in line},
            value,
        )
        for (line, value), own in zip(found, cliques, strict=True)
        if not any(own < other for other in cliques)
    ]


@dataclass(frozen=True, eq=False)
class _Known:
    """What is known of the parities of sets, as parts of the records, and how noisily.

    Sets are found by the exclusive or of 64 random bits for each bit: that two of some hundred
    thousand sets share it has a chance below 1e-8.
    """

    bits: Bits
    sets: Codes
    values: Floats
    noise: float
    names: NDArray[np.uint64]
    keys: NDArray[np.uint64]
    order: Integers
    models: list[int] = field(default_factory=list)  # the cells of those that were fitted

    @classmethod
    def of(cls, bits: Bits, asked: ParitySets, values: Floats, noise: float) -> _Known:
        rng = np.random.default_rng(len(bits))
        names = rng.integers(0, 2**64, len(bits) + 1, dtype=np.uint64)
        names[-1] = 0  # that of no bit
        keys = np.bitwise_xor.reduce(names[asked.sets], axis=1)
        return cls(bits, asked.sets, values, noise, names, keys, np.argsort(keys))

    def look_up(self, keys: NDArray[np.uint64]) -> Floats:
        """Return the values of sets; NaN where they were not asked."""
        place = np.minimum(np.searchsorted(self.keys, keys, sorter=self.order), len(self.order) - 1)
        rows = self.order[place]
        return np.where(self.keys[rows] == keys, self.values[rows], np.nan)

    def clear(self, keys: NDArray[np.uint64]) -> Floats:
        """Return the values of sets, zero where noise alone may be as large."""
        values = self.look_up(keys)
        return np.where(np.abs(values) <= KNOWN * self.noise, 0.0, values)

    def are_products(self, rows: Integers, least: float) -> Flags:
        """Return which sets are the product of a bit or two of them and the rest, up to noise."""
        sets, values = self.sets[rows], self.values[rows]
        means = np.append(self.bits.means, np.nan)
        explained = np.zeros(len(rows), dtype=bool)
        width = sets.shape[1]
        for part in (*combinations(range(width), 1), *combinations(range(width), 2)):
            chosen = sets[:, part]
            key = np.bitwise_xor.reduce(self.names[chosen], axis=1)
            own = means[chosen[:, 0]] if len(part) == 1 else self.clear(key)
            rest = self.clear(self.keys[rows] ^ key)
            noise = np.sqrt(1 + np.square(own) + np.square(rest))
            close = np.abs(values - own * rest) <= least * noise
            explained |= close & (chosen != NO_BIT).all(axis=1)  # NaN is close to nothing
        return explained

    def implied(self, line: frozenset[int], found: Sequence[tuple[frozenset[int], float]]) -> float:
        """Return how large a parity is that pairs and what was found make, at most.

        Attributes that neither links are independent: the parity is the product of those of
        linked ones. These are a mean, a pair's own, or what a model has of all bits of three
        attributes or more; where that is too large, one.
        """
        size = 1.0
        for part in self._linked(line, found):
            if len(part) == 1:
                size *= abs(float(self.bits.means[part[0]]))
            elif len(part) == 2:
                key = np.bitwise_xor.reduce(self.names[part])
                size *= min(1.0, abs(float(np.nan_to_num(self.look_up(np.array([key])))[0])))
            else:
                size *= abs(self._modelled(part, found))
        return size

    def _linked(
        self, line: frozenset[int], found: Sequence[tuple[frozenset[int], float]]
    ) -> list[list[int]]:
        """Return the bits of a set in parts whose attributes are linked."""
        names = {self.bits.attributes[bit] for bit in line}
        groups = [pair for pair in self.links if pair <= names]
        for other, _ in found:
            own = {self.bits.attributes[bit] for bit in other}
            groups += [frozenset(own)] if own <= names else []
        parts = [({self.bits.attributes[bit]}, [bit]) for bit in sorted(line)]
        for group in groups:
            joined = [part for part in parts if part[0] & group]
            parts = [part for part in parts if not part[0] & group]
            together = set().union(*(own for own, _ in joined))
            parts.append((together, [bit for _, own in joined for bit in own]))
        return [own for _, own in parts]

    @cached_property
    def links(self) -> list[frozenset[str]]:
        """The pairs of attributes of which two bits are further from independent than noise."""
        rows = np.flatnonzero((self.sets != NO_BIT).sum(axis=1) == 2)
        pairs = self.sets[rows][:, :2]
        away = np.abs(self.values[rows] - self.bits.means[pairs].prod(axis=1))
        far = pairs[away > max(LINKED * self.noise, LEAST_EFFECT / 2)]
        return list({frozenset(self.bits.attributes[bit] for bit in pair) for pair in far})

    def _modelled(
        self, part: Sequence[int], found: Sequence[tuple[frozenset[int], float]]
    ) -> float:
        """Return the parity of a set under the model of highest entropy of all that is known.

        Over all codes that the bits of the first two levels tell apart. One where there are too
        many, or too many models were fitted before.
        """
        wanted = {self.bits.attributes[bit] for bit in part}
        bits = [
            bit
            for bit, name in enumerate(self.bits.attributes)
            if name in wanted and (self.bits.levels[bit] < 2 or bit in part)
        ]
        cells, cuts = np.ones((1, 0)), 1
        for name in dict.fromkeys(self.bits.attributes[bit] for bit in bits):
            own = [self.bits.halves[bit] for bit in bits if self.bits.attributes[bit] == name]
            patterns = np.unique(np.stack(own, axis=1), axis=0)
            cuts *= len(patterns)
            if cuts > MOST_MODELLED or len(self.models) >= MOST_MODELS:
                return 1.0
            cells = np.concatenate(
                [
                    np.repeat(cells, len(patterns), axis=0),
                    np.tile(1.0 - 2 * patterns, (len(cells), 1)),
                ],
                axis=1,
            )
        self.models.append(cuts)
        signs = dict(zip(bits, cells.T, strict=True))
        features, targets = [cells], list(self.bits.means[bits])
        pairs = [pair for pair in combinations(bits, 2) if self._differ(*pair)]
        values = self.clear(np.array([self.names[a] ^ self.names[b] for a, b in pairs]))
        known = [(frozenset(p), float(v)) for p, v in zip(pairs, values, strict=True)]
        known = [(pair, value) for pair, value in known if value and not math.isnan(value)]
        for other, value in (*known, *(one for one in found if one[0] <= set(bits))):
            features.append(np.prod([signs[bit] for bit in other], axis=0)[:, None])
            targets.append(value)
        chances = highest_entropy(
            np.concatenate(features, axis=1), np.clip(targets, -CERTAIN, CERTAIN)
        )
        return float(chances @ np.prod([signs[bit] for bit in part], axis=0))

    def _differ(self, one: int, other: int) -> bool:
        return self.bits.attributes[one] != self.bits.attributes[other]


def highest_entropy(features: Floats, targets: Floats) -> Floats:
    """Return the distribution over cells of highest entropy with these means of features.

    ``features`` has shape (cells, features), of values from -1 to 1. By Newton's method with
    steps that are halved until they gain; nearly, where no distribution has such means.
    """
    parameters = np.zeros(features.shape[1])

    def loss(at: Floats) -> tuple[float, Floats]:
        """Return the dual loss, and the distribution of these parameters."""
        logits = features @ at
        highest = float(logits.max())
        weights = np.exp(logits - highest)
        total = float(weights.sum())
        value = highest + math.log(total) - float(targets @ at) + RIDGE / 2 * float(at @ at)
        return value, weights / total

    value, chances = loss(parameters)
    for _ in range(STEPS):
        means = chances @ features
        gradient = means - targets + RIDGE * parameters
        if np.abs(gradient).max(initial=0.0) < 1e-6:
            break
        curvature = (features * chances[:, None]).T @ features - np.outer(means, means)
        step = np.linalg.solve(curvature + RIDGE * np.eye(len(parameters)), gradient)
        for _ in range(STEPS):
            new, moved = loss(parameters - step)
            if new < value:
                break
            step = step / 2
        else:
            break
        parameters, value, chances = parameters - step, new, moved
    return chances
