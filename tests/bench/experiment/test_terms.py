"""A node's term falls at its crash alone, where the check knows of one."""

from __future__ import annotations

from typing import Any

import pytest

from raftmark.bench.contenders.contender import EventLog
from raftmark.bench.experiment.check import read_roles
from raftmark.bench.runs.results import Result, parse_result

CRASH_NS = 20
LAUNCHED_NS = 1


CLIENTS = {"client": "", "commands": 0, "acknowledged": []}
FIELDS: dict[str, dict[str, Any]] = {
    "election": {"elections": []},
    "stability": {"candidacies": 0, "terms": 0},
    "catch_up": {
        "node": 1,
        "leader": 2,
        "entries": 1,
        "by": "entries",
        "restart_ns": CRASH_NS,
        "running_ns": CRASH_NS + 1,
        "caught_up_ns": None,
        "counters": {},
    },
    "failover": {
        **dict.fromkeys(("leader", "candidate_ns", "leader_ns", "first_ns")),
        "crashed": 1,
        "crash_ns": CRASH_NS,
        "retries": 0,
        "slices": [],
    },
    "service": {
        **dict.fromkeys(("node", "connections", "connected_ns", "rate", "connects"), 0),
        **dict.fromkeys(("redirects", "retries", "generator_cpu_ns"), 0),
        **dict.fromkeys(("latency_ns", "service_ns", "lateness_ns", "longest_ns", "slices"), ()),
        "saturated": False,
        "crashed": 1,
        "crash_ns": CRASH_NS,
    },
}


def result_of(workload: str, **told: Any) -> Result:
    """Return a result; where the workload has a node crash, node 1 ceased at `CRASH_NS`."""
    times = {"started_ns": LAUNCHED_NS, "ended_ns": 100}
    return parse_result(workload, {**CLIENTS, **times, **FIELDS[workload], **told})


def problems(result: Result, *roles: tuple[int, str, int, int], clocks_ns: int = 0) -> list[str]:
    """Return what is wrong with these: each a node, its role, the term, and when."""
    events = EventLog()
    for node, role, term, at_ns in roles:
        told = {"node": node, "role": role, "term": term, "leader": None, "at_ns": at_ns}
        events.add({"event": "role", **told})
    _, found = read_roles(events, [1, 2, 3], LAUNCHED_NS, clocks_ns=clocks_ns, result=result)
    return found


CRASHING = ["failover", "service", "catch_up"]


@pytest.mark.parametrize("workload", CRASHING)
def test_who_crashed_may_have_lost_a_term_that_it_had_told_of(workload: str) -> None:
    result = result_of(workload)
    assert problems(result, (1, "candidate", 4, 10), (1, "follower", 3, 30)) == []


@pytest.mark.parametrize("workload", CRASHING)
@pytest.mark.parametrize(
    ("node", "first_ns"),
    [(2, 10), (1, 5), (1, 21)],
    ids=["another's", "before its crash", "after it"],
)
def test_elsewhere_a_term_that_falls_breaks_a_rule(workload: str, node: int, first_ns: int) -> None:
    last_ns = 30 if node == 2 else first_ns + 10
    found = problems(
        result_of(workload), (node, "candidate", 4, first_ns), (node, "follower", 3, last_ns)
    )
    assert found == [f"node {node}'s term fell from 4 to 3"]


def test_a_crash_is_where_clocks_may_have_it() -> None:
    fell = (1, "candidate", 4, 22), (1, "follower", 3, 30)
    assert problems(result_of("failover"), *fell, clocks_ns=2) == []
    assert problems(result_of("failover"), *fell, clocks_ns=1) != []


def test_where_leaders_are_crashed_that_nobody_counts_a_term_falls_at_a_restart() -> None:
    """An election is not counted if another had begun before its crash."""
    result = result_of("election")
    assert (
        problems(result, (1, "leader", 3, 5), (1, "follower", 4, 10), (1, "follower", 3, 30)) == []
    )
    assert problems(result, (1, "follower", 4, 10), (1, "candidate", 3, 30)) != []


def test_where_nobody_crashes_no_term_falls() -> None:
    fell = (1, "candidate", 4, 10), (1, "follower", 3, 30)
    for result in (
        result_of("stability"),
        result_of("service", crashed=None, crash_ns=None),
    ):
        assert problems(result, *fell) == ["node 1's term fell from 4 to 3"]
