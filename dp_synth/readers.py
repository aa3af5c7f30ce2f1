"""Readers of files of anybody, within limits: JSON and YAML texts, archives of arrays (.npz).

A file that somebody sent may claim what it does not hold, or hold far more than its size tells.
Here it is refused in one line, before the memory that it asks for is taken. Of YAML the line of
every key is told; no key stands twice and nothing holds itself.
"""

from __future__ import annotations

import json
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from dp_synth.errors import InputError

if TYPE_CHECKING:
    import yaml

LARGEST_TEXT = 2**26
"""Characters of a JSON text."""
MOST_VALUES = 4_000_000
"""Values of a JSON text: the shortest take thirty times their characters in memory."""
DEEPEST = 64
"""Objects and lists within one another."""
MOST_DIGITS = 250
"""Digits of a whole number: it is a floating-point number too, even where they are hexadecimal."""
LARGEST_ARRAYS = 2**29
"""Bytes of the arrays of an archive that is smaller than they are, 8 a number at least."""

_MANY_DIGITS = re.compile(rf"\d{{{MOST_DIGITS + 1}}}")
_MANY_POWERS = re.compile(r"[eE]\+?\d{3}|\d{250}")  # of numbers that no float may hold
_HALF_OF_A_PAIR = re.compile(r"\\u[dD][89a-fA-F]")
# As numpy writes it, and nothing that has to be evaluated; no object, no record, no text.
_ARRAY_HEADER = re.compile(
    rb"\{'descr': '[<>|]([biufU])(\d{1,9})', 'fortran_order': (?:True|False), "
    rb"'shape': \(([0-9, ]{0,400})\), \} *\n"
)
# What zipfile, zlib and numpy raise of a damaged archive; all that they give is checked.
_DAMAGES = (
    EOFError,
    KeyError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)

Where = tuple[str, ...]
Lines = Mapping[Where, int]
"""From the path of a key or an item to the line on which it stands."""

LARGEST_YAML = 2**20
"""Characters of a text: PyYAML reads some tens of thousands a second."""

MOST_KEYS = 300_000
"""So many keys and items a text may stand for: aliases of aliases soon stand for more."""

# What PyYAML raises, beside its own errors, of numbers and dates that are not what a tag says.
_ODD_TAGS = (ArithmeticError, AttributeError, LookupError, TypeError)


class JsonFault(InputError):
    """A text is no JSON that can be read; the message says why."""


class ArchiveFault(InputError):
    """A file is no archive of arrays that can be read; the message says why."""


def read_text(path: str | PathLike[str], error: type[InputError] = InputError) -> str:
    """Return the text of a UTF-8 file; an ``error`` in one line that names the file, else."""
    try:
        with Path(path).open("rb") as file:
            content = file.read(LARGEST_TEXT + 1)
        if len(content) > LARGEST_TEXT:
            raise error(f"{path}: must be at most {LARGEST_TEXT:,} bytes")
        return content.decode("utf-8-sig")
    except OSError as fault:
        raise error(f"{path}: cannot be read: {fault.strerror}") from None
    except UnicodeDecodeError:
        raise error(f"{path}: must be UTF-8 text") from None


def read_json(
    path: str | PathLike[str],
    error: type[InputError] = InputError,
    constant: Callable[[str], object] | None = None,
) -> Any:
    """Return what the JSON file at ``path`` holds; an ``error`` in one line that names it, else.

    ``constant`` as in `parse_json`.
    """
    try:
        return parse_json(read_text(path, error), constant)
    except JsonFault as fault:
        raise error(f"{path}: must be JSON: {fault}") from None


def read_json_lines(path: str | PathLike[str]) -> Iterator[Any]:
    """Give what each line of a file holds as JSON; InputError in one line that names it, else."""
    number = 1
    try:
        with Path(path).open("rb") as file:
            while line := file.readline(LARGEST_TEXT + 1):
                yield parse_json(line)
                number += 1
    except OSError as fault:
        raise InputError(f"{path} cannot be read ({fault.strerror})") from None
    except JsonFault as fault:
        raise JsonFault(f"{path}: not lines of JSON: line {number}: {fault}") from None


