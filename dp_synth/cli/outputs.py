"""What commands show and write: results, each of them tried, warnings, and bars of long work.

A fit that was paid for leaves its release somewhere.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, NoReturn, TextIO

import typer

from dp_synth.errors import InputError
from dp_synth.files import named_in_errors, written_whole
from dp_synth.formatting import at_most, one_line
from dp_synth.progress import Watcher, watching

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import ProgressColumn

    from dp_synth.accounting import Accountant, Ledger, SubAccountant
    from dp_synth.progress import Progress
    from dp_synth.release import Release
    from dp_synth.schema import Schema

Outputs = list[tuple[str | Path, Callable[[], object]]]
"""Where each result goes, and what writes it."""

STDOUT = Path("-")
Failed = dict[str, BaseException]
EXPECTED = (OSError, InputError, MemoryError, UnicodeError)


def remark(text: str) -> None:
    """Print a line on standard error that says whose it is."""
    print(f"dp-synth: {text}", file=sys.stderr)


def write_each(outputs: Outputs) -> None:
    """Write every output; then InputError that names those that could not be.

    What is neither of the disk nor of the input is raised as it is.
    """
    failed = _tried(outputs)
    if failed:
        _fail(failed, outputs)


def write_text(path: Path, text: str, *, private: bool = False) -> None:
    """Write a text file whole or not at all, readable by its owner alone where it is private."""
    with written_whole(path, private=private) as passing:
        passing.write_text(text, encoding="utf-8")


def delivered(
    show: Callable[[], object], text: str, json_file: Path | None, *, private: bool
) -> Outputs:
    """Return what shows a result and writes its JSON; for "-" the JSON alone is printed.

    The file is the first, which a closed terminal does not stop.
    """
    if json_file == STDOUT:
        return [("standard output", partial(typer.echo, text, nl=False))]
    shown: Outputs = [("standard output", show)]
    if json_file is None:
        return shown
    return [(json_file, partial(write_text, json_file, text, private=private)), *shown]


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a line for each row, whose cells but the last are as wide as their column's.

    What nothing stands beside, a title or a sentence, makes no column wider.

    >>> aligned([("a title",), ("a", "b"), ("long", "c")])
    ['a title', 'a     b', 'long  c']
    """
    rows = [[one_line(cell) for cell in row] for row in rows]
    columns = range(max(map(len, rows), default=0))
    widths = [max((len(row[i]) for row in rows if any(row[i + 1 :])), default=0) for i in columns]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


