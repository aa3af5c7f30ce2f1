"""`dp-synth list` and `dp-synth peers`: what can be named, and the environments of peers."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from dp_synth.cli.outputs import aligned
from dp_synth.errors import InputError
from dp_synth.extensions import unknown
from dp_synth.formatting import one_line

if TYPE_CHECKING:
    from dp_synth.benchmark.peers import Environment


def listing(
    kind: Annotated[
        str, typer.Argument(metavar="synthesizers|attacks|metrics|datasets", help="What to list.")
    ],
) -> None:
    """Print the names of all synthesizers, attacks, metrics or datasets, with a line on each."""
    if kind not in _ROWS:
        raise InputError(unknown("list", kind, _ROWS))
    for line in aligned(_ROWS[kind]()):
        print(line)


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

    said = {name: f"{one.description} [{one.better} is better]" for name, one in METRICS.items()}
    return list(said.items())


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


def install_peer(
    name: Annotated[str, typer.Argument(help="A peer, as `dp-synth peers list` names it.")],
) -> None:
    """Make an environment for the peer NAME from pinned packages; an older one is replaced."""
    from dp_synth.benchmark.peers import environments

    print(one_line(f"making the environment of {name}: this takes minutes"), file=sys.stderr)
    made = environments.install(name)
    print(f"{name}: Python {made.python}, {_main_versions(made)}, in {made.interpreter}")


def list_peers() -> None:
    """Print every peer: its methods, and its versions where it is installed."""
    from dp_synth.benchmark.peers import PEERS, PeerError, environments

    rows: list[tuple[str, str]] = []
    for name, peer in PEERS.items():
        try:
            made = environments.environment(name)
            state = f"Python {made.python}, {_main_versions(made)}"
        except PeerError as error:
            state = str(error)
        rows += [(name, ", ".join(peer.methods)), ("", state)]
    for line in aligned(rows):
        print(line)


def _main_versions(made: Environment) -> str:
    from dp_synth.benchmark.peers import PEERS

    asked = [text.split("==")[0] for text in PEERS[made.peer].requirements] or ["dp_synth"]
    return ", ".join(f"{name} {made.versions[name]}" for name in asked if name in made.versions)
