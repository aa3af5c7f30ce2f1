"""The life of a card: entries are added, and one that was changed or taken out is seen."""

import errno
import json
import os
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from made_card import CARD

from dp_synth.report.gate import Policy, judge
from dp_synth.report.life import (
    Event,
    InputError,
    LifeEntry,
    LifeError,
    add_event,
    last_of,
    life_file,
    read_life,
)


@pytest.fixture
def path(tmp_path):
    """Where a life of three entries lies."""
    place = life_file(tmp_path / "card.json")
    add_event(place, CARD, Event("validated", "Ada", "by hand", {"tv2": 0.1, "rows": 3}))
    add_event(place, CARD, Event("deployed", "Bob", "https://example.org"))
    return place


def lines(path):
    return path.read_text("utf-8").splitlines()


def test_the_first_event_is_preceded_by_the_creation_of_the_card(path):
    life = read_life(path, CARD)
    assert [one.kind for one in life] == ["created", "validated", "deployed"]
    assert life[0].previous == CARD.digest
    assert [one.previous for one in life[1:]] == [one.digest for one in life[:-1]]
    assert life[1].found == {"tv2": 0.1, "rows": 3}
    assert last_of(life, "validated") == life[1]
    assert last_of(life, "retired") is None
    assert str(life[2]).endswith("deployed by Bob: https://example.org")


def test_what_is_added_leaves_what_was_there_as_it_was(path):
    before = path.read_bytes()
    add_event(path, CARD, Event("retired", "Ada"))
    assert path.read_bytes().startswith(before)


@pytest.mark.parametrize("line", [0, 1])
def test_an_entry_that_was_changed_is_seen(path, line):
    kept = lines(path)
    kept[line] = json.dumps({**json.loads(kept[line]), "note": "forged"})
    path.write_text("\n".join(kept) + "\n")
    with pytest.raises(LifeError, match=rf"line {line + 2}: the chain does not hold"):
        read_life(path, CARD)


@pytest.mark.parametrize("line", [0, 1])
def test_an_entry_that_was_taken_out_is_seen(path, line):
    kept = lines(path)
    del kept[line]
    path.write_text("\n".join(kept) + "\n")
    with pytest.raises(LifeError, match=rf"line {line + 1}: the chain does not hold"):
        read_life(path, CARD)


def test_entries_that_changed_places_are_seen(path):
    first, second, third = lines(path)
    path.write_text("\n".join([first, third, second]) + "\n")
    with pytest.raises(LifeError, match="line 2: the chain does not hold"):
        read_life(path, CARD)


def test_an_end_that_was_cut_off_is_seen_by_whoever_noted_the_head(path):
    *_, last = read_life(path, CARD)
    path.write_text("\n".join(lines(path)[:-1]) + "\n")
    assert len(read_life(path, CARD)) == 2  # nothing tells
    with pytest.raises(LifeError, match="its end was cut off"):
        read_life(path, CARD, head=last.digest)
    with pytest.raises(LifeError, match="its end was cut off"):
        read_life(path.with_name("absent"), CARD, head=last.digest)


def test_a_life_is_of_one_card(path):
    other = replace(CARD, publishable=replace(CARD.publishable, title="other"))
    with pytest.raises(LifeError, match="the life of another card"):
        read_life(path, other)
    before = path.read_bytes()
    with pytest.raises(LifeError, match="the life of another card"):
        add_event(path, other, Event("checked", "Eve"))
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"kind": "eaten"}, "kind"),
        ({"by": 3}, "by"),
        ({"found": {"a": [1]}}, "found"),
        ({"at": "yesterday"}, "'at'"),
        ({"more": 1}, "more: unknown key"),
    ],
    ids=["kind", "by", "found", "at", "more"],
)
def test_what_is_no_entry_is_told_in_a_line(path, changes, named):
    kept = json.loads(lines(path)[0])
    path.write_text(json.dumps({**kept, **changes}) + "\n")
    with pytest.raises(LifeError, match=named) as raised:
        read_life(path, CARD)
    assert "\n" not in str(raised.value)


def test_an_event_is_of_a_known_kind_and_by_somebody():
    with pytest.raises(InputError, match="no event is called 'checkd'; did you mean 'checked'"):
        Event("checkd", "Ada")
    with pytest.raises(InputError, match="by whom"):
        Event("checked", " ")