@contextmanager
def warnings_told(tell: Callable[[str, type[Warning]], bool]) -> Iterator[None]:
    """Have ``tell`` show warnings of the block; those go on of which it returns that it did not."""
    with warnings.catch_warnings():
        others = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if not tell(str(message), category):
                others(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield


def write_paid(
    release: Release, outputs: Outputs, kept: Path | None, files: Sequence[str | Path | None]
) -> None:
    """Say what was spent on a fit, and write every output of it as `write_each` does.

    Where one fails, and the release is not written to ``kept``, it is kept beside the first of the
    ``files`` whose folder takes it, under a name that is printed.
    """
    tell_of(release.ledger)
    failed = _tried(outputs)
    if not failed:
        return
    place = kept if kept is not None and str(kept) not in failed else _spare(release, files)
    where = "the release could not be kept anywhere either"
    if place is not None:
        where = f"the release is kept in {place}: `dp-synth sample` draws its rows at no cost"
    spent = f"what the fit cost stays spent, {release.ledger.summary()[0]}"
    _fail(failed, outputs, f"; {spent}; {where}")


def _tried(outputs: Outputs) -> Failed:
    """Write every output, none any more after an interrupt, and return what was raised."""
    failed: Failed = {}
    for place, write in outputs:
        try:
            with named_in_errors(place):
                write()
                sys.stdout.flush()  # what is printed, too, has its place here
        except KeyboardInterrupt as error:
            return {**failed, str(place): error}
        except Exception as error:  # each is told, or raised, once all were tried
            failed[str(place)] = error
    return failed


def _fail(failed: Failed, outputs: Outputs, more: str = "") -> NoReturn:
    said = "; ".join(f"{place}: {_reason(place, error)}" for place, error in failed.items())
    stopped = any(isinstance(error, KeyboardInterrupt) for error in failed.values())
    if len(failed) < len(outputs) and not stopped:
        said += "; all else was written"
    others = [error for error in failed.values() if not isinstance(error, EXPECTED)]
    if not others:
        raise InputError(f"{said}{more}") from next(iter(failed.values()))
    remark(f"{said}{more}")
    raise others[0]


def _reason(place: str, error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, MemoryError):
        return "the memory did not suffice"
    if isinstance(error, OSError) and error.strerror:
        own = error.filename is None or str(error.filename) == place
        return error.strerror if own else f"{error.filename}: {error.strerror}"
    return str(error).removeprefix(f"{place}: ") if isinstance(error, EXPECTED) else "a defect"


def _spare(release: Release, files: Sequence[str | Path | None]) -> Path | None:
    """Return where the release was kept, under a name that was free; None where nowhere."""
    beside = [Path(file).parent for file in files if file and str(file) != "-"]
    for folder in dict.fromkeys([*beside, Path(), Path(tempfile.gettempdir())]):
        for number in range(1, 1_000):
            place = folder / f"kept-release-{number}.npz"
            with suppress(OSError, InputError):
                if place.exists():
                    continue
                release.save(place)
                return place
            break
    return None


@contextmanager
def charged_for(payer: Accountant | SubAccountant) -> Iterator[None]:
    """Say what was charged where the fit of the block is interrupted, or fails after a charge."""
    from dp_synth.accounting import Accountant

    account = payer if isinstance(payer, Accountant) else payer.root
    before = len(account.ledger.entries)
    try:
        yield
    except BaseException:
        with suppress(InputError, OSError):
            if len(account.ledger.entries) > before:
                print("the fit did not end; what it was charged stays spent:", file=sys.stderr)
                tell_of(account.ledger)
        raise


@contextmanager
def stopped_gently() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, so that nothing half stays and all is said."""
    own = os.getpid()

    def stop(number: int, frame: object) -> None:
        if os.getpid() != own:  # a child, which has nothing to say
            os._exit(128 + number)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def tell_of(ledger: Ledger) -> None:
    """Print what was charged, and the head of a ledger on disk."""
    print(repr(ledger), file=sys.stderr)
    if ledger.head:
        print(
            f"head of the ledger: {ledger.head}\nnote it; `dp-synth ledger verify --head` then "
            "sees whether the ledger's end was cut off",
            file=sys.stderr,
        )


def check_room(schema: Schema, rows: int | None, out: str) -> None:
    """Refuse more rows than the disk can hold, however short they are; InputError."""
    if rows is None or not out.lower().endswith(".csv"):
        return  # a compressed file may be of any size
    least = rows * sum(_shortest(column) + 1 for column in schema.columns)
    with suppress(OSError):
        free = shutil.disk_usage(Path(out).parent).free
        if least > free:
            raise InputError(
                f"{out}: {rows:,} rows take {least:,} bytes or more, and its disk has {free:,} left"
            )


def _shortest(column: object) -> int:
    """Return how many bytes a cell takes at least."""
    texts = [*getattr(column, "texts", "0"), *getattr(column, "missing", ())]
    return min(len(text) for text in texts)


LONG = 20.0  # seconds: work that takes longer is announced
SURE = 1.0  # seconds after which it is known what the whole will take


@contextmanager
def shown_training(name: str) -> Iterator[None]:
    """Show how far the trainings of the block are, where standard error is a terminal.

    Their steps, the generator's loss, and the epsilon that is certified up to there. Nothing is
    shown, or loaded, where nobody looks.
    """
    if not sys.stderr.isatty():
        yield
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    from dp_synth.progress import watching_training

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    words = TextColumn("{task.fields[said]}")
    with bar(TextColumn(name, markup=False), *columns, words) as shown:
        task = shown.add_task(name, total=None, said="", visible=False)

        def show(progress: Progress) -> None:
            done, steps, said = progress.step, progress.steps, describe(progress)
            shown.update(task, completed=done, total=steps, said=said, visible=True)

        with watching_training(show):
            yield


@contextmanager
def bar(*columns: ProgressColumn, stays: bool = False) -> Iterator[Bar]:
    """Show a bar on standard error; what is printed meanwhile is not redirected.

    It then goes through the stream that spells it out.
    """
    from rich import console, progress

    with progress.Progress(
        *columns,
        console=console.Console(stderr=True),
        transient=not stays,
        redirect_stdout=False,
        redirect_stderr=False,
    ) as shown:
        yield shown


def describe(progress: Progress) -> str:
    """Return the loss, and epsilon where something private is asked, in a few words.

    >>> from dp_synth.progress import Progress
    >>> describe(Progress(50, 100, 1.25, 0.5)), describe(Progress(50, 100, 1.25))
    ('loss 1.25, epsilon 0.500', 'loss 1.25')
    """
    said = f"loss {progress.generator_loss:.3g}"
    return said if progress.epsilon is None else f"{said}, epsilon {at_most(progress.epsilon, 3)}"


@contextmanager
def shown_work(name: str) -> Iterator[None]:
    """Say on standard error how long the work of the block takes, where that is long.

    As soon as a part of it has shown so, with a bar where standard error is a terminal. All that
    is shown is time and the share that is done: rows and what was found in them are private.
    """
    begun, shown = monotonic(), ExitStack()
    show_share: Watcher | None = None

    def show(done: float) -> None:
        nonlocal show_share
        elapsed = monotonic() - begun
        if show_share is not None:
            show_share(done)
        elif elapsed >= SURE and elapsed / done >= LONG:
            remark(f"{name} takes about {in_words(elapsed / done)}")
            show_share = shown.enter_context(_share_of_work(name))

    with shown, watching(show):
        yield


@contextmanager
def _share_of_work(name: str) -> Iterator[Watcher]:
    """Show a bar, to be told which share is done; none where standard error is no terminal."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn

    with bar(TextColumn(name, markup=False), BarColumn(), TaskProgressColumn()) as shown:
        task = shown.add_task(name, total=1.0)
        yield lambda done: shown.update(task, completed=done)


def in_words(seconds: float) -> str:
    """Return a time to two digits at most.

    >>> [in_words(seconds) for seconds in (24.1, 100, 7000)]
    ['24 seconds', '2 minutes', '2 hours']
    """
    for length, unit, most in ((1, "seconds", 90), (60, "minutes", 5400)):
        if seconds < most:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds / 3600:.0f} hours"
