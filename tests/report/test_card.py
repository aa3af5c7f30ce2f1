"""A card says what a release says of itself, and nothing that the private rows could change."""

import inspect
import json
from dataclasses import replace

import numpy as np
import pytest
from made_card import CARD, FULL, RELEASE, ROWS, column, in_floating_point, released, with_schema
from made_release import people

from dp_synth import PrivacyBudget, Release
from dp_synth.accounting import Ledger
from dp_synth.accounting.events import NonPrivate, Pure
from dp_synth.accounting.ledger import Entry
from dp_synth.datasets.sources import ADULT
from dp_synth.errors import InputError
from dp_synth.report.card import DataCard, data_card
from dp_synth.report.guarantee import FPRS, WIDE, looks_identifying, upward
from dp_synth.report.internal import internal_part
from dp_synth.schema.schema import BOUNDS_FROM
from dp_synth.synthesizers import SYNTHESIZERS, Synthesizer


def kinds(release):
    return {finding.kind for finding in data_card(release).publishable.findings}


def with_event(event, **settings):
    """Return the release with a ledger of one event more."""
    entry = Entry("reservation", "mst", "more", event, 1, "plan", "os")
    ledger = RELEASE.ledger
    return replace(RELEASE, ledger=Ledger(ledger.budget, (*ledger.entries, entry), **settings))


def test_the_promise_is_that_of_the_ledger():
    promise, ledger = CARD.publishable.promise, RELEASE.ledger
    assert promise.epsilon == RELEASE.epsilon <= 1
    assert (promise.delta, promise.adjacency) == (1e-5, "add_remove")
    assert promise.statement == ledger.statement()
    assert promise.engine == ledger.curve.engine(1e-5)
    assert promise.largest_auc == RELEASE.largest_auc()
    assert promise.largest_accuracy == (1 + ledger.curve.delta(0.0)) / 2
    told = [(one.fpr, one.tpr) for one in promise.largest_tpr]
    assert told == list(zip(FPRS, ledger.curve.tpr(np.array(FPRS)).tolist(), strict=True))


def test_the_words_never_say_less_than_the_numbers():
    promise = CARD.publishable.promise
    told = " ".join(promise.in_words)
    assert f"at most {upward(promise.largest_accuracy)} of cases" in told
    assert float(upward(promise.largest_accuracy)[:-2]) / 100 >= promise.largest_accuracy
    assert "with and without one record" in told
    assert "at most 2.72 times" in told  # e = 2.7182..., rounded up


def test_other_adjacencies_and_units_are_said_in_words():
    swapped = data_card(released(adjacency="replace_one")).publishable.promise
    assert "with other values in one record" in swapped.in_words[0]
    budget = PrivacyBudget(1.0, 1e-5, unit="household", max_rows=3)
    ledger = Ledger(budget, RELEASE.ledger.entries)
    of_units = replace(RELEASE, ledger=ledger)
    assert data_card(of_units).publishable.promise.unit == "all records of one household"
    assert "several_rows" in kinds(of_units)


def test_the_publishable_part_is_the_same_byte_for_byte_whatever_the_private_rows_are():
    part = internal_part(people(40, 20), people(40, 30), ROWS.head(40), RELEASE)
    other = data_card(RELEASE).with_internal(part)
    assert len({card.to_json() for card in (other, FULL, CARD)}) == 3
    assert other.published().to_json() == FULL.published().to_json() == CARD.to_json()
    assert list(inspect.signature(data_card).parameters) == [
        *("release", "title", "source", "intended", "not_intended"),
    ]


def test_a_kept_release_makes_the_same_card(tmp_path):
    RELEASE.save(tmp_path / "r.npz")
    assert data_card(Release.load(tmp_path / "r.npz")).to_json() == CARD.to_json()


