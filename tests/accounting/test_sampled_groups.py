"""Sampled sums that several rows of one unit move, or others in their place."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import pytest
from dp_accounting.pld import privacy_loss_distribution
from numpy.typing import NDArray
from scipy.stats import binom, norm

from dp_synth.accounting import (
    Accountant,
    Plan,
    PrivacyBudget,
    SampledGaussians,
    calibrate,
    compose,
)
from dp_synth.accounting.event_file import parse_events
from dp_synth.accounting.events import (
    Event,
    Gaussian,
    SampledGaussian,
    Selection,
    event_from_fields,
    event_to_fields,
)
from dp_synth.accounting.pld import loss_distribution
from dp_synth.accounting.subsampled_gaussian import GroupLosses
from dp_synth.errors import BudgetExceeded, InputError, UnsupportedEvent

Floats = NDArray[np.float64]
Density = Callable[[Floats], Floats]
EPSILONS = (0.0, 0.1, 0.5, 1.5, 3.0)
SETTINGS = [(2.0, 0.1, 3), (1.0, 0.01, 5), (5.0, 0.3, 20), (1.5, 1.0, 2), (3.0, 0.999, 4)]


def densities(event: SampledGaussian) -> tuple[Density, Density]:
    """The sum's density where a unit's rows lie along one line, and under the neighbour."""
    weights = binom.pmf(range(event.rows + 1), event.rows, event.rate)

    def moved(y: Floats, way: int) -> Floats:
        shifts = way * np.arange(event.rows + 1) / event.noise_multiplier
        powers = -((y[:, None] - shifts) ** 2) / 2
        return np.asarray(np.exp(powers) @ weights / math.sqrt(2 * math.pi))

    return lambda y: moved(y, 1), lambda y: moved(y, -1) if event.replaced else norm.pdf(y)


def exact(event: SampledGaussian, epsilon: float) -> list[float]:
    """Delta where the unit goes, and where it comes, by the trapezoidal rule."""
    width = 14 + event.rows / event.noise_multiplier
    y = np.linspace(-width, width, 100_001)
    p, q = (density(y) for density in densities(event))
    gain = math.exp(epsilon)
    ways = [np.maximum(a - gain * b, 0) for a, b in ((p, q), (q, p))]
    return [float(np.trapezoid(way, y)) for way in ways]


@pytest.mark.parametrize("replaced", [False, True])
@pytest.mark.parametrize(("noise", "rate", "rows"), SETTINGS)
def test_one_sum_costs_what_quadrature_says(
    noise: float, rate: float, rows: int, replaced: bool
) -> None:
    event = SampledGaussian(noise, rate, 1, rows, replaced)
    losses = loss_distribution(event, 1e-3)
    assert losses is not None
    for epsilon in EPSILONS:
        found = [float(one.delta(np.array([epsilon]))[0]) for one in losses.sums]
        wanted = exact(event, epsilon)
        assert len(found) == 2 - replaced
        for own, other in zip(found, wanted, strict=False):
            assert other * (1 - 1e-6) - 1e-13 <= own <= other * (1 + 1e-4) + 1e-13
        assert losses.delta(epsilon) == max(found)


@pytest.mark.parametrize("replaced", [False, True])
@pytest.mark.parametrize("rows", [1, 2, 4])
def test_no_rows_in_the_plane_tell_more_than_rows_along_one_line(rows: int, replaced: bool) -> None:
    """Kahane's inequality, on random vectors of norm at most one, of two units."""
    rng = np.random.default_rng(rows)
    grid = np.linspace(-10, 10, 161)
    x, y = np.meshgrid(grid, grid)
    for rate, noise in ((0.3, 1.0), (0.7, 2.0), (0.05, 0.7)):
        event = SampledGaussian(noise, rate, 1, rows, replaced)
        bounds = [max(exact(event, epsilon)) for epsilon in EPSILONS[:4]]
        for _ in range(5):
            p, q = (
                _in_the_plane(rng, rows, rate, noise, x, y) if there else norm.pdf(x) * norm.pdf(y)
                for there in (True, replaced)
            )
            for epsilon, bound in zip(EPSILONS, bounds, strict=False):
                gain = math.exp(epsilon)
                cell = (grid[1] - grid[0]) ** 2
                found = max(np.maximum(a - gain * b, 0).sum() * cell for a, b in ((p, q), (q, p)))
                assert found <= bound + 1e-6


def _in_the_plane(
    rng: np.random.Generator, rows: int, rate: float, noise: float, x: Floats, y: Floats
) -> Floats:
    angles, sizes = rng.uniform(0, 2 * np.pi, rows), rng.uniform(0, 1, rows) ** 0.2
    vectors = sizes[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1) / noise
    total = np.zeros_like(x)
    for drawn in np.ndindex(*(2,) * rows):
        chance = math.prod(rate if one else 1 - rate for one in drawn)
        at = np.array(drawn) @ vectors
        total += chance * np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / 2)
    return total / (2 * math.pi)


