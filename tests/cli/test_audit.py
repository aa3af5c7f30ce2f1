import json
import re

import pandas as pd
import pytest

from dp_synth.cli import main
from dp_synth.mechanisms import gaussian

CLAIM = ("--epsilon", "10", "--delta", "1e-5")


def audit(*extra, runs="60"):
    return main(["audit", *CLAIM, "--synthesizer", "independent", "--runs", runs, *extra])


def test_an_audit_that_passes_is_shown_and_written(tmp_path, capsys):
    assert audit("--json", str(tmp_path / "out.json")) == 0
    fields = json.loads((tmp_path / "out.json").read_text())
    assert fields["passed"] is True
    assert fields["claimed_epsilon"] == pytest.approx(10, rel=1e-2)
    assert {"delta", "bounds", "ceiling", "noise_factor"} <= set(fields)
    shown = capsys.readouterr().out
    assert shown.startswith("independent: claims epsilon 10")
    assert "if it has this curve" in shown


def test_an_audit_that_sees_nothing_says_that_its_search_for_noise_ended(capsys):
    command = [
        "audit",
        "--epsilon",
        "0.1",
        "--delta",
        "1e-5",
        "--synthesizer",
        "independent",
        "--runs",
        "200",
    ]
    assert main(command) == 0
    total = next(line for line in capsys.readouterr().out.splitlines() if "total: " in line)
    assert "64 times the claimed noise, the most that is tried" in total
    assert "noise factor" not in total
    assert "if it has this curve" not in total


def test_an_area_above_what_is_permitted_that_may_be_chance_is_said_to_be(capsys):
    command = [
        "audit",
        "--epsilon",
        "1",
        "--delta",
        "1e-5",
        "--synthesizer",
        "independent",
        "--runs",
        "200",
    ]
    assert main(command) == 0
    total = next(line for line in capsys.readouterr().out.splitlines() if "total: " in line)
    area, low, permitted = (float(text) for text in re.findall(r"0\.\d{4}", total)[:3])
    assert low < permitted < area
    assert "passed, the excess may be chance" in total


def test_a_claim_that_is_refuted_is_exit_code_4(monkeypatch, capsys):
    exact = gaussian.rounded_gaussian
    monkeypatch.setattr(
        gaussian, "rounded_gaussian", lambda stddev, shape, bits: exact(stddev / 4, shape, bits)
    )
    assert audit("--json", "-", runs="150") == 4
    fields = json.loads(capsys.readouterr().out)
    assert fields["passed"] is False
    assert "total" in fields["violations"]
    assert fields["noise_factor"] < 1


def test_the_same_seed_gives_the_same_report_under_either_adjacency(capsys):
    shown = []
    for seed in ("1", "1", "2"):
        assert audit("--adjacency", "replace_one", "--seed", seed, "--level", "1e-6") == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1] != shown[2]
    assert "(one record replaced)" in shown[0]


def test_tables_are_searched_for_or_given(tmp_path, capsys):
    assert audit("--design", "search", "--level", "1e-6") == 0
    assert "design " in capsys.readouterr().out
    frame = pd.DataFrame({"a": list("xxxxxxxy")})
    frame.to_csv(tmp_path / "own.csv", index=False)
    columns = [{"name": "a", "type": "categorical", "categories": ["x", "y"]}]
    (tmp_path / "own.meta.json").write_text(json.dumps({"name": "own", "columns": columns}))
    own = ("--data", str(tmp_path / "own.csv"), "--schema", str(tmp_path / "own.meta.json"))
    assert audit(*own, "--level", "1e-6", "--json", str(tmp_path / "own.json")) == 0
    shown = capsys.readouterr()
    assert "design table(row 7)" in shown.out
    assert shown.err == "for the data holder: not to be published\n"
    assert json.loads((tmp_path / "own.json").read_text())["publishable"] is False


