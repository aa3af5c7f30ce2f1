"""What audits prove beside what is claimed, as a panel under the attacks of a grid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from dp_synth.figures.audits import bounds_of, draw_bounds, draw_claims, setting
from dp_synth.figures.style import lines_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PROVEN, IF_CURVE = "clopper_pearson", "area_if_curve"
TITLE = "audits: lower bound (filled); ε if the mechanism has the claimed curve (hollow, no bound)"


def is_audit(record: Mapping[str, object]) -> bool:
    """Tell a record of an audit, as ``AuditReport.to_dict`` has them, from one of a cell."""
    return "claimed_epsilon" in record and "bounds" in record


def draw_claimed(axes: Axes, audits: Iterable[Mapping[str, object]], beside: Sequence[str]) -> None:
    """Draw the audited epsilon of each method under the level that it claims.

    Filled markers are lower bounds whatever the mechanism is (Clopper-Pearson), with the largest
    that so many runs can prove; hollow ones are none: the epsilon of the claimed curve at
    another noise. ``beside`` are the series of other panels. The title says how many runs
    it rests on, at which level and delta.
    """
    bounds = bounds_of(audits)
    series = [str(name) for name in dict.fromkeys(bounds["series"])]
    lines = lines_of(list(dict.fromkeys([*beside, *series])))
    looks = {name: lines[name] for name in series}
    draw_claims(axes, bounds)
    draw_bounds(axes, bounds, PROVEN, looks, filled=True)
    draw_bounds(axes, bounds, IF_CURVE, looks, filled=False)
    axes.set_ylim(bottom=-0.3)
    axes.set_ylabel("audited ε")
    axes.set_title(f"{TITLE}\n{setting(bounds)}")
