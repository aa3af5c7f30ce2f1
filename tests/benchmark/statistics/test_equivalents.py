"""Which share of the real rows scores like a method: an inverse of a curve that may be bent."""

import json
import math

import pytest
from made_cells import cell, table

from dp_synth.benchmark.statistics import equivalents, t_interval
from dp_synth.errors import InputError

SHARES = (0.001, 0.01, 0.1)


def level(share):
    """A score that is linear in the logarithm: 0.4, 0.3, 0.2 at the shares above, 0.1 at 1."""
    return -0.1 * math.log10(share) + 0.1


def scale(shares=SHARES, whole=0.1, **changes):
    rows = [
        cell("sample_of_rows", level(s), epsilon=None, settings=json.dumps({"share": s}), **changes)
        for s in shares
    ]
    return [*rows, cell("real_rows", whole, epsilon=None, **changes)]


def placed(rows, metric="tv2"):
    found = equivalents(table(rows), metric)
    return found.set_index("synthesizer")


@pytest.mark.parametrize("share", [0.001, 0.004, 0.01, 0.05, 0.3, 1.0])
def test_a_score_on_the_curve_is_given_its_share_back(share):
    row = placed([*scale(), cell("mst", level(share))]).loc["mst"]
    assert row["share"] == pytest.approx(share)
    assert math.isnan(row["share_low"])
    assert row["text"].endswith(" % (one seed: no interval)")


def test_the_interval_of_the_mean_becomes_one_of_shares():
    values = [0.24, 0.25, 0.26]
    rows = [cell("mst", value, seed=seed) for seed, value in enumerate(values)]
    row = placed([*scale(), *rows]).loc["mst"]
    low, high = t_interval(values)
    assert row["share"] == pytest.approx(10**-1.5)
    assert row["share_low"] == pytest.approx(10 ** ((0.1 - high) / 0.1))
    assert row["share_high"] == pytest.approx(10 ** ((0.1 - low) / 0.1))
    assert row["text"] == "3.2 % [1.8 %, 5.6 %]"


def test_of_a_metric_whose_high_end_is_good_the_curve_is_turned():
    rows = [*scale(), cell("mst", level(0.05))]
    turned = [row | {"metric": "kmarginal", "value": -row["value"]} for row in rows]
    assert placed(turned, "kmarginal").loc["mst", "share"] == pytest.approx(0.05)


def test_what_is_off_the_scale_is_said():
    rows = [*scale(), cell("good", 0.05), cell("bad", 0.45)]
    rows += [cell("wide", value, seed=seed) for seed, value in enumerate((0.1, 0.4))]
    found = placed(rows)
    assert found.loc["good", "share"] == math.inf
    assert found.loc["good", "text"].startswith("above 100 %")
    assert found.loc["bad", "share"] == 0
    assert found.loc["bad", "text"].startswith("below 0.1 %")
    assert found.loc["wide", "text"] == "3.2 % [below 0.1 %, above 100 %]"


def test_without_the_whole_table_the_scale_ends_at_the_largest_share():
    rows = [*scale()[:-1], cell("good", 0.05)]
    assert placed(rows).loc["good", "text"].startswith("above 10 %")


def test_a_curve_that_turns_back_is_levelled_and_the_smaller_share_taken():
    shares = {0.001: 0.4, 0.01: 0.2, 0.1: 0.3}  # the last two become 0.25 each
    rows = [
        cell("sample_of_rows", value, epsilon=None, settings=json.dumps({"share": share}))
        for share, value in shares.items()
    ]
    rows += [cell("real_rows", 0.05, epsilon=None), cell("at", 0.25), cell("after", 0.15)]
    found = placed(rows)
    assert found.loc["at", "share"] == pytest.approx(0.01)
    assert found.loc["after", "share"] == pytest.approx(10**-0.5)  # half way from 10 % to 100 %


def test_a_share_of_many_seeds_weighs_more_where_the_curve_is_levelled():
    shares = [(0.01, 0.2, 0), (0.1, 0.3, 0), (0.1, 0.3, 1), (0.1, 0.3, 2)]  # levelled at 0.275
    rows = [
        cell("sample_of_rows", value, epsilon=None, seed=seed, settings=json.dumps({"share": s}))
        for s, value, seed in shares
    ]
    rows += [cell("real_rows", 0.1, epsilon=None), cell("above", 0.26), cell("below", 0.28)]
    found = placed(rows)["share"]
    assert found["above"] > 0.1
    assert found["below"] == 0.0


def test_each_table_has_a_scale_of_its_own_and_one_without_is_left_out():
    rows = [*scale(), cell("mst", 0.2), cell("mst", 0.2, dataset="bare")]
    bent = [row | {"value": 2 * row["value"]} for row in scale(dataset="other")]
    rows += [*bent, cell("mst", 0.2, dataset="other")]
    found = equivalents(table(rows), "tv2").set_index("dataset")["share"]
    assert found.to_dict() == pytest.approx({"adult": 0.1, "other": 1.0})


def test_without_any_scale_there_is_one_line_that_says_what_to_run():
    with pytest.raises(InputError, match=r"sample_of_rows at two shares or more .*add it"):
        equivalents(table([cell("mst", 0.2), cell("real_rows", 0.0, epsilon=None)]), "tv2")
