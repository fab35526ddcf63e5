"""The page: self-contained, escaped, accessible, and honest about who is missing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from tests.report.example_runs import HOSTILE, RUNS
from tests.report.page_reader import Page
from tests.report.synthetic_runs import LABELS

# Code is there without any trial.
CHARTS = {"everything": 11, "deployed": 5, "small": 2, "empty": 1, "attacked": 4}

# A page takes some seconds to draw, and minutes where much else runs.
pytestmark = [pytest.mark.parametrize("name", RUNS), pytest.mark.timeout(900)]
ReadReport = Callable[[str], Page]


def test_ids_are_unique_and_references_lead_somewhere(read_report: ReadReport, name: str) -> None:
    page = read_report(name)
    elements = list(page.every())
    ids = Counter(e.attributes["id"] for e in elements if "id" in e.attributes)
    assert [found for found, times in ids.items() if times > 1] == []
    for element in elements:
        for attribute, value in element.attributes.items():
            links = [value] if attribute.endswith("href") else re.findall(r"url\((.*?)\)", value)
            for link in links:
                if not link.startswith("data:"):
                    assert link.startswith("#")
                    assert link[1:] in ids


def test_nothing_is_loaded_from_elsewhere(read_report: ReadReport, name: str) -> None:
    page = read_report(name)
    for element in page.every():
        assert element.tag not in {"iframe", "img", "object", "embed", "image", "base"}
        for attribute, value in element.attributes.items():
            assert attribute != "src"
            assert not attribute.startswith("on")
            data = value.startswith("data:")
            assert data or attribute.startswith("xmlns") or "//" not in value
    styles = " ".join(style.text for style in page.every("style"))
    assert "@import" not in styles
    assert "url(" not in styles


def test_the_file_is_small(report_file: Callable[[str], Path], name: str) -> None:
    assert report_file(name).stat().st_size < 5_000_000


def test_headings_are_in_order(read_report: ReadReport, name: str) -> None:
    levels = [int(h.tag[1]) for h in read_report(name).every("h1", "h2", "h3", "h4", "h5", "h6")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below <= above + 1 for above, below in pairwise(levels))


def test_images_and_tables_speak(read_report: ReadReport, name: str) -> None:
    page = read_report(name)
    for drawing in page.every("svg"):
        if drawing.attributes.get("aria-hidden") != "true":
            assert drawing.attributes["role"] == "img"
            assert len(drawing.attributes["aria-label"]) > 20
    for element in page.every():
        if element.attributes.get("role") in {"img", "region"}:
            assert element.attributes["aria-label"]
    for table in page.every("table"):
        assert all(header.attributes.get("scope") for header in table.every("th"))
        for row in table.every("tr"):
            assert "th" in {cell.tag for cell in row.children}


def test_every_chart_names_every_contender(read_report: ReadReport, name: str) -> None:
    labels = {**LABELS, **RUNS[name].get("labels", {})}
    sections = list(read_report(name).every("section"))
    figures = {id(f): (s, f) for s in sections[1:] for f in s.every("figure")}
    assert len(figures) == CHARTS.get(name, 3)
    # The first names each model on its axis; other forms of one have sections of their own.
    bars = " ".join(text.text for drawn in sections[0].every("svg") for text in drawn.every("text"))
    models = [label for who, label in labels.items() if who not in RUNS[name].get("forms", {})]
    briefs = [label.removeprefix("Python ").removesuffix(" goroutines") for label in models]
    assert name == "empty" or all(brief[:14] in bars for brief in briefs)
    for section, figure in figures.values():
        (legend,) = figure.every("ul", of_class="legend")
        entries = [entry.text for entry in legend.children]
        expected = [" ".join(label.split()) for label in labels.values()]
        if section.attributes["id"] == "code":
            expected = expected[: len(LABELS)]  # other forms of a contender are the same code
        elif section.attributes["id"] == "free-threading":
            expected = expected[len(LABELS) :]
        assert len(entries) == len(expected)
        assert all(e.startswith(label) for e, label in zip(entries, expected, strict=True))


def test_every_marker_says_its_figures(read_report: ReadReport, name: str) -> None:
    said = 0
    for drawing in read_report(name).every("svg"):
        for group in drawing.every("g", of_class="tips"):
            tips = [title.text for title in group.every("title")]
            assert len(tips) == len(list(group.every("use")))
            assert all(re.search(r"\d", tip) for tip in tips)
            said += len(tips)
    assert said > 50


def test_text_is_escaped(
    report_file: Callable[[str], Path], read_report: ReadReport, name: str
) -> None:
    raw = report_file(name).read_text(encoding="utf-8")
    assert raw.count("<script") == 1
    assert "<img" not in raw
    seen = read_report(name).text.count(" ".join(HOSTILE.split()))
    # The label in legends and tables, the reason, message, standard error and environment.
    assert seen >= 12 if name == "attacked" else seen == 0


def test_absences_are_named_where_figures_would_be(read_report: ReadReport, name: str) -> None:
    page = read_report(name)
    said = page.text
    match name:
        case "failing":
            assert "Python asyncio (every trial failed)" in said
            assert said.count("two leaders in term 3") >= 48
            assert "Traceback: a log" in said
            assert "8 failed" in said
        case "absent":
            assert "Go goroutines (not available)" in said
            assert "not available: no Go toolchain was found" in said
            assert "the reference" in said
        case "partial":
            assert "The run is not complete" in said
            assert "2 missing" in said
        case "empty":
            assert "This run has no measurement" in said
            assert not [s for s in page.every("section") if s.attributes["id"] == "replication"]
        case "small":
            assert "only one block, so no interval" in said
        case _:
            assert "missing" not in said
    without = {"failing": 7, "absent": 7, "partial": 7, "empty": 28, "attacked": 14}
    cells = [cell.text for cell in page.every("span", of_class="absent")]
    assert cells == ["no figure"] * without.get(name, 0)
