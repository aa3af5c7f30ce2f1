"""From noisy marginals to a distribution: post-processing, all of it."""

from dp_synth.inference.columns import Compression, independent_model, project_to_simplex
from dp_synth.inference.estimation import estimate, estimate_total
from dp_synth.inference.junction_tree import JunctionTree
from dp_synth.inference.model import JunctionTreeModel

__all__ = [
    "Compression",
    "JunctionTree",
    "JunctionTreeModel",
    "estimate",
    "estimate_total",
    "independent_model",
    "project_to_simplex",
]
