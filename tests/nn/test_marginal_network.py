"""A generator of rows reaches the marginals that it is trained on, whatever graph they make."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from dp_synth.domain import Domain
from dp_synth.transcript import Measurement

torch = pytest.importorskip("torch", reason="the extra deep is not installed")

from dp_synth.nn.marginal_network import MarginalTargets, RowGenerator, Training, fit_rows  # noqa: E402

DOMAIN = Domain(("a", "b", "c"), (3, 2, 4))
TRAINING = Training(rows=48, width=32, steps=250)


def made_measurements(stddev: float = 1.0) -> tuple[list[Measurement], list[Measurement]]:
    """All three pairs of one table: a cycle, which is no tree."""
    table = np.random.default_rng(0).dirichlet(np.full(24, 0.3)).reshape(DOMAIN.sizes) * 1000
    cliques = [(name,) for name in DOMAIN] + list(combinations(DOMAIN, 2))
    found = []
    for clique in cliques:
        others = tuple(i for i, name in enumerate(DOMAIN) if name not in clique)
        found.append(Measurement(clique, table.sum(axis=others), stddev))
    return found[:3], found[3:]


def test_training_brings_ones_and_all_pairs_of_a_cycle_to_what_was_measured() -> None:
    ones, pairs = made_measurements()
    model = fit_rows(DOMAIN, ones, pairs, TRAINING, np.random.default_rng(0))
    assert model.total == pytest.approx(1000)
    for one in ones:
        assert np.abs(model.marginal(one.clique) - one.values).sum() < 0.5
    for pair in pairs:
        assert np.abs(model.marginal(pair.clique) - pair.values).sum() < 20


def test_the_error_is_the_precision_weighted_square_of_what_is_missed() -> None:
    ones, pairs = made_measurements(stddev=2.0)
    targets = MarginalTargets.of(DOMAIN, ones, pairs)
    rows = torch.rand(5, 9)
    for start, end in ((0, 3), (3, 5), (5, 9)):
        rows[:, start:end] /= rows[:, start:end].sum(dim=1, keepdim=True)
    whole = rows.numpy().astype(float)
    blocks = {"a": slice(0, 3), "b": slice(3, 5), "c": slice(5, 9)}
    slow = 0.0
    for one in ones:
        slow += np.square(whole[:, blocks[one.clique[0]]].mean(0) - one.values / 1000).sum()
    for pair in pairs:
        first, second = (blocks[name] for name in pair.clique)
        slow += np.square(whole[:, first].T @ whole[:, second] / 5 - pair.values / 1000).sum()
    assert float(targets.loss("cpu")(rows)) == pytest.approx(slow, rel=1e-4)


def test_pairs_of_more_noise_weigh_less() -> None:
    ones, pairs = made_measurements()
    noisy = Measurement(pairs[0].clique, pairs[0].values + 300, 1000.0)
    model = fit_rows(DOMAIN, ones, [noisy, *pairs[1:]], TRAINING, np.random.default_rng(0))
    assert np.abs(model.marginal(pairs[1].clique) - pairs[1].values).sum() < 20


def test_one_seed_gives_one_model_and_the_global_generator_is_left_alone() -> None:
    before = torch.random.get_rng_state()
    ones, pairs = made_measurements()
    short = Training(rows=8, width=4, steps=3)
    first, again, other = (
        fit_rows(DOMAIN, ones, pairs, short, np.random.default_rng(seed)) for seed in (0, 0, 1)
    )
    assert first.tables[0].tobytes() == again.tables[0].tobytes() != other.tables[0].tobytes()
    assert torch.equal(before, torch.random.get_rng_state())


def test_an_error_that_is_no_number_stops_the_training_and_says_where() -> None:
    ones, pairs = made_measurements()
    short = Training(rows=4, width=4, steps=5)
    start = MarginalTargets.of(DOMAIN, ones, pairs).ones
    generator = RowGenerator.of(DOMAIN.sizes, start, short, seed=0)
    with pytest.raises(FloatingPointError, match=r"step 1 of 5.*stays charged"):
        generator.train(lambda rows: rows.sum() * torch.nan, short)
