"""Elections: what the page says of those that stayed undecided."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from raftmark.report.findings.analysis import Analysis
from raftmark.report.pages.build import render
from raftmark.report.pages.sections import elections
from tests.report.page_reader import read_page
from tests.report.synthetic_runs import FIGURE_16, LABELS

pytestmark = pytest.mark.timeout(900)


def test_an_undecided_election_leaves_the_mean_and_the_worst_open(
    examine: Callable[..., Analysis],
) -> None:
    page = read_page(render(examine(**{**FIGURE_16, "others": FIGURE_16["others"][:2]})))
    (table,) = (t for t in page.every("table") if t.attributes.get("id") == "elections-table")
    rows = [[cell.text for cell in row.every("th", "td")] for row in table.every("tr")]
    head, *elections = rows
    assert head == [
        *("Contender", "Timeouts", "Median", "Mean", "Worst"),
        *("From candidacy", "Several terms", "Undecided", "Elections"),
    ]
    split, drifting = elections[: len(LABELS)], elections[len(LABELS) :]
    for row in split:
        assert row[1].startswith("150 to 150 ms")
        assert int(row[7]) > 0
        assert row[3:5] == ["\N{EN DASH}", "over 30,000"]
        assert (row[2] == "over 30,000") == (int(row[7]) > 10)
    for row in drifting:
        assert row[1].startswith("150 to 151 ms")
        assert row[7] == "0"
        assert not any("over" in cell for cell in row)


def test_figure_16_is_drawn_so_that_paper_can_break_between_its_rows(
    examine: Callable[..., Analysis],
) -> None:
    section = elections.section(examine(**{**FIGURE_16, "blocks": 1}))
    assert section is not None
    chart = section.facts["chart"]
    drawn = next(chart.draw())
    wide, narrow = drawn.wide.count("<svg"), drawn.narrow.count("<svg")
    assert (wide, narrow) == (2, 1)
    # Each panel is in one of them.
    for panel in chart.panels:
        assert drawn.wide.count(f">{panel.title}<") == 1
    ids = re.findall(r' id="([^"]+)"', drawn.wide)
    assert len(ids) == len(set(ids))
    assert "Part 2 of 2." in drawn.wide
