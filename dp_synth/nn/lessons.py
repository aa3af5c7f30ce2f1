"""What a synthesizer that learns from votes charges and refuses; torch is not needed for it."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Literal, get_args

from dp_synth.accounting import Gaussians, Plan, Unbounded, Votes
from dp_synth.domain import Domain
from dp_synth.errors import InputError
from dp_synth.extensions import unknown
from dp_synth.mechanisms.pate import check_teachers
from dp_synth.nn.extra import require_torch
from dp_synth.nn.training import MOST_ROWS

Accounting = Literal["exact", "data_dependent"]
LARGEST = {"votes": 1_000_000, "rounds": 10_000, "rows": MOST_ROWS, "steps": 10_000_000}
NO_GUARANTEE = "data-dependent accounting"  # in the ledger's words
BOLDNESS = (
    2.0  # times less noise than a guarantee needs, in votes that stop by what they seem to cost
)


@dataclass(frozen=True)
class Lessons:
    """How a student and its generator are taught; all public. InputError where it cannot be.

    ``records`` is a declared, public number of records, 0 where none is. ``target_epsilon`` is
    where votes stop whose ``accounting`` is data-dependent, which certifies nothing.
    """

    part: Votes
    label: str
    rounds: int
    most_groups: int
    steps: int
    rows: int
    accounting: Accounting
    target_epsilon: float
    label_share: float = 0.5
    records: int = 0

    @classmethod
    def of(cls, recipe: object, part: Votes) -> Lessons:
        """Return the settings that ``recipe`` has under the same names, beside its votes."""
        shared = [field.name for field in fields(cls) if field.name != "part"]
        return cls(part, **{name: getattr(recipe, name) for name in shared})

    def __post_init__(self) -> None:
        least = {"votes": (self.part.count, 1), "rounds": (self.rounds, 1)}
        least |= {"most_groups": (self.most_groups, 2), "steps": (self.steps, 1)}
        least |= {"rows": (self.rows, 1), "records": (self.records, 0)}
        for name, (value, smallest) in least.items():
            if value < smallest:
                raise InputError(f"{name} must be {smallest} or more, got {value}")
            if value > LARGEST.get(name, value):
                raise InputError(f"{name} must be at most {LARGEST[name]}, got {value}")
        check_teachers(self.part.teachers)
        if self.records and self.part.teachers > self.records:
            raise InputError(
                f"there must be no more teachers than the {self.records} records that are "
                f"declared, got {self.part.teachers}"
            )
        if self.part.scale is None and not 0 < self.part.share < 1:
            raise InputError(f"share must lie in (0, 1), got {self.part.share}")
        if not 0 <= self.label_share <= 1:
            raise InputError(f"label_share must lie in [0, 1], got {self.label_share}")
        self._check_accounting()

    @property
    def stops_by_votes(self) -> bool:
        """Whether the exact votes say when to stop, so that nothing is certified."""
        return self.accounting == "data_dependent"

    def plan(self, name: str, domain: Domain) -> Plan:
        """Return one Gaussian answer an attribute, and the votes where something can be asked.

        InputError for constraints, which a generator cannot keep, and for an unknown label.
        Beside votes that stop by what they said, a part that nothing bounds.
        """
        require_torch(name)
        if domain.supports:
            raise InputError(
                f"{name} cannot keep the schema's constraints; use clique_tree or mst, or take "
                "the constraints out"
            )
        if self.label and self.label not in domain:
            raise InputError(f"label: {unknown('attribute', self.label, domain)}")
        several = sum(size > 1 for size in domain.sizes)
        votes = self.part if several > 1 else replace(self.part, count=0)
        ones = Gaussians(len(domain), 1 - self.part.share)
        if not self.stops_by_votes:
            return Plan({"ones": ones, "votes": votes})
        bold = replace(votes, share=votes.share * BOLDNESS**2)
        stop = Unbounded(NO_GUARANTEE, self.target_epsilon)
        return Plan({"ones": ones, "votes": bold, "stop": stop})

    def label_axis(self, domain: Domain) -> int | None:
        """Return the label's place among the attributes; None where none is named."""
        return domain.axis(self.label) if self.label else None

    def _check_accounting(self) -> None:
        if self.accounting not in get_args(Accounting):
            raise InputError(
                f"accounting must be one of {', '.join(get_args(Accounting))}, got "
                f"{self.accounting!r}"
            )
        if not self.stops_by_votes:
            if self.target_epsilon:
                raise InputError(
                    "target_epsilon is where data_dependent accounting stops; leave it out, and "
                    "say epsilon in the budget"
                )
        elif not (math.isfinite(self.target_epsilon) and self.target_epsilon > 0):
            raise InputError(
                "data_dependent accounting needs a finite target_epsilon above 0, got "
                f"{self.target_epsilon}"
            )
        elif self.part.noise != "laplace":
            raise InputError(
                "data_dependent accounting is that of laplace votes; set noise to laplace, got "
                f"{self.part.noise}"
            )
