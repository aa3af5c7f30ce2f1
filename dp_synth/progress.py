"""How far long work is, told to whoever watches: nothing else, as rows may be private."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

STEPS_TOLD = 100  # times that a watcher is told of one part of the work

Part = TypeVar("Part")
Watcher = Callable[[float], None]
"""Is told which share of the work is done, from 0 to 1."""

_watched: ContextVar[tuple[Watcher, float, float] | None] = ContextVar("watched", default=None)


@contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Have ``watcher`` told how much of the work inside the block is done."""
    token = _watched.set((watcher, 0.0, 1.0))
    try:
        yield
    finally:
        _watched.reset(token)


@contextmanager
def part_of_work(place: int, parts: int) -> Iterator[None]:
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
        yield
        return
    watcher, start, size = watched
    token = _watched.set((watcher, start + size * place / parts, size / parts))
    try:
        yield
    finally:
        _watched.reset(token)


def told(steps: Sequence[Part]) -> Iterator[Part]:
    """Yield steps that take about as long each, and tell who watches, if anybody does."""
    watched = _watched.get()
    often = max(1, len(steps) // STEPS_TOLD)
    for place, step in enumerate(steps, start=1):
        yield step
        if watched and (place % often == 0 or place == len(steps)):
            watcher, start, size = watched
            watcher(start + size * place / len(steps))
