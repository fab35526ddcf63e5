"""The protocol's host around a cluster that is none: lines in, one answer each out."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftmark.raft.client import Applied, Outcome, Value
from raftmark.raft.cluster import Cluster, ClusterConfig, Events
from raftmark.raft.errors import BadRequest, Lost, NotLeader, RaftError
from raftmark.raft.host.host import Host
from raftmark.raft.host.interpreter import python
from raftmark.raft.host.pipe import MAX_LINE, Lines, Output
from raftmark.raft.host.runs import WORKLOADS
from raftmark.raft.host.service import Service
from raftmark.raft.storage import StorageError
from tests.raft.fake_cluster import FakeCluster

from .test_requests import anything

DEADLINE_S = 30.0
CODES = {"bad_request", "not_leader", "lost", "timeout", "unavailable", "internal"}


# -- lines ------------------------------------------------------------------------------------


def fed(*pieces: bytes) -> list[bytes | None]:
    """All lines of a stream that comes in these pieces."""
    lines = Lines()
    return [line for piece in pieces for line in lines.feed(piece)]


@given(st.lists(st.binary(max_size=20)), st.data())
def test_lines_are_the_same_however_the_stream_is_cut(
    lines: list[bytes], data: st.DataObject
) -> None:
    lines = [line.replace(b"\n", b"") for line in lines]
    stream = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)))))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert fed(*pieces) == lines


def test_a_line_is_given_out_when_its_newline_comes() -> None:
    lines = Lines()
    assert list(lines.feed(b"ab")) == []
    assert list(lines.feed(b"c\nd")) == [b"abc"]
    assert list(lines.feed(b"\n\n")) == [b"d", b""]


@pytest.mark.parametrize("piece", [1 << 16, 999_983, MAX_LINE, 3 * MAX_LINE])
@pytest.mark.parametrize("length", [MAX_LINE - 2, MAX_LINE - 1, MAX_LINE, 2 * MAX_LINE + 5])
def test_a_line_of_more_than_the_limit_is_skipped_to_its_end(length: int, piece: int) -> None:
    """docs/protocol.md: 1 MiB with the newline."""
    stream = b"a\n" + b"x" * length + b"\nb\n"
    pieces = [stream[n : n + piece] for n in range(0, len(stream), piece)]
    allowed = length + 1 <= 1 << 20
    assert fed(*pieces) == [b"a", b"x" * length if allowed else None, b"b"]


def test_the_memory_of_an_endless_line_is_bounded() -> None:
    lines = Lines()
    for _ in range(100):
        assert list(lines.feed(b"x" * (1 << 16))) == []
        assert len(lines._partial) < MAX_LINE
    assert list(lines.feed(b"\nok\n")) == [None, b"ok"]


# -- the host ---------------------------------------------------------------------------------


class Session:
    """A host in a thread, with pipes for its standard input and output."""

    def __init__(self) -> None:
        self.cluster: FakeCluster | None = None
        self.storage_error: StorageError | None = None
        self.events: list[dict[str, Any]] = []
        self._replies: dict[int | None, list[dict[str, Any]]] = {}
        self._received = b""
        self._next_id = 0
        stdin, self._to_host = os.pipe()
        self._from_host, stdout = os.pipe()
        signals, self.signals = os.pipe()
        self._streams = sys.stdin, sys.stdout
        sys.stdin, sys.stdout = os.fdopen(stdin, "r"), os.fdopen(stdout, "w")
        self._signals = signals
        host = self._service()
        self.status: int | None = None

        def serve() -> None:
            self.status = host.serve(signals)

        self._thread = threading.Thread(target=serve)
        self._thread.start()

    def _service(self) -> Service:
        return Host("fake", self._make, lambda: python(WORKLOADS, {}))

    def _make(self, config: ClusterConfig, events: Events) -> Cluster:
        self.cluster = FakeCluster(config, events)
        self.cluster.storage_error = self.storage_error
        return self.cluster

    def send(self, line: bytes) -> None:
        """Send raw bytes."""
        while line:
            line = line[os.write(self._to_host, line) :]

    def post(self, op: Any, **fields: Any) -> int:
        """Send a request; its id."""
        self._next_id += 1
        self.send(json.dumps({"id": self._next_id, "op": op, **fields}).encode() + b"\n")
        return self._next_id

    def reply(self, request_id: int | None) -> dict[str, Any]:
        """The next reply with this id."""
        deadline = time.monotonic() + DEADLINE_S
        while not self._replies.get(request_id):
            readable, _, _ = select.select([self._from_host], [], [], deadline - time.monotonic())
            assert readable, f"no reply to {request_id}"
            self._receive()
        return self._replies[request_id].pop(0)

    def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        """Send a request and wait for its answer."""
        reply = self.reply(self.post(op, **fields))
        return reply.get("ok") or reply.get("error") or {}

    def _receive(self) -> bool:
        data = os.read(self._from_host, 1 << 16)
        self._received += data
        *lines, self._received = self._received.split(b"\n")
        for line in lines:
            value = json.loads(line)
            if "event" in value:
                self.events.append(value)
            else:
                assert ("ok" in value) != ("error" in value)
                assert "error" not in value or value["error"]["code"] in CODES
                self._replies.setdefault(value["id"], []).append(value)
        return bool(data)

    def join(self) -> int | None:
        """Wait for the host to end; its exit status."""
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()
        return self.status

    def end(self) -> list[dict[str, Any]]:
        """End the host's input, and let it end; replies that nobody took."""
        os.close(self._to_host)
        self.join()
        for stream in (sys.stdin, sys.stdout):
            stream.close()
        sys.stdin, sys.stdout = self._streams
        os.close(self.signals)
        os.close(self._signals)
        while self._receive():
            pass
        os.close(self._from_host)
        return [reply for replies in self._replies.values() for reply in replies]

    @property
    def running(self) -> FakeCluster:
        """The cluster."""
        assert self.cluster is not None
        return self.cluster


