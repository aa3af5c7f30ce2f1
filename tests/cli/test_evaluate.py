import contextlib
import io
import json
import re
from dataclasses import asdict
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from dp_synth import progress as work
from dp_synth.accounting import PrivacyBudget
from dp_synth.attacks import ATTACKS, neighbours
from dp_synth.cli import main, outputs
from dp_synth.datasets import load, write_table
from dp_synth.formatting import at_most
from dp_synth.metrics import METRICS
from dp_synth.metrics.prediction import OF_NUMBERS
from dp_synth.report.evaluation import Section, page
from dp_synth.report.scope import scope_of
from dp_synth.synthesizers import MST, Release


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder, data = tmp_path_factory.mktemp("files"), load("adult")
    rng = np.random.default_rng(0)
    real = data.train.head(800)
    columns = {name: rng.permutation(real[name].to_numpy(dtype=object)) for name in real}
    tables = {
        "real.csv": real,
        "holdout.csv.gz": data.holdout.head(600),
        "reference.csv": data.reference.head(500),
        "synthetic.parquet": pd.DataFrame(columns),
        "none.csv": real.head(0),
        "short.csv": real.drop(columns="education"),
    }
    for name, frame in tables.items():
        write_table(frame, folder / name)
    (folder / "adult.meta.json").write_text(json.dumps(data.schema.to_dict()))
    release = MST().fit(real, data.schema, PrivacyBudget(10, 1e-6), seed=0)
    release.save(folder / "release.npz")
    return folder


def evaluate(files, *extra, synthetic="synthetic.parquet"):
    return main(
        [
            "evaluate",
            *("--real", str(files / "real.csv")),
            *("--holdout", str(files / "holdout.csv.gz")),
            *("--synthetic", str(files / synthetic)),
            *("--schema", str(files / "adult.meta.json")),
            *extra,
        ]
    )


def written_twice(files):
    return ("--json", str(files / "out"), "--html", str(files / "out"))


def attack(files, *extra, synthetic="synthetic.parquet", members="real.csv"):
    return main(
        [
            "attack",
            *("--members", str(files / members)),
            *("--non-members", str(files / "holdout.csv.gz")),
            *("--synthetic", str(files / synthetic)),
            *("--schema", str(files / "adult.meta.json")),
            *extra,
        ]
    )


@pytest.fixture(scope="module")
def plain(files):
    """What an evaluation without further metrics prints, and its numbers."""
    return told(files, "--metric", "none")


@pytest.fixture(scope="module")
def whole(files):
    """What an evaluation in all metrics, of a release's rows, prints, its numbers and its page."""
    html = files / "whole.html"
    held = ("--release", str(files / "release.npz"))
    return *told(files, *held, "--html", str(html)), html.read_text()


def told(files, *extra):
    out = files / "numbers.json"
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert evaluate(files, *extra, "--json", str(out)) == 0
    assert not list(files.glob(".*"))
    return printed.getvalue(), json.loads(out.read_text())


def test_evaluate_prints_each_metric_beside_what_real_rows_score(plain):
    lines, result = plain[0].splitlines(), plain[1]
    assert "internal: computed on real rows, not differentially private" in lines[0]
    pairs = next(line for line in lines if line.startswith("total variation, pairs"))
    for key in ("tv2", "tv2_low", "tv2_high", "tv2_floor", "tv2_floor_low", "tv2_floor_high"):
        assert f"{result[key]:.4f}" in pairs
    boosting = next(line for line in lines if line.startswith("AUC, gradient_boosting"))
    for key in ("auc", "auc_low", "auc_high", "auc_real", "auc_real_low", "auc_real_high"):
        assert f"{result[key]['gradient_boosting']:.4f}" in boosting


def test_every_metric_is_in_the_json_and_in_print_with_its_interval(whole):
    printed, result, _ = whole
    for name in METRICS.keys() - OF_NUMBERS:
        assert any(key == name or key.startswith(f"{name}:") for key in result), name
    for key, value in result.items():
        if ":" in key and not key.endswith(("_low", "_high")):
            low, high = result[f"{key}_low"], result[f"{key}_high"]
            assert low <= value <= high
            assert f"{value:.4f} [{low:.4f}, {high:.4f}]" in printed


