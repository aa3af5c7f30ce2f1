"""Regressions are those of statsmodels on the same weighted rows; influences their derivatives."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from made_distributions import SCHEMA, check_influences, drawn, made

from dp_synth.errors import InputError
from dp_synth.estimates import Distribution, Regression

FORMULAS = [
    "age ~ 1",
    "age ~ sex",
    "age ~ sex * grade",
    "age ~ region * sex",
    "age ~ region : sex",
    "age ~ 0 + region + sex",
    "age ~ region - 1",
    "age ~ grade : region",
    "age ~ sex + sex:grade - 1",
    "age ~ (region + sex + grade)**2",
]


def complete_rows(distribution: Distribution) -> pd.DataFrame:
    """The rows of a distribution whose cells hold one number each, without missing marks."""
    rows = drawn(distribution, 1).dropna()
    numbers = list({"age", "grade"} & set(rows))
    rows[numbers] = rows[numbers].astype(float)
    return rows


@pytest.mark.parametrize("formula", FORMULAS)
def test_linear_coefficients_are_those_of_statsmodels(formula: str) -> None:
    question = Regression(formula)
    distribution = made(*question.columns, cells=120)
    rows = complete_rows(distribution)
    expected = smf.wls(formula, rows, weights=rows["weight"]).fit().params
    found = question.evaluate(distribution)
    assert len(found.names) == len(expected)
    assert dict(zip(found.names, found.values, strict=True)) == pytest.approx(dict(expected))
    assert found.groups == pytest.approx([rows["weight"].sum()])


def test_logistic_coefficients_are_those_of_statsmodels() -> None:
    distribution = made("sex", "age", "region", cells=120)
    rows = complete_rows(distribution)
    rows["male"] = (rows["sex"] == "M").astype(float)
    weights, family = rows["weight"], sm.families.Binomial()
    model = smf.glm("male ~ age + region", rows, family=family, freq_weights=weights)
    expected = model.fit(tol=1e-12).params
    for response in ("sex", "sex=M"):
        question = Regression(f"{response} ~ age + region", logistic=True)
        found = question.evaluate(distribution)
        assert dict(zip(found.names, found.values, strict=True)) == pytest.approx(dict(expected))


@pytest.mark.parametrize(
    "question",
    [
        Regression("age ~ sex * grade"),
        Regression("wage ~ hours + income + region"),
        Regression("wage ~ hours * income - 1", {"sex": "F"}),
        Regression("grade ~ wage + hours + income + age + born", {"hours": (3, 50)}),
        Regression("sex ~ age + wage", logistic=True),
        Regression("region=n|e ~ hours + sex", {"age": (20, 33)}, logistic=True),
        Regression("wage=0..7 ~ hours * sex", {"wage": (0, 30)}, logistic=True),
    ],
    ids=str,
)
def test_influences_are_derivatives_towards_each_cell(question: Regression) -> None:
    check_influences(question, made(*question.columns, cells=60))


@pytest.mark.parametrize(
    "formula",
    [
        "wage ~ hours * income + sex",
        "grade ~ wage + hours + income + born + age",
    ],
)
def test_numbers_inside_cells_count_with_their_spread(formula: str) -> None:
    question = Regression(formula)
    distribution = made(*question.columns)
    found = question.evaluate(distribution)
    rows = drawn(distribution, 1_500).dropna()
    for name in question.columns:
        if name == "born":
            rows[name] = (rows[name] - pd.Timestamp(0)).dt.days
        if name != "sex":
            rows[name] = rows[name].astype(float)
    fitted = smf.wls(formula, rows, weights=rows["weight"]).fit()
    errors = [(value - fitted.params[n]) / fitted.bse[n]
              for n, value in zip(found.names, found.values, strict=True)]  # fmt: skip
    assert np.abs(errors).max() < 5
    assert found.groups[0] == pytest.approx(rows["weight"].sum())


def answer(formula: str, where: dict[str, object], logistic: bool) -> None:
    question = Regression(formula, where, logistic)
    question.evaluate(made(*[name for name in question.columns if name in SCHEMA.names]))


@pytest.mark.parametrize(
    ("formula", "where", "logistic", "said"),
    [
        ("age ~ sex + C(region)", {}, False, r"C\(..\) is a call, and nothing is evaluated"),
        ("age ~ np.log(wage)", {}, False, r"np.log\(..\) is a call"),
        ("age ~ I(wage + 1)", {}, False, "is a call"),
        ("age ~ {wage + 1}", {}, False, "'{' is not read"),
        ("age ~ 'wage'", {}, False, "is not read"),
        ("age ~ wage[0]", {}, False, r"'\[' is not read"),
        ("age ~ wage.real", {}, False, "no column 'wage.real'"),
        ("age ~ .", {}, False, "'.' is not read"),
        ("age ~ sex / wage", {}, False, "'/' is not read"),
        ("age ~ sex | wage", {}, False, r"'\|' is not read"),
        ("age ~ 2:wage", {}, False, "the number 2 is no term"),
        ("age ~ (sex + wage)**9", {}, False, "one power at most, of 2 or 3"),
        ("age ~ sex wage", {}, False, "cannot be read"),
        ("age ~ sex +", {}, False, "cannot be read"),
        ("age ~ (sex", {}, False, "cannot be read"),
        ("age ~ 0", {}, False, "no term stands right"),
        ("age ~ sex ~ wage", {}, False, "must hold one '~'"),
        ("age + sex", {}, False, "must hold one '~'"),
        ("~ sex", {}, False, "one column stands left"),
        ("age sex ~ wage", {}, False, "expected '=' and a value after age, found 'sex'"),
        ("sex=F, age=3 ~ wage", {}, True, "one column stands left"),
        ("age ~ age + sex", {}, False, "'age' stands on both sides"),
        ("sex=F ~ age", {}, False, "a linear response is a column alone"),
        ("age ~ where", {}, False, "write the column 'where' in backticks"),
        ("age ~ height", {}, False, "no column 'height'"),
        ("sex ~ age", {}, False, "column 'sex' has no numbers"),
        ("region ~ age", {}, True, "column 'region' is not two-valued; name the event"),
        ("wage ~ age", {}, True, "is not two-valued"),
        ("age ~ sex", {"sex": "F"}, False, "column 'sex' is 'F' in all records"),
        ("age ~ grade", {"grade": "2"}, False, "the other terms tell all of 'grade'"),
        ("sex=F ~ age", {"sex": "F"}, True, "tell some values of the response for certain"),
    ],
)
def test_what_is_no_regression_is_refused_in_one_line(formula, where, logistic, said) -> None:
    with pytest.raises(InputError, match=said) as raised:
        answer(formula, where, logistic)
    assert "\n" not in str(raised.value)


def test_nothing_of_a_formula_is_evaluated(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    from formulaic.parser import DefaultFormulaParser

    whole = DefaultFormulaParser.get_terms

    def get_terms(self, formula, **kinds):  # type: ignore[no-untyped-def]
        seen.append(formula)
        return whole(self, formula, **kinds)

    monkeypatch.setattr(DefaultFormulaParser, "get_terms", get_terms)
    from dp_synth.estimates.formula import read_formula

    read = read_formula.__wrapped__("y ~ `__import__('os').system('x')` * b + 0")
    assert seen == ["x0 * x1 + 0"]
    assert read.terms[0] == ("__import__('os').system('x')",)
