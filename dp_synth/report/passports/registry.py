"""Record for the public registry of deployments of differential privacy, at all its three tiers.

The registry is that of the OpenDP project (github.com/opendp/deployments-registry-data). Its
technical fields are filled from the ledger, the schema and the card; what only people can say from
a person's file, "not stated" where the registry asks for it and nobody said it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime

from dp_synth._version import __version__
from dp_synth.accounting.filters import cost
from dp_synth.errors import InputError, UnsupportedEvent
from dp_synth.formatting import one_line
from dp_synth.report.guarantee import ENGINES
from dp_synth.report.passports.inputs import NOT_STATED, Inputs, Passport
from dp_synth.validation_bounds import HOLDOUT

PEOPLES = (
    *("deployment.basic.name", "deployment.basic.data_curators", "deployment.basic.description"),
    *("deployment.basic.intended_use", "deployment.basic.data_product_region"),
    *("deployment.basic.publication_date", "deployment.basic.data_product_sector"),
    *("deployment.deployment_model.actors", "deployment.implementation.justification"),
    *("deployment.administrative.sources", "deployment.administrative.notes"),
    "deployment.administrative.registry_authors",
)
"""Fields of the registry that only people can fill; all others are technical."""

WANTED = (
    *("curators", "intended_use", "region", "publication_date", "sector", "actors"),
    *("justification", "sources", "authors"),
)


def registry(inputs: Inputs) -> Passport:
    """Return the record, a YAML text."""
    import yaml

    record = {
        "url_slug": inputs.slug,
        "status": "Draft",
        "tier": 3,
        "deployment": {
            "basic": _basic(inputs),
            "dp_variant": _variant(inputs),
            "privacy_loss": _loss(inputs),
            "deployment_model": _model(inputs),
            "accounting": _accounting(inputs),
            "implementation": _implementation(inputs),
            "administrative": _administrative(inputs),
        },
    }
    text = yaml.dump(record, Dumper=_dumper(), sort_keys=False, allow_unicode=True, width=100)
    return Passport(text, inputs.absent(*WANTED))


def _dumper() -> type:
    """Return a dumper that quotes every text, or writes it line by line, as the registry asks."""
    import yaml

    class Dumper(yaml.SafeDumper):
        pass

    def spelt(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
        style = "|" if "\n" in text else "'" if len(text) > 60 or ":" in text else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    Dumper.add_representer(str, spelt)
    return Dumper


def _basic(inputs: Inputs) -> Mapping[str, object]:
    person = inputs.person
    published = person.publication_date or datetime.now(UTC).date()
    found: dict[str, object] = {
        "name": inputs.part.title,
        "data_curators": list(person.curators or (NOT_STATED,)),
        "intended_use": person.intended_use or NOT_STATED,
        "data_product_type": "Synthetic data",
        "data_product_region": person.region or NOT_STATED,
        "description": inputs.description,
        "publication_date": published.isoformat(),
    }
    if person.sector is not None:
        found["data_product_sector"] = person.sector
    return found


def _variant(inputs: Inputs) -> Mapping[str, object]:
    """Return by what variant of differential privacy, for which tables, and what it leaves out."""
    part = inputs.part
    pure = part.promise.delta == 0
    columns = [c for c in part.public_inputs.columns if c.cells is not None]
    listed = "\n".join(
        f"- {one_line(c.name)}: {c.type}, {c.cells:,} cells {c.cells_from}" for c in columns
    )
    public = [
        "- the names, types, categories and bounds of all columns (bounds come from: "
        f"{one_line(part.public_inputs.bounds_from or 'not said')})",
        *(f"- the rule: {one_line(rule)}" for rule in part.public_inputs.constraints),
    ]
    if opened := [one_line(c.name) for c in columns if c.open]:
        public.append(
            f"- but of {', '.join(opened)} the declared categories alone: others were found"
        )
    if inputs.release.ledger.budget.records_are_public:
        public.append("- the number of records")
    return {
        "variant_name": "Pure DP" if pure else "Approximate DP",
        "data_domain": f"All tables, of any number of records, with the columns\n{listed}\n",
        "unprotected_quantities": "Declared public, and used without noise:\n"
        + "\n".join(public)
        + "\n",
    }


def _loss(inputs: Inputs) -> Mapping[str, object]:
    promise, budget = inputs.part.promise, inputs.release.ledger.budget
    parameters: dict[str, object] = {}
    if promise.epsilon is not None:
        parameters = {"epsilon": promise.epsilon, "delta": promise.delta}
    if (rho := _rho(inputs)) is not None:
        parameters["rho"] = rho
    unit = "Record-level" if budget.unit is None else f"All records of one {budget.unit}"
    words = "\n".join(f"- {line}" for line in promise.in_words)
    return {
        "privacy_unit": unit,
        "privacy_unit_details": f"Adjacent tables differ by {budget.neighbours}.",
        "privacy_parameters": parameters,
        "privacy_parameters_details": f"{promise.statement}\n{words}\n",
    }


def _rho(inputs: Inputs) -> float | None:
    """Return the cost of all that was reserved in zero-concentrated DP; None where it has none."""
    ledger = inputs.release.ledger
    try:
        found = math.fsum(cost(e.event, "zcdp") * e.count for e in ledger.reservations)
    except (InputError, UnsupportedEvent):
        return None
    return found if math.isfinite(found) else None


def _model(inputs: Inputs) -> Mapping[str, object]:
    ledger, person = inputs.release.ledger, inputs.person
    recipes = list(dict.fromkeys(entry.recipe for entry in ledger.reservations))
    several = len(recipes) > 1
    rule = "fixed before the first release" if ledger.rule == "planned" else "kept by a filter"
    read = "One table, read once"
    if any(answer.part == HOLDOUT for answer in inputs.release.transcript):
        read = "Two tables, the fitted one and a hold-out, under one budget, each read once"
    found: dict[str, object] = {
        "model_name": "Central",
        "model_name_details": "The data holder runs the synthesizer on the records as they were "
        "collected; only the noisy answers of its ledger, and what follows from them, leave it.",
        "release_type": "Many releases" if several else "One release",
        "release_type_details": f"One budget for {', '.join(recipes) or 'nothing'}, {rule}.",
        "data_source_type": "Static",
        "data_source_type_details": f"{read}; later states have budgets of their own.",
        "access_type": "Non-interactive",
        "access_type_details": "Synthetic records, and the model that they are drawn from; nobody "
        "asks anything of the records themselves.",
    }
    if person.actors is not None:
        found["actors"] = person.actors
    return found


def _accounting(inputs: Inputs) -> Mapping[str, object]:
    part = inputs.part
    engine = ENGINES.get(part.promise.engine, part.promise.engine)
    return {
        "post_processing": "The model is inferred from the noisy answers alone, and records are "
        "drawn from it; impossible cells of public rules are set to zero. Neither costs anything.",
        "composition": f"Certified by {engine}, over all that was reserved.\n"
        + "".join(f"- {step}\n" for step in _steps(inputs)),
    }


def _steps(inputs: Inputs) -> list[str]:
    """Return each step of the ledger in words, with its share of the cost."""
    found = []
    currency = "Gaussian DP" if inputs.release.ledger.rule == "gdp" else "zCDP"
    for step in inputs.part.steps:
        answers = "; ".join(f"{one.count} x {one.event}" for one in step.granted)
        share = "" if step.share is None else f", {step.share:.1%} of the cost in {currency}"
        found.append(f"{step.recipe}, {step.part}: {answers}{share}")
    return found


def _implementation(inputs: Inputs) -> Mapping[str, object]:
    part, ledger = inputs.part, inputs.release.ledger
    cut = [c for c in part.public_inputs.columns if c.cells is not None]
    found_by_fit = [c.name for c in cut if c.cells_from != "declared"]
    cells = ", ".join(found_by_fit) or "none"
    settings = ", ".join(f"{name}={value}" for name, value in part.method.settings.items())
    noise = "from the operating system's entropy"
    if ledger.seeded:
        noise = "repeatable from a seed: not for release"
    bits = "exact in law: integers with exactly rounded noise"
    if ledger.inexact:
        bits = f"in floating point in {', '.join(ledger.inexact)}; its low bits are not certified"
    found: dict[str, object] = {
        "preprocessing_and_hyperparameter_tuning": "Columns are cut into cells by the public "
        f"schema; cells found by the fit itself, within its budget: {cells}. Settings: "
        f"{settings or 'none'}; no setting was tuned on the records by the ledger's account.",
        "mechanisms": f"- {inputs.method}: {part.method.reference}\n"
        f"- Library: dp_synth {__version__}\n"
        f"- Randomness: {noise}\n"
        f"- Floating point: noise is {bits}\n"
        "- Timing: not interactive, so that no running time is seen by others\n",
    }
    if inputs.person.justification is not None:
        found["justification"] = inputs.person.justification
    return found


def _administrative(inputs: Inputs) -> Mapping[str, object]:
    person = inputs.person
    sources = [person.sources or "", f"Published at {person.url}" if person.url else ""]
    found: dict[str, object] = {}
    if any(sources):
        found["sources"] = "\n".join(f"- {one}" for one in sources if one) + "\n"
    notes = f"Written by dp_synth {__version__} from the ledger of the release."
    if person.publication_date is None:
        notes += " publication_date is the day of this draft: nobody has stated one."
    found["notes"] = notes
    found["registry_authors"] = list(person.authors or person.curators or (NOT_STATED,))
    return found
