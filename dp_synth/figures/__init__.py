"""Figures: a table of records in, axes out; no synthesizer, no attack, no data."""

from dp_synth.figures.attacks import risk_bars, roc_curves
from dp_synth.figures.audits import audit_bounds, bounds_of, draw_claimed, is_audit, power_curves
from dp_synth.figures.curves import leakage_curves, tradeoff, utility_curves
from dp_synth.figures.files import draw_all, not_shown
from dp_synth.figures.histograms import histograms
from dp_synth.figures.ranks import draw_ranks, write_ranks
from dp_synth.figures.style import PALETTE, SETTINGS, look

__all__ = [
    "PALETTE",
    "SETTINGS",
    "audit_bounds",
    "bounds_of",
    "draw_all",
    "draw_claimed",
    "draw_ranks",
    "histograms",
    "is_audit",
    "leakage_curves",
    "look",
    "not_shown",
    "power_curves",
    "risk_bars",
    "roc_curves",
    "tradeoff",
    "utility_curves",
    "write_ranks",
]
