"""Every figure of the text is that of a committed record, and no digit was typed."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from paper import claims, collected, figures
from paper.build import TEXTS, differences
from paper.number import Number
from paper.tables import expanded, filled, places

ROOT = Path(__file__).parents[2]
NUMBERS = collected.collect()
# Digits that may be typed: formulas, code, citations, names that hold a number.
MAY_BE_TYPED = (
    r"^---\n.*?\n---\n",  # the head of the file
    r"```.*?```",
    r"`[^`]*`",
    r"\$\$.*?\$\$",
    r"\$[^$]*\$",
    r"\[?@[\w; @,]+\]?",  # keys of references
    r"\]\(figures/\w+\.svg\)\{width=\d+%\}",
    r"(Lemma|Theorem|Proposition|Algorithm) \d",
    r"\{\{[\w:]+\}\}",
)
IN_FORMULAS = re.compile(r"\d\.\d|\d{3}|10\^|\\(varepsilon|delta)\s*=\s*\d")


def template(name: str) -> str:
    return (ROOT / "paper" / "templates" / f"{name}.md").read_text(encoding="utf-8")


def typed_digits(text: str) -> list[str]:
    """The lines of a template that hold a digit outside what may be typed."""
    for pattern in MAY_BE_TYPED:
        text = re.sub(pattern, " ", text, flags=re.DOTALL | re.MULTILINE)
    return [line for line in text.splitlines() if re.search(r"\d", line)]


@pytest.mark.parametrize("name", TEXTS)
def test_no_number_in_a_template_is_typed(name: str) -> None:
    assert typed_digits(template(name)) == []
    spans = re.findall(r"\$\$?([^$]+)\$\$?", template(name))
    assert [span for span in spans if IN_FORMULAS.search(span)] == []


@pytest.mark.parametrize(
    "line", ["Noise falls by 5.4 %.", "over 5 seeds", "an AUC of .91", "on 39,074 records"]
)
def test_a_typed_number_is_noticed(line: str) -> None:
    assert typed_digits(line) == [line]


@pytest.mark.parametrize("name", TEXTS)
def test_every_figure_of_the_text_is_that_of_its_record(name: str) -> None:
    """The committed text, read back between the words of its template."""
    text = (ROOT / "paper" / f"{name}.md").read_text(encoding="utf-8")
    pieces = re.split(r"\{\{[\w:]+\}\}", expanded(template(name), NUMBERS))
    start, found = 0, []
    for before, after in pairwise(pieces):
        assert text.startswith(before, start), f"{name}.md differs from its template at {before!r}"
        start += len(before)
        end = text.index(after, start) if after else len(text)
        found.append(text[start:end])
        start = end
    wanted = [(key, NUMBERS[key].text(form)) for key, form in places(template(name), NUMBERS)]
    assert found == [shown for _, shown in wanted]
    assert len(found) > 40
    for (key, _), shown in zip(wanted, found, strict=True):
        number = NUMBERS[key]
        if number.decimals is not None:
            first = re.search(r"-?[\d,]+\.?\d*", shown)
            assert first is not None
            rounding = (1.0 if number.bound else 0.5) * 10.0**-number.decimals * (1 + 1e-9)
            beyond = float(first[0].replace(",", "")) - number.value
            assert abs(beyond) <= rounding
            assert beyond <= 0 or number.bound != "lower"
            assert beyond >= 0 or number.bound != "upper"


def test_all_that_is_committed_is_of_the_committed_records() -> None:
    assert differences(NUMBERS) == []


def test_a_record_that_changes_is_noticed() -> None:
    name = "mst_tv_adult"
    moved = {**NUMBERS, name: replace(NUMBERS[name], value=0.5)}
    assert {"numbers.json", "paper.md", "report.md"} <= set(differences(moved))


def test_a_name_that_is_not_known_is_an_error() -> None:
    with pytest.raises(KeyError):
        filled("by {{nobody_measured_this}} %", NUMBERS)


def test_the_sentences_that_judge_stand_in_the_templates_and_are_borne_out() -> None:
    texts = "\n".join(template(name) for name in TEXTS)
    plain = re.sub(r"\s+", " ", texts)
    for claim in claims.CLAIMS:
        assert re.sub(r"\s+", " ", claim.text) in plain, claim.text
    assert claims.broken(NUMBERS) == []


def test_a_sentence_that_is_no_longer_true_is_named() -> None:
    worse = {**NUMBERS, "aim_tv_adult": Number(0.001, 4, "", "", 0.0, 0.002, 5)}
    assert "has the least error of the methods here" in claims.broken(worse)


def test_every_figure_that_is_shown_is_drawn_and_the_other_way_round() -> None:
    shown = set(re.findall(r"\]\(figures/(\w+)\.svg\)", "".join(map(template, TEXTS))))
    assert shown == set(figures.FIGURES)


def test_a_figure_is_redrawn_when_its_records_change(tmp_path: Path) -> None:
    copy = figures.COMMITTED / "utility.svg"
    assert figures.is_of(copy, figures.digest_of(figures.FIGURES["utility"][1]))
    assert not figures.is_of(copy, figures.digest_of(["paper/numbers.json"]))
    assert not figures.is_of(tmp_path / "none.svg", "0")


def test_the_example_of_the_paper_runs() -> None:
    found = re.search(r"```python\n(.*?)```", template("paper"), flags=re.DOTALL)
    assert found is not None
    lines = ast.parse(found[1]).body
    scope: dict[str, object] = {}
    for line in lines[:5]:  # up to the ledger; tests of audits run what stands below
        exec(compile(ast.Module([line], []), "paper.md", "exec"), scope)
    assert len(scope["synthetic"]) == 10_000  # type: ignore[arg-type]
    assert ast.unparse(lines[-1]).startswith("print(dps.audit.audit(dps.MST(), budget")
    assert callable(scope["dps"].audit.audit)  # type: ignore[attr-defined]


def test_neither_numbers_nor_figures_need_torch_pandoc_or_typst() -> None:
    code = (
        "import sys; from paper import build, figures, collected; collected.collect();"
        "figures.utility(); bad = {'torch', 'opacus', 'pypandoc', 'typst'} & set(sys.modules);"
        "sys.exit(str(bad) if bad else 0)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
