"""Settings of the synthesizers that train networks, public and checked; needs no torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from dp_synth.accounting import Gaussians, Plan, SampledGaussians, Unbounded, Votes
from dp_synth.accounting.events import VoteNoise
from dp_synth.domain import Domain
from dp_synth.errors import InputError, missing_extra
from dp_synth.extensions import find, name_of, unknown
from dp_synth.mechanisms.pate import check_teachers
from dp_synth.settings import check_settings

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from dp_synth.checkpoint import CheckpointWriter
    from dp_synth.inference import Model
    from dp_synth.mechanisms.table import PrivateTable

DEVICES = ("auto", "cpu", "cuda")
# Of a critic whose sums in whole numbers are exact: see `dp_synth.mechanisms.dp_sgd`.
LARGEST_WEIGHT, LARGEST_WIDTH = 16, 2**16
LEAST_RATE = 1e-9
LARGEST_LAYER, MOST_ROWS = 2**13, 2**17  # of a generator, and of one batch of its rows

UNITS, UNITS_SHARE = "units", 0.01  # the part that pays for their number, and its share of the cost
Sampled = Literal["records", "units"]
Accounting = Literal["exact", "data_dependent"]
NO_GUARANTEE = "data-dependent accounting"  # in the ledger's words
# Times less noise than a guarantee needs, in votes that stop by what they seem to cost.
BOLDNESS = 2.0


@dataclass(frozen=True)
class GanSettings:
    """Settings of a generator and its private critic; nothing in them depends on records.

    ``frequencies_weight`` is that of the generator's divergence from paid frequencies; at 0 they
    are not used at all. The rows released are those that the generators of the last
    ``late_share`` of the steps made on the way, as many of each; at 0 those of one generator of
    averaged weights, at the end. With ``patience`` a training stops when so many blocks of steps
    that are charged together (``CHARGED_AT_ONCE``) have brought generated rows no nearer to the
    paid frequencies and to their conditions. Steps not taken are not charged, but stay reserved,
    and the ledger certifies the reservation: where a training stops depends on its noisy steps.

    Where a unit has several records, each of these is drawn by its own coin, and noise covers that
    all of them are; or, ``sampled`` "units", all of a unit's by one coin, as one part that is no
    longer than a record's: less noise where most units have few records, each of which then counts
    for as much as a unit with many. Their noisy number is paid for.

    ``critic`` makes a network of one's own from the number of its inputs, ``generator`` one from
    the numbers of its inputs and of its outputs, which are logits of all codes. Either is a
    function or its name, ``module:function``, and is kept as the name. InputError for a setting
    out of range.
    """

    name: ClassVar[str]
    conditional: ClassVar[bool] = False  # whether the generator is told a code that it must obey

    steps: int = 1500  # of the critic, each paid for
    rate: float = 0.026  # chance of each record, or unit, to take part in a step
    columns_share: float = 0.15  # of the cost, for one-way marginals
    coarseness: float = 1.2  # how many records a group of merged codes holds; see Compression
    critic_steps: int = 1  # for each step of the generator
    clip: float = 1.0  # largest norm of a record's gradient
    weight_limit: float = 0.3  # of the critic, which makes its slope finite
    learning_rate: float = 0.006
    fakes: int = 1024  # generated rows of a step
    critic_width: int = 128
    generator_width: int = 128
    frequencies_weight: ClassVar[float] = 0.0
    components: int = 4096  # rows of probabilities that are released
    late_share: float = (
        0.0  # of the steps, whose generators' rows are released; 0: averaged weights
    )
    device: str = "auto"
    patience: int = 0  # blocks of steps without a gain; 0 for all steps, whatever they bring
    sampled: Sampled = "records"  # or "units", of several records each
    critic: str | Callable[..., Any] = ""  # of one's own, by its inputs
    generator: str | Callable[..., Any] = ""  # of one's own, by its inputs and outputs

    LARGEST: ClassVar = {
        "weight_limit": LARGEST_WEIGHT,
        "critic_width": LARGEST_WIDTH,
        "generator_width": LARGEST_LAYER,
        "fakes": MOST_ROWS,
        "components": MOST_ROWS,
        "learning_rate": 3e38,
    }

    def __post_init__(self) -> None:
        for one in ("critic", "generator"):
            if callable(made := getattr(self, one)):
                name = name_of("networks", made, {})
                if "<" in name:  # many have it, so that it finds none of them again
                    raise InputError(
                        f"{one} must be a function of a module by its name, got {name}"
                    )
                object.__setattr__(self, one, name)
        check_settings(self)
        for field in fields(self):
            value = getattr(self, field.name)
            least = self._least(field.name)
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
        if not 0 < self.columns_share < 1:
            raise InputError(f"columns_share must lie in (0, 1), got {self.columns_share}")
        if self.late_share > 1:
            raise InputError(f"late_share must lie in [0, 1], got {self.late_share}")
        if self.fakes < 2:
            raise InputError(f"fakes must be 2 or more to have batch statistics, got {self.fakes}")
        if self.device not in DEVICES:
            raise InputError(f"device must be one of {', '.join(DEVICES)}, got {self.device!r}")

    def _least(self, field: str) -> int:
        """Return the least value of a field that is a whole number."""
        return 0 if field == "patience" else 1

    def made(self, network: Literal["critic", "generator"]) -> Callable[..., nn.Module] | None:
        """Return what makes a network of one's own; None where none was given."""
        name = getattr(self, network)
        nothing: dict[str, Callable[..., nn.Module]] = {}
        return find("networks", name, nothing) if name else None

    def plan(self, domain: Domain) -> Plan:
        """One-way marginals, then steps; InputError for constraints, which rows cannot keep.

        InputError as well where torch or the device is missing, and for networks of one's own
        that cannot be trained.
        """
        refuse_constraints(self.name, domain)
        require_torch(self.name)
        require_device(self.device)
        if self.critic or self.generator:
            from dp_synth.nn.gan import check_networks

            check_networks(self, domain)
        ones, left = Gaussians(len(domain), self.columns_share), 1 - self.columns_share
        whole = self.sampled == "units"
        steps = SampledGaussians(self.steps, self.rate, left, by_unit=whole)
        if not whole:
            return Plan({"ones": ones, "steps": steps})
        return Plan({"ones": ones, UNITS: Gaussians(1, UNITS_SHARE * left), "steps": steps})

    def _fit_kept(
        self, table: PrivateTable, plan: Plan, rng: np.random.Generator, writer: CheckpointWriter
    ) -> Model:
        """Return what a fit does, the training's state offered to ``writer`` on the way."""
        from dp_synth.nn.gan import fit_gan

        return fit_gan(table, plan, self, rng, writer)


