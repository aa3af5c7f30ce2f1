"""Runs one experiment: ``python -m experiments NAME`` and what that one takes.

One that draws a figure takes what ``experiments.outline`` says, any other what its ``run.py`` does.
"""

import sys
from importlib import import_module

from dp_synth import InputError
from experiments import QUESTIONS
from experiments.outline import main

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in QUESTIONS:
        sys.exit(f"name an experiment: {', '.join(QUESTIONS)}")
    name = sys.argv.pop(1)
    sys.argv[0] = f"experiments {name}"
    question = import_module(f"{QUESTIONS[name]}.run")
    try:
        if hasattr(question, "EXPERIMENT"):
            main(question.EXPERIMENT, sys.argv[1:])
        else:
            sys.exit(question.main())
    except InputError as error:
        sys.exit(f"{name}: {error}")
