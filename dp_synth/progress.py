"""How far long work or a training is, told to whoever watches: nothing else, rows are private."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

STEPS_TOLD = 100  # times that a watcher is told of one part of the work
SHOWN = 50  # times that a watcher is told of a training

Part = TypeVar("Part")
Held = TypeVar("Held")
Watcher = Callable[[float], None]
"""Is told which share of the work is done, from 0 to 1."""


@dataclass(frozen=True)
class Progress:
    """What is public about a training that runs; losses of records are not."""

    step: int
    steps: int
    generator_loss: float
    epsilon: float | None = None  # certified up to here; None where nothing private is asked


TrainingWatcher = Callable[[Progress], None]

_watched: ContextVar[tuple[Watcher, float, float] | None] = ContextVar("watched", default=None)
_training: ContextVar[TrainingWatcher | None] = ContextVar("training", default=None)


@contextmanager
def _held(variable: ContextVar[Held], value: Held) -> Iterator[None]:
    """Have a variable hold ``value`` inside the block."""
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def watching(watcher: Watcher) -> AbstractContextManager[None]:
    """Have ``watcher`` told how much of the work inside the block is done."""
    return _held(_watched, (watcher, 0.0, 1.0))


def watching_training(watcher: TrainingWatcher) -> AbstractContextManager[None]:
    """Have ``watcher`` told of the progress of every training inside the block."""
    return _held(_training, watcher)


def part_of_work(place: int, parts: int) -> AbstractContextManager[None]:
    """Have what is told inside the block count as one of several parts, each about as long.

    >>> with watching(lambda done: print(f"{done:.0%}")):
    ...     for half in range(2):
    ...         with part_of_work(half, 2):
    ...             list(told([1, 2]))
    25%
    50%
    [1, 2]
    75%
    100%
    [1, 2]
    """
    watched = _watched.get()
    if watched is None:
        return nullcontext()
    watcher, start, size = watched
    return _held(_watched, (watcher, start + size * place / parts, size / parts))


def told(steps: Sequence[Part]) -> Iterator[Part]:
    """Yield steps that take about as long each, and tell who watches, if anybody does."""
    watched = _watched.get()
    often = max(1, len(steps) // STEPS_TOLD)
    for place, step in enumerate(steps, start=1):
        yield step
        if watched and (place % often == 0 or place == len(steps)):
            watcher, start, size = watched
            watcher(start + size * place / len(steps))


def tell_training(
    step: int, steps: int, loss: float, epsilon: Callable[[], float] | None = None
) -> None:
    """Tell who watches, if anybody does, at about ``SHOWN`` steps of a training."""
    watcher = _training.get()
    if watcher and (step % max(1, steps // SHOWN) == 0 or step == steps):
        watcher(Progress(step, steps, loss, epsilon() if epsilon else None))
