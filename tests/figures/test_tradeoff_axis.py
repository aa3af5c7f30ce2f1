"""The logarithmic axis of the trade-off shows its points, however far an interval reaches."""

import pytest
from matplotlib.figure import Figure

from dp_synth.figures.curves import _space_out


def test_an_interval_that_nearly_reaches_zero_does_not_stretch_the_axis():
    axes = Figure().subplots()
    axes.errorbar([0.5, 0.6], [0.1, 0.3], yerr=[[0.1 - 1e-6, 0.01], [0.01, 0.01]])
    _space_out(axes)
    assert axes.get_ylim()[0] == pytest.approx(0.05)
