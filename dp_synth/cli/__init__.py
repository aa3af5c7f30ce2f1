"""The command line: `dp-synth`, one command a verb."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, TextIO

import typer

from dp_synth._version import __version__
from dp_synth.cli import (
    account,
    audit,
    benchmark,
    card,
    evaluate,
    ledger,
    listing,
    schema,
    synthesize,
)
from dp_synth.errors import (
    BudgetExceeded,
    InputError,
    LeftOut,
    SchemaMismatch,
    UnsupportedEvent,
)
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
schema_app = typer.Typer(
    help="Draft a table's schema, and check a table against one.", no_args_is_help=True
)
benchmark_app = typer.Typer(
    help="Run a grid of synthesizers, tables and budgets.", no_args_is_help=True
)
peers_app = typer.Typer(
    help="Other libraries, each in an environment of its own.", no_args_is_help=True
)
ledger_app = typer.Typer(
    help="Open, verify, show and export the record of what was charged.", no_args_is_help=True
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


schema_app.command("draft")(schema.draft)
schema_app.command("check")(schema.check)
benchmark_app.command("run")(benchmark.run)
benchmark_app.command("status")(benchmark.status)
benchmark_app.command("export")(benchmark.export)
benchmark_app.command("plot")(benchmark.plot)
benchmark_app.command("rank")(benchmark.rank)
benchmark_app.command("compare")(benchmark.compare)
benchmark_app.command("report")(benchmark.report)
benchmark_app.command("diff")(benchmark.diff)
app.add_typer(schema_app, name="schema")
app.command("synthesize")(synthesize.synthesize)
app.command("sample")(synthesize.sample)
app.command("evaluate")(evaluate.evaluate)
app.command("attack")(evaluate.attack)
app.command("audit")(audit.audit)
app.command("card")(card.card)
app.command("gate")(card.gate)
app.command("account", cls=account.InOrder, no_args_is_help=True)(account.account)
app.add_typer(benchmark_app, name="benchmark")
ledger_app.command("new")(ledger.new)
ledger_app.command("verify")(ledger.verify)
ledger_app.command("show")(ledger.show)
ledger_app.command("export")(ledger.export)
ledger_app.command("repair")(ledger.repair)
app.add_typer(ledger_app, name="ledger")
peers_app.command("install")(listing.install_peer)
peers_app.command("list")(listing.list_peers)
app.add_typer(peers_app, name="peers")
app.command("list")(listing.listing)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``dp-synth`` and return its exit code; ``arguments`` default to the command line's.

    0 success, 2 wrong arguments or input, 3 a budget that does not allow it, 4 an audit that
    refutes a claim or a card that does not pass a gate, 130 interrupted.
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
    with warnings.catch_warnings():
        for told in (LeftOut, SchemaMismatch):
            warnings.filterwarnings("default", category=told)
        others = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, LeftOut | SchemaMismatch):
                print(message, file=sys.stderr)
            else:
                others(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield


def _fail(message: str, code: int) -> int:
    line = " ".join(message.splitlines())
    if len(line) > LONGEST_LINE:
        line = f"{line[: LONGEST_LINE // 2]} ... {line[-LONGEST_LINE // 2 :]}"
    print("dp-synth:", line, file=sys.stderr)
    return code
