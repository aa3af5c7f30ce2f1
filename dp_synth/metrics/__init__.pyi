"""The public names of metrics, each with the module that it comes from."""

from .cell_metrics import equivalent_sample as equivalent_sample
from .comparison import Compared as Compared
from .comparison import Metric as Metric
from .comparison import RealTables as RealTables
from .estimate import Estimate as Estimate
from .estimate import area_under_roc as area_under_roc
from .estimate import clopper_pearson as clopper_pearson
from .evaluation import evaluate as evaluate
from .fidelity import Binning as Binning
from .fidelity import cliques_of as cliques_of
from .fidelity import kmarginal as kmarginal
from .fidelity import kmarginal_score as kmarginal_score
from .fidelity import mean_total_variation as mean_total_variation
from .fidelity import workload_error as workload_error
from .models import MODELS as MODELS
from .prediction import utility as utility
from .registry import METRICS as METRICS
