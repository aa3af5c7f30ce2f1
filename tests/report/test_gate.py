"""The gate: every key of a policy can pass and fail, and people sign what no number says."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from made_card import (
    CARD,
    FULL,
    HOLDOUT,
    LABELLED,
    RELEASE,
    TRAIN,
    column,
    in_floating_point,
    released,
    with_schema,
)

import dp_synth as dps
from dp_synth.metrics import METRICS, Compared, RealTables
from dp_synth.release import Release
from dp_synth.report import gate
from dp_synth.report.card import DataCard, data_card
from dp_synth.report.gate import (
    COST,
    KEYS,
    PRIVATE,
    InputError,
    Policy,
    PolicyError,
    Signature,
    add_signatures,
    digest_of,
    judge,
    read_signatures,
    sample_policy,
    signature_file,
)
from dp_synth.report.publishable import Measured


def internal(**sections):
    """Return the card with some sections of its internal part replaced."""
    return CARD.with_internal(replace(FULL.internal, **sections))


def validated(*rows):
    """Return the card as if its fit had paid for these numbers."""
    return replace(CARD, publishable=replace(CARD.publishable, validation=rows))


def measured(name, high, about=""):
    return Measured(name, about, high - 0.1, high - 0.2, high)


PAID = dps.MST().fit(
    TRAIN, LABELLED, dps.PrivacyBudget(5.0, 1e-5), validation=dps.Validation(0.2).against(HOLDOUT)
)
SEEDED = data_card(released(seed=0))
FLOATING = data_card(in_floating_point(RELEASE))
SWAPPED = data_card(released(adjacency="replace_one"))
PLAIN = with_schema(columns=[column()], label=None, positive=None)
OPEN = with_schema(columns=[column(open=True)], label=None, positive=None)
CASES = [  # key, value, a card that passes, one that fails, what is printed of that
    ("epsilon_at_most", 1, CARD, data_card(released(epsilon=2.0)), "2"),
    ("delta_at_most", 1e-4, CARD, data_card(RELEASE), "1e-05"),
    ("unseeded", True, CARD, SEEDED, "seeded"),
    ("exact_noise", True, CARD, FLOATING, "in floating point"),
    ("adjacency", "add_remove", CARD, SWAPPED, "replace_one"),
    ("require_internal", True, FULL, CARD, "not there"),
    (
        "tv2_at_most",
        0.2,
        internal(fidelity=(measured("tv1", 0.9), measured("tv2", 0.2))),
        internal(fidelity=(measured("tv2", 0.21),)),
        "up to 0.21",
    ),
    (
        "auc_gap_at_most",
        0.2,
        internal(utility=(measured("auc:a", 0.9), measured("auc_gap:a", 0.2))),
        internal(utility=(measured("auc_gap:a", 0.1), measured("auc_gap:b", 0.3))),
        "up to 0.3 (auc_gap:b)",
    ),
    (
        "attack_auc_at_most",
        0.6,
        internal(attacks=(measured("one", 0.55), measured("other", 0.6))),
        internal(attacks=(measured("one", 0.55), measured("other", 0.61))),
        "up to 0.61 (other)",
    ),
    (
        "copies_excess_at_most",
        0.2,
        internal(warnings=(measured("copies", 1.0), measured("copies_excess", 0.2))),
        internal(warnings=(measured("copies_excess", 0.25),)),
        "up to 0.25",
    ),
    (
        "noisy_tv2_at_most",
        0.2,
        validated(measured("noisy_tv2", 0.2), measured("noisy_tv2_worst", 0.9)),
        validated(measured("noisy_tv2", 0.21)),
        "up to 0.21",
    ),
    (
        "noisy_tv2_worst_at_most",
        0.2,
        validated(measured("noisy_tv2", 0.1), measured("noisy_tv2_worst", 0.2, "a and b")),
        validated(
            measured("noisy_tv2_worst", 0.1, "a and b"), measured("noisy_tv2_worst", 0.3, "a and c")
        ),
        "up to 0.3 (a and c)",
    ),
    (
        "noisy_advantage_at_most",
        0.2,
        validated(measured("noisy_advantage", 0.2, "pairs")),
        validated(measured("noisy_advantage", 0.21, "pairs")),
        "up to 0.21",
    ),
    ("forbidden_columns", ("open",), data_card(PLAIN), data_card(OPEN), "c (open)"),
]
OF_A_LIFE = {"checked_within_days", "drift_at_most"}


def test_every_key_has_a_case():
    others = {"signatures", "decision_is_private", *OF_A_LIFE}  # of the latter: test_life.py
    assert {key for key, *_ in CASES} | others == set(KEYS)


@pytest.mark.parametrize(
    ("key", "value", "good", "bad", "printed"), CASES, ids=[key for key, *_ in CASES]
)
def test_a_key_lets_one_card_pass_and_not_another(key, value, good, bad, printed):
    accepted = {"decision_is_private": "accepted"} if key in PRIVATE else {}
    assert judge(good, Policy.model_validate({key: value, **accepted})).passed
    limit = 1e-6 if key == "delta_at_most" else value  # of one release there is one delta
    asked = {"unseeded": key == "unseeded", key: limit, **accepted}
    verdict = judge(bad, Policy.model_validate(asked))
    assert not verdict.passed
    failed = [check for check in verdict.checks if not check.passed]
    assert [check.value for check in failed] == [printed]


@pytest.mark.parametrize("key", PRIVATE)
def test_a_threshold_on_private_numbers_is_refused_unless_its_cost_is_accepted(key, tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text(f"epsilon_at_most: 1\n{key}: 0.1\n")
    with pytest.raises(PolicyError, match=f"^{path}: line 2: .*would decide .{key}.:") as raised:
        Policy.load(path)
    assert "\n" not in str(raised.value)
    assert COST in str(raised.value)
    assert "or write 'decision_is_private: accepted'" in str(raised.value)
    path.write_text(f"{key}: 0.1\ndecision_is_private: accepted\n")
    verdict = judge(FULL, Policy.load(path))
    assert verdict.private == (key,)
    assert COST in verdict.remark
    assert json.loads(verdict.to_json())["remark"] == verdict.remark
    with pytest.raises(PolicyError, match=r"decision_is_private: .*'accepted'"):
        Policy.from_text(f"{key}: 0.1\ndecision_is_private: yes\n")


def test_one_record_flips_a_private_verdict_and_no_paid_one():
    """The same release, judged beside tables that differ in one record."""
    rows, full = PAID.sample(200, seed=1), data_card(PAID)

    def card(train):
        real = Compared(RealTables(train, HOLDOUT, LABELLED), rows, 0)
        tv2 = Measured.of("tv2", METRICS["tv2"](real)["tv2"])
        return full.with_internal(replace(FULL.internal, fidelity=(tv2,)))

    cards = card(TRAIN), card(TRAIN.drop(index=TRAIN.index[0]))
    highs = [one.internal.fidelity[0].high for one in cards]
    assert highs[0] != highs[1]
    threshold = {"tv2_at_most": sum(highs) / 2}
    with pytest.raises(ValueError, match="decision_is_private: accepted"):
        Policy.model_validate(threshold)
    accepted = Policy.model_validate({**threshold, "decision_is_private": "accepted"})
    verdicts = [judge(one, accepted) for one in cards]
    assert verdicts[0].passed != verdicts[1].passed
    assert all(COST in verdict.remark for verdict in verdicts)
    high = PAID.validation.tv2.high
    for most in (high, high / 2):
        paid = [judge(one, Policy(noisy_tv2_at_most=most)) for one in cards]
        assert paid[0] == paid[1]
        assert [verdict.passed for verdict in paid] == [most == high] * 2


def test_a_paid_verdict_is_a_function_of_the_release_alone(tmp_path):
    PAID.save(tmp_path / "r.npz")
    kept = Release.load(tmp_path / "r.npz")
    card, _ = data_card(PAID).write(tmp_path / "card.json")
    again = DataCard.load(card)
    assert data_card(kept) == again == data_card(PAID)
    names = [one.name for one in again.publishable.validation]
    assert names == ["noisy_tv2", *["noisy_tv2_worst"] * 6, "noisy_advantage"]
    policy = Policy(noisy_tv2_at_most=1, noisy_tv2_worst_at_most=1, noisy_advantage_at_most=1)
    assert judge(again, policy, release=kept).passed
    assert "Validation, paid for by the budget" in (tmp_path / "card.html").read_text()
    assert "validation" not in CARD.to_dict()["publishable"]  # as cards had it before
    better = tuple(replace(one, high=0.0) for one in again.publishable.validation)
    forged = replace(again, publishable=replace(again.publishable, validation=better))
    assert not judge(forged, policy, release=kept).passed


def test_a_verdict_on_what_is_public_has_no_remark():
    verdict = judge(FULL, Policy(require_internal=True, noisy_tv2_at_most=0.1))
    assert verdict.private == ()
    assert not verdict.remark
    [check] = [check for check in verdict.checks if check.name == "noisy_tv2"]
    assert (check.passed, check.value) == (False, "the fit paid for no validation")


@pytest.mark.parametrize("key", ["tv2_at_most", "attack_auc_at_most"])
def test_what_was_not_measured_does_not_pass(key):
    policy = Policy.model_validate({key: 1.0, "decision_is_private": "accepted"})
    assert [check.value for check in judge(CARD, policy).checks][-1] == "no internal part"
    bare = internal(fidelity=(), attacks=())
    assert [check.value for check in judge(bare, policy).checks][-1] == "could not be measured"
    unknown = internal(
        fidelity=(Measured("tv2", "", 0.1, 0.0, None),), attacks=(Measured("a", "", 0, 0, None),)
    )
    assert not judge(unknown, policy).passed


def test_a_blocking_finding_never_passes_but_a_seed_may():
    assert not judge(SEEDED, Policy()).passed
    assert judge(SEEDED, Policy(unseeded=False)).passed
    drafted = data_card(
        with_schema(bounds_from="read from the data: confirm each bound and category")
    )
    assert not judge(drafted, Policy(unseeded=False)).passed


def test_an_epsilon_that_is_not_certified_never_passes():
    lost = replace(CARD.publishable, promise=replace(CARD.publishable.promise, epsilon=None))
    verdict = judge(replace(CARD, publishable=lost), Policy(epsilon_at_most=1e9))
    assert [check.value for check in verdict.checks if not check.passed] == ["infinite"]


def test_a_card_that_was_changed_is_not_that_of_its_release():
    assert judge(CARD, Policy(), release=RELEASE).passed
    declared = data_card(RELEASE, title="T", intended=["teaching"])
    assert judge(declared, Policy(), release=RELEASE).passed
    better = replace(CARD.publishable, promise=replace(CARD.publishable.promise, epsilon=0.1))
    forged = replace(CARD, publishable=better)
    assert judge(forged, Policy(epsilon_at_most=0.5)).passed
    verdict = judge(forged, Policy(epsilon_at_most=0.5), release=RELEASE)
    assert not verdict.passed
    assert "publishable.promise.epsilon" in verdict.checks[0].value  # what is to be looked at


POLICY = Policy.model_validate(
    {"signatures": [{"role": "owner", "statement": "s"}, {"role": "officer", "statement": "t"}]}
)


def signature(role, statement, card="one"):
    return Signature.now(role, "Ada", statement, card_sha256=card, publishable_sha256="p")


def test_all_signatures_must_be_there_for_this_card_and_this_statement():
    def unsigned(*signed):
        verdict = judge(CARD, POLICY, card_sha256="one", signed=signed)
        assert verdict.passed == (not verdict.unsigned)
        return [one.role for one in verdict.unsigned]

    owner, officer = signature("owner", "s"), signature("officer", "t")
    assert unsigned() == ["owner", "officer"]
    assert unsigned(owner) == ["officer"]
    assert unsigned(owner, officer) == []
    assert unsigned(owner, signature("officer", "t", card="two")) == ["officer"]
    assert unsigned(owner, signature("officer", "other words")) == ["officer"]


def test_signatures_are_added_beside_the_card_which_stays_as_it_is(tmp_path):
    card, _ = CARD.write(tmp_path / "card.json")
    before, place = card.read_bytes(), signature_file(card)
    assert read_signatures(place) == ()
    first, second = signature("owner", "s"), signature("officer", "t")
    add_signatures(place, [first])
    add_signatures(place, [second])
    assert read_signatures(place) == (first, second)
    assert card.read_bytes() == before
    assert place.name == "card.signatures.json"
    digest = digest_of(card)
    card.write_bytes(before + b" ")
    assert digest_of(card) != digest


def test_of_twelve_who_sign_at_once_all_signatures_are_kept(tmp_path, monkeypatch):
    place = tmp_path / "card.signatures.json"
    signed = [signature(f"role {number}", "s") for number in range(12)]
    start = threading.Barrier(12)

    def read_slowly(path):
        found = read_signatures(path)
        time.sleep(0.02)
        return found

    def sign(one):
        start.wait(60)
        add_signatures(place, [one])

    monkeypatch.setattr(gate, "read_signatures", read_slowly)
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(sign, signed))
    assert sorted(read_signatures(place), key=lambda one: signed.index(one)) == signed
    assert list(tmp_path.iterdir()) == [place]


def test_a_file_of_signatures_that_somebody_has_just_made_holds_none(tmp_path):
    place = tmp_path / "card.signatures.json"
    place.touch(0o444)
    assert read_signatures(place) == ()
    add_signatures(place, [signature("owner", "s")])
    assert len(read_signatures(place)) == 1


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"format": "other"}', '{"format": "dp_synth.signatures", "version": 1}']
)
def test_a_damaged_file_of_signatures_is_refused_and_kept(text, tmp_path):
    place = tmp_path / "card.signatures.json"
    place.write_text(text)
    with pytest.raises(InputError, match=r"card\.signatures\.json: "):
        add_signatures(place, [signature("owner", "s")])
    assert place.read_text() == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "delta_at_most: 0.1\nepsilon_at_mots: 1",
            "line 2: epsilon_at_mots: unknown key; .*mean 'epsilon_at_most'",
        ),
        ("zebra: 1", "line 1: zebra: unknown key; there are: epsilon_at_most, "),
        ("unseeded: true\n\nadjacency: swap", "line 3: adjacency: .*got 'swap'"),
        ("noisy_tv2_at_most: 1.5", "line 1: noisy_tv2_at_most: .*got 1.5"),
        ("epsilon_at_most: yes", "line 1: epsilon_at_most: must be a number, got true"),
        ("epsilon_at_most: .inf", "line 1: epsilon_at_most"),
        ("forbidden_columns: [open,\n  wdie]", r"line 2: forbidden_columns\.1: .*got 'wdie'"),
        ("signatures:\n  - role: a\n    statment: s", "line 3: .*unknown key; .*mean 'statement'"),
        ("signatures:\n  - role: a", r"line 2: signatures\.0\.statement: is required"),
        (
            "signatures:\n  - {role: a, statement: s}\n  - {role: a, statement: t}",
            "line 1: signatures: the roles must be distinct, got a, a",
        ),
        ("unseeded: true\nunseeded: false", "line 2: the key 'unseeded' stands twice"),
        ("a: [", "line 1: "),
        ("unseeded: true\n? [a, b]\n: 1", "line 2: a key must be a text"),
        ("unseeded: true\nsignatures: &all [*all]", "line 2: a part that has a name must not"),
        ("- 1", "must be a mapping with the keys epsilon_at_most"),
        ("", "must be a mapping"),
    ],
)
def test_a_wrong_policy_is_told_in_one_line(text, message, tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    with pytest.raises(PolicyError, match=f"^{path}: {message}") as raised:
        Policy.load(path)
    assert "\n" not in str(raised.value)


def test_the_sample_policy_names_every_key_and_is_one():
    sample = Policy.from_text(sample_policy())
    assert sample.model_fields_set == set(KEYS) - {*PRIVATE, *OF_A_LIFE, "decision_is_private"}
    assert all(f"{key}: " in sample_policy() for key in KEYS if key != "signatures")
    assert sample.unseeded
    assert len(sample.signatures) == 2
