"""Races: the page tells how often each outcome of the seminar paper's programs came."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.report.page_reader import Element, Page
from tests.report.synthetic_runs import LABELS, RUNS_OF_A_PROGRAM

# A page takes some seconds to draw, and minutes where much else runs.
pytestmark = pytest.mark.timeout(900)
ReadReport = Callable[[str], Page]


def races(page: Page) -> Element:
    (found,) = (s for s in page.every("section") if s.attributes["id"] == "races")
    return found


def rows(page: Page) -> list[tuple[str, list[str]]]:
    """The table's rows: the heading's first words, and what is said of each contender."""
    (table,) = races(page).every("table")
    found = []
    for row in table.every("tr"):
        heading, *cells = row.every("th", "td")
        said = heading.content[0]
        assert isinstance(said, str)
        found.append((said, [cell.text for cell in cells]))
    return found


def test_each_outcome_is_counted_for_each_contender(read_report: ReadReport) -> None:
    labels = [*LABELS.values(), "Python threads, 3.13t"]
    runs = [f"{RUNS_OF_A_PROGRAM:,} runs"] * 5
    always = ["1,000"] * 5
    assert rows(read_report("everything")) == [
        ("Program and outcome", labels),
        ("Unsynchronised", runs),
        ("a = 4, b = 2", ["991", "1,000", "985", "998", "985"]),
        ("a = 4, b = 8", ["9", "0", "15", "2", "15"]),
        ("Channel", runs),
        ("a = 4, b = 2", always),
        ("Joined", runs),
        ("in order", always),
    ]


def test_a_program_that_failed_says_why(read_report: ReadReport) -> None:
    page = read_report("attacked")
    assert ("Unsynchronised", ["failed", "1,000 runs", "\N{EN DASH}", "1,000 runs"]) in rows(page)
    reasons = [item.text for item in races(page).every("li")]
    assert [reason.partition(":")[0] for reason in reasons] == [
        f"{LABELS['threading']}, {program}" for program in ("unsynchronised", "channel", "joined")
    ]
    assert all('alert("x")' in reason for reason in reasons)


def test_a_run_without_them_says_what_adds_them(read_report: ReadReport) -> None:
    section = races(read_report("complete"))
    assert not list(section.every("table"))
    assert "raftmark races --run complete" in section.text
