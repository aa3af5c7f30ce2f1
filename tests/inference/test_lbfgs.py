"""Minimising with a guessed curvature: how far, how soon, and where to stop."""

import numpy as np
from whole_tables import over_seeds

from dp_synth.inference._lbfgs import minimise


def valley(rng, size=30):
    """A convex function of very unequal curvature, and its minimum."""
    axes, _ = np.linalg.qr(rng.normal(size=(size, size)))
    stiff, bottom = np.logspace(0, 4, size), rng.normal(size=size)

    def loss(place):
        along = axes @ (place - bottom)
        return float(stiff @ np.logaddexp(along, -along)), axes.T @ (stiff * np.tanh(along))

    return loss, bottom, lambda gradient: axes.T @ ((axes @ gradient) / stiff)


@over_seeds(10)
def test_the_minimum_is_found_and_a_good_guess_of_the_curvature_finds_it_sooner(seed):
    loss, bottom, guess = valley(np.random.default_rng(seed))
    far = {}
    for name, inverse in (("none", np.copy), ("good", guess)):
        for iterations in (10, 500):
            start = np.zeros(bottom.size)
            found = minimise(loss, start, inverse, iterations=iterations, gain=0.0)
            far[name, iterations] = float(np.abs(found - bottom).max())
    assert far["good", 10] < 0.05 < far["none", 10]
    assert max(far["good", 500], far["none", 500]) < 1e-3


def test_it_never_climbs_and_stops_where_it_gains_too_little():
    loss, bottom, guess = valley(np.random.default_rng(0))
    asked = []

    def counted(place):
        asked.append(loss(place)[0])
        return loss(place)

    ends = []
    for gain in (0.0, 1e3, 1e9):
        asked.clear()
        start = np.zeros(bottom.size)
        ends.append(
            (loss(minimise(counted, start, guess, iterations=200, gain=gain))[0], len(asked))
        )
        assert ends[-1][0] <= min(asked) + 1e-9 * abs(asked[0])
    assert ends[0][0] <= ends[1][0] <= ends[2][0] < loss(np.zeros(bottom.size))[0]
    assert ends[2][1] < 60  # no more than the iterations after which it looks back


def test_a_start_at_the_minimum_is_where_it_ends():
    loss, bottom, guess = valley(np.random.default_rng(1))
    np.testing.assert_array_equal(minimise(loss, bottom, guess, iterations=50, gain=0.0), bottom)
