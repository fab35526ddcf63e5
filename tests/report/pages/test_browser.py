"""The report in a real browser: quiet, alone, readable at every width, dark and on paper."""

from __future__ import annotations

import csv
import gzip
import io
import struct
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, ViewportSize

from tests.report.example_runs import RUNS
from tests.report.synthetic_runs import LABELS

# A page takes some seconds to draw and look at, and minutes where much else runs.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

DESKTOP: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
PAPER = (702, 1016)  # A4 less the page's margins
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
  const charts = [...document.querySelectorAll('.chart')].filter(each => each.checkVisibility());
  return [charts.length, faults];
}"""

# Colours of the page, and of the text, axes and grid of a chart.
COLOURS = """() => [
  getComputedStyle(document.body).backgroundColor,
  getComputedStyle(document.querySelector('.wide text')).fill,
  getComputedStyle(document.querySelector('.wide [style*="stroke: var(--muted)"]')).stroke,
  getComputedStyle(document.querySelector('.wide [style*="stroke: var(--grid)"]')).stroke,
]"""


@pytest.fixture
def show(browser: Browser, report_file: Callable[[str], Path]) -> Iterator[Callable[..., Page]]:
    """Open the report on a run; whatever a page says or asks for beyond itself fails the test."""
    said: list[str] = []
    asked: list[str] = []
    expected: list[str] = []
    pages: list[Page] = []

    def show(
        name: str,
        viewport: ViewportSize = DESKTOP,
        scheme: Literal["light", "dark"] = "light",
        view: str = "",
        choices: bool = True,
    ) -> Page:
        page = browser.new_page(viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
        page.set_default_timeout(60_000)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        pages.append(page)
        expected.append(report_file(name).as_uri())
        page.goto(expected[-1] + view)
        if choices:
            page.locator("#controls").evaluate("choices => { choices.open = true; }")
        return page

    yield show
    for page in pages:
        page.close()
    assert said == []
    assert [u.partition("#")[0] for u in asked if not u.startswith("data:,")] == expected


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
    # The figures of all loads are many columns, and may be scrolled.
    assert sum(wanted > given for wanted, given in widths) <= 1


@BOTH
@pytest.mark.parametrize("name", ["complete", "deployed", "everything"])
def test_the_first_screen_has_the_picture_and_the_answer(
    show: Callable[..., Page], name: str, viewport: ViewportSize
) -> None:
    page = show(name, viewport, choices=False)
    picture, sentences = (page.locator(p).bounding_box() for p in (".answer-picture", ".answers"))
    assert picture is not None
    assert sentences is not None
    assert picture["y"] + picture["height"] <= sentences["y"]
    assert sentences["y"] + sentences["height"] <= viewport["height"]


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
    for choice in ("nav", "#controls", "#side-by-side .pair"):
        assert not page.locator(choice).is_visible()
    # A table's header is repeated on each page, but a button in it would not be.
    assert page.locator("thead button").first.evaluate("b => getComputedStyle(b).display") == (
        "contents"
    )
    folded = page.locator("details table")
    for table in folded.all():
        assert (table.bounding_box() or {"height": 0})["height"] > 100


@pytest.mark.parametrize("name", ["everything", "deployed"])
def test_nothing_reaches_beyond_the_paper(show: Callable[..., Page], name: str) -> None:
    page = show(name, {"width": PAPER[0], "height": PAPER[1]})
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= PAPER[0]
    too_wide = page.evaluate(
        "most => [...document.querySelectorAll('table')]"
        ".filter(table => table.scrollWidth > most).map(table => table.id)",
        PAPER[0],
    )
    assert too_wide == []
    too_high = page.evaluate(
        "most => [...document.querySelectorAll('.chart svg')]"
        ".filter(svg => svg.clientHeight > most).length",
        PAPER[1],
    )
    assert too_high == 0


def test_links_lead_to_their_sections(show: Callable[..., Page]) -> None:
    page = show("complete")
    links = page.locator("nav a")
    assert links.count() == page.locator("main > section:not([data-empty])").count()
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


def visible(page: Page, selector: str) -> list[str]:
    """The texts of what can be seen of a selector."""
    return [found.inner_text() for found in page.locator(f"{selector}:visible").all()]


def test_contenders_can_be_left_out(show: Callable[..., Page]) -> None:
    page = show("complete")
    drawn = page.locator("#frontier .wide [data-contender=asyncio]:visible")
    assert drawn.count() > 0
    page.get_by_role("checkbox", name="Python asyncio").uncheck()
    assert drawn.count() == 0
    rows = visible(page, "#verdict-table tbody th")
    assert not any("asyncio" in row for row in rows)
    assert any("Go goroutines" in row for row in rows)
    page.get_by_role("button", name="Show all").click()
    assert drawn.count() > 0


def test_a_workload_can_be_chosen(show: Callable[..., Page]) -> None:
    page = show("complete")
    page.get_by_role("combobox", name="Workload").select_option("election")
    assert page.locator("#elections").is_visible()
    for other in ("frontier", "scaling"):
        assert not page.locator(f"#{other}").is_visible()
        assert not page.locator(f'nav a[href="#{other}"]').is_visible()
    assert all("election" in row for row in visible(page, "#trials-table tbody th"))


def test_tables_can_be_sorted(show: Callable[..., Page]) -> None:
    page = show("complete")
    button = page.locator("#verdict-table thead button").nth(1)
    values = page.locator("#verdict-table tbody td:nth-child(2)")
    order = "cells => cells.map(cell => Number(cell.dataset.value))"
    before = values.evaluate_all(order)
    button.click()
    assert values.evaluate_all(order) == sorted(before, reverse=True)
    header = page.locator("#verdict-table thead th").nth(1)
    assert header.get_attribute("aria-sort") == "descending"
    button.press("Enter")
    assert values.evaluate_all(order) == sorted(before)
    button.press("Enter")
    assert values.evaluate_all(order) == before
    assert header.get_attribute("aria-sort") is None


def test_scale_and_view_can_be_switched(show: Callable[..., Page]) -> None:
    page = show("everything")

    def shown() -> list[tuple[str | None, str | None]]:
        charts = page.locator("#scaling figure").first.locator(".chart:visible").all()
        return [(c.get_attribute("data-scale"), c.get_attribute("data-view")) for c in charts]

    assert shown() == [("log", "absolute")]
    page.get_by_label("Scale").select_option("linear")
    assert shown() == [("linear", "absolute")]
    page.locator("select[name=view]").select_option("relative")
    assert shown() == [(None, "relative")]
    # A chart without that choice stays as it is.
    assert page.locator("#code .chart:visible").count() == 1


def test_a_link_leads_to_the_same_view(show: Callable[..., Page]) -> None:
    page = show("complete")
    page.get_by_role("checkbox", name="Python processes").uncheck()
    page.get_by_label("Scale").select_option("linear")
    page.get_by_label("Colours").select_option("dark")
    page.locator("#verdict-table thead button").nth(2).click()
    page.locator('nav a[href="#scaling"]').click()
    view = page.evaluate("location.hash")
    assert view.startswith("#scaling?")
    rows = visible(page, "#verdict-table tbody th")
    again = show("complete", view=view)
    assert again.evaluate("location.hash") == view
    assert not again.get_by_role("checkbox", name="Python processes").is_checked()
    assert again.get_by_label("Scale").input_value() == "linear"
    assert visible(again, "#verdict-table tbody th") == rows
    assert again.evaluate(COLOURS) == page.evaluate(COLOURS)
    assert again.evaluate("scrollY") > 1000


def test_a_link_that_makes_no_sense_shows_the_page(show: Callable[..., Page]) -> None:
    page = show(
        "complete", view="#nowhere?contenders=nobody&scale=odd&sort=none:x:y,verdict-table:99"
    )
    assert page.locator("#verdict-table").is_visible()
    assert page.get_by_label("Scale").input_value() == "log"


def test_colours_can_be_chosen(show: Callable[..., Page]) -> None:
    page = show("complete", scheme="dark")
    dark = page.evaluate(COLOURS)
    page.get_by_label("Colours").select_option("light")
    light = page.evaluate(COLOURS)
    assert all(one != other for one, other in zip(light, dark, strict=True))
    page.get_by_label("Colours").select_option("dark")
    assert page.evaluate(COLOURS) == dark


def test_figures_are_said_at_the_pointer_and_by_keyboard(show: Callable[..., Page]) -> None:
    page = show("complete")
    chart = page.locator("#frontier .wide svg:visible").first
    chart.scroll_into_view_if_needed()
    chart.locator(".tips use").first.hover(force=True)
    tip = page.get_by_role("status")
    first = tip.inner_text()
    assert "commands/s" in first
    page.mouse.move(2, 2)
    assert not tip.is_visible()
    chart.focus()
    page.keyboard.press("ArrowRight")
    assert tip.inner_text() == first
    page.keyboard.press("ArrowRight")
    assert tip.inner_text() != first
    page.keyboard.press("Escape")
    assert not tip.is_visible()


def test_a_chart_can_be_taken_away_as_it_is_shown(show: Callable[..., Page]) -> None:
    page = show("complete", scheme="dark")
    page.get_by_role("checkbox", name="Python processes").uncheck()
    figure = page.locator("#elections figure")

    def taken(kind: str) -> tuple[str, bytes]:
        with page.expect_download() as downloading:
            figure.locator(".downloads").get_by_text(kind).click()
        found = downloading.value
        return found.suggested_filename, Path(found.path()).read_bytes()

    name, drawn = taken("SVG")
    assert name == "complete-elections.svg"
    root = ET.fromstring(drawn)
    assert {part.get("data-contender") for part in root.iter()} == {
        None,
        *(LABELS.keys() - {"multiprocessing"}),
    }
    # It is a file of its own: no colour of it is one of the page's variables.
    assert b"var(" not in drawn
    assert b"rgb(20, 23, 27)" in drawn
    name, picture = taken("PNG")
    assert name == "complete-elections.png"
    assert picture.startswith(b"\x89PNG")
    assert struct.unpack(">I", picture[16:20]) == (2 * int(root.attrib["width"]),)
    name, text = taken("CSV")
    assert name == "complete-elections.csv"
    rows = list(csv.DictReader(io.StringIO(text.decode())))
    assert {row["contender"] for row in rows} == set(LABELS)


def test_the_data_can_be_downloaded(show: Callable[..., Page], report_file: Any) -> None:
    page = show("complete")
    for link in page.locator("#data a[download]").all():
        with page.expect_download() as downloading:
            link.click()
        name = downloading.value.suggested_filename
        content = Path(downloading.value.path()).read_bytes()
        kept = report_file("complete").parent / name.removeprefix("complete-").removesuffix(".gz")
        if name.endswith("trials.jsonl.gz"):
            assert gzip.decompress(content) == kept.read_bytes()
        elif name.endswith("run.json"):
            assert content == kept.read_bytes()
        elif name.endswith("values.csv.gz"):
            rows = list(csv.DictReader(io.StringIO(gzip.decompress(content).decode())))
            assert {row["contender"] for row in rows} == set(LABELS)
        else:
            rows = list(csv.DictReader(io.StringIO(content.decode())))
            assert all(float(row["low_95"]) <= float(row["median"]) for row in rows)
        assert content


@BOTH
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_accessible(
    show: Callable[..., Page], viewport: ViewportSize, scheme: Literal["light", "dark"]
) -> None:
    page = show("everything", viewport, scheme)
    page.evaluate("document.querySelectorAll('main details').forEach(d => { d.open = true; })")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_it_reads_without_a_script(browser: Browser, report_file: Callable[[str], Path]) -> None:
    context = browser.new_context(java_script_enabled=False, viewport=DESKTOP)
    page = context.new_page()
    page.goto(report_file("complete").as_uri())
    assert not page.locator("#controls").is_visible()
    assert page.locator("#verdict-table").is_visible()
    for section in ("frontier", "elections"):
        assert page.locator(f"#{section} .chart:visible").count() == 1
    context.close()
