"""The open loop: what was measured in one program, and what as deployed, is not mixed."""

from __future__ import annotations

from collections.abc import Callable

from raftmark.report.findings.analysis import Analysis
from raftmark.report.pages.sections import offered
from tests.report.synthetic_runs import EVERYTHING, LABELS


def test_one_placement_is_drawn_and_both_are_in_the_table(
    examine: Callable[..., Analysis],
) -> None:
    cells = [cell for cell in EVERYTHING if cell["workload"]["name"] == "offered"][:2]
    deployed = [
        {**cell, "id": f"{cell['id']}-tcp", "cluster": {**cell["cluster"], "transport": "tcp"}}
        for cell in cells
    ]
    analysis = examine(others=[*cells, *deployed], outstanding=(), timeouts_ms=(), blocks=2)
    section = offered.section(analysis)
    assert section is not None
    for panel in section.facts["chart"].panels:
        assert {len(series.points) for series in panel.series} == {len(cells)}
    assert "each a program" not in section.facts["setting"]
    assert section.facts["elsewhere"]
    rows = section.facts["rows"]
    assert all(row.service is not None and row.late is None for row in rows), "as in older runs"
    assert [row.deployed for row in rows].count(True) == len(LABELS) * len(cells) == len(rows) / 2


def test_where_all_is_deployed_that_is_drawn(examine: Callable[..., Analysis]) -> None:
    (cell, *_) = (cell for cell in EVERYTHING if cell["workload"]["name"] == "offered")
    only = {**cell, "cluster": {**cell["cluster"], "transport": "tcp"}}
    section = offered.section(examine(others=[only], outstanding=(), timeouts_ms=(), blocks=2))
    assert section is not None
    assert section.facts["alone"]
    assert not section.facts["elsewhere"]
    assert "each a program, over TCP" in section.facts["setting"]
