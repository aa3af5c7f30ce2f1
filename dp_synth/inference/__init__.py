"""From noisy marginals to a distribution: post-processing, all of it."""

from dp_synth.inference.estimation import Refits, combine, estimate
from dp_synth.inference.expanded_model import RefinedModel
from dp_synth.inference.graphical_model import JunctionTreeModel
from dp_synth.inference.histograms import estimate_total, project_to_simplex
from dp_synth.inference.junction_tree import JunctionTree
from dp_synth.inference.mixture import MixtureModel
from dp_synth.inference.one_way import Compression, cautious_histogram, independent_model

Model = JunctionTreeModel | RefinedModel | MixtureModel

__all__ = [
    "Compression",
    "JunctionTree",
    "JunctionTreeModel",
    "MixtureModel",
    "Model",
    "RefinedModel",
    "Refits",
    "cautious_histogram",
    "combine",
    "estimate",
    "estimate_total",
    "independent_model",
    "project_to_simplex",
]
