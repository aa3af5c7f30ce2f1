"""The page of a card: whole, self-contained, escaped, and marked where it is internal."""

from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from made_card import CARD, FULL, RELEASE, column, released, with_schema

from dp_synth.report.card import data_card
from dp_synth.report.internal import MARK
from dp_synth.report.pages import card_page
from dp_synth.report.publishable import Measured

VOID = {"meta", "br", "path", "circle"}


class Page(HTMLParser):
    """Reads a page: its elements must close in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.places, self.words = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.places += [value for name, value in attributes if name in ("src", "href", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.mark.parametrize("card", [CARD, FULL], ids=["publishable", "internal"])
def test_a_page_is_well_formed_and_asks_for_nothing_else(card):
    text = card_page(card)
    page = Page(text)
    assert set(page.places) == {"#main"}
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert "://" not in text
    assert "url(" not in text
    assert "default-src 'none'" in text
    assert page.tags.count("h1") == page.tags.count("main") == 1
    assert page.tags.count("table") == page.tags.count("caption")
    headings = [int(tag[1]) for tag in page.tags if tag in ("h1", "h2", "h3")]
    assert all(b - a <= 1 for a, b in pairwise(headings))


def test_only_an_internal_page_has_the_banner():
    assert card_page(FULL).lower().count(f'role="note">{MARK}') == 2
    assert "(internal)" not in card_page(CARD)
    assert MARK not in card_page(CARD).lower()


def test_all_text_is_escaped():
    name = "<script>alert('x')</script>"
    release = with_schema(
        name=name,
        label=None,
        positive=None,
        bounds_from=name,
        columns=[column(name=name, categories=["<b>", '"&'])],
    )
    card = data_card(release, title=name, intended=[name], not_intended=["$title ${style}"])
    text = card_page(card)
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "&lt;b&gt;" in text
    assert "$title ${style}" in text
    Page(text)


def test_an_internal_table_escapes_names_of_columns():
    bad = Measured("tv2", "<i>a</i> and b", 0.1, 0.0, 0.2, 0.1, note="<script>")
    internal = replace(FULL.internal, pairs=(bad,))
    text = card_page(CARD.with_internal(internal))
    assert "<i>" not in text
    assert "<script" not in text
    Page(text)


def test_the_page_says_what_the_card_says():
    words = " ".join(Page(card_page(FULL)).words)
    promise = FULL.publishable.promise
    for text in (promise.statement, *promise.in_words, *FULL.publishable.limits, FULL.digest):
        assert text in words
    for name in RELEASE.schema.names:
        assert name in words
    for one in (*FULL.internal.attacks, *FULL.internal.pairs):
        assert f"{one.value:.4f}" in words


def test_a_seeded_release_is_said_to_be_not_ready():
    assert "Not ready for release." in card_page(data_card(released(seed=0)))
    assert "Not ready for release." not in card_page(CARD)


def test_long_lists_are_cut_and_say_so():
    many = with_schema(
        columns=[column(categories=[f"v{i}" for i in range(40)])], label=None, positive=None
    )
    text = card_page(data_card(many))
    assert "v11 and 28 more" in text
    assert "v12" not in text


def test_what_is_empty_is_left_out_and_what_is_unknown_is_not_drawn():
    unknown = Measured("m", "", None, None, None)
    middle = Measured("m", "", 0.5, 0.0, 1.0, 0.5)
    part = replace(FULL.internal, columns=(), pairs=(unknown,), warnings=(middle,))
    text = card_page(CARD.with_internal(part))
    assert "Columns that fare worst" not in text
    pairs, care = (text.partition(f"<caption>{name}")[2] for name in ("Pairs of", "Shares of"))
    assert "circle" not in pairs.partition("</table>")[0]
    assert "n/a to n/a" in pairs.partition("</table>")[0]
    assert 'cx="60.0"' in care.partition("</table>")[0]  # the middle of the line


def test_a_card_that_is_not_ready_does_not_say_that_nothing_is_to_be_known():
    for seed, said in ((None, "None."), (0, "None but what stands at the top.")):
        (part,) = card_page(data_card(released(seed=seed))).split('id="warnings"')[1:]
        assert said in part.split("</section>")[0]
