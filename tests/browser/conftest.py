"""A real browser, headless and closed to the network, and a page to open in it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from window import view

# The records are those of the page's other tests.
sys.path.insert(0, str(Path(__file__).parents[1] / "report"))

FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--window-size=1280,900"),
)


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield opened
    opened.quit()


@pytest.fixture(scope="session")
def address(tmp_path_factory):
    from made_page import CARD, MANIFEST, made_records

    from dp_synth.report.benchmark_page import write_page

    target = tmp_path_factory.mktemp("page") / "report.html"
    written = write_page(
        made_records(), target, manifests=[MANIFEST], cards=[CARD], stores=["small"]
    )
    return written.as_uri()


@pytest.fixture
def page(browser, address):
    """The page anew, wide and light; what a test says it asked for is its own."""
    browser.get_log("browser")
    browser.get_log("performance")
    view(browser, width=1280, dark=False)
    browser.get(address)
    return browser
