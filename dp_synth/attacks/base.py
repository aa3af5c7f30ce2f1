"""The contracts of attacks: scores of membership, and guesses with their excess risk.

And what the targets of either must be.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, log, sqrt
from typing import ClassVar, Literal, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from dp_synth.attacks.view import AttackerView
from dp_synth.errors import InputError
from dp_synth.frames import Table, as_frame, hold_frames, refuse_shared
from dp_synth.frames import overlap as overlap
from dp_synth.metrics.estimate import NORMAL_QUANTILE, Estimate, difference, share
from dp_synth.schema import Schema
from dp_synth.settings import check_settings
from dp_synth.transcript import Answer
from dp_synth.types import Floats

Measures = Literal["membership", "similarity, not privacy"]

WANTED = {  # what a view may lack, and how it is given
    "reference": (
        "a reference table, rows of other people: none was given (--reference, or reference of "
        "the view)"
    ),
    "transcript": ("a release's transcript: none was given (--release, or transcript of the view)"),
    "synthesizer": (
        "a synthesizer and its budget, to rehearse: none was given (--release of one of ours, or "
        "synthesizer and budget of the view)"
    ),
}

Aimed = Callable[[pd.DataFrame], Floats]
"""Scores of certain targets as a function of the synthetic table."""


@dataclass(frozen=True)
class Attack(ABC):
    """Scores target records by how likely they were fitted; subclasses hold settings only.

    ``measures`` says what a high score is evidence of, ``uses`` what else of a view it makes use
    of where that is there; a synthesizer stands for its algorithm and budget as well. A score
    depends on its own target and the view, on no other target; equal scores are ties, which
    ``Roc`` breaks by a fair coin.
    """

    name: ClassVar[str]
    figure_label: ClassVar[str] = ""  # the name where it is empty
    question: ClassVar[str] = "Are fitted records scored higher than fresh ones?"
    cites: ClassVar[tuple[str, ...]] = ()  # keys of references.bib, or whole BibTeX entries
    measures: ClassVar[Measures] = "membership"
    needs_reference: ClassVar[bool] = False
    needs_transcript: ClassVar[bool] = False
    needs_synthesizer: ClassVar[bool] = False  # which it rehearses, with its budget
    uses: ClassVar[tuple[str, ...]] = ()
    LEAST: ClassVar[Mapping[str, float]] = {}  # of settings, by name
    ABOVE: ClassVar[Mapping[str, float]] = {}

    def __post_init__(self) -> None:
        """Raise InputError for a setting of the wrong kind; subclasses go on from there."""
        check_settings(self)

    @classmethod
    def needs(cls) -> tuple[str, ...]:
        """Return what a view must hold for this attack, beside the schema."""
        parts = {
            "reference": cls.needs_reference,
            "transcript": cls.needs_transcript,
            "synthesizer": cls.needs_synthesizer,
        }
        return ("synthetic", *(name for name, needed in parts.items() if needed))

    @classmethod
    def needs_in_words(cls) -> str:
        """Return what a view must hold, and what the attack uses where it is known.

        >>> from dp_synth.attacks import MarginalRatio
        >>> MarginalRatio.needs_in_words()
        'synthetic, reference; uses synthesizer, records where known'
        """
        more = f"; uses {', '.join(cls.uses)} where known" if cls.uses else ""
        return ", ".join(cls.needs()) + more

    def missing(self, view: AttackerView) -> str | None:
        """Return in one line what ``view`` lacks for this attack; None where it can be run.

        >>> from dp_synth.attacks import AttackerView, ClosestRecord, DensityRatio
        >>> schema = Schema.from_dict({"name": "t", "columns": [
        ...     {"name": "ill", "type": "categorical", "size": 2}]})
        >>> view = AttackerView(pd.DataFrame({"ill": [0, 1]}), schema)
        >>> ClosestRecord().missing(view) is None
        True
        >>> print(DensityRatio().missing(view).split(":")[0])
        attack 'density_ratio' needs a reference table, rows of other people
        """
        lacking = (need for need in self.needs() if getattr(view, need) is None)
        first = next(lacking, None)
        return None if first is None else f"attack {self.name!r} needs {WANTED[first]}"

    def scores(self, targets: Table, view: AttackerView) -> Floats:
        """Return one finite number per target; higher means "member".

        InputError when ``view`` lacks what the attack needs, and for scores that are no numbers.
        """
        return self.aimed(targets, view)(view.synthetic)

    def aimed(self, targets: Table, view: AttackerView) -> Aimed:
        """Return a function from synthetic tables to the scores of ``targets``.

        As `scores` with each of these tables in the place of the view's; for games, in which
        all else stays as it is from run to run: what depends on that alone is worked out once.
        """
        if (lacking := self.missing(view)) is not None:
            raise InputError(lacking)
        targets = as_frame(targets, "targets")
        score, count = self._aimed(targets, view), len(targets)

        def _checked(synthetic: Table) -> Floats:
            scores = score(as_frame(synthetic, "synthetic"))
            if scores.shape != (count,) or not np.isfinite(scores).all():
                raise InputError(
                    f"attack {self.name!r} must give one finite number a target, and did not"
                )
            return scores

        return _checked

    @abstractmethod
    def _scores(self, targets: pd.DataFrame, view: AttackerView) -> Floats: ...

    def _aimed(self, targets: pd.DataFrame, view: AttackerView) -> Aimed:
        return lambda synthetic: self._scores(targets, replace(view, synthetic=synthetic))

    def _reference(self, view: AttackerView) -> pd.DataFrame:
        if view.reference is None:
            raise InputError(f"attack {self.name!r} needs {WANTED['reference']}")
        return view.reference

    def _transcript(self, view: AttackerView) -> tuple[Answer, ...]:
        if view.transcript is None:
            raise InputError(f"attack {self.name!r} needs {WANTED['transcript']}")
        return view.transcript


def set_scores(
    scores: ArrayLike, sets: Sequence[object] | pd.Series
) -> tuple[Floats, NDArray[np.generic]]:
    """Return the mean score of each set of targets, a household or all records of a person.

    ``sets`` names the set of each score; the second array has the names, in order. ValueError
    when they are not equally many.

    >>> set_scores([1.0, 3.0, 5.0], ["a", "a", "b"])[0].tolist()
    [2.0, 5.0]
    """
    values = np.asarray(scores, dtype=np.float64)
    if len(values) != len(sets):
        raise ValueError(f"{len(values)} scores need as many set names, got {len(sets)}")
    names, places = np.unique(np.asarray(sets), return_inverse=True)
    totals, sizes = np.bincount(places, values), np.bincount(places)
    return totals / sizes, names


def refuse_overlap(members: Table, non_members: Table) -> None:
    """Raise InputError when records stand on both sides: no attack could be scored then."""
    refuse_shared({"members": members, "non-members": non_members})


Made = TypeVar("Made", bound=Callable[..., object])

LARGEST_LOG_RATIO = 30.0  # beyond a ratio of 1e13 an end of an interval is taken as infinite


@dataclass(frozen=True)
class ExcessRisk:
    """How often an attack is right on fitted records, on fresh ones, and without the table.

    ``risk`` is (attack - control) / (1 - control): the part of what the fresh records leave to
    be gained. It is at most 1, 0 where fitted records fare like fresh ones, and below 0 where
    they fare better. ``baseline`` is the success of a guess that ignores the synthetic table.

    ``unfitted`` is the success that a ledger's bound starts from: on a record that was left out
    while all else stays as it is. Where it is None that is the control. Of guesses about a whole
    table it is a sum over its ``records``, of which any may be the one that a guess is right
    about.
    """

    attack: Estimate
    control: Estimate
    baseline: float
    risk: Estimate
    unfitted: Estimate | None = None
    records: int = 1

    @property
    def memorisation(self) -> Estimate:
        """The success on fitted records less that on fresh ones, the memorisation test.

        Of Golob, Pentyala & De Cock 2026 (arXiv:2606.08372): what a table tells of the
        population it tells of both. The interval is that of `metrics.estimate.difference`.

        >>> print(ExcessRisk.of([True] * 90 + [False] * 10, [True, False] * 50, 0.5).memorisation)
        0.4000 [0.2729, 0.5138]
        """
        return difference(self.attack, self.control)

    @classmethod
    def of(cls, attacked: ArrayLike, controls: ArrayLike, baseline: float) -> ExcessRisk:
        """Return the risk from the successes on fitted and on fresh records, an entry a record.

        An entry is true or false, or the share in [0, 1] of several guesses about a record that
        are right: these go together, so that records are counted and not guesses.

        >>> print(ExcessRisk.of([True] * 90 + [False] * 10, [True, False] * 50, 0.5).risk)
        0.8000 [0.6381, 0.8926]
        """
        wins, trials = _count(attacked)
        control_wins, control_trials = _count(controls)
        return cls(
            share(wins, trials),
            share(control_wins, control_trials),
            baseline,
            excess(wins, trials, control_wins, control_trials),
        )


def cites(*keys: str, name: str | None = None) -> Callable[[Made], Made]:
    """Return a decorator that notes whom to cite for a function, which may go by another name.

    ``keys`` are those of references.bib, or whole BibTeX entries.
    """

    def noted(made: Made) -> Made:
        vars(made).update({"cites": keys} | ({} if name is None else {"name": name}))
        return made

    return noted


@dataclass(frozen=True, eq=False)
class AttackedTables:
    """What guesses are about: fitted and fresh records, and the synthetic table, of one schema."""

    members: pd.DataFrame
    controls: pd.DataFrame
    synthetic: pd.DataFrame
    schema: Schema
    seed: int = 0

    def __post_init__(self) -> None:
        hold_frames(self, "members", "controls", "synthetic")


@dataclass(frozen=True)
class Guess:
    """An attack by guesses: how it is run, and what figures, tables and reports say of it.

    ``run`` gives None where the tables are not of its kind. ``did`` is the beginning of a
    sentence about a {who} record, and ``fresh`` what stands for that of a fresh one after it.
    """

    name: str
    figure_label: str
    question: str
    did: str
    run: Callable[[AttackedTables], ExcessRisk | None]
    sees: str = "the synthetic table"
    fresh: str = "a fresh one"
    cites: tuple[str, ...] = ()  # keys of references.bib, or whole BibTeX entries


def excess(wins: float, trials: float, control_wins: float, control_trials: float) -> Estimate:
    """Return (attack - control) / (1 - control) with its 95 % score interval.

    It equals 1 - (1 - attack) / (1 - control), one less a ratio of two failure rates; so its
    interval is the score interval of a ratio of binomial shares (Koopman 1984; Miettinen &
    Nurminen 1985, without their factor N / (N - 1)), which holds near 0 and 1 where propagated
    errors do not. It treats trials as independent: for records given one synthetic table they
    are, nearly. Where neither group fails there is nothing to gain: 0, and no lower end.
    """
    if not trials or not control_trials:
        return Estimate(0.0, -inf, 1.0)
    misses, control_misses = trials - wins, control_trials - control_wins
    if not control_misses:
        value = 0.0 if not misses else -inf
    else:
        value = 1 - (misses / trials) / (control_misses / control_trials)
    low, high = _ratio_interval(misses, trials, control_misses, control_trials)
    return Estimate(value, min(1 - high, value), max(1 - low, value))


def _count(successes: ArrayLike) -> tuple[float, float]:
    """Return wins and trials that say as much as the successes do.

    Of true and false their own numbers. Shares of one mean vary less: the trials are then as
    many as would vary so little, one record of the largest variance added to what was seen
    (the effective sample size of Korn & Graubard 1998).
    """
    shares = np.asarray(successes, dtype=np.float64)
    records = shares.size
    if not records:
        return 0.0, 0.0
    mean = min(max(float(shares.mean()), 0.0), 1.0)
    largest = mean * (1 - mean)
    if not largest:
        return mean * records, float(records)
    trials = records * largest * (records + 1) / (records * float(shares.var()) + largest)
    if np.isclose(trials, records):  # true and false alone
        return float(round(mean * records)), float(records)
    return mean * trials, trials


def _ratio_interval(x: float, n: float, y: float, m: float) -> tuple[float, float]:
    """Return the ends of the score interval of (x / n) / (y / m)."""

    def beyond(log_ratio: float) -> float:
        return _score(x, n, y, m, ratio=float(np.exp(log_ratio)))

    middle = log(max(x, 0.5) / n * m / max(y, 0.5))
    low = 0.0 if not x else _root(beyond, middle, -LARGEST_LOG_RATIO, NORMAL_QUANTILE)
    high = inf if not y else _root(beyond, middle, LARGEST_LOG_RATIO, -NORMAL_QUANTILE)
    return low, high


def _root(beyond: Callable[[float], float], near: float, far: float, level: float) -> float:
    from scipy.optimize import brentq

    # The score falls as the ratio rises; at ``far`` it is beyond any level.
    if (beyond(near) - level) * (beyond(far) - level) > 0:
        near = -far
    return float(np.exp(brentq(lambda value: beyond(value) - level, near, far)))


def _score(x: float, n: float, y: float, m: float, *, ratio: float) -> float:
    """Return how many standard errors x / n lies above ``ratio`` times y / m.

    The error is at the likeliest rates among those of that ratio (Miettinen & Nurminen 1985).
    """
    a = (n + m) * ratio
    b = n * ratio + x + m + y * ratio
    rate = (b - sqrt(max(b * b - 4 * a * (x + y), 0.0))) / (2 * a)
    first = min(ratio * rate, 1.0)
    variance = first * (1 - first) / n + ratio**2 * rate * (1 - rate) / m
    difference = x / n - ratio * y / m
    # Without spread any difference decides; an infinite score would stop the search for a root.
    return difference / sqrt(max(variance, np.finfo(np.float64).tiny))
