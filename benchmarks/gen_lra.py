"""Gen-LRA by its closed form and by fitting again for each target: seconds, and the ratio.

Adult: 1,000 targets, 1,000 synthetic rows (real ones stand in: no time depends on that), all 6,513
reference records. Fitting again is timed on a few targets, in two ways: the kernel density of this
package, and ``scipy.stats.gaussian_kde`` as Synth-MIA has it, on data with a little noise without
which its covariance is singular.
"""

from __future__ import annotations

from collections.abc import Callable
from time import process_time

import numpy as np
from scipy.stats import gaussian_kde
from threadpoolctl import threadpool_limits

import dp_synth as dps
from dp_synth.attacks.density import KernelDensity, Standardised, likelihood_gains, squares
from dp_synth.types import Floats

TARGETS, ROWS, REFITTED, NEAREST = 1000, 1000, 5, 200

Fit = Callable[[Floats], Callable[[Floats], Floats]]  # points to a function of log density


def refitted(target: Floats, rows: Floats, reference: Floats, fit: Fit) -> float:
    """Return the gain of one target from two densities, each fitted from nothing."""
    near = rows[np.argsort(squares(target[None], rows)[0])[:NEAREST]]
    before, after = fit(reference), fit(np.concatenate([reference, target[None]]))
    return float((after(near) - before(near)).sum())


def scipys(points: Floats) -> Callable[[Floats], Floats]:
    """Return the log density that scipy fits."""
    density = gaussian_kde(points.T)
    return lambda targets: np.asarray(density.logpdf(targets.T))


def ours(points: Floats) -> Callable[[Floats], Floats]:
    """Return the log density that this package fits."""
    return KernelDensity.of(points).log_density


def main() -> None:
    data = dps.datasets.load("adult")
    space = Standardised.from_frame(data.schema, data.reference)
    frames = (data.train.head(TARGETS), data.holdout.head(ROWS), data.reference)
    targets, rows, reference = map(space.points, frames)
    start = process_time()
    likelihood_gains(targets, rows, KernelDensity.of(reference), NEAREST)
    closed = (process_time() - start) / TARGETS
    print(f"{'closed form':32s}{1000 * closed:10.2f} ms a target")
    noisy = reference + 0.1 * np.random.default_rng(0).standard_normal(reference.shape)
    for label, fit, points in (("our density", ours, reference), ("scipy's", scipys, noisy)):
        start = process_time()
        for target in targets[:REFITTED]:
            refitted(target, rows, points, fit)
        again = (process_time() - start) / REFITTED
        line = f"{f'fitting {label} again':32s}{1000 * again:10.2f} ms a target"
        print(f"{line}, {again / closed:.0f} times as much", flush=True)


if __name__ == "__main__":
    with threadpool_limits(limits=1):
        main()
