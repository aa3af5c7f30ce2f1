"""What a cell ran on, as far as its numbers may depend on it; no name of any machine."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")  # of Linux, where platform.processor() names the family alone


@dataclass(frozen=True)
class Machine:
    """A processor's model; and torch's version and vector instructions where it was loaded.

    Sums of floating-point numbers depend on the instructions that they are taken with, and a
    training carries that on.
    """

    processor: str = ""
    torch: str = ""
    kernels: str = ""  # such as "AVX2", in torch's words

    @classmethod
    def here(cls) -> Machine:
        """Return the machine of this process; torch is not loaded for it."""
        torch = sys.modules.get("torch")
        if torch is None:
            return cls(processor())
        return cls(processor(), str(torch.__version__), torch.backends.cpu.get_cpu_capability())

    def __str__(self) -> str:
        """Return the line's worth of it.

        >>> print(Machine("A Fast One", "2.13.0+cpu", "AVX2"), Machine(), sep="; ")
        A Fast One, torch 2.13.0+cpu, AVX2; a machine that is not recorded
        """
        torch = f"torch {self.torch}" if self.torch else ""
        known = [word for word in (self.processor, torch, self.kernels) if word]
        return ", ".join(known) or "a machine that is not recorded"


UNKNOWN = Machine()


def processor(source: Path = CPU_INFO) -> str:
    """Return the model of the processor, its architecture where the system does not say."""
    try:
        lines = source.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return " ".join(value.split())
    return platform.processor() or platform.machine()
