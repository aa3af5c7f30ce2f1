"""Differentially private synthesizers on one exact budget, and the attacks that try them."""

from dp_synth import attacks, audit, datasets, metrics
from dp_synth._version import __version__
from dp_synth.accounting import Accountant, Plan, PrivacyBudget
from dp_synth.attacks import AttackerView
from dp_synth.audit import Roc
from dp_synth.errors import BudgetExceeded, InputError, SchemaError
from dp_synth.release import Release
from dp_synth.schema import Schema
from dp_synth.synthesizers import (
    AIM,
    DPCTGAN,
    DPGAN,
    MST,
    MWEM,
    PATECTGAN,
    PATEGAN,
    SYNTHESIZERS,
    CliqueTree,
    Independent,
    MarginalGenerator,
    PrivBayes,
    Synthesizer,
    fit_jointly,
)

__all__ = [
    "AIM",
    "DPCTGAN",
    "DPGAN",
    "MST",
    "MWEM",
    "PATECTGAN",
    "PATEGAN",
    "SYNTHESIZERS",
    "Accountant",
    "AttackerView",
    "BudgetExceeded",
    "CliqueTree",
    "Independent",
    "InputError",
    "MarginalGenerator",
    "Plan",
    "PrivBayes",
    "PrivacyBudget",
    "Release",
    "Roc",
    "Schema",
    "SchemaError",
    "Synthesizer",
    "__version__",
    "attacks",
    "audit",
    "datasets",
    "fit_jointly",
    "metrics",
]
