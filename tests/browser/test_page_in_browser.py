"""What a reader can do with the page, by real clicks and keys."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.browser

pytest.importorskip("selenium", reason="selenium is not installed")

from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402  # once it is there
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import Select  # noqa: E402
from window import view  # noqa: E402

CURVES, TRADEOFF = "#curves-figure", "#tradeoff-figure"

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


def lines(page, figure=CURVES):
    """The paths of the series that a figure draws."""
    selector = f"{figure} [data-series] > [clip-path] > path:not(.band)"
    drawn = page.find_elements(By.CSS_SELECTOR, selector)
    return [path.get_attribute("d") for path in drawn]


def rows(page):
    """The texts of the ranking's rows, a list each."""
    script = "return [...document.querySelectorAll('#ranks tbody tr')].map((row) => "
    return page.execute_script(f"{script} [...row.cells].map((cell) => cell.textContent))")


def choose(page, name, text):
    Select(one(page, f"#{name}")).select_by_visible_text(text)


def focused(page, what="aria-label"):
    return page.switch_to.active_element.get_attribute(what)


def press(page, *keys):
    for key in keys:
        ActionChains(page).send_keys(key).perform()


def test_another_table_and_another_metric_draw_other_curves(page):
    first = lines(page)
    assert len(first) == 6  # four methods and two baselines
    choose(page, "dataset", "census")
    assert "census" in one(page, "#curves-text").text
    choose(page, "metric", "AUC on held-out rows: gradient boosting")
    assert lines(page) != first
    assert "gradient boosting, census" in one(page, "#status").get_attribute("textContent")
    assert "No table has both" in one(page, TRADEOFF).text  # census was not attacked


def test_leakage_has_attacks_a_chance_line_and_a_ceiling(page):
    one(page, "input[value=leakage]").click()
    assert "closest record" in one(page, "#curves-text").text
    assert page.find_elements(By.CSS_SELECTOR, f"{CURVES} .chance")
    assert page.find_elements(By.CSS_SELECTOR, f"{CURVES} .ceiling")
    before = one(page, "#tradeoff-text").text, lines(page, TRADEOFF)
    choose(page, "attack", "density ratio")
    assert "density ratio" in one(page, "#curves-text").text
    assert one(page, "#tradeoff-text").text == before[0]
    choose(page, "metric", "TPR at 1 % FPR, all targets")
    assert one(page, "#log").is_selected()
    assert not page.find_elements(By.CSS_SELECTOR, f"{CURVES} .ceiling")


def test_a_logarithmic_scale_moves_the_points(page):
    first = lines(page)
    one(page, "#log").click()
    assert lines(page) != first


def test_the_tradeoff_has_a_view_of_its_own(page):
    first = lines(page, TRADEOFF)
    choose(page, "trade-utility", "AUC on held-out rows: gradient boosting")
    second = lines(page, TRADEOFF)
    choose(page, "trade-leakage", "TPR at 1 % FPR, all targets")
    assert first != second != lines(page, TRADEOFF)


def test_the_legend_hides_and_shows_a_series(page):
    button = one(page, "#legend li:not([hidden]) button")
    name = button.text.splitlines()[0]
    count = len(lines(page))
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert len(lines(page)) == count - 1
    one(page, "#curves summary").click()
    numbers = page.find_elements(By.CSS_SELECTOR, "#curves details tbody th")
    assert numbers
    assert name not in {cell.text for cell in numbers}
    button.send_keys(Keys.SPACE)
    assert len(lines(page)) == count
    one(page, "#none").click()
    assert lines(page) == []
    assert "Nothing is shown" in one(page, CURVES).text
    one(page, "#all").click()
    assert len(lines(page)) >= count


def test_a_peer_is_drawn_otherwise_and_says_what_it_is(page):
    peer = one(page, "#legend .peer").find_element(By.XPATH, "./ancestor::button")
    assert "declares its own budget" in peer.text
    fills = [
        page.execute_script("return getComputedStyle(arguments[0]).fill", one(page, selector))
        for selector in (f"{CURVES} .peer .mark path", f"{CURVES} .fitted .mark path")
    ]
    assert fills[0] == "rgb(255, 255, 255)" != fills[1]


def test_pointing_at_a_mark_tells_its_numbers(page):
    mark = one(page, f"{CURVES} .fitted .mark circle")
    ActionChains(page).move_to_element(mark).perform()
    tip = one(page, "#tip")
    assert tip.value_of_css_property("visibility") == "visible"
    assert "3 seeds" in tip.text
    assert " to " in tip.text
    faint = page.find_elements(By.CSS_SELECTOR, f"{CURVES} .faint")
    assert len(faint) == len(lines(page)) - 1
    ActionChains(page).move_to_element(one(page, "h1")).perform()
    assert tip.value_of_css_property("visibility") == "hidden"


