"""The public names of reports, each with the module that it comes from."""

from .benchmark_page import write_page as write_page
from .card import DataCard as DataCard
from .card import data_card as data_card
from .gate import Policy as Policy
from .gate import judge as judge
from .internal import internal_part as internal_part
from .risk import Guarantee as Guarantee
from .risk import RiskReport as RiskReport
from .risk import largest_success as largest_success
from .risk import risk_report as risk_report
from .scope import Scope as Scope
from .scope import scope_of as scope_of
