"""What attack scores prove: ROC curves with intervals that hold."""

from dp_synth.audit.roc import Roc

__all__ = ["Roc"]