def parse_json(text: str | bytes, constant: Callable[[str], object] | None = None) -> Any:
    """Return what a JSON text holds; JsonFault where it is none, or beyond the limits above.

    No key stands twice in one object, and no text is half of a surrogate pair. ``constant`` is
    called with a NaN or Infinity, which JSON has no number for, also where a number is as large;
    without it they are floats.

    >>> parse_json('{"a": [1, 2.5, null]}')
    {'a': [1, 2.5, None]}
    >>> parse_json('{"a": 1, "a": 2}')
    Traceback (most recent call last):
    dp_synth.readers.JsonFault: the key 'a' stands twice
    """
    try:
        text = text.decode("utf-8") if isinstance(text, bytes) else text
        if len(text) > LARGEST_TEXT or text.count(",") > MOST_VALUES:
            most = f"{LARGEST_TEXT:,} characters or {MOST_VALUES:,} values"
            raise JsonFault(f"is of more than {most}")
        whole = _whole_number if _MANY_DIGITS.search(text) else None
        real = (
            None if constant is None or not _MANY_POWERS.search(text) else partial(_real, constant)
        )
        content = json.loads(
            text,
            parse_int=whole,
            parse_float=real,
            parse_constant=constant,
            object_pairs_hook=_object,
        )
        if _HALF_OF_A_PAIR.search(text):
            json.dumps(content, ensure_ascii=False).encode("utf-8")
    except JsonFault:
        raise
    except RecursionError:
        raise _too_deep() from None
    except UnicodeEncodeError:
        raise JsonFault("a text in it holds half of a surrogate pair") from None
    except UnicodeDecodeError:
        raise JsonFault("must be UTF-8 text") from None
    except ValueError as error:
        raise JsonFault(" ".join(str(error).split())) from None
    if text.count("[") + text.count("{") > DEEPEST:
        _check_depth(content)
    return content


def _real(constant: Callable[[str], object], text: str) -> object:
    """Return the float that a text writes; one beyond all floats is as `constant` has Infinity."""
    number = float(text)
    if math.isfinite(number):
        return number
    return constant("Infinity" if number > 0 else "-Infinity")


