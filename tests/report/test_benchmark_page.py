"""The page as text: whole, valid, closed to the network, and safe with any name in it."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
import sys
from html.parser import HTMLParser

import pytest
from made_page import CARD, MANIFEST, REASON, made_records

from dp_synth.errors import InputError
from dp_synth.report.benchmark_data import SURFACES
from dp_synth.report.benchmark_page import embedded, page, write_page
from dp_synth.report.charts import library
from dp_synth.report.pages import template, themed

VOID = {"meta", "input", "br", "link", "img", "hr"}
NASTY = "</script><script>alert(1)</script><!--"


class Outline(HTMLParser):
    """Reads a page: what stands in each element, and whether all are closed in their order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.raw = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.raw.append((tag, []))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == self.raw[-1][0]:
            self.raw[-1][1].append(data)

    def texts(self, tag):
        """The text of each such element, which holds no other."""
        return ["".join(parts) for name, parts in self.raw if name == tag]

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def text():
    return page(made_records(), manifests=[MANIFEST], cards=[CARD], stores=["small"])


def test_elements_are_closed_in_their_order_and_ids_are_one_each(text):
    outline = Outline(text)
    assert outline.open == []
    ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    references = [
        name
        for _, attributes in outline.tags
        for key in ("aria-labelledby", "aria-describedby")
        for name in (attributes.get(key) or "").split()
    ]
    links = [attributes["href"].removeprefix("#") for attributes in outline.all("a")]
    assert set(references + links) <= set(ids)


def test_a_reader_of_screens_finds_landmarks_headings_and_labels(text):
    outline = Outline(text)
    names = [name for name, _ in outline.tags]
    for landmark in ("header", "nav", "main", "footer"):
        assert names.count(landmark) == 1
    levels = [int(name[1]) for name in names if re.fullmatch("h[1-6]", name)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert outline.all("html") == [{"lang": "en"}]
    assert outline.all("a")[0]["class"] == "skip"
    assert all(
        "aria-label" in region or "aria-labelledby" in region
        for _, region in outline.tags
        if region.get("role") == "region"
    )


def test_nothing_is_asked_of_anybody(text):
    assert "http" not in text.replace("http-equiv", "").replace(library(), "")
    outline = Outline(text)
    assert not [a for _, a in outline.tags if "src" in a or "srcset" in a or "style" in a]
    assert not [a for _, a in outline.tags if any(key.startswith("on") for key in a)]
    assert {a["href"][0] for a in outline.all("a")} == {"#"}
    assert not re.search(r"@import|url\((?!#)", text.replace(library(), ""))


def test_the_policy_names_just_this_style_and_these_scripts(text):
    outline = Outline(text)
    policy = next(a["content"] for a in outline.all("meta") if "http-equiv" in a)
    assert policy.startswith("default-src 'none'; ")
    scripts = outline.texts("script")[1:]  # the first is data
    assert len(scripts) == 2
    for content in (*outline.texts("style"), *scripts):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert "unsafe" not in policy


def test_no_name_ends_the_script_or_becomes_an_element():
    records = made_records()
    records["dataset"] = records["dataset"].replace("census", NASTY)
    records["error"] = records["error"].replace(REASON, NASTY)
    manifest = MANIFEST | {NASTY: {NASTY: NASTY}}
    text = page(records, manifests=[manifest], cards=[CARD], stores=[NASTY])
    outline = Outline(text)
    assert outline.open == []
    assert len(outline.all("script")) == 3
    assert "alert(1)</script>" not in text
    assert not outline.all("b")
    assert NASTY in json.loads(outline.texts("script")[0])["datasets"]


def test_numbers_are_plain_json_that_html_cannot_read():
    assert json.loads(embedded({"a": "<&>"})) == {"a": "<&>"}
    with pytest.raises(ValueError, match="JSON"):
        embedded(float("nan"))


def test_failures_costs_manifests_and_cards_stand_in_the_text(text):
    assert "InputError: the schema names &lt;no&gt; label" in text
    assert "00ff" in text
    assert "Adult &amp; &lt;b&gt;MST&lt;/b&gt;" in text
    assert "blocking: seeded: not for release" in text
    assert "of 6 pairs 2 are &lt;not&gt; covered" in text
    assert "which is not differentially private" in text
    assert "0.123456" not in text  # what is internal to a card stays in it
    bare = page(made_records()[lambda rows: rows["error"] == ""])
    assert "No cell failed." in bare
    assert "No manifest was given" in bare


def test_the_script_can_be_read_at_one_go_and_the_surfaces_are_those_of_the_style():
    assert len(template("benchmark.js").splitlines()) < 200
    style = themed("benchmark.css")
    assert f"--panel: light-dark({SURFACES['light']}, {SURFACES['dark']});" in style


def test_the_file_is_whole_or_as_it_was(tmp_path):
    target = tmp_path / "report.html"
    assert write_page(made_records(), target) == target
    before = target.read_bytes()
    with pytest.raises(InputError, match="nothing to show"):
        write_page(made_records().head(0), target)
    assert target.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(InputError, match="cannot be written"):
        write_page(made_records(), tmp_path / "no" / "report.html")


def test_the_same_records_give_the_same_page(text):
    again = page(made_records(), manifests=[MANIFEST], cards=[CARD], stores=["small"])
    assert again == text


def test_without_the_extra_the_page_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "dp_synth.report.charts", None)
    with pytest.raises(InputError, match=r"pip install '\.\[report\]' in dp_synth's source folder"):
        page(made_records())


def test_every_measure_has_a_chart_and_the_menu_names_it(text):
    outline = Outline(text)
    data = json.loads(outline.texts("script")[0])
    offered = [a["value"] for a in outline.all("option")]
    assert {str(i) for i in range(len(data["charts"]))} <= set(offered)
    charted = {i for chart in data["charts"] for i in chart["measures"]}
    assert charted == set(range(len(data["measures"])))
    series = [one["name"] for one in data["series"]]
    for theme in ("light", "dark"):
        assert len(data["themes"][theme]["range"]["category"]) == len(series)
    for chart in (*data["charts"], data["tradeoff"]):
        layers = chart["spec"]["spec"]["layer"]
        colors = [one["encoding"].get("color") for one in layers]
        domains = [color["scale"]["domain"] for color in colors if color]
        assert domains
        assert all(domain == series for domain in domains)