def test_declared_uses_and_source_stand_in_the_card():
    part = data_card(
        RELEASE, title="T", source=ADULT, intended=["teaching"], not_intended=["credit"]
    ).publishable
    assert (part.title, part.source, part.intended) == ("T", ADULT, ("teaching",))
    assert part.not_intended == ("credit",)
    assert CARD.publishable.title == "people"
    assert CARD.publishable.source is None


def test_steps_share_the_whole_cost_and_name_what_was_measured():
    steps = {step.part: step for step in CARD.publishable.steps}
    assert set(steps) == {"bins", "answers"}
    assert sum(step.share for step in steps.values()) == pytest.approx(1)
    assert ("income",) in steps["bins"].attributes
    assert {("job",), ("age",), ("income",), ("ill",)} <= set(steps["answers"].attributes)
    assert all(0 < step.epsilon_alone < RELEASE.epsilon for step in steps.values())
    asked = sum(one.count for step in steps.values() for one in step.asked)
    assert asked == sum(entry.count for entry in RELEASE.ledger.charges)


def test_shares_are_unknown_where_a_cost_is():
    steps = data_card(with_event(NonPrivate("a test"))).publishable.steps
    assert {step.share for step in steps} == {None}
    more = data_card(with_event(Pure(0.1))).publishable.steps
    assert sum(step.share for step in more) == pytest.approx(1)


def test_cells_that_the_fit_found_are_told_from_those_declared():
    columns = {one.name: one for one in CARD.publishable.public_inputs.columns}
    assert "found by the fit" in columns["income"].cells_from
    assert columns["age"].cells_from == "declared"
    assert (columns["age"].lower, columns["age"].upper) == (18, 90)
    assert columns["job"].categories == ("0", "1", "2", "3", "4", "5")


def test_constraints_are_said_in_words():
    release = with_schema(
        constraints=[
            {"impossible": {"job": ["0"], "ill": ["1"]}},
            {"function": {"of": "job", "gives": "ill", "where": [{"when": ["5"], "then": "1"}]}},
        ]
    )
    assert data_card(release).publishable.public_inputs.constraints == (
        "never together: job 0, ill 1",
        "ill follows job: 5 gives 1",
    )


def test_what_is_not_for_release_is_a_blocking_finding():
    assert not CARD.publishable.blocking
    cases = {
        "seeded": released(seed=0),
        "no_guarantee": with_event(NonPrivate("a test")),
        "simulation": replace(
            RELEASE, ledger=Ledger(RELEASE.ledger.budget, RELEASE.ledger.entries, simulation=True)
        ),
        "bounds_from_data": with_schema(bounds_from=BOUNDS_FROM),
    }
    for kind, release in cases.items():
        assert [one.kind for one in data_card(release).publishable.blocking] == [kind]
    lost = data_card(cases["no_guarantee"]).publishable.promise
    assert lost.epsilon is None
    assert lost.largest_auc == lost.largest_accuracy == 1
    assert len(lost.in_words) == 1
    assert "Nothing is promised" in lost.in_words[0]


def test_noise_in_floating_point_is_warned_of_wherever_the_promise_stands():
    floating = data_card(in_floating_point(RELEASE)).publishable
    said = "noise in floating point: its low bits are not certified (mst: "
    assert [one.kind for one in floating.findings] == ["floating_point"]
    assert floating.findings[0].text.startswith(said)
    assert not floating.blocking
    assert said in floating.promise.statement
    assert "floating point" not in CARD.publishable.promise.statement


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("open", {"open": True}),
        ("wide", {"categories": [f"v{i}" for i in range(WIDE + 1)]}),
        ("identifier", {"name": "patient_id"}),
    ],
)
def test_a_schema_warns_of_columns(kind, fields):
    quiet = with_schema(columns=[column()], label=None, positive=None)
    loud = with_schema(columns=[column(**fields)], label=None, positive=None)
    assert kind not in kinds(quiet)
    named = [one for one in data_card(loud).publishable.findings if one.kind == kind]
    assert [one.column for one in named] == [fields.get("name", "c")]


