"""Every code block of the site runs, page by page, as a reader would run it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from blocks import ROOT, blocks, check_command, run_page

DOCS = ROOT / "docs"
LEFT_OUT = {"_build", "experiments"}  # built, and copied from elsewhere
# The audit guide is run with its numbers looked at, in tests/test_readme.py.
PAGES = [
    page
    for page in sorted(DOCS.rglob("*.md"))
    if not LEFT_OUT.intersection(page.relative_to(DOCS).parts) and page.name != "auditing.md"
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_the_blocks_of_a_page_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for module in ("my_synthesizer", "my_attack", "my_networks"):
        monkeypatch.delitem(__import__("sys").modules, module, raising=False)
    run_page(page)


def test_blocks_that_are_only_parsed_say_why() -> None:
    marked = [block for page in PAGES for block in blocks(page) if not block.is_run]
    assert marked
    assert all(len(block.marks["only parsed"].split()) >= 3 for block in marked)


@pytest.mark.parametrize(
    "line",
    [
        "dp-synth forget",
        "dp-synth benchmark forget",
        "dp-synth synthesize --epsilom 1",
        "make nothing",
        "python benchmarks/none.py",
        "pip install '.[none]'",
        "curl somewhere",
    ],
)
def test_a_command_that_does_not_exist_is_noticed(line: str) -> None:
    with pytest.raises(AssertionError):
        check_command(line)


def test_every_figure_of_the_pages_has_an_alternative_text() -> None:
    figures = [
        (page, found)
        for page in (*PAGES, DOCS / "auditing.md", ROOT / "README.md")
        for found in re.findall(r"!\[([^\]]*)\]\([^)]+\)", page.read_text("utf-8"))
    ]
    assert figures
    assert all(len(text.split()) >= 4 for _, text in figures)
