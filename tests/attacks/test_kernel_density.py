import numpy as np
import pandas as pd
import pytest
from scipy.stats import gaussian_kde

from dp_synth.attacks import AttackerView, KernelDensityRatio, kernel_density
from dp_synth.attacks.kernel_density import KernelDensity, Standardised
from dp_synth.errors import InputError
from dp_synth.schema import Schema

SCHEMA = Schema.from_dict(
    {
        "name": "t",
        "columns": [
            {"name": "x", "type": "real", "lower": -9, "upper": 9},
            {"name": "y", "type": "real", "lower": -9, "upper": 9, "missing": [""]},
            {"name": "c", "type": "categorical", "categories": ["a", "b", "never"]},
        ],
    }
)


def table(n, seed):
    rng = np.random.default_rng(seed)
    y = rng.standard_normal(n).round(3).astype(str).astype(object)
    y[rng.random(n) < 0.2] = ""
    return pd.DataFrame({"x": rng.standard_normal(n), "y": y, "c": rng.choice(["a", "b"], n)})


def test_without_a_ridge_the_density_is_scipys():
    rng = np.random.default_rng(0)
    points = rng.standard_normal((60, 3)) @ rng.standard_normal((3, 3))
    targets = rng.standard_normal((10, 3))
    expected = gaussian_kde(points.T).logpdf(targets.T)
    density = KernelDensity.of(points, ridge=1e-14)
    np.testing.assert_allclose(density.log_density(targets), expected, rtol=1e-9)


def test_blocks_change_nothing(monkeypatch):
    points, targets = np.random.default_rng(0).standard_normal((2, 50, 3))
    whole = KernelDensity.of(points).log_density(targets)
    monkeypatch.setattr(kernel_density, "BLOCK_CELLS", 70)
    np.testing.assert_allclose(KernelDensity.of(points).log_density(targets), whole, rtol=1e-12)


def test_numbers_are_standardised_by_one_table_and_categories_are_one_hot():
    frame = pd.DataFrame({"x": [0.0, 2.0], "y": ["1", ""], "c": ["a", "b"]})
    points = Standardised.from_frame(SCHEMA, frame).points(frame)
    # x, y, whether y is missing, and one coordinate a category
    expected = [[-1, 0, 0, 1, 0, 0], [1, 0, 1, 0, 1, 0]]
    np.testing.assert_allclose(points, expected)


def test_the_score_is_the_log_ratio_of_two_densities():
    targets, synthetic, reference = table(10, 0), table(40, 1), table(50, 2)
    points = Standardised.from_frame(SCHEMA, reference).points
    expected = [
        KernelDensity.of(points(frame), 0.1).log_density(points(targets))
        for frame in (synthetic, reference)
    ]
    view = AttackerView(synthetic, SCHEMA, reference)
    scores = KernelDensityRatio(ridge=0.1).scores(targets, view)
    np.testing.assert_allclose(scores, expected[0] - expected[1])


@pytest.mark.parametrize("rows", [1, 2])
def test_singular_covariances_are_no_obstacle(rows):
    alike = pd.DataFrame({"x": [1.0] * rows, "y": ["1"] * rows, "c": ["never"] * rows})
    for synthetic, reference in ((alike, table(9, 0)), (table(9, 0), alike), (alike, alike)):
        view = AttackerView(synthetic, SCHEMA, reference)
        assert np.isfinite(KernelDensityRatio().scores(table(5, 1), view)).all()


def test_a_category_that_only_the_synthetic_table_has_scores_high():
    odd = table(5, 3).assign(c="never")
    view = AttackerView(pd.concat([table(50, 0), odd]), SCHEMA, table(50, 1))
    scores = KernelDensityRatio().scores(pd.concat([odd, table(20, 4)]), view)
    assert scores[:5].min() > scores[5:].max()


def test_a_ridge_of_nothing_is_refused():
    with pytest.raises(InputError, match="ridge must be above 0, got 0"):
        KernelDensityRatio(ridge=0.0)