def test_a_unit_of_another_name_and_bounds_from_nowhere_are_warned_of():
    assert "several_rows" not in kinds(with_schema(unit_of_privacy="one row"))
    assert "several_rows" in kinds(with_schema(unit_of_privacy="household"))
    fields = {k: v for k, v in RELEASE.schema.to_dict().items() if k != "bounds_from"}
    unsaid = replace(RELEASE, schema=RELEASE.schema.from_dict(fields))
    assert kinds(unsaid) == {"bounds_unexplained"}
    assert kinds(RELEASE) == set()


def test_names_that_identify_are_words_not_parts_of_words():
    assert all(map(looks_identifying, ("ID", "user_id", "lastName", "Phone", "e-mail", "HTTP_URL")))
    assert not any(map(looks_identifying, ("width", "rename2", "idle", "paid", "emailed")))


def test_every_synthesizer_is_described():
    for kind in SYNTHESIZERS.values():
        assert kind.title != Synthesizer.title
        assert kind.reference != Synthesizer.reference
    other = data_card(replace(RELEASE, synthesizer="elsewhere:Mine")).publishable.method
    assert "outside" in other.title


@pytest.mark.parametrize("card", [CARD, FULL], ids=["publishable", "internal"])
def test_a_card_is_read_as_it_was_written(card, tmp_path):
    written, page = card.write(tmp_path / "card.json")
    assert (written.name, page.name) == ("card.json", "card.html")
    again = DataCard.load(written)
    assert again == card
    assert again.to_json() == written.read_text() == card.to_json()
    assert {path.name for path in tmp_path.iterdir()} == {"card.json", "card.html"}


def test_the_internal_part_is_marked_and_left_out_unless_it_is_there():
    assert set(CARD.to_dict()) == {"format", "version", "dp_synth", "publishable"}
    assert FULL.to_dict()["internal"]["mark"] == "internal: not differentially private"
    assert FULL.published() == CARD
    assert FULL.digest == CARD.digest
    assert data_card(RELEASE, title="other").digest != CARD.digest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:-20], "must be JSON"),
        (lambda text: "[]", "no data card"),
        (lambda text: text.replace("dp_synth.card", "other"), "no data card"),
        (lambda text: text.replace('"version": 1', '"version": 9'), "version 9; 1 is known"),
        (lambda text: text.replace('"title"', '"titel"'), "publishable.title"),
        (lambda text: text.replace('"delta": 1e-05', '"delta": NaN'), "NaN is no number"),
        (lambda text: text.replace('"delta": 1e-05', '"delta": "small"'), "promise.delta"),
        (lambda text: text.replace('"seeded"', '"extra": 1, "seeded"', 1), "promise.extra"),
    ],
)
def test_what_is_no_card_is_refused_in_one_line(change, message, tmp_path):
    text = CARD.to_json()
    assert change(text) != text
    path = tmp_path / "card.json"
    path.write_text(change(text))
    with pytest.raises(InputError, match=message) as raised:
        DataCard.load(path)
    assert "\n" not in str(raised.value)
    assert str(path) in str(raised.value)


def test_card_and_page_are_written_both_or_none(tmp_path, monkeypatch):
    CARD.write(tmp_path / "card.json")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def no_room(card):
        raise OSError("no space left on device")

    monkeypatch.setattr(DataCard, "to_json", no_room)
    with pytest.raises(OSError, match="no space"):
        data_card(RELEASE, title="new").write(tmp_path / "card.json")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_card_goes_to_a_json_file():
    with pytest.raises(InputError, match=r"must end in \.json"):
        CARD.write("card.html")


def test_an_infinite_number_never_reaches_the_file():
    first, *others = FULL.internal.guesses
    part = replace(FULL.internal, guesses=(replace(first, low=None), *others))
    written = json.loads(CARD.with_internal(part).to_json(), parse_constant=pytest.fail)
    assert written["internal"]["guesses"][0]["low"] is None
