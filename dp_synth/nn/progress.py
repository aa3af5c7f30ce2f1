"""How far a training is: what may be shown of it, for whoever watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """What is public about a training that runs; losses of records are not."""

    step: int
    steps: int
    generator_loss: float
    epsilon: float  # certified for the steps up to here and all that came before them


Watcher = Callable[[Progress], None]

_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Have ``watcher`` told of the progress of every training inside the block."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def current_watcher() -> Watcher | None:
    """Return who wants to be told, if anybody does."""
    return _watcher.get()
