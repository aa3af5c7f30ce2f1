"""What a reader can do with the page, by real clicks and keys."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.browser

pytest.importorskip("selenium", reason="selenium is not installed")

from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402  # once it is there
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402
from window import view  # noqa: E402

CURVES, TRADEOFF = "#curves-figure", "#tradeoff-figure"
PATIENCE = 60  # seconds
LINES = "g.mark-line path"
RATE = "TPR at 1 % FPR, all targets (low is good)"

# The contrast ratio of each text and what lies behind it, for those below 4.5 (WCAG 2.2, 1.4.3).
LOW_CONTRAST = """
const channels = (color) => color.match(/[\\d.]+/g).map(Number);
const linear = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
const behind = (node) => {
  for (; node; node = node.parentElement) {
    const color = channels(getComputedStyle(node).backgroundColor);
    if (color.length === 3 || color[3] === 1) return color;
  }
  return [255, 255, 255];
};
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
let seen = 0;
while (walker.nextNode()) {
  const node = walker.currentNode.parentElement;
  const box = node.getBoundingClientRect(), style = getComputedStyle(node);
  if (["SCRIPT", "STYLE", "NOSCRIPT"].includes(node.tagName)) continue;
  if (!walker.currentNode.data.trim()) continue;
  if (!box.width || style.visibility === "hidden" || node.closest(":disabled")) continue;
  const text = channels(node.namespaceURI.endsWith("svg") ? style.fill : style.color);
  const [a, b] = [light(text), light(behind(node))].sort((x, y) => x - y);
  seen += 1;
  const ratio = (b + 0.05) / (a + 0.05);
  if (ratio < 4.5) found.push([walker.currentNode.data.trim(), ratio]);
}
return [seen, found];
"""


def one(page, selector):
    return page.find_element(By.CSS_SELECTOR, selector)


def drawn(page, figure=CURVES, marks=LINES):
    """The shapes that a figure draws, as soon as it draws any."""
    script = f"return [...document.querySelectorAll('{figure} {marks}')].map((it) => "
    script += "it.getAttribute('d') + it.getAttribute('transform'))"
    return WebDriverWait(page, PATIENCE).until(lambda _: page.execute_script(script))


def changed(page, before, figure=CURVES):
    """What a figure draws once that is no more what it drew before."""
    return WebDriverWait(page, PATIENCE).until(
        lambda _: next((now for now in [drawn(page, figure)] if now != before), None)
    )


def rows(page):
    """The texts of the ranking's rows, a list each."""
    script = "return [...document.querySelectorAll('#ranks tbody tr')].map((row) => "
    return page.execute_script(f"{script} [...row.cells].map((cell) => cell.textContent))")


def choose(page, selector, text):
    Select(one(page, selector)).select_by_visible_text(text)


def press(page, *keys):
    for key in keys:
        ActionChains(page).send_keys(key).perform()


def background(page):
    return one(page, "body").value_of_css_property("background-color")


def test_measures_and_attacks_are_chosen_and_each_draws_its_own_curves(page):
    first = drawn(page)
    assert len(first) == 8  # of four methods on two tables
    choose(page, "#chart", "attack AUC, all targets (low is good)")
    second = changed(page, first)
    assert len(second) == 5  # the ceiling is one of them; one table was attacked
    assert len(drawn(page, marks="g.mark-rule.role-mark line")) == 3  # two baselines, and chance
    choose(page, "#curves-choices select", "density ratio")
    assert one(page, f"{CURVES} svg").is_displayed()
    choose(page, "#chart", RATE)
    assert len(changed(page, second)) == 4  # no ceiling is known of rates


def test_the_tradeoff_has_axes_of_its_own(page):
    first = drawn(page, TRADEOFF)
    utility, leakage = (
        "#tradeoff-choices select[name=gives]",
        "#tradeoff-choices select[name=leaks]",
    )
    choose(page, utility, "AUC on held-out rows: gradient boosting (high is good)")
    second = changed(page, first, TRADEOFF)
    choose(page, leakage, "TPR at 1 % FPR, all targets: closest record (low is good)")
    changed(page, second, TRADEOFF)


def test_a_mark_tells_its_numbers_and_the_legend_points_a_series_out(page):
    drawn(page)
    mark = one(page, f"{CURVES} g.mark-symbol path[aria-roledescription=point]")
    assert "ε" in mark.get_attribute("aria-label")
    ActionChains(page).move_to_element(mark).perform()
    tip = WebDriverWait(page, PATIENCE).until(lambda b: one(b, "#vg-tooltip-element.visible"))
    assert " to " in tip.text  # the ends of an interval
    before = page.find_elements(By.CSS_SELECTOR, f"{CURVES} {LINES}[opacity='0.1']")
    assert before == []
    one(page, f"{CURVES} .role-legend-symbol path").click()
    WebDriverWait(page, PATIENCE).until(
        lambda b: len(b.find_elements(By.CSS_SELECTOR, f"{CURVES} {LINES}[opacity='0.1']")) == 6
    )


