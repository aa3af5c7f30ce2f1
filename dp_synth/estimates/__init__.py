"""Questions about the records of a release, and what a distribution of them answers.

All of it is post-processing: it sees what a model says of records, and never the records.
"""

from dp_synth.estimates.combining import Combined, combine
from dp_synth.estimates.estimate import Estimate
from dp_synth.estimates.functionals import Distribution, Evaluated, Inverse
from dp_synth.estimates.questions import (
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
from dp_synth.estimates.reading import KINDS, read_question
from dp_synth.estimates.regressions import Regression

__all__ = [
    "KINDS",
    "Combined",
    "Correlation",
    "Count",
    "Difference",
    "Distribution",
    "Estimate",
    "Evaluated",
    "Inverse",
    "Mean",
    "OddsRatio",
    "Quantile",
    "Question",
    "Regression",
    "RiskRatio",
    "Share",
    "combine",
    "read_question",
]
