import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_people import SCHEMA, copies, fresh, people
from scipy.stats import binom

from dp_synth.accounting import PrivacyBudget
from dp_synth.attacks import ATTACKS, AttackerView, ClosestRecord
from dp_synth.attacks.membership_game import Fitted, MembershipGame, Panel, keep
from dp_synth.errors import InputError
from dp_synth.synthesizers import Independent

POOL = people(40, 0)
VIEW = AttackerView(POOL.head(0), SCHEMA, people(200, 1))
PANEL = Panel({"closest_record": ClosestRecord()}, POOL, VIEW)


def draws(game, count=100):
    pairs = [game.draw(np.random.default_rng(seed)) for seed in range(count)]
    return np.array([member for member, _ in pairs]), [records for _, records in pairs]


def fail_on_even(members, seed):
    if len(members) % 2 == 0:
        raise ValueError("the fit did not converge")
    return members


def test_half_of_the_pool_is_in_each_run_and_the_records_are_those():
    member, records = draws(MembershipGame(copies, POOL))
    assert (member.sum(axis=1) == 20).all()
    low, high = binom.ppf([1e-8, 1 - 1e-8], 100, 0.5)
    assert ((low <= member.sum(axis=0)) & (member.sum(axis=0) <= high)).all()
    for flags, frame in zip(member, records, strict=True):
        assert sorted(frame["income"]) == sorted(POOL["income"][flags])


def test_under_add_remove_each_target_has_a_coin_of_its_own():
    member, records = draws(MembershipGame(copies, POOL, adjacency="add_remove"))
    # The variance of a sum of 40 independent fair coins is 10; of exact halves it is 0.
    assert abs(member.sum(axis=1).var() / 10 - 1) < 6 * (2 / 99) ** 0.5
    assert [len(frame) for frame in records] == member.sum(axis=1).tolist()


def test_stand_ins_take_the_places_of_those_who_are_out():
    others, stand_ins = people(10, 2), people(50, 3)
    game = MembershipGame(copies, POOL.head(1), fixed=others, stand_ins=stand_ins)
    member, records = draws(game)
    low, high = binom.ppf([1e-8, 1 - 1e-8], 100, 0.5)
    assert low <= member.sum() <= high
    for (inside,), frame in zip(member, records, strict=True):
        assert len(frame) == 11
        assert set(others["income"]) <= set(frame["income"])
        assert (POOL["income"][0] in set(frame["income"])) == inside
    standing = {v for f in records for v in f["income"]} & set(stand_ins["income"])
    assert len(standing) > 10


def test_households_are_in_or_out_together():
    groups = np.arange(40) // 4
    member, _ = draws(MembershipGame(copies, POOL, groups=groups))
    together = member.reshape(100, 10, 4)
    assert (together == together[:, :, :1]).all()
    assert (together[:, :, 0].sum(axis=1) == 5).all()


def test_fitted_records_come_in_an_order_that_tells_nothing():
    _, records = draws(MembershipGame(copies, POOL.head(20), fixed=people(20, 5)))
    firsts = [frame["income"][0] in set(POOL["income"]) for frame in records]
    low, high = binom.ppf([1e-7, 1 - 1e-7], 100, 10 / 30)
    assert low <= sum(firsts) <= high


def test_a_run_is_of_its_own_randomness_and_a_seed_repeats_it():
    game = MembershipGame(copies, POOL)
    one, same, other = (game.play(keep, 5, seed=seed) for seed in (1, 1, None))
    assert len(set(one.seeds)) == 5
    assert one.seeds == same.seeds
    assert not set(one.seeds) & set(other.seeds)
    assert all(a.equals(b) for a, b in zip(one.seen, same.seen, strict=True))
    assert not one.seen[0].equals(one.seen[1])
    assert game.play(keep, 5).seeds != other.seeds


def test_a_copier_is_found_out_and_a_stranger_is_not():
    leaky = PANEL.scores(MembershipGame(copies, POOL).play(PANEL, 40, seed=0))
    assert leaky["closest_record"].auc().low > 0.8
    blind = PANEL.scores(MembershipGame(fresh, POOL).play(PANEL, 40, seed=0))
    # 20 against 20 in each of 40 independent runs: a run's area has variance 41 / (12 * 400).
    deviation = (41 / 4800 / 40) ** 0.5
    assert abs(blind["closest_record"].auc().value - 0.5) < 6 * deviation


def test_kept_tables_serve_later_attacks():
    game = MembershipGame(copies, POOL)
    kept = game.play(keep, 6, seed=0)
    direct = PANEL.scores(game.play(PANEL, 6, seed=0))["closest_record"]
    later = PANEL.scores(kept.looked_at(PANEL))["closest_record"]
    np.testing.assert_array_equal(direct.score, later.score)
    np.testing.assert_array_equal(direct.member, later.member)


