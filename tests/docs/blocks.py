"""Code blocks of a Markdown page, and what it takes to run them as a reader would.

Comments before a block say more: ``file: NAME`` saves it under a name, ``exit: N`` expects
another exit code, ``only parsed: WHY`` keeps it from being run. A page whose first comment is
``console: only parsed, WHY`` has no command run; one with ``needs: MODULE`` is skipped where that
module is not installed.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from dp_synth.accounting.event_file import parse_events
from dp_synth.benchmark.grid import Grid
from dp_synth.cli import main
from dp_synth.report.gate import Policy
from dp_synth.schema import Schema

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs" / "site"))

from commands import commands, options  # noqa: E402  # it stands in the site's folder

FENCE = re.compile(r"^(`{3,})(\S*)[^\n]*\n(.*?)^\1\s*?$", re.MULTILINE | re.DOTALL)
COMMENTS = re.compile(r"(?:<!-- ([^>]*?) -->\s*)+\Z")
MARK = re.compile(r"<!-- ([\w ]+?): ([^>]*?) -->")
PROMPT = re.compile(r"^\w*\$\s+")
CODE = ("python", "console", "yaml", "json")
OTHERS = ("pip", "make", "python", "dask", "sbatch", "export")


@dataclass(frozen=True)
class Block:
    """One fenced block with the marks before it."""

    page: Path
    line: int
    language: str
    text: str
    marks: dict[str, str]

    @property
    def where(self) -> str:
        """The page and the line on which the block begins."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def is_run(self) -> bool:
        """Whether nothing says that it is only parsed."""
        return "only parsed" not in self.marks


def blocks(page: Path) -> list[Block]:
    """Return the code blocks of a page, in order; directives of the site are none."""
    text = page.read_text("utf-8")
    found = []
    for fence in FENCE.finditer(text):
        language = fence.group(2)
        if language.startswith("{"):
            continue
        before = COMMENTS.search(text[: fence.start()].rstrip())
        marks = dict(MARK.findall(before.group(0))) if before else {}
        line = text.count("\n", 0, fence.start()) + 1
        found.append(Block(page, line, language, fence.group(3), marks))
    return found


def console_is_run(page: Path) -> bool:
    """Tell whether the commands of a page are to be run."""
    return "<!-- console: only parsed, " not in page.read_text("utf-8")


def command_lines(block: Block) -> list[str]:
    """Return what stands behind each prompt, continued lines joined."""
    joined = block.text.replace("\\\n", " ")
    return [PROMPT.sub("", line) for line in joined.splitlines() if PROMPT.match(line)]


def check_command(line: str) -> None:
    """Raise AssertionError for a command, an option, a target or an extra that does not exist."""
    words = shlex.split(line, comments=True)
    if words[0] == "dp-synth":
        known = dict(commands())
        path = next((p for p in (" ".join(words[:n]) for n in (3, 2)) if p in known), None)
        assert path, f"no such command: {line}"
        given = {word.split("=")[0] for word in words if word.startswith("--")}
        assert given <= options(known[path]), f"no such option: {line}"
    elif words[0] == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert {word for word in words[1:] if "=" not in word} <= set(targets), line
    elif words[0] == "python":
        assert words[1] == "-m" or (ROOT / words[1]).exists() or Path(words[1]).exists(), line
    else:
        assert words[0] in OTHERS, f"what is {words[0]!r}? {line}"
    extras = set(re.findall(r"^(\w+) =$", (ROOT / "setup.cfg").read_text(), re.MULTILINE))
    for named in re.findall(r"(?:\.|dp_synth)\[([\w,]+)\]", line):
        assert set(named.split(",")) <= extras, line


def run_command(line: str) -> int:
    """Run a ``dp-synth`` line in this process and return its exit code; ``>`` writes a file."""
    words = shlex.split(line, comments=True)
    if words[0] != "dp-synth":
        return 0
    target = words[words.index(">") + 1] if ">" in words else None
    arguments = words[1 : words.index(">")] if target else words[1:]
    if target is None:
        return main(arguments)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = main(arguments)
    Path(target).write_text(said.getvalue(), encoding="utf-8")
    return code


def check_data(block: Block) -> None:
    """Raise where a YAML or JSON block is not what its keys say that it is."""
    content = json.loads(block.text) if block.language == "json" else yaml.safe_load(block.text)
    if not block.is_run or not isinstance(content, dict):
        return
    if "synthesizers" in content:
        Grid.from_dict(content, source=block.where)
    elif "events" in content:
        parse_events(block.text, block.where)
    elif block.language == "yaml":
        Policy.from_text(block.text, block.where)
    elif "columns" in content and "format" not in content:
        Schema.from_dict(content)


def save_files(page: Path) -> None:
    """Write every block of a page that has a file's name into the working folder."""
    for block in blocks(page):
        if "file" in block.marks:
            Path(block.marks["file"]).write_text(block.text, encoding="utf-8")


def run_page(page: Path) -> dict[str, object]:
    """Run the blocks of a page in order, in the working folder; return what its Python defined."""
    names: dict[str, object] = {"__name__": "page"}
    for module in re.findall(r"<!-- needs: (\w+) -->", page.read_text("utf-8")):
        pytest.importorskip(module, reason=f"{page.name} shows what needs {module}")
    save_files(page)
    runs_commands = console_is_run(page)
    for block in blocks(page):
        assert block.language in CODE, f"{block.where}: what is {block.language!r}?"
        if block.language == "python":
            tree = ast.parse(block.text, block.where)
            if block.is_run and "file" not in block.marks:
                exec(compile(tree, block.where, "exec"), names)
        elif block.language == "console":
            for line in command_lines(block):
                check_command(line)
                if block.is_run and runs_commands:
                    code = run_command(line)
                    assert code == int(block.marks.get("exit", 0)), f"{block.where}: {line}: {code}"
        else:
            check_data(block)
    return names
