"""Run the notebooks and store what they show: ``python notebooks/refresh.py [NAME ...]``.

Without names all of them are run, one after another, in this folder. What differs from run to run
without meaning anything is left out, and each figure gets the sentence below it as its text
alternative, so that a page made from a notebook can be read without seeing it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

FOLDER = Path(__file__).parent
TIMEOUT = 600  # seconds that a cell may take
CAPTION = "**Figure.** "
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
_MARKUP = re.compile(r"[*`]|\[([^]]*)\]\([^)]*\)")


def refresh(path: Path) -> None:
    """Run a notebook and write it with its outputs; CellExecutionError where a cell fails."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=TIMEOUT, kernel_name="python3", record_timing=False)
    client.execute(cwd=str(FOLDER))
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": LANGUAGE})
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02d}"
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = [_plain(output) for output in cell.outputs]
    describe_figures(notebook.cells)
    nbformat.validate(notebook)
    nbformat.write(notebook, path)


LANGUAGE = {"name": "python", "file_extension": ".py", "mimetype": "text/x-python"}


def describe_figures(cells: Sequence[NotebookNode]) -> None:
    """Give each figure the next caption as text, where Jupyter and where MyST-NB look for it."""
    text = ""
    for cell in reversed(cells):
        for output in reversed(cell.get("outputs", [])):
            text = caption_of(output) or text
            if "image/png" in output.get("data", {}):
                output.metadata["image/png"] = {"alt": text}
                cell.metadata["mystnb"] = {"image": {"alt": text}}


def caption_of(output: NotebookNode) -> str:
    """Return what an output says of a figure, without markup; "" where it is no caption."""
    written = output.get("data", {}).get("text/markdown", "")
    if not written.startswith(CAPTION):
        return ""
    return _MARKUP.sub(r"\1", written.removeprefix(CAPTION))


def notebooks(names: Sequence[str] = ()) -> Iterator[Path]:
    """Yield the notebooks whose names begin with one of ``names``; all of them without."""
    for path in sorted(FOLDER.glob("*.ipynb")):
        if not names or path.name.startswith(tuple(names)):
            yield path


def _plain(output: NotebookNode) -> NotebookNode:
    """Return an output without what tells nothing: a figure's size as text, addresses."""
    if "image/png" in output.get("data", {}):
        output.data = {"image/png": output.data["image/png"], "text/plain": "<Figure>"}
        output.metadata = nbformat.from_dict({})
    return output


if __name__ == "__main__":
    for found in notebooks(sys.argv[1:]):
        sys.stderr.write(f"{found.name}\n")
        refresh(found)
