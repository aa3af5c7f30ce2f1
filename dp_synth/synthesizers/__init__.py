"""Synthesizers, one file an algorithm; a plain dict names them."""

from dp_synth.release import Release
from dp_synth.synthesizers.aim import AIM
from dp_synth.synthesizers.base import Synthesizer, fit_jointly
from dp_synth.synthesizers.clique_tree import CliqueTree
from dp_synth.synthesizers.independent import Independent
from dp_synth.synthesizers.mst import MST
from dp_synth.synthesizers.mwem import MWEM
from dp_synth.synthesizers.privbayes import PrivBayes

SYNTHESIZERS: dict[str, type[Synthesizer]] = {
    "independent": Independent,
    "mst": MST,
    "clique_tree": CliqueTree,
    "aim": AIM,
    "privbayes": PrivBayes,
    "mwem": MWEM,
}

__all__ = [
    "AIM",
    "MST",
    "MWEM",
    "SYNTHESIZERS",
    "CliqueTree",
    "Independent",
    "PrivBayes",
    "Release",
    "Synthesizer",
    "fit_jointly",
]
