"""The ensemble learns on rehearsed fits which of its attacks to believe."""

import pytest
from made_people import SCHEMA, people

from dp_synth.accounting import Accountant, PrivacyBudget
from dp_synth.attacks import AttackerView, ShadowEnsemble
from dp_synth.attacks.shadow_ensemble import _halves
from dp_synth.audit import Roc
from dp_synth.errors import InputError
from dp_synth.synthesizers import DPGAN, MST, Independent

MEMBERS, OTHERS, REFERENCE = people(300, 1), people(600, 2), people(1200, 3)


def view_of(synthetic, *, recipe=None, epsilon=1000.0, **more):
    return AttackerView(
        synthetic,
        SCHEMA,
        REFERENCE,
        synthesizer=recipe or MST(),
        budget=PrivacyBudget(epsilon, 1e-6),
        **more,
    )


def area(view):
    attack = ShadowEnsemble()
    return Roc(attack.scores(MEMBERS, view), attack.scores(OTHERS, view)).auc()


def test_what_a_fit_leaks_is_found_and_what_it_does_not_is_not():
    budget = PrivacyBudget(1000, 1e-6)
    release = MST().fit(MEMBERS, SCHEMA, Accountant(budget, simulate=True), seed=0)
    assert area(view_of(release.sample(300, seed=1))).low > 0.53
    # Under the null an area of 300 against 600 has a standard deviation of at most 0.029.
    assert abs(area(view_of(people(300, 7))).value - 0.5) < 5 * 0.029


def test_members_and_others_share_the_shadow_fits(monkeypatch):
    fits = []
    real = Independent.fit
    monkeypatch.setattr(
        Independent, "fit", lambda *given, **more: fits.append(1) or real(*given, **more)
    )
    view = view_of(people(299, 8), recipe=Independent(), epsilon=50.0)
    area(view)
    assert len(fits) == ShadowEnsemble().runs


def test_shadows_are_drawn_from_the_half_that_nothing_is_compared_with():
    compared, pool = _halves(REFERENCE, 0)
    assert len(compared) == len(pool) == 600
    assert set(compared.index).isdisjoint(pool.index)
    assert not _halves(REFERENCE, 1)[0].equals(compared)


def test_a_method_that_takes_long_is_named_unless_it_is_asked_for():
    view = view_of(people(50, 4), recipe=DPGAN())
    with pytest.raises(InputError, match=r"quickly fitted 2 times.*got 'dpgan'"):
        ShadowEnsemble().scores(MEMBERS, view)
    assert ShadowEnsemble(every_method=True).missing(view) is None


def test_a_reference_of_three_records_trains_nothing():
    view = view_of(people(50, 4))
    few = AttackerView(
        view.synthetic,
        SCHEMA,
        REFERENCE.head(3),
        synthesizer=view.synthesizer,
        budget=view.budget,
    )
    assert ShadowEnsemble().scores(MEMBERS, few).tolist() == [0.0] * 300
