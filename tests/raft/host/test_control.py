"""The operator's side of a cluster: what may be done when."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from raftmark.raft import Command, Role
from raftmark.raft.client import Applied, Outcome, Query, Value
from raftmark.raft.cluster import Membership, NodeStatus
from raftmark.raft.errors import BadRequest, OutcomeUnknown, Unavailable
from raftmark.raft.host.control import Completion
from raftmark.raft.storage import StorageError
from tests.raft.fake_cluster import Fixture

DEADLINE_NS = 60_000_000_000
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


def test_a_node_that_ceases_as_it_is_asked_hides_none_of_the_others(fixture: Fixture) -> None:
    real = fixture.cluster.status

    def status(node: int) -> NodeStatus:
        if node == 2:
            raise Unavailable("node 2 is down")
        return real(node)

    fixture.cluster.status = status  # type: ignore[method-assign]
    views = fixture.control.status()
    assert [view["alive"] for view in views] == [True, False, True]
    assert views[1]["term"] is None


def test_a_restart_tells_of_a_storage_that_is_lost(fixture: Fixture) -> None:
    fixture.cluster.fail(2)
    fixture.cluster.storage_lost = True
    assert fixture.control.restart(2) is True


def test_a_restart_for_which_the_machine_has_no_more_leaves_the_node_crashed(
    fixture: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_node: int) -> bool:
        raise Unavailable("the machine has no thread")

    fixture.control.crash(2)
    with monkeypatch.context() as short:
        short.setattr(fixture.cluster, "restart", refuse)
        with pytest.raises(Unavailable):
            fixture.control.restart(2)
    assert not fixture.control.status()[1]["alive"]
    fixture.control.restart(2)


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


# -- members ----------------------------------------------------------------------------------


def commit(fixture: Fixture, as_of: int, *members: int) -> None:
    """A leader tells who the members are; wait until who is none has ended."""
    fixture.cluster.events.members_committed(Membership(as_of, members))
    for thread in fixture.control._threads:
        thread.join()


def change(fixture: Fixture, begin: Callable[[int], Completion], node: int) -> Completion:
    """Begin a change whose outcome nobody has heard of when its client gives up."""
    complete = begin(node)
    with pytest.raises(OutcomeUnknown):
        complete(0)
    return complete


def ended(fixture: Fixture) -> list[int]:
    return [call[1] for call in fixture.cluster.calls if call[0] == "crash"]


@pytest.mark.parametrize("state", ["running", "paused", "crashed"])
def test_a_removal_that_is_committed_when_nobody_waits_ends_the_server(
    fixture: Fixture, state: str
) -> None:
    if state == "paused":
        fixture.control.pause(3)
    elif state == "crashed":
        fixture.control.crash(3)
    complete = change(fixture, fixture.control.remove_server, 3)
    assert fixture.control.nodes == (1, 2, 3)
    commit(fixture, 5, 1, 2)
    assert fixture.control.nodes == (1, 2)
    assert ended(fixture) == [3]
    with pytest.raises(BadRequest):
        fixture.control.restart(3)
    # The answer that comes at last finds nothing left to be done.
    fixture.cluster.outstanding.pop()(Applied(5, 1, True))
    complete(0)
    assert ended(fixture) == [3]


def test_who_tells_late_of_former_members_ends_nobody(fixture: Fixture) -> None:
    complete = fixture.control.remove_server(3)
    fixture.cluster.outstanding.pop()(Applied(5, 1, True))
    complete(time.monotonic_ns() + DEADLINE_NS)
    fixture.cluster.voters = (1, 2)
    fixture.control.add_server(3)
    commit(fixture, 5, 1, 2)
    assert fixture.control.nodes == (1, 2, 3)
    commit(fixture, 6, 1, 2)  # The next leader, before the addition is committed.
    assert fixture.control.nodes == (1, 2, 3)
    commit(fixture, 7, 1, 2, 3)
    commit(fixture, 6, 1, 2)
    assert fixture.control.nodes == (1, 2, 3)
    assert ended(fixture) == [3]
    commit(fixture, 8, 1, 2)
    assert fixture.control.nodes == (1, 2)


def test_one_that_is_a_member_already_is_started_as_one(fixture: Fixture) -> None:
    fixture.cluster.voters = (1, 2, 3, 4)
    fixture.control.add_server(4)
    assert ("join", 4, False) in fixture.cluster.calls


def test_an_addition_that_came_to_nothing_can_be_asked_for_again_or_taken_back(
    fixture: Fixture,
) -> None:
    change(fixture, fixture.control.add_server, 4)
    fixture.cluster.outstanding.clear()  # Another leader's entry took its place.
    change(fixture, fixture.control.add_server, 4)
    joined = [call for call in fixture.cluster.calls if call[0] == "join"]
    assert joined == [("join", 4, True)], "it runs already"
    fixture.cluster.voters = (1, 2, 3, 4)
    with pytest.raises(BadRequest, match="in the cluster already"):
        fixture.control.add_server(4)
    fixture.cluster.voters = (1, 2, 3)
    fixture.control.remove_server(4)(0)
    assert fixture.control.nodes == (1, 2, 3)
    assert ended(fixture) == [4]
    commit(fixture, 5, 1, 2, 3)
    assert ended(fixture) == [4]


def test_who_runs_and_is_no_member_can_be_added_whatever_was_asked_before(
    fixture: Fixture,
) -> None:
    change(fixture, fixture.control.add_server, 4)
    fixture.cluster.voters = (1, 2, 3, 4)  # In the leader's log, and not committed.
    change(fixture, fixture.control.remove_server, 4)
    fixture.cluster.voters = (1, 2, 3)  # Another leader's log has neither.
    fixture.cluster.outstanding.clear()
    fixture.control.add_server(4)
    assert len(fixture.cluster.outstanding) == 1, "it is asked for once more"
    commit(fixture, 5, 1, 2, 3)
    assert fixture.control.nodes == (1, 2, 3, 4), "it joins"


def test_a_member_that_is_started_again_ends_with_its_removal(fixture: Fixture) -> None:
    commit(fixture, 5, 1, 2)
    fixture.cluster.voters = (1, 2, 3)  # A later leader has it, as an earlier cluster had.
    fixture.control.add_server(3)
    commit(fixture, 6, 1, 2)
    assert fixture.control.nodes == (1, 2)


def test_a_cluster_that_is_stopped_ends_nobody_more(fixture: Fixture) -> None:
    fixture.control.stop()
    commit(fixture, 5, 1, 2)
    assert ended(fixture) == []


def test_a_client_hears_once_that_its_node_was_removed(fixture: Fixture) -> None:
    commit(fixture, 5, 1, 2)
    heard: list[Outcome | Value] = []
    fixture.control.submit(3, Command("noop"), heard.append)
    fixture.control.read(3, Query("key", heard.append))
    assert [type(outcome) for outcome in heard] == [BadRequest] * 2


def test_a_leader_that_has_just_stepped_down_cannot_hand_over_for_now(
    fixture: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the node that knows first; its word of it may come later than the request."""
    fixture.cluster.transferable = False
    with pytest.raises(Unavailable, match="node 1 leads no longer; ask again"):
        fixture.control.transfer(2)
    led = iter([fixture.control.leader(), None])
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(fixture.control, "leader", lambda: next(led))
        with pytest.raises(Unavailable, match="node 1 leads no longer; ask again"):
            fixture.control.transfer(2)
    fixture.cluster.voters = (1, 3)
    with pytest.raises(BadRequest, match="node 2 is no voter"):
        fixture.control.transfer(2)
