"""The grids of the guides run, with what the guides add to the toolkit, leakage included."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest
from blocks import ROOT, blocks, save_files

from dp_synth import datasets
from dp_synth.benchmark import read_records, store_at
from dp_synth.cli import main

GUIDES = ROOT / "docs" / "how-to"
FEWER = ("seeds=1", "leakage.epsilons=[1]", "leakage.members=100", "leakage.isolated=20")
# The rest would ask for what others have to install; and shares of real rows cost a cell each.
ALONE = ("synthesizers=['my_synthesizer:Chain']", "utility.samples=[]")
PEOPLE = "tables/people.csv"  # which a guide has, in place of all rows of the bundled table


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for module in ("my_synthesizer", "my_attack"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    table = datasets.load("adult")
    Path(PEOPLE).parent.mkdir()
    table.train[:2000].to_csv(PEOPLE, index=False)
    table.schema.save(Path(PEOPLE).with_suffix(".meta.json"))
    return tmp_path


def run(grid: str, *settings: str) -> pd.DataFrame:
    """Run a grid as the guide says; return its records."""
    changed = (f"dataset={PEOPLE}", *FEWER, *settings)
    words = [word for setting in changed for word in ("--set", setting)]
    assert main(["benchmark", "run", grid, *words]) == 0
    return read_records(store_at(f"results/{Path(grid).stem}"))


def test_the_guide_of_an_own_synthesizer_measures_its_leakage(here: Path) -> None:
    save_files(GUIDES / "own-synthesizer.md")
    records = run("mine.yaml", "utility.epsilons=[1]", "utility.metrics=[tv2]")
    assert set(records["error"]) == {""}
    own = records[records["synthesizer"] == "my_synthesizer:Chain"]
    measured = {"auc:density_ratio", "tpr_at_fpr_0.01:density_ratio", "auc_ceiling", "tv2"}
    assert measured <= set(own["metric"])
    assert main(["benchmark", "plot", "mine.yaml", "--out", "figures"]) == 0
    assert {path.name for path in Path("figures").glob("*.png")} == {
        "utility.png",
        "leakage.png",
        "tradeoff.png",
        "tradeoff_tv2.png",
    }


def test_the_guide_of_an_own_attack_measures_with_it(here: Path) -> None:
    save_files(GUIDES / "own-attack.md")
    records = run("attacked.yaml")
    assert set(records["error"]) == {""}
    found = set(records.loc[records["synthesizer"] == "mst", "metric"])
    assert {"auc:my_attack:RarestPair", "auc:my_attack:RarestPair:isolated"} <= found
    assert main(["benchmark", "report", "attacked.yaml", "--out", "page.html"]) == 0
    assert "my_attack:RarestPair" in Path("page.html").read_text("utf-8")


def test_the_grid_of_the_benchmark_guide_runs_with_its_own_synthesizer(here: Path) -> None:
    page = ROOT / "docs" / "benchmark.md"
    save_files(page)
    grid = next(block.text for block in blocks(page) if block.language == "yaml")
    Path("mine.yaml").write_text(grid, encoding="utf-8")
    records = run("mine.yaml", *ALONE, "utility.epsilons=[1]", "utility.metrics=[tv2]")
    assert set(records["error"]) == {""}
    own = records[records["synthesizer"] == "my_synthesizer:Chain"]
    assert set(own["task"]) == {"utility", "leakage"}
    assert "auc:marginal_ratio" in set(own["metric"])
