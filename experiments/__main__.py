"""Runs one experiment: ``python -m experiments NAME`` and what ``experiments.outline`` takes."""

import sys
from importlib import import_module

from experiments import QUESTIONS
from experiments.outline import main

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in QUESTIONS:
        sys.exit(f"name an experiment: {', '.join(QUESTIONS)}")
    main(import_module(f"{QUESTIONS[sys.argv[1]]}.run").EXPERIMENT, sys.argv[2:])
