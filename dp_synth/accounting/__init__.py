"""Budget, events, plans, curves and the accountant: what a release costs, never too little."""

from dp_synth.accounting.accountant import Accountant, Recipe, SubAccountant
from dp_synth.accounting.budget import (
    ADJACENCIES,
    FILTER_KINDS,
    Adjacency,
    FilterKind,
    PrivacyBudget,
)
from dp_synth.accounting.calibration import calibrate, with_noise
from dp_synth.accounting.events import (
    Event,
    Gaussian,
    LaplaceCounts,
    NonPrivate,
    NoOp,
    Round,
    Selection,
)
from dp_synth.accounting.filters import cost
from dp_synth.accounting.ledger import Entry, Ledger, Randomness, Sampler
from dp_synth.accounting.ledger_file import read_ledger
from dp_synth.accounting.payments import FilteredGaussian, FilteredLaplace, FilteredSelection
from dp_synth.accounting.plan import (
    Filtered,
    Gaussians,
    Laplaces,
    Plan,
    Reservation,
    SampledGaussians,
    Selections,
    ThresholdedGaussians,
    Unbounded,
    Votes,
)
from dp_synth.accounting.privacy_profile import PrivacyCurve, compose
from dp_synth.accounting.risk_target import RiskTarget

# Names of before: they go with the next version.
CURRENCIES = FILTER_KINDS
Currency = FilterKind
Portion = SubAccountant
Slice = Reservation

__all__ = [
    "ADJACENCIES",
    "CURRENCIES",
    "FILTER_KINDS",
    "Accountant",
    "Adjacency",
    "Currency",
    "Entry",
    "Event",
    "FilterKind",
    "Filtered",
    "FilteredGaussian",
    "FilteredLaplace",
    "FilteredSelection",
    "Gaussian",
    "Gaussians",
    "LaplaceCounts",
    "Laplaces",
    "Ledger",
    "NoOp",
    "NonPrivate",
    "Plan",
    "Portion",
    "PrivacyBudget",
    "PrivacyCurve",
    "Randomness",
    "Recipe",
    "Reservation",
    "RiskTarget",
    "Round",
    "SampledGaussians",
    "Sampler",
    "Selection",
    "Selections",
    "Slice",
    "SubAccountant",
    "ThresholdedGaussians",
    "Unbounded",
    "Votes",
    "calibrate",
    "compose",
    "cost",
    "read_ledger",
    "with_noise",
]
