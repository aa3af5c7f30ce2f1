"""The public names of audits, each with the module that it comes from."""

from .auditor import AuditReport as AuditReport
from .auditor import Stage as Stage
from .auditor import audit as audit
from .auditor import candidates as candidates
from .auditor import search_design as search_design
from .auditor import stages_of as stages_of
from .auditor import total_scores as total_scores
from .bounds import Bound as Bound
from .bounds import Worlds as Worlds
from .bounds import ceiling as ceiling
from .bounds import clopper_pearson_bound as clopper_pearson_bound
from .bounds import gaussian_bound as gaussian_bound
from .bounds import guesses as guesses
from .bounds import one_run_bound as one_run_bound
from .bounds import one_run_gaussian_bound as one_run_gaussian_bound
from .bounds import one_run_mean_p_value as one_run_mean_p_value
from .neighbours import Design as Design
from .neighbours import NeighbouringTables as NeighbouringTables
from .neighbours import contrast as contrast
from .neighbours import of_table as of_table
from .neighbours import worst_case as worst_case
from .roc import AreaTest as AreaTest
from .roc import Roc as Roc
from .roc import area_test as area_test
from .roc import noise_factor as noise_factor
