"""Every printed bound is rounded outwards: nothing said is better than what is certified."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dp_synth as dps
from dp_synth.accounting import Accountant, Gaussian, Ledger, PrivacyBudget, Selection, compose
from dp_synth.accounting.events import ThresholdedGaussian
from dp_synth.accounting.ledger import Entry, describe_all
from dp_synth.cli import main
from dp_synth.formatting import at_least, at_most, percent_at_most, rounded_down, rounded_up
from dp_synth.report.card import data_card
from dp_synth.report.guarantee import upward
from dp_synth.report.pages import card_page
from dp_synth.schema import Schema

BUDGET = PrivacyBudget(0.50049, 1e-5 / 3)
COLUMNS = [{"name": name, "type": "categorical", "categories": ["x", "y"]} for name in "ab"]
CONTENT = {"name": "t", "columns": COLUMNS}
SCHEMA = Schema.from_dict(CONTENT)
FRAME = pd.DataFrame({"a": ["x", "y"] * 20, "b": ["y", "y"] * 20})
RELEASE = dps.Independent().fit(FRAME, SCHEMA, BUDGET)
NUMBER = r"([0-9][0-9.e+-]*[0-9]|[0-9])"


def no_better_than(text: str, epsilon: float, budget: PrivacyBudget = BUDGET) -> None:
    """Check every epsilon and delta that a text says, of which there are some."""
    text = re.sub(r"ask for at most epsilon \S+", "", text)  # a lower bound
    epsilons = re.findall(rf"epsilon (?:of )?{NUMBER}", text)
    epsilons += re.findall(rf"\({NUMBER}, {NUMBER}\)-", text) and [
        re.findall(rf"\({NUMBER}, ", text)[0]
    ]
    deltas = re.findall(rf"delta {NUMBER}", text) + re.findall(rf", {NUMBER}\)-", text)
    assert epsilons
    assert deltas
    assert all(epsilon <= float(one) <= epsilon * 1.002 for one in epsilons), epsilons
    assert all(budget.delta <= float(one) <= budget.delta * 1.002 for one in deltas), deltas


def test_a_ledger_its_statement_and_its_commands_say_no_less_than_they_certify(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    accountant = Accountant(BUDGET, ledger="l.jsonl")
    release = dps.Independent().fit(FRAME, SCHEMA, accountant)
    for said in (
        *(release.ledger.statement(), str(release.ledger).splitlines()[-1]),
        *(repr(release.ledger).splitlines()[-1], release.ledger._repr_html_().split("<p>")[-1]),
        *(repr(accountant), repr(release).split("promise")[-1]),
    ):
        no_better_than(said, release.epsilon)
    for command in (["verify"], ["show"]):
        assert main(["ledger", command[0], "l.jsonl"]) == 0
        printed = capsys.readouterr().out
        no_better_than(printed[printed.index("epsilon") :], release.epsilon)
    given = f"--epsilon {BUDGET.epsilon} --delta {BUDGET.delta}"
    assert main(["ledger", "new", "n.jsonl", *given.split()]) == 0
    no_better_than(capsys.readouterr().out, BUDGET.epsilon)


def test_a_synthesis_says_no_less_than_it_certifies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    FRAME.to_csv("t.csv", index=False)
    Path("t.meta.json").write_text(json.dumps(CONTENT))
    fixed = "synthesize --data t.csv --schema t.meta.json --out s.csv --synthesizer independent"
    spent = f"--epsilon {BUDGET.epsilon} --delta {BUDGET.delta} --ledger l.jsonl"
    given = f"ledger new l.jsonl --epsilon 1.00049 --delta {BUDGET.delta}"
    assert main(given.split()) == 0
    capsys.readouterr()
    assert main([*fixed.split(), *spent.split()]) == 0
    last = next(line for line in capsys.readouterr().err.splitlines() if "all runs" in line)
    no_better_than(last, 1.00049)
    used = float(re.findall(rf"{NUMBER} % of the", last)[0]) / 100
    left = float(re.findall(rf"at most epsilon {NUMBER}$", last)[0])
    ledger = dps.accounting.read_ledger("l.jsonl")
    root = Accountant(ledger.budget, ledger="l.jsonl", adaptive=ledger.rule)  # type: ignore[arg-type]
    whole = root.amount(1.00049)
    assert used >= 1 - root.left() / whole
    assert root.amount(left) <= root.left()


def test_a_card_and_its_page_say_no_less_than_is_certified() -> None:
    card = data_card(RELEASE)
    no_better_than(card.publishable.promise.statement, RELEASE.epsilon)
    page = re.sub(r"<[^>]*>", " ", card_page(card))
    found = re.search(rf"delta\s+{NUMBER}\s+\(1 in ([0-9,]+)\)", page)
    assert found
    assert float(found[1]) >= BUDGET.delta
    assert int(found[2].replace(",", "")) <= 1 / BUDGET.delta + 1e-6
    assert upward(0.5000000004) == "50.1 %"


@pytest.mark.parametrize("epsilon", [0.50049, 1 / 3, 2.0000001])
def test_account_says_at_which_delta_and_epsilon_its_answer_holds(
    epsilon: float, capsys: pytest.CaptureFixture[str]
) -> None:
    events = ["--gaussian", "7.3", "--count", "3"]
    curve = compose([(Gaussian(7.3, 1.0), 3)])
    assert main(["account", *events, "--delta", str(BUDGET.delta)]) == 0
    said = re.findall(rf"epsilon {NUMBER} at delta {NUMBER}", capsys.readouterr().out)
    assert [float(said[0][1])] == [BUDGET.delta]
    assert float(said[0][0]) >= curve.epsilon(BUDGET.delta)
    assert main(["account", *events, "--epsilon", str(epsilon)]) == 0
    said = re.findall(rf"delta {NUMBER} at epsilon {NUMBER}", capsys.readouterr().out)
    assert [float(said[0][1])] == [epsilon]
    assert float(said[0][0]) >= curve.delta(epsilon)


def test_noise_is_said_to_be_no_more_and_losses_no_less_than_they_are() -> None:
    rng = np.random.default_rng(0)
    for number in np.exp(rng.uniform(-12, 12, 300)):
        stddev, moved = re.findall(NUMBER, Gaussian(float(number), 1 / 3).label)
        assert float(stddev) <= number / 3
        assert float(moved) >= 1 / 3
        (loss,) = re.findall(NUMBER, Selection(float(number)).label)
        assert float(loss) >= number
        delta = float(1 / (1 + number))
        assert float(ThresholdedGaussian(1.0, 1.0, delta).label.split()[-1]) >= delta
    assert describe_all([Gaussian(2.99999, 1.0), Gaussian(3.99999, 1.0)]).endswith("2.999 to 3.999")


def test_short_numbers_stand_and_long_ones_are_rounded_outwards() -> None:
    rng = np.random.default_rng(1)
    for number in (*np.exp(rng.uniform(-40, 40, 500)), 0.1, 1e-9, 0.29, 5e-324, 0.0):
        for digits in (3, 4, 6):
            up, down = rounded_up(number, digits), rounded_down(number, digits)
            assert float(down) <= number <= float(up)
            assert float(up) <= float(down) * (1 + 10.0 ** (2 - digits)) or number < 1e-300
        assert float(at_least(number, 3).replace(",", "")) <= number
        assert float(at_most(number, 3).replace(",", "")) >= number
    for number in (0.1, 1e-9, 1e-5, 0.3, 2.5):
        assert float(rounded_up(number)) == float(rounded_down(number)) == number
    assert percent_at_most(0.57, 1) == "57.0 %"


def test_a_progress_bar_says_no_less_than_is_certified() -> None:
    pytest.importorskip("torch", reason="the extra 'deep' is not installed")
    from dp_synth.cli.outputs import describe as shown
    from dp_synth.progress import Progress

    assert shown(Progress(1, 2, 1.0, 0.50049)).endswith("epsilon 0.501")


def test_what_is_left_of_a_filter_is_rounded_down() -> None:
    entry = Entry("reservation", "mine", "part", Gaussian(40.0, 1.0), 3, "plan", "os")
    ledger = replace(Ledger(BUDGET, (entry,)), rule="gdp")
    said = re.findall(rf"at most epsilon {NUMBER}$", ledger.summary()[0])
    assert float(said[0]) == ledger.epsilon_left


BOUNDS = {"epsilon", "delta", "rho", "mu", "claim", "claimed_epsilon", "largest_auc", "permitted"}


def names_in(value: ast.expr) -> set[str]:
    """The names, attributes and keys of which a printed value is made."""
    found = set()
    for node in ast.walk(value):
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    return found


def test_no_bound_is_printed_with_the_digits_of_a_format() -> None:
    """A refusal may repeat an argument so; what is said of a release may not be."""
    package = Path(dps.__file__).parent
    found = []
    for path in sorted(package.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        refused = {
            id(node)
            for one in ast.walk(tree)
            if isinstance(one, ast.Raise)
            for node in ast.walk(one)
        }
        found += [
            f"{path.relative_to(package)}:{node.lineno}: {ast.unparse(node.value)}"
            for node in ast.walk(tree)
            if isinstance(node, ast.FormattedValue)
            and node.format_spec is not None
            and id(node) not in refused
            and names_in(node.value) & BOUNDS
        ]
    assert not found, "print bounds with dp_synth.formatting: " + "; ".join(found)
