"""Budget, events, plans, curves and the accountant: what a release costs, never too little."""

from dp_synth.accounting.accountant import Accountant, Recipe
from dp_synth.accounting.budget import ADJACENCIES, Adjacency, PrivacyBudget
from dp_synth.accounting.calibration import calibrate
from dp_synth.accounting.currency import CURRENCIES, Currency, cost
from dp_synth.accounting.curves import PrivacyCurve, compose
from dp_synth.accounting.events import Event, Gaussian, Round, Selection
from dp_synth.accounting.ledger import Entry, Ledger, Randomness, Sampler
from dp_synth.accounting.ledger_lines import read_ledger
from dp_synth.accounting.noise_factor import with_noise
from dp_synth.accounting.plan import (
    Filtered,
    FilteredGaussian,
    FilteredSelection,
    Gaussians,
    Plan,
    SampledGaussians,
    Selections,
    ThresholdedGaussians,
    Unbounded,
    Votes,
)
from dp_synth.accounting.portion import Portion
from dp_synth.accounting.slices import Slice

__all__ = [
    "ADJACENCIES",
    "CURRENCIES",
    "Accountant",
    "Adjacency",
    "Currency",
    "Entry",
    "Event",
    "Filtered",
    "FilteredGaussian",
    "FilteredSelection",
    "Gaussian",
    "Gaussians",
    "Ledger",
    "Plan",
    "Portion",
    "PrivacyBudget",
    "PrivacyCurve",
    "Randomness",
    "Recipe",
    "Round",
    "SampledGaussians",
    "Sampler",
    "Selection",
    "Selections",
    "Slice",
    "ThresholdedGaussians",
    "Unbounded",
    "Votes",
    "calibrate",
    "compose",
    "cost",
    "read_ledger",
    "with_noise",
]
