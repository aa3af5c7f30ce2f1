"""The former address of `dp_synth.mechanisms.PrivateTable`, which stays for one version."""

from dp_synth.mechanisms import PrivateTable

__all__ = ["PrivateTable"]
