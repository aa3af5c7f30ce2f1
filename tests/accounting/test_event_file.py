"""Event files: what is read, what is refused, and the noise that a file needs."""

import io
import math
import sys

import numpy as np
import pytest
from scipy import optimize, stats

from dp_synth.accounting import compose
from dp_synth.accounting.calibration import noise_factor, scaled
from dp_synth.accounting.event_file import parse_events, read_events
from dp_synth.accounting.events import (
    Approximate,
    DiscreteGaussian,
    DiscreteLaplace,
    Gaussian,
    Laplace,
    NoisyVote,
    NoOp,
    Pure,
    SampledGaussian,
    Selection,
    ZeroConcentrated,
)
from dp_synth.errors import InputError

RATE = 256 / 39_000
MST = [(Gaussian(4.743, 1.0), 15), (Selection(0.4364), 14), (Gaussian(4.583, 1.0), 14)]
EVERY_KIND = """
adjacency: add_remove
events:
  - {gaussian: {stddev: 6, sensitivity: 2}, count: 15}
  - {selection: {epsilon: 0.4}, count: 14}
  - {laplace: {scale: 2, sensitivity: 1}}
  - {discrete_gaussian: {stddev: 3.5, sensitivity: 1}, count: 2}
  - {discrete_laplace: {scale: 4, sensitivity: 2}}
  - {sampled_gaussian: {noise_multiplier: 1.1, rate: 1e-2, steps: 1000}}
  - {noisy_vote: {noise: gaussian, stddev: 52, teachers: 100}, count: 100}
  - {noisy_vote: {noise: laplace, scale: 40, teachers: 10}}
  - {pure: {epsilon: 1.5}, count: 10}
  - {approximate: {epsilon: 0, delta: 1.0e-7}}
  - {zcdp: {rho: 0.25}}
  - {public: {}}
"""


def events_of(text):
    return parse_events(f"events: [{text}]", "f.yaml")[1]


def analytic_multiplier(epsilon, delta):
    """Noise multiplier of one Gaussian mechanism (Balle & Wang 2018, Thm 8), by its own root."""

    def excess(sigma):
        low, high = stats.norm.logcdf(
            [0.5 / sigma - epsilon * sigma, -0.5 / sigma - epsilon * sigma]
        )
        return low + np.log(-np.expm1(epsilon + high - low)) - math.log(delta)

    return optimize.brentq(excess, 1e-2, 1e3, xtol=1e-12)


def test_every_kind_of_event_is_read_in_order(tmp_path):
    path = tmp_path / "events.yaml"
    path.write_text(EVERY_KIND)
    assert read_events(path) == (
        "add_remove",
        [
            (Gaussian(3.0, 2.0), 15),
            (Selection(0.4), 14),
            (Laplace(2.0, 1.0), 1),
            (DiscreteGaussian(3.5, 1), 2),
            (DiscreteLaplace(4.0, 2), 1),
            (SampledGaussian(1.1, 0.01, 1000), 1),
            (NoisyVote("gaussian", 52.0, 100), 100),
            (NoisyVote("laplace", 40.0, 10), 1),
            (Pure(1.5), 10),
            (Approximate(0.0, 1e-7), 1),
            (ZeroConcentrated(0.25), 1),
            (NoOp(), 1),
        ],
    )


