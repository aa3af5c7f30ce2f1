"""Reports for people: what a release promises, what attacks found, whether it may leave."""

from dp_synth.report.benchmark_page import write_page
from dp_synth.report.card import DataCard, data_card
from dp_synth.report.gate import Policy, judge
from dp_synth.report.internal import internal_part
from dp_synth.report.risk import Guarantee, RiskReport, risk_report

__all__ = [
    "DataCard",
    "Guarantee",
    "Policy",
    "RiskReport",
    "data_card",
    "internal_part",
    "judge",
    "risk_report",
    "write_page",
]
