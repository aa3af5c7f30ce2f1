"""The public names of the package, each with the module that it comes from."""

from . import (
    accounting as accounting,
)
from . import (
    attacks as attacks,
)
from . import (
    audit as audit,
)
from . import (
    benchmark as benchmark,
)
from . import (
    datasets as datasets,
)
from . import (
    estimates as estimates,
)
from . import (
    figures as figures,
)
from . import (
    inference as inference,
)
from . import (
    mechanisms as mechanisms,
)
from . import (
    metrics as metrics,
)
from . import (
    monitor as monitor,
)
from . import (
    report as report,
)
from . import (
    schema as schema,
)
from . import (
    synthesizers as synthesizers,
)
from ._version import __version__ as __version__
from .accounting import Accountant as Accountant
from .accounting import Plan as Plan
from .accounting import PrivacyBudget as PrivacyBudget
from .attacks import AttackerView as AttackerView
from .audit import Roc as Roc
from .citation import cite as cite
from .errors import (
    BudgetExceeded as BudgetExceeded,
)
from .errors import (
    InputError as InputError,
)
from .errors import (
    PrivacyWarning as PrivacyWarning,
)
from .errors import (
    SchemaError as SchemaError,
)
from .errors import (
    SchemaMismatch as SchemaMismatch,
)
from .release import Release as Release
from .schema import Schema as Schema
from .synthesizers import (
    AIM as AIM,
)
from .synthesizers import (
    DPCTGAN as DPCTGAN,
)
from .synthesizers import (
    DPGAN as DPGAN,
)
from .synthesizers import (
    MST as MST,
)
from .synthesizers import (
    MWEM as MWEM,
)
from .synthesizers import (
    PATECTGAN as PATECTGAN,
)
from .synthesizers import (
    PATEGAN as PATEGAN,
)
from .synthesizers import (
    SYNTHESIZERS as SYNTHESIZERS,
)
from .synthesizers import (
    CliqueTree as CliqueTree,
)
from .synthesizers import (
    Independent as Independent,
)
from .synthesizers import (
    MarginalGenerator as MarginalGenerator,
)
from .synthesizers import (
    PrivBayes as PrivBayes,
)
from .synthesizers import (
    PublishedMST as PublishedMST,
)
from .synthesizers import Questions as Questions
from .synthesizers import (
    Synthesizer as Synthesizer,
)
from .synthesizers import Validation as Validation
from .synthesizers import (
    fit_jointly as fit_jointly,
)
from .synthesizers import synthesize as synthesize
