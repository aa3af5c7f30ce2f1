"""Every kind of event survives a file, refuses nonsense, and states a valid zCDP cost."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

from dp_synth.accounting.events import (
    EVENTS,
    Approximate,
    DiscreteGaussian,
    DiscreteLaplace,
    Event,
    Gaussian,
    Laplace,
    LaplaceCounts,
    NoisyVote,
    NonPrivate,
    NoOp,
    PartitionSelection,
    Pure,
    Round,
    SampledGaussian,
    Selection,
    ThresholdedGaussian,
    TruncatedGaussian,
    ZeroConcentrated,
    event_from_fields,
    event_to_fields,
)
from dp_synth.accounting.pld import loss_distribution
from dp_synth.errors import UnsupportedEvent

ONE_EACH: dict[str, Event] = {
    "gaussian": Gaussian(2.1, 0.3),
    "selection": Selection(0.1),
    "round": Round(0.1, 2.1),
    "laplace": Laplace(1 / 3, 2.0),
    "discrete_gaussian": DiscreteGaussian(2.5, 3),
    "discrete_laplace": DiscreteLaplace(0.7, 2),
    "laplace_counts": LaplaceCounts(0.7, 2, replaced=True),
    "sampled_gaussian": SampledGaussian(1.1, 0.01, 500),
    "truncated_gaussian": TruncatedGaussian(1.1, 0.01, 500, 90, 5000),
    "thresholded_gaussian": ThresholdedGaussian(1.1, 2.0, 1e-7),
    "partition_selection": PartitionSelection(1.1, 1e-7),
    "noisy_vote": NoisyVote("laplace", 12.5, 100),
    "pure": Pure(0.3),
    "approximate": Approximate(0.0, 1e-7),
    "zero_concentrated": ZeroConcentrated(0.1 + 0.2),
    "no_guarantee": NonPrivate("a rule that looks at the records"),
    "public": NoOp(),
}


def test_every_type_has_its_example_here() -> None:
    assert {name: type(event) for name, event in ONE_EACH.items()} == EVENTS


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_comes_back_from_json_with_its_types(name: str) -> None:
    event = ONE_EACH[name]
    fields = event_to_fields(event)
    back = event_from_fields(json.loads(json.dumps(fields)))
    assert back == event
    assert fields["type"] == name
    assert [type(value) for value in vars(back).values()] == [
        type(value) for value in vars(event).values()
    ]


def test_whole_numbers_in_a_file_become_floats_where_floats_belong() -> None:
    back = event_from_fields({"type": "laplace", "scale": 2, "sensitivity": 1})
    assert back == Laplace(2.0, 1.0)
    assert [type(value) for value in vars(back).values()] == [float, float]


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "sampled_gaussian", "noise_multiplier": 1.0, "rate": 0.1, "steps": 10.0},
        {"type": "noisy_vote", "noise": "laplace", "scale": 1.0, "teachers": True},
        {"type": "noisy_vote", "noise": ["laplace"], "scale": 1.0, "teachers": 10},
        {"type": "discrete_gaussian", "stddev": 1.0, "sensitivity": "1"},
        {"type": "pure", "epsilon": "much"},
    ],
)
def test_a_value_of_the_wrong_type_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must be|could not convert"):
        event_from_fields(fields)


@pytest.mark.parametrize(
    "fields", [{"type": "cauchy"}, {"type": "pure"}, {"type": "public", "epsilon": 1.0}, 7]
)
def test_an_event_of_another_shape_is_unsupported(fields: object) -> None:
    with pytest.raises(UnsupportedEvent, match="event"):
        event_from_fields(fields)


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_covers_itself_and_nothing_that_is_dearer_or_of_another_kind(name: str) -> None:
    event = ONE_EACH[name]
    assert event.covers(event)
    assert event.once.covers(event)
    assert [other for other in ONE_EACH.values() if event.covers(other)] == [event]
    if name not in ("approximate", "no_guarantee", "public"):
        assert event.scaled(0.5) != event
        assert not event.covers(event.scaled(0.5))


@pytest.mark.parametrize(
    ("planned", "dearer"),
    [
        (SampledGaussian(1.0, 0.1, 5), {"rate": 0.2}),
        (SampledGaussian(1.0, 0.1, 5), {"rows": 2}),
        (SampledGaussian(1.0, 0.1, 5), {"replaced": True}),
        (ThresholdedGaussian(1.0, 1.0, 1e-6), {"delta": 2e-6}),
        (PartitionSelection(1.0, 1e-6), {"delta": 2e-6}),
        (NoisyVote("laplace", 4.0, 20), {"noise": "gaussian"}),
        (NoisyVote("laplace", 4.0, 20), {"teachers": 21}),
        (TruncatedGaussian(1.0, 0.1, 5, 40, 300), {"max_batch": 41}),
    ],
)
def test_an_event_covers_none_that_differs_in_what_decides_its_cost(
    planned: Event, dearer: dict[str, object]
) -> None:
    assert planned.covers(planned)
    assert not planned.covers(replace(planned, **dearer))  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [0.0, -1.0, math.inf, math.nan])
def test_every_scale_must_be_finite_and_above_zero(bad: float) -> None:
    for make in (
        lambda: Laplace(bad, 1.0),
        lambda: Laplace(1.0, bad),
        lambda: DiscreteGaussian(bad, 1),
        lambda: DiscreteLaplace(bad, 1),
        lambda: SampledGaussian(bad, 0.5, 1),
        lambda: SampledGaussian(1.0, bad, 1),
        lambda: NoisyVote("gumbel", bad, 3),
        lambda: Pure(bad),
        lambda: ZeroConcentrated(bad),
        lambda: Approximate(0.5, bad),
    ):
        with pytest.raises(ValueError, match="must"):
            make()


@pytest.mark.parametrize("bad", [0, -1, 10_000_001])
def test_every_count_must_lie_between_one_and_ten_million(bad: int) -> None:
    for make in (
        lambda: DiscreteGaussian(1.0, bad),
        lambda: DiscreteLaplace(1.0, bad),
        lambda: SampledGaussian(1.0, 0.5, bad),
        lambda: NoisyVote("gumbel", 1.0, bad),
    ):
        with pytest.raises(ValueError, match="whole number from 1 to"):
            make()


def test_only_known_noises_rates_and_chances_are_accepted() -> None:
    with pytest.raises(ValueError, match="gaussian, laplace, gumbel, got 'cauchy'"):
        NoisyVote("cauchy", 1.0, 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"rate must lie in \(0, 1\]"):
        SampledGaussian(1.0, 1.5, 1)
    with pytest.raises(ValueError, match=r"delta must lie in \(0, 1\)"):
        Approximate(1.0, 1.0)
    with pytest.raises(ValueError, match="epsilon must be a finite number, 0 or above"):
        Approximate(-0.1, 0.5)


def renyi(upper: np.ndarray, lower: np.ndarray, alpha: float) -> float:
    return float(logsumexp(alpha * np.log(upper) + (1 - alpha) * np.log(lower)) / (alpha - 1))


@pytest.mark.parametrize("alpha", [1.01, 1.5, 2.0, 5.0, 30.0])
@pytest.mark.parametrize("scale", [0.8, 2.0, 10.0])
def test_rho_bounds_every_renyi_divergence_of_a_vote(alpha: float, scale: float) -> None:
    gaps = np.arange(-10, 11, 2.0)
    laplace_tail = np.exp(-np.abs(gaps) / scale) * (2 + np.abs(gaps) / scale) / 4
    wins = {
        "gaussian": stats.norm.cdf(gaps / scale / math.sqrt(2)),
        "laplace": np.where(gaps < 0, laplace_tail, 1 - laplace_tail),
        "gumbel": stats.logistic.cdf(gaps / scale),
    }
    for noise, chances in wins.items():
        rho = NoisyVote(noise, scale, 10).rho  # type: ignore[arg-type]
        pairs = np.stack([chances, chances[::-1]])  # the split the other way round
        for j in range(10):
            assert renyi(pairs[:, j], pairs[:, j + 1], alpha) <= rho * alpha
            assert renyi(pairs[:, j + 1], pairs[:, j], alpha) <= rho * alpha


@pytest.mark.parametrize("alpha", [1.01, 2.0, 7.0])
def test_rho_bounds_every_renyi_divergence_of_discrete_noise(alpha: float) -> None:
    noise = np.arange(-30, 31)
    cases: list[tuple[DiscreteGaussian | DiscreteLaplace, np.ndarray]] = [
        (DiscreteGaussian(3.0, 2), np.exp(-(noise**2) / 18.0)),
        (DiscreteLaplace(4.0, 2), np.exp(-np.abs(noise) / 4.0)),
    ]
    for event, weights in cases:
        chances = weights / weights.sum()
        assert renyi(chances[2:], chances[:-2], alpha) <= event.rho * alpha * (1 + 1e-9)


def test_only_events_with_a_known_zcdp_cost_state_one() -> None:
    without = {name for name, event in ONE_EACH.items() if event.rho is None}
    assert without == {
        "sampled_gaussian",
        "truncated_gaussian",
        "thresholded_gaussian",
        "partition_selection",
        "approximate",
        "no_guarantee",
    }
    assert [NoOp().rho, Pure(2.0).rho, Laplace(1.0, 2.0).rho] == [0.0, 2.0, 2.0]


@pytest.mark.parametrize("name", [name for name in EVENTS if ONE_EACH[name].rho])
def test_the_zcdp_cost_is_never_below_what_the_losses_show(name: str) -> None:
    event = ONE_EACH[name]
    assert event.rho is not None
    losses = loss_distribution(event, 1e-3)
    bound = loss_distribution(ZeroConcentrated(event.rho), 1e-3)
    assert losses is not None
    assert bound is not None
    for epsilon in np.linspace(0, 3, 13).tolist():
        assert losses.delta(epsilon) <= bound.delta(epsilon) + 1e-12


def test_a_larger_sensitivity_is_covered_only_where_noise_is_counted_in_it() -> None:
    assert Gaussian(2.0, 1.0).covers(Gaussian(2.0, 3.0))
    for kind in (Laplace, DiscreteLaplace, DiscreteGaussian):
        assert kind(2.0, 1).covers(kind(2.0, 1))
        assert not kind(2.0, 1).covers(kind(2.0, 3))
