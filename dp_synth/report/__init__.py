"""Reports for people: what a release promises, and what attacks on it found."""

from dp_synth.report.risk import Guarantee, RiskReport, risk_report

__all__ = ["Guarantee", "RiskReport", "risk_report"]
