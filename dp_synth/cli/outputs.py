"""Results of a command: each is tried, and a fit that was paid for leaves its release somewhere."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from dp_synth.errors import InputError
from dp_synth.files import named_in_errors, written_whole

if TYPE_CHECKING:
    from dp_synth.accounting import Accountant, Ledger, SubAccountant
    from dp_synth.release import Release
    from dp_synth.schema import Schema

Outputs = list[tuple[str | Path, Callable[[], object]]]
"""Where each result goes, and what writes it."""

Failed = dict[str, BaseException]
EXPECTED = (OSError, InputError, MemoryError, UnicodeError)


def write_each(outputs: Outputs) -> None:
    """Write every output; then InputError that names those that could not be.

    What is neither of the disk nor of the input is raised as it is.
    """
    failed = _tried(outputs)
    if failed:
        _fail(failed, _rest(failed, outputs))


def write_text(path: Path, text: str, *, private: bool = False) -> None:
    """Write a text file whole or not at all, readable by its owner alone where it is private."""
    with written_whole(path, private=private) as passing:
        passing.write_text(text, encoding="utf-8")


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
    _fail(failed, f"{_rest(failed, outputs)}; {spent}; {where}")


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


def _rest(failed: Failed, outputs: Outputs) -> str:
    written = [place for place, _ in outputs if str(place) not in failed]
    stopped = any(isinstance(error, KeyboardInterrupt) for error in failed.values())
    return "; all else was written" if written and not stopped else ""


def _fail(failed: Failed, more: str) -> NoReturn:
    said = "; ".join(f"{place}: {_reason(place, error)}" for place, error in failed.items())
    others = [error for error in failed.values() if not isinstance(error, EXPECTED)]
    if not others:
        raise InputError(f"{said}{more}") from next(iter(failed.values()))
    print(f"dp-synth: {said}{more}", file=sys.stderr)
    raise others[0]


def _reason(place: str, error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, MemoryError):
        return "the memory did not suffice"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if str(error.filename) == place else _named(error)
    return str(error).removeprefix(f"{place}: ") if isinstance(error, EXPECTED) else "a defect"


def _named(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)


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
