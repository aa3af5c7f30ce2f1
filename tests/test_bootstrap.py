"""Standard errors of a release's marginals: as large as its estimates really are off."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dp_synth.accounting import PrivacyBudget
from dp_synth.errors import InputError
from dp_synth.inference import junction_tree
from dp_synth.schema import Schema
from dp_synth.synthesizers import AIM, MST, SYNTHESIZERS, CliqueTree, Independent
from dp_synth.transcript import measured

BUDGET = PrivacyBudget(1.0, 1e-6)
SCHEMA = Schema.from_dict(
    {
        "name": "made",
        "columns": [
            {"name": "a", "type": "integer", "lower": 0, "upper": 9},
            {"name": "b", "type": "categorical", "categories": ["x", "y", "z"]},
            {"name": "c", "type": "categorical", "categories": ["x", "y", "z", "w"]},
        ],
    }
)


def made_frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 10, 3_000)
    b = (a // 4 + rng.integers(0, 2, 3_000)) % 3
    c = (b + rng.integers(0, 3, 3_000)) % 4
    return pd.DataFrame({"a": a, "b": np.array(list("xyz"))[b], "c": np.array(list("xyzw"))[c]})


FRAME = made_frame()
CODES = SCHEMA.encode(FRAME)


def exact_marginal(clique):
    table = np.zeros(SCHEMA.domain.shape(clique))
    np.add.at(table, tuple(CODES[:, SCHEMA.domain.axis(name)] for name in clique), 1)
    return table


# Networks are not refitted to answers, so that they have no standard errors.
NETWORKS = ("dpgan", "dpctgan", "marginal_generator", "pategan", "patectgan")
REFITTED = {name: kind for name, kind in SYNTHESIZERS.items() if name not in NETWORKS}


@pytest.mark.parametrize("synthesizer", REFITTED.values(), ids=list(REFITTED))
def test_measured_marginals_are_off_by_about_their_standard_errors(synthesizer) -> None:
    away = []
    for seed in range(2):
        release = synthesizer().fit(FRAME, SCHEMA, BUDGET, seed=seed)
        for clique in {clique for clique in measured(release.transcript) if clique}:
            found = release.marginal(clique)
            assert found.counts.shape == found.stderr.shape == SCHEMA.domain.shape(clique)
            away.append(((found.counts - exact_marginal(clique)) / found.stderr).ravel())
    assert 0.5 < np.sqrt(np.mean(np.square(np.concatenate(away)))) < 2


def test_errors_of_one_way_marginals_without_pairs_are_those_of_the_noise() -> None:
    release = Independent().fit(FRAME, SCHEMA, BUDGET, seed=0)
    stddev = release.transcript[0].stddev
    ratio = release.marginal(["a"]).stderr / stddev
    # A root mean square of 20 normal numbers: between 0.45 and 1.65 but for one in a million.
    assert ((ratio > 0.4) & (ratio < 1.7)).all()


def test_a_count_that_was_cut_at_zero_has_the_error_of_its_noise() -> None:
    release = Independent().fit(FRAME.head(20), SCHEMA, BUDGET, seed=0)
    for name in SCHEMA.domain:
        found = release.marginal([name])
        near_zero = found.counts < release.transcript[0].stddev
        assert (found.stderr[near_zero] >= release.transcript[0].stddev).all()


def test_errors_shrink_as_epsilon_grows() -> None:
    small, large = (
        MST().fit(FRAME, SCHEMA, PrivacyBudget(epsilon, 1e-6), seed=0).marginal(["a", "b"])
        for epsilon in (0.5, 10)
    )
    assert large.stderr.mean() < 0.3 * small.stderr.mean()


def test_attributes_that_were_not_measured_together_have_counts_and_errors_too() -> None:
    release = CliqueTree().fit(FRAME, SCHEMA, BUDGET, seed=0)
    whole = release.marginal(["c", "a", "b"])
    assert whole.counts.shape == (4, 10, 3)
    assert (whole.stderr > 0).all()
    pair = release.marginal(["a", "c"])
    assert pair.counts == pytest.approx(whole.counts.sum(axis=2).T)
    assert release.marginal([]).counts == pytest.approx(release.model.total)
    assert release.marginal([]).stderr > 0


def test_the_same_release_states_the_same_errors_and_computes_them_once(monkeypatch) -> None:
    releases = [AIM().fit(FRAME, SCHEMA, BUDGET, seed=2) for _ in range(2)]
    one, other = (release.marginal(["a", "b"]).stderr for release in releases)
    assert np.array_equal(one, other)
    monkeypatch.setattr("dp_synth.release.replicas", None)
    assert np.array_equal(releases[0].marginal(["b", "a"]).stderr.T, one)


@pytest.mark.parametrize(
    ("clique", "said"),
    [
        (["a", "job"], "no column 'job'; there are: a, b, c"),
        (["a", "a"], "names each column once"),
        (["a", "b", "c"], "has 120 cells, at most 100 are allowed"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_one_line(clique, said, monkeypatch) -> None:
    release = Independent().fit(FRAME, SCHEMA, BUDGET, seed=0)
    monkeypatch.setattr("dp_synth.release.MAX_CELLS", 100)
    with pytest.raises(InputError, match=said) as raised:
        release.marginal(clique)
    assert "\n" not in str(raised.value)
    assert junction_tree.MAX_CELLS > 120
