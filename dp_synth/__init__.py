"""Differentially private synthesizers on one exact budget, and the attacks that try them."""

from dp_synth._version import __version__

__all__ = ["__version__"]
