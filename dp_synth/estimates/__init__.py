"""Questions about the records of a release, and what a distribution of them answers.

All of it is post-processing: it sees what a model says of records, and never the records.
"""

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

__all__ = [
    "Correlation",
    "Count",
    "Difference",
    "Distribution",
    "Evaluated",
    "Inverse",
    "Mean",
    "OddsRatio",
    "Quantile",
    "Question",
    "RiskRatio",
    "Share",
]
