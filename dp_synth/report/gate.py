"""The gate: a card against a policy, check by check, and who has signed or has yet to sign.

A card that passes is no proof of anything that its numbers do not say. The gate sees to it that
nothing a house has asked for was forgotten. It may also ask for a recent check of whether the
release still describes today's records, as the card's life has it (`life`).

A verdict by thresholds on the release, its noisy validation among them, is a function of the
release: post-processing. One by thresholds on exact private numbers is not, and says so.

A policy is a YAML file whose keys are checked. Signatures are a JSON file beside the card, to
which lines are added and never changed: a name that somebody wrote, not cryptography, worth as
much as the folder that it lies in. One holds for the bytes of one card, and of a card with an
internal part for that card without it; whoever changes the card needs it anew.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
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
from dp_synth.faults import first_fault
from dp_synth.files import locked, written_whole
from dp_synth.formatting import as_given, rounded_up
from dp_synth.readers import JsonFault, YamlFault, line_of, parse_json, parse_yaml, read_text
from dp_synth.release import Release
from dp_synth.report.card import DataCard
from dp_synth.report.guarantee import ColumnKind
from dp_synth.report.internal import AUC_GAP, InternalPart
from dp_synth.report.life import LifeEntry, last_of
from dp_synth.report.publishable import ADVANTAGE, TV2, WORST, Measured

AT_MOST = "_at_most"  # ends the name of a threshold, after that of what is measured
PRIVATE_NAMES = ("tv2", "auc_gap", "attack_auc", "copies_excess")
PRIVATE = tuple(f"{name}{AT_MOST}" for name in PRIVATE_NAMES)
"""Thresholds of exact numbers of private rows: of a card's internal part."""

COST = "one record can flip this verdict; it is outside epsilon"
"""What a decision by such a threshold costs."""

DAY, ALLOWED = 86_400.0, 0.01  # seconds; days by which clocks may differ

SIGNATURES, VERSION = "dp_synth.signatures", 1


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

    ``checked_within_days`` and ``drift_at_most`` are of the last check in the card's life that was
    paid for without a seed: how long ago it was, and the highest upper end of a drift.
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
    checked_within_days: Least | None = None
    drift_at_most: Share | None = None
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
        dp_synth.report.gate.PolicyError: policy: line 2: epsilon_atmost: unknown key; \
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
            found = first_fault(error, cls, {"signatures": Required}, shows_input=True)
        # What is wrong with the whole is what its private thresholds cost.
        where = found.where or [name for name in PRIVATE if (name,) in lines][:1]
        raise PolicyError(f"{source}: line {line_of(where, lines) or 1}: {found.line()}")


KEYS = tuple(Policy.model_fields)


def sample_policy() -> str:
    """Return the text of a policy to start from."""
    return (files("dp_synth.report") / "templates" / "card_policy.yaml").read_text("utf-8")


@dataclass(frozen=True)
class Signature:
    """One statement, who signed it in which role, when (UTC), and for which card.

    ``publishable_sha256`` is of the card's publishable part, by which a published card is known
    as the one that was signed.
    """

    role: str
    name: str
    statement: str
    card_sha256: str
    publishable_sha256: str
    at: str

    @classmethod
    def now(
        cls, role: str, name: str, statement: str, *, card_sha256: str, publishable_sha256: str
    ) -> Signature:
        """Return a signature of this moment."""
        at = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(role, name, statement, card_sha256, publishable_sha256, at)


def signature_file(card: str | Path) -> Path:
    """Return where the signatures of a card are kept.

    >>> signature_file("adult.json").name
    'adult.signatures.json'
    """
    return Path(card).with_suffix(".signatures.json")


def digest_of(card: str | Path) -> str:
    """Return the SHA-256 of a card's file."""
    return hashlib.sha256(Path(card).read_bytes()).hexdigest()


def read_signatures(path: Path) -> tuple[Signature, ...]:
    """Return the signatures in a file, none where it is not there; InputError for others."""
    from pydantic import TypeAdapter, ValidationError

    text = path.read_bytes() if path.exists() else b""
    if not text:  # as it is while somebody signs first
        return ()
    try:
        content = parse_json(text)
    except JsonFault as fault:
        raise InputError(f"{path}: must be JSON: {fault}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: must be an object with a list of signatures")
    if (content.get("format"), content.get("version")) != (SIGNATURES, VERSION):
        raise InputError(f"{path}: is not {SIGNATURES!r} of version {VERSION}")
    adapter = TypeAdapter(tuple[Signature, ...])
    try:
        signed: tuple[Signature, ...] = adapter.validate_python(content.get("signatures"))
    except ValidationError as error:
        raise InputError(f"{path}: {first_fault(error).line(within=['signatures'])}") from None
    return signed


