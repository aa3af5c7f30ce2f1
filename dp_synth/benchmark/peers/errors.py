"""What goes wrong with libraries that are not ours."""

from dp_synth.errors import InputError


class PeerError(InputError):
    """A peer is unknown, not installed, failed, or gave what is no answer; the line says which."""
