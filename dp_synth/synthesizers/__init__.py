"""Synthesizers, one file an algorithm; a plain dict names them."""

from dp_synth import extensions
from dp_synth.errors import InputError
from dp_synth.release import Release
from dp_synth.synthesizers.aim import AIM
from dp_synth.synthesizers.base import Synthesizer, fit_jointly, synthesize
from dp_synth.synthesizers.clique_tree import CliqueTree
from dp_synth.synthesizers.dpctgan import DPCTGAN
from dp_synth.synthesizers.dpgan import DPGAN
from dp_synth.synthesizers.independent import Independent
from dp_synth.synthesizers.marginal_generator import MarginalGenerator
from dp_synth.synthesizers.mst import MST, PublishedMST
from dp_synth.synthesizers.mwem import MWEM
from dp_synth.synthesizers.patectgan import PATECTGAN
from dp_synth.synthesizers.pategan import PATEGAN
from dp_synth.synthesizers.privbayes import PrivBayes
from dp_synth.synthesizers.questions import Questions
from dp_synth.synthesizers.reading import serve
from dp_synth.synthesizers.validation import Validation

SYNTHESIZERS: dict[str, type[Synthesizer]] = {
    "independent": Independent,
    "mst": MST,
    "published_mst": PublishedMST,
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


def synthesizer_named(name: str) -> type[Synthesizer]:
    """Return the synthesizer of that name: ours, an installed package's, or ``module:Class``.

    InputError, with the nearest name, where there is none, or it is no synthesizer.
    """
    if not isinstance(name, str):
        raise InputError(f"a synthesizer's name must be text, got {name!r}")
    known: dict[str, object] = dict(SYNTHESIZERS)
    kind = extensions.find("synthesizers", name, known)
    if isinstance(kind, type) and issubclass(kind, Synthesizer):
        return kind
    raise InputError(f"{name!r} must be a dataclass that is a Synthesizer")


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
    "PublishedMST",
    "Questions",
    "Release",
    "Synthesizer",
    "Validation",
    "fit_jointly",
    "serve",
    "synthesize",
    "synthesizer_named",
]
