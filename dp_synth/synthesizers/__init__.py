"""Synthesizers, one file an algorithm; a plain dict names them."""

from dp_synth.release import Release
from dp_synth.synthesizers.aim import AIM
from dp_synth.synthesizers.base import Synthesizer, fit_jointly
from dp_synth.synthesizers.clique_tree import CliqueTree
from dp_synth.synthesizers.dpctgan import DPCTGAN
from dp_synth.synthesizers.dpgan import DPGAN
from dp_synth.synthesizers.independent import Independent
from dp_synth.synthesizers.marginal_generator import MarginalGenerator
from dp_synth.synthesizers.mst import MST
from dp_synth.synthesizers.mwem import MWEM
from dp_synth.synthesizers.patectgan import PATECTGAN
from dp_synth.synthesizers.pategan import PATEGAN
from dp_synth.synthesizers.privbayes import PrivBayes

SYNTHESIZERS: dict[str, type[Synthesizer]] = {
    "independent": Independent,
    "mst": MST,
    "clique_tree": CliqueTree,
    "aim": AIM,
    "privbayes": PrivBayes,
    "mwem": MWEM,
    "dpgan": DPGAN,
    "dpctgan": DPCTGAN,
    "pategan": PATEGAN,
    "patectgan": PATECTGAN,
    "marginal_generator": MarginalGenerator,
}

__all__ = [
    "AIM",
    "DPCTGAN",
    "DPGAN",
    "MST",
    "MWEM",
    "PATECTGAN",
    "PATEGAN",
    "SYNTHESIZERS",
    "CliqueTree",
    "Independent",
    "MarginalGenerator",
    "PrivBayes",
    "Release",
    "Synthesizer",
    "fit_jointly",
]
