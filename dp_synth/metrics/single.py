"""The plain measures, as metrics: distances of marginals, and scores of classifiers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dp_synth.metrics.compared import Compared, Part
from dp_synth.metrics.estimate import Estimate
from dp_synth.metrics.fidelity import kmarginal

PARTS: tuple[tuple[Part, str], ...] = (("train", ""), ("holdout", "_holdout"))

Measure = Callable[[Compared], Mapping[str, Estimate]]


def total_variation(degree: int) -> Measure:
    """Return the measure ``tv<degree>``: mean total variation of marginals of so many attributes.

    Against the training records; with ``_holdout``, against the others.
    """

    def measure(compared: Compared) -> Mapping[str, Estimate]:
        if degree > len(compared.real.binning.sizes):
            return {}
        return {f"tv{degree}{end}": compared.total_variation(degree, part) for part, end in PARTS}

    return measure


def kmarginal_of_pairs(compared: Compared) -> Mapping[str, Estimate]:
    """Return ``kmarginal``, 1000 x (1 - tv2), and that against the hold-out records."""
    pairs = total_variation(2)(compared)
    return {name.replace("tv2", "kmarginal"): kmarginal(error) for name, error in pairs.items()}


def score(name: str) -> Measure:
    """Return the measure ``<name>:<model>``: one score of each model of `utility`.

    The models learn from synthetic records once, for all scores of a comparison.
    """

    def measure(compared: Compared) -> Mapping[str, Estimate]:
        return {f"{name}:{model}": of[name] for model, of in compared.scores.items()}

    return measure


def regression(name: str) -> Measure:
    """Return the measure ``<name>:<model>`` of a numeric label: one score of each model."""

    def measure(compared: Compared) -> Mapping[str, Estimate]:
        return {f"{name}:{model}": of[name] for model, of in compared.regression.items()}

    return measure
