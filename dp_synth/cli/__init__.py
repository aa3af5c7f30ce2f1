"""The command line: `dp-synth`, one command a verb."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer

from dp_synth._version import __version__
from dp_synth.cli import (
    audit,
    benchmark,
    card,
    choose,
    estimate,
    evaluate,
    ledger,
    life,
    listing,
    monitor,
    schema,
    synthesize,
)
from dp_synth.cli.outputs import remark, warnings_told
from dp_synth.errors import BudgetExceeded, InputError, LeftOut, SchemaMismatch, UnsupportedEvent
from dp_synth.formatting import inert_streams

EXIT_INPUT = 2
EXIT_BUDGET = 3
EXIT_INTERRUPTED = 130

LONGEST_LINE = 4000
"""Characters of an error: what it quotes may be as long as a file."""

app = typer.Typer(
    name="dp-synth",
    help="Differentially private synthetic tables, and the attacks that try them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(asked: bool) -> None:
    if asked:
        print(f"dp-synth {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


app.command("synthesize")(synthesize.synthesize)
app.command("sample")(synthesize.sample)
app.command("estimate")(estimate.estimate)
app.command("evaluate")(evaluate.evaluate)
app.command("attack")(evaluate.attack)
app.command("audit")(audit.audit)
app.command("card")(card.card)
app.command("gate")(card.gate)
app.command("life")(life.life)
app.command("monitor")(monitor.monitor)
app.command("account", cls=ledger.InOrder, no_args_is_help=True)(ledger.account)
app.command("choose")(choose.choose)
app.command("list")(listing.listing)

GROUPS: dict[str, tuple[str, tuple[Callable[..., None], ...]]] = {
    "schema": (
        "Draft a table's schema, import and export it, and check a table against one.",
        (schema.draft, schema.check, schema.import_schema, schema.export_schema),
    ),
    "benchmark": (
        "Run a grid of synthesizers, tables and budgets.",
        (
            *(benchmark.run, benchmark.status, benchmark.export, benchmark.plot),
            *(benchmark.rank, benchmark.compare, benchmark.report, benchmark.diff),
        ),
    ),
    "ledger": (
        "Open, verify, show and export the record of what was charged.",
        (ledger.new, ledger.verify, ledger.show, ledger.export, ledger.repair),
    ),
    "peers": (
        "Other libraries, each in an environment of its own.",
        (listing.install_peer, listing.list_peers),
    ),
}
for _name, (_help, _commands) in GROUPS.items():
    _group = typer.Typer(help=_help, no_args_is_help=True)
    for _command in _commands:  # called as its function is, up to whose it is
        _group.command(_command.__name__.partition("_")[0])(_command)
    app.add_typer(_group, name=_name)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``dp-synth`` and return its exit code; ``arguments`` default to the command line's.

    0 success, 2 wrong arguments or input, 3 a budget that does not allow it, 4 an audit that
    refutes a claim, a card that does not pass a gate or a release that has drifted, 130
    interrupted.
    Anything else is a defect of ours: its exception is left to end the process with a traceback.
    What comes from files and other people is shown as text, whatever signs it holds.
    """
    with inert_streams():
        return _exit_code(arguments)


def _exit_code(arguments: Sequence[str] | None) -> int:
    try:
        _check_arguments(sys.argv if arguments is None else arguments)
        with _told_in_a_line():
            app(None if arguments is None else list(arguments), prog_name="dp-synth")
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    except BudgetExceeded as error:
        return _fail(str(error), EXIT_BUDGET)
    except (InputError, UnsupportedEvent) as error:
        return _fail(str(error), EXIT_INPUT)
    except UnicodeEncodeError as error:  # of a text of a file, which is shown or written
        return _fail(f"a text cannot be written as {error.encoding}", EXIT_INPUT)
    except OSError as error:
        named = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        return _fail(named, EXIT_INPUT)
    except KeyboardInterrupt:
        return _fail("interrupted", EXIT_INTERRUPTED)
    return 0


def _check_arguments(arguments: Sequence[str]) -> None:
    """Refuse what no path, name or text can be: a NUL, and bytes that are not UTF-8."""
    for argument in arguments:
        try:
            argument.encode("utf-8")
        except UnicodeEncodeError:
            raise InputError(f"the argument {argument!a:.200} must be UTF-8 text") from None
        if "\0" in argument:
            raise InputError(f"the argument {argument!a:.200} must not hold a NUL character")


@contextmanager
def _told_in_a_line() -> Iterator[None]:
    """Tell in a line on standard error what a reader of tables left out or replaced; once each."""

    def tell(message: str, category: type[Warning]) -> bool:
        is_told = issubclass(category, LeftOut | SchemaMismatch)
        if is_told:
            print(message, file=sys.stderr)
        return is_told

    with warnings_told(tell):
        for told in (LeftOut, SchemaMismatch):
            warnings.filterwarnings("default", category=told)
        yield


def _fail(message: str, code: int) -> int:
    line = " ".join(message.splitlines())
    if len(line) > LONGEST_LINE:
        line = f"{line[: LONGEST_LINE // 2]} ... {line[-LONGEST_LINE // 2 :]}"
    remark(line)
    return code
