"""Markdown in, PDF out: pandoc makes Typst of it, and Typst sets the pages."""

from __future__ import annotations

from pathlib import Path

from paper.records import PAPER, ROOT

STYLE = PAPER / "style.typ"
WIDTHS = PAPER / "widths.lua"


def typeset(text: Path, folder: Path, figures: Path) -> Path:
    """Set one text as PDF in ``folder``, with figures of the same names from ``figures``."""
    import pypandoc  # type: ignore[import-untyped]
    import typst

    body = pypandoc.convert_file(
        str(text),
        "typst",
        format="markdown",
        extra_args=[
            "--citeproc",
            f"--lua-filter={WIDTHS}",
            f"--template={STYLE}",
            "--metadata=link-citations:true",
            f"--resource-path={text.parent}",
            "--wrap=none",
        ],
        cworkdir=str(text.parent),
    )
    source = folder / f"{text.stem}.typ"
    source.write_text(_in_place(body, figures), encoding="utf-8")
    target = folder / f"{text.stem}.pdf"
    typst.compile(str(source), output=str(target), root=str(ROOT))
    return target


def _in_place(body: str, figures: Path) -> str:
    """Return the source with every figure where it was drawn."""
    place = "/" + figures.relative_to(ROOT).as_posix()
    return body.replace('image("figures/', f'image("{place}/')