def test_what_is_found_of_made_tables_may_be_published(capsys):
    assert audit("--json", "-", "--level", "1e-6") == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["publishable"] is True
    assert not shown.err


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (("--synthesizer", "none"), "no synthesizer named 'none'"),
        (("--set", "none=1"), "'independent' has no setting 'none'"),
        (("--design", "best"), "--design must be one of worst_case, search"),
        (("--adjacency", "none"), "adjacency must be one of"),
        (("--level", "2"), "level must lie in (0, 1)"),
        (("--runs", "3"), "3 runs a world can prove nothing"),
        (("--data", "own.csv"), "needs both --data and --schema"),
        (("--json", "/no/such/folder/out.json"), "its folder does not exist"),
    ],
)
def test_wrong_arguments_are_one_clear_line(extra, message, capsys):
    assert audit(*extra) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_replay_compares_every_neighbour_and_needs_no_runs(tmp_path, capsys):
    command = ["audit", "--replay", "--epsilon", "1", "--delta", "1e-5"]
    assert main([*command, "--synthesizer", "independent", "--json", "-"]) == 0
    fields = json.loads(capsys.readouterr().out)
    assert fields["passed"] is True
    assert fields["publishable"] is True
    assert fields["neighbours"] == fields["possible_neighbours"] == 70
    assert 0.99 < fields["audited_epsilon"] <= fields["claimed_epsilon"]
    frame = pd.DataFrame({"a": list("xxxxxxxy")})
    frame.to_csv(tmp_path / "t.csv", index=False)
    column = {"name": "a", "type": "categorical", "categories": ["x", "y"]}
    (tmp_path / "t.json").write_text(json.dumps({"name": "t", "columns": [column]}))
    own = ["--data", str(tmp_path / "t.csv"), "--schema", str(tmp_path / "t.json")]
    assert main([*command, *own, "--synthesizer", "independent"]) == 0
    told = capsys.readouterr()
    assert "all 4 neighbours of t" in told.out  # either record gone, or once more
    assert "not to be published" in told.err


def test_a_replay_has_what_is_measured_beside_the_model_and_runs_have_not(capsys):
    command = ["audit", "--synthesizer", "independent", "--epsilon", "1", "--delta", "1e-5"]
    beside = ["--validate", "0.1", "--question", "share a=x"]
    assert main([*command, "--replay", *beside]) == 0
    out = capsys.readouterr().out
    assert "validation_distances: distances from the model" in out
    assert "questions: corrections of answers" in out
    assert main([*command, *beside]) == 2
    assert "add --replay" in capsys.readouterr().err


def test_a_replay_compares_as_many_neighbours_as_its_function_does():
    from dp_synth.audit import replayer
    from dp_synth.cli import audit as command

    assert command.MOST_NEIGHBOURS == replayer.MOST_NEIGHBOURS


def test_a_replay_that_finds_a_fault_is_exit_code_4(monkeypatch, capsys):
    exact = gaussian.marginal_sensitivity
    monkeypatch.setattr(gaussian, "marginal_sensitivity", lambda *given: exact(*given) / 2)
    command = ["audit", "--replay", "--epsilon", "1", "--delta", "1e-5"]
    assert main([*command, "--synthesizer", "independent"]) == 4
    assert "FAULT sensitivity: part 'ones' (one-way marginals): shift 1 of 0.5" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--runs", "10"], "--design, --runs and --level are of runs"),
        (["--design", "search"], "--design, --runs and --level are of runs"),
        (["--schema", "s.json"], "an own table needs both --data and --schema"),
        (["--neighbours", "0"], "--neighbours"),
        (["--synthesizer", "nobody"], "no synthesizer named 'nobody'"),
        (["--question", "mean q"], "no column 'q'; there are: a, b, c, d, e"),
        (["--validate", "0.9"], "share"),
    ],
)
def test_what_a_replay_cannot_take_is_one_line(more, said, capsys):
    assert main(["audit", "--replay", "--epsilon", "1", "--delta", "1e-5", *more]) == 2
    assert said in capsys.readouterr().err