@dataclass(frozen=True)
class PateSettings:
    """Settings of teachers, a student and its generator; all public.

    ``records`` is a declared, public number of records, 0 where none is. ``target_epsilon`` is
    where votes stop whose ``accounting`` is data-dependent, which certifies nothing. InputError
    for a setting out of range.
    """

    name: ClassVar[str]

    votes: int = 1000
    teachers: int = 1001
    noise: VoteNoise = "gaussian"
    share: float = 0.7  # of the zCDP cost, for votes
    label: str = ""  # the attribute of most interest
    label_share: float = 0.5  # of the questions that are about the label, and its part of the rest
    rounds: int = 5
    most_groups: int = 8  # of codes, an attribute
    steps: int = 600  # of the generator
    rows: int = 512
    records: int = 0  # a public number of records; 0 where none is declared
    accounting: Accounting = "exact"
    target_epsilon: float = 0.0  # where data-dependent accounting stops

    LARGEST: ClassVar = {
        "votes": 1_000_000,
        "rounds": 10_000,
        "rows": MOST_ROWS,
        "steps": 10_000_000,
    }
    LEAST: ClassVar = {
        "votes": 1,
        "rounds": 1,
        "most_groups": 2,
        "steps": 1,
        "rows": 1,
        "records": 0,
    }

    def __post_init__(self) -> None:
        check_settings(self)
        check_teachers(self.teachers)
        if self.records and self.teachers > self.records:
            raise InputError(
                f"there must be no more teachers than the {self.records} records that are "
                f"declared, got {self.teachers}"
            )
        if not 0 < self.share < 1:
            raise InputError(f"share must lie in (0, 1), got {self.share}")
        if not 0 <= self.label_share <= 1:
            raise InputError(f"label_share must lie in [0, 1], got {self.label_share}")
        self._check_accounting()

    @property
    def stops_by_votes(self) -> bool:
        """Whether the exact votes say when to stop, so that nothing is certified."""
        return self.accounting == "data_dependent"

    def plan(self, domain: Domain) -> Plan:
        """One-way marginals, and votes where something can be asked.

        InputError for constraints, which a generator cannot keep, and for an unknown label.
        Beside votes that stop by what they said, a part that nothing bounds.
        """
        require_torch(self.name)
        refuse_constraints(self.name, domain)
        if self.label and self.label not in domain:
            raise InputError(f"label: {unknown('attribute', self.label, domain)}")
        several = sum(size > 1 for size in domain.sizes) > 1
        votes = Votes(self.votes * several, self.teachers, self.noise, self.share)
        ones = Gaussians(len(domain), 1 - self.share)
        if not self.stops_by_votes:
            return Plan({"ones": ones, "votes": votes})
        bold = replace(votes, share=votes.share * BOLDNESS**2)
        stop = Unbounded(NO_GUARANTEE, self.target_epsilon)
        return Plan({"ones": ones, "votes": bold, "stop": stop})

    def label_axis(self, domain: Domain) -> int | None:
        """Return the label's place among the attributes; None where none is named."""
        return domain.axis(self.label) if self.label else None

    def _check_accounting(self) -> None:
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
        elif self.noise != "laplace":
            raise InputError(
                "data_dependent accounting is that of laplace votes; set noise to laplace, got "
                f"{self.noise}"
            )


def refuse_constraints(synthesizer: str, domain: Domain) -> None:
    """Raise InputError for structural zeros, which rows of independent attributes cannot keep."""
    if domain.supports:
        raise InputError(
            f"{synthesizer} cannot keep the schema's constraints; use clique_tree or mst, or take "
            "the constraints out"
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
