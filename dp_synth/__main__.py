"""Lets ``python -m dp_synth`` do what ``dp-synth`` does."""

import sys

from dp_synth.cli import main

if __name__ == "__main__":
    sys.exit(main())
