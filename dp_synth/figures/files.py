"""Figures as files: PNG for a screen, PDF with embedded fonts for a paper."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dp_synth.errors import InputError
from dp_synth.figures.curves import (
    ATTACKS,
    UTILITY_PANELS,
    attacks_of,
    ended,
    leakage_curves,
    tradeoff,
    utility_curves,
)
from dp_synth.figures.style import look
from dp_synth.files import check_writable, written_whole

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

FIGURES: dict[str, Callable[[pd.DataFrame], tuple[Axes, ...]]] = {
    "utility": utility_curves,
    "leakage": leakage_curves,
    "tradeoff": tradeoff,
    "tradeoff_tv2": partial(tradeoff, metric="tv2"),
}
DOTS_PER_INCH = 200
# What a file says of itself is fixed, so that the same records give the same bytes.
KINDS: dict[str, dict[str, None]] = {"pdf": {"CreationDate": None}, "png": {"Software": None}}


def draw_all(
    records: pd.DataFrame, folder: Path, *, audits: Sequence[Mapping[str, object]] = ()
) -> list[Path]:
    """Write the ``FIGURES`` of a benchmark as PDF and PNG; return what was written.

    Records of ``audits``, such as ``is_audit`` finds, stand on ``leakage`` in a panel of their own.
    A figure of which there are no records is left out. With several tables in the records each
    has files of its own, ``utility_adult.png`` and so on. Settings of matplotlib stay as they are.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tables = sorted(records["dataset"].unique())
    written = []
    for table in tables:
        ending = f"_{table}" if len(tables) > 1 else ""
        for name, draw in (FIGURES | {"leakage": partial(leakage_curves, audits=audits)}).items():
            chosen = partial(draw, records[records["dataset"] == table])
            written += save_all(chosen, [folder / f"{name}{ending}.{kind}" for kind in KINDS])
    return written


def not_shown(records: pd.DataFrame) -> list[str]:
    """Return a line for each task whose measured values no figure shows: which, and what it takes.

    Nothing where no cell of a synthesizer ended.
    """
    measured = {
        task: set(rows.loc[rows["epsilon"].notna(), "metric"])
        for task in ("utility", "leakage")
        if not (rows := ended(records, task=task)).empty
    }
    found = []
    utility = measured.get("utility", set())
    takes = [metric for metric, *_ in UTILITY_PANELS]
    if utility and not utility.intersection(takes):
        asked = " or ".join(dict.fromkeys(metric.partition(":")[0] for metric in takes))
        found.append(f"no figure shows {_listed(utility)}: that of utility takes {asked}")
    leakage = measured.get("leakage", set())
    attacks = attacks_of(leakage)
    if leakage and not attacks:
        found.append(f"no figure shows {_listed(leakage)} of leakage without an attack's values")
    elif attacks and not set(ATTACKS).intersection(attacks):
        takes_one = " or ".join(ATTACKS)
        found.append(
            f"no trade-off is drawn of {_listed(attacks)}: it takes the attack {takes_one}"
        )
    return found


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def check_place(path: Path) -> None:
    """Refuse, before anything is computed, a place where no figure can be written."""
    if path.suffix[1:].lower() not in KINDS:
        raise InputError(f"{path}: the name of a figure must end in .png or .pdf")
    check_writable(path)


def save(draw: Callable[[], tuple[Axes, ...]], path: Path) -> None:
    """Write the figure that ``draw`` makes, PNG or PDF by the ending of ``path``.

    Settings of matplotlib stay as they are, and the same points give the same bytes.
    """
    check_place(path)
    save_all(draw, [path])


def save_all(draw: Callable[[], tuple[Axes, ...]], paths: Sequence[Path]) -> list[Path]:
    """Write one figure to several files as ``save`` does; none where nothing is drawn."""
    with look():
        axes = draw()
        figure = axes[0].get_figure(root=True) if axes else None
        if figure is None:
            return []
        for path in paths:
            kind = path.suffix[1:].lower()
            with written_whole(path) as passing:
                figure.savefig(passing, format=kind, dpi=DOTS_PER_INCH, metadata=KINDS[kind])
    return list(paths)
