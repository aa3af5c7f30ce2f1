"""The gate: a card against a policy, check by check, and who has yet to sign.

A card that passes is no proof of anything that its numbers do not say. The gate sees to it that
nothing a house has asked for was forgotten.

A verdict by thresholds on the release, its noisy validation among them, is a function of the
release: post-processing. One by thresholds on exact private numbers is not, and says so.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from dp_synth.release import Release
from dp_synth.report.card import DataCard, data_card
from dp_synth.report.card_internal import AUC_GAP, InternalPart
from dp_synth.report.card_measured import Measured
from dp_synth.report.card_signatures import Signature
from dp_synth.report.card_validation import ADVANTAGE, TV2, WORST
from dp_synth.report.policy import COST, Policy, Required
from dp_synth.rounding import as_given, rounded_up


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
) -> Verdict:
    """Return the verdict on a card; with its ``release`` also on whether the card tells of it.

    Only signatures for the card of this SHA-256 count, in the role and of the statement that the
    policy has; for a card without an internal part also those for the same one with it: whoever
    signed that has read all that this one says.
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
            *_paid_checks(card.publishable.validation, policy),
            *_internal_checks(card.internal, policy),
        ),
        signings=tuple(
            Signing(required, by_role.get((required.role, required.statement)))
            for required in policy.signatures
        ),
        private=policy.private,
    )


def _release_check(card: DataCard, release: Release) -> Check:
    """Return the check that the release makes the very card, but for what people declared."""
    part = card.publishable
    again = data_card(
        release,
        title=part.title,
        source=part.source,
        intended=part.intended,
        not_intended=part.not_intended,
    )
    other = again.differs_from(card)
    found = "does" if other is None else f"other {other}: write the card again"
    return Check("release", "makes this card", found, other is None)


def _public_checks(card: DataCard, policy: Policy) -> Iterator[Check]:
    part, promise = card.publishable, card.publishable.promise
    blocking = [one.kind for one in part.blocking if one.kind != "seeded"]
    # A seed blocks as well, but has a check of its own, which a policy may switch off.
    said = ", ".join(blocking) or "none"
    yield Check("findings", "none, seed apart", said, not blocking)
    if policy.epsilon_at_most is not None:
        epsilon = math.inf if promise.epsilon is None else promise.epsilon
        passed = epsilon <= policy.epsilon_at_most
        yield Check("epsilon", _most(policy.epsilon_at_most), rounded_up(epsilon), passed)
    if policy.delta_at_most is not None:
        passed = promise.delta <= policy.delta_at_most
        yield Check("delta", _most(policy.delta_at_most), str(promise.delta), passed)
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


def _paid_checks(found: Sequence[Measured], policy: Policy) -> Iterator[Check]:
    """Yield checks of the noisy validation: a function of the release."""
    thresholds = {
        TV2: policy.noisy_tv2_at_most,
        WORST: policy.noisy_tv2_worst_at_most,
        ADVANTAGE: policy.noisy_advantage_at_most,
    }
    for name, most in thresholds.items():
        if most is None:
            continue
        of = [one for one in found if one.name == name]
        if of:
            yield _highest(name, most, of)
        else:  # what was not paid for is unknown, and does not pass
            why = "no hold-out was given to the fit" if found else "the fit paid for no validation"
            yield Check(name, _most(most), why, False)


def _internal_checks(part: InternalPart | None, policy: Policy) -> Iterator[Check]:
    if policy.require_internal:
        yield Check("internal part", "there", "there" if part else "not there", part is not None)
    found = {} if part is None else _numbers(part)
    thresholds = {
        "tv2": policy.tv2_at_most,
        "auc_gap": policy.auc_gap_at_most,
        "attack_auc": policy.attack_auc_at_most,
        "copies_excess": policy.copies_excess_at_most,
    }
    for name, most in thresholds.items():
        if most is None:
            continue
        if found.get(name):
            yield _highest(name, most, found[name])
        else:  # what is unknown does not pass
            why = "no internal part" if part is None else "could not be measured"
            yield Check(name, _most(most), why, False)


def _numbers(part: InternalPart) -> dict[str, list[Measured]]:
    return {
        "tv2": [one for one in part.fidelity if one.name == "tv2"],
        "auc_gap": [one for one in part.utility if one.name.startswith(AUC_GAP)],
        "attack_auc": list(part.attacks),
        "copies_excess": [one for one in part.warnings if one.name == "copies_excess"],
    }


def _highest(name: str, most: float, found: Sequence[Measured]) -> Check:
    """Return the check of the highest upper end of an interval."""
    ends = [(math.inf if one.high is None else one.high, one) for one in found]
    high, worst = max(ends, key=lambda end: end[0])
    about = worst.about if name == WORST else worst.name
    of = "" if about == name else f" ({about})"
    return Check(name, _most(most), f"up to {rounded_up(high)}{of}", high <= most)


def _most(number: float) -> str:
    return f"at most {as_given(number)}"
