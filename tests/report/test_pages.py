"""All pages have one frame: the same head, and nothing that asks for something from outside."""

import pytest
from made_page import made_records
from made_release import SCHEMA, TRAIN

import dp_synth as dps
from dp_synth.report import data_card
from dp_synth.report.benchmark_page import page as benchmark_page
from dp_synth.report.evaluation import page as evaluation_page
from dp_synth.report.pages import card_page

ALWAYS = (
    '<html lang="en">',
    '<meta charset="utf-8">',
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src ',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    '<meta name="color-scheme" content="light dark">',
    '<meta name="referrer" content="no-referrer">',
)


def card():
    budget = dps.PrivacyBudget(1.0, 1e-5)
    return card_page(data_card(dps.Independent().fit(TRAIN, SCHEMA, budget, seed=0)))


@pytest.mark.parametrize(
    "made",
    [
        card,
        lambda: evaluation_page([]),
        lambda: benchmark_page(made_records()),
    ],
    ids=["card", "evaluation", "benchmark"],
)
def test_every_page_has_the_same_head(made):
    head, _, body = made().partition("</head>")
    assert [line for line in ALWAYS if line not in head] == []
    assert head.count("<style>") == head.count("<title>") == 1
    assert body.partition("<script")[0].count("<body>") == 1
    assert body.endswith("</body>\n</html>")
