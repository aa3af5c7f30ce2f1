"""What a model leaves out of pairs: parts of a function, squares beyond, inertias, directions."""

import numpy as np
import pytest
from scipy import integrate, stats

from dp_synth.domain import Domain
from dp_synth.estimates import misfit
from dp_synth.estimates.misfit import Misfit, Square
from dp_synth.estimates.parts import Parts
from dp_synth.inference import estimate, independent_model
from dp_synth.inference.pair_selection import MEAN_NOISE, expected_distance
from dp_synth.transcript import ChoiceAnswer, MarginalAnswer, Measurement, ScoresAnswer
from dp_synth.validation_bounds import DISTANCES

DOMAIN = Domain(("a", "b", "c"), (3, 4, 3))
RECORDS = 10_000.0


def joint(seed):
    """Counts of three dependent columns."""
    return RECORDS * np.random.default_rng(seed).dirichlet(np.full(36, 2.0)).reshape(3, 4, 3)


def fitted(table, cliques):
    """The model of highest entropy with these marginals of a table, nearly without noise."""
    axes = [tuple(k for k, a in enumerate(DOMAIN) if a not in clique) for clique in cliques]
    found = [
        Measurement(clique, table.sum(axis=axis), 0.01)
        for clique, axis in zip(cliques, axes, strict=True)
    ]
    if all(len(clique) == 1 for clique in cliques):
        return independent_model(DOMAIN, found)
    return estimate(DOMAIN, found)


def cells(model, columns):
    shape = DOMAIN.shape(columns)
    codes = np.indices(shape, dtype=np.int32).reshape(len(columns), -1).T
    counts = model.marginal(columns).ravel()
    return codes, counts / counts.sum()


def parts_of(model, columns, functions):
    codes, weights = cells(model, columns)
    centred = functions - weights @ functions
    return Parts.of(DOMAIN, columns, codes, weights, centred)


def answer(clique, values, stddev=0.01, part="answers"):
    return MarginalAnswer(part, "", clique, values, stddev, {})


def test_parts_add_up_to_the_function_and_pairs_to_their_mean_over_any_model():
    first, other = fitted(joint(0), [("a", "b", "c")]), fitted(joint(1), [("a", "b", "c")])
    functions = np.random.default_rng(2).normal(size=(36, 2))
    three = parts_of(first, ("a", "b", "c"), functions)
    tables = three.tables
    whole = sum(tables[axes][three.means[axes].places] for axes in tables) + three.rest
    np.testing.assert_allclose(whole, functions - three.weights @ functions, atol=1e-12)
    two = parts_of(first, ("a", "c"), functions[:9])
    np.testing.assert_allclose(two.rest, 0, atol=1e-12)
    _, chances = cells(other, ("a", "c"))
    centred = functions[:9] - two.weights @ functions[:9]
    np.testing.assert_allclose(two.mean(other), chances @ centred, atol=1e-12)


@pytest.mark.parametrize("location", [1.0, 0.1, -1.0])
@pytest.mark.parametrize("other", [0.0, 0.5, 1.0, 2.0])
def test_a_square_is_normal_but_from_0_and_what_it_has_beyond_another_is_a_mean(location, other):
    density = stats.norm(location, 0.4).pdf
    beyond, _ = integrate.quad(lambda x: (x - other) * density(x), other, 6.0, epsabs=1e-14)
    possible, _ = integrate.quad(density, 0.0, 6.0, epsabs=1e-14)
    assert Square(location, 0.4).beyond(other) == pytest.approx(beyond / possible, rel=1e-6)
    assert Square(location, 0.4).mean == Square(location, 0.4).beyond(0.0) > 0
    assert Square(location, 0.0).beyond(other) == max(location - other, 0.0)
    assert 0 < Square(-1e6, 0.4).mean < 0.1


