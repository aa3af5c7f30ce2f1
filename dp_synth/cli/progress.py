"""How long work takes, and bars on a terminal: of what is public about it alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from time import monotonic

import typer

from dp_synth.formatting import at_most
from dp_synth.progress import Progress, Watcher, watching, watching_training

LONG = 20.0  # seconds: work that takes longer is announced
SURE = 1.0  # seconds after which it is known what the whole will take


@contextmanager
def shown_training(name: str) -> Iterator[None]:
    """Show how far the trainings of the block are, where standard error is a terminal.

    Their steps, the generator's loss, and the epsilon that is certified up to there. Nothing is
    shown, or loaded, where nobody looks.
    """
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[said]}"),
    )
    # Nothing is redirected: what is printed meanwhile goes through the stream that spells it out.
    with Bar(
        TextColumn(name, markup=False),
        *columns,
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    ) as bar:
        task = bar.add_task(name, total=None, said="", visible=False)

        def show(progress: Progress) -> None:
            bar.update(
                task,
                completed=progress.step,
                total=progress.steps,
                said=describe(progress),
                visible=True,
            )

        with watching_training(show):
            yield


def describe(progress: Progress) -> str:
    """Return the loss, and epsilon where something private is asked, in a few words.

    >>> from dp_synth.progress import Progress
    >>> describe(Progress(50, 100, 1.25, 0.5)), describe(Progress(50, 100, 1.25))
    ('loss 1.25, epsilon 0.500', 'loss 1.25')
    """
    said = f"loss {progress.generator_loss:.3g}"
    return said if progress.epsilon is None else f"{said}, epsilon {at_most(progress.epsilon, 3)}"


@contextmanager
def shown_work(name: str) -> Iterator[None]:
    """Say on standard error how long the work of the block takes, where that is long.

    As soon as a part of it has shown so, with a bar where standard error is a terminal. All that
    is shown is time and the share that is done: rows and what was found in them are private.
    """
    begun, shown = monotonic(), ExitStack()
    show_share: Watcher | None = None

    def show(done: float) -> None:
        nonlocal show_share
        elapsed = monotonic() - begun
        if show_share is not None:
            show_share(done)
        elif elapsed >= SURE and elapsed / done >= LONG:
            typer.echo(f"dp-synth: {name} takes about {in_words(elapsed / done)}", err=True)
            show_share = shown.enter_context(_bar(name))

    with shown, watching(show):
        yield


@contextmanager
def _bar(name: str) -> Iterator[Watcher]:
    """Show a bar, to be told which share is done; none where standard error is no terminal."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (TextColumn(name, markup=False), BarColumn(), TaskProgressColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=1.0)
        yield lambda done: bar.update(task, completed=done)


def in_words(seconds: float) -> str:
    """Return a time to two digits at most.

    >>> [in_words(seconds) for seconds in (24.1, 100, 7000)]
    ['24 seconds', '2 minutes', '2 hours']
    """
    for length, unit, most in ((1, "seconds", 90), (60, "minutes", 5400)):
        if seconds < most:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds / 3600:.0f} hours"
