"""Questions read back what is written of them, and what is none is refused in one line."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_distributions import SCHEMA

from dp_synth.errors import InputError
from dp_synth.estimates import (
    KINDS,
    Correlation,
    Count,
    Difference,
    Mean,
    OddsRatio,
    Quantile,
    Question,
    Regression,
    RiskRatio,
    Share,
    read_question,
)
from dp_synth.schema import Schema

ODD = Schema.from_dict(
    {
        "name": "odd names",
        "columns": [
            {"name": "a b", "type": "categorical", "missing": ["", "none"],
             "categories": ["x", "where", "and so", "1..2", "p|q", "`", "a,b", "<=50K", "c=d"]},
            {"name": "where", "type": "categorical", "categories": ["between", "and"]},
            {"name": "x`=,|", "type": "integer", "lower": -50, "upper": 50, "missing": ["-99"]},
            {"name": "r.1", "type": "real", "lower": -2, "upper": 2, "missing": ["?"]},
            {"name": "euro", "type": "real", "lower": 0, "upper": 9_000,
             "format": {"decimal": ",", "thousands": "."}},
            {"name": "wo~hin", "type": "ordinal", "size": 4},
            {"name": "t", "type": "datetime", "lower": "2020-01-01 00:00:00",
             "upper": "2020-12-31 00:00:00"},
            {"name": "größe", "type": "integer", "lower": 0, "upper": 1},
        ],
    }
)  # fmt: skip
NUMBERS = ("x`=,|", "r.1", "wo~hin", "t", "größe")


def _pair(numbers: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(numbers, min_size=2, max_size=2, unique=True).map(
        lambda two: tuple(sorted(two))
    )


def values_of(name: str) -> st.SearchStrategy:
    """What may be given of a column, as it is read: a value, a list of values, or a range."""
    column = ODD.column(name)
    if name == "r.1":
        return _pair(st.floats(-2, 2))
    if name == "euro":
        return st.just(("1.000,5", "2.000"))
    if name == "t":
        days = st.integers(1, 28).map(lambda day: f"2020-02-{day:02} 10:30:00")
        return days | _pair(days)
    if name in ("x`=,|", "größe"):
        numbers = st.integers(int(column.lower), int(column.upper))
        single, ranges = numbers, _pair(numbers)
    else:
        single, ranges = st.sampled_from(column.texts), st.nothing()
    marks = st.sampled_from([None, *column.missing]) if column.missing else st.nothing()
    several = st.lists(single | marks, min_size=2, max_size=3, unique=True)
    return single | marks | several | ranges


def conditions(least: int) -> st.SearchStrategy:
    names = st.lists(st.sampled_from(ODD.names), min_size=least, max_size=2, unique=True)
    return names.flatmap(lambda some: st.fixed_dictionaries({n: values_of(n) for n in some}))


def _or_none(make):  # type: ignore[no-untyped-def]
    """A strategy's function that gives None for what excludes itself."""

    def made(parts: tuple) -> Question | None:
        try:
            question = make(*parts)
            question.check(ODD)
        except InputError:
            return None
        return question

    return made


