"""The operator's side of a cluster: what may be done when, and the election workload."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from raft import Command, Role
from raft.client import Outcome
from raft.cluster import Cluster, ClusterConfig, Events
from raft.control import Control
from raft.errors import BadRequest, Lost, NotLeader, OutcomeUnknown, RaftError, Unavailable
from raft.storage import StorageError
from raft.workload import ElectionSpec, ReplicateSpec

from .fake_cluster import CONFIG, FakeCluster

SECOND = 1_000_000_000


class Fixture:
    """A control over a cluster that is none."""

    def __init__(self) -> None:
        self.failures: list[int] = []
        self.control = Control(
            self._make, CONFIG, lambda change: None, lambda node, error: self.failures.append(node)
        )

    def _make(self, config: ClusterConfig, events: Events) -> Cluster:
        self.cluster = FakeCluster(config, events)
        return self.cluster

    def submit(self, node: int | None = None) -> list[Outcome]:
        """Submit a command; what its client hears."""
        heard: list[Outcome] = []
        self.control.submit(node, Command("noop"), heard.append)
        return heard


@pytest.fixture
def fixture() -> Iterator[Fixture]:
    fixture = Fixture()
    fixture.control.start()
    yield fixture
    fixture.control.stop()


DOWN = [lambda f: f.control.crash(2), lambda f: f.cluster.fail(2)]


@pytest.mark.parametrize("go_down", DOWN, ids=["crashed", "failed"])
def test_a_node_that_is_down_can_only_be_restarted(
    fixture: Fixture, go_down: Callable[[Fixture], None]
) -> None:
    go_down(fixture)
    control = fixture.control
    for refused in (control.crash, control.pause, control.resume):
        with pytest.raises(BadRequest, match="node 2 is crashed"):
            refused(2)
    with pytest.raises(Unavailable):
        control.log(2, 1, 9)
    assert [type(outcome) for outcome in fixture.submit(2)] == [Unavailable]
    status = control.status()[1]
    assert (status["id"], status["alive"], status["role"]) == (2, False, None)
    control.restart(2)
    assert control.status()[1]["alive"]


def test_a_paused_node_can_be_resumed_or_crashed(fixture: Fixture) -> None:
    control = fixture.control
    control.pause(2)
    for refused in (control.pause, control.restart):
        with pytest.raises(BadRequest, match="node 2 is paused"):
            refused(2)
    with pytest.raises(Unavailable):
        control.log(2, 1, 9)
    assert [type(outcome) for outcome in fixture.submit(2)] == [Unavailable]
    status = control.status()[1]
    assert (status["alive"], status["paused"], status["role"]) == (True, True, "follower")
    control.resume(2)
    assert not control.status()[1]["paused"]
    control.pause(2)
    control.crash(2)
    assert not control.status()[1]["alive"]


def test_a_running_node_can_be_neither_restarted_nor_resumed(fixture: Fixture) -> None:
    for refused in (fixture.control.restart, fixture.control.resume):
        with pytest.raises(BadRequest, match="node 1 is running"):
            refused(1)
    assert fixture.cluster.calls == []


def test_a_restart_whose_storage_fails_leaves_the_node_crashed(fixture: Fixture) -> None:
    fixture.control.crash(2)
    fixture.cluster.storage_error = StorageError("node-2.log: damaged")
    with pytest.raises(StorageError):
        fixture.control.restart(2)
    assert not fixture.control.status()[1]["alive"]
    fixture.cluster.storage_error = None
    fixture.control.restart(2)


def test_a_node_that_fails_as_soon_as_it_is_restarted_is_crashed(fixture: Fixture) -> None:
    fixture.control.crash(2)
    real = fixture.cluster.restart

    def restart_and_fail(node: int) -> None:
        real(node)
        fixture.cluster.fail(node)

    fixture.cluster.restart = restart_and_fail  # type: ignore[method-assign]
    fixture.control.restart(2)
    assert not fixture.control.status()[1]["alive"]
    assert fixture.failures == [2]


def test_a_node_that_fails_as_soon_as_it_is_resumed_is_crashed(fixture: Fixture) -> None:
    fixture.control.pause(2)
    fixture.cluster.resume = fixture.cluster.fail  # type: ignore[method-assign]
    fixture.control.resume(2)
    assert not fixture.control.status()[1]["alive"]


def test_commands_go_to_the_leader_of_the_highest_term(fixture: Fixture) -> None:
    fixture.submit()
    fixture.cluster.term = 2
    fixture.cluster.announce(3, Role.LEADER, 3)  # Node 1 has not heard of it yet.
    fixture.submit()
    fixture.control.crash(3)
    assert [call[1] for call in fixture.cluster.calls if call[0] == "submit"] == [1, 3]


def test_without_a_leader_a_command_is_refused_at_once(fixture: Fixture) -> None:
    fixture.cluster.announce(1, Role.FOLLOWER, None)
    assert [type(outcome) for outcome in fixture.submit()] == [Unavailable]


@pytest.mark.parametrize("error", [NotLeader(2), Lost("lost"), OutcomeUnknown("node 1 ceased")])
def test_a_replicate_run_whose_leader_is_gone_is_unavailable(
    fixture: Fixture, error: RaftError
) -> None:
    """docs/protocol.md, replicate: if the leader changes or an answer is an error."""
    fixture.cluster.replicate_outcome = error
    with pytest.raises(Unavailable):
        fixture.control.replicate(ReplicateSpec(), lambda done: None)


def test_elections_crash_each_leader_and_restart_it(fixture: Fixture) -> None:
    shares: list[float] = []
    result = fixture.control.elections(ElectionSpec(3, 30 * SECOND), shares.append)
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
    result = fixture.control.elections(ElectionSpec(2, 30 * SECOND), lambda done: None)
    assert [e["term"] for e in result["elections"]] == [2, 3]
    assert [e["crashed"] for e in result["elections"]] == [3, 1]


def test_an_undecided_election_ends_the_run(fixture: Fixture) -> None:
    fixture.cluster.elect = lambda leader: None  # type: ignore[method-assign]
    result = fixture.control.elections(ElectionSpec(5, SECOND // 100), lambda done: None)
    [election] = result["elections"]
    assert (election["leader"], election["leader_ns"], election["settled_ns"]) == (None, None, None)
    assert election["candidacies"] == 0


def test_a_workload_does_not_wait_for_a_paused_node_for_ever(fixture: Fixture) -> None:
    fixture.control.pause(3)
    with pytest.raises(Unavailable, match="did not settle"):
        fixture.control.elections(ElectionSpec(1, SECOND // 100), lambda done: None)


def test_stop_ends_a_workload_that_waits(fixture: Fixture) -> None:
    fixture.cluster.heartbeat = lambda node: fixture.control.stop()  # type: ignore[method-assign]
    with pytest.raises(Unavailable, match="stopped"):
        fixture.control.elections(ElectionSpec(1, 30 * SECOND), lambda done: None)
