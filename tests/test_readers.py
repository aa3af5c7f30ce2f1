"""JSON and archives of arrays are read within limits, and refused in one line beyond them."""

from __future__ import annotations

import io
import json
import tracemalloc
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from dp_synth import readers
from dp_synth.errors import InputError, SchemaError
from dp_synth.readers import (
    DEEPEST,
    MOST_DIGITS,
    ArchiveFault,
    JsonFault,
    parse_json,
    read_arrays,
    read_json,
    read_json_lines,
)


@pytest.mark.parametrize(
    "content",
    [1, -2.5, None, "a", [], {}, {"a": [1, {"b": [True]}]}, "😀", "\0", 10**200, "[" * 99],
)
def test_what_json_writes_is_read(content: object) -> None:
    for is_ascii in (True, False):
        assert parse_json(json.dumps(content, ensure_ascii=is_ascii)) == content
        assert parse_json(json.dumps(content, ensure_ascii=is_ascii).encode()) == content


@pytest.mark.parametrize("depth", [DEEPEST + 1, 990, 5_000, 100_000])
@pytest.mark.parametrize(("opens", "closes"), [("[", "]"), ('{"a":', "}")])
def test_what_is_nested_deep_is_refused(depth: int, opens: str, closes: str) -> None:
    with pytest.raises(JsonFault, match=f"is nested more than {DEEPEST} deep"):
        parse_json(opens * depth + "0" + closes * depth)


@pytest.mark.parametrize(("opens", "closes"), [("[", "]"), ('{"a":', "}")])
def test_what_is_nested_as_deep_as_allowed_is_read(opens: str, closes: str) -> None:
    assert parse_json(opens * DEEPEST + "0" + closes * DEEPEST)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"[{'9' * (MOST_DIGITS + 1)}]", "at most 250 digits"),
        (f"[-{'9' * 5000}]", "at most 250 digits"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' stands twice"),
        ('"\\ud800"', "half of a surrogate pair"),
        ('{"\\uDFFF": 1}', "half of a surrogate pair"),
        (b'"\xff"', "must be UTF-8 text"),
        ("{", "Expecting property name"),
        ("", "Expecting value"),
    ],
)
def test_what_is_beyond_a_limit_is_said(text: str | bytes, said: str) -> None:
    with pytest.raises(JsonFault, match=said) as told:
        parse_json(text)
    assert "\n" not in str(told.value)


def test_many_digits_within_a_text_are_a_text() -> None:
    text = json.dumps({"a": "1" * 5000, "b": 7})
    assert parse_json(text) == {"a": "1" * 5000, "b": 7}


def test_too_many_values_and_too_long_a_text_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "MOST_VALUES", 10)
    with pytest.raises(JsonFault, match="10 values"):
        parse_json(json.dumps(list(range(20))))
    monkeypatch.setattr(readers, "LARGEST_TEXT", 10)
    with pytest.raises(JsonFault, match="10 characters"):
        parse_json('"01234567890"')


def test_a_file_is_named_in_what_is_said_of_it(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with pytest.raises(SchemaError, match=r"a\.json: cannot be read: No such file"):
        read_json(path, SchemaError)
    path.write_bytes(b"\xef\xbb\xbf[1]")
    assert read_json(path) == [1]
    path.write_text("[1")
    with pytest.raises(InputError, match=r"a\.json: must be JSON: Expecting"):
        read_json(path)
    path.write_text('{"a": 1}\n[\n')
    with pytest.raises(InputError, match=r"a\.json: not lines of JSON: line 2: Expecting"):
        list(read_json_lines(path))


def saved(path: Path, **arrays: object) -> Path:
    np.savez_compressed(path, header=np.array(json.dumps({"a": 1})), **arrays)  # type: ignore[arg-type]
    return path


def anything(header: object, present: Iterable[str]) -> Iterable[str]:
    return present


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(3),
        np.ones((2, 3), dtype=np.float32),
        np.array([True]),
        np.uint8([1]),
        np.zeros((0, 2)),
    ],
)
def test_arrays_come_back_as_they_were(array: np.ndarray, tmp_path: Path) -> None:
    header, found = read_arrays(saved(tmp_path / "a.npz", x=array), anything)
    assert header == {"a": 1}
    assert list(found) == ["x"]
    assert found["x"].dtype == array.dtype
    assert np.array_equal(found["x"], array)
    assert found["x"].flags.writeable


