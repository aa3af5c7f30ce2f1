"""The contract of membership attacks, and what their targets must be."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from dp_synth.attacks.view import AttackerView
from dp_synth.errors import InputError
from dp_synth.frames import overlap as overlap
from dp_synth.frames import refuse_shared
from dp_synth.settings import check_settings
from dp_synth.transcript import Answer
from dp_synth.types import Floats

Measures = Literal["membership", "similarity, not privacy"]

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
    uses: ClassVar[tuple[str, ...]] = ()
    LEAST: ClassVar[Mapping[str, float]] = {}  # of settings, by name
    ABOVE: ClassVar[Mapping[str, float]] = {}

    def __post_init__(self) -> None:
        """Raise InputError for a setting of the wrong kind; subclasses go on from there."""
        check_settings(self)

    @classmethod
    def needs(cls) -> tuple[str, ...]:
        """Return what a view must hold for this attack, beside the schema."""
        parts = {"reference": cls.needs_reference, "transcript": cls.needs_transcript}
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

    def scores(self, targets: pd.DataFrame, view: AttackerView) -> Floats:
        """Return one finite number per target; higher means "member".

        InputError when ``view`` lacks what the attack needs, and for scores that are no numbers.
        """
        return self.aimed(targets, view)(view.synthetic)

    def aimed(self, targets: pd.DataFrame, view: AttackerView) -> Aimed:
        """Return a function from synthetic tables to the scores of ``targets``.

        As `scores` with each of these tables in the place of the view's; for games, in which
        all else stays as it is from run to run: what depends on that alone is worked out once.
        """
        if self.needs_reference:
            self._reference(view)
        if self.needs_transcript:
            self._transcript(view)
        score = self._aimed(targets, view)

        def _checked(synthetic: pd.DataFrame) -> Floats:
            scores = score(synthetic)
            if scores.shape != (len(targets),) or not np.isfinite(scores).all():
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
            raise InputError(
                f"attack {self.name!r} needs a reference table, rows of other people: none was "
                "given (--reference, or reference of the view)"
            )
        return view.reference

    def _transcript(self, view: AttackerView) -> tuple[Answer, ...]:
        if view.transcript is None:
            raise InputError(
                f"attack {self.name!r} needs a release's transcript: none was given "
                "(--release, or transcript of the view)"
            )
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


def refuse_overlap(members: pd.DataFrame, non_members: pd.DataFrame) -> None:
    """Raise InputError when records stand on both sides: no attack could be scored then."""
    refuse_shared({"members": members, "non-members": non_members})