def test_a_file_may_come_from_standard_input_and_name_replacement(monkeypatch):
    text = "{adjacency: replace_one, events: [{pure: {epsilon: 1}}]}"
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    assert read_events("-") == ("replace_one", [(Pure(1.0), 1)])


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("{gausian: {stddev: 1}}", r"f\.yaml, event 1: no kind .*did you mean 'gaussian'\?"),
        ("{pure: {epsilon: 1}}, {gaussian: {stdev: 1}}", r"event 2, gaussian: no key 'stdev'; did"),
        ("{gaussian: {stddev: 1}}", "event 1, gaussian: sensitivity: "),
        ("{gaussian: {stddev: .nan, sensitivity: 1}}", "stddev must be a finite number above 0"),
        ("{gaussian: {stddev: 0, sensitivity: 1}}", "stddev must be a finite number above 0"),
        ("{gaussian: {stddev: 1, sensitivity: -1}}", "sensitivity must be a finite number above 0"),
        ("{gaussian: {stddev: 1.0e-300, sensitivity: 1.0e+300}}", "noise_multiplier must be"),
        ("{laplace: {scale: .inf, sensitivity: 1}}", "scale must be a finite number above 0"),
        ("{pure: {epsilon: yes}}", "event 1, pure: epsilon must not be true"),
        ("{pure: {epsilon: one}}", "event 1, pure: epsilon: "),
        ("{pure: 3}", "event 1, pure: must be a mapping of epsilon"),
        ("{pure: {epsilon: 1}, count: 0}", "count must be a whole number from 1 to 10000000"),
        ("{pure: {epsilon: 1}, count: 10000001}", "count must be a whole number"),
        ("{pure: {epsilon: 1}, count: 1.5}", "count must be a whole number"),
        ("{pure: {epsilon: 1}, count: yes}", "count must be a whole number"),
        ("{pure: {epsilon: 1}, public: {}}", "must name one kind of event, got pure, public"),
        ("{count: 3}", "must name one kind of event, got none"),
        ("pure", "event 1: must be a mapping"),
        ("{pure: {epsilon: 1}, pure: {epsilon: 2}}", "line 1: the key 'pure' stands twice"),
        ("{noisy_vote: {noise: gaussian, scale: 3, teachers: 9}}", "given by its stddev alone"),
        ("{noisy_vote: {noise: gumbel, stddev: 3, teachers: 9}}", "given by its scale alone"),
        ("{noisy_vote: {noise: cauchy, scale: 3, teachers: 9}}", "event 1, noisy_vote: noise: "),
        ("{sampled_gaussian: {noise_multiplier: 1, rate: 2, steps: 9}}", r"rate must lie in"),
        ("{sampled_gaussian: {noise_multiplier: 1, rate: .1, steps: 0}}", "steps must be a whole"),
        ("", "events must be a list of at least one event"),
    ],
)
def test_what_is_wrong_is_one_line_that_names_place_and_key(item, message):
    with pytest.raises(InputError, match=message) as caught:
        events_of(item)
    assert str(caught.value).startswith("f.yaml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1", "must be a mapping with the keys adjacency and events"),
        ("{event: []}", "no key 'event'; did you mean 'events'?"),
        ("{adjacency: add, events: [{public: {}}]}", "adjacency must be one of add_remove, repl"),
        ("events: [", "f.yaml: line 1: "),
        ("events: &all [*all]", "line 1: a part that has a name must not stand within itself"),
        (
            "{adjacency: replace_one, events: [{public: {}}, "
            "{sampled_gaussian: {noise_multiplier: 1, rate: .1, steps: 9}}]}",
            "event 2: sampled_gaussian is accounted for under add_remove only",
        ),
    ],
)
def test_a_file_of_another_shape_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_events(text, "f.yaml")


def test_scaling_multiplies_noise_and_divides_what_is_stated_as_a_cost():
    events = [(event, n) for event, n in parse_events(EVERY_KIND, "f")[1] if event.rho != 0]
    events = [(event, n) for event, n in events if not isinstance(event, Approximate)]
    assert [event for event, _ in scaled(events, 2.0)] == [
        Gaussian(6.0, 2.0),
        Selection(0.2),
        Laplace(4.0, 1.0),
        DiscreteGaussian(7.0, 1),
        DiscreteLaplace(8.0, 2),
        SampledGaussian(2.2, 0.01, 1000),
        NoisyVote("gaussian", 104.0, 100),
        NoisyVote("laplace", 80.0, 10),
        Pure(0.75),
        ZeroConcentrated(0.0625),
    ]
    with pytest.raises(InputError, match="an approximate event says nothing of its noise"):
        scaled([(Approximate(1.0, 1e-7), 1)], 2.0)


