"""`dp-synth list`: what can be named on the command line and in grids."""

from __future__ import annotations

from typing import Annotated

import typer

from dp_synth.errors import InputError
from dp_synth.extensions import unknown


def listing(
    kind: Annotated[
        str, typer.Argument(metavar="synthesizers|attacks|metrics|datasets", help="What to list.")
    ],
) -> None:
    """Print the names of all synthesizers, attacks, metrics or datasets, with a line on each."""
    if kind not in _ROWS:
        raise InputError(unknown("list", kind, _ROWS))
    rows = _ROWS[kind]()
    width = max(len(name) for name, _ in rows)
    for name, description in rows:
        print(f"{name:<{width}}  {description}")


def _synthesizers() -> list[tuple[str, str]]:
    from dp_synth.synthesizers import SYNTHESIZERS

    return [(name, _first_line(kind)) for name, kind in SYNTHESIZERS.items()]


def _attacks() -> list[tuple[str, str]]:
    from dp_synth.attacks import ATTACKS

    return [
        (name, f"{_first_line(kind)} [{kind.measures}; needs {kind.needs_in_words()}]")
        for name, kind in ATTACKS.items()
    ]


def _metrics() -> list[tuple[str, str]]:
    from dp_synth.metrics import METRICS

    return [
        (name, f"{metric.description} [{metric.better} is better]")
        for name, metric in METRICS.items()
    ]


def _datasets() -> list[tuple[str, str]]:
    from dp_synth.datasets import describe, names

    return [(name, describe(name)) for name in names()]


def _first_line(kind: type) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0]


_ROWS = {
    "synthesizers": _synthesizers,
    "attacks": _attacks,
    "metrics": _metrics,
    "datasets": _datasets,
}