def test_text_that_no_file_can_hold_is_told_by_name(path):
    before = path.read_bytes()
    for event in ({"by": "\udcff"}, {"by": "Ada", "note": "\udcff"}):
        with pytest.raises(
            InputError, match=f"{list(event)[-1]} of an event must be text in UTF-8"
        ):
            add_event(path, CARD, Event("checked", **event))
    assert path.read_bytes() == before


def test_a_newline_that_an_editor_took_away_is_added(path):
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    add_event(path, CARD, Event("retired", "Ada"))
    assert [one.kind for one in read_life(path, CARD)][-2:] == ["deployed", "retired"]


@pytest.mark.parametrize("full", [False, True], ids=["in-pieces", "disk-full"])
def test_an_entry_is_written_whole_or_not_at_all(path, monkeypatch, full):
    before, write, done = path.read_bytes(), os.write, []

    def slowly(handle, data):
        if full and done:
            raise OSError(errno.ENOSPC, "no space left")
        done.append(write(handle, data[:10]))
        return done[-1]

    monkeypatch.setattr(os, "write", slowly)
    if full:
        with pytest.raises(OSError, match="no space"):
            add_event(path, CARD, Event("retired", "Ada"))
        assert path.read_bytes() == before
    else:
        add_event(path, CARD, Event("retired", "Ada"))
        assert read_life(path, CARD)[-1].kind == "retired"


def test_a_card_is_created_once(tmp_path):
    place = tmp_path / "c.life.jsonl"
    add_event(place, CARD, Event("created", "Ada", "at last"))
    assert len(read_life(place, CARD)) == 1
    with pytest.raises(LifeError, match="created already"):
        add_event(place, CARD, Event("created", "Ada"))
    assert len(read_life(place, CARD)) == 1


def test_nothing_is_lost_where_several_add_at_once(path):
    def add(name):
        for _ in range(5):
            add_event(path, CARD, Event("checked", name))

    threads = [threading.Thread(target=add, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_life(path, CARD)) == 23


def checked(days_ago=0.0, kind="checked", **found):
    at = (datetime.now(UTC) - timedelta(days=days_ago)).isoformat(timespec="seconds")
    return LifeEntry(kind, "Ada", "", {"seeded": False, "drift_up_to": 0.1, **found}, at, "")


GOOD = [
    (Policy(checked_within_days=3), (checked(2),)),
    (Policy(checked_within_days=3), (checked(9), checked(1), checked(0, seeded=True))),
    (Policy(drift_at_most=0.1), (checked(),)),
    (Policy(drift_at_most=0.1), (checked(2), checked(columns_left_out=3))),
    (Policy(), ()),
]
BAD = [
    (Policy(checked_within_days=3), (), "no paid check in its life"),
    (Policy(checked_within_days=3), (checked(4),), "on "),
    (Policy(checked_within_days=3), (checked(-2),), "on "),
    (Policy(checked_within_days=3), (checked(seeded=True),), "no paid check"),
    (Policy(drift_at_most=0.05), (checked(),), "up to 0.1"),
    (Policy(drift_at_most=0.05), (checked(9, drift_up_to=0.01), checked()), "up to 0.1"),
    (Policy(drift_at_most=0.05), (), "no paid check"),
    (Policy(drift_at_most=0.05), (checked(drift_up_to="low"),), "no paid check"),
    (Policy(drift_at_most=0.5), (checked(columns_left_out=3),), "no paid check of all columns"),
    (
        Policy(drift_at_most=0.5),
        (checked(drift_up_to=0.1), checked(drift_up_to=0.6, columns_left_out=3)),
        "up to 0.6",
    ),
    (Policy(), (checked(kind="retired"),), "retired on"),
]


@pytest.mark.parametrize(("policy", "life"), GOOD, ids=range(len(GOOD)))
def test_a_recent_check_passes_the_gate(policy, life):
    assert judge(CARD, policy, life=life).passed


@pytest.mark.parametrize(("policy", "life", "found"), BAD, ids=range(len(BAD)))
def test_what_was_not_checked_or_has_drifted_does_not_pass(policy, life, found):
    verdict = judge(CARD, policy, life=life)
    assert not verdict.passed
    (failed,) = [one for one in verdict.checks if not one.passed]
    assert failed.value.startswith(found)


def test_a_verdict_by_a_life_is_no_private_one():
    verdict = judge(CARD, Policy(drift_at_most=0.5), life=(checked(),))
    assert verdict.private == ()
    assert replace(verdict).passed
