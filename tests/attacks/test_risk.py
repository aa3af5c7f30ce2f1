import numpy as np
import pytest
from made_people import SCHEMA, people

from dp_synth.attacks.registry import privacy_risks
from dp_synth.errors import InputError

MEMBERS, HOLDOUT, REFERENCE = people(300, 0), people(250, 1), people(400, 2)


def risks(synthetic, **settings):
    return privacy_risks(MEMBERS, HOLDOUT, synthetic, SCHEMA, REFERENCE, **settings)


@pytest.fixture(scope="module")
def of_a_copy():
    return risks(MEMBERS)


def test_a_copy_stands_out_in_every_row_and_fresh_records_in_none(of_a_copy):
    copied, fresh = of_a_copy.set_index("attack"), risks(people(300, 3)).set_index("attack")
    assert (copied["low"] > fresh["value"]).all()
    nothing = fresh["baseline"].where(fresh["control"].isna(), 0.0)
    assert (fresh["low"] <= nothing + 0.1).all()
    assert (copied["value"] > 0.1).all()


def test_a_row_says_what_it_asks_and_that_it_is_internal(of_a_copy):
    frame = of_a_copy
    assert frame["question"].str.endswith((".", "?")).all()
    assert (frame["note"] == "internal: computed from private rows").all()
    assert (frame["low"] <= frame["value"]).all()
    assert (frame["value"] <= frame["high"]).all()
    assert frame["attack"].is_unique


def test_a_seed_repeats_the_frame(of_a_copy):
    assert risks(MEMBERS).equals(of_a_copy)


def test_without_a_reference_or_a_secret_fewer_attacks_are_run(of_a_copy):
    all_of_them = set(of_a_copy["attack"])
    fewer = set(privacy_risks(MEMBERS, HOLDOUT, MEMBERS, SCHEMA)["attack"])
    assert all_of_them - fewer == {"density_ratio"}
    numbers = SCHEMA.select(["income", "age"])
    none = set(privacy_risks(MEMBERS, HOLDOUT, MEMBERS, numbers)["attack"])
    assert not any(name.startswith(("inference", "reconstruction")) for name in none)
    one = privacy_risks(MEMBERS, HOLDOUT, MEMBERS, SCHEMA.select(["income"]))
    assert np.isfinite(one["value"]).all()


def test_empty_tables_are_refused():
    with pytest.raises(InputError, match="a record or more"):
        privacy_risks(MEMBERS.head(0), HOLDOUT, MEMBERS, SCHEMA)
