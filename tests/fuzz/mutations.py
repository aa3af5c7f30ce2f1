"""Changed files: bits, tokens of JSON and YAML, members of archives; each by a seeded generator.

What is made is small and bounded: a claim of much, never much itself.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pandas as pd

Changer = Callable[[bytes, Random], bytes]

DEPTHS = (70, 500, 10_000)
RAW = [  # values of JSON as they stand in a file, nearly all of them of YAML too
    *("null", "true", "false", "0", "-1", "1.5", "-0.0", "5e-324", "1e308", "1e999", "-1e999"),
    *("9223372036854775808", "-9223372036854775809", "NaN", "Infinity", "-Infinity", "1e-9", "7"),
    *(
        '""',
        '"a"',
        '"\\u0000"',
        '"\\ud800"',
        '"\\ud83d\\ude00"',
        '"\\u001b[31m"',
        '"1e5"',
        '"../x"',
    ),
    *(
        "[]",
        "{}",
        "[[]]",
        "[null]",
        '{"": null}',
        '["a", "a"]',
        "[1, 2]",
        '[["a", 1]]',
        '{"a": {}}',
    ),
    *(f"1{'0' * digits}" for digits in (30, 240, 400, 5000)),
    *(f'"{"x" * length}"' for length in (300, 70_000)),
    *("[" * depth + "]" * depth for depth in DEPTHS),
    *('{"a":' * depth + "0" + "}" * depth for depth in DEPTHS),
    f"[{', '.join(['0'] * 3000)}]",
    json.dumps({f"k{place}": 0 for place in range(500)}),
]
YAML = [
    f"0x{'f' * 5000}",
    f"0b{'1' * 5000}",
    ":".join(["59"] * 400),
    *(
        "2020-13-45",
        "0001-01-01 00:00:00 +23:59",
        "!!int x",
        "!!bool x",
        "!!timestamp x",
        "!!set {a}",
    ),
    *("!!binary '::'", "!!float ''", "!!python/name:os.getcwd ''", "&a [*a]", "*nothing", "? [a]"),
    *(
        "~",
        "yes",
        "0o17",
        "0x1F",
        "1_000",
        ".inf",
        ".nan",
        '"\\uD800"',
        '"\\0"',
        "|\n  a\n",
        "'",
        "%",
    ),
]
HEX = frozenset("0123456789abcdef")


def of_bytes(content: bytes, random: Random) -> bytes:
    """Return the bytes with some flipped, cut out, doubled, put in or cut off."""
    data = bytearray(content)
    for _ in range(random.choice((1, 1, 1, 2, 8))):
        here = random.randrange(len(data) + 1)
        there = min(len(data), here + random.choice((1, 2, 4, 16, 64)))
        how = random.randrange(6)
        if how == 0 and here < len(data):
            data[here] ^= 1 << random.randrange(8)
        elif how == 1:
            del data[here:there]
        elif how == 2:
            data[here:here] = data[here:there]
        elif how == 3:
            data[here:there] = random.randbytes(there - here)
        elif how == 4:
            del data[here:]
        else:
            data[here:here] = random.choice(
                (b"\x00", b"\xff", b"\n", b"\r", b'"', b",", b"\xed\xa0\x80")
            )
    return bytes(data)


def of_json(content: bytes, random: Random) -> bytes:
    """Return a JSON text with one or two values replaced, or keys dropped, doubled, renamed."""
    return changed_json(json.loads(content), random).encode("utf-8", "surrogatepass")


def changed_json(content: Any, random: Random, raw: list[str] = RAW) -> str:
    """Return the text of a JSON value that was changed at one or two places."""
    marks: dict[str, str] = {}
    root = [content]
    for _ in range(random.choice((1, 1, 2))):
        holder, key = random.choice(list(_places(root)))
        how = random.randrange(8)
        if how == 0 and holder is not root:
            del holder[key]
        elif how == 1 and isinstance(holder, dict):
            holder[random.choice((f"{key}x", "", "a\0b", "__class__"))] = holder.pop(key)
        elif how == 2 and isinstance(holder, dict):
            mark = f"@{len(marks)}@"
            marks[f'"{mark}"'] = f"{json.dumps(key)}: 1, {json.dumps(key)}"
            holder[mark] = holder.pop(key)
        elif how == 3 and isinstance(holder, list) and holder is not root:
            holder.insert(key, holder[key])
        elif how == 4:
            others = [one[place] for one, place in _places(root)]
            holder[key] = json.loads(json.dumps(random.choice(others)))
        elif how == 5 and not isinstance(holder[key], (dict, list)):
            holder[key] = _near(holder[key], random)
        else:
            mark = f"@{len(marks)}@"
            marks[f'"{mark}"'] = random.choice(raw)
            holder[key] = mark
    text = json.dumps(root[0])
    for mark, instead in marks.items():
        text = text.replace(mark, instead)
    return text


def _near(value: Any, random: Random) -> Any:
    """Return another value of the same kind, which a reader may well take."""
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, (int, float)):
        return random.choice((0, -value, value + 1, value / 2, value * 1e6, value * 10**40, 1, 0.5))
    return random.choice(
        (value[::-1], value.upper(), value + "x", "", value[:1], " ", "1", "é" * 40)
    )


def _places(holder: Any) -> Any:
    """Give every list or mapping with each of its places, from the outermost on."""
    keys = list(holder) if isinstance(holder, dict) else range(len(holder))
    for key in keys:
        yield holder, key
        if isinstance(holder[key], (dict, list)) and holder[key]:
            yield from _places(holder[key])


def of_yaml(content: bytes, random: Random) -> bytes:
    """Return a YAML text, written as its subset JSON, that was changed as such or as YAML."""
    import yaml

    text = changed_json(yaml.safe_load(content), random, RAW + YAML)
    return text.encode("utf-8", "surrogatepass")


def of_lines(content: bytes, random: Random) -> bytes:
    """Return lines of JSON with one changed, dropped, doubled or moved."""
    lines = content.decode().splitlines()
    place = random.randrange(len(lines))
    how = random.randrange(6)
    if how == 0:
        del lines[place]
    elif how == 1:
        lines.insert(random.randrange(len(lines)), lines[place])
    else:
        lines[place] = changed_json(json.loads(lines[place]), random)
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogatepass")


def of_ledger(content: bytes, random: Random) -> bytes:
    """Return a ledger that was changed, sealed and chained anew as far as it is still JSON."""
    lines, previous = [], ""
    for line in of_lines(content, random).decode("utf-8", "surrogatepass").splitlines():
        try:
            fields = json.loads(line)
            fields["previous"] = hashlib.sha256(previous.encode()).hexdigest() if previous else ""
            fields.pop("seal", None)
            seal = hashlib.sha256(json.dumps(fields).encode()).hexdigest()
            previous = json.dumps({**fields, "seal": seal})
        except (ValueError, TypeError, AttributeError, RecursionError):
            previous = line
        lines.append(previous)
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogatepass")


def of_cell(content: bytes, random: Random) -> bytes:
    """Return a cell of a store with other content and the digest that belongs to it."""
    head, _, body = content.partition(b"\n")
    changed = changed_json(json.loads(b"{" + body), random)[1:].encode() + b"\n"
    key = json.loads(head + b'"": 0}')["key"]
    digest = hashlib.sha256(changed).hexdigest()
    return f'{{"format": 2, "key": "{key}", "sha256": "{digest}",\n'.encode() + changed


def of_csv(content: bytes, random: Random) -> bytes:
    """Return a CSV text with cells, lines or separators changed."""
    rows = [line.split(",") for line in content.decode().splitlines()]
    for _ in range(random.choice((1, 2, 5))):
        row = random.choice(rows if random.random() < 0.7 else rows[:1])
        place = random.randrange(len(row)) if row else 0
        how = random.randrange(12)
        if how == 0 and row:
            del row[place]
        elif how == 1:
            row.insert(place, random.choice(row or ["x"]))
        elif how == 2:
            rows.insert(random.randrange(len(rows)), list(row))
        elif how == 3:
            row[:] = [""] * random.choice((0, 1, 2000))
        elif row:
            row[place] = random.choice(CELLS)
    end = random.choice(("\n", "\n", "\r\n", "\r", "\n\n"))
    return end.join(",".join(row) for row in rows).encode("utf-8", "surrogatepass")


CELLS = [
    *("", '"', '""', '"a', "\0", "NaN", "inf", "-inf", "1e999", "1e308", "-1e308", "0x10", "1_0"),
    *("9" * 400, "9" * 30, "x" * 70_000, "\u2028", "\ud800", "\ufeff", "+5", " 5 ", "5,0", "٣"),
    *(
        "2020-02-30",
        "0000-00-00",
        "99999-01-01",
        "2020-02-01T00:00:00+99:00",
        "true",
        "None",
        "=1+1",
    ),
    *("\x1b[31m", "a\tb", "\x85", "e" * 300, "-0", ".5", "5.", "1e5", "--1", "?"),
]


def of_packed(content: bytes, random: Random) -> bytes:
    """Return a gzip file of a changed text."""
    return gzip.compress(of_csv(gzip.decompress(content), random), mtime=0)


def of_archive(content: bytes, random: Random) -> bytes:
    """Return an archive of arrays with a header, an array, a claim or a member changed."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(one.filename, archive.read(one)) for one in archive.infolist()]
    place = random.randrange(len(members))
    names = [name for name, _ in members]
    how = random.randrange(6)
    if how <= 2:
        place = names.index("header.npy")
        text = changed_json(json.loads(str(_array(members[place][1]))), random)
        members[place] = ("header.npy", _stored(np.array(text)))
    elif how == 3:
        members[place] = (names[place], _stored(_changed(_array(members[place][1]), random)))
    elif how == 4:
        members[place] = (names[place], claimed(members[place][1], random))
    elif random.random() < 0.5:
        del members[place]
    else:
        other = random.choice((*names, "more.npy", "clique_9.npy", "header", "../x.npy", "a/b.npy"))
        members.append((other, random.choice((members[place][1], b"", random.randbytes(80)))))
    return _zipped(members, random)


