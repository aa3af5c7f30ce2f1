"""Facts about noise that need no statistics: missing, fixed, used twice, or in floating point."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from scipy.special import ndtr

from dp_synth.audit.door import Fault
from dp_synth.mechanisms.gaussian import GaussianLaw
from dp_synth.mechanisms.laplace import LaplaceLaw
from dp_synth.mechanisms.table import Law
from dp_synth.types import Floats

FALSE_ALARM = 1e-12  # chance that right noise of one answer is called wrong
MOST_DRAWS = 300  # of one answer's noise; where more were needed, it is not looked at
MOST_CELLS = 2**12  # numbers of one answer whose noise is looked at, the first ones
GRID = 2.0**-30  # of whose multiples noise is that has no low bits


def noise_faults(laws: Sequence[Law]) -> Iterator[Fault]:
    """Yield what is wrong with the noise of Gaussian and Laplace answers, drawn a few times more.

    Right noise is called wrong with a chance of `FALSE_ALARM` an answer.
    """
    for law in laws:
        if not isinstance(law, GaussianLaw | LaplaceLaw) or not law.here:
            continue
        said = f"part {law.part!r} ({law.why})"
        noise = _joined(law.values) - _joined(law.here)
        if np.any(noise != np.rint(noise / GRID) * GRID):
            yield Fault("noise", f"{said} has noise in floating point, whose low bits tell")
        drawn = _drawn(law)
        if len(drawn) and np.any(np.all(drawn == drawn[0], axis=0)):
            yield Fault("noise", f"{said} has numbers whose noise is missing, or always the same")
        elif len(drawn) and np.unique(drawn, axis=1).shape[1] < drawn.shape[1]:
            yield Fault("noise", f"{said} has the same noise on several numbers")


def _drawn(law: GaussianLaw | LaplaceLaw) -> Floats:
    """Return draws of an answer's noise, so many that right numbers surely tell themselves apart.

    Rounded noise is most likely 0, with the chance p, and no two draws agree with a larger one:
    shape (draws, numbers), with p^draws below `FALSE_ALARM` for all pairs of numbers together.
    None where noise is so small that this takes more than `MOST_DRAWS`.
    """
    cells = min(sum(one.size for one in law.here), MOST_CELLS)
    if isinstance(law, LaplaceLaw):
        likeliest = math.tanh(0.5 / (law.scale * law.fineness))
    else:
        likeliest = float(2 * ndtr(0.5 / law.stddev) - 1)
    draws = MOST_DRAWS + 1
    if cells and likeliest < 1:
        pairs = 2 * math.log(cells) - math.log(FALSE_ALARM)
        draws = math.ceil(pairs / max(-math.log(max(likeliest, 1e-300)), 1e-9)) + 1
    if draws > MOST_DRAWS:
        return np.empty((0, 0))
    here = _joined(law.here)
    noises = [(_joined(law.draw(law.here)) - here)[:MOST_CELLS] for _ in range(max(draws, 3))]
    return np.stack(noises)


def _joined(arrays: Sequence[Floats]) -> Floats:
    return np.concatenate([np.ravel(one) for one in arrays])
