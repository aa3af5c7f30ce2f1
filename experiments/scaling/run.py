"""What a fit takes as a table grows longer and wider: CPU seconds and memory.

The records are those of ``benchmarks/synthesizers.py``; nothing is measured here that is not there.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.measured import RESULTS, ROOT, Record, by_seed, read, shown
from dp_synth.figures.style import (
    FULL_WIDTH,
    GREY,
    INK,
    SMALL,
    below,
    lines_of,
    named,
    new_figure,
)
from experiments.outline import RUN_TIME, Experiment, log_axis, whiskers
from paper.documents import markdown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HERE = Path(__file__).resolve().parent
SCALING, NETWORKS = RESULTS / "scaling.jsonl", RESULTS / "deep_adult.jsonl"
METHODS = ("independent", "mst", "clique_tree")
OF_NETWORKS = ("marginal_generator", "pategan", "patectgan", "dpgan", "dpctgan")
LONGER = tuple(f"adult_discrete{more}" for more in ("", " x 10", " x 100"))
WIDER = tuple(f"adult_discrete, {count} columns" for count in (10, 25, 50, 100, 200))
OTHERS = ("spambase", "epileptic_seizure")
TITLES = {"adult_discrete": "coded Adult", "spambase": "Spambase", "epileptic_seizure": "EEG"}
EPSILON = 1.0


def measure(resume: bool) -> None:
    """Fit every table anew, or those of which there is no record; networks are left as they are."""
    command = [sys.executable, "-m", "benchmarks.synthesizers", "scaling"]
    subprocess.run([*command, *(["--resume"] if resume else [])], check=True, cwd=ROOT)


def values(records: Sequence[Record], table: str, method: str, value: str) -> list[float]:
    """Return one value of the fits of a method to a table, in the order of their seeds."""
    done = [record for record in records if "values" in record]
    wanted = {"table": table, "synthesizer": method, "epsilon": EPSILON}
    return list(by_seed(done, value, **wanted).values())


def size(records: Sequence[Record], table: str, what: str) -> int:
    """Return how many records or columns a table has."""
    return round(values(records, table, METHODS[0], what)[0])


def table_of(records: Sequence[Record]) -> str:
    """Return seconds and memory of every method on every table."""
    head = ["table", "records", "columns"]
    head += [f"{named(m)}: {what}" for m in METHODS for what in ("CPU s", "peak MB")]
    rows = []
    for table in (*LONGER, *WIDER, *OTHERS):
        row = [_title(table), *(f"{size(records, table, w):,}" for w in ("records", "columns"))]
        for method in METHODS:
            row.append(shown(values(records, table, method, "fit_seconds"), 2))
            row.append(f"{max(values(records, table, method, 'megabytes')):,.0f}")
        rows.append(row)
    return markdown(head, rows)


def _title(table: str) -> str:
    name = next(name for name in TITLES if table.startswith(name))
    return table.replace(name, TITLES[name])


def network_table(records: Sequence[Record]) -> str:
    """Return seconds and memory of the networks on the one table of which there are records."""
    head = ["network", "seeds", "CPU s", "peak MB", "over the clique tree's CPU time"]
    tree = float(np.mean(values(read(SCALING), LONGER[0], "clique_tree", "fit_seconds")))
    rows = []
    for method in OF_NETWORKS:
        seconds = values(records, LONGER[0], method, "fit_seconds")
        memory = max(values(records, LONGER[0], method, "megabytes"))
        times = f"{np.mean(seconds) / tree:.0f} times"
        rows.append([named(method), str(len(seconds)), shown(seconds, 1), f"{memory:.0f}", times])
    return markdown(head, rows)


def texts() -> dict[str, str]:
    """Return what the README says in numbers."""
    records, networks = read(SCALING), read(NETWORKS)
    said = {
        "tables": table_of(records),
        "networks": network_table(networks),
        "most records": f"{size(records, LONGER[-1], 'records'):,}",
        "most columns": f"{size(records, WIDER[-1], 'columns'):,}",
        RUN_TIME: _run_time(records),
    }
    for method in METHODS:
        for name, tables in (("rows", LONGER), ("columns", WIDER)):
            first, last = (_means(records, table, method) for table in (tables[0], tables[-1]))
            said[f"{method} {name} seconds"] = f"{last[0]:.2g}"
            said[f"{method} {name} memory"] = f"{last[1]:.0f}"
            said[f"{method} {name} times"] = f"{last[0] / first[0]:.0f}"
    grown = [
        size(records, tables[-1], w) / size(records, tables[0], w)
        for tables, w in ((LONGER, "records"), (WIDER, "columns"))
    ]
    return said | {"rows times": f"{grown[0]:.0f}", "columns times": f"{grown[1]:.0f}"}


def _means(records: Sequence[Record], table: str, method: str) -> tuple[float, float]:
    seconds = values(records, table, method, "fit_seconds")
    return float(np.mean(seconds)), max(values(records, table, method, "megabytes"))


def _run_time(records: Sequence[Record]) -> str:
    taken = ("calibration_seconds", "fit_seconds")
    seconds = sum(r["values"][name] for r in records if "values" in r for name in taken)
    return f"{seconds / 60:.0f} CPU minutes of fits and calibration"


def draw() -> Figure:
    """Return time above and memory below, by records and by columns."""
    records, networks = read(SCALING), read(NETWORKS)
    figure = new_figure(FULL_WIDTH, 5.0)
    upper, lower = figure.subplots(2, 2, sharex="col")
    for column, (tables, what) in enumerate(((LONGER, "records"), (WIDER, "columns"))):
        for axes, value in ((upper[column], "fit_seconds"), (lower[column], "megabytes")):
            _draw(axes, records, tables, what, value=value)
    for axes, value in ((upper[0], "fit_seconds"), (lower[0], "megabytes")):
        _draw_networks(axes, networks, size(records, LONGER[0], "records"), value)
    for axes, value in ((upper[1], "fit_seconds"), (lower[1], "megabytes")):
        _draw_others(axes, records, value)
    for axes, tables, what in ((lower[0], LONGER, "records"), (lower[1], WIDER, "columns")):
        log_axis(axes, "x", [size(records, table, what) for table in tables])
        axes.set_xlabel(f"{what} of the table (log)")
    for axes in upper:
        log_axis(axes, "y", (0.01, 0.1, 1, 10, 100))
    for axes in lower:
        log_axis(axes, "y", (200, 250, 300, 400, 500, 700, 1000))
    columns, length = (size(records, LONGER[0], what) for what in ("columns", "records"))
    upper[0].set_title(f"longer: {columns} columns, records repeated")
    upper[1].set_title(f"wider: {length:,} records, columns joined")
    for axes, label in (
        (upper[0], "CPU seconds of a fit (log)"),
        (lower[0], "peak memory, MB (log)"),
    ):
        axes.set_ylabel(label)
    note = "ε = 1; mean and 95 % t-interval over seeds; memory is the largest of all seeds"
    below(figure, [*upper, *lower], note)
    return figure


def _draw(
    axes: Axes, records: Sequence[Record], tables: Sequence[str], what: str, *, value: str
) -> None:
    for method, look in lines_of(METHODS).items():
        found = [values(records, table, method, value) for table in tables]
        if value == "megabytes":
            found = [[max(own)] for own in found]
        sizes = [size(records, table, what) for table in tables]
        whiskers(axes, sizes, found, color=look.color, marker=look.marker, label=named(method))


def _point(found: Sequence[float], value: str) -> float:
    return max(found) if value == "megabytes" else float(np.mean(found))


def _draw_networks(axes: Axes, networks: Sequence[Record], records: int, value: str) -> None:
    """Draw each network at the one length of which there are records."""
    for method, line in lines_of(OF_NETWORKS).items():
        height = _point(values(networks, LONGER[0], method, value), value)
        look = {"color": line.color, "marker": line.marker, "linestyle": "none"}
        axes.plot([records], [height], **look, label=named(method))


def _draw_others(axes: Axes, records: Sequence[Record], value: str) -> None:
    """Draw the clique tree on tables that are wide by themselves, and name them."""
    look = {"color": INK, "marker": "x", "linestyle": "none"}
    for table in OTHERS:
        height = _point(values(records, table, "clique_tree", value), value)
        place = size(records, table, "columns"), height
        axes.plot(*place, **look, label="clique tree, other tables")
        said = {"ha": "center", "fontsize": SMALL, "color": GREY}
        axes.annotate(_title(table), place, (0, -10), textcoords="offset points", **said)


EXPERIMENT = Experiment(HERE, (SCALING, NETWORKS), texts, draw, measure)
