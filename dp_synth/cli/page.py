"""`dp-synth benchmark report`: what a benchmark found, as one page to open, show and send."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dp_synth.cli.benchmark import place_of, records_of
from dp_synth.errors import InputError
from dp_synth.readers import parse_json


def report(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="GRID.yaml|STORE|RECORDS.jsonl...",
            help="Grids that were run, their results, or exported records, on one page.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="HTML file to write.")] = Path("report.html"),
    card: Annotated[
        list[Path] | None, typer.Option(help="A data card to summarise; may be given again.")
    ] = None,
) -> None:
    """Write one HTML file with curves, trade-off, ranks, costs and failures.

    It holds all that it needs, asks nobody for anything and opens without a network.
    """
    from dp_synth.report.card import DataCard
    from dp_synth.report.page import write_page

    records = records_of(sources)
    stores = [source for source in sources if not source.endswith(".jsonl")]
    found = [_manifest(place_of(source)) for source in stores]
    written = write_page(
        records,
        out,
        manifests=[manifest for manifest in found if manifest],
        cards=[DataCard.load(path).to_dict() for path in card or ()],
        stores=[Path(source).name for source in sources],
    )
    typer.echo(written)


def _manifest(place: str) -> dict[str, object]:
    """Return what made a store's records; nothing where it does not say."""
    from dp_synth.benchmark import store_at

    path = store_at(place).folder / "manifest.json"
    if not path.exists():
        return {}
    try:
        content = parse_json(path.read_bytes())
    except InputError as error:
        raise InputError(f"{path}: not JSON: {error}; run the grid again") from None
    return content if isinstance(content, dict) else {}
