"""A contender's running cluster, in the words in which scenarios are told.

A test says what happens to the cluster (`crash`, `partition`, `committed` …) and what must become
of it (`elected_leader`, `all_agree`). Whatever it asks, every look at the cluster also checks what
must hold at all times: see `_check_status`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

import pytest

from raftmark.bench.contenders.contender import Contender, ContenderError

from .messages import (
    LogEntry,
    LogPage,
    NodeStatus,
    RoleEvent,
    Snapshotted,
    Submitted,
    Value,
    read,
)
from .model import Store, log_hash
from .waiting import DEADLINE_S, looks

T = TypeVar("T")
K = TypeVar("K")
Status = dict[int, NodeStatus]

_clusters = itertools.count(1)

# For scenarios that wait for elections: over within a blink, if not always the first one.
LIVELY: dict[str, Any] = {"election_timeout_ms": [50, 100], "heartbeat_ms": 10}
# For scenarios that a needless election would slow down.
STEADY: dict[str, Any] = {"election_timeout_ms": [150, 300], "heartbeat_ms": 30}
# For the few scenarios in which no election may happen even on a crowded machine.
UNSHAKABLE: dict[str, Any] = {"election_timeout_ms": [1500, 2000], "heartbeat_ms": 100}
# For links under a load: so that the fastest contender fills no log that takes long to read.
SLOW: dict[str, Any] = {"delay_ms": [1, 2]}


def set_(key: str, value: str) -> dict[str, Any]:
    return {"op": "set", "key": key, "value": value}


def get(key: str) -> dict[str, Any]:
    return {"op": "get", "key": key}


def cas(key: str, expect: str | None, value: str) -> dict[str, Any]:
    return {"op": "cas", "key": key, "expect": expect, "value": value}


# For what is a dozen steps, each of which may take as long as anything: elections, or programs.
LONG_S = 10 * DEADLINE_S

# Settings that are not sent to who does not offer what they are about.
OPTIONAL = {
    "snapshot_entries": "snapshot",
    "pre_vote": "pre_vote",
    "check_quorum": "check_quorum",
    "trace": "trace",
}


class ClusterUnderTest:
    """A cluster from `start` to `stop`; `nodes` are the ids of its nodes.

    `members` are those that it is to begin with, if not the first so many.
    """

    def __init__(
        self,
        contender: Contender,
        nodes: int = 3,
        members: Sequence[int] = (),
        **settings: Any,
    ) -> None:
        self.contender = contender
        features = contender.call("hello")["features"]
        settings = {
            name: value
            for name, value in settings.items()
            if name not in OPTIONAL or OPTIONAL[name] in features
        }
        self._first_event = len(contender.events.all())
        self._history: dict[int, LogEntry] = {}
        self._log_hash_at: dict[tuple[int, int], str] = {}
        self._state_hash_at: dict[int, str] = {}
        self._leader_of: dict[int, int] = {}
        self._terms: dict[int, int] = {}
        self._committed: dict[int, int] = {}
        self._crashes_itself = False
        # A data directory may remember the sessions of an earlier cluster.
        self._patient_client = f"patient-{next(_clusters)}"
        self._patient_serial = 0
        answer = contender.call("start", reply_timeout=LONG_S, nodes=nodes, **settings)
        assert answer == {"nodes": list(members or range(1, nodes + 1))}
        self.nodes: list[int] = answer["nodes"]
        self._ever = set(self.nodes)
        self._doubted: set[int] = set()
        self._crashes: list[tuple[int, int]] = []
        """Of whom, and when it ceased."""
        self.running = True

    def stop(self) -> None:
        self.contender.call("stop")
        self.running = False
        self.check_events()

    # What is done to the cluster

    def crash(self, node: int) -> int:
        """Crash a node and return when it ceased."""
        answer = self.contender.call("crash", node=node)
        self._committed.pop(node, None)
        at_ns = answer["at_ns"]
        assert type(at_ns) is int, answer
        self._crashes.append((node, at_ns))
        return at_ns

    def restart(self, node: int) -> None:
        self.contender.call("restart", node=node)

    def pause(self, node: int) -> None:
        self.contender.call("pause", node=node)

    def resume(self, node: int) -> None:
        self.contender.call("resume", node=node)

    def partition(self, *groups: Collection[int]) -> None:
        self.contender.call("partition", groups=[list(group) for group in groups])

    def block(self, *ways: tuple[int, int]) -> None:
        self.contender.call("partition", blocked=ways)

    def heal(self) -> None:
        self.contender.call("heal")

    def links(self, **faults: Any) -> None:
        self.contender.call("links", **faults)

    def snapshot(self, node: int) -> Snapshotted:
        """Let a node compact its log, of which what is committed is read before."""
        self.log(node)
        return read(Snapshotted, self.contender.call("snapshot", node=node))

    def transfer(self, node: int, **fields: Any) -> None:
        """Hand the leadership over to a node."""
        assert self.contender.call("transfer", node=node, **fields) == {}

    def hand_over(self, to: int, *, timeout_ms: int = 1000) -> None:
        """Transfer the leadership until it is done: elections may come between."""
        refusal: ContenderError | None = None
        for _ in looks():
            try:
                self.transfer(to, timeout_ms=timeout_ms)
            except ContenderError as error:
                if error.code not in ("timeout", "unavailable"):
                    raise
                refusal = error
            else:
                return
        raise AssertionError(f"node {to} never led; last: {refusal}")

    def add_server(self, node: int) -> None:
        """Add a node, and be sure that it is a voter."""
        self._ever.add(node)
        self._change_members("add_server", node)
        if node not in self.nodes:
            self.nodes = sorted([*self.nodes, node])

    def remove_server(self, node: int) -> None:
        """Remove a node, and be sure that it is none any more."""
        self._change_members("remove_server", node)
        self.forget(node)

    def doubt(self, node: int) -> None:
        """A request of the test's own is about to add a node, or may fail to."""
        self._ever.add(node)
        self._doubted.add(node)

    def expect(self, node: int) -> None:
        """A node was added by a request of the test's own."""
        self._ever.add(node)
        self._doubted.discard(node)
        self.nodes = sorted([*self.nodes, node])

    def forget(self, node: int) -> None:
        """A node was removed, and its next life, if it has one, begins anew."""
        self.nodes.remove(node)
        self._committed.pop(node, None)

    def _change_members(self, op: str, node: int) -> None:
        """Ask for a change until it is made: the leader may be new, or not there yet."""
        refusal: ContenderError | None = None
        for _ in looks():
            try:
                assert self.contender.call(op, node=node, timeout_ms=30_000) == {}
            except ContenderError as error:
                if error.code not in ("unavailable", "not_leader", "lost"):
                    raise
                refusal = error
            else:
                return
        raise AssertionError(f"{op} of node {node} was refused for {DEADLINE_S:g} s: {refusal}")

    def isolated_leader(self, *, followers: int = 0) -> int:
        """Cut the leader off, with so many followers, and return it.

        It still takes itself for the leader, and as nobody of a higher term reaches it, it will
        until the partition is healed.
        """
        for _ in looks():
            leader = self.elected_leader()
            others = self.others(leader)
            rest = others[followers:]
            self.partition([leader, *others[:followers]], rest)
            status = self.later_status()
            # What is no majority has no leader, but for one that was elected just before.
            stranded = len(rest) <= len(self.nodes) // 2
            leads = stranded and any(status[node].role == "leader" for node in rest)
            if status[leader].role == "leader" and not leads:
                return leader
            self.heal()  # An election was under way when the links were cut.
        raise AssertionError("no leader stayed one for long enough to be cut off")

    def lonely_leader(self) -> int:
        """Crash all nodes but a leader, which still takes itself for one, and return it."""
        return self._last_one_left("leader")

    def lonely_follower(self) -> int:
        """Crash all nodes but a follower, which nobody is left to elect, and return it."""
        return self._last_one_left("follower")

    def _last_one_left(self, role: str) -> int:
        for _ in looks():
            leader = self.elected_leader()
            node = leader if role == "leader" else self.others(leader)[0]
            gone = self.others(node)
            for each in gone:
                self.crash(each)
            if (self.later_status()[node].role == "leader") == (role == "leader"):
                return node
            for each in gone:
                self.restart(each)  # An election was under way when they crashed.
        raise AssertionError(f"no {role} stayed one for long enough to be left alone")

    def stalled_leader(
        self,
        command: dict[str, Any],
        session: Mapping[str, Any] | None = None,
        *,
        timeout_ms: int = 200,
        times: int = 1,
    ) -> int:
        """Cut the leader off with one follower, let it take a command in vain, and return it.

        The follower that it still has may depose it, on a busy machine.
        """

        def stall(_leader: int) -> int:
            leader = self.isolated_leader(followers=1)
            for _ in range(times):
                asked = {"command": command, "node": leader, "timeout_ms": timeout_ms}
                self.refused("timeout", "submit", **asked, **(session or {}))
            return leader

        return self.undisturbed(stall)

    # What it is asked

    def status(self) -> Status:
        """Return every node's status, by id."""
        answer = self.contender.call("status")
        assert list(answer) == ["nodes"]
        status = {node.id: node for node in read(list[NodeStatus], answer["nodes"])}
        assert sorted(status.keys() - self._doubted) == self.nodes
        self._check_status(status)
        return status

    def later_status(self) -> Status:
        """Return the status once whatever was under way has come: by the second look.

        A node that is asked the first time has all that was sent to it before, or takes it next.
        """
        self.status()
        return self.status()

    def submit(self, command: dict[str, Any], **fields: Any) -> Submitted:
        return read(Submitted, self.contender.call("submit", command=command, **fields))

    def refused(self, code: str, op: str, /, **fields: Any) -> ContenderError:
        """Make a request that must be answered with the error `code`; return the error."""
        with pytest.raises(ContenderError) as refusal:
            print(f"{op} was answered with", self.contender.call(op, **fields))
        assert refusal.value.code == code, refusal.value
        assert refusal.value.message
        return refusal.value

    def result_of(self, command: dict[str, Any], *, through: Collection[int] = ()) -> Any:
        """Return a command's result, retrying until it is heard; the session applies it once.

        With `through`, only these nodes are asked: a part of a divided cluster.
        """
        self._patient_serial += 1
        session = {"client": self._patient_client, "serial": self._patient_serial}
        return self.insist(command, session, through=through)

    def insist(
        self, command: dict[str, Any], session: dict[str, Any], *, through: Collection[int] = ()
    ) -> Any:
        """Submit the command under the session until it succeeds, and return its result."""
        refusal: ContenderError | None = None
        for _ in looks():
            for asked in [{"node": node} for node in through] or [{}]:
                try:
                    return self.submit(command, timeout_ms=1000, **session, **asked).result
                except ContenderError as error:
                    if error.code not in ("not_leader", "unavailable", "timeout", "lost"):
                        raise
                    refusal = error
        raise AssertionError(f"{command} got no answer in {DEADLINE_S:g} s; last: {refusal}")

    def committed(self, key: str, value: str, *, through: Collection[int] = ()) -> None:
        """Set a key, and be sure that it was."""
        assert self.result_of(set_(key, value), through=through) is None

    def value_of(self, key: str, *, through: Collection[int] = ()) -> Any:
        return self.result_of(get(key), through=through)

    def read(self, key: str, **fields: Any) -> Value:
        return read(Value, self.contender.call("read", key=key, **fields))

    def read_value(self, key: str, *, through: Collection[int] = ()) -> str | None:
        """Return a key's value, read as soon as a leader answers."""
        refusal: ContenderError | None = None
        for _ in looks():
            for asked in [{"node": node} for node in through] or [{}]:
                try:
                    return self.read(key, timeout_ms=1000, **asked).value
                except ContenderError as error:
                    if error.code not in ("not_leader", "unavailable", "timeout"):
                        raise
                    refusal = error
        raise AssertionError(f"no read of {key} in {DEADLINE_S:g} s; last: {refusal}")

    def log(self, node: int, to: int | None = None) -> list[LogEntry]:
        """Return what a node keeps of its log, at most to index `to`, page by page.

        What is committed of it must be what was committed whenever any node's log was read.
        """
        entries: list[LogEntry] = []
        last, following = to, 1
        while last is None or following <= last:
            asked = {"from": following} | ({} if to is None else {"to": to})
            page = read(LogPage, self.contender.call("log", node=node, **asked))
            indices = [entry.index for entry in page.entries]
            assert len(indices) <= 5000
            assert page.commit_index <= page.last_index
            last = page.last_index if to is None else min(to, page.last_index)
            if not indices and following <= last:
                first = self.status()[node].first_index or 0
                assert first > last, f"no entries from {following} to {last} of {first} and more"
                break
            if indices:
                if entries or self.status()[node].first_index == 1:
                    assert indices[0] == following
                assert indices == list(range(indices[0], indices[0] + len(indices)))
                following = indices[-1] + 1
            for entry in page.entries:
                if entry.index <= page.commit_index:
                    known = self._history.setdefault(entry.index, entry)
                    assert known == entry, f"node {node} has {entry} where {known} was committed"
            entries += page.entries
        return entries

    def role_events(self) -> list[RoleEvent]:
        """Return what the nodes have announced since the cluster's start."""
        events = self.contender.events.all()[self._first_event :]
        return [read(RoleEvent, event) for event in events if event.get("event") == "role"]

    def messages(self) -> list[dict[str, Any]]:
        """What a trace has told of messages since the cluster was started."""
        return self.events("message")

    def events(self, kind: str) -> list[dict[str, Any]]:
        """What the cluster has told of this kind since it was started."""
        events = self.contender.events.all()[self._first_event :]
        return [event for event in events if event["event"] == kind]

    def others(self, *nodes: int) -> list[int]:
        return [node for node in self.nodes if node not in nodes]

    # What must become of it

    def eventually(self, what: str, condition: Callable[[Status], T | None]) -> T:
        """Look at the status until `condition` makes something of it, and return that."""
        for _ in looks():
            status = self.status()
            made = condition(status)
            if made is not None and made is not False:
                return made
        shown = "\n".join(f"  {node}" for node in status.values())
        latest = "\n".join(f"  {event}" for event in self.role_events()[-10:])
        raise AssertionError(f"not within {DEADLINE_S:g} s: {what}\n{shown}\nevents:\n{latest}")

    def elected_leader(self, among: Iterable[int] | None = None) -> int:
        """Wait until `among` (all that run) follow one of them in one term; return that one."""

        def leader(status: Status) -> int | None:
            nodes = _running(status) if among is None else [status[node] for node in among]
            known = {(node.term, node.leader) for node in nodes}
            if len(known) != 1:
                return None
            (_, leader) = known.pop()
            leads = any(node.id == leader and node.role == "leader" for node in nodes)
            return leader if leads else None

        return self.eventually("one leader that all know", leader)

    def all_agree(self, among: Iterable[int] | None = None) -> list[LogEntry]:
        """Wait until `among` (all that run) hold one log, applied to its end; return the log.

        Their hashes must be those which the documented rules give for that log. What all have
        compacted away is in it if it was read before; the state can be checked only if all is.
        """
        chosen = None if among is None else list(among)

        def agreed(status: Status) -> list[NodeStatus] | None:
            nodes = _running(status) if chosen is None else [status[node] for node in chosen]
            ends = {
                end
                for node in nodes
                for end in (node.last_index, node.commit_index, node.applied_index)
            }
            return nodes if len(ends) == 1 else None

        nodes = self.eventually("all nodes applied the same log", agreed)
        last = nodes[0].last_index
        assert last is not None
        for node in nodes:
            first = node.first_index
            assert first is not None
            # Not beyond `last`: a new leader may have added to the log since.
            log = self.log(node.id, to=last)
            if len(log) != last + 1 - first:
                return self.all_agree(chosen)  # Compacted since: that new leader's doing, too.
            assert log == [self._history[index] for index in range(first, last + 1)]
            assert node.log_hash == log_hash(log), node
        whole = [self._history[index] for index in sorted(self._history) if index <= last]
        if len(whole) == last:
            assert nodes[0].state_hash == Store(whole).hash()
        return whole

    def run(self, workload: dict[str, Any]) -> dict[str, Any]:
        """Run a workload, however often a busy machine has it wait; return its result."""
        return self.contender.call("run", workload=workload, reply_timeout=LONG_S)

    def begin_run(
        self,
        workload: dict[str, Any],
        under_way: Callable[[Status], bool] | None = None,
    ) -> tuple[int, Future[dict[str, Any]]]:
        """Begin a run that is to last; return the leader and the reply to come.

        It is `under_way` then; as a rule that shows in the longest log, as a run may crash its
        leader. A run is begun again, in other sessions, when its answer is that an election came
        between.
        """
        refusal: object = None
        # A node that it crashes and restarts may know of less that is committed than before.
        self._crashes_itself = workload["name"] in ("election", "failover")
        for attempt, _ in enumerate(looks()):
            leader = self.elected_leader()
            last = self.status()[leader].last_index or 0
            session = f"{workload.get('session', 'client')}-{attempt}"
            own = {} if workload["name"] == "election" else {"session": session}
            running = self.contender.send("run", workload=workload | own)

            def shows(status: Status) -> bool:
                if running.done():  # noqa: B023
                    return True
                if under_way is not None:
                    return under_way(status)
                return max(node.last_index or 0 for node in status.values()) > last + 10  # noqa: B023

            self.eventually("the run is under way", shows)
            if not running.done():
                return leader, running
            try:
                raise AssertionError(f"a run that was to last ended: {running.result()}")
            except ContenderError as error:
                if error.code != "unavailable":
                    raise
                refusal = error
        raise AssertionError(f"no run for {DEADLINE_S:g} s; last: {refusal}")

    def undisturbed(self, act: Callable[[int], T]) -> T:
        """Return what `act(leader)` does, done again, the network healed, if an election came.

        An act must not wait in vain for what an election has made impossible.
        """
        for _ in looks():
            leader = self.elected_leader()
            before = self.status()[leader]
            try:
                return act(leader)
            except (AssertionError, ContenderError):
                now = self.status()
                stayed = all(node.term == before.term for node in _running(now))
                if before.role == "leader" and stayed and now[leader].role == "leader":
                    raise
                self.heal()
        raise AssertionError("no leader stayed one for long enough")

    # What must hold at all times

    def _check_status(self, status: Status) -> None:
        """Check the guarantees of figure 3 of the Raft paper, across nodes and time."""
        for node in status.values():
            if not node.alive:
                continue
            assert node.last_index is not None
            assert node.commit_index is not None
            assert node.applied_index is not None
            assert node.term is not None
            assert node.log_hash is not None
            assert node.state_hash is not None
            assert node.first_index is not None
            assert node.snapshot_index is not None
            assert node.voters is not None
            assert node.learners is not None
            assert node.applied_index <= node.commit_index <= node.last_index, node
            assert node.first_index - 1 <= node.snapshot_index <= node.applied_index, node
            assert node.voters == sorted(set(node.voters)), node
            assert node.learners == sorted(set(node.learners) - set(node.voters)), node
            assert node.role != "leader" or node.leader == node.id, node
            term, committed = self._terms.get(node.id, 0), self._committed.get(node.id, 0)
            if self._crashes_itself:
                committed = 0
            assert node.term >= term, f"a term fell from {term}: {node}"
            assert node.commit_index >= committed, f"a commit index fell from {committed}: {node}"
            self._terms[node.id] = node.term
            self._committed[node.id] = node.commit_index
            if node.role == "leader":
                self._only_leader(node.term, node.id)
            stretch = (node.first_index, node.commit_index)
            _same(self._log_hash_at, stretch, node.log_hash, node)
            _same(self._state_hash_at, node.applied_index, node.state_hash, node)

    def check_events(self) -> None:
        """Check that no term had two leaders and that no node's term or clock went back."""
        latest: dict[int, RoleEvent] = {}
        for event in self.role_events():
            assert event.node in self._ever
            if event.role == "leader":
                self._only_leader(event.term, event.node)
            before = latest.get(event.node, event)
            # A role is told of as it is taken: who crashes before its term is saved loses that.
            forgot = any(
                who == event.node and before.at_ns <= at_ns <= event.at_ns
                for who, at_ns in self._crashes
            )
            assert forgot or event.term >= before.term, f"a term fell: {before}, then {event}"
            assert event.at_ns >= before.at_ns, f"time went back: {before}, then {event}"
            latest[event.node] = event

    def _only_leader(self, term: int, node: int) -> None:
        first = self._leader_of.setdefault(term, node)
        assert first == node, f"nodes {first} and {node} both led in term {term}"


def _running(status: Status) -> list[NodeStatus]:
    return [node for node in status.values() if node.alive and not node.paused]


def _same(known: dict[K, str], at: K, digest: str, node: NodeStatus) -> None:
    assert known.setdefault(at, digest) == digest, f"another history up to {at}: {node}"
