"""Statistics over cells: intervals over seeds, pairs, ranks over tables, and what failed.

All take the table of records; none looks at data, and none pools what has not the same budget.
"""

from dp_synth.benchmark.statistics.comparisons import (
    Comparison,
    Friedman,
    Paired,
    Ranking,
    Tests,
    holm,
    paired,
    ranking,
    sign_flip_p_value,
)
from dp_synth.benchmark.statistics.scores import (
    Better,
    adjusted,
    better,
    bootstrap_interval,
    equivalents,
    failed_cells,
    over_seeds,
)
from dp_synth.records import method_names, t_interval

__all__ = [
    "Better",
    "Comparison",
    "Friedman",
    "Paired",
    "Ranking",
    "Tests",
    "adjusted",
    "better",
    "bootstrap_interval",
    "equivalents",
    "failed_cells",
    "holm",
    "method_names",
    "over_seeds",
    "paired",
    "ranking",
    "sign_flip_p_value",
    "t_interval",
]
