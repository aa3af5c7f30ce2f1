"""Synthesizers, one file an algorithm; a plain dict names them."""

from dp_synth.release import Release
from dp_synth.synthesizers.base import Synthesizer, fit_jointly
from dp_synth.synthesizers.independent import Independent
from dp_synth.synthesizers.mst import MST

SYNTHESIZERS: dict[str, type[Synthesizer]] = {"independent": Independent, "mst": MST}

__all__ = ["MST", "SYNTHESIZERS", "Independent", "Release", "Synthesizer", "fit_jointly"]
