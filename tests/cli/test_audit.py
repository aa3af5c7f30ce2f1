import json

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
    assert "(replace_one)" in shown[0]


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
        (("--set", "none=1"), "--set takes name=value"),
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
