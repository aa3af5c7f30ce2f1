"""Brings what stands elsewhere in the repository into the site's folder: notebooks, experiments."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

LINK = re.compile(r"(\]\()(?!https?:|#|mailto:)([^)#\s]+)")


def copy_in(docs: Path) -> None:
    """Copy notebooks to ``tutorials/`` and experiments to ``experiments/``, none twice."""
    root = docs.parent
    for source in sorted(root.glob("notebooks/*.ipynb")):
        _write(docs / "tutorials" / source.name, _in_python(source.read_text(encoding="utf-8")))
    for source in sorted(root.glob("experiments/*/README.md")):
        text = _with_links(source.read_text(encoding="utf-8"), source.parent, docs)
        target = docs / "experiments" / f"{source.parent.name}.md"
        _write(target, text.encode())
        for figure in source.parent.glob("*.png"):
            place = target.parent / source.parent.name / figure.name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(figure, place)


def _in_python(notebook: str) -> bytes:
    """Return a notebook that says in which language its cells are: some tools drop that."""
    content = json.loads(notebook)
    told = content.setdefault("metadata", {}).setdefault("language_info", {"name": "python"})
    told.setdefault("pygments_lexer", "ipython3")
    return json.dumps(content).encode()


def _with_links(text: str, folder: Path, docs: Path) -> str:
    """Return the text with figures looked for in a folder of their own, other files named only."""

    def moved(found: re.Match[str]) -> str:
        name = found.group(2)
        if name.endswith(".png"):
            return f"{found.group(1)}{folder.name}/{Path(name).name}"
        page = (folder / name).resolve()
        if page.suffix == ".md" and page.is_relative_to(docs):
            return f"{found.group(1)}../{page.relative_to(docs).as_posix()}"
        return found.group(0)

    return LINK.sub(moved, text)


def _write(target: Path, content: bytes) -> None:
    """Write a file unless it is there as it should be: an unchanged page is not built again."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists() or target.read_bytes() != content:
        target.write_bytes(content)
