"""Answers are those of numpy and pandas on the same weighted rows, influences their derivatives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from made_distributions import SCHEMA, check_influences, drawn, made

from dp_synth.errors import InputError
from dp_synth.estimates import (
    Correlation,
    Count,
    Difference,
    Distribution,
    Mean,
    OddsRatio,
    Quantile,
    Question,
    RiskRatio,
    Share,
)

WOMEN, MEN = {"sex": "F"}, {"sex": "M"}
SMOOTH: list[Question] = [
    Count(),
    Count({"sex": "F", "age": (20, 29)}),
    Share({"region": "n"}),
    Share({"region": ["n", "?"]}, {"age": [18, 22, 30, 31, 37]}),
    Share({"hours": (5, 30)}, {"hours": (3, 45)}),
    Mean("age"),
    Mean("hours", {"hours": (12, 45), "sex": "M"}),
    Mean("wage", {"wage": (2.5, 30.0)}),
    Mean("house size"),
    Mean("income", {"income": (5, 500)}),
    Mean("born"),
    Quantile("wage", 0.4),
    Quantile("wage", 0.9, {"wage": (0, 30)}),
    Quantile("income", 0.3, {"sex": "F"}),
    Difference(Share({"region": "n"}), WOMEN, MEN),
    Difference(Mean("wage", {"region": ["n", "e"]}), WOMEN, MEN),
    Difference(Quantile("income", 0.5), WOMEN, MEN),
    RiskRatio({"region": "n"}, WOMEN, MEN),
    RiskRatio({"wage": (0, 7)}, {"age": (18, 25)}, {"age": (26, 37)}, {"region": ["n", "s"]}),
    OddsRatio({"region": "n"}, WOMEN, MEN),
    Correlation("wage", "hours", {"sex": "F"}),
    Correlation("grade", "income"),
]


@pytest.mark.parametrize("question", SMOOTH, ids=str)
def test_influences_are_derivatives_towards_each_cell(question: Question) -> None:
    check_influences(question, made(*question.columns or ("sex",)))


def share_of(rows: pd.DataFrame, flags: pd.Series) -> float:
    return float(np.average(flags, weights=rows["weight"]))


def mean_of(rows: pd.DataFrame, column: str) -> float:
    kept = rows.dropna(subset=[column])
    return float(np.average(kept[column].astype(object).astype(float), weights=kept["weight"]))


def quantile_of(rows: pd.DataFrame, column: str, level: float) -> float:
    """The smallest number that so many do not exceed."""
    kept = rows.dropna(subset=[column]).sort_values(column)
    above = np.cumsum(kept["weight"].to_numpy()) / kept["weight"].sum()
    return float(kept[column].iloc[np.searchsorted(above, level - 1e-12)])


def odds(risk: float) -> float:
    return risk / (1 - risk)


def by_sex(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    return rows[rows["sex"] == "F"], rows[rows["sex"] == "M"]


EXACT: list[tuple[Question, Callable[[pd.DataFrame], float]]] = [
    (Count(WOMEN), lambda rows: 1_000 * share_of(rows, rows["sex"] == "F")),
    (Share({"region": "n"}), lambda rows: share_of(rows, (rows["region"] == "n").fillna(False))),
    (
        Share({"age": (20, 30)}, {"age": (18, 33), "sex": "F"}),
        lambda rows: share_of(
            kept := rows[(rows["sex"] == "F") & (rows["age"] <= 33)], kept["age"].between(20, 30)
        ),
    ),
    (Mean("age", {"age": [19, 25]}), lambda rows: mean_of(rows[rows["age"].isin([19, 25])], "age")),
    (Mean("grade"), lambda rows: mean_of(rows, "grade")),
    (
        Mean("house size"),
        lambda rows: mean_of(rows[rows["house size"] != "many"], "house size"),
    ),
    (Quantile("age", 0.5), lambda rows: quantile_of(rows, "age", 0.5)),
    (Quantile("grade", 0.8, WOMEN), lambda rows: quantile_of(by_sex(rows)[0], "grade", 0.8)),
    (
        Difference(Mean("grade"), WOMEN, MEN),
        lambda rows: mean_of(by_sex(rows)[0], "grade") - mean_of(by_sex(rows)[1], "grade"),
    ),
    (
        Difference(Quantile("age", 0.25, {"age": (20, 37)}), WOMEN, MEN),
        lambda rows: np.subtract(
            *[quantile_of(one[one["age"] >= 20], "age", 0.25) for one in by_sex(rows)]
        ),
    ),
    (
        RiskRatio({"age": (18, 25)}, WOMEN, MEN),
        lambda rows: np.divide(*[share_of(one, one["age"] <= 25) for one in by_sex(rows)]),
    ),
    (
        OddsRatio({"age": (18, 25)}, WOMEN, MEN),
        lambda rows: np.divide(*[odds(share_of(one, one["age"] <= 25)) for one in by_sex(rows)]),
    ),
    (
        Correlation("age", "grade"),
        lambda rows: np.corrcoef(
            *[np.repeat(kept[name].astype(float), kept["copies"]) for name in ("age", "grade")]
        )[0, 1]
        if len(kept := rows.dropna())
        else 0.0,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("question", "expected"), EXACT, ids=[str(one) for one, _ in EXACT])
def test_answers_are_those_of_the_weighted_rows(question, expected) -> None:
    rng = np.random.default_rng(5)
    distribution = made(*question.columns, cells=200)
    copies = rng.integers(1, 30, 200)
    distribution = replace(distribution, weights=copies / copies.sum())
    rows = drawn(distribution, 1).assign(copies=copies)
    [value] = question.evaluate(distribution).values
    assert value == pytest.approx(expected(rows))


@pytest.mark.parametrize(
    ("question", "cut"),
    [
        (Mean("hours"), None),
        (Mean("wage"), None),
        (Mean("income"), None),
        (Mean("wage", {"wage": (2.5, 30)}), lambda rows: rows["wage"].between(2.5, 30)),
        (Mean("hours", {"hours": (12, 45)}), lambda rows: rows["hours"].between(12, 45)),
        (Mean("income", {"income": (5, 500)}), lambda rows: rows["income"].between(5, 500)),
        (Quantile("wage", 0.6), None),
        (Quantile("income", 0.2), None),
        (Quantile("hours", 0.7), None),
        (Share({"wage": (0, 7)}), None),
        (Share({"wage": 0}), None),
    ],
    ids=lambda one: "cut" if callable(one) else str(one),
)
def test_answers_of_numbers_inside_cells_are_those_of_drawn_ones(question, cut) -> None:
    distribution = made(*question.columns)
    rows = drawn(distribution, 1_000)
    kept = rows if cut is None else rows[cut(rows).fillna(False).astype(bool)]
    found = question.evaluate(distribution)
    column = question.columns[0]
    if isinstance(question, Mean):
        expected, off = mean_of(kept, column), 0.02 * kept[column].dropna().astype(float).std()
    elif isinstance(question, Quantile):
        expected = quantile_of(kept, column, question.level)
        off = 0 if column == "hours" else 0.03 * kept[column].dropna().astype(float).std()
    else:
        high = question.event["wage"]
        flags = rows["wage"] <= (high[1] if isinstance(high, tuple) else high)
        expected, off = share_of(rows, flags.fillna(False).astype(bool)), 0.01
    assert found.values[0] == pytest.approx(expected, abs=off)


def test_a_correlation_counts_the_spread_inside_cells() -> None:
    distribution = made("wage", "income", cells=30)
    rows = drawn(distribution, 1_000).dropna()
    numbers = rows[["wage", "income"]].astype(float)
    covariance = np.cov(numbers.T, aweights=rows["weight"])
    expected = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
    assert Correlation("wage", "income").evaluate(distribution).values[0] == pytest.approx(
        expected, abs=0.02
    )


@pytest.mark.parametrize("column", ["age", "hours", "wage", "grade", "income", "born"])
def test_an_inverse_gives_the_number_at_each_level(column: str) -> None:
    distribution = made(column)
    found = Quantile(column, 0.5).evaluate(distribution)
    assert found.inverse is not None
    assert found.inverse.quantile(0.5) == found.values[0]
    for level in (0.01, 0.3, 0.77, 0.999):
        [value] = Quantile(column, level).evaluate(distribution).values
        assert found.inverse.quantile(level) == value
    numbers = [found.inverse.quantile(level) for level in np.linspace(0, 1, 50)]
    assert np.all(np.diff(numbers) >= 0)
    assert distribution.weights @ found.inverse.influences == pytest.approx(0, abs=1e-12)


def test_the_variance_of_a_level_is_that_of_a_share() -> None:
    codes = np.arange(20, dtype=np.int32)[:, None]
    rows = Distribution(SCHEMA, ("age",), codes, np.full(20, 0.05), 20.0)
    found = Quantile("age", 0.25).evaluate(rows)
    assert found.inverse is not None
    assert found.values[0] == 22  # 18 to 22 are five of twenty
    variance = rows.weights @ found.inverse.influences**2
    assert variance == pytest.approx(0.25 * 0.75)
    assert rows.weights @ found.influences[:, 0] ** 2 == pytest.approx(0.25 * 0.75 / 0.05**2)


def test_the_logarithm_of_a_ratio_has_the_variance_of_the_textbook() -> None:
    cells = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.int32)
    counts = np.array([30.0, 70.0, 20.0, 130.0])
    table = Distribution(SCHEMA, ("sex", "house size"), cells, counts / 250, 250.0)
    event = {"house size": "1"}
    for question, variance in [
        (RiskRatio(event, WOMEN, MEN), 1 / 30 - 1 / 100 + 1 / 20 - 1 / 150),  # Katz et al. 1978
        (OddsRatio(event, WOMEN, MEN), (1 / counts).sum()),  # Woolf 1955
    ]:
        found = question.evaluate(table)
        assert found.scale == "log"
        relative = found.influences[:, 0] / found.values[0]
        assert table.weights @ relative**2 / 250 == pytest.approx(variance)


def test_a_marginal_is_a_distribution_of_its_cells() -> None:
    counts = np.array([[10.0, 20.0, 0.0, 10.0], [30.0, 0.0, 20.0, 10.0]])
    found = Distribution.of_counts(SCHEMA, ("sex", "region"), counts)
    assert found.total == 100
    assert Share({"region": "?"}, WOMEN).evaluate(found).values == pytest.approx([0.25])
    with pytest.raises(InputError, match="nothing to estimate"):
        Distribution.of_counts(SCHEMA, ("sex", "region"), counts * 0)


def test_marks_are_no_event_and_no_number() -> None:
    distribution = made("region", "hours", "sex")
    rows = drawn(distribution, 1)
    absent = share_of(rows, rows["region"].isna())
    every = Share({"region": ["n", "e", "s"]}).evaluate(distribution)
    assert every.values == pytest.approx([1 - absent])
    assert Share({"region": None}).evaluate(distribution).values == pytest.approx([absent])
    found = Mean("hours").evaluate(distribution)
    assert found.groups == pytest.approx([share_of(rows, rows["hours"].notna())])


ZERO = replace(
    made("sex", "region", "grade"),
    codes=np.array([[0, 0, 1], [0, 0, 2], [1, 1, 2], [1, 3, 5]], dtype=np.int32),
    weights=np.full(4, 0.25),
)


@pytest.mark.parametrize(
    ("question", "said"),
    [
        (Share({"sex": "F"}, {"region": "s"}), "no record of the release where region=s"),
        (Mean("grade", {"region": "s"}), "no record of the release has a value of 'grade'"),
        (Mean("grade", {"region": "?"}), "has a value of 'grade' where region=?"),
        (Quantile("grade", 0.5, {"region": "?"}), "has a value of 'grade' where region=?"),
        (Difference(Mean("grade"), WOMEN, {"region": "s"}), "where region=s"),
        (RiskRatio({"region": "e"}, MEN, WOMEN), "no record where sex=F has region=e"),
        (OddsRatio({"region": "n"}, WOMEN, MEN), "no record where sex=M has region=n"),
        (OddsRatio({"region": ["e", "?"]}, WOMEN, MEN), "each record where sex=M has region=e|?"),
        (Correlation("grade", "age", {"region": "?"}), "has a value of 'grade', 'age'"),
        (Correlation("grade", "age", {"region": "e"}), "one of them is constant there"),
    ],
    ids=str,
)
def test_an_answer_that_no_record_tells_is_refused_in_one_line(question, said) -> None:
    ages = np.array([[0], [3], [4], [4]], dtype=np.int32)
    zero = replace(ZERO, columns=(*ZERO.columns, "age"), codes=np.hstack([ZERO.codes, ages]))
    with pytest.raises(InputError) as raised:
        question.evaluate(zero)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_risk_of_none_in_the_first_group_is_a_ratio_of_zero() -> None:
    assert RiskRatio({"region": "e"}, WOMEN, MEN).evaluate(ZERO).values == [0]
    assert Count({"region": "s"}).evaluate(ZERO).values == [0]


def test_shapes_and_weights_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="codes must have shape"):
        Distribution(SCHEMA, ("sex",), ZERO.codes, ZERO.weights, 1.0)
    with pytest.raises(ValueError, match="sum to 1"):
        replace(ZERO, weights=ZERO.weights / 2)
    with pytest.raises(KeyError, match="no column 'age'"):
        Mean("age").evaluate(ZERO)
