"""The curve of the same mechanisms with more or less noise than they claim."""

from __future__ import annotations

from dataclasses import replace

from dp_synth.accounting.curves import PrivacyCurve
from dp_synth.accounting.events import (
    DiscreteGaussian,
    DiscreteLaplace,
    Event,
    Gaussian,
    Laplace,
    NoisyVote,
    Public,
    Pure,
    SampledGaussian,
    Selection,
    TruncatedGaussian,
    ZeroConcentrated,
)
from dp_synth.errors import UnsupportedEvent


def with_noise(curve: PrivacyCurve, factor: float) -> PrivacyCurve:
    """Return the curve if the noise of every event were ``factor`` times what it is.

    UnsupportedEvent where an event is a bare (epsilon, delta), which names no noise.

    >>> from dp_synth.accounting.curves import compose
    >>> curve = compose([(Gaussian(2.0, 1.0), 4)])
    >>> curve.mu, with_noise(curve, 0.5).mu
    (1.0, 2.0)
    """
    events = tuple((_at(event, factor), count) for event, count in curve.events)
    return PrivacyCurve(events, curve.beside)


def _at(event: Event, factor: float) -> Event:
    match event:
        case Gaussian() | SampledGaussian() | TruncatedGaussian():
            return replace(event, noise_multiplier=event.noise_multiplier * factor)
        case Laplace() | DiscreteLaplace() | NoisyVote():
            return replace(event, scale=event.scale * factor)
        case DiscreteGaussian():
            return replace(event, stddev=event.stddev * factor)
        case Selection() | Pure():
            return replace(event, epsilon=event.epsilon / factor)
        case ZeroConcentrated():
            return replace(event, rho=event.rho / factor**2)
        case Public():
            return event
    raise UnsupportedEvent(f"{event!r} names no noise that could be more or less")
