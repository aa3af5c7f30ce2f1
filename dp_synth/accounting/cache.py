"""Calibrated scales, kept on disk between runs: public numbers, checked again when read."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path

from dp_synth._version import __version__
from dp_synth.files import written_whole
from dp_synth.readers import read_json

VARIABLE = "DP_SYNTH_CACHE"
"""The environment variable that names another folder; empty, nothing is kept."""

LARGEST = 1e12  # a cost that no budget of use comes to; more is damage


def read(key: str) -> float | None:
    """Return what was kept under ``key``; None when nothing readable was."""
    path = _path(key)
    if path is None:
        return None
    try:
        kept = read_json(path)
        text = kept.get("value") if isinstance(kept, dict) and kept.get("key") == key else None
        value = float.fromhex(text) if isinstance(text, str) else 0.0
    except (ValueError, OverflowError):
        return None
    return value if 0 < value < LARGEST else None


def write(key: str, value: float) -> None:
    """Keep ``value`` under ``key``; a disk that refuses is no reason to stop."""
    path = _path(key)
    if path is None:
        return
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as passing:
            passing.write_text(json.dumps({"key": key, "value": value.hex()}), encoding="utf-8")


def _path(key: str) -> Path | None:
    folder = os.environ.get(VARIABLE)
    if folder is None:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = str(Path(home) / "dp_synth" / "calibration")
    if not folder:
        return None
    digest = hashlib.sha256(f"{__version__}\0{key}".encode()).hexdigest()
    return Path(folder) / f"{digest}.json"
