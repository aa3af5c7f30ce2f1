"""The same mechanisms with more or less noise than they claim."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from dp_synth.accounting.curves import PrivacyCurve
from dp_synth.accounting.events import (
    DiscreteGaussian,
    DiscreteLaplace,
    Event,
    Gaussian,
    Laplace,
    NoGuarantee,
    NoisyVote,
    PartitionSelection,
    Public,
    Pure,
    Round,
    SampledGaussian,
    Selection,
    ThresholdedGaussian,
    TruncatedGaussian,
    ZeroConcentrated,
)
from dp_synth.errors import InputError


def scaled(events: Iterable[tuple[Event, int]], factor: float) -> list[tuple[Event, int]]:
    """Return the events with all noise multiplied by ``factor``.

    The epsilon of selections and pure events is divided by it, a rho by its square. InputError
    for ``Approximate`` events, which say nothing of their noise.

    >>> scaled([(Selection(0.4), 14)], 2.0)
    [(Selection(epsilon=0.2), 14)]
    """
    if not (math.isfinite(factor) and factor > 0):
        raise ValueError(f"factor must be a finite number above 0, got {factor}")
    return [(_scaled(event, factor), count) for event, count in events]


def with_noise(curve: PrivacyCurve, factor: float) -> PrivacyCurve:
    """Return the curve if the noise of every event were ``factor`` times what it is.

    InputError as in `scaled`.

    >>> from dp_synth.accounting.curves import compose
    >>> curve = compose([(Gaussian(2.0, 1.0), 4)])
    >>> curve.mu, with_noise(curve, 0.5).mu
    (1.0, 2.0)
    """
    selected = tuple(
        (replace(event, noise_multiplier=event.noise_multiplier * factor), count)
        for event, count in curve.selected
    )
    return replace(curve, events=tuple(scaled(curve.events, factor)), selected=selected)


def _scaled(event: Event, factor: float) -> Event:
    match event:
        case (
            Gaussian()
            | SampledGaussian()
            | TruncatedGaussian()
            | ThresholdedGaussian()
            | PartitionSelection()
        ):
            return replace(event, noise_multiplier=event.noise_multiplier * factor)
        case Laplace() | DiscreteLaplace() | NoisyVote():
            return replace(event, scale=event.scale * factor)
        case DiscreteGaussian():
            return replace(event, stddev=event.stddev * factor)
        case Round():
            multiplier = event.noise_multiplier * factor
            return Round(event.epsilon / factor, multiplier)
        case Selection() | Pure():
            return replace(event, epsilon=event.epsilon / factor)
        case ZeroConcentrated():
            return replace(event, rho=event.rho / factor / factor)
        case Public() | NoGuarantee():
            return event
    raise InputError("an approximate event says nothing of its noise, which cannot be scaled")
