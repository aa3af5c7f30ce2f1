import math
from typing import get_args

import pytest

from dp_synth.accounting import Gaussian, Selection, compose, with_noise
from dp_synth.accounting.events import (
    Approximate,
    DiscreteGaussian,
    DiscreteLaplace,
    Event,
    Laplace,
    LaplaceCounts,
    NoisyVote,
    NonPrivate,
    NoOp,
    PartitionSelection,
    Pure,
    Round,
    SampledGaussian,
    ThresholdedGaussian,
    TruncatedGaussian,
    ZeroConcentrated,
)
from dp_synth.audit import noise_factor
from dp_synth.errors import InputError

EVENTS = (
    Gaussian(2.0, 1.0),
    Selection(1.0),
    Round(1.0, 2.0),
    Laplace(2.0, 1.0),
    DiscreteGaussian(3.0, 1),
    DiscreteLaplace(2.0, 1),
    LaplaceCounts(2.0, 1),
    SampledGaussian(2.0, 0.1, 2),
    TruncatedGaussian(2.0, 0.1, 2, 100, 200),
    ThresholdedGaussian(2.0, 1.0, 1e-7),
    PartitionSelection(2.0, 1e-7),
    NoisyVote("gaussian", 3.0, 10),
    NoisyVote("laplace", 3.0, 10),
    Pure(1.0),
    ZeroConcentrated(0.1),
)
WITHOUT_NOISE = (Approximate(1.0, 1e-6), NoOp(), NonPrivate("none"))


def test_every_event_is_tried():
    tried = {type(event) for event in (*EVENTS, *WITHOUT_NOISE)}
    assert tried == set(get_args(Event))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_more_noise_costs_less_and_the_same_noise_the_same(event):
    claim = compose([(event, 2)])
    assert with_noise(claim, 1.0) == claim
    assert claim.largest_auc() > with_noise(claim, 2.0).largest_auc() > 0.5


@pytest.mark.parametrize("event", EVENTS[:3], ids=lambda event: type(event).__name__)
def test_the_noise_factor_is_the_one_whose_permitted_area_was_seen(event):
    claim = compose([(event, 2)])
    seen = with_noise(claim, 0.6).largest_auc()
    assert noise_factor(claim, seen) == pytest.approx(0.6, rel=5e-3)


def test_the_parameters_change_as_the_noise_does():
    assert with_noise(compose([(Laplace(2.0, 1.0), 1)]), 3.0) == compose([(Laplace(6.0, 1.0), 1)])
    assert with_noise(compose([(Selection(1.0), 2)]), 2.0) == compose([(Selection(0.5), 2)])
    half = with_noise(compose([(ZeroConcentrated(0.5), 1)]), 0.5)
    assert half.rho == pytest.approx(2.0)
    thresholded = compose([(ThresholdedGaussian(2.0, 1.0, 1e-7), 1)])
    assert with_noise(thresholded, 2.0).beside == thresholded.beside > 0


def test_what_names_no_noise_is_refused_or_stays_as_it_is():
    with pytest.raises(InputError, match="says nothing of its noise"):
        with_noise(compose([(Approximate(1.0, 1e-6), 1)]), 2.0)
    assert math.isinf(with_noise(compose([(NonPrivate("none"), 1)]), 2.0).epsilon(1e-5))
    public = compose([(NoOp(), 1), (Gaussian(1.0, 1.0), 1)])
    assert with_noise(public, 2.0).mu == 0.5
