"""Print the modules and classes of dp_synth whose code runs in a fit of a table in memory.

``modules_of_a_fit.py [NAME ...]``: by default of ``mst`` and ``independent``. Whoever reads the
path of a fit has to open these. Counted are functions and methods that are called by `fit`, a
second one, which imports nothing; code that dataclasses write is not. ``--list`` names them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from types import FrameType

import pandas as pd

import dp_synth
from dp_synth.accounting import PrivacyBudget
from dp_synth.schema import Schema
from dp_synth.synthesizers import synthesizer_named

PACKAGE = str(Path(dp_synth.__file__).parent)
SCHEMA = Schema.from_dict(
    {
        "name": "people",
        "columns": [
            {"name": "sex", "type": "categorical", "categories": ["F", "M"]},
            {"name": "job", "type": "categorical", "categories": ["a", "b", "c"]},
            {"name": "age", "type": "integer", "lower": 0, "upper": 99},
        ],
    }
)


def run_in_a_fit(name: str) -> tuple[set[str], set[str]]:
    """Return the modules, and the classes by their modules, whose functions a fit calls."""
    rows = [("FM"[i % 2], "abc"[i % 3], (7 * i) % 100) for i in range(500)]
    frame = pd.DataFrame(rows, columns=["sex", "job", "age"])
    synthesizer = synthesizer_named(name)()
    modules, classes = set[str](), set[str]()

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event != "call" or not frame.f_code.co_filename.startswith(PACKAGE):
            return
        module = frame.f_code.co_filename.removeprefix(PACKAGE).strip("/")
        owner = frame.f_code.co_qualname.split(".")[0]
        modules.add(module)
        if isinstance(frame.f_globals.get(owner), type):
            classes.add(f"{module}: {owner}")

    synthesizer.fit(frame, SCHEMA, PrivacyBudget(2.0, 1e-6), seed=0)
    sys.setprofile(note)
    try:
        synthesizer.fit(frame, SCHEMA, PrivacyBudget(1.0, 1e-6), seed=0)
    finally:
        sys.setprofile(None)
    return modules, classes


def main() -> None:
    """Print a line a synthesizer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=["mst", "independent"], metavar="NAME")
    parser.add_argument("--list", action="store_true", help="name the modules and classes")
    given = parser.parse_args()
    for name in given.names:
        modules, classes = run_in_a_fit(name)
        print(f"{name}: {len(modules)} modules, {len(classes)} classes")
        if given.list:
            print(*(f"  {one}" for one in sorted(modules)), sep="\n")
            print(*(f"  {one}" for one in sorted(classes)), sep="\n")


if __name__ == "__main__":
    main()