def test_a_distance_from_columns_becomes_the_inertia_that_independent_columns_leave_out():
    table = joint(3)
    model = fitted(table, [("a",), ("b",), ("c",)])
    pair = table.sum(axis=2) / RECORDS
    apart = np.outer(pair.sum(axis=1), pair.sum(axis=0))
    distance = RECORDS * np.abs(pair - apart).sum()
    chance = expected_distance(RECORDS * apart)
    score = ScoresAnswer(
        "answers", "", (("a", "b"),), np.array([np.hypot(distance, chance)]), 0.01, {}
    )
    counts = {0: (1, 2), 1: (0, 2), 2: (0, 1)}
    columns = [answer(("abc"[k],), table.sum(axis=axes)) for k, axes in counts.items()]
    found = Misfit.of(model, [*columns, score])
    squared = (distance / RECORDS) ** 2
    # No pair was measured: deviations are as uneven as usual, any direction may have all of them.
    uneven = misfit.UNEVEN_RATIO
    assert found.left_inertia(("a", "b")) == pytest.approx(uneven * squared, rel=0.01)
    phi = np.random.default_rng(4).normal(size=(12, 1))
    parts = parts_of(model, ("a", "b"), phi)
    variance = parts.weights @ np.square(parts.pair((0, 1)))
    left = found.left(parts)
    np.testing.assert_allclose(left.variances, uneven * squared * variance, rtol=0.01)
    assert left.not_covered == ""
    # By Cauchy and Schwarz nothing that the pair has can move the statistic by more, given its
    # own inertia.
    inertia = float(((pair - apart) ** 2 / apart).sum())
    moved = float((pair - apart).ravel() @ parts.pair((0, 1))[:, 0])
    assert moved**2 <= inertia * variance[0]
    other = found.left(parts_of(model, ("a", "c"), phi[:9]))
    assert other.variances[0] == 0
    assert other.not_covered == "no distance of a and c was measured"


def test_noise_of_columns_is_taken_off_a_distance_as_far_as_codes_have_it():
    """Of counts above their noise all of it; of a code that was cut at 0 none."""
    domain = Domain(("a", "b"), (4, 6))
    groups = {"b": np.array([0, 0, 0, 1, 1, 1], dtype=np.int32)}
    score = ScoresAnswer("answers", "", (("a", "b"),), np.array([2_000.0]), 0.01, groups)
    for rare in (0.0, 400.0):
        counts = {"a": np.full(4, 2_500.0), "b": np.array([rare, 4_600, 5_400 - rare, 0, 0, 0])}
        counts["b"][3:] = 1_000.0 / 3
        noisy = [Measurement((name,), values, 20.0) for name, values in counts.items()]
        answers = [answer(one.clique, one.values, 20.0, "first") for one in noisy]
        model = independent_model(domain, noisy)
        found = Misfit.of(model, [*answers, score]).squares["a", "b"].location
        own = {name: model.marginal((name,)) for name in "ab"}
        of_b = np.array([2 + (rare > 0), 3])  # codes with all of their noise, of either group
        noise = MEAN_NOISE**2 * 20.0**2 * (4.0**2 + np.sqrt(of_b).sum() ** 2)
        coarse = np.outer(own["a"], np.bincount(groups["b"], own["b"])) / model.total
        chance = expected_distance(coarse)
        wanted = (2_000.0**2 - chance**2 - noise) / model.total**2
        assert found == pytest.approx(wanted, rel=1e-6)


def test_what_the_model_has_of_a_pair_is_not_left_out_twice():
    table = joint(5)
    model = fitted(table, [("a", "b"), ("b", "c")])
    table_of = {pair: model.marginal(pair) / RECORDS for pair in (("a", "b"), ("a", "c"))}
    implied = table_of["a", "c"]
    apart = np.outer(implied.sum(axis=1), implied.sum(axis=0))
    distance = float(np.abs(implied - apart).sum())
    for square in (0.0, distance**2, 5 * distance**2):
        found = Misfit(model, {("a", "c"): Square(square, 0.0)}, {("a", "b"): {}})
        beside = max(square - distance**2, misfit.LEAST_LEFT * max(square, distance**2))
        uneven = max(found._ratio, misfit.UNEVEN_RATIO)
        assert found.left_inertia(("a", "c")) == pytest.approx(uneven * beside)
    assert found._ratio >= misfit.NORMAL_RATIO


