"""Whether any recommended method is worse than independent columns, and more budget worse rows.

    python -m benchmarks.never_worse [--records experiments/many-tables/records.jsonl]

Reads the records of ``experiments/many-tables`` and measures nothing. Prints the paired difference
of every table and epsilon, then the steps from each epsilon to the next; exit status 1 where a
method's TV of pairs is above that of independent columns by more than the interval.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from experiments.many_tables import run as many_tables

from dp_synth.benchmark import read_record_file
from dp_synth.errors import InputError


def main() -> None:
    """Print both tables of the records that are named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    default = many_tables.HERE / many_tables.RECORDS
    parser.add_argument("--records", type=Path, default=default, help="a file of records")
    try:
        found = read_record_file(parser.parse_args().records)
    except InputError as error:
        sys.exit(f"never_worse: {error}")
    print(many_tables.difference_table(found), many_tables.step_table(found), sep="\n\n")
    if flagged := many_tables.worse(found):
        print(*("", *(f"worse: {method}, {one}" for method, one in flagged)), sep="\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
