"""A mixture of rows of independent attributes: exact marginals, conditions and samples."""

from __future__ import annotations

import numpy as np
import pytest

from dp_synth.domain import Domain
from dp_synth.errors import InputError
from dp_synth.inference.mixture import MixtureModel

DOMAIN = Domain(("a", "b", "c", "d"), (3, 2, 4, 1))


def made_model(seed: int = 0, components: int = 5, total: float = 200.0) -> MixtureModel:
    rng = np.random.default_rng(seed)
    tables = tuple(rng.dirichlet(np.full(size, 0.4), components) for size in DOMAIN.sizes)
    return MixtureModel(DOMAIN, rng.dirichlet(np.ones(components)), tables, total)


def joint(model: MixtureModel) -> np.ndarray:
    """The whole table, component by component: the slow obvious way."""
    whole = np.zeros(DOMAIN.sizes)
    for component, weight in enumerate(model.weights):
        part = np.array(weight)
        for table in model.tables:
            part = np.multiply.outer(part, table[component])
        whole += part
    return model.total * whole


@pytest.mark.parametrize("clique", [(), ("a",), ("c", "a"), ("b", "c", "a"), ("d", "a", "c", "b")])
def test_marginals_are_sums_of_the_joint_table(clique: tuple[str, ...]) -> None:
    model = made_model()
    others = tuple(i for i, name in enumerate(DOMAIN) if name not in clique)
    left = [name for name in DOMAIN if name in clique]
    expected = joint(model).sum(axis=others).transpose([left.index(name) for name in clique])
    assert model.marginal(clique) == pytest.approx(expected)


def test_conditions_are_those_of_the_joint_table() -> None:
    model = made_model()
    likelihood = np.array([0.2, 0.0, 1.0])
    given = model.conditioned({"a": likelihood, "b": np.array([0.0, 1.0])})
    expected = joint(model) * likelihood[:, None, None, None]
    expected[:, 0] = 0
    assert joint(given) == pytest.approx(expected)
    assert given.total == pytest.approx(expected.sum())


def test_evidence_that_no_record_meets_is_refused() -> None:
    with pytest.raises(ValueError, match="no record"):
        made_model().conditioned({"a": np.zeros(3)})


def test_a_marginal_of_too_many_cells_is_refused() -> None:
    with pytest.raises(InputError, match="24 cells, at most 10"):
        made_model().marginal(("a", "b", "c"), max_cells=10)


def test_samples_have_the_marginals_and_single_codes_almost_exactly() -> None:
    model = made_model()
    codes = model.sample(40_000, np.random.default_rng(1))
    share = np.zeros((3, 4))
    np.add.at(share, (codes[:, 0], codes[:, 2]), 1 / 40_000)
    expected = model.marginal(("a", "c")) / model.total
    assert np.abs(share - expected).max() < 5.5 * 0.5 / np.sqrt(40_000)
    ones = np.bincount(codes[:, 0], minlength=3) / 40_000
    # Each of 5 components rounds each code, and its own number of records.
    assert np.abs(ones - model.marginal(("a",)) / model.total).max() < 15 / 40_000


def test_codes_without_probability_are_never_drawn() -> None:
    tables = tuple(np.eye(size)[[size - 1, 0]] for size in DOMAIN.sizes)
    model = MixtureModel(DOMAIN, np.array([0.5, 0.5]), tables, 10.0)
    codes = model.sample(1001, np.random.default_rng(0))
    assert {tuple(row) for row in codes.tolist()} == {(2, 1, 3, 0), (0, 0, 0, 0)}


@pytest.mark.parametrize("records", [0, 1, 7])
def test_as_many_records_come_as_are_asked_for(records: int) -> None:
    codes = made_model().sample(records, np.random.default_rng(0))
    assert codes.shape == (records, 4)
    assert codes.dtype == np.int32


def test_groups_are_shared_out_among_their_codes() -> None:
    fine = Domain(("a", "b", "c", "d"), (5, 2, 4, 1))
    groups = {"a": np.array([0, 0, 1, 2, 2], dtype=np.int32)}
    shares = {"a": np.array([0.25, 0.75, 1.0, 0.5, 0.5])}
    model = made_model()
    refined = model.refined(fine, groups, shares)
    counts = model.marginal(("a", "c"))
    expected = counts[groups["a"]] * shares["a"][:, None]
    assert refined.marginal(("a", "c")) == pytest.approx(expected)


def test_arrays_give_the_model_back_and_damaged_ones_are_refused() -> None:
    model = made_model()
    arrays = model.to_arrays()
    again = MixtureModel.from_arrays(DOMAIN, arrays, model.total)
    assert again.marginal(("a", "c")).tobytes() == model.marginal(("a", "c")).tobytes()
    with pytest.raises(ValueError, match="rows of 'a'"):
        MixtureModel.from_arrays(DOMAIN, {**arrays, "attribute_0": -model.tables[0]}, 1.0)
    with pytest.raises(ValueError, match="weights"):
        MixtureModel.from_arrays(DOMAIN, {**arrays, "weights": model.weights * 2}, 1.0)
    with pytest.raises(ValueError, match="total"):
        MixtureModel.from_arrays(DOMAIN, arrays, float("nan"))
