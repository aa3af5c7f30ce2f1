"""`dp-synth card` and `dp-synth gate`: what stands beside a release, and whether that will do."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dp_synth.cli.arguments import Reference, takes_dialect
from dp_synth.cli.outputs import aligned, delivered, remark, write_each, write_text
from dp_synth.dialect import Dialect
from dp_synth.errors import InputError
from dp_synth.extensions import unknown
from dp_synth.files import check_writable
from dp_synth.formatting import one_line

if TYPE_CHECKING:
    from dp_synth.datasets.sources import Source
    from dp_synth.report.card import DataCard
    from dp_synth.report.gate import Policy, Signature, Verdict

EXIT_REFUSED = 4
NOT_STATED = "not stated"

SAID, READ = "what people say is in --person", "no real rows are read"
OF_CARD = {
    **dict.fromkeys(("--internal", "--source", "--licence", "--intended", "--not-intended"), SAID),
    **dict.fromkeys(("--real", "--holdout", "--reference"), READ),
    "a dialect": "rows are read as the schema of the release says",
}


Out = Annotated[
    Path | None,
    typer.Option(
        help="Where the card goes (.json), with its page beside; with --as where that goes, "
        "default: standard output."
    ),
]
AsFormat = Annotated[
    str | None,
    typer.Option(
        "--as",
        help="Instead write it as croissant, registry, datapackage, sdv, sdv-v1, huggingface.",
    ),
]
PersonFile = Annotated[
    Path | None, typer.Option(help="With --as: what only a person can say (YAML).")
]
SourceText = Annotated[
    str | None, typer.Option(help="Whom to cite for the table, or a dataset's name.")
]
Intended = Annotated[list[str] | None, typer.Option(help="A use it is meant for; may be repeated.")]
NotIntended = Annotated[
    list[str] | None, typer.Option(help="A use it is not meant for; may be repeated.")
]


@takes_dialect
def card(
    release: Annotated[Path, typer.Argument(help="A release that `synthesize` kept (.npz).")],
    dialect: Dialect,
    out: Out = None,
    passport: AsFormat = None,
    person: PersonFile = None,
    title: Annotated[str | None, typer.Option(help="Default: the schema's name.")] = None,
    source: SourceText = None,
    licence: Annotated[str | None, typer.Option(help="The licence of the table.")] = None,
    intended: Intended = None,
    not_intended: NotIntended = None,
    internal: Annotated[
        bool, typer.Option("--internal", help="Add the part that may not be published.")
    ] = False,
    real: Annotated[Path | None, typer.Option(help="Table that was fitted.")] = None,
    holdout: Annotated[Path | None, typer.Option(help="Real rows that were not fitted.")] = None,
    synthetic: Annotated[Path | None, typer.Option(help="Rows drawn from the release.")] = None,
    reference: Reference = None,
    seed: Annotated[int, typer.Option(help="Seed of classifiers and attacks.", min=0)] = 0,
) -> None:
    """Write the data card of a release, as JSON and as a page, or as others ask for it (--as).

    Without --internal it is made from the release alone and may be published with it.
    """
    if passport is not None:
        unread = (internal, source, licence, intended, not_intended, real, holdout, reference)
        _check_of_card(*unread, dialect != Dialect())
        _write_passport(release, passport, out, person, synthetic, title)
        return
    place = _place_of_card(out, person)
    from dp_synth.counting.size import COMPARED, check_room
    from dp_synth.datasets import read_table
    from dp_synth.release import Release
    from dp_synth.report.card import data_card, places
    from dp_synth.report.internal import internal_part

    tables = {"--real": real, "--holdout": holdout, "--synthetic": synthetic}
    check_writable(*places(place), read=(release, *tables.values(), reference))
    _check_internal(internal, tables, reference)
    kept = Release.load(release)
    of = _source(source, licence)
    made = data_card(
        kept, title=title, source=of, intended=intended or (), not_intended=not_intended or ()
    )
    if internal:
        how = kept.schema.read_as(dialect).dialect
        check_room(*tables.values(), reference, dialect=how, a_cell=COMPARED)
        others = None if reference is None else read_table(reference, how)
        fitted, fresh, rows = (read_table(path, how) for path in tables.values() if path)
        part = internal_part(fitted, fresh, rows, kept, reference=others, seed=seed)
        made = made.with_internal(part)
    made.write(place)


def gate(
    card_file: Annotated[
        Path | None, typer.Argument(metavar="CARD", help="A data card (.json).")
    ] = None,
    policy: Annotated[Path | None, typer.Option(help="What is asked of it (YAML).")] = None,
    sign: Annotated[
        list[str] | None, typer.Option(help="Sign for a role: ROLE=NAME; may be repeated.")
    ] = None,
    signatures: Annotated[
        list[Path] | None,
        typer.Option(help="Also count signatures in this file, of the same card's internal one."),
    ] = None,
    release: Annotated[
        Path | None, typer.Option(help="Also check that the card tells of this release (.npz).")
    ] = None,
    json_out: Annotated[
        Path | None, typer.Option("--json", help="Also write the verdict here, as JSON.")
    ] = None,
    show_policy: Annotated[
        bool, typer.Option("--show-policy", help="Print a policy to start from, and exit.")
    ] = False,
) -> None:
    """Judge a data card by a policy, and list what people must still sign.

    A policy with thresholds on exact private numbers is refused unless it accepts that they make
    the verdict private; thresholds on the validation that a fit paid for do not.

    Exit code 4 says that a check fails or a signature is missing. The card is never changed:
    signatures go into a file of their own beside it, and hold for the card as it is now.
    """
    from dp_synth.release import Release
    from dp_synth.report import gate as gates
    from dp_synth.report.card import DataCard
    from dp_synth.report.life import life_file, read_life

    if show_policy:
        typer.echo(gates.sample_policy(), nl=False)
        return
    if card_file is None or policy is None:
        raise InputError("a card and --policy must be given; --show-policy prints a first one")
    place, lived = gates.signature_file(card_file), life_file(card_file)
    check_writable(json_out, read=(card_file, policy, release, place, lived))
    asked, judged = gates.Policy.load(policy), DataCard.load(card_file)
    life = read_life(lived, judged)
    kept = None if release is None else Release.load(release)
    digest = gates.digest_of(card_file)
    for missing in (path for path in signatures or () if not path.exists()):
        raise InputError(f"{missing}: --signatures must be a file, and is not there")
    if sign:
        gates.add_signatures(place, [_signature(one, asked, judged, digest) for one in sign])
    signed = gates.read_signatures(place)
    signed += tuple(one for path in signatures or () for one in gates.read_signatures(path))
    verdict = gates.judge(judged, asked, card_sha256=digest, signed=signed, release=kept, life=life)
    private = bool(verdict.private)
    write_each(delivered(partial(_show, verdict), verdict.to_json(), json_out, private=private))
    if not verdict.passed:
        raise typer.Exit(EXIT_REFUSED)


def _place_of_card(out: Path | None, person: Path | None) -> Path:
    """Return where a card goes; InputError where nobody says it, or says what is for --as."""
    if person is not None:
        raise InputError("--person is for --as; give the format too")
    if out is None:
        raise InputError("--out must say where the card goes, a .json file")
    return out


def _check_of_card(*given: object) -> None:
    """Refuse with --as options that are of the card itself; each with what is there instead."""
    for (name, instead), value in zip(OF_CARD.items(), given, strict=True):
        if value:
            raise InputError(f"{name} is of the card; with --as, {instead}")


def _write_passport(
    release: Path,
    name: str,
    out: Path | None,
    person: Path | None,
    synthetic: Path | None,
    title: str | None,
) -> None:
    """Write a passport whole, or print it, and list what a person has yet to say."""
    from dp_synth.release import Release
    from dp_synth.report.passports import PASSPORTS, Inputs, Person, RowsFile

    if name not in PASSPORTS:
        raise InputError(f"--as: {unknown('format', name, PASSPORTS)}")
    kind = PASSPORTS[name]
    if out is not None and str(out) != "-" and out.suffix.lower() not in kind.suffixes:
        raise InputError(f"{out}: a passport as {name} must end in {' or '.join(kind.suffixes)}")
    check_writable(out, read=(release, person, synthetic))
    said = None if person is None else Person.load(person)
    kept = Release.load(release)
    rows = None if synthetic is None else RowsFile.of(synthetic, kept.row_schema)
    given = Inputs.of(kept, person=said, title=title, rows=rows)
    made = kind.make(given)
    if out is None or str(out) == "-":
        typer.echo(made.text, nl=False)
    else:
        write_text(out, made.text)
    if made.absent:
        remark(f"for a person to say, in --person FILE.yaml: {', '.join(made.absent)}")
    for finding in given.part.blocking:
        remark(f"warning: not to be released: {finding.text}")


def _check_internal(internal: bool, tables: dict[str, Path | None], reference: Path | None) -> None:
    """Refuse tables without --internal, and --internal without the tables that it needs."""
    given = [name for name, path in {**tables, "--reference": reference}.items() if path]
    if given and not internal:
        raise InputError(f"{given[0]} is for the internal part of the card; add --internal")
    missing = [name for name, path in tables.items() if path is None]
    if internal and missing:
        raise InputError(f"--internal needs {' and '.join(missing)}")


def _signature(sign: str, policy: Policy, card: DataCard, digest: str) -> Signature:
    """Return the signature that ROLE=NAME asks for; InputError, before any is added, for others."""
    from dp_synth.report.gate import signature_of

    role, equals, name = (part.strip() for part in sign.partition("="))
    if not equals or not name:
        raise InputError(f"--sign takes ROLE=NAME, got {sign!r}")
    try:
        return signature_of(role, name, policy, card, card_sha256=digest)
    except InputError as error:
        raise InputError(f"--sign: {error}") from None


def _source(text: str | None, licence: str | None) -> Source | None:
    """Return the source that options name: a known dataset's, or as they say."""
    from dp_synth.datasets.sources import ADULT, NAMED, Source

    named = {"adult": ADULT, **NAMED}
    if text in named:
        known = named[text]
        return known if licence is None else Source(known.place, known.citation, licence)
    if text is None and licence is None:
        return None
    return Source(NOT_STATED, text or NOT_STATED, licence or NOT_STATED)


def _show(verdict: Verdict) -> None:
    rows = [("check", "asked", "found", "verdict")]
    rows += [
        (check.name, check.threshold, check.value, "pass" if check.passed else "FAIL")
        for check in verdict.checks
    ]
    for line in aligned(rows):
        typer.echo(line)
    for signing in verdict.signings:
        one = signing.signature
        by = "to be signed" if one is None else f"signed by {one.name} on {one.at[:10]}"
        typer.echo(one_line(f"{signing.required.role}: {signing.required.statement} [{by}]"))
    if verdict.remark:
        typer.echo(f"warning: {verdict.remark}")
    typer.echo("passed" if verdict.passed else "not passed")
