"""`dp-synth peers`: make the environments of other libraries, and say which are there."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from dp_synth.display import one_line

if TYPE_CHECKING:
    from dp_synth.benchmark.peers import Environment


def install(
    name: Annotated[str, typer.Argument(help="A peer, as `dp-synth peers list` names it.")],
) -> None:
    """Make an environment for the peer NAME from pinned packages; an older one is replaced."""
    from dp_synth.benchmark.peers import environments

    print(one_line(f"making the environment of {name}: this takes minutes"), file=sys.stderr)
    made = environments.install(name)
    print(f"{name}: Python {made.python}, {_main_versions(made)}, in {made.interpreter}")


def listing() -> None:
    """Print every peer: its methods, and its versions where it is installed."""
    from dp_synth.benchmark.peers import PEERS, environments
    from dp_synth.benchmark.peers.registry import PeerError

    width = max(map(len, PEERS))
    for name, peer in PEERS.items():
        try:
            made = environments.environment(name)
            state = f"Python {made.python}, {_main_versions(made)}"
        except PeerError as error:
            state = str(error)
        print(f"{name:<{width}}  {', '.join(peer.methods)}")
        print(f"{'':<{width}}  {state}")


def _main_versions(made: Environment) -> str:
    from dp_synth.benchmark.peers import PEERS

    asked = [text.split("==")[0] for text in PEERS[made.peer].requirements] or ["dp_synth"]
    return ", ".join(f"{name} {made.versions[name]}" for name in asked if name in made.versions)
