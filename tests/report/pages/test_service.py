"""As a service: figures by connections, what disturbs clients, and who is said to be ahead."""

from __future__ import annotations

import re
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


def test_what_a_connection_takes_and_who_has_least_is_said(examine: Examine) -> None:
    section = service.section(examined(examine))
    assert section is not None
    assert section.facts["each"] == (
        "Of 1,024 connections each takes 4.0\u00a0KiB of memory and the one with the fewest "
        "commands has 100\u00a0% of the median one's, by the medians."
    )


def test_by_how_much_others_disturb_is_said(examine: Examine) -> None:
    # Their waits are their turns, of 16 commands, or of 16 and eight shares.
    behaviours = {name: replace(each, latency_us=1e-3) for name, each in alike(spread=1e-3).items()}
    more = (service_cell(16, slow=7), service_cell(16, flood=8), service_cell(64, flood=8))
    section = service.section(examined(examine, *more, behaviours=behaviours))
    assert section is not None
    # With 64 nobody was measured alone.
    said = re.fullmatch(
        "The 99th percentile, to that of as many clients without the others: beside 7 who never "
        "read (.*) and beside 8 who do not wait for answers (.*)\\.",
        section.facts["disturbed"],
    )
    assert said is not None
    slow, flood = (re.findall(r"\d+(?:\.\d+)?", part) for part in said.groups())
    assert all(float(times) == pytest.approx(1, rel=0.2) for times in slow)
    assert all(float(times) == pytest.approx(17, rel=0.2) for times in flood)


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