@contextmanager
def hosting() -> Iterator[Session]:
    """A session all of whose replies are taken. No fixture: pytest's own set sys.stdout too."""
    session = Session()
    try:
        yield session
    finally:
        untaken = session.end()
    assert untaken == [], "one reply to each request"


def test_the_end_of_input_stops_the_cluster() -> None:
    session = Session()
    session.ask("start")
    assert session.end() == []
    assert session.status == 0
    assert session.running.calls == [("stop",)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_cluster(number: signal.Signals) -> None:
    session = Session()
    session.ask("start")
    os.write(session.signals, bytes([number]))
    assert session.join() == 128 + number
    assert session.running.calls == [("stop",)]
    assert session.end() == []


def test_quit_stops_the_cluster_answers_and_ends() -> None:
    session = Session()
    session.ask("start")
    assert session.reply(session.post("quit")) == {"id": 2, "ok": {}}
    assert session.join() == 0
    assert session.running.calls == [("stop",)]
    assert session.end() == []


def test_a_command_is_answered_with_its_outcome() -> None:
    with hosting() as session:
        session.ask("start")
        outcomes: list[Outcome] = [
            Applied(7, 1, "v"),
            NotLeader(2),
            Lost("gone"),
            BadRequest("stale"),
        ]
        for outcome in outcomes:
            request = session.post("submit", command={"op": "get", "key": "k"})
            session.ask("hello")
            session.running.outstanding.pop()(outcome)
            reply = session.reply(request)
            if isinstance(outcome, Applied):
                assert reply["ok"] == {"index": 7, "term": 1, "result": "v"}
            else:
                assert reply["error"] == {
                    "code": outcome.code,
                    "message": str(outcome),
                    **outcome.details,
                }


def test_a_read_is_answered_with_its_value() -> None:
    with hosting() as session:
        session.ask("start")
        outcomes: list[Value | RaftError] = [Value(7, "v"), Value(8, None), NotLeader(2)]
        for outcome in outcomes:
            request = session.post("read", key="k")
            session.ask("hello")
            session.running.queries.pop().done(outcome)
            reply = session.reply(request)
            if isinstance(outcome, Value):
                assert reply["ok"] == {"index": outcome.log_index, "value": outcome.value}
            else:
                assert reply["error"]["code"] == outcome.code
        assert session.reply(session.post("read", key="k", timeout_ms=1))["error"]["code"] == (
            "timeout"
        )


def test_a_change_of_members_leaves_other_requests_their_answers() -> None:
    with hosting() as session:
        session.ask("start")
        adding = session.post("add_server", node=4)
        while not session.running.outstanding:
            session.ask("hello")
        assert session.ask("log", node=4)["last_index"] == 1
        session.running.voters = (1, 2, 3, 4)
        session.running.outstanding.pop()(Applied(2, 1, True))
        assert session.reply(adding)["ok"] == {}
        assert session.ask("remove_server", node=5)["code"] == "bad_request"


def test_a_command_without_an_answer_in_time_is_a_timeout_and_answered_once() -> None:
    with hosting() as session:
        session.ask("start")
        get = {"op": "get", "key": "k"}
        late = session.post("submit", command=get, timeout_ms=20)
        later = session.post("submit", command=get, timeout_ms=1)
        patient = session.post("submit", command=get, timeout_ms=600_000)
        assert session.reply(later)["error"]["code"] == "timeout"
        assert session.reply(late)["error"]["code"] == "timeout"
        while session.running.outstanding:
            session.running.outstanding.pop()(Applied(1, 1, None))
        assert session.reply(patient)["ok"]["index"] == 1
        session.ask("hello")


def test_what_is_asked_of_a_node_that_is_just_being_removed_is_answered_once() -> None:
    """While its thread ends: it is in the cluster still, but nobody may ask it."""
    ending, ended = threading.Event(), threading.Event()

    def crash(_node: int) -> int:
        ending.set()
        assert ended.wait(DEADLINE_S)
        return time.monotonic_ns()

    with hosting() as session:
        session.ask("start")
        session.running.crash = crash  # type: ignore[method-assign]
        removing = session.post("remove_server", node=3)
        session.ask("hello")
        session.running.outstanding.pop()(Applied(2, 1, True))
        assert ending.wait(DEADLINE_S)
        get = {"op": "get", "key": "k"}
        asked = [
            session.post("submit", command=get, node=3, timeout_ms=1),
            session.post("read", key="k", node=3, timeout_ms=1),
        ]
        codes = [session.reply(request)["error"]["code"] for request in asked]
        assert codes == ["bad_request", "bad_request"]
        # By then the others' deadlines have passed as well.
        assert session.ask("submit", command=get, timeout_ms=5)["code"] == "timeout"
        ended.set()
        assert session.reply(removing)["ok"] == {}


def test_a_storage_that_cannot_be_opened_is_unavailable_and_changes_nothing() -> None:
    with hosting() as session:
        session.storage_error = StorageError("node-1.log: offset 8: damaged record")
        error = session.ask("start", storage="disk", data_dir="data")
        assert (error["code"], error["message"]) == ("unavailable", str(session.storage_error))
        session.storage_error = None
        assert session.ask("start") == {"nodes": [1, 2, 3]}


def test_a_fault_of_the_contenders_own_is_answered_shown_and_survived(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with hosting() as session:
        session.ask("start")
        del session.running.term
        error = session.ask("status")
        assert error == {
            "code": "internal",
            "message": "AttributeError: 'FakeCluster' object has no attribute 'term'",
        }
        assert "Traceback" in capfd.readouterr().err
        session.running.term = 1
        session.running.replicate_outcome = KeyError("what")
        assert session.ask("run", workload={"name": "replicate"})["code"] == "internal"
        assert session.ask("log", node=1)["last_index"] == 1


def test_the_answer_to_a_run_invites_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the last one's thread may take to end after its answer."""
    asked_again = threading.Event()
    put = Output.put

    def put_and_dawdle(output: Output, value: dict[str, Any]) -> None:
        put(output, value)
        if "ok" in value and threading.current_thread().name == "background":
            asked_again.wait(DEADLINE_S)

    monkeypatch.setattr(Output, "put", put_and_dawdle)
    with hosting() as session:
        session.ask("start")
        for _ in range(2):
            assert session.ask("run", workload={"name": "replicate"}) == {"workload": "replicate"}
        asked_again.set()


def test_one_workload_runs_at_a_time() -> None:
    with hosting() as session:
        session.ask("start", nodes=3)
        gate = threading.Event()
        session.running.replicate = lambda node, spec: {"waited": gate.wait(DEADLINE_S)}  # type: ignore[method-assign]
        first = session.post("run", workload={"name": "replicate"})
        refused = session.ask("run", workload={"name": "replicate"})
        assert (refused["code"], refused["message"]) == (
            "bad_request",
            "a workload is running; one at a time",
        )
        gate.set()
        assert session.reply(first)["ok"] == {"waited": True}


def test_roles_are_announced() -> None:
    with hosting() as session:
        session.ask("start")
        session.ask("hello")
        assert [(e["node"], e["role"], e["term"], e["leader"]) for e in session.events] == [
            (1, "leader", 1, 1),
            (2, "follower", 1, 1),
            (3, "follower", 1, 1),
        ]


OPS = [
    "hello",
    "start",
    "status",
    "submit",
    "read",
    "log",
    "snapshot",
    "transfer",
    "crash",
    "restart",
    "pause",
    "resume",
    "partition",
    "heal",
    "links",
    "run",
    "stop",
    "quit now",
]
FIELDS = {
    "node": st.integers(0, 4),
    "nodes": st.integers(0, 10),
    "command": st.fixed_dictionaries({"op": st.just("get"), "key": st.text(max_size=2)}),
    "key": st.text(max_size=2),
    "pre_vote": st.booleans(),
    "snapshot_entries": st.integers(-1, 3),
    "timeout_ms": st.just(60_000),
    "client": st.text(max_size=2),
    "serial": st.integers(0, 2),
    "from": st.integers(-1, 3),
    "to": st.integers(-1, 3),
    "groups": st.lists(st.lists(st.integers(1, 3))),
    "blocked": st.lists(st.lists(st.integers(1, 3), min_size=2, max_size=2)),
    "drop": st.floats(0, 1.1),
    # Never a whole one: a run would wait for the nodes that are down.
    "workload": st.fixed_dictionaries({"name": st.just("replicate"), "outstanding": st.just(0)}),
    "storage": st.just("memory"),
    "seed": st.integers(-1, 3),
}


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """Requests that are right, nearly right, or not at all."""
    request: dict[str, Any] = {"op": draw(st.sampled_from(OPS) | anything)}
    for name in draw(st.lists(st.sampled_from([*FIELDS, "other"]), max_size=3)):
        request[name] = draw(FIELDS.get(name, anything) | anything)
    return request


@settings(max_examples=50)
@given(batches=st.lists(st.lists(requests(), max_size=8), max_size=8))
def test_any_request_gets_exactly_one_answer(batches: list[list[dict[str, Any]]]) -> None:
    """And nothing that comes ends the host, or is answered with a fault of its own."""
    with hosting() as session:
        for batch in batches:
            ids = [session.post(**request) for request in batch]
            if session.cluster is not None:
                session.ask("hello")
                while session.cluster.outstanding:
                    session.cluster.outstanding.pop()(Applied(1, 1, None))
                while session.cluster.queries:
                    session.cluster.queries.pop().done(Value(1, None))
            for request_id in ids:
                reply = session.reply(request_id)
                assert reply.get("error", {}).get("code") != "internal", reply


@given(
    st.lists(st.binary(max_size=60) | anything.map(lambda v: json.dumps(v).encode()), max_size=9)
)
def test_any_line_gets_one_answer_or_none_if_it_is_empty(lines: list[bytes]) -> None:
    session = Session()
    lines = [line.replace(b"\n", b"") for line in lines]
    session.send(b"".join(line + b"\n" for line in lines))
    assert session.ask("hello")["protocol"] == 1
    assert len(session.end()) == sum(bool(line.strip()) for line in lines)


def test_a_node_that_ceases_by_itself_is_an_event_and_its_loss_an_answer() -> None:
    with hosting() as session:
        session.ask("start")
        session.running.fail(2)
        assert not session.ask("status")["nodes"][1]["alive"]
        [fault] = [event for event in session.events if event["event"] == "fault"]
        assert fault.keys() == {"event", "node", "message", "at_ns"}
        assert (fault["node"], "made to fail" in fault["message"]) == (2, True)
        assert session.ask("restart", node=2) == {}
        session.running.fail(2)
        session.running.storage_lost = True
        assert session.ask("restart", node=2) == {"storage_lost": True}
