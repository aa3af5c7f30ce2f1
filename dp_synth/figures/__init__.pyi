"""The public names of figures, each with the module that it comes from."""

from .attacks import risk_bars as risk_bars
from .attacks import roc_curves as roc_curves
from .audits import audit_bounds as audit_bounds
from .audits import bounds_of as bounds_of
from .audits import draw_claimed as draw_claimed
from .audits import is_audit as is_audit
from .audits import power_curves as power_curves
from .curves import leakage_curves as leakage_curves
from .curves import tradeoff as tradeoff
from .curves import utility_curves as utility_curves
from .files import draw_all as draw_all
from .files import not_shown as not_shown
from .histograms import histograms as histograms
from .ranks import draw_ranks as draw_ranks
from .ranks import write_ranks as write_ranks
from .style import PALETTE as PALETTE
from .style import SETTINGS as SETTINGS
from .style import look as look
