"""Dataset card of the Hugging Face Hub: a YAML head that its search reads, and a page of text."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dp_synth.report.passports.inputs import Inputs, Passport
from dp_synth.schema import Column, DiscreteColumn, IdColumn, NumericColumn
from dp_synth.schema.kinds import is_logical
from dp_synth.schema.numeric import DatetimeColumn

SIZES = (  # of the Hub: from how many rows on
    (0, "n<1K"),
    (1_000, "1K<n<10K"),
    (10_000, "10K<n<100K"),
    (100_000, "100K<n<1M"),
    (1_000_000, "1M<n<10M"),
    (10_000_000, "10M<n<100M"),
    (100_000_000, "100M<n<1B"),
)
LICENCES = {  # of the Hub: identifiers that are those of SPDX in lower case
    *("apache-2.0", "mit", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-3.0"),
    *("cc-by-nd-4.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0", "odc-by", "pddl", "gpl-3.0"),
    *("odbl", "bsd-3-clause", "bsd-2-clause", "eupl-1.1", "cdla-permissive-2.0"),
}

WANTED = ("curators", "contact", "intended_use", "language", "licence", "url")


def huggingface(inputs: Inputs) -> Passport:
    """Return the card, Markdown with a YAML head.

    InputError without a file of rows, and for a CSV file that needs a dialect.
    """
    import yaml

    head = yaml.safe_dump(_head(inputs), sort_keys=False, allow_unicode=True)
    text = f"---\n{head}---\n\n" + "\n".join(_page(inputs)) + "\n"
    return Passport(text, inputs.absent(*WANTED))


def _head(inputs: Inputs) -> dict[str, object]:
    rows, person = inputs.plain_rows("huggingface"), inputs.person
    size = [name for least, name in SIZES if rows.rows >= least][-1]
    found: dict[str, object] = {"pretty_name": " ".join(inputs.part.title.split())}
    if person.language is not None:
        found["language"] = [person.language]
    if person.licence is not None:
        short = person.licence.lower()
        found["license"] = short if short in LICENCES else "other"
        if short not in LICENCES:
            is_address = person.licence == person.licence_url
            found["license_name"] = f"{inputs.slug}-licence" if is_address else short
            found["license_link"] = person.licence_url
    features = [{"name": name, "dtype": dtype} for name, dtype in _features(inputs)]
    split = {"name": "train", "num_bytes": rows.size, "num_examples": rows.rows}
    return {
        **found,
        "size_categories": [size],
        "annotations_creators": ["machine-generated"],
        "source_datasets": ["original"],
        "tags": ["synthetic", "differential-privacy", "tabular"],
        "configs": [
            {"config_name": "default", "data_files": [{"split": "train", "path": rows.name}]}
        ],
        "dataset_info": {"features": features, "splits": [split]},
    }


def _features(inputs: Inputs) -> Iterator[tuple[str, str]]:
    """Yield the name and the kind of each column; text where missing marks are words."""
    parquet = inputs.rows is not None and inputs.rows.is_parquet
    for column in inputs.schema.in_rows():
        if parquet:
            yield column.name, _kind_in_parquet(column)
            continue
        kind = "string"
        words = [mark for mark in column.missing if mark]
        if isinstance(column, IdColumn):
            kind = "int64" if column.keys.text == "integer" else kind
        elif isinstance(column, DiscreteColumn):
            kind = "bool" if is_logical(column) and not words else kind
            kind = "int64" if column.categories is None and not words else kind
        elif isinstance(column, NumericColumn) and not words and column.format is None:
            kind = "int64" if column.type == "integer" else "float64"
        yield column.name, kind


def _kind_in_parquet(column: Column) -> str:
    """Return the kind of cells that are values, not texts; missing ones are absent there."""
    if isinstance(column, IdColumn):
        return "int64" if column.keys.text == "integer" else "large_string"
    if isinstance(column, DatetimeColumn):
        zone = (
            "" if column.zone is None else f", tz={str(column.zone).removeprefix('UTC') or 'UTC'}"
        )
        return f"timestamp[ms{zone}]"
    if isinstance(column, DiscreteColumn):
        return "bool" if is_logical(column) else "string"
    return "int64" if column.type == "integer" else "float64"


def _page(inputs: Inputs) -> Iterator[str]:
    """Yield the lines of the text."""
    part, person = inputs.part, inputs.person
    about = person.description or _plain(inputs.description)  # a person may write Markdown
    yield f"# {_plain(part.title)}\n\n{about}\n"
    yield "## What is promised\n"
    yield from (f"- {_plain(line)}" for line in (part.promise.statement, *part.promise.in_words))
    yield f"\n## How it was made\n\n{_plain(inputs.method)}: {_plain(part.method.reference)}\n"
    yield "| step | answers | share of the cost |\n|---|---|---|"
    for step in part.steps:
        answers = "; ".join(f"{one.count} {one.why}: {one.event}" for one in step.granted)
        share = "" if step.share is None else f"{step.share:.1%}"
        yield f"| {_cell(f'{step.recipe}: {step.part}')} | {_cell(answers)} | {share} |"
    yield "\n## Columns\n\n| column | type | values |\n|---|---|---|"
    for column in part.public_inputs.columns:
        values = ", ".join((column.categories or ())[:10])
        if column.lower is not None:
            values = f"{column.lower} to {column.upper}"
        if column.type == "id":
            values = column.cells_from
        yield f"| {_cell(column.name)} | {column.type} | {_cell(values)} |"
    yield "\n## Uses and limits\n"
    if person.intended_use is not None:
        yield f"Meant for: {_plain(person.intended_use)}\n"
    yield from (f"- {_plain(one)}" for one in inputs.limits)
    told = [
        (name, value)
        for name, value in (
            ("Published by", ", ".join(person.curators or ())),
            ("Contact", person.contact),
            ("Published at", person.url),
        )
        if value
    ]
    if told:
        yield "\n## Who\n"
        yield from (f"- {name}: {_plain(value)}" for name, value in told)


def _plain(text: str) -> str:
    """Return a text as one line that is no markup of HTML or Markdown: no picture, no link.

    >>> _plain("a & b <i> ![c](https://example.org)")
    'a &amp; b &lt;i> !\\\\[c\\\\](https://example.org)'
    """
    shown = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*\[\]])", r"\\\1", shown)


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|")
