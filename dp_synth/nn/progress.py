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
    epsilon: float | None = None  # certified up to here; None where nothing private is asked


SHOWN = 50  # times that a watcher is told

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


def tell(step: int, steps: int, loss: float, epsilon: Callable[[], float] | None = None) -> None:
    """Tell who watches, if anybody does, at about ``SHOWN`` steps of a training."""
    watcher = _watcher.get()
    if watcher and (step % max(1, steps // SHOWN) == 0 or step == steps):
        watcher(Progress(step, steps, loss, epsilon() if epsilon else None))
