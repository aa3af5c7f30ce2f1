"""One folder a question; each is a package, ``experiments.tradeoff_small`` that of its folder."""

import sys
from pathlib import Path
from types import ModuleType

QUESTIONS = {
    path.parent.name: f"{__name__}.{path.parent.name.replace('-', '_')}"
    for path in sorted(Path(__file__).parent.glob("*/run.py"))
}

for _folder, _name in QUESTIONS.items():
    _package = ModuleType(_name)
    _package.__path__ = [str(Path(__file__).parent / _folder)]
    sys.modules[_name] = _package
