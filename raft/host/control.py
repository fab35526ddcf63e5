"""A running cluster as its operator sees it: who is up, who leads, what may be done next."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from enum import Enum
from functools import partial
from typing import Any, TypeAlias, TypeVar

from raftmark.raft.client import Done, Outcome, Query, Reading
from raftmark.raft.cluster import (
    ClockRelated,
    Cluster,
    ClusterConfig,
    ClusterFactory,
    Counters,
    EntriesLost,
    Events,
    LogSlice,
    Membership,
    NodeStatus,
    RoleChange,
    ignore,
)
from raftmark.raft.errors import BadRequest, OutcomeUnknown, RaftError, Unavailable
from raftmark.raft.host.data import read
from raftmark.raft.links import PERFECT, Faults
from raftmark.raft.messages import ADD_SERVER, REMOVE_SERVER, Command
from raftmark.raft.node import Role
from raftmark.raft.storage import StorageError, file_of

T = TypeVar("T")


class Lifecycle(Enum):
    """What an operator did to a node, or its own fault."""

    RUNNING = "running"
    PAUSED = "paused"
    CRASHED = "crashed"


Completion: TypeAlias = Callable[[int], None]
"""Waits until an operation that was begun is complete, or a deadline (ns); raises its error."""


class Control:
    """Operations on one cluster: refused where the nodes' state does not allow them.

    `on_role` hears every role change, `on_failure` of every node that ceased by itself,
    `on_sent`, if there is one, of all messages, `on_entries_lost` of what a follower has lost;
    all from the cluster's threads, and must not block.
    """

    def __init__(
        self,
        factory: ClusterFactory,
        config: ClusterConfig,
        on_role: Callable[[RoleChange], None],
        on_failure: Callable[[int, Exception], None],
        on_sent: Callable[[Sequence[dict[str, Any]]], None] | None = None,
        on_entries_lost: Callable[[EntriesLost], None] = ignore,
        on_clock: Callable[[ClockRelated], None] = ignore,
    ) -> None:
        self.settings = config.settings
        self.seed = config.seed
        self._listeners: tuple[Callable[[RoleChange], None], ...] = (on_role,)
        self._on_failure = on_failure
        self._operating = threading.Lock()
        self._submitting = threading.Lock()
        self._changed = threading.Condition()
        self._roles: dict[int, RoleChange] = {}
        self.nodes = config.nodes
        self._data_dir = config.data_dir
        self._lifecycle = dict.fromkeys(self.nodes, Lifecycle.RUNNING)
        self._paused_status: dict[int, NodeStatus] = {}
        self._members_as_of = 0
        self._joining: set[int] = set()
        """Those who were started and are not known to be members yet."""
        self._leaving: set[int] = set()
        """Those who are members no more and have not ended yet."""
        self._threads: list[threading.Thread] = []
        self._stopped = False
        self._faults = PERFECT
        events = Events(
            self._role_changed,
            self._node_failed,
            on_sent,
            on_entries_lost,
            self._members_are,
            clock_related=on_clock,
        )
        self.cluster: Cluster = factory(config, events)
        self._divide: Callable[[], None] = partial(self.cluster.partition, None)

    # -- what the cluster tells ------------------------------------------------------

    def _role_changed(self, change: RoleChange) -> None:
        with self._changed:
            self._roles[change.node] = change
            for listener in self._listeners:
                listener(change)
            self._changed.notify_all()

    def _node_failed(self, node: int, error: Exception) -> None:
        with self._changed:
            self._lifecycle[node] = Lifecycle.CRASHED
            self._roles.pop(node, None)
            self._changed.notify_all()
        self._on_failure(node, error)

    def _members_are(self, membership: Membership) -> None:
        """End the servers that are members no more, whoever has asked for that and waits for it."""
        with self._changed:
            if membership.as_of <= self._members_as_of or self._stopped:
                return
            self._members_as_of = membership.as_of
            self._joining.difference_update(membership.members)
            for node in self._lifecycle.keys() - self._joining - set(membership.members):
                self._leaving.add(node)
                # Not here: it is the thread of a node that tells.
                self._let_a_thread(partial(self._end, node), f"ends-{node}")

    # -- what the operator asks ------------------------------------------------------

    def start(self) -> None:
        """Start every node. StorageError leaves none running."""
        self.cluster.start()

    def stop(self) -> None:
        """End every node, and whatever waits for them."""
        with self._submitting, self._changed:
            self._stopped = True
            self._changed.notify_all()
        with self._operating:
            self.cluster.stop()
        for thread in self._threads:
            thread.join()

    def _let_a_thread(self, work: Callable[[], None], name: str) -> None:
        """Let a thread do something that `stop` awaits. `_changed` is held."""
        thread = threading.Thread(target=work, name=name)
        thread.start()
        self._threads = [*(each for each in self._threads if each.is_alive()), thread]

    def begin(self, work: Callable[[], T]) -> Future[T]:
        """Let a thread do what may outlast whoever waits for it; it ends with the cluster.

        `wait_for` looks again at its condition when it is done.
        """
        result: Future[T] = Future()

        def run() -> None:
            try:
                value = work()
            except BaseException as error:  # noqa: BLE001 (raised where the result is taken)
                self.notified(result.set_exception)(error)
            else:
                self.notified(result.set_result)(value)

        with self._changed:
            if self._stopped:
                raise Unavailable("the cluster was stopped")
            self._let_a_thread(run, "beside-the-leader")
        return result

    @contextmanager
    def _operation(self) -> Iterator[None]:
        """One at a time, and none once the cluster is being stopped."""
        with self._operating:
            if self._stopped:
                raise Unavailable("the cluster was stopped")
            yield

    def submit(self, node: int | None, command: Command, done: Done) -> None:
        """Propose a command, to the present leader if `node` is None; `done` hears all errors.

        Any thread may, at any time: a cluster that is being stopped is left alone.
        """
        with self._submitting:
            try:
                self.cluster.submit(self._asked(node), command, done)
            except RaftError as error:
                done(error)

    def read(self, node: int | None, query: Query) -> None:
        """Read a key, from the present leader if `node` is None."""
        try:
            self.cluster.read(self._asked(node), query)
        except RaftError as error:
            query.done(error)

    def _asked(self, node: int | None) -> int:
        """Who is to answer a client that asked `node`, or anyone; a RaftError if no one can."""
        if self._stopped:
            raise Unavailable("the cluster was stopped")
        if node is None:
            leader = self.leader()
            if leader is None:
                raise Unavailable("no leader is known; wait for an election")
            node = leader.node
        return self._running(node)

    def _running(self, node: int) -> int:
        if self._state_of(node) is not Lifecycle.RUNNING:
            raise Unavailable(f"node {node} is {self._state_of(node).value}")
        return node

    def status(self) -> list[dict[str, Any]]:
        """Every node's status as docs/protocol.md has it."""
        with self._operation():
            return [self._status_of(node) for node in self.nodes]

    def _status_of(self, node: int) -> dict[str, Any]:
        state = self._state_of(node)
        alive, paused = state is not Lifecycle.CRASHED, state is Lifecycle.PAUSED
        fields: dict[str, Any] = dict.fromkeys(NodeStatus._fields)
        if paused:
            fields = self._paused_status[node]._asdict()
        elif alive:
            try:
                fields = self.cluster.status(node)._asdict()
            except Unavailable:
                alive = False  # It ceased, or hangs, just now; the others are to be told of.
        return {"id": node, "alive": alive, "paused": paused, **fields}

    def log(self, node: int, first: int, last: int) -> LogSlice:
        """A running node's log entries from `first` to `last`."""
        with self._operation():
            return self.cluster.log(self._running(node), first, last)

    def snapshot(self, node: int) -> tuple[int, int]:
        """Let a running node compact its whole log; the snapshot's index and term."""
        with self._operation():
            return self.cluster.compact(self._running(node))

    def heartbeat(self, node: int) -> None:
        """Let a running node, if it leads, broadcast a heartbeat; returns when it was sent."""
        with self._operation():
            self.cluster.heartbeat(self._running(node))

    def serve(self) -> dict[int, str]:
        """Let every node listen for clients; where each does."""
        with self._operation():
            return self.cluster.serve()

    def counters(self, node: int) -> Counters:
        """What a running node has sent and saved."""
        with self._operation():
            return self.cluster.counters(self._running(node))

    def when_applied(self, node: int, index: int, done: Reading) -> None:
        """Tell when a running node has applied an entry."""
        with self._operation():
            self.cluster.when_applied(self._running(node), index, done)

    def crash(self, node: int) -> int:
        """Crash a running or paused node; when it ceased (ns)."""
        with self._operation():
            self._require(node, Lifecycle.RUNNING, Lifecycle.PAUSED)
            self._lifecycle[node] = Lifecycle.CRASHED
            ceased_ns = self.cluster.crash(node)
            with self._changed:
                self._roles.pop(node, None)
            return ceased_ns

    def restart(self, node: int) -> bool:
        """Restart a crashed node; whether it begins with nothing, its storage lost."""
        with self._operation():
            self._require(node, Lifecycle.CRASHED)
            # First, as the new life may soon report that it has failed, too.
            self._lifecycle[node] = Lifecycle.RUNNING
            try:
                return self.cluster.restart(node)
            except (StorageError, Unavailable):
                self._lifecycle[node] = Lifecycle.CRASHED
                raise

    def pause(self, node: int) -> None:
        """Hang a running node."""
        with self._operation():
            self._require(node, Lifecycle.RUNNING)
            self._paused_status[node] = self.cluster.pause(node)
            self._lifecycle[node] = Lifecycle.PAUSED

    def resume(self, node: int) -> None:
        """Let a paused node go on."""
        with self._operation():
            self._require(node, Lifecycle.PAUSED)
            self._lifecycle[node] = Lifecycle.RUNNING
            self.cluster.resume(node)

    def partition(self, groups: Sequence[Sequence[int]] | None) -> None:
        """Cut the cluster into groups; None heals."""
        with self._operation():
            self._divide = partial(self.cluster.partition, groups)
            self._divide()

    def block(self, ways: Sequence[tuple[int, int]]) -> None:
        """Cut these links, each from one node to another."""
        with self._operation():
            self._divide = partial(self.cluster.block, ways)
            self._divide()

    @contextmanager
    def cut(self, ways: Sequence[tuple[int, int]]) -> Iterator[None]:
        """Cut these links for a while, besides what the operator has divided."""
        with self._operation():
            self.cluster.block(ways)
        try:
            yield
        finally:
            with self._operating:
                if not self._stopped:
                    self._divide()

    def degrade(self, faults: Faults) -> None:
        """Give every link these faults."""
        with self._operation():
            self._faults = faults
            self.cluster.degrade(faults)

    # -- members and leadership ------------------------------------------------------

    def transfer(self, to: int) -> Completion:
        """Let the present leader hand over to a node; complete when that leads."""
        with self._operation():
            leader = self._asked(None)
            role = self.leader()
            if role is None or role.node != leader:
                raise Unavailable(f"node {leader} leads no longer; ask again")
            if to == leader:
                return lambda _deadline_ns: None
            if to not in self.cluster.status(leader).voters:
                raise BadRequest(f"node {to} is no voter that node {leader} can hand over to")
            if not self.cluster.transfer(leader, to):
                raise Unavailable(f"node {leader} leads no longer; ask again")

        def leads() -> bool:
            now = self._roles.get(to)
            return now is not None and now.role is Role.LEADER and now.term > role.term

        def complete(deadline_ns: int) -> None:
            if not self.wait_for(leads, deadline_ns):
                raise OutcomeUnknown(f"node {to} does not lead yet; it may still be elected")

        return complete

    def add_server(self, node: int) -> Completion:
        """Start another server; complete when it is a voter.

        One that runs and is no member, as nothing came of an earlier request, is asked for once
        more.
        """
        with self._operation():
            leader = self._asked(None)
            is_member = self._has_member(leader, node)
            started = node not in self.nodes
            if is_member and not started:
                raise BadRequest(f"node {node} is in the cluster already")
            if started:
                if self._data_dir is not None:
                    read(file_of(self._data_dir, node), self.settings.nodes)
                self.cluster.join(node, joins=not is_member)
                self._divide()
                self.cluster.degrade(self._faults)
            with self._changed:
                if not is_member:
                    self._joining.add(node)
                    self._leaving.discard(node)
                if started:
                    self._lifecycle[node] = Lifecycle.RUNNING
                    self.nodes = tuple(sorted((*self.nodes, node)))
        change = None if is_member else self._change_members(leader, ADD_SERVER, node)

        def complete(deadline_ns: int) -> None:
            try:
                if change is not None:
                    change(deadline_ns)
            except OutcomeUnknown:
                raise
            except RaftError:
                if started:
                    self._leave(node, joining=True)
                raise
            while not self._votes(node):
                now_ns = time.monotonic_ns()
                if now_ns >= deadline_ns:
                    raise OutcomeUnknown(f"node {node} is a learner; it becomes a voter by itself")
                # Its leader looks with each heartbeat whether it keeps up.
                self.wait_until(now_ns + self.settings.heartbeat_ns)

        return complete

    def remove_server(self, node: int) -> Completion:
        """Remove a server; complete when that is committed and the server has ended."""
        if self.nodes == (node,):
            raise BadRequest(f"node {node} is the only one")
        leader = self._asked(None)
        with self._operation():
            is_member = node not in self._joining or self._has_member(leader, node)
        if not is_member:
            return lambda _deadline_ns: self._leave(node, joining=True)
        with self._changed:
            self._joining.discard(node)
        change = self._change_members(leader, REMOVE_SERVER, node)

        def complete(deadline_ns: int) -> None:
            change(deadline_ns)
            self._leave(node, joining=False)

        return complete

    def _has_member(self, leader: int, node: int) -> bool:
        """Whether a leader's log has a node as a member, committed or not."""
        status = self.cluster.status(leader)
        return node in status.voters + status.learners

    def _change_members(self, leader: int, operation: str, node: int) -> Completion:
        """Propose a change of membership; complete when it is committed."""
        outcomes: list[Outcome] = []

        def complete(deadline_ns: int) -> None:
            if not self.wait_for(lambda: bool(outcomes), deadline_ns):
                raise OutcomeUnknown("not committed in time; it may still be")
            [outcome] = outcomes
            if isinstance(outcome, RaftError):
                raise outcome
            if outcome.result is not True:
                raise Unavailable("another change is under way, or the leader is new; try again")
            with self._changed:
                # Whoever tells of the members as they were before is late.
                self._members_as_of = max(self._members_as_of, outcome.log_index)

        done = self.notified(outcomes.append)
        self.cluster.submit(leader, Command(operation, str(node)), done)
        return complete

    def _votes(self, node: int) -> bool:
        """Whether the leader counts a node as a voter."""
        with self._operation():
            leader = self.leader()
            return leader is not None and node in self.cluster.status(leader.node).voters

    def _leave(self, node: int, *, joining: bool) -> None:
        """End a server that is no member: it has come to nothing, or was one.

        Nothing is left to do where that was seen to, and the next server of that id has joined.
        """
        with self._changed:
            if (node in self._joining) == joining:
                self._leaving.add(node)
        self._end(node)

    def _end(self, node: int) -> None:
        """End a server that is to leave: once, however many ask for it."""
        with self._operating:
            with self._changed:
                if node not in self._leaving or self._stopped:
                    return
                self._leaving.discard(node)
                self._joining.discard(node)
                state = self._lifecycle.pop(node, None)
            if state in (Lifecycle.RUNNING, Lifecycle.PAUSED):
                self.cluster.crash(node)
            with self._changed:
                self._roles.pop(node, None)
                self.nodes = tuple(n for n in self.nodes if n != node)
                self._changed.notify_all()

    def _state_of(self, node: int) -> Lifecycle:
        state = self._lifecycle.get(node)
        if state is None:
            raise BadRequest(f"node {node} was removed")
        return state

    def _require(self, node: int, *states: Lifecycle) -> None:
        if self._state_of(node) not in states:
            raise BadRequest(f"node {node} is {self._state_of(node).value}")

    # -- what is watched -------------------------------------------------------------

    def leader(self) -> RoleChange | None:
        """What the running node said that leads, the highest term's if there are two."""
        with self._changed:
            leaders = [
                change
                for change in self._roles.values()
                if change.role is Role.LEADER
                and self._lifecycle.get(change.node) is Lifecycle.RUNNING
            ]
        return max(leaders, key=lambda change: change.term, default=None)

    @contextmanager
    def watched(self, listener: Callable[[RoleChange], None]) -> Iterator[None]:
        """Let `listener` hear every role change meanwhile; it must not block."""
        self._listeners = (*self._listeners, listener)
        try:
            yield
        finally:
            self._listeners = tuple(each for each in self._listeners if each is not listener)

    def agreement(self, nodes: Iterable[int], above: int = -1) -> list[RoleChange]:
        """What each of `nodes` said last, if they follow one leader in one term above `above`.

        Empty while they differ.
        """
        with self._changed:
            views = [self._roles.get(node) for node in nodes]
        said = [view for view in views if view is not None]
        agreed = len(said) == len(views) and len({(c.leader, c.term) for c in said}) == 1
        return said if agreed and said[0].leader is not None and said[0].term > above else []

    def await_settled(self, deadline_ns: int) -> int | None:
        """The leader, once all nodes run and follow it with the same log; None at the deadline."""
        nodes = self.nodes
        heartbeat_ns = self.settings.heartbeat_ns
        while self.wait_for(lambda: bool(self.agreement(nodes)), deadline_ns):
            agreed = self.agreement(nodes)
            if agreed and self._have_the_same_log(nodes):
                return agreed[0].leader
            now_ns = time.monotonic_ns()
            if now_ns >= deadline_ns:
                break
            # The next heartbeat brings the followers up to date; look again after it.
            self.wait_until(min(now_ns + heartbeat_ns, deadline_ns))
        return None

    def _have_the_same_log(self, nodes: Iterable[int]) -> bool:
        """Whether all run, and their logs and what they know to be committed end at the same index.

        Their status would tell as well, but has all of each log hashed.
        """
        with self._operation():
            try:
                logs = [self.cluster.log(self._running(node), 1, 1) for node in nodes]
            except RaftError:
                return False
        return len({(log.last_index, log.commit_index) for log in logs}) == 1

    def await_told(self) -> None:
        """Return when all that the running nodes have told of themselves so far has been heard."""
        for node in self.nodes:
            with suppress(RaftError):
                self.log(node, 1, 1)

    def notified(self, take: Callable[[T], None]) -> Callable[[T], None]:
        """The same, after which `wait_for` looks again at its condition."""

        def take_and_notify(value: T) -> None:
            with self._changed:
                take(value)
                self._changed.notify_all()

        return take_and_notify

    def wait_for(self, condition: Callable[[], bool], deadline_ns: int) -> bool:
        """Wait until what is heard has made `condition` true; False at the deadline.

        Unavailable once the cluster is stopped.
        """
        with self._changed:
            met = self._changed.wait_for(
                lambda: self._stopped or condition(),
                max(0.0, (deadline_ns - time.monotonic_ns()) / 1e9),
            )
            if self._stopped:
                raise Unavailable("the cluster was stopped")
            return met

    def wait_until(self, moment_ns: int) -> None:
        """Let time pass. Unavailable once the cluster is stopped."""
        self.wait_for(lambda: False, moment_ns)
