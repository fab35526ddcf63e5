"""What `run` does to a cluster: elections, a failover, a follower's return, and nothing at all."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from raftmark.raft import Command
from raftmark.raft.client import Done
from raftmark.raft.errors import BadRequest, Lost, NotLeader, OutcomeUnknown, RaftError, Unavailable
from raftmark.raft.host import runs
from raftmark.raft.host.runs import Result
from raftmark.raft.loads import OfferedSpec, ReplicateSpec
from raftmark.raft.workload.specs import CatchUpSpec, ElectionSpec, FailoverSpec, StabilitySpec
from tests.raft.fake_cluster import Fixture

SECOND = 1_000_000_000
TENTH = SECOND // 10


def ignore(_done: float) -> None:
    """Nobody looks at the progress."""


@pytest.mark.parametrize("error", [NotLeader(2), Lost("lost"), OutcomeUnknown("node 1 ceased")])
def test_a_replicate_run_whose_leader_is_gone_is_unavailable(
    fixture: Fixture, error: RaftError
) -> None:
    """docs/protocol.md, replicate: if the leader changes or an answer is an error."""
    fixture.cluster.replicate_outcome = error
    with pytest.raises(Unavailable):
        runs.replicate(fixture.control, ReplicateSpec(), ignore)


@pytest.mark.parametrize("run", [runs.replicate, runs.offered])
def test_a_run_beside_a_leader_that_hangs_ends_when_another_one_leads(
    fixture: Fixture, monkeypatch: pytest.MonkeyPatch, run: Callable[..., Any]
) -> None:
    """The run itself ends when its leader does: at the latest with the cluster."""
    resumed = threading.Event()

    def hang(node: int, _spec: Any) -> dict[str, Any]:
        fixture.control.pause(node)
        fixture.cluster.up.discard(node)
        fixture.cluster.elect(2)
        assert resumed.wait(60)
        return {}

    for name in ("replicate", "offered"):
        monkeypatch.setattr(fixture.cluster, name, hang)
    spec = ReplicateSpec() if run is runs.replicate else OfferedSpec()
    with pytest.raises(Unavailable, match="the leader changed"):
        run(fixture.control, spec, ignore)
    resumed.set()
    fixture.control.stop()
    assert "beside-the-leader" not in [thread.name for thread in threading.enumerate()]


def test_a_run_beside_a_leader_that_hangs_alone_ends_in_time(
    fixture: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "SETTLE_NS", SECOND // 20)
    resumed = threading.Event()
    monkeypatch.setattr(fixture.cluster, "replicate", lambda *_: resumed.wait(60) and {})
    with pytest.raises(Unavailable, match="does not answer"):
        runs.replicate(fixture.control, ReplicateSpec(warmup_ns=0, duration_ns=1), ignore)
    resumed.set()
    fixture.control.stop()


def test_elections_crash_each_leader_and_restart_it(fixture: Fixture) -> None:
    shares: list[float] = []
    result = runs.election(fixture.control, ElectionSpec(3, 0, 30 * SECOND), shares.append)
    elections = result["elections"]
    assert [e["crashed"] for e in elections] == [1, 2, 1]
    assert [e["leader"] for e in elections] == [2, 1, 2]
    assert [(e["term"], e["leader_term"]) for e in elections] == [(1, 2), (2, 3), (3, 4)]
    assert [e["candidacies"] for e in elections] == [1, 1, 1]
    for e in elections:
        assert e["crash_ns"] <= e["candidate_ns"] <= e["leader_ns"] <= e["settled_ns"]
    assert shares == [1 / 3, 2 / 3, 1.0]
    assert fixture.cluster.up == {1, 2, 3}


def test_an_election_that_began_before_the_crash_is_not_counted(fixture: Fixture) -> None:
    """It would be measured from a crash that it did not wait for."""
    heartbeat = fixture.cluster.heartbeat

    def disturb_the_first(node: int) -> None:
        if fixture.cluster.term == 1:
            fixture.cluster.elect(3)
        heartbeat(node)

    fixture.cluster.heartbeat = disturb_the_first  # type: ignore[method-assign]
    result = runs.election(fixture.control, ElectionSpec(2, 0, 30 * SECOND), ignore)
    assert [e["term"] for e in result["elections"]] == [2, 3]
    assert [e["crashed"] for e in result["elections"]] == [3, 1]


def test_an_undecided_election_ends_the_run(fixture: Fixture) -> None:
    fixture.cluster.elect = lambda leader: None  # type: ignore[method-assign]
    result = runs.election(fixture.control, ElectionSpec(5, 0, SECOND // 100), ignore)
    [election] = result["elections"]
    assert (election["leader"], election["leader_ns"], election["settled_ns"]) == (None, None, None)
    assert election["candidacies"] == 0


def test_a_workload_does_not_wait_for_a_paused_node_for_ever(fixture: Fixture) -> None:
    fixture.control.pause(3)
    with pytest.raises(Unavailable, match="did not settle"):
        runs.election(fixture.control, ElectionSpec(1, 0, SECOND // 100), ignore)


def test_stop_ends_a_workload_that_waits(fixture: Fixture) -> None:
    stopping = threading.Thread(target=fixture.control.stop)
    fixture.cluster.elect = lambda leader: stopping.start()  # type: ignore[method-assign]
    with pytest.raises(Unavailable, match="stopped"):
        runs.election(fixture.control, ElectionSpec(1, 0, 30 * SECOND), ignore)
    stopping.join()


# -- elections in which some lag ----------------------------------------------------------------


def names(calls: list[tuple[Any, ...]]) -> list[str]:
    """What a cluster was asked for, in order."""
    return [str(call[0]) for call in calls]


def test_who_lags_lacks_a_command_when_the_leader_crashes(fixture: Fixture) -> None:
    fixture.cluster.answering = True
    result = runs.election(fixture.control, ElectionSpec(1, 1, 30 * SECOND), ignore)
    [election] = result["elections"]
    [lagging] = election["lagging"]
    assert lagging in (2, 3)
    assert names(fixture.cluster.calls) == [
        "heartbeat", "block", "submit", "crash", "partition", "restart",
    ]  # fmt: skip
    assert fixture.cluster.calls[1] == ("block", [(1, lagging)])
    assert fixture.cluster.calls[4] == ("partition", None)


def test_nobody_is_cut_off_where_nobody_lags(fixture: Fixture) -> None:
    result = runs.election(fixture.control, ElectionSpec(1, 0, 30 * SECOND), ignore)
    assert names(fixture.cluster.calls) == ["heartbeat", "crash", "restart"]
    assert [e["lagging"] for e in result["elections"]] == [[]]


def test_a_leader_whose_command_is_not_committed_is_not_crashed(fixture: Fixture) -> None:
    """Another one leads already, say; then the election that was meant is held with that one."""
    cluster = fixture.cluster
    cluster.answering, cluster.refusal = True, Lost("another leads")
    real = cluster.submit

    def refuse_once(node: int, command: Command, done: Done) -> None:
        real(node, command, done)
        cluster.refusal = None

    cluster.submit = refuse_once  # type: ignore[method-assign]
    result = runs.election(fixture.control, ElectionSpec(1, 1, 30 * SECOND), ignore)
    assert len(result["elections"]) == 1
    assert names(cluster.calls) == [
        *("heartbeat", "block", "submit", "partition"),
        *("heartbeat", "block", "submit", "crash", "partition", "restart"),
    ]


# -- a failover ---------------------------------------------------------------------------------

BRIEF = FailoverSpec(outstanding=3, before_ns=TENTH, after_ns=TENTH)


def check_load(fixture: Fixture, result: Result) -> None:
    """Each client's commands were applied in order, up to what was acknowledged at least."""
    for client, acknowledged in enumerate(result["acknowledged"]):
        serials = [c.serial for c in fixture.cluster.applied if c.client == f"client-{client}"]
        assert serials == list(range(1, len(serials) + 1))
        assert acknowledged == len(serials)


