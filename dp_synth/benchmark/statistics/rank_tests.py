"""Tests of ranks: Friedman's, Nemenyi's, and signed ranks of pairs after Holm's correction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from math import inf, isinf, sqrt

import pandas as pd

from dp_synth.benchmark.statistics.paired import holm, signed_rank_p_value

LEVEL = 0.05
FEWEST_BLOCKS = 3
FEWEST_METHODS = 3
NOTHING_LEFT = 1e-9  # of chi-squared, below its largest value

Groups = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Friedman:
    """Friedman's chi-squared and the F of Iman and Davenport, each with its p-value.

    The first is known to be too careful; decide by the second (Demsar 2006, sect. 3.2.2).
    """

    chi_squared: float
    p_chi_squared: float
    f: float
    p_f: float

    @property
    def rejects(self) -> bool:
        """Whether methods differ at all, at the level of 5 %."""
        return self.p_f < LEVEL

    def __str__(self) -> str:
        return (
            f"Friedman chi-squared {self.chi_squared:.2f} (p {self.p_chi_squared:.3g}), "
            f"Iman-Davenport F {self.f:.2f} (p {self.p_f:.3g})"
        )


@dataclass(frozen=True, eq=False)
class Tests:
    """What ranks over blocks tell apart, at the level of 5 %.

    ``pairs`` has columns ``first``, ``second``, ``p_wilcoxon`` and ``p_holm``. ``groups`` are the
    runs of neighbours in rank among whom Nemenyi's test finds no difference, ``holm_groups``
    those of the signed-rank tests, then each pair beyond them that these do not tell apart
    either; where Friedman's test finds none, all methods are one group.
    """

    friedman: Friedman
    critical_difference: float
    pairs: pd.DataFrame
    groups: Groups
    holm_groups: Groups
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """Return all of it as JSON can hold it; an infinite F is None."""
        friedman = asdict(self.friedman)
        return {
            "friedman": friedman | {"f": None if isinf(self.friedman.f) else self.friedman.f},
            "critical_difference": self.critical_difference,
            "pairs": self.pairs.to_dict("records"),
            "groups": [list(group) for group in self.groups],
            "holm_groups": [list(group) for group in self.holm_groups],
        }

    def __str__(self) -> str:
        lines = [str(self.friedman)]
        lines.append(f"critical difference (Nemenyi, 5 %): {self.critical_difference:.3f}")
        lines += [f"  not told apart: {', '.join(group)}" for group in self.groups]
        lines.append("signed-rank tests of pairs after Holm's correction, 5 %:")
        lines += [f"  not told apart: {', '.join(group)}" for group in self.holm_groups]
        return "\n".join(lines)


def why_no_tests(blocks: int, methods: int) -> str:
    """Return why no test can be made of so many ranks, empty where it can.

    >>> why_no_tests(2, 4)
    'no test: 2 blocks, and Friedman needs 3 or more'
    """
    if blocks < FEWEST_BLOCKS:
        named = "1 block" if blocks == 1 else f"{blocks} blocks"
        return f"no test: {named}, and Friedman needs {FEWEST_BLOCKS} or more"
    if methods < FEWEST_METHODS:
        return f"no test: {methods} methods, and Friedman needs {FEWEST_METHODS} or more"
    return ""


def tests_of(scores: pd.DataFrame, ranks: pd.DataFrame) -> Tests:
    """Return all tests of ``ranks`` (blocks, methods), columns in the order of mean rank.

    Pairs are tested on ``scores`` themselves: whether mean ranks of two methods differ depends on
    which others are ranked beside them (Benavoli, Corani & Mangili 2016).
    """
    methods = list(ranks.columns)
    means = dict(zip(methods, ranks.mean().to_list(), strict=True))
    friedman = friedman_test(ranks)
    least = critical_difference(len(methods), len(ranks))
    pairs = signed_rank_pairs(scores[methods])
    names = zip(pairs["first"], pairs["second"], strict=True)
    p_values = dict(zip(names, pairs["p_holm"].to_list(), strict=True))
    if friedman.rejects:
        groups = _groups(methods, lambda one, other: means[other] - means[one] < least)
        runs = _groups(methods, lambda one, other: p_values[one, other] >= LEVEL)
        alike = [pair for pair, p_value in p_values.items() if p_value >= LEVEL]
        holm_groups = (*runs, *(p for p in alike if not any({*p} <= {*run} for run in runs)))
    else:
        groups = holm_groups = (tuple(methods),)
    notes = _notes(friedman, len(ranks), len(pairs))
    return Tests(friedman, least, pairs, groups, holm_groups, notes)


def friedman_test(ranks: pd.DataFrame) -> Friedman:
    """Return Friedman's test of ``ranks`` of shape (blocks, methods), corrected for ties.

    Friedman 1937, with ties as Conover 1999, sect. 5.8; F by Iman & Davenport 1980. Where every
    rank is tied nothing speaks against equal methods: p is 1.
    """
    from scipy.special import chdtrc, fdtrc

    blocks, methods = ranks.shape
    apart = ranks.sum() - blocks * (methods + 1) / 2
    spread = float(((ranks - (methods + 1) / 2) ** 2).to_numpy().sum())
    if spread == 0:
        return Friedman(0.0, 1.0, 0.0, 1.0)
    freedom = methods - 1
    chi_squared = float(freedom * (apart**2).sum() / spread)
    p_chi_squared = float(chdtrc(freedom, chi_squared))
    left = blocks * freedom - chi_squared
    if left < NOTHING_LEFT:  # every block has the same order
        return Friedman(chi_squared, p_chi_squared, inf, 0.0)
    f = (blocks - 1) * chi_squared / left
    return Friedman(chi_squared, p_chi_squared, f, float(fdtrc(freedom, freedom * (blocks - 1), f)))


def critical_difference(methods: int, blocks: int) -> float:
    """Return by how much mean ranks must differ to be told apart at 5 %.

    Nemenyi 1963, as Demsar 2006, sect. 3.2.2: quantiles of the studentized range over sqrt(2).

    >>> round(critical_difference(methods=4, blocks=14), 2)
    1.25
    """
    from scipy.stats import studentized_range

    quantile = float(studentized_range.ppf(1 - LEVEL, methods, inf)) / sqrt(2)
    return quantile * sqrt(methods * (methods + 1) / (6 * blocks))


def signed_rank_pairs(scores: pd.DataFrame) -> pd.DataFrame:
    """Return Wilcoxon's p-value of every pair of columns over the rows, raw and after Holm."""
    names = list(combinations(scores.columns, 2))
    p_values = [signed_rank_p_value((scores[a] - scores[b]).to_numpy(float)) for a, b in names]
    rows = [(*pair, *found) for pair, *found in zip(names, p_values, holm(p_values), strict=True)]
    return pd.DataFrame(rows, columns=["first", "second", "p_wilcoxon", "p_holm"])


def _groups(methods: Sequence[str], alike: Callable[[str, str], bool]) -> Groups:
    """Return the longest runs of two or more neighbours of whom each two are ``alike``."""
    runs: list[tuple[int, int]] = []
    for start in range(len(methods)):
        end = start + 1
        while end < len(methods) and all(alike(m, methods[end]) for m in methods[start:end]):
            end += 1
        if end - start > 1 and (not runs or end > runs[-1][1]):
            runs.append((start, end))
    return tuple(tuple(methods[start:end]) for start, end in runs)


def _notes(friedman: Friedman, blocks: int, pairs: int) -> tuple[str, ...]:
    notes = []
    if not friedman.rejects:
        notes.append("Friedman finds no difference between methods at 5 %: no pair is told apart")
    least = 2.0 ** (1 - blocks) * pairs
    if least > LEVEL:
        notes.append(
            f"signed ranks of {pairs} pairs over {blocks} blocks cannot tell any pair apart: "
            f"the least p-value after Holm is {min(1.0, least):.3g}"
        )
    return tuple(notes)
