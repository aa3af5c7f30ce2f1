"""Valid files of every format, written once for all tests that change them."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpus import make


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("valid") / "files")