def test_only_what_lies_inside_of_groups_is_left_out_of_a_measured_pair():
    model = fitted(joint(6), [("a",), ("b",), ("c",)])  # whose parts are orthogonal
    groups = {"b": np.array([0, 0, 1, 1], dtype=np.int32)}
    phi = np.random.default_rng(7).normal(size=(12, 1))
    known = {("a", "b"): Square(0.04, 0.0)}
    whole = Misfit(model, known, {("a", "b"): {}}).left(parts_of(model, ("a", "b"), phi))
    assert whole.variances == pytest.approx(0)
    merged = Misfit(model, known, {("a", "b"): groups})
    assert merged.left(parts_of(model, ("a", "b"), phi)).variances[0] > 0
    by_group = np.repeat(phi.reshape(3, 4)[:, ::2], 2, axis=1).reshape(-1, 1)
    parts = parts_of(model, ("a", "b"), by_group)
    assert merged.left(parts).variances == pytest.approx(0, abs=1e-12)


def test_the_directions_of_measured_pairs_tell_how_much_a_statistic_is_exposed():
    # b tells the first codes of a and of c from the others, and these hardly from each other.
    of_a = np.array([[0.6, 0.1], [0.2, 0.42], [0.2, 0.48]])[:, [0, 0, 1, 1]]
    of_c = np.array([[0.1, 0.7], [0.44, 0.15], [0.46, 0.15]])[:, [0, 0, 1, 1]]
    table = RECORDS * np.einsum("ab,cb->abc", of_a, of_c) / 4
    model = fitted(table, [("a", "b"), ("b", "c")])
    measured = {("a", "b"): {}, ("b", "c"): {}}
    found = Misfit(model, {("a", "c"): Square(0.5, 0.0)}, measured)
    first, others = np.array([1.0, 0, 0]), np.array([0, 1.0, -1.0])
    shares = []
    for one, other in ((first, first), (first, others), (others, first)):
        parts = parts_of(model, ("a", "c"), np.outer(one, other).reshape(-1, 1))
        variance = parts.weights @ np.square(parts.pair((0, 1)))
        shares.append(found.left(parts).variances[0] / found.left_inertia(("a", "c")) / variance[0])
    assert shares[0] > 0.8
    assert shares[1] < 0.2
    assert shares[2] < 0.2


def test_columns_of_numbers_may_have_a_part_of_a_normal_pairs_correlation():
    r, numbers = 0.1, np.linspace(-4, 4, 41)
    domain = Domain(("x", "y", "z"), (41, 41, 2))
    steps = stats.norm.pdf(numbers) / stats.norm.pdf(numbers).sum()
    normal = np.outer(steps, steps) * (1 + r * np.outer(numbers, numbers))  # to first order in r
    distance = float(np.abs(normal - np.outer(steps, steps)).sum())
    tails = np.outer(steps, [0.5, 0.5])
    tails[np.abs(numbers) > 2] *= [1.5, 0.5]  # x is measured, but in a direction that is not linear
    found = [
        Measurement(("x", "z"), RECORDS * tails, 0.01),
        Measurement(("y",), RECORDS * steps, 0.01),
    ]
    model = estimate(domain, found)
    codes = np.indices((41, 41), dtype=np.int32).reshape(2, -1).T
    products = np.outer(numbers, numbers).reshape(-1, 1)
    parts = Parts.of(domain, ("x", "y"), codes, np.outer(steps, steps).ravel(), products)
    squares = {("x", "y"): Square(distance**2, 0.0)}
    plain = Misfit(model, squares, {("x", "z"): {}})
    told = Misfit(model, squares, {("x", "z"): {}}, numbers={"x": numbers, "y": numbers})
    assert plain.left(parts).variances[0] < 0.8 * misfit.LINEAR_PART * r**2
    assert told.left(parts).variances == pytest.approx(misfit.LINEAR_PART * r**2, rel=0.02)
    turned = Parts.of(domain, ("y", "x"), codes, np.outer(steps, steps).ravel(), products)
    assert told.left(turned).variances == pytest.approx(told.left(parts).variances)
    marked = Misfit(model, squares, {("x", "z"): {}}, numbers={"x": numbers, "y": numbers * np.nan})
    assert marked.left(parts).variances == pytest.approx(plain.left(parts).variances)


