"""Does what `schema draft` writes fit the table it was read from, and what is left to do by hand?

    python -m benchmarks.drafts [FOLDER...]  # or the folder that DP_SYNTH_DATA names

For each CSV or Parquet file of a folder: whether `draft` then `check` agree, how many columns of
which kind, and how many questions. Where ``<stem>.meta.json`` lies beside a file, confirmed by a
person, the columns are counted whose type, missing marks, format, decimals or direction of bounds
a person had to change. ``reading.json`` in a folder says how files are read that are not plain CSV:
``{"cardio_train.csv": {"separator": ";"}}``. The lines show private tables: for their holder only.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from dp_synth.datasets import read_table
from dp_synth.errors import InputError
from dp_synth.schema import Schema, check, draft

try:
    from dp_synth.dialect import Dialect
except ImportError:  # a release that reads plain CSV alone
    Dialect = None  # type: ignore[assignment,misc]

REMARKS = ("holds the same cell in every record", "leave it out before synthesizing")
"""What releases that knew no remarks said among the mismatches."""

COMPARED = ("type", "format", "decimals")
ENDINGS = (".csv", ".csv.gz", ".parquet")


def main() -> None:
    """Print a line for each file and their sums."""
    sums: Counter[str] = Counter()
    folders = sys.argv[1:] or [os.environ.get("DP_SYNTH_DATA", "")]
    if not all(folder and Path(folder).is_dir() for folder in folders):
        raise SystemExit("drafts.py: give folders of tables, or set DP_SYNTH_DATA")
    for path, reading in _files(folders):
        counted, lines = examine(path, reading)
        sums.update(counted)
        kinds = ", ".join(f"{n} {kind[5:]}" for kind, n in counted.items() if kind[:5] == "type ")
        said = "agree" if counted["agree"] else "DIFFER"
        print(f"{path.name}: {said}; {kinds}; {counted['questions']} questions", end="")
        if counted["confirmed"]:
            print(f"; {counted['by hand']} of {counted['confirmed']} columns by hand", end="")
        print("".join(f"\n    {line}" for line in lines))
    print(
        f"{sums['files']} files: {sums['agree']} agree, {sums['by hand']} of {sums['confirmed']} "
        f"columns by hand, {sums['questions']} questions"
    )


def examine(path: Path, reading: Mapping[str, object]) -> tuple[Counter[str], list[str]]:
    """Return what is counted of one file, and what a person should look at."""
    counted: Counter[str] = Counter(files=1)
    confirmed = _confirmed(path)
    counted["confirmed"] = len(confirmed)
    try:
        if Dialect is None:
            frame, content = read_table(path), draft(read_table(path), path.name)
        else:
            dialect = Dialect.model_validate(dict(reading))
            frame = read_table(path, dialect)
            content = draft(frame, path.name, dialect)
        found = check(frame, Schema.from_dict(content))
    except InputError as error:
        counted["by hand"] = len(confirmed)
        return counted, [str(error)]
    columns = {str(column["name"]): column for column in content["columns"]}  # type: ignore[attr-defined]
    counted.update(f"type {column['type']}" for column in columns.values())
    counted["questions"] = sum("note" in column for column in columns.values())
    lines = [line for line in found if not line.endswith(REMARKS)]
    counted["agree"] = int(not lines)
    for name, own in confirmed.items():
        differing = _differing(own, columns.get(name, {}))
        counted["by hand"] += bool(differing)
        lines += [f"{name}: {differing}"] if differing else []
    return counted, lines


def _differing(own: Mapping[str, object], drafted: Mapping[str, object]) -> str:
    """Return what a person changed in a column; empty when nothing."""
    parts = [f"{key} {drafted.get(key)} for {own.get(key)}" for key in COMPARED if (
        key in own or key == "type") and own.get(key) != drafted.get(key)]  # fmt: skip
    marks = [set(map(str, column.get("missing", ()))) for column in (own, drafted)]  # type: ignore[call-overload]
    if marks[0] != marks[1] and own["type"] != "id":
        parts.append(f"missing {sorted(marks[1])} for {sorted(marks[0])}")
    if own["type"] == drafted.get("type") in ("integer", "real"):
        inside = own["lower"] <= drafted["lower"] and drafted["upper"] <= own["upper"]  # type: ignore[operator]
        parts += [] if inside else ["bounds beyond the confirmed ones"]
    return ", ".join(parts)


def _confirmed(path: Path) -> dict[str, Mapping[str, object]]:
    stem = next(path.name.removesuffix(end) for end in ENDINGS[::-1] if path.name.endswith(end))
    beside = path.with_name(f"{stem}.meta.json")
    if not beside.is_file():
        return {}
    return {column["name"]: column for column in json.loads(beside.read_text())["columns"]}


def _files(folders: list[str]) -> Iterator[tuple[Path, dict[str, object]]]:
    for folder in folders:
        beside = Path(folder) / "reading.json"
        said = json.loads(beside.read_text()) if beside.is_file() else {}
        for path in sorted(Path(folder).iterdir()):
            if path.name.endswith(ENDINGS):
                yield path, said.get(path.name, {})


if __name__ == "__main__":
    main()
