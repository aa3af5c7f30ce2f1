import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import gaussian_kde

from dp_synth.attacks import AttackerView, GenLRA, KernelDensityRatio
from dp_synth.attacks.density import KernelDensity, Standardised
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
    monkeypatch.setattr("dp_synth.attacks.density.BLOCK_CELLS", 70)
    np.testing.assert_allclose(KernelDensity.of(points).log_density(targets), whole, rtol=1e-12)


def plain_log_density(density, centres, points):
    """The definition: the squared distance of each point to each centre, in its metric."""
    away = density.whiten(points)[:, None] - density.whiten(centres)
    peaks = density.log_peak - np.log(len(centres))
    return logsumexp(-(away**2).sum(axis=2) / 2, axis=1) + peaks


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.lists(st.sampled_from(["number", "few", "constant", "category"]), min_size=1, max_size=5),
    st.integers(0, 60),
    st.integers(1, 80),
    st.sampled_from([50, 200_000]),
    st.integers(0, 2**32),
)
def test_densities_of_mixed_points_are_those_of_all_pairs(kinds, targets, records, block, seed):
    rng = np.random.default_rng(seed)
    draw = {
        "number": lambda n: rng.standard_normal((n, 1)),
        "few": lambda n: rng.integers(-1, 2, (n, 1)).astype(float),
        "constant": lambda n: np.ones((n, 1)),
        "category": lambda n: np.eye(5)[rng.integers(0, 5, n)],
    }
    points, centres = (
        np.concatenate([draw[kind](n) for kind in kinds], axis=1) for n in (targets, records)
    )
    density = KernelDensity.of(centres)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dp_synth.attacks.density.ALIKE", 7)
        patch.setattr("dp_synth.attacks.density.BLOCK_CELLS", block)
        found = density.log_density(points)
    np.testing.assert_allclose(
        found, plain_log_density(density, centres, points), rtol=1e-9, atol=1e-9
    )


def test_a_point_far_from_all_kernels_has_a_density_all_the_same():
    centres = np.random.default_rng(0).standard_normal((50, 3))
    density = KernelDensity.of(centres)
    points = np.array([[0.0, 0.0, 0.0], [1e3, 0.0, 0.0], [20.0, 20.0, 20.0]])
    expected = plain_log_density(density, centres, points)
    np.testing.assert_allclose(density.log_density(points), expected, rtol=1e-9)


def test_a_density_holds_no_table_of_all_pairs():
    rng = np.random.default_rng(0)
    points, centres = rng.standard_normal((2, 3000, 4))
    density = KernelDensity.of(centres)
    tracemalloc.start()
    density.log_density(points)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 9_000_000  # a byte for each pair


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


def test_equal_targets_have_equal_scores_in_their_places():
    targets = table(6, 0)
    view = AttackerView(table(40, 1), SCHEMA, table(50, 2))
    order = np.random.default_rng(0).integers(0, 6, 30)
    again = targets.iloc[order]
    for attack in (KernelDensityRatio(), GenLRA(nearest=3)):
        expected = attack.scores(targets, view)[order]
        np.testing.assert_allclose(attack.scores(again, view), expected, rtol=1e-9)
