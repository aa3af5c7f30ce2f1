import numpy as np
import pandas as pd
import pytest

from dp_synth.attacks import AttackerView, GenLRA
from dp_synth.attacks.density import KernelDensity, _largest, likelihood_gains, squares
from dp_synth.errors import InputError
from dp_synth.schema import Schema

RNG = np.random.default_rng(0)
REFERENCE, ROWS, POINTS = RNG.standard_normal((80, 4)), RNG.random((60, 4)), RNG.random((15, 4))


def refitted(point, rows, density, nearest):
    """The gain as the density's sum is taken again with one point more."""
    one, centres = density.whiten(point[None]), density.whiten(rows)
    near = rows[np.argsort(squares(one, centres)[0])[:nearest]]
    weights = np.append(density.weights, 1.0)
    more = KernelDensity(density.root, np.concatenate([density.whitened, one]), weights)
    return float((more.log_density(near) - density.log_density(near)).sum())


@pytest.mark.parametrize("nearest", [1, 20, 60, 1000])
def test_the_gain_is_that_of_fitting_again(nearest):
    density = KernelDensity.of(REFERENCE)
    expected = [refitted(point, ROWS, density, nearest) for point in POINTS]
    gains = likelihood_gains(POINTS, ROWS, density, nearest)
    np.testing.assert_allclose(gains, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("count", [1, 3, 50])
@pytest.mark.parametrize("few", [2, 1000])
def test_the_largest_of_each_row_are_those_of_sorting(count, few):
    values = np.random.default_rng(0).integers(0, few, (20, 997)).astype(float)
    found = np.take_along_axis(values, _largest(values, count), axis=1)
    np.testing.assert_array_equal(np.sort(found), np.sort(values)[:, -count:])
    assert all(len(set(places)) == count for places in _largest(values, count).tolist())


def test_blocks_change_nothing(monkeypatch):
    density = KernelDensity.of(REFERENCE)
    whole = likelihood_gains(POINTS, ROWS, density, 20)
    monkeypatch.setattr("dp_synth.attacks.density.HELD", 130)
    np.testing.assert_allclose(likelihood_gains(POINTS, ROWS, density, 20), whole, rtol=1e-12)


def test_far_points_and_far_rows_give_finite_gains():
    density = KernelDensity.of(REFERENCE)
    far = np.full((1, 4), 1e4)
    gains = likelihood_gains(np.concatenate([far, POINTS]), np.concatenate([far, ROWS]), density, 5)
    assert np.isfinite(gains).all()
    assert gains.argmax() == 0  # the row there is unlikely, were the point not in the reference


@pytest.mark.parametrize(("rows", "others"), [(0, 5), (5, 0), (1, 1)])
def test_small_tables_give_finite_scores(rows, others):
    schema = Schema.from_dict(
        {"name": "t", "columns": [{"name": "x", "type": "real", "lower": 0, "upper": 1}]}
    )
    x = pd.DataFrame({"x": np.linspace(0, 1, 5)})
    view = AttackerView(x.head(rows), schema, x.tail(others))
    assert np.isfinite(GenLRA().scores(x, view)).all()


@pytest.mark.parametrize("settings", [{"nearest": 0}, {"ridge": -1.0}])
def test_settings_without_meaning_are_refused(settings):
    with pytest.raises(InputError, match=next(iter(settings))):
        GenLRA(**settings)
