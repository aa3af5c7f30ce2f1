"""Seconds for a million cells of exact integer noise, beside floating-point normals.

Cold is the first million at that stddev, warm the best of three more; small is the time of one
marginal of two cells, in microseconds. numpy's normal is the floor: neither exact nor from secure
bits. opendp's exact discrete Gaussian is timed where it is installed, on a hundredth of the cells.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from benchmarks.measured import least_seconds
from dp_synth.mechanisms.noise import (
    discrete_gaussian,
    discrete_laplace,
    exact_choice,
    rounded_gaussian,
)

CELLS = 1_000_000
STDDEVS = (2.0, 30.0, 432.0, 5000.0)


def normal(stddev: float, shape: tuple[int, ...]) -> NDArray[np.float64]:
    return np.random.default_rng(0).normal(0.0, stddev, shape)


def opendp_gaussian(stddev: float, shape: tuple[int, ...]) -> object:
    dp = import_module("opendp.prelude")
    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T="i64")
    return dp.m.make_gaussian(*space, scale=stddev)([0] * shape[0])


SAMPLERS: dict[str, Callable[[float, tuple[int, ...]], object]] = {
    "rounded_gaussian": rounded_gaussian,
    "discrete_gaussian": discrete_gaussian,
    "discrete_laplace": discrete_laplace,
    "numpy normal": normal,
}


def time_noise() -> None:
    print("sampler            stddev      cold     warm  small/us")
    for name, sampler in SAMPLERS.items():
        for stddev in STDDEVS:
            million = partial(sampler, stddev, (CELLS,))
            cold, warm = least_seconds(million), least_seconds(million, 3)
            small = least_seconds(partial(sampler, stddev, (2,)), 100)
            print(f"{name:<18} {stddev:<7g} {cold:8.3f} {warm:8.3f} {1e6 * small:9.1f}")
    if find_spec("opendp"):
        for stddev in STDDEVS:
            few = least_seconds(partial(opendp_gaussian, stddev, (CELLS // 100,)))
            print(f"{'opendp i64':<18} {stddev:<7g} {100 * few:8.3f}")


def time_choice() -> None:
    for candidates in (100, 10_000):
        odds = np.linspace(-5, 5, candidates)
        best = least_seconds(partial(exact_choice, odds), 20)
        print(f"exact_choice among {candidates:,}: {1e6 * best:.1f} microseconds")


if __name__ == "__main__":
    time_noise()
    time_choice()
