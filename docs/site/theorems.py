"""Theorems that Coq has checked: what is defined and what is proved, without the proofs.

A page names a theorem as inline code, ``file.v::theorem``; it becomes a link to the statements of
that file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx

FOLDER = Path(__file__).parents[1] / "explanation" / "proofs"
PAGE = "explanation/proofs/index"
NAMED = re.compile(r"`(\w+\.v)::(\w+)`")
PROOF = re.compile(r"^Proof\..*?\b(?:Qed|Defined)\.\n", re.DOTALL | re.MULTILINE)
LEMMA = re.compile(
    r"^(?:\(\*\*(?:(?!\*\)).)*\*\)\n)?Lemma .*?\.\n(?=\n|\Z)", re.DOTALL | re.MULTILINE
)
EMPTY = re.compile(r"^Section (\w+)\.\n(?:Context .*\n)?\s*End \1\.\n", re.MULTILINE)
THEOREM = re.compile(r"^Theorem (\w+)", re.MULTILINE)
PREAMBLE = re.compile(r"^(?:From|Import|Open|Arguments) .*\n", re.MULTILINE)


def files() -> list[Path]:
    """Return the files in the order in which they build on each other."""
    lines = (FOLDER / "_CoqProject").read_text("utf-8").splitlines()
    return [FOLDER / line for line in lines if line.endswith(".v")]


def theorems() -> list[tuple[str, str]]:
    """Return file and name of every theorem, in order; lemmas are steps of their proofs."""
    return [(file.name, name) for file in files() for name in THEOREM.findall(_text(file))]


def named(page: Path) -> list[tuple[str, str]]:
    """Return file and name of every theorem that a page names, in order."""
    return NAMED.findall(page.read_text("utf-8"))


def statements() -> str:
    """Return what each file defines and proves as Markdown, a section a file."""
    parts = []
    for file in files():
        if said := stated(_text(file)):
            parts.append(f"### {file.name}\n\n```coq\n{said}\n```")
    return "\n\n".join(parts)


def stated(text: str) -> str:
    """Return definitions and theorems of a file, without proofs and lemmas."""
    if not THEOREM.search(text):
        return ""
    found = LEMMA.sub("", PROOF.sub("", PREAMBLE.sub("", text)))
    return re.sub(r"\n{3,}", "\n\n", EMPTY.sub("", found)).strip()


def _text(file: Path) -> str:
    return file.read_text("utf-8")


def link(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Turn every name of a theorem into a link to the statements of its file."""
    from docutils import nodes  # of the extra docs: what a page names is read without it

    for node in list(doctree.findall(nodes.literal)):
        if found := NAMED.fullmatch(f"`{node.astext()}`"):
            base = app.builder.get_relative_uri(docname, PAGE)
            target = f"{base}#{found.group(1).replace('.', '-').replace('_', '-')}"
            name = nodes.literal("", found.group(2))
            node.replace_self(nodes.reference("", "", name, refuri=target, internal=True))


def setup(app: Sphinx) -> dict[str, bool]:
    """Have names of theorems linked once all pages are read."""
    app.connect("doctree-resolved", link)
    return {"parallel_read_safe": True}


PARTS = {"theorems": statements}
