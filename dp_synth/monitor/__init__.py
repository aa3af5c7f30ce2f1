"""Life after release: whether a release still describes today's records."""

from dp_synth.monitor.check import Monitoring, monitor, monitor_exactly, monitoring_budget
from dp_synth.monitor.report import Drift, DriftReport

__all__ = [
    "Drift",
    "DriftReport",
    "Monitoring",
    "monitor",
    "monitor_exactly",
    "monitoring_budget",
]
