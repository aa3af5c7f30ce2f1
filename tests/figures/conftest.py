"""Figures call methods as the methods say, whichever of the tests is run."""

from dp_synth.citation import label_of
from dp_synth.figures import label_by

label_by(label_of)
