"""How adversarial networks are trained: public settings, checked; needs no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from importlib.util import find_spec
from typing import Any, ClassVar, Literal, get_args

from dp_synth.accounting import Gaussians, Plan, SampledGaussians, Unbounded, Votes
from dp_synth.domain import Domain
from dp_synth.errors import InputError, missing_extra
from dp_synth.extensions import unknown
from dp_synth.mechanisms.pate import check_teachers
from dp_synth.settings import check_settings

DEVICES = ("auto", "cpu", "cuda")
# Of a critic whose sums in whole numbers are exact: see `dp_synth.mechanisms.dp_sgd`.
LARGEST_WEIGHT, LARGEST_WIDTH = 16, 2**16
LEAST_RATE = 1e-9
LARGEST_LAYER, MOST_ROWS = 2**13, 2**17  # of a generator, and of one batch of its rows

Accounting = Literal["exact", "data_dependent"]
LARGEST = {"votes": 1_000_000, "rounds": 10_000, "rows": MOST_ROWS, "steps": 10_000_000}
NO_GUARANTEE = "data-dependent accounting"  # in the ledger's words
# Times less noise than a guarantee needs, in votes that stop by what they seem to cost.
BOLDNESS = 2.0


@dataclass(frozen=True)
class Training:
    """Settings of a generator and its private critic; nothing in them depends on records.

    ``frequencies_weight`` is that of the generator's divergence from paid frequencies; at 0 they
    are not used at all. The rows released are those that the generators of the last
    ``late_share`` of the steps made on the way, as many of each; at 0 those of one generator of
    averaged weights, at the end. With ``patience`` a training stops when so many blocks of steps
    that are charged together (``CHARGED_AT_ONCE``) have brought generated rows no nearer to the
    paid frequencies and to their conditions. Steps not taken are not charged, but stay reserved,
    and the ledger certifies the reservation: where a training stops depends on its noisy steps.
    InputError for a setting out of range.
    """

    steps: int  # of the critic, each paid for
    rate: float  # chance of each record to take part in a step
    critic_steps: int  # for each step of the generator
    clip: float  # largest norm of a record's gradient
    weight_limit: float  # of the critic, which makes its slope finite
    learning_rate: float
    fakes: int  # generated rows of a step
    critic_width: int
    generator_width: int
    components: int  # rows of probabilities that are released
    conditional: bool
    frequencies_weight: float
    late_share: float  # of the steps, whose generators' rows are released; 0: averaged weights
    device: str
    patience: int = 0  # blocks of steps without a gain; 0 for all steps, whatever they bring

    LARGEST: ClassVar = {
        "weight_limit": LARGEST_WEIGHT,
        "critic_width": LARGEST_WIDTH,
        "generator_width": LARGEST_LAYER,
        "fakes": MOST_ROWS,
        "components": MOST_ROWS,
        "learning_rate": 3e38,
    }

    @classmethod
    def of(cls, recipe: object, *, conditional: bool, frequencies_weight: float) -> Training:
        """Return the settings that ``recipe`` has under the same names, beside the two given."""
        given = {"conditional": conditional, "frequencies_weight": frequencies_weight}
        names = [field.name for field in fields(cls) if field.name not in given]
        settings: dict[str, Any] = {name: getattr(recipe, name) for name in names}
        return cls(**settings | given)

    def __post_init__(self) -> None:
        check_settings(self)
        for field in fields(self):
            value = getattr(self, field.name)
            least = 0 if field.name == "patience" else 1
            if field.type == "int" and value < least:
                raise InputError(f"{field.name} must be a whole number from {least}, got {value!r}")
            if field.type == "float" and not (math.isfinite(value) and value >= 0):
                raise InputError(f"{field.name} must be a finite number from 0, got {value!r}")
        for name in ("clip", "weight_limit", "learning_rate"):
            if not getattr(self, name):
                raise InputError(f"{name} must be above 0, got 0")
        if not LEAST_RATE <= self.rate <= 1:
            raise InputError(
                f"rate must lie in (0, 1], a chance of each record of {LEAST_RATE:g} or more, got "
                f"{self.rate}"
            )
        if self.late_share > 1:
            raise InputError(f"late_share must lie in [0, 1], got {self.late_share}")
        if self.fakes < 2:
            raise InputError(f"fakes must be 2 or more to have batch statistics, got {self.fakes}")
        if self.device not in DEVICES:
            raise InputError(f"device must be one of {', '.join(DEVICES)}, got {self.device!r}")


@dataclass(frozen=True)
class Columns:
    """How the one-way marginals come before the training: their share, and codes of one input."""

    share: float  # of the cost
    coarseness: float  # how many records a group of merged codes holds; see Compression

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise InputError(f"columns_share must lie in (0, 1), got {self.share}")
        if not (math.isfinite(self.coarseness) and self.coarseness >= 0):
            raise InputError(f"coarseness must be a finite number from 0, got {self.coarseness}")


def gan_plan(name: str, domain: Domain, training: Training, columns: Columns) -> Plan:
    """Return one-way marginals, then steps, as the synthesizer ``name`` will charge them.

    InputError for constraints, which rows cannot keep, and where torch or the device is missing.
    """
    if domain.supports:
        raise InputError(
            f"{name} cannot keep the schema's constraints; use clique_tree or mst, or take the "
            "constraints out"
        )
    require_torch(name)
    require_device(training.device)
    steps = SampledGaussians(training.steps, training.rate, 1 - columns.share)
    return Plan({"ones": Gaussians(len(domain), columns.share), "steps": steps})


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


def require_torch(synthesizer: str) -> None:
    """Raise InputError, saying how to install it, where torch is missing."""
    if find_spec("torch") is None:
        raise missing_extra(synthesizer, "torch", "deep")


def require_device(device: str) -> None:
    """Raise InputError where torch finds no such device; "auto" and "cpu" are always there."""
    if device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise InputError(f"device {device!r} is not there; use cpu or auto")
