"""Budget, events, plans, curves and the accountant: what a release costs, never too little."""

from dp_synth.accounting.accountant import Accountant, Slice
from dp_synth.accounting.budget import ADJACENCIES, Adjacency, PrivacyBudget
from dp_synth.accounting.calibration import calibrate
from dp_synth.accounting.curves import PrivacyCurve, compose
from dp_synth.accounting.events import Event, Gaussian, Selection
from dp_synth.accounting.ledger import Entry, Ledger, Randomness
from dp_synth.accounting.plan import Gaussians, Plan, Selections

__all__ = [
    "ADJACENCIES",
    "Accountant",
    "Adjacency",
    "Entry",
    "Event",
    "Gaussian",
    "Gaussians",
    "Ledger",
    "Plan",
    "PrivacyBudget",
    "PrivacyCurve",
    "Randomness",
    "Selection",
    "Selections",
    "Slice",
    "calibrate",
    "compose",
]
