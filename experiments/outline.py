"""What every experiment does alike: measure what is missing, draw a figure, fill its README.

A folder's ``run.py`` makes one `Experiment`, which is handed to `main`:

    python -m experiments scaling [--resume]   measures, draws and fills the README
    python -m experiments scaling --draw       draws and fills from committed records
    python -m experiments scaling --check      writes nothing, exit status 1 where that differs

In a README, what stands between a marker and its end comes from the records (`paper.documents`).
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import dp_synth as dps
from benchmarks.measured import Record, append, read
from benchmarks.versions import cpu_seconds
from dp_synth.figures.files import DOTS_PER_INCH
from dp_synth.figures.style import SETTINGS
from dp_synth.files import written_whole
from dp_synth.records import Spread
from paper.documents import filled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


RECORDS, FIGURE, README, TIMES = "records.jsonl", "figure.png", "README.md", "run_time.jsonl"
RUN_TIME = "run time"  # the value that every README may use


@dataclass(frozen=True)
class Experiment:
    """One question: its folder, the records it is drawn from, and how.

    ``texts`` returns what the README's markers stand for, by name; ``draw`` the figure; ``measure``
    writes the records of its own that are missing, or all of them where its argument is False.
    """

    folder: Path
    sources: Sequence[Path]
    texts: Callable[[], Mapping[str, str]]
    draw: Callable[[], Figure]
    measure: Callable[[bool], None]


def main(experiment: Experiment, arguments: Sequence[str]) -> None:
    """Do what the command line asks of one experiment; exit status 1 where a check fails."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--resume", action="store_true", help="measure only what is missing")
    parser.add_argument("--draw", action="store_true", help="measure nothing")
    parser.add_argument("--check", action="store_true", help="write nothing, tell what differs")
    given = parser.parse_args(arguments)
    if given.check:
        if differing := differences(experiment):
            sys.exit(f"{', '.join(differing)}: not of these records; --draw draws them")
        return
    try:
        if not given.draw:
            if not given.resume:
                (experiment.folder / TIMES).unlink(missing_ok=True)
            experiment.measure(given.resume)
    except dps.InputError as error:
        sys.exit(f"{experiment.folder.name}: {error}")
    redraw(experiment)


def redraw(experiment: Experiment) -> None:
    """Fill the README and write the figure."""
    readme, figure = experiment.folder / README, experiment.folder / FIGURE
    text = readme.read_text(encoding="utf-8")
    new = filled(text, _texts(experiment).__getitem__)
    if new != text:
        with written_whole(readme) as passing:
            passing.write_text(new, encoding="utf-8")
    save(experiment.draw, figure, source=digest(experiment.sources))


def differences(experiment: Experiment) -> list[str]:
    """Return the names of files that are not those of the records: README, figure.

    The figure says itself from which bytes of records it was drawn, whatever version drew it.
    """
    readme = experiment.folder / README
    text = readme.read_text(encoding="utf-8")
    differing = [] if filled(text, _texts(experiment).__getitem__) == text else [README]
    if source_of(experiment.folder / FIGURE) != digest(experiment.sources):
        differing.append(FIGURE)
    return differing


def _texts(experiment: Experiment) -> dict[str, str]:
    return {RUN_TIME: run_time(experiment.folder), **experiment.texts()}


# Records


def missing(tasks: Sequence[Record], records: Sequence[Record]) -> list[Record]:
    """Return the tasks that no record answers: one with all their fields, and more."""
    return [task for task in tasks if not any(task.items() <= r.items() for r in records)]


def digest(paths: Sequence[Path]) -> str:
    """Return the SHA-256 of the files' bytes, one after the other."""
    whole = hashlib.sha256()
    for path in paths:
        whole.update(path.read_bytes())
    return whole.hexdigest()


# Measuring


def begin(folder: Path, resume: bool) -> None:
    """Forget the folder's records, unless they are to be completed."""
    if not resume:
        (folder / RECORDS).unlink(missing_ok=True)


def answer(
    folder: Path, tasks: Iterable[Record], found: Callable[[Record], Record], *, part: str
) -> None:
    """Append what is found of each task that no record of the folder answers, and the time."""
    path = folder / RECORDS
    if todo := missing(list(tasks), read(path)):
        with timed(folder, part):
            for task in todo:
                append(path, {**task, **found(task)})


# Run times


@contextmanager
def timed(folder: Path, part: str) -> Iterator[None]:
    """Keep how long a part of the measurement took, a stop in between or not."""
    clock, cpu = time.perf_counter(), cpu_seconds()
    try:
        yield
    finally:
        cpu, clock = cpu_seconds() - cpu, time.perf_counter() - clock
        spent = {"part": part, "cpu_seconds": round(cpu, 1), "wall_seconds": round(clock, 1)}
        append(folder / TIMES, spent)


def run_time(folder: Path) -> str:
    """Return how long all parts take, in words: CPU time, which a busy machine does not stretch.

    Two cores share it where the parts run in two processes.
    """
    return in_words(sum(record["cpu_seconds"] for record in read(folder / TIMES)))


def in_words(seconds: float) -> str:
    """Return CPU seconds as a text has them.

    >>> in_words(12.3), in_words(600)
    ('12 CPU seconds', '10 CPU minutes')
    """
    if seconds < 90:
        return f"{seconds:.0f} CPU seconds"
    return f"{seconds / 60:.0f} CPU minutes"


# Words and figures


def ends(counts: Iterable[int]) -> str:
    """Return a count, or the least and the largest of several.

    >>> ends([5, 5]), ends([3, 5])
    ('5', '3 to 5')
    """
    found = sorted({*counts})
    return str(found[0]) if len(found) == 1 else f"{found[0]} to {found[-1]}"


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean of one value a seed and the half width of its 95 % t-interval, NaN of one."""
    spread = Spread.of(values)
    return spread.mean, spread.half


def whiskers(
    axes: Axes, places: Iterable[float], values: Iterable[Sequence[float]], **look: object
) -> None:
    """Draw the mean of each place's values with its interval; nothing where there are none."""
    drawn = [(at, *interval(own)) for at, own in zip(places, values, strict=True) if len(own)]
    if drawn:
        xs, means, halves = zip(*drawn, strict=True)
        axes.errorbar(xs, means, yerr=np.nan_to_num(halves), **{"capsize": 2, **look})


def log_axis(axes: Axes, which: str, ticks: Iterable[float]) -> None:
    """Make an axis, x or y, logarithmic, with those of the ticks that lie within its ends."""
    axes.set(**{f"{which}scale": "log"})
    low, high = getattr(axes, f"get_{which}lim")()
    kept = [tick for tick in ticks if low <= tick <= high]
    axis = getattr(axes, f"{which}axis")
    axis.set_ticks(kept, [f"{t:,}" if isinstance(t, int) else f"{t:g}" for t in kept])
    axis.set_ticks([], minor=True)


def save(draw: Callable[[], Figure], path: Path, *, source: str) -> None:
    """Write the figure that ``draw`` returns as a PNG which names the records it is of."""
    from matplotlib import style

    with style.context(dict(SETTINGS)), written_whole(path) as passing:
        figure = draw()
        metadata = {"Software": None, "Source": source}
        figure.savefig(passing, format="png", dpi=DOTS_PER_INCH, metadata=metadata)


def source_of(path: Path) -> str:
    """Return what a figure says that it was drawn from; empty where it says nothing."""
    from PIL import Image

    if not path.exists():
        return ""
    with Image.open(path) as image:
        return str(image.info.get("Source", ""))
