"""The page in headless Chromium, from the disk: it opens, filters, compares, has links, and does not complain."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator

import pytest

from latentvla_agent.viewer.site_data import scene_path
from tests.evaluation.test_report import HOSTILE
from tests.viewer.browser import Browser
from tests.viewer.synthetic_site import SiteSize, make_shown_runs, write_synthetic_site

pytestmark = pytest.mark.slow

SIZE = SiteSize(agents=("first", "second", HOSTILE))
RUNS = make_shown_runs(SIZE)
ROWS = {name: {row.token: row for row in result.rows} for name, result in RUNS.agents.items()}
LOST_DAC = [t for t, row in ROWS["first"].items() if row.valid and row.sub_scores["drivable_area_compliance"] == 0.0]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Its address."""
    folder = tmp_path_factory.mktemp("site")
    write_synthetic_site(folder, SIZE)
    return (folder / "index.html").as_uri()


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests."""
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture()
def browser(window: Browser) -> Iterator[Browser]:
    """Whatever a test does, the page may not complain, nor ask for anything but files of the site."""
    window.events.clear()
    yield window
    window.ask("new Promise((done) => setTimeout(done, 50))")
    assert window.complaints == []
    assert {address.split(":")[0] for address in window.requested} <= {"file", "about", "data"}


def text(browser: Browser, selector: str) -> Any:
    """What an element says."""
    return browser.ask(f"document.querySelector({selector!r}).textContent")


def chosen(browser: Browser) -> Any:
    """The token of the scene that is shown."""
    return text(browser, "#card code")


def test_it_opens_with_the_worst_scene(page: str, browser: Browser) -> None:
    browser.open(page)
    assert text(browser, "#title") == "PDMS of 3 agents on synthetic"
    assert text(browser, "#status").startswith(f"{SIZE.scenes} of {SIZE.scenes} scenes; mean PDMS there: first ")
    worst = min(ROWS["first"].values(), key=lambda row: (round(row.score, 4), row.token))
    assert chosen(browser) == worst.token
    browser.wait("document.querySelector('.camera svg .photo-ribbon')")
    assert browser.ask("document.querySelectorAll('#card .proposal').length") == 64
    assert browser.ask("document.querySelectorAll('#card .code').length") == 12
    assert browser.ask("document.querySelectorAll('#card .bev .vehicle').length") >= 1


def test_a_filter_narrows_the_list(page: str, browser: Browser) -> None:
    browser.open(page)
    browser.click("[data-key='column 1']")
    browser.wait(f"document.querySelector('#status').textContent.startsWith('{len(LOST_DAC)} of')")
    assert "with DAC lost by first" in text(browser, "#status") and chosen(browser) in LOST_DAC
    assert browser.ask("location.hash") == f"#a=first&scene={chosen(browser)}&lost=DAC"
    assert browser.ask("document.querySelectorAll('#list .item').length") == len(LOST_DAC)
    browser.click("[data-key='column 1']")
    kept = sum(row.valid for row in ROWS["first"].values()) - len(LOST_DAC)
    browser.wait(f"document.querySelector('#status').textContent.startsWith('{kept} of')")
    browser.press("r")
    browser.wait(f"document.querySelector('#status').textContent.startsWith('{SIZE.scenes} of {SIZE.scenes}')")


def test_tags_and_text_narrow_it_too(page: str, browser: Browser) -> None:
    browser.open(page)
    browser.click("[data-key='tag fog']")
    browser.wait(f"document.querySelector('#status').textContent.startsWith('{len(range(1, 60, 7))} of')")
    browser.press("/")
    browser.press("b")
    fogs = [f"{number:016x}" for number in range(1, 60, 7)]
    expected = sum("b" in token for token in fogs)
    browser.wait(f"document.querySelector('#status').textContent.startsWith('{expected} of')")


def test_two_agents_are_compared(page: str, browser: Browser) -> None:
    browser.open(f"{page}#a=first&b=second&sort=difference")
    difference = {t: row.score - ROWS["second"][t].score for t, row in ROWS["first"].items()}
    lowest = min(difference, key=lambda token: (round(difference[token], 4), token))
    assert chosen(browser) == lowest
    assert browser.ask("document.querySelectorAll('#card .agent-side').length") == 2
    shown = text(browser, "#card tbody tr:last-child .difference")
    assert float(shown) == pytest.approx(100 * difference[lowest], abs=0.06)
    browser.click("[data-key='ahead a']")
    ahead = sum(value > 5e-5 for value in difference.values())
    browser.wait(f"document.querySelector('#status').textContent.startsWith('{ahead} of')")
    browser.press("s")
    browser.wait("location.hash.startsWith('#a=second&b=first')")
    behind = sum(value < -5e-5 for value in difference.values())
    browser.wait(f"document.querySelector('#status').textContent.startsWith('{behind} of')")


def test_a_link_restores_filter_scene_and_agents(page: str, browser: Browser) -> None:
    token = LOST_DAC[-1]
    browser.open(f"{page}#a=first&b=second&scene={token}&lost=DAC&order=desc")
    assert chosen(browser) == token and text(browser, "#direction") == "highest first"
    assert browser.ask("document.querySelector(\"[data-key='column 1']\").getAttribute('aria-pressed')") == "true"
    assert browser.ask("location.hash") == f"#a=first&b=second&scene={token}&lost=DAC&order=desc"
    browser.ask("location.hash = '#a=second&tag=cut_in'")
    browser.wait("document.querySelector('#status').textContent.includes('with cut_in')")
    browser.open(f"{page}#a=nobody&lost=XX")
    assert text(browser, "#notes") == "The link names what is not here: a nobody, lost XX."


def test_keys_walk_through_scenes_and_time(page: str, browser: Browser) -> None:
    browser.open(f"{page}#sort=order")
    assert chosen(browser) == f"{0:016x}"
    for key, token in (("j", 1), ("j", 2), ("k", 1), ("End", 59), ("Home", 0)):
        browser.press(key)
        browser.wait(f"document.querySelector('#card code').textContent === '{token:016x}'")
    before = browser.ask("document.querySelector('#card .ego.own').getAttribute('transform')")
    for _ in range(5):
        browser.press("ArrowRight")
    assert text(browser, ".clock") == "0.5 s"
    assert browser.ask("document.querySelector('#card .ego.own').getAttribute('transform')") != before
    browser.press("p")
    browser.wait("document.querySelectorAll('#card .proposal').length === 0")
    browser.press("p")
    browser.wait("document.querySelectorAll('#card .proposal').length === 64")
    browser.press("?")
    browser.wait("document.querySelector('#help').open")


def test_pictures_are_a_list_too(page: str, browser: Browser) -> None:
    browser.open(f"{page}#view=pictures&b=second")
    browser.wait("document.querySelectorAll('#list .tile .bev').length >= 6")
    browser.press("g")
    browser.wait("document.querySelectorAll('#list .row').length > 10")


def test_a_file_of_another_scene_is_not_drawn(tmp_path: Path, browser: Browser) -> None:
    write_synthetic_site(tmp_path, SIZE)
    mine, other = (tmp_path / scene_path(number, "js") for number in (0, 1))
    mine.write_bytes(other.read_bytes().replace(b'"1"', b'"0"', 1))
    tokens = list(RUNS.logs)
    browser.open(f"{(tmp_path / 'index.html').as_uri()}#scene={tokens[0]}")
    assert text(browser, "#card .status") == f"Not drawn: its file is of scene {tokens[1]}"


def test_a_site_that_is_not_finished_says_so(tmp_path: Path, window: Browser) -> None:
    write_synthetic_site(tmp_path, SIZE)
    (tmp_path / "site.js").unlink()
    window.send("Page.navigate", url=(tmp_path / "index.html").as_uri())
    window.wait("document.querySelector('#title')?.textContent.startsWith('This site is not finished')")


def test_what_a_file_says_is_text(page: str, browser: Browser) -> None:
    browser.open(page)
    browser.ask("chooseAgents(2, 0)")
    browser.wait("document.querySelectorAll('#card .agent-side').length === 2")
    assert HOSTILE in text(browser, "#card .agent-side strong")
    browser.open(f"{page}#a=first&failed=1")
    assert "ValueError: no <b>plan</b>" in text(browser, "#card figcaption")
    assert browser.ask("document.querySelectorAll('#card figcaption b').length") == 1
