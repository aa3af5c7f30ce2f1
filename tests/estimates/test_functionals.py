"""Answers are those of numpy and pandas on the same weighted rows, influences their derivatives."""

from __future__ import annotations

import numpy as np
import pytest

from dp_synth.errors import InputError
from dp_synth.estimates import (
    Correlation,
    Count,
    Difference,
    Mean,
    OddsRatio,
    Quantile,
    Question,
    RiskRatio,
    Share,
)
from tests.estimates.made_distributions import SCHEMA, derivatives, drawn, made

WOMEN, MEN = {"sex": "F"}, {"sex": "M"}
SMOOTH: list[Question] = [
    Count(),
    Count({"sex": "F", "age": (20, 29)}),
    Share({"region": "n"}),
    Share({"region": ["n", "?"]}, {"age": [18, 22, 30, 31, 37]}),
    Share({"hours": (5, 30)}, {"hours": (3, 45)}),
    Mean("age"),
    Mean("hours", {"hours": (12, 45), "sex": "M"}),
    Mean("wage"),
    Mean("wage", {"wage": (2.5, 30.0)}),
    Mean("grade"),
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
    Correlation("age", "wage"),
    Correlation("wage", "hours", {"sex": "F"}),
    Correlation("grade", "income"),
]


@pytest.mark.parametrize("question", SMOOTH, ids=str)
def test_influences_are_derivatives_towards_each_cell(question: Question) -> None:
    distribution = made(*question.columns or ("sex",))
    found = question.evaluate(distribution)
    numeric = derivatives(question, distribution)
    assert found.influences.shape == (len(distribution), len(found.values))
    rounding = 1e-5 * np.abs(numeric).max() + 1e-8 * np.abs(found.values).max()
    assert found.influences == pytest.approx(numeric, rel=1e-4, abs=rounding)
    assert distribution.weights @ found.influences == pytest.approx(0, abs=1e-9)
    assert all(0 < share <= 1 for share in found.groups)
