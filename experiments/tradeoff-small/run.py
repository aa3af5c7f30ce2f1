"""The rerun that is committed beside the paper's numbers; ``reproduce.py`` makes a new one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from experiments.tradeoff_small.covered import (
    CURVES,
    EPSILONS,
    METHODS,
    Rerun,
    compared,
    means,
    of_curves,
    of_paper,
    table,
)

import dp_synth as dps
from benchmarks.measured import RESULTS, read
from dp_synth.figures.style import FULL_WIDTH, below, lines_of, named, new_figure
from experiments.outline import RECORDS, RUN_TIME, TIMES, Experiment, log_axis, run_time, timed
from experiments.reproduce import rerun

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HERE = Path(__file__).resolve().parent
SEEDS = 5


def measure(resume: bool) -> None:
    """Run everything that is covered again, and keep its lines."""
    if resume and (HERE / RECORDS).exists():
        raise dps.InputError("a rerun is made whole: leave out --resume")
    with timed(HERE, "rerun"):
        rerun(SEEDS, HERE / RECORDS)


def pairs() -> list[Rerun]:
    """Return what the committed rerun can be compared with."""
    found = means(read(HERE / RECORDS))
    covered = [one for one in [*of_paper(), *of_curves()] if one.key in found]
    return compared(covered, found, len(covered))


def texts() -> dict[str, str]:
    """Return what the README says in numbers."""
    found = pairs()
    seeds = {line["seed"] for line in read(HERE / RECORDS) if line["epsilon"]}
    return {
        "numbers": table(found),
        "agreeing": f"{sum(one.agrees for one in found)} of {len(found)}",
        "seeds": str(len(seeds)),
        RUN_TIME: run_time(HERE) if (HERE / TIMES).exists() else "CPU time not recorded",
    }


def draw() -> Figure:
    """Return the rerun beside the paper: TV of pairs and AUC over epsilon."""
    found = pairs()
    figure = new_figure(FULL_WIDTH, 2.9)
    panels = figure.subplots(1, 2)
    for axes, value in zip(panels, ("tv", "auc"), strict=True):
        for method, line in lines_of(METHODS).items():
            chosen = [one for one in found if one.covered.key[::2] == (method, value)]
            for rerun_too, shift in ((False, 0.97), (True, 1.03)):
                axes.errorbar(
                    [one.covered.key[1] * shift for one in chosen],
                    [one.value if rerun_too else one.covered.value for one in chosen],
                    yerr=None if rerun_too else [one.tolerance for one in chosen],
                    color=line.color,
                    marker=line.marker,
                    markerfacecolor="white" if rerun_too else line.color,
                    linestyle="none",
                    capsize=3,
                    label=f"{named(method)}, {'rerun' if rerun_too else 'paper'}",
                )
        axes.set_xlim(EPSILONS[0] / 2, EPSILONS[-1] * 2)
        log_axis(axes, "x", EPSILONS)
        axes.set_xlabel("ε")
    panels[0].set_ylabel("TV of pairs (low is good)")
    panels[1].set_ylabel("AUC of gradient boosting")
    below(figure, panels, "coded Adult; bars are the tolerance of a rerun")
    return figure


EXPERIMENT = Experiment(
    HERE, (HERE / RECORDS, RESULTS / "adult.jsonl", CURVES), texts, draw, measure
)
