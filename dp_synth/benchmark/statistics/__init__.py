"""Statistics over cells: intervals over seeds, pairs, ranks over tables, and what failed.

All take the table of records; none looks at data, and none pools what has not the same budget.
"""

from dp_synth.benchmark.statistics.direction import Better, better
from dp_synth.benchmark.statistics.equivalents import equivalents
from dp_synth.benchmark.statistics.failures import adjusted, failed_cells
from dp_synth.benchmark.statistics.intervals import bootstrap_interval, over_seeds, t_interval
from dp_synth.benchmark.statistics.methods import method_names
from dp_synth.benchmark.statistics.paired import Comparison, Paired, holm, paired, sign_flip_p_value
from dp_synth.benchmark.statistics.rank_tests import Friedman, Tests
from dp_synth.benchmark.statistics.ranks import Ranking, ranking

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
