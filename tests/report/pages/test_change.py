"""Change: what differs between two runs, and what the page says of how sure that is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from raftmark.bench.contenders.registry import load_contenders
from raftmark.bench.runs.store import Run
from raftmark.report.findings.analysis import Analysis, analyse
from raftmark.report.model import Code, Outcome, Section
from raftmark.report.pages.build import render
from raftmark.report.pages.sections import change
from tests.report.page_reader import Element, read_page
from tests.report.synthetic_runs import LABELS, REALISTIC, write_run

SMALL = {"outstanding": (1, 64), "timeouts_ms": ((150, 300),), "elections": 2}

# Threads have become twice as fast; the others are as they were.
FASTER = {**REALISTIC, "threading": replace(REALISTIC["threading"], capacity=520_000)}

Examine = Callable[[Mapping[str, Any], Mapping[str, Any]], Analysis]


@pytest.fixture
def later(tmp_path: Path, code: Mapping[str, Code | str]) -> Examine:
    """Analyse a run against one before it, both made with the keywords of `write_run`."""
    specs = load_contenders()

    def examine(before: Mapping[str, Any], now: Mapping[str, Any]) -> Analysis:
        first = Run.open(write_run(tmp_path / "before", **{**SMALL, "seed": 1, **before}))
        second = Run.open(write_run(tmp_path / "now", **{**SMALL, "seed": 2, **now}))
        return analyse(second, specs, code, analyse(first, specs, code))

    return examine


def changed(analysis: Analysis) -> Section:
    section = change.section(analysis)
    assert section is not None
    return section


def throughput(section: Section) -> change.Changed:
    (row,) = (row for row in section.facts["rows"] if row.headline.key == "throughput")
    assert isinstance(row, change.Changed)
    return row


def test_what_has_changed_is_told_and_what_has_not(later: Examine) -> None:
    section = changed(later({"blocks": 6}, {"blocks": 8, "behaviours": FASTER}))
    row = throughput(section)
    assert list(row.ratios) == list(LABELS)
    # A command takes 95 µs alone, and 64 at a time 246 µs or 123 µs more.
    ratio = row.ratios["threading"].ratio
    assert ratio is not None
    assert ratio.value == pytest.approx((95 + 246) / (95 + 123), rel=0.05)
    assert row.ratios["threading"].outcome is Outcome.BETTER
    assert ratio.value == pytest.approx(
        row.now["threading"].value / row.before["threading"].value, rel=0.05
    )
    assert {row.ratios[name].outcome for name in ("asyncio", "go")} == {Outcome.ALIKE}
    assert section.facts["coverage"] == 0.95
    assert section.facts["same_machine"]


def test_only_what_both_runs_measured_is_compared(later: Examine) -> None:
    some = {name: REALISTIC[name] for name in ("threading", "asyncio", "go")}
    other = {name: REALISTIC[name] for name in ("asyncio", "go", "multiprocessing")}
    section = changed(later({"behaviours": some}, {"behaviours": other, "outstanding": (1,)}))
    assert section.facts["gone"] == [LABELS["threading"]]
    assert section.facts["come"] == [LABELS["multiprocessing"]]
    keys = {row.headline.key for row in section.facts["rows"]}
    assert "election" in keys
    assert all(list(row.ratios) == ["asyncio", "go"] for row in section.facts["rows"])
    # With one command outstanding is another figure than with 64.
    assert {row.headline.condition for row in section.facts["rows"]}.isdisjoint(
        {"64 commands outstanding"}
    )


def test_code_is_of_the_checkout_and_has_not_changed(later: Examine) -> None:
    rows = changed(later({}, {})).facts["rows"]
    assert rows
    assert not any(row.headline.counted for row in rows)


def test_a_page_of_one_run_has_no_such_section(examine: Callable[..., Analysis]) -> None:
    assert change.section(examine(**SMALL)) is None


def shown(analysis: Analysis) -> Element:
    page = read_page(render(analysis))
    (found,) = (s for s in page.every("section") if s.attributes["id"] == "change")
    return found


@pytest.mark.timeout(900)
def test_the_page_says_how_sure_few_blocks_are(later: Examine) -> None:
    section = shown(later({"blocks": 2}, {"blocks": 2, "behaviours": FASTER}))
    assert "This run against run before of 2026-03-01T12:00:00Z" in section.text
    assert "With 2 blocks against 2" in section.text
    assert "67 % of the time at most" in section.text
    assert "of different machines" not in section.text
    (table,) = section.every("table")
    rows = [[cell.text for cell in row.every("th", "td")] for row in table.every("tr")]
    (row,) = (r for r in rows if r[:1] == ["Python threads"] and r[1].startswith("Throughput"))
    assert row[1] == "Throughput, commands/s 64 commands outstanding"
    assert row[-1].startswith("▲ \N{MULTIPLICATION SIGN}1.")


@pytest.mark.timeout(900)
def test_the_page_says_that_there_is_nothing_to_compare(later: Examine) -> None:
    analysis = later(
        {"keep": lambda trial: False}, {"environment": {"machine": {"cpus_usable": 64}}}
    )
    section = shown(analysis)
    assert "no figure in common" in section.text
    assert "of different machines" in section.text
    assert not list(section.every("table"))