def test_the_keyboard_alone_chooses_sorts_and_filters(page):
    first = drawn(page)
    press(page, Keys.TAB)
    assert page.switch_to.active_element.text == "Skip to the figures"
    press(page, Keys.ENTER, Keys.TAB)
    assert page.switch_to.active_element.get_attribute("id") == "chart"
    press(page, Keys.ARROW_DOWN)
    changed(page, first)
    for _ in range(12):
        press(page, Keys.TAB)
        if page.switch_to.active_element.get_attribute("id") == "filter-text":
            break
    press(page, *"smart")
    found = rows(page)
    assert {row[0] for row in found} == {"smartnoise/mst (peer)"}
    assert one(page, "#count").text.startswith(f"{len(found)} of ")


def test_a_column_sorts_both_ways_and_says_so(page):
    head = one(page, "#ranks thead th:nth-child(5)")
    button = head.find_element(By.TAG_NAME, "button")
    button.click()
    values = [float(row[4].split()[0]) for row in rows(page)]
    assert head.get_attribute("aria-sort") == "ascending"
    assert values == sorted(values)
    assert len(set(values)) > 3
    button.send_keys(Keys.ENTER)
    assert head.get_attribute("aria-sort") == "descending"
    assert [float(row[4].split()[0]) for row in rows(page)] == sorted(values, reverse=True)
    assert len(page.find_elements(By.CSS_SELECTOR, "#ranks [aria-sort]")) == 1
    one(page, "#ranks thead th:nth-child(7) button").click()
    ranks = [row[6] for row in rows(page)]
    known = [float(rank) for rank in ranks if rank != "–"]  # noqa: RUF001
    assert known == sorted(known)
    assert set(ranks[len(known) :]) == {"–"}  # noqa: RUF001  # baselines stay last
    column = "#costs tbody tr td:nth-child(2)"  # of a table that Python wrote
    before = [cell.text for cell in page.find_elements(By.CSS_SELECTOR, column)]
    one(page, "#costs thead th:nth-child(2) button").click()
    assert [cell.text for cell in page.find_elements(By.CSS_SELECTOR, column)] == sorted(before)


def test_filters_leave_just_what_they_name(page):
    every = len(rows(page))
    choose(page, "#filter-dataset", "census")
    choose(page, "#filter-epsilon", "10")
    choose(page, "#filter-measure", "utility: AUC on held-out rows: gradient boosting")
    ranks = {row[0]: row[6] for row in rows(page)}
    assert ranks["smartnoise/mst (peer)"] == "2"
    assert len(ranks) == 4 < every
    choose(page, "#filter-epsilon", "none (baselines)")
    assert {row[0] for row in rows(page)} == {"fresh real rows", "independent columns, no noise"}


def test_the_theme_is_the_systems_until_the_button_is_pressed_and_paper_is_light(page, address):
    light, button = background(page), one(page, "#theme")
    button.click()
    dark = background(page)
    assert dark != light
    assert button.get_attribute("aria-pressed") == "true"
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not one(page, "#filters").is_displayed()
    assert one(page, "h1").value_of_css_property("color") == "rgba(27, 30, 35, 1)"
    assert button.get_attribute("aria-pressed") == "false"
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    view(page, width=1280, dark=True)
    page.get(address)
    assert background(page) == dark
    assert one(page, "#theme").get_attribute("aria-pressed") == "true"


@pytest.mark.parametrize(
    ("width", "dark"), [(1280, False), (1280, True), (390, True), (320, False)]
)
def test_every_text_can_be_read_at_any_width_and_in_both_themes(page, address, width, dark):
    view(page, width=width, dark=dark)
    page.get(address)
    drawn(page)
    drawn(page, TRADEOFF)
    seen, low = page.execute_script(LOW_CONTRAST)
    assert seen > 200
    assert low == []
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    assert 0.6 * min(width, 800) < one(page, f"{CURVES} svg").size["width"] <= width


def test_nothing_is_asked_of_the_network_and_nothing_goes_wrong(page, address):
    drawn(page)
    for control in ("#theme", "#ranks thead button"):
        one(page, control).click()
    drawn(page, TRADEOFF)
    asked = [
        json.loads(entry["message"])["message"]["params"]["request"]["url"]
        for entry in page.get_log("performance")
        if '"Network.requestWillBeSent"' in entry["message"]
    ]
    assert set(asked) <= {address}
    assert page.get_log("browser") == []
    refused = page.execute_async_script(
        "const done = arguments[0];"
        "fetch('http://127.0.0.1:9/').then(() => done(false), () => done(true))"
    )
    assert refused
    assert "Content Security Policy" in page.get_log("browser")[0]["message"]