def test_a_failover_is_timed_from_the_crash_to_the_first_acknowledgement(fixture: Fixture) -> None:
    fixture.cluster.answering = True
    shares: list[float] = []
    result = runs.failover(fixture.control, BRIEF._replace(after_ns=SECOND), shares.append)
    assert (result["crashed"], result["leader"]) == (1, 2)
    times = [
        result[name]
        for name in ("started_ns", "crash_ns", "candidate_ns", "leader_ns", "first_ns", "ended_ns")
    ]
    assert times == sorted(times)
    assert sum(count for _, count in result["slices"]) == result["commands"]
    assert result["slices"][-1][0] == result["ended_ns"] - result["started_ns"]
    assert sum(result["acknowledged"]) >= result["commands"] > 0
    check_load(fixture, result)
    assert fixture.cluster.up == {1, 2, 3}
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert names(fixture.cluster.calls)[-1] == "restart", "not before the load has ended"


def test_without_a_new_leader_there_is_no_end_of_the_outage(fixture: Fixture) -> None:
    fixture.cluster.answering = True
    fixture.cluster.elect = lambda leader: None  # type: ignore[method-assign]
    result = runs.failover(fixture.control, BRIEF, ignore)
    for name in ("leader", "candidate_ns", "leader_ns", "first_ns"):
        assert result[name] is None
    check_load(fixture, result)
    assert fixture.cluster.up == {1, 2, 3}


