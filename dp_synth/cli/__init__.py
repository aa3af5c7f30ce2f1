"""The command line: `dp-synth`, one command a verb."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from dp_synth._version import __version__
from dp_synth.cli import account, audit, benchmark, evaluate, ledger, listing, schema, synthesize
from dp_synth.errors import BudgetExceeded, InputError, UnsupportedEvent

EXIT_INPUT = 2
EXIT_BUDGET = 3
EXIT_INTERRUPTED = 130

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
app.add_typer(schema_app, name="schema")
app.command("synthesize")(synthesize.synthesize)
app.command("sample")(synthesize.sample)
app.command("evaluate")(evaluate.evaluate)
app.command("attack")(evaluate.attack)
app.command("audit")(audit.audit)
app.command("account", cls=account.InOrder, no_args_is_help=True)(account.account)
app.add_typer(benchmark_app, name="benchmark")
ledger_app.command("new")(ledger.new)
ledger_app.command("verify")(ledger.verify)
ledger_app.command("show")(ledger.show)
ledger_app.command("export")(ledger.export)
app.add_typer(ledger_app, name="ledger")
app.command("list")(listing.listing)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``dp-synth`` and return its exit code; ``arguments`` default to the command line's.

    0 success, 2 wrong arguments or input, 3 a budget that does not allow it, 4 an audit that
    refutes a claim, 130 interrupted.
    Anything else is a defect of ours: its exception is left to end the process with a traceback.
    """
    try:
        app(None if arguments is None else list(arguments), prog_name="dp-synth")
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    except BudgetExceeded as error:
        return _fail(str(error), EXIT_BUDGET)
    except (InputError, UnsupportedEvent) as error:
        return _fail(str(error), EXIT_INPUT)
    except OSError as error:
        named = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        return _fail(named, EXIT_INPUT)
    except KeyboardInterrupt:
        return _fail("interrupted", EXIT_INTERRUPTED)
    return 0


def _fail(message: str, code: int) -> int:
    print("dp-synth:", " ".join(message.splitlines()), file=sys.stderr)
    return code
