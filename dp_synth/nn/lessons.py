"""What a synthesizer that learns from votes charges and refuses; torch is not needed for it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from dp_synth.accounting import Gaussians, Plan, Votes
from dp_synth.domain import Domain
from dp_synth.errors import InputError
from dp_synth.mechanisms.noisy_votes import check_teachers
from dp_synth.nn.extra import require_torch


@dataclass(frozen=True)
class Lessons:
    """How a student and its generator are taught; all public. InputError where it cannot be.

    ``records`` is a declared, public number of records, 0 where none is.
    """

    part: Votes
    label: str
    rounds: int
    most_groups: int
    steps: int
    rows: int
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
        check_teachers(self.part.teachers)
        if self.records and self.part.teachers > self.records:
            raise InputError(
                f"there must be no more teachers than the {self.records} records that are "
                f"declared, got {self.part.teachers}"
            )
        if not 0 < self.part.share < 1:
            raise InputError(f"share must lie in (0, 1), got {self.part.share}")

    def plan(self, name: str, domain: Domain) -> Plan:
        """Return one Gaussian answer an attribute, and the votes where something can be asked.

        InputError for constraints, which a generator cannot keep, and for an unknown label.
        """
        require_torch(name)
        if domain.supports:
            raise InputError(
                f"{name} cannot keep the schema's constraints; use clique_tree or mst, or take "
                "the constraints out"
            )
        if self.label and self.label not in domain:
            raise InputError(f"label {self.label!r} is no attribute; there are {', '.join(domain)}")
        several = sum(size > 1 for size in domain.sizes)
        votes = self.part if several > 1 else replace(self.part, count=0)
        return Plan({"ones": Gaussians(len(domain), 1 - self.part.share), "votes": votes})

    def label_axis(self, domain: Domain) -> int | None:
        """Return the label's place among the attributes; None where none is named."""
        return domain.axis(self.label) if self.label else None
