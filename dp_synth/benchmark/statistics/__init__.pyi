"""The public names of statistics, each with the module that it comes from."""

import dp_synth.records as _records

from .comparisons import Comparison as Comparison
from .comparisons import Friedman as Friedman
from .comparisons import Paired as Paired
from .comparisons import Ranking as Ranking
from .comparisons import Tests as Tests
from .comparisons import holm as holm
from .comparisons import paired as paired
from .comparisons import ranking as ranking
from .comparisons import sign_flip_p_value as sign_flip_p_value
from .scores import Better as Better
from .scores import adjusted as adjusted
from .scores import better as better
from .scores import bootstrap_interval as bootstrap_interval
from .scores import equivalents as equivalents
from .scores import failed_cells as failed_cells
from .scores import over_seeds as over_seeds

method_names = _records.method_names
t_interval = _records.t_interval
