"""Files and arguments that once ended in a traceback, were believed, or took all memory."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpus import FIT, TARGETS
from mutations import claimed, of_cell
from trials import read

from dp_synth.accounting import calibration
from dp_synth.benchmark import open_store
from dp_synth.benchmark.store import gather, read_records, stored
from dp_synth.cli import main
from dp_synth.errors import InputError, ReleaseError
from dp_synth.release import Release

DEEP = 20_000  # far beyond every parser
VALUES = {
    "deep list": "[" * DEEP + "]" * DEEP,
    "deep object": '{"a":' * DEEP + "0" + "}" * DEEP,
    "digits": "9" * 5000,
    "half of a pair": '"\\ud800"',
    "no number": "1e999",
}
JSON = ["schema", "card", "signatures", "ledger", "records"]
YAML = ["policy", "grid", "events"]


@pytest.fixture
def files(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "files"
    shutil.copytree(corpus, folder)
    monkeypatch.chdir(folder)
    return folder


def refused(name: str, content: str | bytes, corpus: Path) -> None:
    target = TARGETS[name]
    data = content.encode() if isinstance(content, str) else content
    assert read(target, Path(target.file), data, corpus, corpus.with_name("tried")) == 2


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("name", [*JSON, *YAML])
def test_a_value_beyond_all_bounds_alone_in_its_file(name: str, value: str, corpus: Path) -> None:
    refused(name, VALUES[value] + "\n", corpus)


@pytest.mark.parametrize("value", ["deep list", "digits"])
@pytest.mark.parametrize("name", [*JSON, *YAML])
def test_a_value_beyond_all_bounds_under_each_first_key(
    name: str, value: str, corpus: Path
) -> None:
    import yaml

    text = (corpus / TARGETS[name].file).read_text()
    whole = text.splitlines()[0] if name in ("ledger", "records") else text
    content = yaml.safe_load(text) if name in YAML else json.loads(whole)
    for key in content:
        changed = json.dumps({**content, key: "@"}).replace('"@"', VALUES[value])
        refused(name, changed + "\n", corpus)


@pytest.mark.parametrize(
    "text", [f"0x{'f' * 5000}", f"0b{'1' * 5000}", "59:" * 400 + "59", "!!bool x"]
)
@pytest.mark.parametrize(
    ("name", "key"), [("policy", "epsilon_at_most"), ("grid", "seeds"), ("events", "adjacency")]
)
def test_yaml_writes_giants_in_other_ways(name: str, key: str, text: str, corpus: Path) -> None:
    refused(name, f"{key}: {text}\n", corpus)


@pytest.mark.parametrize("name", ["tree", "mixture"])
@pytest.mark.parametrize("value", [[], "text", [["a", 1]]])
def test_a_release_whose_fields_are_of_another_type(name: str, value: object, corpus: Path) -> None:
    whole = (corpus / TARGETS[name].file).read_bytes()
    for field in ("settings", "schema", "ledger", "transcript", "cliques", "total", "synthesizer"):
        if (field, value) in (("transcript", []), ("synthesizer", "text")):
            continue
        if name == "mixture" and field == "cliques":
            continue
        refused(name, with_header(whole, {field: value}), corpus)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("tree", ["groups", "clique", "stddev", "candidates", "chosen", "kind", "why", "epsilon"]),
        ("release", ["groups"]),
        ("mixture", ["noise", "teachers", "scale", "stddev", "cliques"]),
    ],
)
@pytest.mark.parametrize("value", [[["a"], 1], {"a": {}}, None])
def test_a_transcript_whose_fields_are_of_another_type(
    name: str, fields: list[str], value: object, corpus: Path
) -> None:
    whole = (corpus / TARGETS[name].file).read_bytes()
    answers = header_of(whole)["transcript"]
    for field in fields:
        changed = [one | {field: value} if field in one else one for one in answers]
        assert changed != answers, field
        refused(name, with_header(whole, {"transcript": changed}), corpus)


def header_of(archive: bytes) -> dict[str, Any]:
    with np.load(io.BytesIO(archive)) as arrays:
        found: dict[str, Any] = json.loads(str(arrays["header"]))
    return found


def with_header(archive: bytes, changes: dict[str, object]) -> bytes:
    with np.load(io.BytesIO(archive)) as arrays:
        others = {name: arrays[name] for name in arrays.files if name != "header"}
    sink = io.BytesIO()
    np.savez(sink, header=np.array(json.dumps(header_of(archive) | changes)), **others)
    return sink.getvalue()


def test_a_release_with_a_member_of_ten_million_million_entries(corpus: Path) -> None:
    from random import Random

    with zipfile.ZipFile(corpus / "tree.npz") as archive:
        members = {one.filename: archive.read(one) for one in archive.infolist()}
    for name in ("clique_0.npy", "answer_0.npy", "more.npy"):
        sink = io.BytesIO()
        with zipfile.ZipFile(sink, "w") as changed:
            for member, data in {**members, name: b""}.items():
                claim = claimed(members["clique_0.npy"], Random(0))
                changed.writestr(member, claim if member == name else data)
        refused("tree", sink.getvalue(), corpus)


def test_a_release_cut_short_names_its_file(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, refusals = (files / "tree.npz").read_bytes(), []
    for place in range(len(whole) - 120, len(whole) - 1):  # what says where its members are
        flipped = bytes([whole[place] ^ 255])
        (files / "tree.npz").write_bytes(whole[:place] + flipped + whole[place + 1 :])
        try:
            Release.load("tree.npz")
        except ReleaseError as error:
            refusals.append(str(error))
    assert len(refusals) > 50
    assert all(told.startswith("tree.npz: cannot be read as") for told in refusals)
    (files / "tree.npz").write_bytes(whole[:-30])
    assert main(["sample", "tree.npz", "--rows=1", "--out=-"]) == 2
    assert capsys.readouterr().err.startswith("dp-synth: tree.npz: cannot be read as")


@pytest.mark.parametrize(
    "field", ["cell", "outcome", "version", "written", "measured", "seconds", "machine"]
)
@pytest.mark.parametrize("value", [None, 5, "text", [], [[]], {"a": 1}, [{"metric": 1}]])
def test_a_cell_with_its_digest_and_other_types_is_a_damaged_one(
    field: str, value: object, files: Path
) -> None:
    import hashlib

    path = sorted((files / "store" / "cells").glob("*/*.json"))[0]
    head, _, body = path.read_bytes().partition(b"\n")
    content = json.loads(b"{" + body)
    holder = content if field in content else content["outcome"]
    known = holder[field]
    holder[field] = value
    text = json.dumps(content)[1:].encode() + b"\n"
    digest = hashlib.sha256(text).hexdigest()
    path.write_bytes(head.replace(head[-66:-2], digest.encode()) + b"\n" + text)
    found = list(stored(open_store(files / "store")))
    is_fine = type(value) is type(known) or (
        field == "seconds" and type(value) in (int, type(None))
    )
    is_fine = (
        is_fine
        and not (field == "measured" and value)
        and field not in ("cell", "outcome", "machine")
    )
    assert (None in found) == (not is_fine)
    assert main(["benchmark", "status", "grid.yaml", "--store", "store"]) == 0


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 5000, b'"a": 1}\n', b"\xff"])
def test_a_cell_with_its_digest_and_no_json_is_a_damaged_one(body: bytes, files: Path) -> None:
    import hashlib

    path = sorted((files / "store" / "cells").glob("*/*.json"))[0]
    digest = hashlib.sha256(body).hexdigest()
    head = f'{{"format": 2, "key": "{path.stem}", "sha256": "{digest}",\n'
    path.write_bytes(head.encode() + body)
    assert None in list(stored(open_store(files / "store")))


def test_the_fuzzer_gives_a_changed_cell_its_digest(files: Path) -> None:
    from random import Random

    path = sorted((files / "store" / "cells").glob("*/*.json"))[0]
    whole = path.read_bytes()
    path.write_bytes(of_cell(whole, Random(3)))
    assert path.read_bytes() != whole
    assert len(list(stored(open_store(files / "store")))) == 24


def test_records_with_a_flipped_bit_are_refused_or_the_same(files: Path) -> None:
    store = open_store(files / "store")
    whole, known = store.records.read_bytes(), read_records(store)
    rng = np.random.default_rng(0)
    refusals = 0
    for place, bit in zip(rng.integers(0, len(whole), 300), rng.integers(0, 8, 300), strict=True):
        store.records.write_bytes(
            whole[:place] + bytes([whole[place] ^ (1 << int(bit))]) + whole[place + 1 :]
        )
        try:
            assert read_records(store).equals(known)
        except InputError:
            refusals += 1
    assert refusals >= 290  # all but flips in the few bytes that name the digest


def test_records_of_before_they_had_a_digest_are_read(files: Path) -> None:
    store = open_store(files / "store")
    known = read_records(store)
    known.to_parquet(store.records, index=False)
    again = read_records(store)
    assert again.astype(known.dtypes).equals(known)
    gather(store, [])
    assert len(read_records(store)) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"settings": "["},
        {"settings": "[]"},
        {"seed": "a"},
        {"value": "b"},
        {"value": float("inf")},
    ],
)
def test_records_of_other_kinds_are_refused_though_they_are_parquet(
    wrong: dict[str, object], files: Path
) -> None:
    store = open_store(files / "store")
    read_records(store).assign(**wrong).to_parquet(store.records, index=False)
    with pytest.raises(InputError, match=r"records.parquet: .*; run the grid again"):
        read_records(store)


COMMANDS = sorted({target.arguments[:2] for target in TARGETS.values()})


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("name", ["a\0b", "a\udcff", "a\ud800b"])
def test_no_command_takes_a_nul_or_what_is_no_text(
    command: tuple[str, ...], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, name]) == 2
    said = capsys.readouterr().err
    assert said.startswith("dp-synth: the argument 'a")
    assert said.count("\n") == 1


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_a_name_that_is_too_long_is_one_line(
    name: str, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = TARGETS[name]
    longer = target.file.replace("*/*.json", "x").replace(".", "x" * 5000 + ".", 1)
    arguments = [longer if one == target.file else one for one in target.arguments]
    if longer not in arguments:
        arguments = [word.replace("store", "x" * 5000) for word in arguments]
    if arguments == list(target.arguments) or "cells" in target.file:
        return
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("dp-synth: ")
    assert said.count("\n") == 1
    assert len(said) < 5000


@pytest.mark.parametrize("text", ["[" * DEEP, "9" * 5000, '"\\ud800"', "Infinity", "{"])
def test_a_setting_of_the_command_line_beyond_all_bounds(
    text: str, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["synthesize", "--data=table.csv", *FIT.split(), "--out=out.csv"]
    assert main([*given, "--set", f"floor={text}"]) == 2
    said = capsys.readouterr().err
    assert (said.count("\n"), len(said) < 5000) == (1, True)
    assert main(["benchmark", "status", "grid.yaml", "--set", f"seeds={text}"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (files / "out.csv").exists()


@pytest.mark.parametrize(
    "text",
    ["[" * DEEP, "9" * 5000, "{}", '{"key": "k", "value": 1}', '{"key": "k"}', "[]", "\0", ""],
)
def test_a_kept_scale_that_is_none_is_found_anew(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(calibration.CACHE_VARIABLE, str(tmp_path))
    calibration.keep("k", 2.5)
    (path,) = tmp_path.iterdir()
    assert calibration.read_kept("k") == 2.5
    path.write_text(text)
    assert calibration.read_kept("k") is None
