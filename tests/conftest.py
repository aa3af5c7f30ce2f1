"""What every test shares: calibrated scales apart from the user's own, costs, a frozen heap."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from functools import lru_cache

import pytest

from dp_synth.accounting import budget, calibration, privacy_profile


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


@pytest.fixture(scope="session", autouse=True)
def one_conversion_each() -> Iterator[None]:
    """Minimise over orders once for each cost and epsilon: fits of one budget ask for the same."""
    found = lru_cache(maxsize=2**16)(budget.zcdp_delta)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(budget, "zcdp_delta", found)
        patch.setattr(privacy_profile, "zcdp_delta", found)
        yield
