"""`dp-synth account`: answers, refusals, and the order of events given as options."""

import io
import json
import sys

import pytest

from dp_synth.accounting import Gaussian, Selection, compose
from dp_synth.cli import main
from dp_synth.cli.ledger import PRECISE, rounded_up

EVENTS = """
events:
  - {gaussian: {stddev: 20, sensitivity: 1}, count: 10}
  - {pure: {epsilon: 0.01}, count: 3}
"""


@pytest.fixture
def events(tmp_path):
    path = tmp_path / "events.yaml"
    path.write_text(EVENTS)
    return str(path)


def run(capsys, *arguments):
    code = main(["account", *arguments])
    return code, capsys.readouterr()


def answer(capsys, *arguments):
    code, printed = run(capsys, *arguments, "--json")
    assert code == 0
    return json.loads(printed.out)


def test_epsilon_and_delta_answer_each_other(events, capsys):
    found = answer(capsys, events, "--delta", "1e-6")
    assert found["delta"] is None
    assert found["factor"] is None
    assert "loss distributions" in found["engine"]
    back = answer(capsys, events, "--epsilon", str(found["epsilon"]))
    assert back["epsilon"] is None
    assert back["delta"] == pytest.approx(1e-6, rel=1e-3)


def test_a_calibrated_factor_brings_epsilon_to_the_target_and_not_above(events, capsys):
    found = answer(capsys, events, "--epsilon", "0.5", "--delta", "1e-6", "--calibrate")
    assert 0.999 * 0.5 <= found["epsilon"] <= 0.5
    assert found["factor"] > 1


def test_printed_bounds_are_never_below_the_computed_ones(events, capsys):
    exact = answer(capsys, events, "--delta", "1e-6")["epsilon"]
    code, printed = run(capsys, events, "--delta", "1e-6")
    word, shown, *rest = printed.out.split()
    assert (code, word) == (0, "epsilon")
    assert exact <= float(shown) <= exact * (1 + 1e-6)
    assert " ".join(rest).startswith("at delta 1e-06 (one record added or removed; engine: ")
    for bound in (1 / 3, 2 / 3, 0.1, 1e-12 / 7, 123456.78901, 999999.99, 1e9 / 3):
        assert bound <= float(rounded_up(bound, PRECISE)) <= bound * (1 + 1e-6)


def test_options_are_taken_in_the_order_in_which_they_stand(capsys):
    options = ["--selection", "0.3", "--count", "5", "--gaussian", "9", "--gaussian", "8"]
    options += ["--count", "2", "--selection", "0.2"]
    events = [
        (Selection(0.3), 5),
        (Gaussian(9.0, 1.0), 1),
        (Gaussian(8.0, 1.0), 2),
        (Selection(0.2), 1),
    ]
    found = answer(capsys, *options, "--delta", "1e-6")
    assert found["epsilon"] == compose(events).epsilon(1e-6)
    assert found["epsilon"] != compose(events[1:] + events[:1]).epsilon(1e-6)


def test_events_may_come_from_standard_input(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("events: [{pure: {epsilon: 0.3}, count: 4}]"))
    assert answer(capsys, "-", "--delta", "0")["epsilon"] == pytest.approx(1.2)


def test_an_infinite_epsilon_is_said_in_one_line_and_cannot_be_calibrated(events, capsys):
    code, printed = run(capsys, events, "--delta", "0")
    assert code == 0
    assert printed.out.startswith("epsilon is infinite at delta 0: ")
    code, printed = run(capsys, events, "--delta", "0", "--json")
    assert json.loads(printed.out)["epsilon"] is None
    assert printed.err.startswith("epsilon is infinite at delta 0: ")
    code, printed = run(capsys, events, "--delta", "0", "--epsilon", "1", "--calibrate")
    assert (code, printed.out) == (2, "")
    assert printed.err.count("\n") == 1
    assert "no amount of noise meets epsilon 1 at delta 0" in printed.err


