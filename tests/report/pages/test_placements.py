"""Two placements: what the page says of what was measured in one program and as deployed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from raftmark.bench.analysis.metrics import THROUGHPUT
from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.placements import better, counterparts, memory, rows, way
from raftmark.report.model import Outcome
from raftmark.report.pages.sections import placements
from tests.report.synthetic_runs import (
    EVERYTHING,
    LABELS,
    REALISTIC,
    Behaviour,
    as_deployed,
)

Examine = Callable[..., Analysis]
BOTH: dict[str, Any] = {
    "outstanding": (1, 64),
    "timeouts_ms": ((150, 300),),
    "deployed": True,
    "others": [*EVERYTHING, *map(as_deployed, EVERYTHING)],
    "blocks": 6,
}


def test_a_cell_is_held_against_the_same_as_deployed(examine: Examine) -> None:
    pairs = counterparts(examine(**BOTH))
    assert all(pair.deployed.id == f"{pair.native.id}-tcp" for pair in pairs)
    told = {pair.native.workload["name"] for pair in pairs}
    assert told == {"replicate", "offered", "election", "failover"}
    titles = [pair.title for pair in pairs]
    assert "64 commands outstanding, on disk" in titles
    assert "1 command outstanding" in titles
    assert len(set(titles)) == len(titles)
    assert titles.index("1 command outstanding, on disk") > titles.index("64 commands outstanding")


def test_a_network_takes_more_from_who_had_more(examine: Examine) -> None:
    """The made-up ones differ by 80 µs a command: much of Go's time, and little of others'."""
    analysis = examine(**{**BOTH, "others": ()})
    found = {
        (row.contender, row.condition): row.change
        for row in rows(analysis, counterparts(analysis))
        if row.what == THROUGHPUT.title
    }
    go, asyncio = (found[name, "1 command outstanding"] for name in ("go", "asyncio"))
    assert go.outcome is asyncio.outcome is Outcome.WORSE
    assert go.ratio is not None
    assert asyncio.ratio is not None
    assert go.ratio.value < asyncio.ratio.value
    alone = counterparts(analysis)[0]
    here, there = (better(analysis, cell, THROUGHPUT, "asyncio") for cell in alone)
    assert here is not None
    assert here.ratio is not None
    assert there is not None
    assert there.ratio is not None
    assert here.ratio.value > 1.5 * there.ratio.value > 1


def test_the_way_has_its_cost_in_both_placements(examine: Examine) -> None:
    analysis = examine(**{**BOTH, "others": ()})
    found = list(way(analysis, counterparts(analysis)))
    assert len(found) == 2 * 2 * len(LABELS)
    for row in found:
        messages, sent, woken = row.figures
        assert messages is not None
        assert woken is not None
        assert woken.value > messages.value * 0.99
        # No bytes are made up for messages that are objects.
        assert sent is None


def test_memory_is_that_of_one_node(examine: Examine) -> None:
    analysis = examine(**{**BOTH, "others": ()})
    found = list(memory(analysis, counterparts(analysis)))
    assert [each.contender for each in found] == list(LABELS)
    assert {each.node.value for each in found} == {10_000_000}


def test_who_failed_in_one_placement_has_a_gap_there(examine: Examine) -> None:
    def fails(cell: str, _block: int) -> bool:
        return cell.endswith("-tcp")

    lost = Behaviour(failure=("run", "it hung"), failing=fails)
    analysis = examine(**{**BOTH, "others": ()}, behaviours={**REALISTIC, "threading": lost})
    found = [r for r in rows(analysis, counterparts(analysis)) if r.contender == "threading"]
    assert found
    assert all(row.deployed is None and row.native is not None for row in found)
    assert all(row.change.ratio is None for row in found)


@pytest.mark.parametrize("deployed", [False, True])
def test_one_placement_alone_has_no_section(examine: Examine, deployed: bool) -> None:
    others = [as_deployed(cell) for cell in EVERYTHING[:1]] if deployed else ()
    sizes = {"outstanding": (), "timeouts_ms": ()} if deployed else {}
    assert placements.section(examine(others=others, **sizes)) is None
