"""Exceptions and warnings of our own: only those on which a caller can act."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from pathlib import Path

_WITHIN = (f"{Path(__file__).parent}{os.sep}", contextlib.__file__)


class BudgetExceeded(Exception):
    """The budget cannot pay for what was asked; nothing was read, drawn or released."""


class UnsupportedEvent(Exception):
    """No certified engine bounds this event under the declared adjacency."""


class InputError(ValueError):
    """What the caller gave is not as it should be; the message is one line that says what is."""


class SchemaError(InputError):
    """A schema file, or a table beside its schema, is not as it should be."""


class DatasetUnavailable(InputError):
    """A named table is neither bundled nor where the user said that it would be."""


class LedgerError(InputError):
    """A ledger file is damaged, foreign, or of a version that is not known here."""


class ReleaseError(InputError):
    """A release file is damaged, foreign, or of a version that is not known here."""


class CheckpointError(InputError):
    """A checkpoint is damaged, foreign, or of another fit than the one that is to go on."""


class RowsNeeded(InputError):
    """Records were asked for one by one, of a table of which only counts may come."""


class TrainingError(InputError, FloatingPointError):
    """A training came to numbers that are not finite, as its settings let it; it cannot go on."""


class GridError(InputError):
    """A benchmark grid names something that does not exist, or is malformed."""


class SchemaMismatch(UserWarning):
    """Some cells of a table do not fit its schema: they are clipped or taken as missing.

    Whether it is given depends on the records: it is for the data holder, and its text says no
    more than that. `Schema.check` tells which cells they are. It comes before anything is
    charged, so that nothing is lost where warnings are errors.
    """


class PrivacyWarning(UserWarning):
    """The public settings of a fit promise less than they seem to; said before it reads."""


class LeftOut(UserWarning):
    """A column of a file is no column of its table, and was left out."""


def warn(text: str, category: type[Warning]) -> None:
    """Warn at the line, outside of this package, that led here."""
    depth, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_WITHIN):
        depth, frame = depth + 1, frame.f_back
    warnings.warn(text, category, stacklevel=depth + 1)


def missing_extra(what: str, needed: str, extra: str) -> InputError:
    """Return the error for ``what`` cannot be done without a package of an ``extra``.

    >>> str(missing_extra("dpgan", "torch", "deep"))
    "dpgan needs torch, which is not installed: pip install '.[deep]' in dp_synth's source folder"
    """
    return InputError(
        f"{what} needs {needed}, which is not installed: "
        f"pip install '.[{extra}]' in dp_synth's source folder"
    )