def claimed(member: bytes, random: Random) -> bytes:
    """Return a stored array whose head says something else of its shape, kind or order."""
    shape = random.choice(
        (
            "(10000000000000,)",
            "(1, 0)",
            "(-1,)",
            "()",
            "(3, 3, 3)",
            f"({'1, ' * 70})",
            "(1.5,)",
            "x",
        )
    )
    kind = random.choice(
        ("'<f8'", "'|O'", "'<U9'", "'<f2'", "'<c16'", "'<M8[s]'", "[('a', '<f8')]")
    )
    head = re.sub(rb"'shape': \([^)]*\)", f"'shape': {shape}".encode(), member, count=1)
    if random.random() < 0.5:
        head = re.sub(rb"'descr': '[^']*'", f"'descr': {kind}".encode(), member, count=1)
    start, end = head.index(b"{"), head.index(b"\n")
    padded = head[start:end].rstrip().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded + head[end + 1 :]


def _changed(array: Any, random: Random) -> Any:
    numbers = np.array(array, dtype=float) if array.dtype.kind != "U" else np.zeros(3)
    how = random.randrange(6)
    if how == 0:
        return numbers.astype(random.choice(("f2", "i8", "u1", "?", "U8", "c16")))
    if how == 1:
        return numbers.ravel()[: random.randrange(numbers.size + 1)]
    if how == 2:
        return np.repeat(numbers[None], 3, axis=0)
    if numbers.size:
        at = random.randrange(numbers.size)
        numbers.flat[at] = random.choice((np.nan, np.inf, -1.0, 1e308, 1e-320, 0.0))
    with np.errstate(invalid="ignore"):
        return numbers.astype(array.dtype if array.dtype.kind != "U" else float)


