"""Both texts can be set: every citation resolved, every figure in its place, nothing over."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from paper.build import BUILD, TEXTS
from paper.figures import COMMITTED
from paper.typeset import typeset

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder() -> Path:
    pytest.importorskip("pypandoc")
    pytest.importorskip("typst")
    found = BUILD / "tested"
    found.mkdir(parents=True, exist_ok=True)
    return found


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_is_set_with_all_citations_and_figures(name: str, folder: Path) -> None:
    target = typeset(ROOT / "paper" / f"{name}.md", folder, COMMITTED)
    assert target.read_bytes().startswith(b"%PDF")
    source = (folder / f"{name}.typ").read_text(encoding="utf-8")
    text = (ROOT / "paper" / f"{name}.md").read_text(encoding="utf-8")
    body = source[source.index("= ") :]
    assert "???" not in body  # what citeproc writes for an unknown key
    assert "{{" not in body
    assert len(re.findall(r'image\("/paper/figures/', body)) == text.count("](figures/")
    assert body.count("<ref-") >= len(set(re.findall(r"@([a-z]+\d{4}\w*)", text)))
    assert "columns: (" not in body  # widths of columns follow what they hold


def test_pages_hold_their_content(folder: Path) -> None:
    """No line of text reaches beyond the margins of a page."""
    pdfium = pytest.importorskip("pypdfium2")
    for name in TEXTS:
        pages = pdfium.PdfDocument(typeset(ROOT / "paper" / f"{name}.md", folder, COMMITTED))
        assert 4 <= len(pages) <= 30
        for page in pages:
            width, height = page.get_size()
            words = page.get_textpage()
            boxes = [words.get_rect(i) for i in range(words.count_rects())]
            assert min(left for left, *_ in boxes) > 0.05 * width
            assert max(right for _, _, right, _ in boxes) < 0.95 * width
            assert min(bottom for _, bottom, *_ in boxes) > 0.02 * height
