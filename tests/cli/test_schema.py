"""`dp-synth schema`, and how the command line ends."""

import io
import json
import sys

import pytest

import dp_synth.cli
from dp_synth.cli import main
from dp_synth.cli.arguments import reading_arguments
from dp_synth.errors import BudgetExceeded, InputError
from dp_synth.schema import Schema


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text("age,sex\n" + "".join(f"{20 + i},{'FM'[i % 2]}\n" for i in range(40)))
    return path


def test_a_drafted_schema_checks_out_against_its_own_table(table, tmp_path, capsys):
    assert main(["schema", "draft", str(table)]) == 0
    printed = capsys.readouterr()
    assert printed.err == "read from the data: confirm each bound and category\n"
    schema = tmp_path / "people.meta.json"
    schema.write_text(printed.out)
    assert Schema.load(schema).name == "people"
    assert main(["schema", "check", str(table), str(schema)]) == 0
    matched = capsys.readouterr().out.splitlines()
    assert matched[0] == "the table matches its schema"
    assert "for the data holder only" in matched[-1]


def test_a_check_that_finds_something_ends_with_two(table, tmp_path, capsys):
    schema = tmp_path / "people.meta.json"
    content = {
        "name": "p",
        "columns": [{"name": "age", "type": "integer", "lower": 0, "upper": 30}],
    }
    schema.write_text(json.dumps(content))
    assert main(["schema", "check", str(table), str(schema)]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert "column 'age': cell outside the bounds: 29 cells" in lines[1]
    assert "for the data holder only" in lines[-1]


def test_a_draft_reads_standard_input(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"x\n0\n1\n")))
    assert main(["schema", "draft", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["columns"][0]["categories"] == ["0", "1"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["schema", "draft", "absent.csv"], "dp-synth: absent.csv: cannot be read: No such file"),
        (["schema", "draft", "table.ods"], "dp-synth: table.ods: the name of a table file must"),
    ],
)
def test_wrong_input_is_one_line_on_stderr_and_two(arguments, line, capsys):
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(line)
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["nonsense"], ["schema", "draft"], ["schema", "--nonsense"]])
def test_wrong_usage_ends_with_two_and_no_traceback(arguments, capsys):
    assert main(arguments) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_help_and_version_are_printed(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("dp-synth ")
    main([])
    assert "synthesize" in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("raised", "code", "line"),
    [
        (InputError("two\nlines"), 2, "dp-synth: two lines\n"),
        (FileNotFoundError(2, "No such file or directory", "x.npz"), 2, "dp-synth: x.npz: No such"),
        (BudgetExceeded("too dear"), 3, "dp-synth: too dear\n"),
    ],
)
def test_exceptions_become_exit_codes(raised, code, line, monkeypatch, capsys):
    def fail(*_arguments: object, **_options: object) -> None:
        raise raised

    monkeypatch.setattr(dp_synth.cli, "app", fail)
    assert main([]) == code
    assert capsys.readouterr().err.startswith(line)


def test_an_interrupt_ends_with_130_and_a_defect_keeps_its_traceback(monkeypatch, table, capsys):
    def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    def defective(*_arguments: object) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr("dp_synth.datasets.read_table", interrupted)
    assert main(["schema", "draft", str(table)]) == 130
    monkeypatch.setattr("dp_synth.datasets.read_table", defective)
    with pytest.raises(RuntimeError, match="ours"):
        main(["schema", "draft", str(table)])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("raised", [ValueError("no"), TypeError("no"), KeyError("no")])
def test_wrong_arguments_become_input_errors(raised):
    with pytest.raises(InputError, match=r"^no$"), reading_arguments():
        raise raised


def test_other_exceptions_of_arguments_stay_what_they_are():
    with pytest.raises(ZeroDivisionError), reading_arguments():
        raise ZeroDivisionError
