"""Who may know whom: the imports prove that what is right of the door sees noisy values only."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import dp_synth

PACKAGE = Path(dp_synth.__file__).parent

LAYERS = [  # a part imports only from parts on an earlier line, or from itself
    {"_version", "errors", "types"},
    {"readers"},
    {"databases", "dialect", "extensions", "files", "formatting", "progress", "settings"},
    {"faults", "frames", "records"},
    {"accounting", "domain", "formats"},
    {"schema", "transcript", "unit_weights"},
    {"backends", "counting", "validation_bounds"},
    {"datasets", "inference"},
    {"mechanisms", "sampling"},
    {"estimates"},
    {"checkpoint", "table"},
    {"nn"},
    {"release_files"},
    {"release"},
    {"synthesizers"},
    {"relational"},
    {"metrics", "monitor"},
    {"attacks"},
    {"audit"},
    {"citation"},
    {"benchmark", "figures"},
    {"report"},
    {"cli"},
    {"__main__"},
]
NEVER = {  # beyond the order
    "schema": {"accounting"},
    "transcript": {"accounting"},
    "counting": {"accounting", "transcript"},
    "inference": {"accounting", "mechanisms"},
    "datasets": {"accounting"},
    "metrics": {"accounting", "mechanisms", "inference", "synthesizers", "release"},
    "attacks": {"accounting", "mechanisms", "inference", "synthesizers", "release"},
    "figures": set().union(*LAYERS)  # of `citation` the words alone
    - {"citation", "errors", "files", "formatting", "readers", "records", "types"},
}
FITTERS = {  # of attacks: those that rehearse a fit, or play games of them; others see a view alone
    "marginal_ratio.py",
    "membership_game.py",
    "rows_ratio.py",
    "shadow_ensemble.py",
    "view.py",  # says which synthesizer and budget an attacker knows of
}
RANK = {part: rank for rank, parts in enumerate(LAYERS) for part in parts}


def imports(path: Path) -> set[str]:
    """The parts of dp_synth that a module imports, wherever in the module it does so."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports are absolute"
            names = [node.module or ""]
            if node.module == "dp_synth":
                names = [f"dp_synth.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("dp_synth.")}
    return found


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_below(path: Path) -> None:
    here = part_of(path)
    for there in imports(path) - {here}:
        assert RANK[there] < RANK[here] or (here, there) == ("benchmark", "figures"), (
            f"{here} must not import {there}"
        )
        known = {"accounting", "synthesizers"} if path.name in FITTERS else set()
        never = NEVER.get(here, set()) - known
        assert there not in never, f"{here} must not know {there}"


@pytest.mark.parametrize("path", sorted((PACKAGE / "synthesizers").glob("*.py")), ids=str)
def test_no_synthesizer_imports_its_sibling(path: Path) -> None:
    if path.stem in ("__init__", "base", "fitting"):
        return
    shared = {f"dp_synth.synthesizers.{name}" for name in ("base", "_interactions", "_one_shot")}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
            "dp_synth.synthesizers."
        ):
            assert node.module in shared


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = ["torch", "opacus", "matplotlib", "sklearn", "dp_accounting", "typer", "rich"]
    code = f"import sys, dp_synth; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_has_a_docstring_and_exists() -> None:
    for name in dp_synth.__all__:
        assert getattr(dp_synth, name).__doc__, name


READERS = {  # who may take a text or a file apart, and with what: the limits stand there
    "json.load": {"readers.py"},
    "json.loads": {"readers.py"},
    "np.load": set(),
    "zipfile.ZipFile": {"readers.py"},
    "yaml.SafeLoader": {"readers.py"},
    "yaml.load": set(),
    "yaml.safe_load": set(),
    "parquet.read_table": set(),
    "parquet.ParquetFile": {"frames.py", "store.py"},
    "model_validate_json": set(),
    "pickle.load": set(),
    "pickle.loads": {"extensions.py", "executor.py"},  # of own processes, over a pipe
}


def read_with(text: str) -> set[str]:
    """The readers of `READERS` that a module's text calls or names."""
    named = {ast.unparse(n) for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Attribute)}
    return {reader for reader in READERS for name in named if f".{name}".endswith(f".{reader}")}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_are_read_where_their_limits_stand(path: Path) -> None:
    if path.parent.name == "drivers":  # run in environments of other libraries
        return
    for reader in read_with(path.read_text()):
        assert path.name in READERS[reader], f"{reader} is not for {path.name}"


def test_a_reader_without_limits_would_be_found() -> None:
    assert read_with("import json\njson.loads('1')") == {"json.loads"}
    assert read_with("import numpy as np\nwith np.load('a') as b: pass") == {"np.load"}


def lines_of_code(path: Path) -> int:
    """The lines of a module that are no docstring, no comment and not blank."""
    text = path.read_text()
    documented = [
        node.body[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node)
    ]
    words = {place for one in documented for place in range(one.lineno, (one.end_lineno or 0) + 1)}
    lines = enumerate(text.splitlines(), 1)
    return sum(bool(line.split("#")[0].strip()) for place, line in lines if place not in words)


def test_no_module_is_longer_than_a_reader_can_hold() -> None:
    for path in MODULES:
        assert lines_of_code(path) <= 450, path
