"""Print what scripts rely on: public names, and the options of every command with their defaults.

``surface.py > surface.json`` freezes them; later versions may add to it, and take nothing away.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import MISSING, fields
from inspect import ismodule
from typing import Any

import typer

import dp_synth
from dp_synth.cli import app


def names() -> dict[str, list[str]]:
    """Return the public names of the package and of each package in it."""
    public = {name: getattr(dp_synth, name) for name in dp_synth.__all__}
    packages = {name: part for name, part in public.items() if ismodule(part)}
    return {
        "dp_synth": sorted(dp_synth.__all__),
        **{name: sorted(package.__all__) for name, package in packages.items()},
    }


def options() -> dict[str, dict[str, object]]:
    """Return the arguments and options of each command, and what they are where left out."""
    return dict(_commands("dp-synth", typer.main.get_command(app)))


def settings() -> dict[str, dict[str, object]]:
    """Return the settings of each synthesizer, and what they are where left out."""
    return {
        name: {
            field.name: repr(field.default) if field.default is not MISSING else "computed"
            for field in fields(kind)
        }
        for name, kind in sorted(dp_synth.synthesizers.SYNTHESIZERS.items())
    }


def registries() -> dict[str, list[str]]:
    """Return the names by which methods are called in grids and on the command line."""
    return {
        "synthesizers": sorted(dp_synth.synthesizers.SYNTHESIZERS),
        "attacks": sorted(dp_synth.attacks.ATTACKS),
        "metrics": sorted(dp_synth.metrics.METRICS),
    }


def _commands(path: str, command: Any) -> Iterator[tuple[str, dict[str, object]]]:
    if inside := getattr(command, "commands", None):
        for name, inner in sorted(inside.items()):
            yield from _commands(f"{path} {name}", inner)
        return
    yield (
        path,
        {"/".join(sorted(parameter.opts)): repr(parameter.default) for parameter in command.params},
    )


if __name__ == "__main__":
    frozen = {
        "names": names(),
        "registries": registries(),
        "settings": settings(),
        "options": options(),
    }
    print(json.dumps(frozen, indent=1))
