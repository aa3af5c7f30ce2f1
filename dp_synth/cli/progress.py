"""A bar on a terminal for trainings, of what is public about them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dp_synth.rounding import at_most

if TYPE_CHECKING:
    from dp_synth.nn.progress import Progress


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

    from dp_synth.nn.progress import watching

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

        with watching(show):
            yield


def describe(progress: Progress) -> str:
    """Return the loss, and epsilon where something private is asked, in a few words.

    >>> from dp_synth.nn.progress import Progress
    >>> describe(Progress(50, 100, 1.25, 0.5)), describe(Progress(50, 100, 1.25))
    ('loss 1.25, epsilon 0.500', 'loss 1.25')
    """
    said = f"loss {progress.generator_loss:.3g}"
    return said if progress.epsilon is None else f"{said}, epsilon {at_most(progress.epsilon, 3)}"
