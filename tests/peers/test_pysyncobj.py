"""The node program over PySyncObj: what it makes of the library, without any peer."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from raftmark.peers.pysyncobj.node import PySyncObjNode
from raftmark.peers.pysyncobj.settings import FORMS, configured
from raftmark.peers.pysyncobj.store import NOOP, command_of
from raftmark.peers.pysyncobj.transport import LinkedTransport, Member, number_of
from raftmark.raft.client import Applied, Outcome
from raftmark.raft.cluster import ClusterConfig, Events
from raftmark.raft.deployed import Address, Site
from raftmark.raft.errors import BadRequest, NotLeader, OutcomeUnknown, Unavailable
from raftmark.raft.links import Faults, Links
from raftmark.raft.loads import ReplicateSpec
from raftmark.raft.messages import Command
from raftmark.raft.node import Role, Settings
from raftmark.raft.storage import StorageError

MS = 1_000_000
PATIENCE_S = 60.0
SETTINGS = Settings((1,), (100 * MS, 200 * MS), 20 * MS)


class Alone:
    """A node that is its whole cluster, and what it tells."""

    def __init__(self, directory: Path | None = None, settings: Settings = SETTINGS) -> None:
        storage = "memory" if directory is None else "disk"
        path = None if directory is None else str(directory)
        self.roles: queue.SimpleQueue[Any] = queue.SimpleQueue()
        config = ClusterConfig(settings, storage, path)
        events = Events(self.roles.put, lambda _node, _error: None)
        self.node = PySyncObjNode(config, events, Site(1, "alone"), FORMS["tuned"])
        self.node.start()

    def await_leader(self) -> None:
        while self.roles.get(timeout=PATIENCE_S).role is not Role.LEADER:
            pass

    def submit(self, *command: Any) -> Outcome:
        answers: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self.node.submit(1, Command(*command), answers.put)
        return answers.get(timeout=PATIENCE_S)


@pytest.fixture(params=["memory", "disk"])
def alone(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Alone]:
    alone = Alone(tmp_path if request.param == "disk" else None)
    yield alone
    alone.node.stop()


def test_a_node_tells_of_each_role_on_its_way_and_keeps_its_log_through_a_crash(alone):
    told = [alone.roles.get(timeout=PATIENCE_S) for _ in range(3)]
    assert [(each.role.value, each.term, each.leader) for each in told] == [
        ("follower", 0, None),
        ("candidate", 1, None),
        ("leader", 1, 1),
    ]
    assert alone.submit("set", "x", "1", None, "c", 1) == Applied(2, 1, None)
    # A session's serial is applied once, and a lower one not at all.
    assert alone.submit("cas", "x", "2", "1", "c", 2) == Applied(3, 1, True)
    assert alone.submit("cas", "x", "2", "1", "c", 2) == Applied(4, 1, True)
    assert isinstance(alone.submit("set", "x", "3", None, "c", 1), BadRequest)
    before = alone.node.status(1)
    assert (before.commit_index, before.applied_index, before.voted_for) == (5, 5, 1)
    kept = alone.node.log(1, 1, 5).entries
    assert [each.command.op for each in kept] == ["noop", "set", "cas", "cas", "set"]

    alone.node.crash(1)
    with pytest.raises(Unavailable, match="down"):
        alone.node.status(1)
    alone.node.restart(1)
    alone.await_leader()
    assert alone.submit("get", "x") == Applied(7, 2, "2")
    assert alone.node.log(1, 1, 5).entries == kept


def test_a_paused_node_does_nothing_and_one_that_crashes_leaves_outcomes_open(alone):
    alone.await_leader()
    assert alone.node.pause(1).role == "leader"
    answers: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    alone.node.submit(1, Command("set", "x", "1"), answers.put)
    alone.node.crash(1)
    assert isinstance(answers.get(timeout=PATIENCE_S), OutcomeUnknown)


def test_a_node_that_does_not_lead_refuses_commands():
    patient = Alone(settings=SETTINGS._replace(election_timeout_ns=(50_000 * MS, 60_000 * MS)))
    assert isinstance(patient.submit("set", "x", "1"), NotLeader)
    patient.node.stop()


def test_the_closed_loop_runs_in_the_librarys_thread(alone):
    alone.await_leader()
    spec = ReplicateSpec(outstanding=4, warmup_ns=50 * MS, duration_ns=200 * MS)
    result = alone.node.replicate(1, spec)
    assert result["commands"] > 0
    counters = result["counters"]
    assert counters["entries"] == counters["saves"] > 0
    assert alone.node.status(1).applied_index == sum(result["acknowledged"]) + 1


def test_a_directory_has_one_cluster_at_a_time_and_is_pysyncobjs(tmp_path):
    first = Alone(tmp_path)
    with pytest.raises(StorageError, match="in use by another process"):
        Alone(tmp_path)
    first.node.stop()
    (tmp_path / "node-1.log").touch()
    with pytest.raises(StorageError, match="is not PySyncObj's"):
        Alone(tmp_path)


def test_it_serves_loopback_alone():
    config, events = ClusterConfig(SETTINGS), Events(lambda _role: None, lambda _n, _e: None)
    for site in (Site(1, "c", Address("192.0.2.1", 0)), Site(1, "c", secret=b"x" * 16)):
        with pytest.raises(BadRequest, match="loopback"):
            PySyncObjNode(config, events, site, FORMS["default"]).listen()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("timeouts", "heartbeat"), [((1, 1), 60_000), ((150, 300), 50)])
def test_the_library_takes_whatever_a_cluster_may_be_started_with(form, timeouts, heartbeat):
    low, high = timeouts
    settings = Settings((1,), (low * MS, high * MS), heartbeat * MS)
    conf = configured(settings, FORMS[form], "127.0.0.1:1", None)
    conf.validate()
    assert conf.raftMinTimeout == low / 1000
    assert conf.appendEntriesUseBatch == (form != "unbatched")


def test_what_is_no_command_of_the_applications_is_a_no_op():
    assert command_of(b"\x01") == NOOP


def test_links_cut_hold_and_repeat_what_is_sent(monkeypatch):
    sent: list[Any] = []
    base = LinkedTransport.__mro__[1]
    monkeypatch.setattr(base, "__init__", lambda *_: None)
    monkeypatch.setattr(base, "send", lambda _self, _node, message: sent.append(message) or True)
    links = Links(1, seed=1)
    peer = Member("c", 2, {})
    assert number_of(peer.address) == 2
    transport = LinkedTransport(None, Member("c", 1, {}), {peer}, links)
    transport.send(peer, {"type": "a"})
    links.partition([[1], [2]])
    transport.send(peer, {"type": "cut"})
    links.partition(None)
    links.degrade(Faults(duplicate=1.0))
    transport.send(peer, {"type": "twice"})
    links.degrade(Faults(delay_ns=(1, 1)))
    transport.send(peer, {"type": "late"})
    assert [each["type"] for each in sent] == ["a", "twice", "twice"]
    assert transport.wait_s(60.0) < 1
    transport.send_due()
    assert sent[-1] == {"type": "late"}
    assert transport.messages == 4