def with_member(path: Path, name: str, content: bytes, how: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(saved(path), "a", how) as archive:
        archive.writestr(name, content)
    return path


def head(shape: str, kind: str = "'<f8'") -> bytes:
    text = f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117)
    return b"\x93NUMPY\x01\x00\x76\x00" + text + b"\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (head("(10000000000000,)") + bytes(80), "bytes; at most"),
        (head("(4,)") + bytes(24), "claims another size"),
        (head("(2,)") + bytes(24), "claims another size"),
        (head("(1,)", "'|O'") + bytes(8), "must be of plain numbers"),
        (head("(1,)", "[('a', '<f8')]") + bytes(8), "must be of plain numbers"),
        (head("(1,)", "'<U2'") + bytes(8), "must be numbers"),
        (head("(-1,)") + bytes(8), "must be of plain numbers"),
        (b"", "it is damaged"),
        (b"text", "it is damaged"),
    ],
)
def test_an_array_that_claims_what_it_is_not_is_refused_before_memory_is_taken(
    content: bytes, said: str, tmp_path: Path
) -> None:
    path = with_member(tmp_path / "a.npz", "x.npy", content)
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveFault, match=said) as told:
            read_arrays(path, anything)
        assert tracemalloc.get_traced_memory()[1] < 2**21
    finally:
        tracemalloc.stop()
    assert "\n" not in str(told.value)


def test_a_large_member_that_nobody_needs_is_refused_unread(tmp_path: Path) -> None:
    path = with_member(tmp_path / "a.npz", "more.npy", head("(1250000,)") + bytes(10**7))
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveFault, match="'more', which has no place in it"):
            read_arrays(path, lambda header, present: ["x"])
        assert tracemalloc.get_traced_memory()[1] < 2**21
    finally:
        tracemalloc.stop()


def test_what_unpacks_to_more_than_is_allowed_is_refused_and_stored_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "LARGEST_ARRAYS", 10**5)
    path = saved(tmp_path / "a.npz", x=np.zeros(10**5))
    with pytest.raises(ArchiveFault, match="at most 100,000 may be compressed"):
        read_arrays(path, anything)
    np.savez(path, header=np.array("{}"), x=np.zeros(10**5))
    assert len(read_arrays(path, anything)[1]["x"]) == 10**5


def test_archives_of_other_kinds_are_refused(tmp_path: Path) -> None:
    for name, how in (("x.npy", zipfile.ZIP_BZIP2), ("header.npy", zipfile.ZIP_STORED)):
        with (
            pytest.warns(UserWarning, match="Duplicate") if name == "header.npy" else io.StringIO()
        ):
            path = with_member(tmp_path / "a.npz", name, head("(1,)") + bytes(8), how)
        with pytest.raises(ArchiveFault, match=r"compressed in a way|stands twice"):
            read_arrays(path, anything)
    np.savez(tmp_path / "b.npz", x=np.zeros(1))
    with pytest.raises(ArchiveFault, match="it is damaged"):
        read_arrays(tmp_path / "b.npz", anything)


def test_a_byte_that_changed_is_noticed(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.npz", x=np.arange(50.0))
    whole = path.read_bytes()
    for place in range(0, len(whole), 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
        try:
            header, found = read_arrays(path, anything)
        except ArchiveFault:
            continue
        assert (header, found["x"].tolist()) == ({"a": 1}, list(range(50)))


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 250 + "e99"])
def test_a_number_that_no_float_holds_is_refused_where_infinity_is(number: str) -> None:
    def refuse(name: str) -> object:
        raise JsonFault(f"{name} is no number of JSON")

    assert abs(parse_json(f"[{number}]")[0]) == float("inf")
    with pytest.raises(JsonFault, match="Infinity is no number of JSON"):
        parse_json(f'{{"a": {number}}}', refuse)
    assert parse_json('{"a": 1e300, "b": 1.5e-999}', refuse) == {"a": 1e300, "b": 0.0}