def read_arrays(
    path: str | PathLike[str], wanted: Callable[[Any, Iterable[str]], Iterable[str]]
) -> tuple[Any, dict[str, NDArray[np.generic]]]:
    """Return what the text ``header`` of an .npz file holds as JSON, and its arrays by name.

    ``wanted`` gives the names that there may be, from the header and the names of all: with
    another the file is refused. Nothing is unpickled, and an array's claim is compared with its
    stored size before memory is taken. ArchiveFault where the file is none; OSError where it
    cannot be opened.
    """
    with open(path, "rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                members = _members(archive)
                header = parse_json(str(_array(archive, members, "header")))
                known = set(wanted(header, members))
                names = [name for name in members if name != "header"]
                if foreign := next((name for name in names if name not in known), None):
                    raise ArchiveFault(f"it holds {foreign!r}, which has no place in it")
                size = file.seek(0, 2)
                _check_sizes(archive, members, names, size)
                return header, {name: _array(archive, members, name) for name in names}
        except InputError:
            raise
        except _DAMAGES as error:
            raise ArchiveFault("it is damaged, or no archive of arrays") from error


def size_unpacked(path: str | PathLike[str]) -> int:
    """Return the bytes of all members of a zip file, as it says; ArchiveFault where it is none."""
    try:
        with zipfile.ZipFile(path) as archive:
            return sum(member.file_size for member in archive.infolist())
    except _DAMAGES as error:
        raise ArchiveFault("it is damaged, or no archive") from error


def _whole_number(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise JsonFault(f"a whole number must have at most {MOST_DIGITS} digits")
    return int(digits)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise JsonFault(f"the key {twice!r} stands twice")
    return found


def _check_depth(content: object) -> None:
    level = [content]
    for _ in range(DEEPEST):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> JsonFault:
    return JsonFault(f"is nested more than {DEEPEST} deep")


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Return the members of an archive by the names of their arrays."""
    found = archive.infolist()
    members = {one.filename.removesuffix(".npy"): one for one in found}
    if len(members) < len(found):
        raise ArchiveFault("a member of it stands twice")
    return members


def _check_sizes(
    archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], names: list[str], size: int
) -> None:
    """Refuse arrays that would take more memory than is allowed, all of them together."""
    taken = 0
    for name in names:
        kind, itemsize, count, _ = _claimed(archive, members[name])
        taken += count * (itemsize if kind == "f" else max(itemsize, 8))
    if taken > max(LARGEST_ARRAYS, size):
        raise ArchiveFault(
            f"its arrays are of {taken:,} bytes; at most {LARGEST_ARRAYS:,} may be compressed"
        )


def _array(
    archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], name: str
) -> NDArray[np.generic]:
    """Return the array of a member; a text, which is the ``header``, or numbers and truths."""
    kind, itemsize, count, size = _claimed(archive, members[name])
    if count * itemsize + size != members[name].file_size:
        raise ArchiveFault(f"the array {name!r} claims another size than is stored of it")
    if (kind == "U") != (name == "header"):
        right = "a text" if name == "header" else "numbers"
        raise ArchiveFault(f"the array {name!r} must be {right}")
    if kind == "U" and (count != 1 or itemsize > 4 * LARGEST_TEXT):
        raise ArchiveFault(f"its header must be one text of at most {LARGEST_TEXT:,} characters")
    with archive.open(members[name]) as stream:
        array: NDArray[np.generic] = np.lib.format.read_array(stream, allow_pickle=False)
        stream.read(1)  # the sum of its bytes is checked at the end
    return array


def _claimed(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> tuple[str, int, int, int]:
    """Return an array's kind, bytes an entry, entries, and the bytes before the first of them."""
    name = member.filename.removesuffix(".npy")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ArchiveFault(f"the array {name!r} is compressed in a way that is not read here")
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        length = "<H" if version == (1, 0) else "<I"
        (written,) = struct.unpack(length, stream.read(struct.calcsize(length)))
        found = _ARRAY_HEADER.fullmatch(stream.read(min(written, 1024)))
    if not found:
        raise ArchiveFault(f"the array {name!r} must be of plain numbers, truths or text")
    kind, width, shape = found.group(1).decode(), int(found.group(2)), found.group(3).decode()
    axes = [int(axis) for axis in shape.split(",") if axis.strip()]
    itemsize = 4 * width if kind == "U" else width
    before = 8 + struct.calcsize(length) + written
    return kind, itemsize, math.prod(axes), before


class YamlFault(InputError):
    """A text is no YAML that can be read; the message says why, and on which line."""


def read_yaml(path: str | PathLike[str], error: type[InputError]) -> tuple[object, Lines]:
    """Return what `parse_yaml` does of a file; an ``error`` in one line that names it, else."""
    try:
        return parse_yaml(read_text(path, error))
    except YamlFault as fault:
        raise error(f"{path}: {fault}") from None


def parse_yaml(text: str) -> tuple[object, Lines]:
    """Return what a YAML text holds, and the line of each of its keys and items.

    >>> parse_yaml("a: 1\\nb: [2, 3]")
    ({'a': 1, 'b': [2, 3]}, {('a',): 1, ('b',): 2, ('b', '0'): 2, ('b', '1'): 2})
    >>> parse_yaml("a: &x [*x]")
    Traceback (most recent call last):
    dp_synth.readers.YamlFault: line 1: a part that has a name must not stand within itself
    """
    import yaml

    if len(text) > LARGEST_YAML:
        raise YamlFault(f"is of more than {LARGEST_YAML:,} characters")
    try:
        loader = _yaml_loader(text)
        node = loader.get_single_node()
        _check_scalar(node)
        lines: dict[Where, int] = {}
        for where, line in _lines(node, (), []):
            lines[where] = line
            if len(lines) > MOST_KEYS:
                raise YamlFault(f"stands for more than {MOST_KEYS:,} keys and items")
        content = None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise YamlFault((f"line {mark.line + 1}: " if mark else "") + str(error.problem)) from None
    except RecursionError:
        raise YamlFault("is nested too deeply") from None
    except YamlFault:
        raise
    except (yaml.YAMLError, ValueError) as error:  # the latter of a date that there is not
        raise YamlFault(f"not a YAML text: {' '.join(str(error).split())}") from None
    except _ODD_TAGS:
        raise YamlFault("not a YAML text: a value is not what its tag says") from None
    return content, lines


def _yaml_loader(text: str) -> yaml.SafeLoader:
    """Return a loader of a YAML text that stops at the first part that is nested too deeply.

    PyYAML's scanner takes a time that grows with the square of the depth.
    """
    import yaml

    class Shallow(yaml.SafeLoader):
        within = 0

        def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
            """Return a part of the text, and of it no part that lies too deep."""
            if self.within > DEEPEST:
                mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
                problem = f"is nested more than {DEEPEST} deep"
                raise yaml.composer.ComposerError(None, None, problem, mark)
            self.within += 1
            node = super().compose_node(parent, index)
            self.within -= 1
            return node

    return Shallow(text)


def line_of(path: Iterable[object], lines: Lines) -> int | None:
    """Return the line of the deepest part of ``path`` that stands in the file, None without one.

    >>> line_of(["a", 1, "b"], {("a",): 4, ("a", "1"): 6})
    6
    """
    whole = tuple(map(str, path))
    known = (whole[:depth] for depth in range(len(whole), 0, -1) if whole[:depth] in lines)
    return next((lines[deepest] for deepest in known), None)


def _lines(
    node: yaml.Node | None, where: Where, within: list[yaml.Node]
) -> Iterator[tuple[Where, int]]:
    """Yield the line of every key and item below ``node``, which stands ``within`` others."""
    import yaml

    if not isinstance(node, yaml.CollectionNode):
        return
    if len(within) >= DEEPEST:
        _refuse(f"is nested more than {DEEPEST} deep", node)
    within, keys = [*within, node], set[str]()
    for place, part in enumerate(node.value):
        key, value = part if isinstance(node, yaml.MappingNode) else (None, part)
        name = str(place) if key is None else _new_key(key, keys)
        if any(value is outer for outer in within):
            _refuse("a part that has a name must not stand within itself", key or value)
        _check_scalar(value)
        yield (*where, name), (key or value).start_mark.line + 1
        yield from _lines(value, (*where, name), within)


def _new_key(key: yaml.Node, known: set[str]) -> str:
    import yaml

    if not isinstance(key, yaml.ScalarNode):
        _refuse("a key must be a text", key)
    if key.value in known:
        _refuse(f"the key {key.value!r} stands twice", key)
    _check_scalar(key)
    known.add(key.value)
    return str(key.value)


def _check_scalar(node: yaml.Node | None) -> None:
    """Refuse a number of more digits than one has, and what no file or path can be written with."""
    import yaml

    if not isinstance(node, yaml.ScalarNode):
        return
    if node.tag == "tag:yaml.org,2002:int" and len(node.value) > MOST_DIGITS:
        _refuse(f"a whole number must have at most {MOST_DIGITS} digits", node)
    if "\0" in node.value or any("\ud800" <= sign <= "\udfff" for sign in node.value):
        _refuse("a text must hold neither NUL nor half of a surrogate pair", node)


def _refuse(problem: str, node: yaml.Node) -> NoReturn:
    import yaml

    raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
