"""The report in a real browser: quiet, alone, readable at every width, dark and on paper."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from .example_runs import RUNS

# A page takes about a second to draw and look at.
pytestmark = pytest.mark.slow

DESKTOP: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
BOTH = pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])

# What is wrong with the charts that are shown: text that sticks out of its chart, that lies on
# other text, or that is too small to read, and a chart that sticks out of the window.
FAULTS = """() => {
  const faults = [];
  const shown = [...document.querySelectorAll('.chart svg')].filter(svg => svg.checkVisibility());
  for (const svg of shown) {
    const frame = svg.getBoundingClientRect();
    const scale = frame.width / svg.viewBox.baseVal.width;
    if (frame.left < 0 || frame.right > innerWidth + 1) faults.push('a chart is clipped');
    const texts = [...svg.querySelectorAll('text')].map(text =>
      ({text, box: text.getBoundingClientRect(), said: text.textContent}));
    for (const {text, box, said} of texts) {
      if (box.left < frame.left - 1 || box.right > frame.right + 1 ||
          box.top < frame.top - 1 || box.bottom > frame.bottom + 1)
        faults.push(`'${said}' sticks out`);
      const size = scale * parseFloat(getComputedStyle(text).fontSize);
      if (size < 11) faults.push(`'${said}' is ${size} px`);
    }
    texts.forEach((one, index) => texts.slice(index + 1).forEach(other => {
      if (one.box.left < other.box.right - 1 && other.box.left < one.box.right - 1 &&
          one.box.top < other.box.bottom - 3 && other.box.top < one.box.bottom - 3)
        faults.push(`'${one.said}' lies on '${other.said}'`);
    }));
  }
  return [shown.length, faults];
}"""

# Colours of the page, and of the text, axes and grid of a chart.
COLOURS = """() => [
  getComputedStyle(document.body).backgroundColor,
  getComputedStyle(document.querySelector('.chart.wide text')).fill,
  getComputedStyle(document.querySelector('.chart.wide [style*="stroke: var(--muted)"]')).stroke,
  getComputedStyle(document.querySelector('.chart.wide [style*="stroke: var(--grid)"]')).stroke,
]"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = shutil.which("chromium")
    if executable is None:
        if os.environ.get("RAFTMARK_NO_BROWSER") == "1":
            pytest.skip("RAFTMARK_NO_BROWSER=1")
        pytest.fail(
            "there is no chromium to look at the report with: install the apt package chromium, "
            "or set RAFTMARK_NO_BROWSER=1 to go without these tests"
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def show(browser: Browser, report_file: Callable[[str], Path]) -> Iterator[Callable[..., Page]]:
    """Open the report on a run; whatever a page says or asks for beyond itself fails the test."""
    said: list[str] = []
    asked: list[str] = []
    expected: list[str] = []
    pages: list[Page] = []

    def show(
        name: str, viewport: ViewportSize = DESKTOP, scheme: Literal["light", "dark"] = "light"
    ) -> Page:
        page = browser.new_page(viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        pages.append(page)
        expected.append(report_file(name).as_uri())
        page.goto(expected[-1])
        return page

    yield show
    for page in pages:
        page.close()
    assert said == []
    assert [url for url in asked if not url.startswith("data:,")] == expected


@BOTH
@pytest.mark.parametrize("name", RUNS)
def test_nothing_is_cut_off(show: Callable[..., Page], name: str, viewport: ViewportSize) -> None:
    page = show(name, viewport)
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    shown, faults = page.evaluate(FAULTS)
    assert shown == page.locator("figure").count()
    assert faults == []


def test_tables_fit_a_desktop(show: Callable[..., Page]) -> None:
    page = show("complete")
    for folded in page.locator("summary").all():
        folded.click()
    widths = page.evaluate(
        "[...document.querySelectorAll('.scroll')].map(s => [s.scrollWidth, s.clientWidth])"
    )
    assert len(widths) >= 7
    assert all(wanted <= given for wanted, given in widths)


def test_the_first_screen_has_the_answer_and_the_verdict(show: Callable[..., Page]) -> None:
    page = show("complete")
    for part in (".answer", "table.verdict"):
        box = page.locator(part).bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= DESKTOP["height"]


def test_dark_mode_has_colours_of_its_own(show: Callable[..., Page]) -> None:
    light, dark = (
        show("complete", scheme=scheme).evaluate(COLOURS) for scheme in ("light", "dark")
    )
    assert all(one != other for one, other in zip(light, dark, strict=True))


def test_it_prints_with_all_that_is_folded(show: Callable[..., Page]) -> None:
    page = show("complete", scheme="dark")
    assert page.pdf(format="A4").startswith(b"%PDF-")
    page.set_viewport_size({"width": 718, "height": 1000})  # A4 less the usual margins
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("document.documentElement.scrollWidth") <= 718
    assert not page.locator("nav").is_visible()
    folded = page.locator("details table")
    assert folded.count() == 2
    for table in folded.all():
        assert (table.bounding_box() or {"height": 0})["height"] > 100


def test_links_lead_to_their_sections(show: Callable[..., Page]) -> None:
    page = show("complete")
    links = page.locator("nav a")
    assert links.count() == 7
    for link in links.all():
        link.click()
        target = page.locator(page.evaluate("location.hash"))
        assert target.locator("h2").first.inner_text() == link.inner_text()


@BOTH
def test_two_contenders_stand_side_by_side(
    show: Callable[..., Page], viewport: ViewportSize
) -> None:
    page = show("complete", viewport=viewport)
    section = page.locator("#side-by-side")
    section.get_by_label("Left").select_option("asyncio")
    section.get_by_label("Right").select_option("multiprocessing")
    columns = section.locator(".columns").first.locator(".column:visible")
    assert [columns.nth(n).get_attribute("data-contender") for n in range(columns.count())] == [
        "asyncio",
        "multiprocessing",
    ]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
