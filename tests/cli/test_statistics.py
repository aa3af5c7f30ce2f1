"""`dp-synth benchmark rank` and `compare`: what is printed, written and refused."""

import json

import pytest

from dp_synth.cli import main
from dp_synth.records import FILE_COLUMNS

METHODS = {"mst": 0.1, "aim": 0.2, "independent": 0.3}


def record(method, value, **changes):
    row = dict.fromkeys(FILE_COLUMNS, None)
    row |= {"dataset": "adult", "task": "utility", "synthesizer": method, "settings": "{}"}
    row |= {"epsilon": 1.0, "delta": 1e-5, "adjacency": "add_remove", "seed": 0, "metric": "tv2"}
    row |= {"value": value, "version": "1", "error": "", "command": "made", "budget": "ledger"}
    return {name: (row | changes)[name] for name in FILE_COLUMNS}


@pytest.fixture
def file(tmp_path):
    rows = [
        record(method, value + 0.01 * seed, dataset=dataset, seed=seed)
        for dataset in ("adult", "covid", "taxi", "nist")
        for seed in range(2)
        for method, value in METHODS.items()
    ]
    path = tmp_path / "records.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def run(capfd, *arguments):
    """Return the exit code and what was said."""
    code = main(["benchmark", *arguments])
    return code, capfd.readouterr()


def test_ranks_are_printed_and_written_when_asked(file, tmp_path, capfd):
    out = tmp_path / "out"
    code, said = run(capfd, "rank", file, "--metric", "tv2", "--out", str(out))
    assert (code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[:4] == [
        "tv2 (lower is better), mean ranks over 4 blocks:",
        "   1.00  mst",
        "   2.00  aim",
        "   3.00  independent",
    ]
    assert "critical difference (Nemenyi, 5 %): 1.657" in lines
    assert lines[-3:] == [str(out / f"ranks.{kind}") for kind in ("pdf", "png", "json")]
    assert json.loads((out / "ranks.json").read_text())["mean_ranks"]["aim"] == 2.0


def test_only_the_methods_that_were_named_are_ranked(file, capfd):
    chosen = ("--method", "aim", "--method", "independent")
    code, said = run(capfd, "rank", file, "--metric", "tv2", *chosen, "--epsilon", "1")
    assert code == 0
    assert "mst" not in said.out
    assert "note: no test: 2 methods" in said.out


def test_two_methods_are_compared_at_each_table(file, capfd):
    code, said = run(capfd, "compare", file, "--first", "mst", "--second", "aim", "--metric", "tv2")
    assert (code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[0] == "mst - aim, tv2 (lower is better):"
    assert lines[1].startswith("  adult, epsilon 1: -0.1000 [-0.1000, -0.1000], 2 pairs, p 0.5 ")
    assert len(lines) == 5


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("rank", "--metric", "auc"), "no utility record has the metric 'auc'; there are: tv2"),
        (("rank", "--metric", "tv2", "--task", "leakage"), "no leakage record"),
        (("rank", "--metric", "tv2", "--epsilon", "3"), "no cell at epsilon 3; there are: 1"),
        (
            ("compare", "--metric", "tv2", "--first", "mst", "--second", "ami"),
            "no method 'ami' has this metric",
        ),
    ],
)
def test_what_is_not_there_is_refused_in_one_line(file, capfd, arguments, reason):
    code, said = run(capfd, arguments[0], file, *arguments[1:])
    assert (code, said.out) == (2, "")
    (line,) = said.err.splitlines()
    assert reason in line


def test_a_file_is_no_folder_to_write_to(file, capfd):
    code, said = run(capfd, "rank", file, "--metric", "tv2", "--out", file)
    assert code == 2
    assert said.err == f"dp-synth: --out {file} is a file; name a folder\n"