def test_what_three_columns_have_beyond_their_pairs_gets_an_allowance():
    signs = [np.array([1.0, -1.0, 0.0]), np.array([1.0, -1.0, 1.0, -1.0]), np.array([1.0, -1.0, 0])]
    apart, strength = np.full((3, 4, 3), RECORDS / 36), 0.3
    model = independent_model(
        DOMAIN,
        [
            Measurement((name,), apart.sum(axis=axes), 0.01)
            for name, axes in (("a", (1, 2)), ("b", (0, 2)), ("c", (0, 1)))
        ],
    )
    product = np.einsum("a,b,c->abc", *signs)
    pairs = {pair: Square(strength**2, 0.0) for pair in (("a", "b"), ("a", "c"), ("b", "c"))}
    parts = parts_of(model, ("a", "b", "c"), product.reshape(-1, 1))
    assert all(np.allclose(table, 0) for table in parts.tables.values())  # of no pair at all
    missed = float((strength * apart * product / RECORDS * product).sum())
    left = Misfit(model, pairs, {}).left(parts)
    assert missed < 1.96 * np.sqrt(left.variances[0])
    assert "3 columns" in left.not_covered


def test_rounds_leave_no_pair_further_off_than_its_noise():
    model = fitted(joint(8), [("a", "b")])
    choice = ChoiceAnswer("rounds", "", (("a", "b"),), ("a", "b"), 1.0, 1.0, {})
    found = Misfit.of(model, [choice, answer(("a", "b"), np.zeros((3, 4)), stddev=20.0)])
    error = MEAN_NOISE * 20.0 * 9 / RECORDS
    assert found.left_inertia(("a", "c")) == pytest.approx(found._ratio * error**2)
    without = Misfit.of(model, [answer(("a", "b"), np.zeros((3, 4)))])
    parts = parts_of(model, ("a", "c"), np.arange(9.0)[:, None] ** 2)
    assert "a and c" in without.left(parts).not_covered


def test_choices_that_are_no_rounds_bound_no_pair():
    """Of a network that is chosen before anything is measured nothing is left within noise."""
    model = fitted(joint(8), [("a", "b")])
    choices = [
        ChoiceAnswer("network", "", (pair,), pair, 1.0, 1.0, {})
        for pair in (("a", "b"), ("b", "c"))
    ]
    tables = [answer(("a", "b"), np.zeros((3, 4))), answer(("b", "c"), np.zeros((4, 3)))]
    assert Misfit.of(model, [*choices, *tables]).noise is None


def test_a_column_without_counts_of_its_own_is_not_covered():
    model = fitted(joint(8), [("a", "b")])
    choice = ChoiceAnswer("rounds", "", (("a", "b"),), ("a", "b"), 1.0, 1.0, {})
    found = Misfit.of(model, [choice, answer(("a", "b"), np.zeros((3, 4)), stddev=20.0)])
    assert found.columns == {"a", "b"}
    of_c = found.left(parts_of(model, ("c",), np.arange(3.0)[:, None]))
    assert of_c.not_covered == "c had no counts of its own"
    of_both = found.left(parts_of(model, ("a", "c"), np.arange(9.0)[:, None] ** 2))
    assert of_both.not_covered == "c had no counts of its own"
    assert not found.left(parts_of(model, ("a",), np.arange(3.0)[:, None])).not_covered


def test_paid_distances_are_from_the_model_and_those_of_a_lone_column_say_nothing_of_pairs():
    model = fitted(joint(9), [("a", "b")])
    paid = ScoresAnswer(DISTANCES, "", (("a", "c"),), np.array([1_000.0]), 0.01, {})
    found = Misfit.of(model, [paid])
    assert found.of_model
    assert 0.5 < found.left_inertia(("a", "c")) / (misfit.UNEVEN_RATIO * 0.01) <= 1
    alone = ScoresAnswer(DISTANCES, "", (("a",),), np.array([1_000.0]), 0.01, {})
    assert not Misfit.of(model, [alone]).squares


def test_tables_that_are_too_large_to_be_looked_at_leave_any_direction_exposed(monkeypatch):
    model = fitted(joint(10), [("a", "b"), ("b", "c")])
    found = Misfit(model, {("a", "c"): Square(0.01, 0.0)}, {("a", "b"): {}})
    parts = parts_of(model, ("a", "c"), np.random.default_rng(11).normal(size=(9, 1)))
    some = found.left(parts).variances[0]
    monkeypatch.setattr(misfit, "LARGEST_TABLE", 1)
    blind = Misfit(model, {("a", "c"): Square(0.01, 0.0)}, {("a", "b"): {}})
    variance = parts.weights @ np.square(parts.pair((0, 1)))
    assert blind.left(parts).variances == pytest.approx(misfit.UNEVEN_RATIO * 0.01 * variance)
    assert some < blind.left(parts).variances[0]