def test_only_the_metrics_that_are_named_stand_beside_the_plain_ones_and_who_lacks_is_said(
    files, plain, capsys
):
    assert evaluate(files, "--metric", "consistency", "--metric", "r2", "--json", "-") == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert captured.err == (
        "dp-synth: r2: left out, it needs a numeric label of two values or more, and a column "
        "beside it\n"
    )
    assert found["remarks"].keys() == {"r2"}
    for result, there in ((plain[1], set()), (found, {"consistency"})):
        assert there | {"tv2", "auc"} <= set(result)
        assert not [key for key in result if key.startswith("correlation")]


class Outline(HTMLParser):
    """The texts of a page by the element they stand in, and its elements' attributes."""

    def __init__(self):
        super().__init__()
        self.open, self.texts, self.attributes = [], {}, []

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and data.strip():
            self.texts.setdefault(self.open[-1], []).append(data.strip())


def test_the_page_has_the_same_numbers_and_says_that_they_are_internal(whole):
    _, result, text = whole
    outline = Outline()
    outline.feed(text)
    assert not outline.open
    assert "not differentially private" in " ".join(outline.texts["p"])
    for key in ("tv2", "tv2_floor", "range_queries", "consistency:bounds"):
        ends = (result[key], result[f"{key}_low"], result[f"{key}_high"])
        middle, low, high = (f"{number:.4f}" for number in ends)
        assert f"{middle} [{low}, {high}]" in outline.texts["td"]
    headers = [pair for pair in outline.attributes if pair[:2] == ("th", "scope")]
    assert {value for *_, value in headers} == {"row", "col"}
    tables = {text for text in outline.texts["h2"] if not text.startswith(("Histo", "What is not"))}
    assert len(outline.texts["caption"]) == len(tables) > 6
    assert len(set(outline.texts["th"]) & {"total variation, pairs, against holdout"}) == 1
    assert "://" not in text
    assert not {tag for tag, *_ in outline.attributes} & {"script", "link", "img"}


def test_a_page_escapes_what_it_is_told():
    section = Section("<script>", "a & b", "<i>", (("<b>", '"1"', "<u>"),))
    text = page([section], about={"<s>": "<q>"}, remarks={"<p id>": "<mark>"})
    for foreign in ("<script>", "<i>", "<b>", "<u>", "<s>", "<q>", "<p id>", "<mark>"):
        assert foreign not in text
    assert "a &amp; b" in text


def test_a_dash_gives_the_json_alone(files, capsys):
    assert attack(files, "--json", "-") == 0
    without = {name for name, kind in ATTACKS.items() if kind.needs() == ("synthetic",)}
    spoken = capsys.readouterr()
    assert set(json.loads(spoken.out)["attacks"]) == without
    *_, reference, release = spoken.err.splitlines()
    assert reference.startswith("dp-synth: left out without --reference: density_ratio, ")
    both = [name for name, kind in ATTACKS.items() if len(kind.needs()) > 2]
    assert release == f"dp-synth: left out without --reference and --release: {', '.join(both)}"


def test_attack_gives_areas_and_rates_with_their_intervals(files, tmp_path, capsys):
    out = tmp_path / "out.json"
    reference = ("--reference", str(files / "reference.csv"))
    assert attack(files, *reference, "--json", str(out), synthetic="real.csv") == 0
    printed = capsys.readouterr().out
    result = json.loads(out.read_text())["attacks"]
    assert set(result) == {
        name for name, kind in ATTACKS.items() if set(kind.needs()) <= {"synthetic", "reference"}
    }
    assert result["closest_record"]["auc"] > 0.95
    for numbers in result.values():
        for metric in ("auc", "tpr_at_fpr_0.01", "tpr_at_fpr_0.1"):
            low, high = numbers[f"{metric}_low"], numbers[f"{metric}_high"]
            assert low <= numbers[metric] <= high
            assert f"{numbers[metric]:.4f} [{low:.4f}, {high:.4f}]" in printed
    assert "similarity, not privacy" in printed
    assert "not differentially private" in printed


