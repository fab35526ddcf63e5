"""The operator's side of a cluster: what may be done when."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from raftmark.raft import Command, Role
from raftmark.raft.client import Outcome, Query, Value
from raftmark.raft.cluster import NodeStatus
from raftmark.raft.errors import BadRequest, Unavailable
from raftmark.raft.storage import StorageError
from tests.raft.fake_cluster import Fixture

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


def test_a_client_hears_once_that_its_node_was_removed(fixture: Fixture) -> None:
    fixture.control._end(3)
    heard: list[Outcome | Value] = []
    fixture.control.submit(3, Command("noop"), heard.append)
    fixture.control.read(3, Query("key", heard.append))
    assert [type(outcome) for outcome in heard] == [BadRequest] * 2


def test_a_leader_that_has_just_stepped_down_cannot_hand_over_for_now(fixture: Fixture) -> None:
    """It is the node that knows first; its word of it may come later than the request."""
    fixture.cluster.transferable = False
    with pytest.raises(Unavailable, match="node 1 leads no longer; ask again"):
        fixture.control.transfer(2)
    fixture.cluster.voters = (1, 3)
    with pytest.raises(BadRequest, match="node 2 is no voter"):
        fixture.control.transfer(2)
