"""Attacks: what an attacker who sees a release can tell of people, and games that measure it."""

from dp_synth.attacks.attribute import Secret, attribute_inference
from dp_synth.attacks.base import Attack, refuse_overlap, set_scores
from dp_synth.attacks.classifier import SyntheticClassifier
from dp_synth.attacks.density import DensityRatio, GenLRA, KernelDensityRatio
from dp_synth.attacks.distance import (
    ClosestRecord,
    DistanceDifference,
    NearestRecords,
    RecordsWithinRadius,
    isolation,
)
from dp_synth.attacks.excess_risk import ExcessRisk
from dp_synth.attacks.linkability import linkability
from dp_synth.attacks.marginal_ratio import MarginalRatio, focal_points
from dp_synth.attacks.membership_game import Fitted, MembershipGame, Panel, Played, Pool, split_pool
from dp_synth.attacks.reconstruction import (
    MetricOracle,
    ReconSyn,
    linear_reconstruction,
    reconstruct,
)
from dp_synth.attacks.risk_table import privacy_risks
from dp_synth.attacks.score_calibration import lira, rmia
from dp_synth.attacks.scores import Scores
from dp_synth.attacks.shadow import GroundhogFeatures, TargetedCounts, Together, shadow_scores
from dp_synth.attacks.singling_out import Guessing, singling_out
from dp_synth.attacks.targets import make_canary, rank_vulnerable, vulnerability
from dp_synth.attacks.transcript_ratio import TranscriptRatio, has_marginals
from dp_synth.attacks.view import AttackerView
from dp_synth.datasets.overlap import overlap
from dp_synth.errors import InputError
from dp_synth.extensions import find

ATTACKS: dict[str, type[Attack]] = {
    attack.name: attack
    for attack in (
        ClosestRecord,
        DensityRatio,
        NearestRecords,
        RecordsWithinRadius,
        DistanceDifference,
        KernelDensityRatio,
        GenLRA,
        SyntheticClassifier,
        MarginalRatio,
        TranscriptRatio,
    )
}

CITABLE = (  # what is neither in ATTACKS nor a guess
    lira,
    rmia,
    TargetedCounts,
    GroundhogFeatures,
    attribute_inference,
    singling_out,
    linkability,
    linear_reconstruction,
    ReconSyn,
    vulnerability,
)


def attack_named(name: str) -> Attack:
    """Return the attack of that name: ours, an installed package's, or ``module:Class``.

    InputError, with the nearest name, where there is none, or it is no attack.
    """
    known: dict[str, object] = dict(ATTACKS)
    found = find("attacks", name, known)
    if isinstance(found, Attack):  # one that was given with its settings
        return found
    if not isinstance(found, type) or not issubclass(found, Attack):
        raise InputError(f"{name!r} must be a class that is an Attack")
    return found()


__all__ = [
    "ATTACKS",
    "Attack",
    "AttackerView",
    "ClosestRecord",
    "DensityRatio",
    "DistanceDifference",
    "ExcessRisk",
    "Fitted",
    "GenLRA",
    "GroundhogFeatures",
    "Guessing",
    "KernelDensityRatio",
    "MarginalRatio",
    "MembershipGame",
    "MetricOracle",
    "NearestRecords",
    "Panel",
    "Played",
    "Pool",
    "ReconSyn",
    "RecordsWithinRadius",
    "Scores",
    "Secret",
    "SyntheticClassifier",
    "TargetedCounts",
    "Together",
    "TranscriptRatio",
    "attack_named",
    "attribute_inference",
    "focal_points",
    "has_marginals",
    "isolation",
    "linear_reconstruction",
    "linkability",
    "lira",
    "make_canary",
    "overlap",
    "privacy_risks",
    "rank_vulnerable",
    "reconstruct",
    "refuse_overlap",
    "rmia",
    "set_scores",
    "shadow_scores",
    "singling_out",
    "split_pool",
    "vulnerability",
]