def signature_of(
    role: str, name: str, policy: Policy, card: DataCard, *, card_sha256: str
) -> Signature:
    """Return a signature of this moment for a card, of the statement that a policy has for a role.

    InputError for a role that the policy has not.
    """
    statements = {one.role: one.statement for one in policy.signatures}
    if role not in statements:
        raise InputError(f"the policy has no role {role!r}; {nearest(role, statements)}")
    return Signature.now(
        role, name, statements[role], card_sha256=card_sha256, publishable_sha256=card.digest
    )


def add_signatures(path: Path, signed: Sequence[Signature]) -> None:
    """Add signatures to a file, after those that are there; it is written whole.

    Whoever else signs at the same time waits, so that no signature is lost.
    """
    with locked(path, to_replace=True):
        lines = [asdict(one) for one in (*read_signatures(path), *signed)]
        content = {"format": SIGNATURES, "version": VERSION, "signatures": lines}
        with written_whole(path) as passing:
            passing.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")


@dataclass(frozen=True)
class Check:
    """One thing that a policy asks: its threshold, what the card has, and whether that will do."""

    name: str
    threshold: str
    value: str
    passed: bool


@dataclass(frozen=True)
class Signing:
    """A statement that must be signed, and by whom it was, if it was."""

    required: Required
    signature: Signature | None


