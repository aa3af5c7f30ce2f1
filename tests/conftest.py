"""What every test shares: calibrated scales are kept apart from the user's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dp_synth.accounting import cache


@pytest.fixture(scope="session", autouse=True)
def calibration_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep calibrated scales in a folder of the session's own, for subprocesses as well."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(cache.VARIABLE, str(tmp_path_factory.mktemp("calibration")))
        yield
