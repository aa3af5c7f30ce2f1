"""All numbers of the paper by name, from committed records, for ``paper/numbers.json``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import chain

from paper.accounting_numbers import accounting
from paper.audit_numbers import audits
from paper.number import CONFIDENCE, Number
from paper.peer_numbers import peers
from paper.records import PAPER
from paper.utility_numbers import utility

FILE = PAPER / "numbers.json"


def collect() -> dict[str, Number]:
    """Return every number that the text may name; ValueError where two share a name."""
    found: dict[str, Number] = {}
    said = "confidence of every interval over seeds, per cent"
    ours = [("confidence", Number(CONFIDENCE, 0, "paper/number.py", said))]
    for name, number in chain(ours, package(), utility(), accounting(), audits(), peers()):
        if name in found:
            raise ValueError(f"two numbers are called {name!r}")
        found[name] = number
    return found


def package() -> Iterator[tuple[str, Number]]:
    """Yield numbers that are facts of the code."""
    from dp_synth.audit import roc
    from dp_synth.synthesizers import SYNTHESIZERS

    count = Number(len(SYNTHESIZERS), 0, "dp_synth/synthesizers/__init__.py", "named ones")
    yield "synthesizers", count
    least = Number(roc.FEWEST_FOR_DELONG, 0, "dp_synth/audit/roc.py", "FEWEST_FOR_DELONG")
    yield "delong_runs", least
    cap = Number(roc.LARGEST_FACTOR, 0, "dp_synth/audit/roc.py", "LARGEST_FACTOR")
    yield "factor_cap", cap


def document(numbers: Mapping[str, Number]) -> str:
    """Return the text of ``numbers.json``."""
    stored = {name: numbers[name].stored() for name in sorted(numbers)}
    return json.dumps(stored, indent=1, ensure_ascii=False) + "\n"
