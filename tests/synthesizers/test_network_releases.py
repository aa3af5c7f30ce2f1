"""Releases of networks: mixtures that are kept, read and sampled without torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_settings import SMALL, small

from dp_synth.accounting import PrivacyBudget
from dp_synth.schema import Schema
from dp_synth.synthesizers import Release

SCHEMA = Schema.from_dict(
    {
        "name": "t",
        "columns": [
            {"name": "a", "type": "ordinal", "size": 4},
            {"name": "b", "type": "categorical", "categories": ["x", "y"]},
        ],
    }
)


@pytest.mark.parametrize("name", list(SMALL))
def test_a_kept_release_gives_the_same_rows_and_has_no_standard_errors(
    name: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.integers(0, 4, 400), "b": rng.choice(["x", "y"], 400)})
    release = small(name).fit(frame, SCHEMA, PrivacyBudget(1.0, 1e-6), seed=0)
    release.save(tmp_path / "release.npz")
    again = Release.load(tmp_path / "release.npz")
    assert again.sample(50, seed=1).equals(release.sample(50, seed=1))
    given = again.sample(20, seed=1, given={"b": "x"})
    assert set(given["b"]) == {"x"}
    found = again.marginal(["a", "b"])
    assert found.counts.sum() == pytest.approx(release.model.total)
    assert np.isnan(found.stderr).all()
