"""What a house asks of a card before a release: a YAML file whose keys are checked."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from dp_synth.accounting import Adjacency
from dp_synth.errors import InputError
from dp_synth.extensions import nearest
from dp_synth.readers import Lines, YamlFault, line_of, parse_yaml, read_text
from dp_synth.report.card_warnings import ColumnKind

PRIVATE = ("tv2_at_most", "auc_gap_at_most", "attack_auc_at_most", "copies_excess_at_most")
"""Thresholds of exact numbers of private rows: of a card's internal part."""

COST = "one record can flip this verdict; it is outside epsilon"
"""What a decision by such a threshold costs."""


class PolicyError(InputError):
    """A policy file is malformed, or names something that does not exist."""


def _number(value: object) -> object:
    if isinstance(value, bool):  # YAML reads yes, no, on and off as truth values
        raise ValueError(f"must be a number, got {str(value).lower()}")
    return value


def _distinct(values: tuple[Required, ...]) -> tuple[Required, ...]:
    roles = [one.role for one in values]
    if len(set(roles)) < len(roles):
        raise ValueError(f"the roles must be distinct, got {', '.join(roles)}")
    return values


Least = Annotated[float, BeforeValidator(_number), Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, BeforeValidator(_number), Field(ge=0, le=1)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Required(_Part):
    """A statement that somebody in a role must sign."""

    role: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_ .-]*$")]
    statement: Text


class Policy(_Part):
    """Thresholds for a card and statements to be signed; a key left out asks nothing.

    ``unseeded`` is asked unless it is said to be false. Thresholds of measured numbers are for
    the upper ends of their intervals. A card's blocking findings are never let pass.

    Thresholds whose names begin with "noisy" are of the validation that the fit paid for, so that
    the verdict is a function of the release. Those in `PRIVATE` are of exact private numbers: a
    policy that has any must accept by ``decision_is_private`` that the verdict tells of them.
    """

    epsilon_at_most: Least | None = None
    delta_at_most: Share | None = None
    unseeded: bool = True
    exact_noise: bool = False
    adjacency: Adjacency | None = None
    require_internal: bool = False
    noisy_tv2_at_most: Share | None = None
    noisy_tv2_worst_at_most: Share | None = None
    noisy_advantage_at_most: Share | None = None
    decision_is_private: Literal["accepted"] | None = None
    tv2_at_most: Share | None = None
    auc_gap_at_most: Share | None = None
    attack_auc_at_most: Share | None = None
    copies_excess_at_most: Share | None = None
    forbidden_columns: tuple[ColumnKind, ...] = ()
    signatures: Annotated[tuple[Required, ...], AfterValidator(_distinct)] = ()

    @property
    def private(self) -> tuple[str, ...]:
        """The thresholds that are set of exact private numbers."""
        return tuple(name for name in PRIVATE if getattr(self, name) is not None)

    @model_validator(mode="after")
    def _accepts_what_it_costs(self) -> Policy:
        if self.private and self.decision_is_private is None:
            raise ValueError(
                f"exact private numbers would decide ({', '.join(self.private)}): {COST}; set "
                "thresholds of the paid validation instead (noisy_tv2_at_most), or write "
                "'decision_is_private: accepted'"
            )
        return self

    @classmethod
    def load(cls, path: str | Path) -> Policy:
        """Return the policy in a YAML file; PolicyError names the line of what is wrong."""
        return cls.from_text(read_text(path, PolicyError), source=str(path))

    @classmethod
    def from_text(cls, text: str, source: str = "policy") -> Policy:
        """Return the policy that a YAML text describes; ``source`` begins an error's line.

        >>> Policy.from_text("epsilon_at_most: 1").epsilon_at_most
        1.0
        >>> Policy.from_text("delta_at_most: 1e-6\\nepsilon_atmost: 1")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        dp_synth.report.policy.PolicyError: policy: line 2: unknown key 'epsilon_atmost'; \
did you mean 'epsilon_at_most'? there are: epsilon_at_most, delta_at_most, ...
        """
        try:
            content, lines = parse_yaml(text)
        except YamlFault as fault:
            raise PolicyError(f"{source}: {fault}") from None
        if not isinstance(content, Mapping):
            raise PolicyError(f"{source}: must be a mapping with the keys {', '.join(KEYS)}")
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise PolicyError(f"{source}: {_explain(error, lines)}") from None


KEYS = tuple(Policy.model_fields)


def sample_policy() -> str:
    """Return the text of a policy to start from."""
    return (files("dp_synth.report") / "templates" / "card_policy.yaml").read_text("utf-8")


def _explain(error: ValidationError, lines: Lines) -> str:
    """Return the first fault with its line, and the nearest key to one that is unknown."""
    # A misspelt key is also a missing one: what stands in the file says more.
    first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    # What is wrong with the whole is what its private thresholds cost.
    where = first["loc"] or [name for name in PRIVATE if (name,) in lines][:1]
    line = f"line {line_of(where, lines) or 1}: "
    name = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        known = Required.model_fields if len(first["loc"]) > 1 else KEYS
        return f"{line}unknown key {name!r}; {nearest(first['loc'][-1], known)}"
    if first["type"] == "missing":
        return f"{line}{name}: this key is missing"
    message = first["msg"].removeprefix("Value error, ")
    reason = f"{line}{name + ': ' if name else ''}{message[:1].lower()}{message[1:]}"
    return reason if first["type"] == "value_error" else f"{reason}, got {first['input']!r}"
