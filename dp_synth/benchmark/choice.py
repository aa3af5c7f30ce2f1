"""A synthesizer as a grid names it: one of ours, one that is found elsewhere, or a peer."""

from __future__ import annotations

import dataclasses

from pydantic import Field, JsonValue, TypeAdapter, ValidationError, model_validator

from dp_synth import extensions
from dp_synth.benchmark import peers
from dp_synth.benchmark.grid_file import reason
from dp_synth.benchmark.grid_types import Part
from dp_synth.synthesizers import synthesizer_named


class SynthesizerChoice(Part):
    """A synthesizer by name and the fields that are set to other than their defaults.

    The name is one of ours, that of an entry point, ``module:Class``, or ``peer/method``. With
    ``command`` it is a peer that this command speaks for, by the folder protocol.
    """

    name: str
    set: dict[str, JsonValue] = Field(default_factory=dict)
    command: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _is_known(self) -> SynthesizerChoice:
        self.settings()
        return self

    @property
    def is_peer(self) -> bool:
        """Whether another process fits, and says itself what it spent."""
        return peers.names_peer(self.name)

    def settings(self) -> dict[str, object]:
        """Return every field of the synthesizer, defaults included; ValueError for a bad one."""
        if self.is_peer:
            if self.command:
                peers.split_name(self.name)
                return {**self.set, "command": list(self.command)}
            peers.check_name(self.name)
            return dict(self.set)
        if self.command:
            raise ValueError("command: is for peers, whose names are like 'mine/method'")
        kind = synthesizer_named(self.name)
        names = [field.name for field in dataclasses.fields(kind)]
        for name in self.set:
            if name not in names:
                fields = extensions.nearest(name, names)
                raise ValueError(f"set.{name}: no field {name!r} in {self.name!r}; {fields}")
        try:
            made = TypeAdapter(kind).validate_python(self.set)
        except TypeError as error:
            raise ValueError(f"set: {reason(str(error))}") from None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(["set", *map(str, first["loc"])])
            raise ValueError(f"{where}: {reason(first['msg'])}") from None
        return dataclasses.asdict(made)

    def code(self) -> str:
        """Return what tells versions of the synthesizer apart, "" for one of this package."""
        if self.command:
            return peers.code_of(self.command)
        if self.is_peer:
            return _version_of_peer(peers.split_name(self.name)[0])
        return extensions.code_of(synthesizer_named(self.name))


def _version_of_peer(peer: str) -> str:
    """Return what tells a peer's environments apart; once it is installed, its cells are others."""
    try:
        return peers.version_of(peer)
    except peers.PeerError:
        return "not installed"
