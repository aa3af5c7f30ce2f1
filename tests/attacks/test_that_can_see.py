"""What an attacker of a view can run, and what the others lack in one line."""

import pytest
from made_people import SCHEMA, people

from dp_synth.accounting import PrivacyBudget
from dp_synth.attacks import ATTACKS, AttackerView, that_can_see
from dp_synth.synthesizers import DPGAN, MST

ROWS, REFERENCE, BUDGET = people(50, 1), people(50, 2), PrivacyBudget(1, 1e-6)
VIEWS = {
    "rows": AttackerView(ROWS, SCHEMA),
    "reference": AttackerView(ROWS, SCHEMA, REFERENCE),
    "method": AttackerView(ROWS, SCHEMA, REFERENCE, synthesizer=MST(), budget=BUDGET),
    "network": AttackerView(ROWS, SCHEMA, REFERENCE, synthesizer=DPGAN(), budget=BUDGET),
    "release": AttackerView(ROWS, SCHEMA, REFERENCE, transcript=()),
}


@pytest.mark.parametrize("name", VIEWS)
def test_each_attack_can_be_run_or_says_in_one_line_what_is_missing(name):
    view = VIEWS[name]
    able = {attack.name for attack in that_can_see(view)}
    for attack in (kind() for kind in ATTACKS.values()):
        lacking = attack.missing(view)
        assert (attack.name in able) == (lacking is None)
        if lacking is not None:
            assert lacking.startswith(f"attack {attack.name!r} needs ")
            assert "\n" not in lacking


def test_more_is_seen_by_whoever_has_more():
    seen = {name: {attack.name for attack in that_can_see(view)} for name, view in VIEWS.items()}
    assert seen["rows"] == {"closest_record", "nearest_records", "records_within_radius"}
    assert seen["rows"] < seen["reference"] < seen["method"]
    assert seen["method"] - seen["reference"] == {"rows_ratio", "shadow_ensemble"}
    assert seen["network"] == seen["release"] == seen["reference"]


def test_needs_name_the_synthesizer_where_it_is_rehearsed():
    needing = {name for name, kind in ATTACKS.items() if "synthesizer" in kind.needs()}
    assert needing == {"rows_ratio", "shadow_ensemble"}
    assert "synthesizer" in ATTACKS["marginal_ratio"].uses