@dataclass(frozen=True)
class Verdict:
    """Every check of a policy and every signature that it asks for.

    ``private`` names the thresholds by which it was reached that are of exact private numbers.
    """

    checks: tuple[Check, ...]
    signings: tuple[Signing, ...]
    private: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether all checks pass and all signatures are there."""
        return all(check.passed for check in self.checks) and not self.unsigned

    @property
    def unsigned(self) -> tuple[Required, ...]:
        """What somebody still has to sign."""
        return tuple(one.required for one in self.signings if one.signature is None)

    @property
    def remark(self) -> str:
        """What the verdict tells of the records beyond epsilon; empty where that is nothing."""
        if not self.private:
            return ""
        return f"decided by exact private numbers ({', '.join(self.private)}): {COST}"

    def to_json(self) -> str:
        """Return the verdict as the text of a JSON object."""
        said = {
            "passed": self.passed,
            "remark": self.remark,
            "private": list(self.private),
            "checks": [asdict(check) for check in self.checks],
            "signatures": [
                {**one.required.model_dump(), "name": one.signature and one.signature.name}
                for one in self.signings
            ],
        }
        return json.dumps(said, indent=2, ensure_ascii=False) + "\n"


def judge(
    card: DataCard,
    policy: Policy,
    *,
    card_sha256: str = "",
    signed: Sequence[Signature] = (),
    release: Release | None = None,
    life: Sequence[LifeEntry] = (),
) -> Verdict:
    """Return the verdict on a card; with its ``release`` also on whether the card tells of it.

    Only signatures for the card of this SHA-256 count, in the role and of the statement that the
    policy has; for a card without an internal part also those for the same one with it: whoever
    signed that has read all that this one says. ``life`` is that of the card: what was retired
    does not pass.
    """
    valid = [
        one
        for one in signed
        if one.card_sha256 == card_sha256
        or (card.internal is None and one.publishable_sha256 == card.digest)
    ]
    by_role = {(one.role, one.statement): one for one in reversed(valid)}  # the first one counts
    return Verdict(
        checks=(
            *(() if release is None else (_release_check(card, release),)),
            *_public_checks(card, policy),
            *_measured_checks(card, policy),
            *_life_checks(life, policy),
        ),
        signings=tuple(
            Signing(required, by_role.get((required.role, required.statement)))
            for required in policy.signatures
        ),
        private=policy.private,
    )


def _release_check(card: DataCard, release: Release) -> Check:
    """Return the check that the release makes the very card, but for what people declared."""
    other = card.differs_from_release(release)
    found = "does" if other is None else f"other {other}: write the card again"
    return Check("release", "makes this card", found, other is None)


def _public_checks(card: DataCard, policy: Policy) -> Iterator[Check]:
    part, promise = card.publishable, card.publishable.promise
    blocking = [one.kind for one in part.blocking if one.kind != "seeded"]
    # A seed blocks as well, but has a check of its own, which a policy may switch off.
    yield Check("findings", "none, seed apart", ", ".join(blocking) or "none", not blocking)
    if (most := policy.epsilon_at_most) is not None:
        epsilon = math.inf if promise.epsilon is None else promise.epsilon
        yield Check("epsilon", _most(most), rounded_up(epsilon), epsilon <= most)
    if (most := policy.delta_at_most) is not None:
        yield Check("delta", _most(most), str(promise.delta), promise.delta <= most)
    if policy.unseeded:
        said = "seeded" if promise.seeded else "unseeded"
        yield Check("noise", "unseeded", said, not promise.seeded)
    if policy.exact_noise:
        floating = any(one.kind == "floating_point" for one in part.findings)
        said = "in floating point" if floating else "exact"
        yield Check("sampler", "exact in law", said, not floating)
    if policy.adjacency is not None:
        passed = promise.adjacency == policy.adjacency
        yield Check("adjacency", policy.adjacency, promise.adjacency, passed)
    if policy.forbidden_columns:
        found = [
            f"{one.column} ({one.kind})"
            for one in part.findings
            if one.kind in policy.forbidden_columns
        ]
        wanted = f"none of: {', '.join(policy.forbidden_columns)}"
        yield Check("columns", wanted, ", ".join(found) or "none", not found)


def _life_checks(life: Sequence[LifeEntry], policy: Policy) -> Iterator[Check]:
    """Yield checks of what happened after the release; what was not checked does not pass."""
    if (retired := last_of(life, "retired")) is not None:
        yield Check("life", "not retired", f"retired on {retired.at[:10]}", False)
    checks = [one for one in life if one.kind == "checked" and one.found.get("seeded") is False]
    last = checks[-1] if checks else None
    if (days := policy.checked_within_days) is not None:
        threshold = f"within {as_given(days)} days"
        if last is None:
            yield Check("checked", threshold, "no paid check in its life", False)
        else:
            ago = (datetime.now(UTC) - last.time).total_seconds() / DAY
            yield Check("checked", threshold, f"on {last.at[:10]}", -ALLOWED <= ago <= days)
    if (most := policy.drift_at_most) is not None:
        yield _drift_check(checks, most)


def _drift_check(checks: Sequence[LifeEntry], most: float) -> Check:
    """Return the check of the last look at all columns, and of those at some that came after it."""
    whole = [i for i, one in enumerate(checks) if not one.found.get("columns_left_out")]
    ends = [one.found.get("drift_up_to") for one in (checks[whole[-1] :] if whole else ())]
    highs = [end for end in ends if isinstance(end, float | int)]
    if not ends or len(highs) < len(ends):
        said = "no paid check of all columns" if checks and not whole else "no paid check"
        return Check("drift", _most(most), f"{said} in its life", False)
    return Check("drift", _most(most), f"up to {rounded_up(max(highs))}", max(highs) <= most)


def _measured_checks(card: DataCard, policy: Policy) -> Iterator[Check]:
    """Yield checks of the noisy validation, a function of the release, then of the internal part.

    What was not paid for, or is unknown, does not pass.
    """
    paid, part = card.publishable.validation, card.internal
    why = "no hold-out was given to the fit" if paid else "the fit paid for no validation"
    for name in (TV2, WORST, ADVANTAGE):
        yield from _highest(name, policy, [one for one in paid if one.name == name], why)
    if policy.require_internal:
        yield Check("internal part", "there", "there" if part else "not there", part is not None)
    why = "no internal part" if part is None else "could not be measured"
    measured = {} if part is None else _numbers(part)
    for name in PRIVATE_NAMES:
        yield from _highest(name, policy, measured.get(name, ()), why)


def _numbers(part: InternalPart) -> dict[str, list[Measured]]:
    return {
        "tv2": [one for one in part.fidelity if one.name == "tv2"],
        "auc_gap": [one for one in part.utility if one.name.startswith(AUC_GAP)],
        "attack_auc": list(part.attacks),
        "copies_excess": [one for one in part.warnings if one.name == "copies_excess"],
    }


def _highest(
    name: str, policy: Policy, found: Sequence[Measured], otherwise: str
) -> Iterator[Check]:
    """Yield the check of the highest upper end of an interval, if the policy asks for it."""
    most: float | None = getattr(policy, f"{name}{AT_MOST}")
    if most is None:
        return
    if not found:
        yield Check(name, _most(most), otherwise, False)
        return
    ends = [(math.inf if one.high is None else one.high, one) for one in found]
    high, worst = max(ends, key=lambda end: end[0])
    about = worst.about if name == WORST else worst.name
    of = "" if about == name else f" ({about})"
    yield Check(name, _most(most), f"up to {rounded_up(high)}{of}", high <= most)


def _most(number: float) -> str:
    return f"at most {as_given(number)}"