@pytest.mark.parametrize(
    ("noise", "rate", "rows", "steps"), [(3.0, 0.02, 3, 60), (8.0, 0.1, 6, 20)]
)
def test_many_sums_cost_what_another_library_composes(
    noise: float, rate: float, rows: int, steps: int
) -> None:
    curve = compose([(SampledGaussian(noise, rate, steps, rows), 1)])
    weights = binom.pmf(range(rows + 1), rows, rate)
    theirs = [
        privacy_loss_distribution.from_mixture_gaussian_mechanism(
            noise,
            list(range(rows + 1)),
            weights.tolist(),
            pessimistic_estimate=pessimistic,
            value_discretization_interval=5e-3,
            use_connect_dots=pessimistic,
        ).self_compose(steps)
        for pessimistic in (False, True)
    ]
    least, most = (float(one.get_epsilon_for_delta(1e-6)) for one in theirs)
    assert least * (1 - 1e-9) <= curve.epsilon(1e-6) <= most * (1 + 2e-3)


def test_of_one_row_it_is_the_sampled_gaussian() -> None:
    event = SampledGaussian(1.3, 0.04, 1)
    losses, group = loss_distribution(event, 1e-3), GroupLosses(event)
    assert losses is not None
    for own, other in zip(
        losses._removed + (losses._added or ()),
        (group.removed(1e-3), group.added(1e-3)),
        strict=True,
    ):
        assert own[0].first == other.first
        assert np.allclose(own[0].chances, other.chances, rtol=1e-7, atol=1e-15)


def test_more_rows_and_replaced_ones_cost_more_and_never_more_than_unsampled_ones() -> None:
    base = SampledGaussian(9.0, 0.05, 200)
    others: list[tuple[Event, int]] = [(Gaussian(5.0, 1.0), 1), (Selection(0.1), 2)]
    kinds = [(1, False), (2, False), (2, True), (5, True)]
    events = [SampledGaussian(9.0, 0.05, 200, *kind) for kind in kinds]
    assert events[0] == base
    epsilons = [compose([(event, 1), *others]).epsilon(1e-6) for event in events]
    assert epsilons == sorted(epsilons)
    for event, epsilon in zip(events, epsilons, strict=True):
        moved = event.rows * (2 if event.replaced else 1)
        whole = [(Gaussian(9.0 / moved, 1.0), 200), *others]
        assert 0 < epsilon < compose(whole).epsilon(1e-6)
        assert event.covers(events[0]) == (not event.replaced)
    assert compose([(events[1], 1)]).epsilon(1e-6) < 2 * compose([(base, 1)]).epsilon(1e-6) * 1.5


@pytest.mark.parametrize("adjacency", ["add_remove", "replace_one"])
@pytest.mark.parametrize("rows", [1, 3])
def test_a_plan_of_steps_is_calibrated_for_its_unit(adjacency: str, rows: int) -> None:
    unit = "person" if rows > 1 else None
    budget = PrivacyBudget(1.0, 1e-5, adjacency, unit, rows)  # type: ignore[arg-type]
    plan = Plan({"critic": SampledGaussians(200, 0.05)})
    piece = Accountant(budget).admit("net", plan)
    event = piece.plan.sampled("critic").event()
    assert (event.rows, event.replaced) == (rows, adjacency == "replace_one")
    ledger = piece.accountant.ledger
    assert 0.99 <= ledger.epsilon <= 1.0
    simple = calibrate({"net": (plan, 1.0)}, PrivacyBudget(1.0, 1e-5))["net"].sampled("critic")
    assert event.noise_multiplier >= (simple.noise_multiplier or 0.0)
    if (rows, adjacency) == (1, "add_remove"):
        assert event.noise_multiplier == simple.noise_multiplier
    else:
        with pytest.raises(BudgetExceeded, match="nothing was released"):
            piece.charge(simple, simple.event(), 1, why="steps")
    piece.charge(piece.plan.sampled("critic"), event, 1, why="steps")


def test_an_event_is_written_as_before_unless_a_unit_has_several_rows() -> None:
    simple = SampledGaussian(1.1, 0.01, 500)
    said = {"type": "sampled_gaussian", "noise_multiplier": 1.1, "rate": 0.01, "steps": 500}
    assert event_to_fields(simple) == said
    assert event_from_fields(said) == simple
    group = SampledGaussian(1.1, 0.01, 500, 3, replaced=True)
    assert event_from_fields(json.loads(json.dumps(event_to_fields(group)))) == group
    for wrong in ({"rows": 0}, {"rows": 1.5}, {"replaced": "yes"}, {"rows": 10**6}):
        with pytest.raises((ValueError, InputError)):
            event_from_fields({**said, **wrong})
    with pytest.raises(UnsupportedEvent):
        event_from_fields({**said, "other": 1})
    with pytest.raises(UnsupportedEvent):
        event_from_fields({"type": "sampled_gaussian", "rate": 0.01, "steps": 500})


def test_a_file_says_how_many_rows_are_replaced() -> None:
    text = (
        "adjacency: replace_one\nevents: [{sampled_gaussian: {noise_multiplier: 4, rate: 0.1, "
        "steps: 9, rows: 2, replaced: true}}]"
    )
    assert parse_events(text, "here")[1] == [(SampledGaussian(4.0, 0.1, 9, 2, True), 1)]
    with pytest.raises(InputError, match="replaced: true"):
        parse_events(text.replace(", replaced: true", ""), "here")
