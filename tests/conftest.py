"""What every test shares: calibrated scales kept apart from the user's own, a frozen heap."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest

from dp_synth.accounting import calibration


def pytest_collection_finish() -> None:
    """Leave what was imported and collected out of every later search for garbage."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Let all of it be collected when the interpreter ends, as libraries expect."""
    gc.unfreeze()


@pytest.fixture(scope="session", autouse=True)
def calibration_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep calibrated scales in a folder of the run's own, for its workers and subprocesses."""
    base = tmp_path_factory.getbasetemp()
    run = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(calibration.CACHE_VARIABLE, str(run / "calibration"))
        yield
