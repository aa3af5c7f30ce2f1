"""Attacks on a generator that leaks by construction, and on one that cannot leak."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from dp_synth.attacks import ATTACKS, AttackerView
from dp_synth.audit import Roc
from dp_synth.schema import Schema
from dp_synth.transcript import MarginalAnswer

COLUMNS, LETTERS, RECORDS = 40, 4, 400
NAMES = [f"c{place}" for place in range(COLUMNS)]
SCHEMA = Schema.from_dict(
    {
        "name": "letters",
        "columns": [{"name": n, "type": "categorical", "size": LETTERS} for n in NAMES],
    }
)
# Any AUC of 400 against 400 has a standard deviation of at most this where scores say nothing.
STDDEV = np.sqrt((2 * RECORDS + 1) / (12 * RECORDS**2))
PAIRS = list(combinations(range(COLUMNS), 2))


def letters(seed, records=RECORDS):
    drawn = np.random.default_rng(seed).integers(0, LETTERS, (records, COLUMNS))
    return pd.DataFrame(drawn, columns=NAMES)


def pairs_of(frame):
    """Counts of all pairs, with the noise that they state."""
    codes, rng = frame.to_numpy(), np.random.default_rng(9)
    answers = []
    for i, j in PAIRS:
        counts = np.zeros((LETTERS, LETTERS))
        np.add.at(counts, (codes[:, i], codes[:, j]), 1)
        noisy = counts + 0.5 * rng.standard_normal(counts.shape)
        answers.append(MarginalAnswer("pairs", "a pair", (NAMES[i], NAMES[j]), noisy, 0.5, {}))
    return tuple(answers)


def auc(attack, fitted, synthetic):
    members, others, reference = letters(0), letters(1), letters(2, 800)
    view = AttackerView(synthetic, SCHEMA, reference, transcript=pairs_of(fitted))
    return Roc(attack.scores(members, view), attack.scores(others, view)).auc().value


# A member's own row, one letter of it changed, is at distance 1; others are at 30 +- 2.7, and at 12
# or less with chance 5e-10 a pair. So scores which look at the closest rows rank members first: of
# the mean over five rows a fifth falls by 20 of 30, a count of rows within the usual least
# distance, about 1, grows by one. A sum over pairs of columns counts, of each of 400 rows, the
# pairs that agree: 49 +- 27, but 741 of the member's own row. That is 1.26 spreads of the sum, 1.03
# with the noise of 800 reference rows: an AUC of 0.77, more where columns are counted apart.
LEAST = {
    "closest_record": 0.99,
    "distance_difference": 0.99,
    "domias": 0.99,
    "gen_lra": 0.99,
    "nearest_records": 0.9,
    "records_within_radius": 0.65,
    "density_ratio": 0.65,
    "marginal_ratio": 0.65,
    "transcript_ratio": 0.65,
    "classifier": 0.65,
}


# Of a generator that is no synthesizer there is nothing to rehearse.
OF_ROWS = [name for name, kind in ATTACKS.items() if not kind.needs_synthesizer]


@pytest.mark.parametrize("name", OF_ROWS)
def test_a_generator_that_copies_its_members_but_for_a_letter_is_found_out(name):
    members, rng = letters(0), np.random.default_rng(3)
    rows = members.to_numpy(copy=True)
    rows[np.arange(RECORDS), rng.integers(0, COLUMNS, RECORDS)] ^= 1
    value = auc(ATTACKS[name](), members, pd.DataFrame(rows, columns=NAMES))
    assert value > LEAST[name]
    assert LEAST[name] > 0.5 + 5 * STDDEV  # which noise does not reach


@pytest.mark.parametrize("name", OF_ROWS)
def test_rows_drawn_without_the_members_give_nothing_away(name):
    fresh = letters(4)
    assert abs(auc(ATTACKS[name](), fresh, fresh) - 0.5) < 5.5 * STDDEV