def test_who_holds_the_release_runs_the_attacks_that_need_it(files, capsys):
    held = ("--reference", str(files / "reference.csv"), "--release", str(files / "release.npz"))
    named = ("--attack", "marginal_ratio", "--attack", "transcript_ratio")
    assert attack(files, *held, *named, "--json", "-") == 0
    result = json.loads(capsys.readouterr().out)["attacks"]
    # Epsilon 10 leaves AUC below 0.75 here, and noise alone has a standard deviation of 0.016.
    assert 0.5 + 3 * 0.016 < result["transcript_ratio"]["auc"] < 0.75
    assert attack(files, *named[2:], "--json", "-", *held[:2]) == 2
    assert "needs a release's transcript" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("reference", "whose"),
    [
        ("real.csv", "--members"),
        ("holdout.csv.gz", "--non-members"),
    ],
)
def test_a_reference_of_members_or_of_non_members_is_refused(files, capsys, reference, whose):
    # The attacker would look for the targets in a table that they stand in.
    assert attack(files, "--reference", str(files / reference)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"dp-synth: {whose} and --reference share records" in captured.err


def test_members_among_the_non_members_and_fitted_rows_among_the_holdout_are_refused(files, capsys):
    assert attack(files, members="holdout.csv.gz") == 2
    assert "--members and --non-members share records" in capsys.readouterr().err
    assert evaluate(files, "--holdout", str(files / "real.csv"), "--metric", "none") == 2
    assert "real.csv share records" in capsys.readouterr().err


def test_an_area_above_what_the_ledger_permits_is_said(files, tmp_path, capsys):
    held, out = ("--release", str(files / "release.npz")), tmp_path / "out.json"
    named = ("--attack", "closest_record")
    # The members themselves in place of rows of the release: no mechanism did that.
    assert attack(files, *held, *named, "--json", str(out), synthetic="real.csv") == 0
    captured = capsys.readouterr()
    ceiling = json.loads(out.read_text())["largest_auc"]
    assert ceiling == Release.load(files / "release.npz").largest_auc()
    assert f"the ledger permits {at_most(ceiling, 4)}" in captured.out
    assert "the AUC of closest_record lies above" in captured.err
    assert attack(files, *held, *named) == 0
    assert "lies above" not in capsys.readouterr().err


def test_an_attack_on_large_tables_aims_at_some_of_their_rows_and_says_so(files, capsys):
    named = ("--attack", "closest_record", "--json", "-")
    found = {}
    for targets in ("100", "0"):
        assert attack(files, *named, "--targets", targets) == 0
        captured = capsys.readouterr()
        found[targets] = json.loads(captured.out)["attacks"]["closest_record"]
        said = (
            "aimed at 100 members and 100 non-members, drawn by the seed; --targets 0 aims at all"
        )
        assert (said in captured.err) == (targets == "100")
    few, all_ = (found[targets]["auc_high"] - found[targets]["auc_low"] for targets in ("100", "0"))
    assert few > 1.5 * all_


def test_an_evaluation_says_what_it_is_of(plain, whole):
    _, result, text = whole
    assert result["about"]["table"] == "adult: 800 fitted, 600 hold-out, 800 synthetic rows"
    assert result["about"]["method"].startswith("mst, epsilon 10")
    for said in result["about"].values():
        assert said in text
    assert "<svg" in text
    for shown in (text, plain[0]):
        assert "Columns that fare worst" in shown
    assert "--release names the release" in plain[0]


def test_an_evaluation_says_for_which_questions_intervals_of_the_release_hold(files, plain, whole):
    scope = scope_of(Release.load(files / "release.npz"))
    assert whole[1]["scope"] == json.loads(json.dumps(asdict(scope)))
    assert "scope" not in plain[1]
    assert scope.summary in whole[2]
    assert all(row.covers[1:] in whole[2] for row in scope.rows())
    assert 'id="scope"' not in page([])


def test_only_the_attacks_that_are_named_run(files, capsys):
    assert attack(files, "--attack", "closest_record", "--json", "-") == 0
    assert set(json.loads(capsys.readouterr().out)["attacks"]) == {"closest_record"}


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (lambda files: attack(files, "--attack", "nearest"), "closest_record, density_ratio"),
        (lambda files: attack(files, "--attack", "density_ratio"), "none was given (--reference"),
        (lambda files: attack(files, members="none.csv"), "none.csv"),
        (lambda files: attack(files, synthetic="short.csv"), "short.csv: column 'education'"),
        (lambda files: attack(files, members="short.csv"), "short.csv: column 'education'"),
        (lambda files: evaluate(files, synthetic="short.csv"), "short.csv: column 'education'"),
        (lambda files: evaluate(files, synthetic="absent.csv"), "absent.csv"),
        (lambda files: evaluate(files, "--schema", str(files / "real.csv")), "real.csv"),
        (
            lambda files: evaluate(files, "--json", str(files / "no" / "o.json")),
            "its folder does not exist",
        ),
        (
            lambda files: evaluate(files, "--html", str(files / "no" / "o.html")),
            "its folder does not exist",
        ),
        (lambda files: evaluate(files, "--html", str(files / "real.csv")), "is named twice"),
        (lambda files: attack(files, "--json", str(files / "real.csv")), "is named twice"),
        (lambda files: evaluate(files, *written_twice(files)), "is named twice"),
        (lambda files: evaluate(files, "--metric", "corelation"), "correlation, range_queries"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(files, capsys, command, said):
    assert command(files) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("dp-synth: ")
    assert captured.err.count("\n") == 1
    assert said in captured.err


def test_an_empty_synthetic_table_is_evaluated(files, capsys):
    assert evaluate(files, "--json", "-", synthetic="none.csv") == 0
    assert json.loads(capsys.readouterr().out)["tv2"] == 1.0


def test_what_is_printed_fits_a_terminal_and_titles_say_what_follows(whole):
    lines = whole[0].splitlines()
    titles = [f"{m.name}: {m.description}: {m.better} is better" for m in METRICS.values()]
    assert max(map(len, [*lines, *titles])) <= 120
    (title,) = [line for line in lines if line.startswith("range queries: ")]
    assert title.endswith("lower is better")
    assert lines[lines.index(title) + 1].startswith("  range queries  ")


def test_a_long_attack_says_what_it_takes_and_nothing_of_the_rows(files, monkeypatch, capsys):
    named = ("--attack", "closest_record", "--json", "-")
    assert attack(files, *named) == 0
    quiet = capsys.readouterr()
    assert "takes about" not in quiet.err
    monkeypatch.setattr(neighbours, "FEW_PAIRS", -1)  # as it is done on large tables
    for name in ("LONG", "SURE"):
        monkeypatch.setattr(outputs, name, 0.0)
    assert attack(files, *named) == 0
    told = capsys.readouterr()
    assert told.out == quiet.out
    assert re.search(r"^dp-synth: attack 'closest_record' takes about \d+ seconds$", told.err, re.M)
    assert "800" not in told.err


@pytest.mark.parametrize(("steps", "said"), [(80, "40 seconds"), (800, "7 minutes"), (20, None)])
def test_the_time_of_all_is_told_from_that_of_a_part(steps, said, monkeypatch, capsys):
    clock = iter(np.arange(0, 900, 0.5))  # half a second a step
    monkeypatch.setattr(outputs, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(work, "STEPS_TOLD", 1000)
    with outputs.shown_work("counting"):
        for half in range(2):
            with work.part_of_work(half, 2):
                list(work.told(range(steps // 2)))
    line = f"dp-synth: counting takes about {said}\n" if said else ""
    assert capsys.readouterr().err == line
