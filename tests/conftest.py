"""What every test shares: calibrated scales are kept apart from the user's own."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from dp_synth.accounting import calibration


@pytest.fixture(scope="session", autouse=True)
def calibration_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep calibrated scales in a folder of the run's own, for its workers and subprocesses."""
    base = tmp_path_factory.getbasetemp()
    run = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(calibration.CACHE_VARIABLE, str(run / "calibration"))
        yield
