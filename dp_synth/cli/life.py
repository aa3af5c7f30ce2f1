"""`dp-synth life`: what happened to a release after it was made, in a chain beside its card."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from dp_synth.cli.outputs import delivered, remark, write_each
from dp_synth.errors import InputError
from dp_synth.extensions import nearest
from dp_synth.files import check_writable
from dp_synth.formatting import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dp_synth.report.life import LifeEntry


def life(
    card: Annotated[Path, typer.Argument(help="A data card (.json).")],
    add: Annotated[
        str | None,
        typer.Option(help="Add: created, validated, signed, deployed, checked or retired."),
    ] = None,
    by: Annotated[str | None, typer.Option(help="Who says so; needed with --add.")] = None,
    note: Annotated[str, typer.Option(help="Where, how or why, in a sentence.")] = "",
    head: Annotated[
        str | None, typer.Option(help="A digest noted earlier: see that no end was cut off.")
    ] = None,
    json_out: Annotated[
        Path | None, typer.Option("--json", help="Also write the life here, as JSON.")
    ] = None,
) -> None:
    """Show what happened to a release, and see that nothing of it was changed; or add to it.

    The life lies beside the card (.life.jsonl); entries are added and never changed.
    """
    from dp_synth.report.card import DataCard
    from dp_synth.report.life import Event, Kind, add_event, life_file, read_life

    kept, path = DataCard.load(card), life_file(card)
    check_writable(json_out, read=(card, path))
    read_life(path, kept, head=head)
    if add is not None:
        kinds = get_args(Kind)
        if add not in kinds:
            raise InputError(f"--add: no event is called {add!r}; {nearest(add, kinds)}")
        if by is None or not by.strip():
            raise InputError("--add needs --by: who says so")
        add_event(path, kept, Event(add, by.strip(), note.strip()))  # type: ignore[arg-type]
    elif by is not None or note:
        raise InputError("--by and --note are of an event; give --add")
    entries = read_life(path, kept)
    write_each(delivered(partial(_show, entries), _as_json(entries), json_out, private=False))
    if add is not None:
        remark(f"head of the life: {entries[-1].digest}; note it, and `--head` sees a cut end")


def _show(entries: Sequence[LifeEntry]) -> None:
    for entry in entries:
        typer.echo(one_line(str(entry)))
    if not entries:
        typer.echo("nothing is noted yet")


def _as_json(entries: Sequence[LifeEntry]) -> str:
    from dataclasses import asdict

    lines = [{**asdict(one), "digest": one.digest} for one in entries]
    return json.dumps(lines, indent=2, ensure_ascii=False) + "\n"
