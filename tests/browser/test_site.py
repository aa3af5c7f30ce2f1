"""The documentation as a reader finds it: searched, linked, on a phone, in the dark."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

pytest.importorskip("selenium", reason="selenium is not installed")
pytest.importorskip("sphinx", reason="the extra docs is not installed")

from built_site import dead_links, loaded_from_elsewhere, pages  # noqa: E402  # beside this file
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402  # once it is there
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402
from test_page_in_browser import LOW_CONTRAST  # noqa: E402
from window import view  # noqa: E402

ROOT = Path(__file__).parents[2]
LOOKED_AT = (
    "index.html",
    "how-to/own-table.html",
    "explanation/hazards.html",
    "reference/commands.html",
    "reference/api/audit.html",
    "synthesizers.html",
)
PATIENCE = 30  # seconds


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The site, built anew, or where SITE says that it is."""
    if built := os.environ.get("SITE"):
        return Path(built).resolve()
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    done = subprocess.run(
        [*command, str(ROOT / "docs"), str(target)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture(scope="session")
def known(site):
    """Every page of the site, read."""
    return pages(site)


def opened(browser, site, name, *, width=1280, dark=False):
    view(browser, width=width, dark=dark)
    browser.get((site / name).as_uri())
    return browser


def test_no_internal_link_is_dead(known):
    assert len(known) > 40
    assert dead_links(known) == []


def test_nothing_is_loaded_from_elsewhere(browser, site, known):
    assert loaded_from_elsewhere(known) == []
    browser.get_log("performance")
    opened(browser, site, "index.html")
    events = [json.loads(line["message"])["message"] for line in browser.get_log("performance")]
    asked = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert asked
    assert [url for url in asked if not url.startswith(("file:", "data:", "chrome"))] == []


def test_a_dead_link_and_a_foreign_script_are_noticed(tmp_path):
    (tmp_path / "index.html").write_text(
        '<p id="here"><a href="#here"></a><a href="#gone"></a><a href="none.html"></a>'
        '<script src="https://example.org/x.js"></script>'
    )
    assert dead_links(pages(tmp_path)) == ["index: #gone", "index: none.html"]
    assert len(loaded_from_elsewhere(pages(tmp_path))) == 1


def test_every_figure_has_an_alternative_text(known):
    told = {path: page.alternatives for path, page in known.items() if page.alternatives}
    assert told
    short = [
        (path.stem, text)
        for path, texts in told.items()
        for text in texts
        if len((text or "").split()) < 4
    ]
    assert short == []


@pytest.mark.parametrize(
    ("words", "page"),
    [
        ("hazards floating", "explanation/hazards"),
        ("clopper_pearson_bound", "reference/api/audit"),
        ("impossible constraints schema file", "reference/schema-file"),
    ],
)
def test_a_search_finds_the_page_without_a_network(browser, site, words, page):
    opened(browser, site, "index.html")
    browser.find_element(By.CSS_SELECTOR, "button.search-button__button").click()
    field = WebDriverWait(browser, PATIENCE).until(
        lambda b: next(
            e for e in b.find_elements(By.CSS_SELECTOR, "input[type=search]") if e.is_displayed()
        )
    )
    field.send_keys(words, Keys.ENTER)
    found = WebDriverWait(browser, PATIENCE).until(
        lambda b: b.find_elements(By.CSS_SELECTOR, "#search-results li a")
    )
    assert any(page in (link.get_attribute("href") or "") for link in found)


@pytest.mark.parametrize("dark", [False, True])
def test_the_keyboard_reaches_the_content_and_the_theme_is_the_systems(browser, site, dark):
    opened(browser, site, "index.html", dark=dark)
    theme = browser.execute_script("return document.documentElement.dataset.theme")
    assert theme == ("dark" if dark else "light")
    ActionChains(browser).send_keys(Keys.TAB).perform()
    focused = browser.switch_to.active_element.get_attribute("textContent")
    assert "Skip to main content" in (focused or "")


def test_no_page_is_wider_than_a_phone(browser, site, known):
    wide = []
    written = [path for path in known if "_modules" not in path.parts]
    assert len(written) > 40
    for path in written:
        opened(browser, site, path.relative_to(site), width=390)
        width = browser.execute_script("return document.documentElement.scrollWidth")
        if width > 390:
            wide.append((path.relative_to(site), width))
    assert wide == []


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("name", LOOKED_AT)
def test_text_stands_out_from_what_lies_behind_it(browser, site, name, dark):
    opened(browser, site, name, dark=dark)
    assert browser.execute_script(LOW_CONTRAST)[0] > 50
    WebDriverWait(browser, PATIENCE).until(  # colours fade in when a theme is chosen
        lambda b: not b.execute_script(LOW_CONTRAST)[1], f"{name}: text of low contrast"
    )
