"""Tests that pages cite: each citation becomes a link to the test's own lines, shown on one page.

A page cites a test as inline code, ``tests/folder/test_file.py::test_name``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx

DOCS = Path(__file__).parents[1]
CITED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
PAGE = "explanation/proofs"
LITERAL = re.compile(r"(tests/[\w/]+\.py)::(test_\w+)")


def cited() -> list[tuple[str, str]]:
    """Return file and name of every test that a page cites, each once, in order."""
    return sorted({pair for page in pages() for pair in CITED.findall(page.read_text("utf-8"))})


def pages() -> Iterator[Path]:
    """Yield the Markdown of the site that is written by hand."""
    for page in sorted(DOCS.rglob("*.md")):
        if not {"_build", "experiments"}.intersection(page.relative_to(DOCS).parts):
            yield page


def source(file: str, name: str) -> str:
    """Return the lines of a test, its decorators included; KeyError where there is none."""
    text = (DOCS.parent / file).read_text("utf-8")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            return "\n".join(text.splitlines()[first - 1 : node.end_lineno])
    raise KeyError(f"{file} has no test {name}")


def proofs() -> str:
    """Return every cited test as Markdown, a section a file."""
    parts: list[str] = []
    last = ""
    for file, name in cited():
        if file != last:
            parts.append(f"## {file}")
        sentence = name.removeprefix("test_").replace("_", " ")
        parts += [f"({name.replace('_', '-')})=", f"### {sentence}"]
        parts.append(f"```python\n{source(file, name)}\n```")
        last = file
    return "\n\n".join(parts)


def link(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Turn every citation of a test into a link to its lines."""
    from docutils import nodes  # of the extra docs: what a page cites is read without it

    for node in list(doctree.findall(nodes.literal)):
        found = LITERAL.fullmatch(node.astext())
        if found is None or docname == PAGE:
            continue
        base = app.builder.get_relative_uri(docname, PAGE)
        anchor = found.group(2).replace("_", "-")
        said = found.group(2).removeprefix("test_").replace("_", " ")
        text = nodes.inline("", said)
        node.replace_self(nodes.reference("", "", text, refuri=f"{base}#{anchor}", internal=True))


def setup(app: Sphinx) -> dict[str, bool]:
    """Have citations linked once all pages are read."""
    app.connect("doctree-resolved", link)
    return {"parallel_read_safe": True}


PARTS = {"proofs": proofs}