def test_bystanders_are_scored_and_never_fitted():
    panel = Panel(PANEL.attacks, POOL, VIEW, people(15, 9))
    played = MembershipGame(copies, POOL).play(panel, 6, seed=0)
    assert panel.bystander_scores(played)["closest_record"].shape == (6, 15)
    assert panel.scores(played)["closest_record"].score.shape == (240,)
    with pytest.raises(InputError, match="no bystanders"):
        PANEL.bystander_scores(played)


def test_bystanders_among_the_targets_are_refused():
    with pytest.raises(InputError, match="targets also stand among the bystanders"):
        Panel(PANEL.attacks, POOL, VIEW, POOL.tail(20))


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """What two processes of one that has ended played together, and what this has left behind."""
    folder = tmp_path_factory.mktemp("shared")
    script = f"""
import json, os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import psutil
from test_membership_game import MembershipGame, PANEL, POOL, copies
from joblib.externals.loky.backend import resource_tracker

if __name__ == "__main__":
    played = MembershipGame(copies, POOL).play(PANEL, 5, seed=0, jobs=2)
    left = [child.cmdline() for child in psutil.Process().children(recursive=True)]
    scores = PANEL.scores(played)["closest_record"]
    print(json.dumps([scores.score.tolist(), scores.member.tolist(), left]))
    sys.stdout.flush()
    os.kill(resource_tracker._resource_tracker._pid, signal.SIGKILL)
"""
    path = folder / "script.py"
    path.write_text(script)
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, check=True)
    return *json.loads(done.stdout), done.stderr


def test_processes_share_the_runs_without_changing_them(shared):
    alone = PANEL.scores(MembershipGame(copies, POOL).play(PANEL, 5, seed=0))["closest_record"]
    np.testing.assert_array_equal(alone.score, shared[0])
    np.testing.assert_array_equal(alone.member, shared[1])


def test_no_process_is_left_of_a_game(shared):
    # What cleans up behind the process, should it be killed, stays; it has nothing to clean.
    assert all("resource_tracker" in " ".join(command) for command in shared[2])


def test_a_game_leaves_nothing_to_be_cleaned_up_when_its_process_ends(shared):
    assert "Traceback" not in shared[3]


def test_a_panel_scores_as_its_attacks_do_one_by_one():
    reference = VIEW.reference
    kinds = [k for k in ATTACKS.values() if not (k.needs_transcript or k.needs_synthesizer)]
    attacks = {kind.name: kind() for kind in kinds}
    panel = Panel(attacks, POOL, VIEW)
    for seed in (2, 3):  # what is kept from one table must not tell in the next
        synthetic = people(60, seed)
        direct = [
            a.scores(POOL, AttackerView(synthetic, SCHEMA, reference)) for a in attacks.values()
        ]
        np.testing.assert_array_equal(panel(synthetic), direct)


def test_a_failed_fit_is_an_outcome_and_is_not_tried_again():
    game = MembershipGame(fail_on_even, POOL.head(5), adjacency="add_remove")
    played = game.play(Panel(PANEL.attacks, POOL.head(5), VIEW), 30, seed=0)
    failed = np.array([failure is not None for failure in played.failures])
    np.testing.assert_array_equal(failed, played.member.sum(axis=1) % 2 == 0)
    assert set(played.failures) == {None, "ValueError"}
    panel = Panel(PANEL.attacks, POOL.head(5), VIEW)
    scores = panel.scores(played)["closest_record"]
    assert np.isnan(scores.score.reshape(30, 5)[failed]).all()


def test_a_synthesizer_plays_with_tables_of_one_size():
    generate = Fitted(Independent(), SCHEMA, PrivacyBudget(1.0, 1e-6), records=25)
    played = MembershipGame(generate, POOL, adjacency="add_remove").play(keep, 4, seed=0)
    assert [len(table) for table in played.seen] == [25] * 4
    assert all(isinstance(table, pd.DataFrame) for table in played.seen)
    assert list(played.seen[0].columns) == list(POOL.columns)
    assert (np.array(played.seconds) >= 0).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"targets": POOL.head(0)}, "at least one target"),
        ({"targets": POOL.head(1)}, "stand_ins"),
        ({"targets": POOL, "groups": [1, 2]}, "one number for each target"),
        ({"targets": POOL, "groups": np.zeros(40)}, "stand_ins"),
        ({"targets": POOL, "stand_ins": POOL.head(3)}, "as many records as targets"),
        ({"targets": POOL, "stand_ins": POOL, "adjacency": "add_remove"}, "replace_one"),
        ({"targets": POOL, "stand_ins": POOL}, "targets also stand among the stand-ins"),
        ({"targets": POOL, "fixed": POOL.tail(20)}, "targets also stand among the fixed records"),
    ],
)
def test_a_game_that_cannot_be_played_is_refused(settings, message):
    with pytest.raises(InputError, match=message):
        MembershipGame(copies, **settings)


def test_a_game_without_runs_is_refused():
    with pytest.raises(InputError, match="at least 1"):
        MembershipGame(copies, POOL).play(keep, 0)
