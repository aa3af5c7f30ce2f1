"""What audits prove beside what is claimed, as a panel under the attacks of a grid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING

from dp_synth.figures.audits import bounds_of, draw_bounds, draw_claims, looks_of, setting
from dp_synth.figures.style import Line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DIFFERENT = 12  # looks
PROVEN, IF_CURVE = "clopper_pearson", "area_if_curve"
TITLE = "audits: lower bound (filled); ε if the mechanism has the claimed curve (hollow, no bound)"


def is_audit(record: Mapping[str, object]) -> bool:
    """Tell a record of an audit, as ``AuditReport.to_dict`` has them, from one of a cell."""
    return "claimed_epsilon" in record and "bounds" in record


def draw_claimed(
    axes: Axes, audits: Iterable[Mapping[str, object]], lines: Mapping[str, Line]
) -> None:
    """Draw the audited epsilon of each method under the level that it claims.

    Filled markers are lower bounds whatever the mechanism is (Clopper-Pearson), with the largest
    that so many runs can prove; hollow ones are none: the epsilon of the claimed curve at
    another noise. ``lines`` are the looks of series that stand beside. The title says how many runs
    it rests on, at which level and delta.
    """
    bounds = bounds_of(audits)
    looks = _looks([str(name) for name in dict.fromkeys(bounds["series"])], lines)
    draw_claims(axes, bounds)
    draw_bounds(axes, bounds, PROVEN, looks, filled=True)
    draw_bounds(axes, bounds, IF_CURVE, looks, filled=False)
    axes.set_ylim(bottom=-0.3)
    axes.set_ylabel("audited ε")
    axes.set_title(f"{TITLE}\n{setting(bounds)}")


def _looks(series: Sequence[str], lines: Mapping[str, Line]) -> dict[str, Line]:
    """Return the looks of the series: those they have already, and ones that none has."""
    taken = {(line.color, line.marker) for line in lines.values()}
    different = looks_of(str(number) for number in range(DIFFERENT)).values()
    free = [line for line in reversed(different) if (line.color, line.marker) not in taken]
    new = cycle(free)
    return {name: lines[name] if name in lines else next(new) for name in series}