def test_a_failover_that_another_election_forestalled_fails(fixture: Fixture) -> None:
    cluster = fixture.cluster
    cluster.answering = True
    cluster.heartbeat = lambda node: cluster.elect(3)  # type: ignore[method-assign]
    with pytest.raises(Unavailable, match="another election"):
        runs.failover(fixture.control, BRIEF, ignore)
    assert cluster.up == {1, 2, 3}


def test_a_failover_needs_a_leader_to_crash(fixture: Fixture) -> None:
    fixture.cluster.answering = True

    def lose_the_leader(_done: float) -> None:
        fixture.cluster.fail(1)

    with pytest.raises(Unavailable, match="no leader"):
        runs.failover(fixture.control, BRIEF, lose_the_leader)


@pytest.mark.parametrize(
    "run",
    [
        partial(runs.failover, spec=FailoverSpec()),
        partial(runs.stability, spec=StabilitySpec(outstanding=2)),
        partial(runs.catch_up, spec=CatchUpSpec(entries=1_000_000)),
    ],
    ids=["failover", "stability", "catch_up"],
)
def test_stop_ends_the_load(fixture: Fixture, run: Callable[..., Result]) -> None:
    fixture.cluster.answering = True
    with pytest.raises(Unavailable, match="stopped"):
        run(fixture.control, progress=lambda done: fixture.control.stop())


def test_a_session_that_was_used_before_is_refused(fixture: Fixture) -> None:
    fixture.cluster.answering, fixture.cluster.refusal = True, BadRequest("a higher serial")
    with pytest.raises(BadRequest):
        runs.failover(fixture.control, BRIEF, ignore)
    with pytest.raises(BadRequest):
        runs.catch_up(fixture.control, CatchUpSpec(10), ignore)
    with pytest.raises(BadRequest):
        runs.stability(fixture.control, StabilitySpec(2, duration_ns=TENTH), ignore)
    assert fixture.cluster.up == {1, 2, 3}


# -- a follower's return ------------------------------------------------------------------------


@pytest.mark.parametrize("entries", [1, 64, 1000])
def test_a_follower_misses_exactly_the_entries(fixture: Fixture, entries: int) -> None:
    cluster = fixture.cluster
    cluster.answering = True
    result = runs.catch_up(fixture.control, CatchUpSpec(entries), ignore)
    assert (result["leader"], result["entries"], result["by"]) == (1, entries, "entries")
    assert result["restart_ns"] <= result["running_ns"] <= result["caught_up_ns"]
    assert len(result["acknowledged"]) == 64
    assert sum(result["acknowledged"]) == len(cluster.applied) == entries
    check_load(fixture, result)
    node = result["node"]
    assert node in (2, 3)
    assert cluster.calls[0] == ("crash", node)
    assert cluster.calls[-2:] == [("restart", node), ("when_applied", node, entries)]
    assert result["counters"] == {
        "messages": 2, "bytes": None, "saves": 2, "save_ns": 2, "entries": 2,
    }  # fmt: skip


