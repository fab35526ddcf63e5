"""As a service: figures by connections, what disturbs clients, and who is said to be ahead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from raftmark.report.findings.analysis import Analysis
from raftmark.report.pages.sections import service
from tests.report.synthetic_runs import LABELS, REALISTIC, alike, service_cell

Examine = Callable[..., Analysis]
CONNECTIONS = (1, 16, 1024)


def examined(examine: Examine, *more: dict, **run: object) -> Analysis:
    cells = [*(service_cell(count) for count in CONNECTIONS), *more]
    return examine(others=cells, outstanding=(), timeouts_ms=(), blocks=10, **run)


def test_each_contender_has_a_row_for_each_number_of_connections(examine: Examine) -> None:
    section = service.section(examined(examine))
    assert section is not None
    assert section.workloads == ("service",)
    rows = section.facts["rows"]
    assert [row.what for row in rows[:: len(LABELS)]] == ["1", "16", "1,024"]
    assert len(rows) == len(LABELS) * len(CONNECTIONS)
    memory = section.facts["titles"].index("Memory of a connection, KiB")
    cpu = section.facts["titles"].index("CPU to take one, µs")
    share = section.facts["titles"].index("Least share")
    for row in rows:
        quantity, size = row.figures[memory]
        assert quantity is not None
        assert quantity.value / size == pytest.approx(4)
        quantity, size = row.figures[cpu]
        assert quantity is not None
        assert quantity.value / size == pytest.approx(80)
        assert row.figures[share][0].value == 1
    assert section.facts["others"] == []
    assert "each a program, over TCP" in section.facts["setting"]


def test_what_disturbs_clients_is_told_apart(examine: Examine) -> None:
    more = (service_cell(16, slow=8), service_cell(16, crash_s=1.0))
    section = service.section(examined(examine, *more))
    assert section is not None
    told = list(dict.fromkeys(row.what for row in section.facts["others"]))
    assert told == ["16 clients beside 8 who never read", "16 clients, whose leader crashes"]
    assert section.facts["crash"] == (
        "The longest that any client waited whose leader crashed: with 16 clients 1.1\u00a0ms."
    )
    assert len(section.facts["rows"]) == len(LABELS) * len(CONNECTIONS)


def test_what_disturbs_clients_is_shown_where_nothing_else_was_measured(examine: Examine) -> None:
    cells = [service_cell(16, crash_s=1.0)]
    section = service.section(examine(others=cells, outstanding=(), timeouts_ms=(), blocks=3))
    assert section is not None
    assert len(section.facts["others"]) == len(LABELS)
    assert not section.facts["rows"]
    assert "chart" not in section.facts


def test_who_is_ahead_is_said_by_rule(examine: Examine) -> None:
    # Alone, the event loop answers soonest; with many, the processes have by far the most room.
    behaviours = {
        **REALISTIC,
        "threading": replace(REALISTIC["threading"], latency_us=100, capacity=20_000),
        "asyncio": replace(REALISTIC["asyncio"], latency_us=30, capacity=50_000),
        "multiprocessing": replace(REALISTIC["multiprocessing"], latency_us=900, capacity=150_000),
    }
    section = service.section(examined(examine, behaviours=behaviours))
    assert section is not None
    assert section.facts["takeaway"] == (
        "Which of Python's models is ahead, by connections: Python asyncio with 1 to 16 and "
        "Python processes from 1,024 on."
    )


def test_where_all_are_alike_none_is_ahead(examine: Examine) -> None:
    section = service.section(examined(examine, behaviours=alike(spread=0.03)))
    assert section is not None
    assert section.facts["takeaway"] == (
        "None of Python's models is ahead of the others at any number of connections."
    )


def test_of_too_few_blocks_nobody_is_said_to_be_ahead(examine: Examine) -> None:
    cells = [service_cell(count) for count in CONNECTIONS]
    section = service.section(examine(others=cells, outstanding=(), timeouts_ms=(), blocks=2))
    assert section is not None
    assert section.facts["takeaway"] == "With fewer than three blocks nobody is told apart."


def test_without_clients_there_is_no_section(examine: Examine) -> None:
    assert service.section(examine(outstanding=(1,), timeouts_ms=(), blocks=2)) is None
