"""Differentially private synthesizers on one exact budget, and the attacks that try them.

Names are loaded when they are first used, so that a command or a worker process pays for what it
needs alone.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from dp_synth._version import __version__

if TYPE_CHECKING:
    from dp_synth import (
        accounting,
        attacks,
        audit,
        benchmark,
        datasets,
        figures,
        inference,
        mechanisms,
        metrics,
        report,
        schema,
        synthesizers,
    )
    from dp_synth.accounting import Accountant, Plan, PrivacyBudget
    from dp_synth.attacks import AttackerView
    from dp_synth.audit import Roc
    from dp_synth.citation import cite
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
        PublishedMST,
        Synthesizer,
        Validation,
        fit_jointly,
    )

_PACKAGES = (
    *("accounting", "attacks", "audit", "benchmark", "datasets", "figures", "inference"),
    *("mechanisms", "metrics", "report", "schema", "synthesizers"),
)
_HOMES = {
    "Accountant": "accounting",
    "Plan": "accounting",
    "PrivacyBudget": "accounting",
    "AttackerView": "attacks",
    "Roc": "audit",
    "cite": "citation",
    "BudgetExceeded": "errors",
    "InputError": "errors",
    "PrivacyWarning": "errors",
    "SchemaError": "errors",
    "SchemaMismatch": "errors",
    "Release": "release",
    "Schema": "schema",
    "AIM": "synthesizers",
    "DPCTGAN": "synthesizers",
    "DPGAN": "synthesizers",
    "MST": "synthesizers",
    "MWEM": "synthesizers",
    "PATECTGAN": "synthesizers",
    "PATEGAN": "synthesizers",
    "SYNTHESIZERS": "synthesizers",
    "CliqueTree": "synthesizers",
    "Independent": "synthesizers",
    "MarginalGenerator": "synthesizers",
    "PrivBayes": "synthesizers",
    "PublishedMST": "synthesizers",
    "Synthesizer": "synthesizers",
    "fit_jointly": "synthesizers",
    "Validation": "synthesizers",
}

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
    "PrivacyWarning",
    "PublishedMST",
    "Release",
    "Roc",
    "Schema",
    "SchemaError",
    "SchemaMismatch",
    "Synthesizer",
    "Validation",
    "__version__",
    "accounting",
    "attacks",
    "audit",
    "benchmark",
    "cite",
    "datasets",
    "figures",
    "fit_jointly",
    "inference",
    "mechanisms",
    "metrics",
    "report",
    "schema",
    "synthesizers",
]


def __getattr__(name: str) -> object:
    """Return a public name, loaded now (PEP 562); AttributeError for any other."""
    if name in _PACKAGES:
        return import_module(f"dp_synth.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'dp_synth' has no attribute {name!r}")
    found: object = getattr(import_module(f"dp_synth.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """Return the public names, loaded or not."""
    return sorted({*globals(), *__all__})
