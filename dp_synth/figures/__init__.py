"""Figures: a table of records in, axes out; no synthesizer, no attack, no data."""

from dp_synth.figures.curves import leakage_curves, utility_curves
from dp_synth.figures.files import draw_all
from dp_synth.figures.tradeoff import tradeoff

__all__ = ["draw_all", "leakage_curves", "tradeoff", "utility_curves"]