WHERE, GIVEN, NUMBER = conditions(0), conditions(1), st.sampled_from(NUMBERS)
FORMULAS = ["`x``=,|` ~ `a b` * r.1", "größe ~ `where` + t - 1", "t ~ (r.1 + `wo~hin`)**2"]
COMPARABLE = st.one_of(
    st.builds(lambda *parts: (Share, parts), GIVEN, WHERE),
    st.builds(lambda *parts: (Mean, parts), NUMBER, WHERE),
    st.builds(lambda *parts: (Quantile, parts), NUMBER, st.floats(0.001, 0.999), WHERE),
).map(_or_none(lambda kind, parts: kind(*parts)))
QUESTIONS = st.one_of(
    COMPARABLE,
    st.tuples(WHERE).map(_or_none(Count)),
    st.tuples(COMPARABLE, GIVEN, GIVEN).map(_or_none(Difference)),
    st.tuples(GIVEN, GIVEN, GIVEN, WHERE).map(_or_none(RiskRatio)),
    st.tuples(GIVEN, GIVEN, GIVEN, WHERE).map(_or_none(OddsRatio)),
    st.tuples(NUMBER, NUMBER, WHERE).map(_or_none(Correlation)),
    st.tuples(st.sampled_from(FORMULAS), WHERE).map(_or_none(Regression)),
    st.tuples(st.sampled_from(["`a b`=x|`p|q` ~ größe", "größe ~ `where`"]), WHERE).map(
        _or_none(lambda formula, where: Regression(formula, where, logistic=True))
    ),
).filter(lambda question: question is not None)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(QUESTIONS)
def test_a_question_reads_back_from_its_text(question: Question) -> None:
    assert read_question(str(question), ODD) == question


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("count", Count()),
        ("count where sex=F, age=20..29", Count({"sex": "F", "age": (20, 29)})),
        ("  count  where sex = F ,age = 20 .. 29 ", Count({"sex": "F", "age": (20, 29)})),
        ("share region=n|e", Share({"region": ["n", "e"]})),
        ("share region=?", Share({"region": "?"})),
        ("share region=n, sex=F where age=20", Share({"region": "n", "sex": "F"}, {"age": 20})),
        ("mean wage", Mean("wage")),
        ("mean `house size` where region=", Mean("house size", {"region": None})),
        ("median age", Quantile("age", 0.5)),
        ("quantile .9 wage where wage=0.5..1e1", Quantile("wage", 0.9, {"wage": (0.5, 10.0)})),
        (
            "mean hours between sex=F and sex=M",
            Difference(Mean("hours"), {"sex": "F"}, {"sex": "M"}),
        ),
        (
            "share region=n between sex=F, age=20 and sex=M where born=1980-01-01..1990-01-01",
            Difference(
                Share({"region": "n"}, {"born": ("1980-01-01", "1990-01-01")}),
                {"sex": "F", "age": 20},
                {"sex": "M"},
            ),
        ),
        (
            "risk ratio region=n between sex=F and sex=M",
            RiskRatio({"region": "n"}, {"sex": "F"}, {"sex": "M"}),
        ),
        (
            "odds ratio region=n between sex=F and sex=M where age=20",
            OddsRatio({"region": "n"}, {"sex": "F"}, {"sex": "M"}, {"age": 20}),
        ),
        ("correlation age `house size`", Correlation("age", "house size")),
        (
            "linear wage ~ age*sex + `house size` where region=n",
            Regression("wage ~ age*sex + `house size`", {"region": "n"}),
        ),
        ("logistic region=n ~ age", Regression("region=n ~ age", logistic=True)),
    ],
)  # fmt: skip
def test_questions_are_read_as_they_are_written(text: str, question: Question) -> None:
    assert read_question(text, SCHEMA) == question


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a question is empty; it begins with one of count, share"),
        ("   ", "a question is empty"),
        ("mena age", "no question 'mena'; did you mean 'mean'? there are: count"),
        ("=", "no question '='"),
        ("risk age", "expected 'ratio', found 'age'"),
        ("mean", "expected the name of a column, found the end"),
        ("mean where sex=F", "expected the name of a column, found 'where'"),
        ("mean Age", "no column 'Age'; did you mean 'age'?"),
        ("mean sex", "column 'sex' has no numbers: it is categorical"),
        ("mean age whre sex=F", "expected 'between', 'where' or the end, found 'whre'"),
        ("mean age where sex", "expected '=' and a value after sex, found the end"),
        ("mean age where sex=F and age=20", "expected ',' or the end, found 'and'"),
        ("mean age where sex=F, sex=M", "alternatives as sex=a|b"),
        ("mean age where sex=X", "column 'sex' has no category 'X'; there are: F, M"),
        ("mean age where sex=", "column 'sex' has no missing values; give a value"),
        ("mean age where sex=F..M", "column 'sex' has no ranges"),
        ("mean age where age=20..", "a range is a pair (low, high)"),
        ("mean age where age=50", "column 'age': takes a number from 18 to 37, got 50"),
        ("mean age where age=old", "takes a number from 18 to 37, got 'old'"),
        ("mean age where wage=3.5", "of which one alone has no share"),
        ("mean age where height=3", "no column 'height'"),
        ("mean age between sex=F", "expected 'and' and the second group, found the end"),
        ("mean age between sex=F and sex=F", "is between two groups, got sex=F twice"),
        ("mean age between age=20 and sex=F where age=30", "column 'age': no record can meet both"),
        ("share", "expected the name of a column, found the end"),
        ("share sex", "expected '=' and a value after sex"),
        ("quantile age", "a quantile names its level, as in 'quantile .9 C', got 'age'"),
        ("quantile 90 age", "the level of a quantile lies between 0 and 1, got 90"),
        ("quantile nan age", "lies between 0 and 1, got nan"),
        ("risk ratio region=n", "expected 'between' and two groups, found the end"),
        ("correlation age", "expected the name of a column, found the end"),
        ("correlation age age", "a correlation is of two columns, got 'age' twice"),
        ("correlation age sex", "column 'sex' has no numbers"),
        ("linear", "must hold one '~'"),
        ("linear wage ~ age wher sex=F", "'=' is not read; terms are column names"),
        ("linear wage ~ heigth", "no column 'heigth'"),
        ("logistic region ~ age", "column 'region' is not two-valued"),
        ("logistic region=w ~ age", "has no category 'w'"),
        ("count `sex`", "expected 'where' or the end"),
        ("count where `sex=F", "expected the name of a column, found '`sex=F'"),
    ],
)  # fmt: skip
def test_what_is_no_question_is_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(InputError) as raised:
        read_question(text, SCHEMA)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_each_kind_is_read() -> None:
    rests = {"count": "", "correlation": " age wage", "linear": " age ~ sex",
             "logistic": " sex ~ age", "quantile": " .1 age", "mean": " age", "median": " age",
             "share": " sex=F"}  # fmt: skip
    for kind in KINDS:
        rest = rests.get(kind, " sex=F between region=n and region=e")
        assert str(read_question(kind + rest, SCHEMA)) == (kind + rest).replace(" .1", " 0.1")


def test_values_are_held_in_kinds_of_python() -> None:
    for some in (np.array([20, 22]), pd.Series([20, 22]), {20, 22}, [np.int64(20), 22]):
        assert Count({"age": some}).where == {"age": [20, 22]}
    assert Count({"sex": ["F"]}) == Count({"sex": "F"})
    assert str(Count({"age": np.float64(20.0)})) == "count where age=20.0"


def test_columns_are_named_once_those_asked_for_first() -> None:
    question = read_question("mean wage between sex=F and sex=M where age=20, wage=0..9", SCHEMA)
    assert question.columns == ("wage", "age", "sex")
    assert read_question("linear wage ~ age*sex where sex=F|M", SCHEMA).columns == (
        "wage",
        "age",
        "sex",
    )


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Share({}), "an event says of some column what it is"),
        (lambda: Difference(Mean("age"), {}, {"sex": "F"}), "a comparison names two groups"),
        (lambda: Difference(Count(), {"sex": "M"}, {"sex": "F"}), "got Count"),
        (lambda: RiskRatio({}, {"sex": "M"}, {"sex": "F"}), "an event says"),
    ],
)
def test_questions_that_ask_nothing_are_refused(make, said) -> None:
    with pytest.raises(InputError, match=said):
        make()
