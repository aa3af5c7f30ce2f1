"""What others add to the toolkit: found by entry point, or by a dotted name."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import inspect
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TypeVar

from dp_synth.errors import InputError

KINDS = ("synthesizers", "attacks", "metrics", "datasets")
LISTED = 30  # names that an error line holds

T = TypeVar("T")


def find(kind: str, name: str, known: Mapping[str, T]) -> T:
    """Return what is called ``name``: one of ``known``, an entry point, or ``module:object``.

    Entry points are those of the group ``dp_synth.<kind>`` that installed packages declare. A
    dotted name is imported as it stands. InputError, with the nearest name, when there is none.

    >>> find("metrics", "math:sqrt", {})(4.0)
    2.0
    """
    if name in known:
        return known[name]
    declared = _declared(kind)
    if name in declared:
        return _loaded(declared[name])
    if ":" in name:
        return _imported(kind, name)
    raise InputError(unknown(f"{kind.removesuffix('s')} named", name, names(kind, known)))


def names(kind: str, known: Iterable[str]) -> tuple[str, ...]:
    """Return the known names, then those that installed packages declare."""
    first = tuple(known)
    return (*first, *(name for name in sorted(_declared(kind)) if name not in first))


def unknown(what: str, name: object, known: Iterable[object]) -> str:
    """Return the line that refuses a name: what it should name, the nearest, and what there is.

    >>> unknown("column", "Age", ["age", "sex"])
    "no column 'Age'; did you mean 'age'? there are: age, sex"
    """
    return f"no {what} {name!r}; {nearest(name, known)}"


def nearest(name: object, known: Iterable[object]) -> str:
    """Return the nearest of ``known``, in any case, and those that there are: an error's end.

    >>> nearest("MST", ["mst", "aim"])
    "did you mean 'mst'? there are: mst, aim"
    """
    there = [str(one) for one in known]
    return f"{did_you_mean(name, there)} there are: {listed(there)}".lstrip()


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """Return the question after the nearest of ``known``, "" where none is near.

    Alone it is for names that may not all be shown: a table's, whose head may be a record.

    >>> did_you_mean("Unit", ["unit", "age"]), did_you_mean("unit", ["age"])
    ("did you mean 'unit'?", '')
    """
    any_case = {text.lower(): text for text in map(str, known)}
    near = difflib.get_close_matches(str(name).lower(), any_case, n=1)
    return f"did you mean {any_case[near[0]]!r}?" if near else ""


def listed(names: Sequence[str], most: int = LISTED) -> str:
    """Return names with commas between them, of many the first and how many more there are.

    >>> listed(["age", "sex", "a, b"]), listed(["a", "b", "c"], most=2), listed([])
    ("age, sex, 'a, b'", 'a, b and 1 more', 'none')
    """
    shown = [repr(name) if "," in name or name != name.strip() else name for name in names[:most]]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(shown) or "none") + more


def code_of(thing: object) -> str:
    """Return the SHA-256 of the file that defines a class or function, "" for our own.

    Where there is no such file (a session, a compiled module) the name of the module stands in.
    """
    module = getattr(thing, "__module__", type(thing).__module__)
    if module.split(".")[0] == "dp_synth":
        return ""
    try:
        return hashlib.sha256(Path(inspect.getfile(thing)).read_bytes()).hexdigest()  # type: ignore[arg-type]
    except (TypeError, OSError):
        return str(module)


def _declared(kind: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=f"dp_synth.{kind}")}


def _loaded(point: EntryPoint) -> T:  # type: ignore[type-var]
    try:
        found: T = point.load()
    except (ImportError, AttributeError) as error:
        raise InputError(f"entry point {point.name!r} ({point.value}): {error}") from None
    return found


def _imported(kind: str, name: str) -> T:  # type: ignore[type-var]
    module, _, path = name.partition(":")
    try:
        found: object = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError, TypeError, SyntaxError) as error:
        raise InputError(f"{kind.removesuffix('s')} {name!r}: {error}") from None
    return found  # type: ignore[return-value]
