"""The protocol around one node: what a node program is asked, told to do, and tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from raftmark.raft import Role
from raftmark.raft.client import Applied, Value
from raftmark.raft.cluster import (
    ClusterConfig,
    EntriesLost,
    Events,
    LogSlice,
    Membership,
    Refusal,
)
from raftmark.raft.deployed import Address, DeployedNode, Site
from raftmark.raft.errors import NotLeader, Unavailable
from raftmark.raft.host.answers import log_page
from raftmark.raft.host.interpreter import python
from raftmark.raft.host.node_program import SECRET, NodeProgram, read_secret
from raftmark.raft.host.service import Service
from raftmark.raft.links import Faults
from raftmark.raft.messages import Command
from raftmark.raft.storage import StorageError
from tests.raft.fake_cluster import FakeCluster

from .test_host import Session

LISTEN: dict[str, Any] = {"node": 2, "cluster": "c", "voters": [1, 2, 3]}


class FakeNode(FakeCluster, DeployedNode):
    """Node 2 of a cluster that is none."""

    def __init__(self, config: ClusterConfig, events: Events, site: Site) -> None:
        super().__init__(config, events)
        self.config, self.site = config, site

    def listen(self) -> Address:
        if self.site.address.port == 1:
            raise Unavailable("cannot listen there")
        return Address(self.site.address.host, 4711)

    def introduce(self, peers: Mapping[int, Address]) -> None:
        self.calls.append(("introduce", dict(peers)))

    def open_service(self, address: Address) -> Address:
        if address.port == 1:
            raise Unavailable("cannot listen there")
        return Address(address.host, 4712)

    def tell_services(self, addresses: Mapping[int, str]) -> None:
        self.calls.append(("tell_services", dict(addresses)))


class NodeSession(Session):
    """A node program in a thread."""

    node: FakeNode

    def _service(self) -> Service:
        return NodeProgram("fake", self._make_node, lambda: python(["replicate"], {}), b"secret")

    def _make_node(self, config: ClusterConfig, events: Events, site: Site) -> FakeNode:
        self.node = FakeNode(config, events, site)
        self.node.storage_error = self.storage_error
        return self.node


@contextmanager
def node_program(*begun: str) -> Iterator[NodeSession]:
    """A session that has asked these, all of whose replies are taken."""
    session = NodeSession()
    try:
        for op in begun:
            answer = session.ask(op, **(LISTEN if op == "listen" else {}))
            assert "code" not in answer, answer
        yield session
    finally:
        untaken = session.end()
    assert untaken == [], "one reply to each request"


def test_it_listens_once_and_says_where() -> None:
    with node_program() as session:
        assert session.ask("begin")["code"] == "unavailable"
        fields = {**LISTEN, "address": "[::1]:0", "seed": 9, "pre_vote": True}
        assert session.ask("listen", **fields) == {"address": "[::1]:4711"}
        assert session.node.site == Site(2, "c", Address("::1", 0), b"secret")
        assert session.node.config.nodes == (2,)
        assert session.node.config.settings.nodes == (1, 2, 3)
        assert session.node.config.seed == 9
        assert session.node.config.settings.pre_vote
        assert session.ask("listen", **LISTEN)["code"] == "bad_request"


def test_where_it_cannot_listen_it_may_be_asked_again() -> None:
    with node_program() as session:
        refused = session.ask("listen", **LISTEN, address="127.0.0.1:1")
        assert (refused["code"], refused["message"]) == ("unavailable", "cannot listen there")
        assert session.ask("listen", **LISTEN) == {"address": "127.0.0.1:4711"}


def test_it_serves_clients_once_it_listens_and_no_more_than_once() -> None:
    with node_program() as session:
        assert session.ask("serve")["code"] == "unavailable"
        assert session.ask("services", addresses={})["code"] == "unavailable"
        session.ask("listen", **LISTEN)
        refused = session.ask("serve", address="127.0.0.1:1")
        assert (refused["code"], refused["message"]) == ("unavailable", "cannot listen there")
        assert session.ask("serve", address="nowhere")["code"] == "bad_request"
        assert session.ask("serve", address="[::1]:0") == {"address": "[::1]:4712"}
        assert session.ask("serve")["code"] == "bad_request"


def test_it_is_told_where_clients_reach_the_others() -> None:
    with node_program("listen", "serve") as session:
        known = {"1": "127.0.0.1:4001", "2": "[::1]:4002"}
        assert session.ask("services", addresses=known) == {}
        assert ("tell_services", {1: "127.0.0.1:4001", 2: "[::1]:4002"}) in session.node.calls
        assert session.ask("services", addresses={"1": "127.0.0.1:0"})["code"] == "bad_request"


@pytest.mark.parametrize(
    "fields",
    [
        {"node": 0},
        {"node": 10},
        {"cluster": ""},
        {"cluster": "x" * 65},
        {"voters": []},
        {"voters": [2, 1]},
        {"voters": [1, 1]},
        {"voters": [0]},
        {"voters": "1"},
        {"address": "localhost:0"},
        {"address": "127.0.0.1"},
        {"address": "127.0.0.1:65536"},
        {"address": "127.0.0.1:-1"},
        {"address": "127.0.0.1:0000065536"},
        {"address": "::1:0"},
        {"address": ""},
        {"storage": "disk"},
        {"nodes": 3},
    ],
)
def test_what_it_cannot_listen_with_is_refused(fields: dict[str, Any]) -> None:
    with node_program() as session:
        assert session.ask("listen", **{**LISTEN, **fields})["code"] == "bad_request"
        assert session.ask("listen", **LISTEN) == {"address": "127.0.0.1:4711"}


def test_it_is_introduced_to_others_and_not_to_itself() -> None:
    with node_program("listen") as session:
        peers = {"1": "127.0.0.1:1", "2": "127.0.0.1:2", "3": "[::1]:3"}
        assert session.ask("peers", peers=peers) == {}
        assert session.node.calls == [
            ("introduce", {1: Address("127.0.0.1", 1), 3: Address("::1", 3)})
        ]


@pytest.mark.parametrize(
    "peers", [{"0": "127.0.0.1:1"}, {"01": "127.0.0.1:1"}, {"1": "127.0.0.1:0"}, {"1": 7}, []]
)
def test_nobody_can_be_introduced_who_cannot_be_dialled(peers: Any) -> None:
    with node_program("listen") as session:
        assert session.ask("peers", peers=peers)["code"] == "bad_request"
        assert session.node.calls == []


def test_a_node_lives_hangs_goes_on_and_ceases() -> None:
    with node_program("listen") as session:
        for op in ("crash", "pause", "resume"):
            assert session.ask(op)["code"] == "bad_request"
        for op in ("status", "counters", "log", "heartbeat", "compact"):
            assert session.ask(op)["code"] == "unavailable"
        assert session.ask("begin") == {}
        assert session.ask("begin")["code"] == "bad_request"
        assert session.ask("status")["voters"] == [1, 2, 3]
        assert session.ask("pause")["state_hash"] == "state"
        assert session.ask("status")["message"] == "node 2 is paused"
        assert session.ask("resume") == {}
        assert session.ask("resume")["code"] == "bad_request"
        assert session.ask("crash")["at_ns"] > 0
        assert session.ask("status")["message"] == "node 2 is down"
        assert session.ask("begin", join=True) == {}
        assert session.node.calls == [
            ("restart", 2),
            ("pause", 2),
            ("resume", 2),
            ("crash", 2),
            ("join", 2, True),
        ]


def test_a_life_that_cannot_begin_is_none() -> None:
    with node_program("listen") as session:
        session.node.storage_error = StorageError("cannot read it")
        refused = session.ask("begin")
        assert (refused["code"], refused["message"]) == ("unavailable", "cannot read it")
        session.node.storage_error = None
        assert session.ask("begin") == {}


def test_a_life_that_fails_is_told_of_and_over() -> None:
    with node_program("listen", "begin") as session:
        session.node.fail(2)
        assert session.ask("status")["message"] == "node 2 is down"
        [fault] = [event for event in session.events if event["event"] == "fault"]
        assert (fault["node"], fault["message"]) == (2, "RuntimeError: made to fail")
        assert session.ask("begin") == {}


def test_commands_reads_and_waits_are_answered_when_it_is_known() -> None:
    with node_program("listen", "begin") as session:
        node = session.node
        command = {"op": "set", "key": "k", "value": "v"}
        first = session.post("submit", command=command, client="c", serial=4)
        second = session.post("submit", command={"op": "add_server", "key": "4"})
        third = session.post("read", key="k")
        assert session.ask("when_applied", index=7) == {"index": 7}
        assert node.calls[1:] == [
            ("submit", 2, Command("set", "k", "v", client="c", serial=4)),
            ("submit", 2, Command("add_server", "4")),
            ("read", 2, "k"),
            ("when_applied", 2, 7),
        ]
        node.outstanding.pop(0)(Applied(7, 1, None))
        node.outstanding.pop(0)(NotLeader(3))
        node.queries.pop(0).done(Value(7, "v"))
        assert session.reply(first)["ok"] == {"index": 7, "term": 1, "result": None}
        assert session.reply(second)["error"]["leader"] == 3
        assert session.reply(third)["ok"] == {"index": 7, "value": "v"}


@pytest.mark.parametrize(
    "command",
    [
        {"op": "promote_server", "key": "4"},
        {"op": "add_server", "key": "10"},
        {"op": "add_server", "key": 4},
        {"op": "add_server"},
        {"op": "remove_server", "key": "4", "value": "v"},
        {"op": "noop"},
        {"op": ["set"]},
        {},
    ],
)
def test_no_other_command_is_taken(command: dict[str, Any]) -> None:
    with node_program("listen", "begin") as session:
        assert session.ask("submit", command=command)["code"] == "bad_request"
        assert session.node.calls == [("restart", 2)]


def test_links_are_the_programs_own_whether_or_not_the_node_lives() -> None:
    with node_program("listen") as session:
        asked: list[tuple[str, dict[str, Any]]] = [
            ("partition", {"groups": [[1, 9], [2]]}),
            ("partition", {"blocked": [[1, 2]]}),
            ("heal", {}),
            ("links", {"drop": 0.5, "delay_ms": [1, 2]}),
        ]
        for op, fields in asked:
            assert session.ask(op, **fields) == {}
        assert session.node.calls == [
            ("partition", [[1, 9], [2]]),
            ("block", [(1, 2)]),
            ("partition", None),
            ("degrade", Faults(0.5, 0.0, (1_000_000, 2_000_000))),
        ]
        assert session.ask("partition")["code"] == "bad_request"


def test_a_leader_is_asked_for_its_part() -> None:
    with node_program("listen", "begin") as session:
        assert session.ask("transfer", to=3) == {"handed": True}
        assert session.ask("compact") == {"index": 1, "term": 1}
        assert session.ask("heartbeat") == {}
        assert session.ask("counters")["bytes"] is None
        log = session.ask("log")
        assert log.pop("entries") == [{"index": 1, "term": 1, "command": {"op": "noop"}}]
        assert log == {"first_index": 1, "last_index": 1, "commit_index": 1}
        by_columns = session.ask("log", columns=True)
        assert by_columns.pop("columns") == {
            "term": {"values": [1]},
            "op": {"values": ["noop"]},
            "key": {"values": [""]},
            "value": {"values": [None]},
            "expect": {"values": [None]},
            "client": {"values": [None]},
            "serial": {"values": [0]},
        }
        assert by_columns == {"first_index": 1, "count": 1, "last_index": 1, "commit_index": 1}


def test_of_a_log_is_told_what_is_kept_however_far_behind_one_asks() -> None:
    asked = []

    def log(first: int, last: int) -> LogSlice:
        asked.append((first, last))
        return LogSlice(max(first, 20_000), (), 30_000, 30_000)

    assert log_page(log, 1, 90_000).first_index == 20_000
    assert asked == [(1, 5000), (20_000, 24_999)]


def test_only_what_runs_beside_a_node_can_be_run() -> None:
    with node_program("listen", "begin") as session:
        assert session.ask("run", workload={"name": "replicate"}) == {"workload": "replicate"}
        assert session.ask("run", workload={"name": "offered"}) == {"workload": "offered"}
        for name in ("election", "failover", "catch_up", "stability", "sleep"):
            assert session.ask("run", workload={"name": name})["code"] == "bad_request"
        session.node.replicate_outcome = NotLeader(3)
        assert session.ask("run", workload={"name": "replicate"})["leader"] == 3


def test_what_happens_is_told() -> None:
    with node_program() as session:
        session.ask("listen", **LISTEN, trace=True)
        events = session.node.events
        session.node.announce(2, Role.LEADER, 2)
        events.entries_lost(EntriesLost(1, 2, 3, 2, 5))
        events.members_committed(Membership(8, (1, 2)))
        events.refused(Refusal(2, None, "another cluster", 6))
        assert events.sent is not None
        events.sent([{"event": "message"}])
        session.ask("hello")
        assert [event["event"] for event in session.events] == [
            "role",
            "entries_lost",
            "members",
            "refused",
            "message",
        ]
        assert session.events[2] == {"event": "members", "as_of": 8, "members": [1, 2]}
        assert session.events[3]["reason"] == "another cluster"


def test_the_end_of_input_ends_the_node() -> None:
    session = NodeSession()
    session.ask("listen", **LISTEN)
    assert session.end() == []
    assert session.status == 0
    assert session.node.calls == [("stop",)]


# -- the secret -------------------------------------------------------------------------------


def test_a_secret_is_in_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(SECRET, raising=False)
    assert read_secret(None) is None
    monkeypatch.setenv(SECRET, "s" * 16)
    assert read_secret(None) == b"s" * 16
    assert read_secret(None) is None, "it is not left for others to see"
    path = tmp_path / "secret"
    path.write_text("t" * 20 + "\n")
    assert read_secret(str(path)) == b"t" * 20


@pytest.mark.parametrize("content", [b"", b"short\n", b"x" * 5000])
def test_a_secret_that_is_none_is_refused_in_a_line(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    with pytest.raises(SystemExit) as ended:
        read_secret(str(path))
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"a secret has 16 to 4096 bytes, not {path}\n"


def test_a_secret_that_cannot_be_read_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read_secret("/no/such/file")
    said = capsys.readouterr().err
    assert said == "cannot read the secret file /no/such/file: No such file or directory\n"
