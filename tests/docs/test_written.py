"""What the site says of files, commands and tests is what the code says."""

from __future__ import annotations

import dataclasses
import importlib.util
import re

import blocks
import formats
import packages
import proofs
import pytest

from dp_synth.attacks import ATTACKS
from dp_synth.benchmark.grid import Grid, LeakageTask
from dp_synth.metrics import METRICS
from dp_synth.records import RECORD_COLUMNS
from dp_synth.report.gate import Policy
from dp_synth.report.internal import InternalPart
from dp_synth.report.passports import PASSPORTS, Person
from dp_synth.report.publishable import Publishable
from dp_synth.report.scope import Cliques, DeclaredAnswer, Scope
from dp_synth.synthesizers import SYNTHESIZERS


def test_every_command_is_described_with_all_its_options() -> None:
    import commands

    text = commands.command_line()
    for path, command in commands.commands():
        assert f"## `{path}`" in text
        for option in commands.options(command) - {"--help", "-h"}:
            assert f"`{option}`" in text


def test_a_row_of_a_command_has_its_three_cells_and_no_more() -> None:
    import commands

    rows = [line for line in commands.command_line().splitlines() if line.startswith("| ")]
    assert all(len(re.split(r"(?<!\\)\|", row)) == 5 for row in rows)
    assert "`True`" not in "".join(rows)


def test_every_key_of_a_grid_and_a_policy_is_described() -> None:
    for text, kind in ((formats.grid(), Grid), (formats.policy(), Policy)):
        for key in kind.model_fields:
            assert f"| `{key}` |" in text
    for key in LeakageTask.model_fields:
        assert f"| `{key}` |" in formats.grid()


def test_every_format_of_passports_and_every_key_of_a_persons_file_is_described() -> None:
    text = formats.passports()
    assert all(f"| `{name}` |" in text for name in (*PASSPORTS, *Person.model_fields))
    assert all(kind.validated_by in text for kind in PASSPORTS.values())


def test_every_field_of_a_card_is_listed() -> None:
    for kind in (Publishable, Scope, Cliques, DeclaredAnswer, InternalPart):
        for field in dataclasses.fields(kind):
            assert f"| `{field.name}` |" in formats.card()


def test_limits_of_numbers_are_said() -> None:
    (delta,) = (line for line in formats.grid().splitlines() if line.startswith("| `delta` |"))
    assert "above 0" in delta
    assert "below 1" in delta
    (share,) = (row for row in formats.policy().splitlines() if row.startswith("| `tv2_at_most` |"))
    assert "at most 1" in share


def test_every_column_of_a_record_is_explained() -> None:
    assert set(formats.RECORDS) == set(RECORD_COLUMNS)


@pytest.mark.parametrize(
    ("text", "known"),
    [
        (packages.synthesizers(), SYNTHESIZERS),
        (packages.attacks(), ATTACKS),
        (packages.metrics(), METRICS),
    ],
)
def test_everything_that_can_be_named_is_listed(text: str, known: dict[str, object]) -> None:
    assert all(f"| `{name}` |" in text for name in known)


def test_every_module_that_is_documented_exists_and_stands_once() -> None:
    pages = (blocks.ROOT / "docs/reference/api").glob("*.md")
    named = [m for page in pages for m in re.findall(r"automodule:: (\S+)", page.read_text())]
    assert named
    assert sorted(named) == sorted(set(named))
    assert [name for name in named if importlib.util.find_spec(name) is None] == []


def test_every_test_that_a_page_cites_exists() -> None:
    cited = proofs.cited()
    assert len(cited) > 50
    for file, name in cited:
        assert f"def {name}(" in proofs.source(file, name)


def test_a_test_that_does_not_exist_is_noticed() -> None:
    with pytest.raises(KeyError):
        proofs.source("tests/docs/test_written.py", "test_of_nothing")


def test_every_hazard_is_answered_in_part_or_left_to_the_reader() -> None:
    text = (blocks.ROOT / "docs" / "explanation" / "hazards.md").read_text("utf-8")
    rows = [line.split("|")[1:4] for line in text.splitlines() if line.startswith("| ")]
    kinds = [kind.strip() for hazard, kind, _ in rows if hazard.strip() != "hazard"]
    assert set(kinds) == {"answered", "in part", "yours"}
    for _, kind, answer in rows:
        if kind.strip() == "answered":
            assert "`tests/" in answer, answer


def test_every_file_that_the_review_checklist_names_exists() -> None:
    text = (blocks.ROOT / "docs" / "explanation" / "review-checklist.md").read_text("utf-8")
    named = re.findall(r"`(?:python )?([\w.-]+(?:/[\w.-]*)+|[\w-]+\.\w+|LICENSE)`", text)
    assert len(named) > 25
    assert [name for name in named if not (blocks.ROOT / name).exists()] == []


def test_every_target_that_the_review_checklist_names_is_in_the_makefile() -> None:
    text = (blocks.ROOT / "docs" / "explanation" / "review-checklist.md").read_text("utf-8")
    rules = (blocks.ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"`make ([\w-]+)`", text))
    assert {"test", "package", "paper", "reproduce"} <= targets
    assert [target for target in targets if f"\n{target}:" not in rules] == []


def test_what_is_copied_from_a_page_keeps_its_quotes() -> None:
    """Typographic quotes and dashes in a command are no command."""
    conf = (blocks.ROOT / "docs" / "conf.py").read_text(encoding="utf-8")
    assert "smartquotes = False" in conf