@pytest.mark.parametrize("ending", ["png", "pdf"])
def test_a_plot_is_written(tmp_path, ending, capsys):
    path = tmp_path / f"curve.{ending}"
    assert run(capsys, "--gaussian", "2", "--plot", str(path))[0] == 0
    assert path.stat().st_size > 5000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.yaml", "--delta", "1e-6"], "absent.yaml: cannot be read: No such file"),
        (["--delta", "1e-6"], "give a file of events, or events as --gaussian or --selection"),
        (["--gaussian", "2"], "give --delta for epsilon, --epsilon for delta, or --plot"),
        (["--gaussian", "2", "--delta", "1"], "--delta must lie in [0, 1), got 1.0"),
        (["--gaussian", "2", "--delta", "nan"], "--delta must lie in [0, 1)"),
        (["--gaussian", "2", "--epsilon", "-1"], "--epsilon must be a finite number"),
        (["--gaussian", "2", "--epsilon", "inf"], "--epsilon must be a finite number"),
        (["--gaussian", "0", "--delta", "1e-6"], "noise_multiplier must be a finite number above"),
        (["--gaussian", "nan", "--delta", "1e-6"], "noise_multiplier must be a finite number"),
        (["--count", "2", "--gaussian", "2", "--delta", "0.1"], "--count follows the --gaussian"),
        (["--gaussian", "2", "--count", "2", "--count", "2", "--delta", "0.1"], "--count follows"),
        (["--gaussian", "2", "--count", "0", "--delta", "0.1"], "--count must lie between 1 and"),
        (["--gaussian", "2", "--count", "10000001", "--delta", "0.1"], "--count must lie between"),
        (["x.yaml", "--gaussian", "2", "--delta", "0.1"], "give a file, or events and --adjacency"),
        (["--gaussian", "2", "--adjacency", "swap", "--delta", "0.1"], "--adjacency must be one"),
        (["--gaussian", "2", "--epsilon", "1", "--calibrate"], "--calibrate needs --delta and"),
        (["--gaussian", "2", "--plot", "x.svg"], "x.svg: the name of a figure must end in"),
    ],
)
def test_wrong_arguments_are_one_line_and_two(arguments, message, capsys):
    code, printed = run(capsys, *arguments)
    assert (code, printed.out) == (2, "")
    assert printed.err.startswith("dp-synth: ")
    assert message in printed.err
    assert printed.err.count("\n") == 1


def test_an_approximate_event_cannot_be_calibrated(tmp_path, capsys):
    path = tmp_path / "events.yaml"
    path.write_text("events: [{approximate: {epsilon: 1, delta: 1.0e-7}}]")
    arguments = [str(path), "--epsilon", "1", "--delta", "1e-5", "--calibrate"]
    code, printed = run(capsys, *arguments)
    assert code == 2
    assert "an approximate event says nothing of its noise" in printed.err


def test_noise_too_small_for_numbers_is_refused_and_can_be_calibrated(tmp_path, capsys):
    path = tmp_path / "events.yaml"
    path.write_text("events: [{laplace: {scale: 1.0e-200, sensitivity: 1}}]")
    code, printed = run(capsys, str(path), "--delta", "1e-6")
    assert code == 2
    assert "beyond what numbers can hold" in printed.err
    path.write_text("events: [{laplace: {scale: 1.0e-20, sensitivity: 1}}]")
    arguments = [str(path), "--epsilon", "1", "--delta", "0", "--calibrate"]
    assert answer(capsys, *arguments)["factor"] == pytest.approx(1e20, rel=1e-3)


def test_certified_ends_are_rounded_outwards_and_hold_the_truth(events, capsys):
    found = answer(capsys, events, "--delta", "1e-6", "--epsilon", "0.5", "--certify")
    assert found["epsilon_lower"] < found["epsilon"] < found["epsilon_lower"] * (1 + 1e-5)
    assert found["delta_lower"] < found["delta"] < found["delta_lower"] * (1 + 1e-4)
    code, printed = run(capsys, events, "--delta", "1e-6", "--certify")
    low, high = (float(end.strip("[],")) for end in printed.out.split()[2:4])
    assert code == 0
    assert low <= found["epsilon_lower"] < found["epsilon"] <= high
    assert answer(capsys, events, "--delta", "1e-6")["epsilon_lower"] is None