@pytest.mark.parametrize(
    ("epsilon", "delta", "floor", "most"),
    [  # floor: the best single fixed t of the adversary; the optimal zCDP factors are above most
        (1.0, 1e-9, 7.725, 7.75),
        (1.0, 1e-5, 5.263, 5.28),
        (0.1, 1e-5, 205.6 / 4.743, 43.6),
        (10.0, 1e-9, 4.319 / 4.743, 0.915),
    ],
)
def test_an_mst_like_plan_needs_hardly_more_noise_than_the_floor(epsilon, delta, floor, most):
    factor = noise_factor(MST, epsilon, delta)
    assert floor <= factor <= most
    assert 0.999 * epsilon <= compose(scaled(MST, factor)).epsilon(delta) <= epsilon


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("delta", [1e-5, 1e-9])
def test_one_gaussian_needs_the_noise_of_the_analytic_formula(epsilon, delta):
    factor = noise_factor([(Gaussian(2.0, 1.0), 1)], epsilon, delta)
    assert 2.0 * factor == pytest.approx(analytic_multiplier(epsilon, delta), rel=1e-6)


@pytest.mark.parametrize(("noise_multiplier", "steps"), [(1.077, 1000), (2.566, 10_000)])
def test_sampled_gaussians_stay_within_one_where_renyi_orders_ask_for_more(noise_multiplier, steps):
    event = SampledGaussian(noise_multiplier, RATE, steps)
    assert 0.98 <= compose([(event, 1)]).epsilon(1e-5) <= 1.0


@pytest.mark.parametrize("vote", [("laplace", 1 / 0.0245), ("gaussian", 52.0)])
def test_a_hundred_votes_of_a_hundred_teachers_stay_within_one(vote):
    assert 0.95 <= compose([(NoisyVote(*vote, 100), 100)]).epsilon(1e-5) <= 1.0


def test_ten_pure_events_add_up_at_delta_0_and_scale_exactly():
    events = [(Pure(1.0986123), 10)]
    assert compose(events).epsilon(0.0) == pytest.approx(10.986123, rel=1e-12)
    assert noise_factor(events, 1.0, 0.0) == pytest.approx(10.986123, rel=1e-6)


@pytest.mark.parametrize("epsilon", [1e-4, 1.0, 1000.0])
@pytest.mark.parametrize(
    "event",
    [
        Gaussian(2.0, 1.0),
        Laplace(2.0, 1.0),
        DiscreteGaussian(5.0, 1),
        ZeroConcentrated(0.1),
        SampledGaussian(1.1, 0.1, 10),
        NoisyVote("laplace", 40.0, 100),
        Selection(0.4),
    ],
    ids=lambda event: type(event).__name__,
)
def test_a_target_is_met_from_below_and_never_passed(event, epsilon):
    factor = noise_factor([(event, 3)], epsilon, 1e-6)
    spent = compose(scaled([(event, 3)], factor)).epsilon(1e-6)
    assert 0.999 * epsilon <= spent <= epsilon


def test_what_no_noise_can_meet_is_refused():
    with pytest.raises(InputError, match="at delta 0; give a delta above 0"):
        noise_factor(MST, 1.0, 0.0)
    with pytest.raises(InputError, match="cost nothing"):
        noise_factor([(NoOp(), 3)], 1.0, 1e-5)
    with pytest.raises(InputError, match="says nothing of its noise"):
        noise_factor([(Approximate(1.0, 1e-7), 1)], 1.0, 1e-5)
    with pytest.raises(ValueError, match="epsilon must be a finite number above 0"):
        noise_factor(MST, math.nan, 1e-5)
