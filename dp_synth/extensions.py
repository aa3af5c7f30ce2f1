"""What others add to the toolkit: found by entry point, by a dotted name, or given as an object."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import importlib
import inspect
import io
import pickle
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import CodeType, FunctionType
from typing import TypeVar

from dp_synth.errors import InputError

KINDS = ("synthesizers", "attacks", "metrics", "datasets")
LISTED = 30  # names that an error line holds

SESSION = "__main__"
"""The module of a notebook or a script, which no other process can import."""

_given: dict[tuple[str, str], object] = {}  # what has no name that another process could import

T = TypeVar("T")


def find(kind: str, name: str, known: Mapping[str, T]) -> T:
    """Return what is called ``name``: one of ``known``, an entry point, or ``module:object``.

    Entry points are those of the group ``dp_synth.<kind>`` that installed packages declare. Then
    comes what `give` was given, and a dotted name is imported as it stands. InputError, with the
    nearest name, when there is none.

    >>> find("metrics", "math:sqrt", {})(4.0)
    2.0
    """
    if name in known:
        return known[name]
    declared = _declared(kind)
    if name in declared:
        return _loaded(declared[name])
    if (kind, name) in _given:
        return _given[kind, name]  # type: ignore[return-value]
    if ":" in name:
        return _imported(kind, name)
    raise InputError(unknown(f"{kind.removesuffix('s')} named", name, names(kind, known)))


def given(kind: str, name: str) -> object | None:
    """Return what `give` was given under a name, None where it was given nothing."""
    return _given.get((kind, name))


def give(kind: str, name: str, thing: object) -> str:
    """Let `find` return ``thing`` for ``name`` from now on, and return the name."""
    _given[kind, name] = thing
    return name


def name_of(kind: str, thing: object, known: Mapping[str, object]) -> str:
    """Return the name by which `find` gives a class or a function back.

    It is that among ``known``, else ``module:object``. What cannot be found by its module, such
    as a class that was made in a function, is given to `find`. InputError for what has no name.

    >>> import math
    >>> name_of("metrics", math.sqrt, {}), name_of("metrics", abs, {"size": abs})
    ('math:sqrt', 'size')
    """
    for name, one in known.items():
        if one is thing:
            return name
    parts = [getattr(thing, part, None) for part in ("__module__", "__qualname__")]
    if not all(isinstance(part, str) for part in parts):
        raise InputError(f"must be a name, a class or a function, got {type(thing).__name__}")
    name = ":".join(map(str, parts))
    _given.pop((kind, name), None)
    try:
        found: object = _imported(kind, name)
    except InputError:
        found = None
    return name if found is thing else give(kind, name, thing)


def packed(wanted: Iterable[tuple[str, str]]) -> bytes:
    """Return those of the kinds and names ``wanted`` that another process cannot import.

    They are pickled by value, with whatever of the session they use; empty where there are none.
    InputError for an object that cannot be pickled.
    """
    import cloudpickle

    here = [key for key in wanted if key in _given or key[1].startswith(f"{SESSION}:")]
    if not here:
        return b""
    nothing: dict[str, object] = {}
    content = io.BytesIO()
    # Pickled by value it would no longer be what dataclasses and pydantic compare with.
    by_name = {type(dataclasses.MISSING): lambda _missing: "MISSING"}
    table = cloudpickle.Pickler.dispatch_table.new_child(by_name)
    pickler = type("Pickler", (cloudpickle.Pickler,), {"dispatch_table": table})
    try:
        pickler(content).dump({key: find(*key, nothing) for key in here})
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        said = ", ".join(name for _, name in here)
        raise InputError(f"{said}: cannot be sent to another process: {error}") from None
    return content.getvalue()


def unpack(content: bytes) -> None:
    """Give `find` what another process has `packed`."""
    for (kind, name), thing in pickle.loads(content).items():
        give(kind, name, thing)


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

    Where there is no such file, as in a notebook, it is of the code itself and of what this names
    of its own module; of a compiled module the name stands in. An object stands for its class.
    """
    if not isinstance(thing, type) and not hasattr(thing, "__qualname__"):
        thing = type(thing)
    module = str(thing.__module__)
    if module.split(".")[0] == "dp_synth":
        return ""
    try:
        return hashlib.sha256(Path(inspect.getfile(thing)).read_bytes()).hexdigest()  # type: ignore[arg-type]
    except (TypeError, OSError):
        text = "\n".join(_code_texts(thing, module, set()))
        return hashlib.sha256(text.encode()).hexdigest() if text else module


def _code_texts(thing: object, module: str, seen: set[int]) -> Iterator[str]:
    """Yield what decides the work of a class or function of ``module``, and of all it names there.

    Where its lines stand does not count: the same cell of a notebook, run again, is the same.
    """
    thing = getattr(thing, "__func__", getattr(thing, "fget", thing))  # of methods, properties
    if id(thing) in seen:
        return
    seen.add(id(thing))
    if isinstance(thing, type) and thing.__module__ == module:
        for name, part in sorted(vars(thing).items()):
            if not name.startswith("__") or name in ("__post_init__", "__annotations__"):
                yield name
                yield from _code_texts(part, module, seen)
        for base in thing.__bases__:
            yield from _code_texts(base, module, seen)
    elif isinstance(thing, FunctionType) and thing.__module__ == module:
        yield from _of_code(thing.__code__)
        used = [thing.__globals__.get(name) for name in thing.__code__.co_names]
        used += [cell.cell_contents for cell in thing.__closure__ or ()]
        for one in (*used, thing.__defaults__):
            yield from _code_texts(one, module, seen)
    elif isinstance(thing, (str, bytes, int, float, tuple, list, dict, set, frozenset)):
        yield _said(thing)


def _of_code(code: CodeType) -> Iterator[str]:
    yield f"{code.co_code.hex()} {code.co_names} {code.co_varnames}"
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _of_code(constant)
        else:
            yield _said(constant)


def _said(value: object) -> str:
    """Return the text of a value, the same in every process: sets have no order."""
    return repr(sorted(map(repr, value)) if isinstance(value, (set, frozenset)) else value)


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
