"""What a fresh clone needs, and nothing else, is what set-up installs."""

from __future__ import annotations

import ast
import configparser
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg", encoding="utf-8")
sys.path.insert(0, str(ROOT / "tests"))

from check_floors import floors  # noqa: E402  # it stands beside this file

PLACES = ("docs/site", "benchmarks", "experiments", "notebooks", "tests", "paper")
OWN = {path.stem: path for place in PLACES for path in (ROOT / place).rglob("*.py")}
"""Files of this repository that tests import by their bare names."""
OWNERS = packages_distributions()
SCRIPTS = ("benchmarks", "experiments", "paper")
ROOTS = ("dp_synth", *SCRIPTS)


def installed_with(extra: str) -> set[str]:
    """Distributions that an extra of this package brings, and what those need in their turn."""
    options = SETUP["options"]["install_requires"].split("\n")
    options += SETUP["options.extras_require"][extra].split("\n")
    left = [Requirement(text) for text in options if text]
    found: set[str] = set()
    while left:
        one = left.pop()
        name = one.name.lower().replace("_", "-")
        if name in found:
            continue
        found.add(name)
        environments = [{"extra": chosen} for chosen in (*one.extras, "")]
        try:
            more = [Requirement(text) for text in requires(name) or []]
        except ModuleNotFoundError:  # not installed here: what it needs is not known
            continue
        for need in more:
            if need.marker is None or any(need.marker.evaluate(env) for env in environments):
                left.append(need)
    return found


def imported(path: Path, *, everywhere: bool) -> Iterator[str]:
    """Top-level names that a module imports: in functions as well, or only when it is loaded."""
    tree = ast.parse(path.read_text("utf-8"))
    nodes = list(ast.walk(tree)) if everywhere else loaded(tree.body)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


def loaded(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Statements that run when a module is imported; not those for type checkers alone."""
    for node in body:
        yield node
        of_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        if isinstance(node, (ast.Try, ast.If)) and not of_types:
            yield from loaded([*node.body, *node.orelse])


def unknown_imports(path: Path, there: set[str], *, everywhere: bool) -> Iterator[str]:
    """Imports of a module that neither ``there`` nor a skip allows, those of own modules too."""
    skips = set(re.findall(r'importorskip\(\s*"(\w+)', path.read_text("utf-8")))
    for name in set(imported(path, everywhere=everywhere)) - skips:
        if (
            name in ("dp_synth", "tests", "paper", "experiments", "benchmarks")
            or name in sys.stdlib_module_names
        ):
            continue
        if name in OWN:
            known = there | skips
            yield from unknown_imports(OWN[name], known, everywhere=False)
            continue
        owners = {one.lower().replace("_", "-") for one in OWNERS.get(name, [name])}
        if not owners & there:
            yield f"{path.relative_to(ROOT)}: {name}"


def test_tests_import_nothing_but_what_make_test_installs() -> None:
    there = installed_with("test")
    apart = {"check_installed.py", "check_package.py"}  # run by `make package`
    tests = [path for path in (ROOT / "tests").rglob("*.py") if path.name not in apart]
    assert [x for path in tests for x in unknown_imports(path, there, everywhere=True)] == []
    assert "docutils" not in there
    assert "sphinx" not in there


def taken(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Modules of this repository and the names that code takes from them, in functions as well.

    What is tried in a block that knows another way is left out.
    """
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Try) and "ImportError" in map(ast.unparse, caught(node)):
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ROOTS:
            yield from ((str(node.module), alias.name) for alias in node.names)
        yield from taken(node)


def caught(node: ast.Try) -> Iterator[ast.expr]:
    """Errors that a block catches."""
    return (handler.type for handler in node.handlers if handler.type is not None)


def is_there(module: str, name: str) -> bool:
    """Whether a module has a name, or a module of that name beside it."""
    try:
        if hasattr(import_module(module), name):
            return True
        import_module(f"{module}.{name}")
    except ModuleNotFoundError as error:
        return not str(error.name).startswith(ROOTS)  # of a library that is not installed here
    return True


@pytest.mark.parametrize("folder", SCRIPTS)
def test_what_scripts_take_from_this_repository_is_there(folder: str) -> None:
    wanted = {
        (str(path.relative_to(ROOT)), module, name)
        for path in (ROOT / folder).rglob("*.py")
        for module, name in taken(ast.parse(path.read_text("utf-8")))
    }
    assert wanted
    assert [one for one in sorted(wanted) if not is_there(*one[1:])] == []


@pytest.mark.parametrize("target", ["test", "benchmark", "lint", "docs", "test-browser"])
@pytest.mark.parametrize("deep", ["deep", ""])
def test_make_names_extras_that_exist_with_torch_and_without(target: str, deep: str) -> None:
    command = ["make", "--dry-run", "--always-make", target, f"DEEP={deep}", "VENV=none"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    asked = re.findall(r"--editable '\.(.*)'", done.stdout)
    assert asked
    for text in asked:
        extras = Requirement(f"dp_synth{text}").extras
        assert ("deep" in extras) == bool(deep)
        assert extras <= {*SETUP["options.extras_require"]}
        assert text == "" or re.fullmatch(r"\[\w+(,\w+)*\]", text), "older pip takes no open list"
    assert ("deep_live.yaml" in done.stdout) == (target == "benchmark" and bool(deep))


def test_the_checks_begin_with_the_tests_in_a_clone_of_nothing_else() -> None:
    lines = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    made = [line for line in lines if line.startswith("make ")]
    assert made[0] == "make test"
    assert "everything" in made[1].split()
    assert any("git status --porcelain --ignored" in line for line in lines)


def test_the_oldest_versions_are_those_with_which_the_figures_and_commands_work() -> None:
    pins, others = floors(ROOT / "setup.cfg")
    assert {"matplotlib==3.10", "typer==0.15.4", "dp-accounting==0.6.*"} <= set(pins)
    assert len(pins) == len(SETUP["options"]["install_requires"].split())
    assert all(re.fullmatch(r"[\w-]+==[\d.]+(\.\*)?", pin) for pin in pins)
    assert others == SETUP["options.extras_require"]["test"].split()


def test_every_hint_and_page_spells_an_installation_in_one_way() -> None:
    texts = [*(ROOT / "dp_synth").rglob("*.py"), *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    spelt = [
        line
        for path in texts
        if "_build" not in path.parts and path.name != "CHANGELOG.md"
        for line in path.read_text("utf-8").splitlines()
        if re.search(r"pip install.*\[", line)
    ]
    assert len(spelt) > 4
    assert [line for line in spelt if not re.search(r"pip install '\.\[[\w{}]+\]'", line)] == []