def _array(member: bytes) -> Any:
    return np.lib.format.read_array(io.BytesIO(member), allow_pickle=False)


def _stored(array: Any) -> bytes:
    sink = io.BytesIO()
    np.lib.format.write_array(sink, np.asarray(array), allow_pickle=False)
    return sink.getvalue()


def _zipped(members: list[tuple[str, bytes]], random: Random) -> bytes:
    import warnings

    sink = io.BytesIO()
    how = random.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED) * 5 + (zipfile.ZIP_BZIP2,))
    with warnings.catch_warnings(), zipfile.ZipFile(sink, "w", how) as archive:
        warnings.simplefilter("ignore")  # of a name that stands twice
        for name, data in members:
            archive.writestr(name, data)
    return sink.getvalue()


def of_parquet(content: bytes, random: Random) -> bytes:
    """Return a Parquet file with a column of another kind, dropped, doubled or renamed."""
    frame = pd.read_parquet(io.BytesIO(content))
    name = random.choice(list(frame.columns))
    how = random.randrange(4)
    if how == 0:
        frame = frame.drop(columns=name)
    elif how == 1:
        frame = frame.rename(columns={name: random.choice(("", "a\0b", "x" * 5000, "\x1b[31m"))})
    else:
        made: list[Any] = [
            *(0, 1.5, None, "x", b"\xff\xfe", [1, 2], {"a": 1}, True, float("inf"), 2**63 - 1, "{"),
            *(
                pd.Timestamp("2020-01-01", tz="UTC"),
                pd.Timedelta("1D"),
                "[" * 10_000,
                '{"a": 1e999}',
            ),
        ]
        frame[name] = pd.Series([random.choice(made)] * len(frame))
    sink = io.BytesIO()
    frame.to_parquet(sink, index=False)
    return sink.getvalue()


CHANGES: dict[str, tuple[Changer, ...]] = {  # by how a file is written
    "json": (of_bytes, of_json, of_json, of_json),
    "yaml": (of_bytes, of_yaml, of_yaml, of_yaml),
    "jsonl": (of_bytes, of_lines, of_lines),
    "ledger": (of_bytes, of_lines, of_ledger, of_ledger),
    "cell": (of_bytes, of_cell, of_cell, of_cell),
    "csv": (of_bytes, of_csv, of_csv),
    "csv.gz": (of_bytes, of_packed),
    "npz": (of_bytes, of_archive, of_archive, of_archive),
    "parquet": (of_bytes, of_parquet),
    "records": (of_bytes, of_parquet),
}


def changed(content: bytes, kind: str, seed: int) -> bytes:
    """Return a file of this kind changed as the seed says."""
    random = Random(seed)
    return random.choice(CHANGES[kind])(content, random)