def test_the_keyboard_alone_goes_everywhere(page):
    press(page, Keys.TAB)
    assert page.switch_to.active_element.text == "Skip to the figures"
    press(page, Keys.ENTER, Keys.TAB)
    assert focused(page, "id") == "dataset"
    press(page, Keys.ARROW_DOWN)
    assert "census" in one(page, "#curves-text").text
    for _ in range(40):
        press(page, Keys.TAB)
        if focused(page, "role") == "img":
            break
    first = focused(page)
    assert "ε 0.1" in first
    assert first.endswith("3 seeds")
    press(page, Keys.ARROW_RIGHT)
    assert "ε 1" in focused(page)
    assert first.split(",")[0] in focused(page)
    press(page, Keys.ARROW_DOWN)
    assert "ε 1" in focused(page)
    assert first.split(",")[0] not in focused(page)
    press(page, Keys.END)
    assert "ε 10" in focused(page)
    tip = one(page, "#tip")
    assert tip.value_of_css_property("visibility") == "visible"
    press(page, Keys.ESCAPE)
    assert tip.value_of_css_property("visibility") == "hidden"
    press(page, Keys.TAB)
    assert focused(page, "role") != "img"  # one stop a figure: arrows move inside it


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


def test_tables_that_python_wrote_sort_as_well(page):
    column = "#costs tbody tr td:nth-child(2)"
    before = [cell.text for cell in page.find_elements(By.CSS_SELECTOR, column)]
    one(page, "#costs thead th:nth-child(2) button").click()
    after = [cell.text for cell in page.find_elements(By.CSS_SELECTOR, column)]
    assert after == sorted(before)


def test_filters_leave_just_what_they_name(page):
    every = len(rows(page))
    one(page, "#filter-text").send_keys("smart")
    found = rows(page)
    assert 0 < len(found) < every
    assert {row[0] for row in found} == {"smartnoise/mst"}
    assert one(page, "#count").text.startswith(f"{len(found)} of ")
    choose(page, "filter-dataset", "census")
    choose(page, "filter-epsilon", "10")
    choose(page, "filter-metric", "utility: AUC on held-out rows: gradient boosting")
    (row,) = rows(page)
    assert (row[1], row[3], row[6]) == ("census", "10", "2")
    one(page, "#filter-text").clear()
    choose(page, "filter-epsilon", "none (baselines)")
    assert {row[0] for row in rows(page)} == {"fresh real rows", "independent columns, no noise"}


def background(page):
    return one(page, "body").value_of_css_property("background-color")


def test_the_theme_is_the_systems_until_the_button_is_pressed(page, address):
    light, button = background(page), one(page, "#theme")
    button.click()
    dark = background(page)
    assert dark != light
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    assert background(page) == light
    view(page, width=1280, dark=True)
    page.get(address)
    assert background(page) == dark
    assert one(page, "#theme").get_attribute("aria-pressed") == "true"


@pytest.mark.parametrize("dark", [False, True])
def test_every_text_can_be_read(page, address, dark):
    view(page, width=1280, dark=dark)
    page.get(address)
    one(page, "#curves summary").click()
    seen, low = page.execute_script(LOW_CONTRAST)
    assert seen > 200
    assert low == []


@pytest.mark.parametrize("width", [320, 390, 800])
def test_a_narrow_screen_needs_no_scrolling_aside(page, address, width):
    view(page, width=width, dark=False)
    page.get(address)
    one(page, "#curves summary").click()
    wide = page.execute_script("return document.documentElement.scrollWidth")
    assert wide <= width
    svg = one(page, f"{CURVES} svg")
    assert svg.size["width"] > 0.7 * width
    labels = page.find_elements(By.CSS_SELECTOR, f"{CURVES} text")
    assert {label.value_of_css_property("font-size") for label in labels} <= {"12px", "13px"}


def test_nothing_is_asked_of_the_network_and_nothing_goes_wrong(page, address):
    for control in ("input[value=leakage]", "#theme", "#none", "#all", "#ranks thead button"):
        one(page, control).click()
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


def test_on_paper_the_page_is_light_and_whole(page):
    one(page, "#theme").click()
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not one(page, "#controls").is_displayed()
    colors = one(page, "h1").value_of_css_property("color")
    assert colors == "rgba(27, 30, 35, 1)"
    assert page.execute_script(
        "return document.querySelector('#ranking .scroll').scrollHeight"
        " <= document.querySelector('#ranking .scroll').clientHeight + 1"
    )
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