def test_the_leader_compacts_its_log_before_a_return_by_snapshot(fixture: Fixture) -> None:
    fixture.cluster.answering = True
    result = runs.catch_up(fixture.control, CatchUpSpec(5, by="snapshot"), ignore)
    assert names(fixture.cluster.calls) == [
        "crash", *["submit"] * 5, "compact", "restart", "when_applied",
    ]  # fmt: skip
    assert result["by"] == "snapshot"


def test_a_follower_that_does_not_catch_up_has_no_time(fixture: Fixture) -> None:
    fixture.cluster.answering, fixture.cluster.catches_up = True, False
    result = runs.catch_up(fixture.control, CatchUpSpec(5, cap_ns=SECOND // 100), ignore)
    assert result["caught_up_ns"] is None


def test_a_return_without_progress_is_given_up(
    fixture: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands stay unanswered: there is no majority, say."""
    monkeypatch.setattr(runs, "SETTLE_NS", SECOND // 100)
    with pytest.raises(Unavailable, match="not committed any more"):
        runs.catch_up(fixture.control, CatchUpSpec(5), ignore)
    assert fixture.cluster.up == {1, 2, 3}


# -- nothing at all -----------------------------------------------------------------------------


def test_a_cluster_left_alone_holds_no_election(fixture: Fixture) -> None:
    result = runs.stability(fixture.control, StabilitySpec(duration_ns=TENTH), ignore)
    assert (result["candidacies"], result["terms"]) == (0, 0)
    assert (result["commands"], result["acknowledged"]) == (0, [])
    assert result["ended_ns"] - result["started_ns"] >= TENTH
    assert fixture.cluster.calls == []


def test_every_election_meanwhile_is_a_needless_one(fixture: Fixture) -> None:
    cluster = fixture.cluster
    cluster.answering = True
    held: list[float] = []

    def hold_elections(done: float) -> None:
        if not held:
            cluster.elect(2)
            cluster.elect(3)
        held.append(done)

    spec = StabilitySpec(outstanding=2, duration_ns=3 * TENTH)
    result = runs.stability(fixture.control, spec, hold_elections)
    assert (result["candidacies"], result["terms"]) == (2, 2)
    assert sum(result["acknowledged"]) >= result["commands"] > 0
    check_load(fixture, result)


def test_a_cluster_that_does_not_settle_is_watched_all_the_same(
    fixture: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "SETTLE_OR_NOT_NS", SECOND // 100)
    fixture.control.pause(3)
    result = runs.stability(fixture.control, StabilitySpec(duration_ns=TENTH), ignore)
    assert result["candidacies"] == 0


# -- requests -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("replicate", ReplicateSpec()),
        ("election", ElectionSpec()),
        ("offered", OfferedSpec()),
        ("failover", FailoverSpec()),
        ("catch_up", CatchUpSpec()),
        ("stability", StabilitySpec()),
    ],
)
def test_a_request_without_fields_has_the_defaults(
    fixture: Fixture, monkeypatch: pytest.MonkeyPatch, name: str, spec: Any
) -> None:
    asked: list[Any] = []
    workload = runs.WORKLOADS[name]._replace(run=lambda _control, spec, _: asked.append(spec) or {})
    monkeypatch.setitem(runs.WORKLOADS, name, workload)
    runs.requested(3, {"name": name})(fixture.control, ignore)
    assert asked == [spec]


def test_fields_become_those_of_the_specification(
    fixture: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever their order is in the request."""
    for name, workload in runs.WORKLOADS.items():
        spec = workload.spec()
        for field, value in zip(workload.fields, spec, strict=True):
            assert getattr(spec, re.sub("_m?s$", "_ns", field)) == value, f"{name}: {field}"


@pytest.mark.parametrize("name", ["election", "failover", "catch_up"])
def test_a_crash_needs_a_majority_of_survivors(name: str) -> None:
    with pytest.raises(BadRequest, match="at least 3 nodes"):
        runs.requested(2, {"name": name})


@pytest.mark.parametrize(("nodes", "most"), [(3, 1), (4, 1), (5, 2), (9, 4)])
def test_only_a_minority_may_lag(nodes: int, most: int) -> None:
    runs.requested(nodes, {"name": "election", "lagging": most})
    with pytest.raises(BadRequest, match="lagging"):
        runs.requested(nodes, {"name": "election", "lagging": most + 1})
