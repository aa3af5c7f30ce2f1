"""What methods of the extra deep share: they say what is missing, and take constant columns."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from small_settings import SMALL, small

from dp_synth.accounting import Accountant, PrivacyBudget
from dp_synth.cli import main
from dp_synth.errors import InputError, missing_extra
from dp_synth.nn import settings
from dp_synth.schema import Schema

ONE = {"name": "one", "type": "categorical", "categories": ["only"]}
OTHERS = [
    {"name": "a", "type": "categorical", "categories": ["x", "y"]},
    {"name": "b", "type": "ordinal", "size": 3},
]
FRAME = pd.DataFrame({"a": ["x", "y"] * 50, "b": ["0", "1", "2", "2"] * 25, "one": ["only"] * 100})


@pytest.mark.parametrize("name", list(SMALL))
def test_without_torch_a_fit_says_what_to_install_and_reserves_nothing(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "find_spec", lambda _name: None)
    schema = Schema.from_dict({"name": "t", "columns": OTHERS})
    accountant = Accountant(PrivacyBudget(1.0, 1e-6))
    with pytest.raises(InputError, match=rf"{name} needs torch, .*pip install '\.\[deep\]'"):
        SMALL[name].fit(FRAME, schema, accountant)
    assert not accountant.ledger.entries


@pytest.mark.parametrize("name", list(SMALL))
def test_without_torch_the_command_says_it_in_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(settings, "find_spec", lambda _name: None)
    FRAME.to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "t.meta.json").write_text(
        Schema.from_dict({"name": "t", "columns": OTHERS}).model_dump_json(exclude_unset=True)
    )
    places = {"data": "t.csv", "schema": "t.meta.json", "out": "o.csv", "ledger": "l.jsonl"}
    words = [f"--{option}={tmp_path / place}" for option, place in places.items()]
    code = main(["synthesize", *words, "--epsilon=1", "--delta=1e-6", f"--synthesizer={name}"])
    said = capsys.readouterr().err
    assert code == 2
    assert said == f"dp-synth: {missing_extra(name, 'torch', 'deep')}\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.csv", "t.meta.json"]


@pytest.mark.parametrize("columns", [[ONE], [ONE, *OTHERS], [*OTHERS, ONE]], ids=len)
@pytest.mark.parametrize("name", list(SMALL))
def test_a_column_of_one_category_is_made_alone_and_beside_others(
    name: str, columns: list[dict[str, object]]
) -> None:
    schema = Schema.from_dict({"name": "t", "columns": columns})
    release = small(name).fit(FRAME, schema, PrivacyBudget(1.0, 1e-6), seed=0)
    rows = release.sample(30, seed=1)
    assert tuple(rows.columns) == schema.names
    assert set(rows["one"]) == {"only"}
    for other in set(schema.names) - {"one"}:
        assert set(rows[other].astype(str)) <= set(FRAME[other])
