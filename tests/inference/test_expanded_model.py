"""A model over groups of codes, against the joint table of all codes written out."""

import numpy as np
import pytest
from scipy.stats import chisquare
from whole_tables import marginal_of, over_seeds, random_model

from dp_synth.domain import Domain
from dp_synth.inference import RefinedModel

TOTAL = 50.0


def random_refinement(rng):
    """A refined model, and the probabilities of all cells of its fine domain."""
    coarse, joint = random_model(rng)
    groups, shares, sizes = {}, {}, list(coarse.domain.sizes)
    for axis, attribute in enumerate(coarse.domain):
        if rng.random() < 0.7:
            of = np.concatenate([np.arange(sizes[axis]), rng.integers(0, sizes[axis], 3)])
            group = rng.permutation(of).astype(np.int32)
            share = rng.random(group.size) * (rng.random(group.size) < 0.8) + 1e-3
            share /= np.bincount(group, weights=share)[group]
            sizes[axis] = group.size
            groups[attribute], shares[attribute] = group, share
            joint = np.moveaxis(np.moveaxis(joint[...], axis, -1)[..., group] * share, -1, axis)
    domain = Domain(coarse.domain.attributes, tuple(sizes))
    return RefinedModel(coarse, domain, groups, shares), joint


def some_cliques(rng, domain):
    return [tuple(rng.permutation(domain.attributes)[:n].tolist()) for n in (1, 2, 3)]


@over_seeds(50)
def test_marginals_are_those_of_the_joint_written_out(seed):
    rng = np.random.default_rng(seed)
    model, joint = random_refinement(rng)
    for clique in some_cliques(rng, model.domain):
        expected = TOTAL * marginal_of(model.domain, joint, clique)
        np.testing.assert_allclose(model.marginal(clique), expected, atol=1e-9)


@over_seeds(50)
def test_conditioning_weighs_the_joint_written_out(seed):
    rng = np.random.default_rng(seed)
    model, joint = random_refinement(rng)
    weights = {a: rng.random(model.domain.size(a)) for a in model.domain if rng.random() < 0.6}
    for attribute, weight in weights.items():
        if weight.size > 2:
            weight[rng.integers(weight.size)] = 0.0
        joint = joint * weight.reshape([-1 if a == attribute else 1 for a in model.domain])
    picked = model.conditioned(weights)
    assert picked.total == pytest.approx(TOTAL * joint.sum())
    for clique in some_cliques(rng, model.domain):
        expected = TOTAL * marginal_of(model.domain, joint, clique)
        np.testing.assert_allclose(picked.marginal(clique), expected, atol=1e-9)


def test_conditioning_on_one_code_leaves_no_other():
    model, _ = random_refinement(np.random.default_rng(3))
    attribute = next(iter(model.groups))
    weight = np.zeros(model.domain.size(attribute))
    weight[1] = 1.0
    codes = model.conditioned({attribute: weight}).sample(200, np.random.default_rng(0))
    assert set(codes[:, model.domain.axis(attribute)]) == {1}


@over_seeds(8)
def test_rows_follow_the_joint_written_out(seed):
    rng = np.random.default_rng(seed)
    model, joint = random_refinement(rng)
    rows = model.sample(20_000, rng)
    for clique in some_cliques(rng, model.domain):
        counts = np.zeros(model.domain.shape(clique))
        np.add.at(counts, tuple(rows[:, model.domain.axis(a)] for a in clique), 1)
        expected = len(rows) * marginal_of(model.domain, joint, clique)
        rare = expected < 5
        counts, expected = (np.append(t[~rare], t[rare].sum() + 5) for t in (counts, expected))
        assert len(counts) == 1 or chisquare(counts, expected).pvalue > 1e-6


def test_each_drawn_code_is_of_the_group_that_was_drawn_and_has_a_share():
    rng = np.random.default_rng(0)
    for _ in range(50):
        model, _ = random_refinement(rng)
        for attribute, share in model.shares.items():
            share[:] = np.where(share < 0.01, 0.0, share)
            held = np.bincount(model.groups[attribute], weights=share)
            share[:] /= held[model.groups[attribute]]
        seed = int(rng.integers(2**31))
        coarse = model.coarse.sample(300, np.random.default_rng(seed))
        fine = model.sample(300, np.random.default_rng(seed))
        for axis, attribute in enumerate(model.domain):
            if attribute not in model.groups:
                np.testing.assert_array_equal(fine[:, axis], coarse[:, axis])
                continue
            group, share = model.groups[attribute], model.shares[attribute]
            np.testing.assert_array_equal(group[fine[:, axis]], coarse[:, axis])
            assert (share[fine[:, axis]] > 0).all()


@over_seeds(20)
def test_a_model_comes_back_from_its_arrays(seed):
    model, _ = random_refinement(np.random.default_rng(seed))
    again = RefinedModel.from_arrays(
        model.domain, model.tree.cliques, model.to_arrays(), model.total
    )
    assert again.total == model.total
    assert set(again.groups) == set(model.groups)
    drawn = [m.sample(100, np.random.default_rng(0)) for m in (model, again)]
    np.testing.assert_array_equal(*drawn)


@pytest.mark.parametrize(
    ("name", "array", "said"),
    [
        ("group_0", [0, 0, 2], "numbered from 0 without gaps"),
        ("group_0", [0, 0], "one for each of 3 codes"),
        ("share_0", [0.5, 0.4, 1.0], "must sum to 1"),
        ("share_0", [1.5, -0.5, 1.0], "must sum to 1"),
    ],
)
def test_damaged_arrays_are_refused(name, array, said):
    arrays = {
        "clique_0": np.array([0.25, 0.75]),
        "group_0": np.array([0, 0, 1]),
        "share_0": np.array([0.5, 0.5, 1.0]),
    }
    domain = Domain(("x",), (3,))
    sound = RefinedModel.from_arrays(domain, [("x",)], arrays, 8.0)
    assert sound.marginal(("x",)).tolist() == [1, 1, 6]
    with pytest.raises(ValueError, match=said):
        RefinedModel.from_arrays(domain, [("x",)], arrays | {name: np.array(array)}, 8.0)
