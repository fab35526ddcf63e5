"""A running cluster as its operator sees it: who is up, who leads, what may be done next."""

import random
import threading
import time
from collections.abc import Callable, Sequence
from enum import Enum
from functools import partial
from typing import Any, TypeAlias

from raft.client import Done, Outcome, Query
from raft.cluster import (
    Cluster,
    ClusterConfig,
    ClusterFactory,
    Events,
    LogSlice,
    NodeStatus,
    RoleChange,
)
from raft.errors import BadRequest, Lost, NotLeader, OutcomeUnknown, RaftError, Unavailable
from raft.links import PERFECT, Faults
from raft.messages import ADD_SERVER, REMOVE_SERVER, Command
from raft.node import Role
from raft.storage import StorageError
from raft.workload import ElectionSpec, ReplicateSpec


class Lifecycle(Enum):
    """What an operator did to a node, or its own fault."""

    RUNNING = "running"
    PAUSED = "paused"
    CRASHED = "crashed"


Completion: TypeAlias = Callable[[int], None]
"""Waits until an operation that was begun is complete, or a deadline (ns); raises its error."""


class Control:
    """Operations on one cluster: refused where the nodes' state does not allow them.

    `on_role` hears every role change, `on_failure` of every node that ceased by itself;
    both from the cluster's threads.
    """

    def __init__(
        self,
        factory: ClusterFactory,
        config: ClusterConfig,
        on_role: Callable[[RoleChange], None],
        on_failure: Callable[[int, Exception], None],
    ) -> None:
        self._config = config
        self._on_role = on_role
        self._on_failure = on_failure
        self._operating = threading.Lock()
        self._changed = threading.Condition()
        self._roles: dict[int, RoleChange] = {}
        self._history: list[RoleChange] = []
        self.nodes = config.settings.nodes
        self._lifecycle = dict.fromkeys(self.nodes, Lifecycle.RUNNING)
        self._paused_status: dict[int, NodeStatus] = {}
        self._stopped = False
        self._faults = PERFECT
        self._cluster: Cluster = factory(config, Events(self._role_changed, self._node_failed))
        self._divide: Callable[[], None] = partial(self._cluster.partition, None)

    # -- what the cluster tells ------------------------------------------------------

    def _role_changed(self, change: RoleChange) -> None:
        with self._changed:
            self._roles[change.node] = change
            self._history.append(change)
            self._changed.notify_all()
        self._on_role(change)

    def _node_failed(self, node: int, error: Exception) -> None:
        with self._changed:
            self._lifecycle[node] = Lifecycle.CRASHED
            self._roles.pop(node, None)
            self._changed.notify_all()
        self._on_failure(node, error)

    # -- what the operator asks ------------------------------------------------------

    def start(self) -> None:
        """Start every node. StorageError leaves none running."""
        self._cluster.start()

    def stop(self) -> None:
        """End every node, and whatever waits for them."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        with self._operating:
            self._cluster.stop()

    def submit(self, node: int | None, command: Command, done: Done) -> None:
        """Propose a command, to the present leader if `node` is None."""
        try:
            self._cluster.submit(self._asked(node), command, done)
        except Unavailable as error:
            done(error)

    def read(self, node: int | None, query: Query) -> None:
        """Read a key, from the present leader if `node` is None."""
        try:
            self._cluster.read(self._asked(node), query)
        except Unavailable as error:
            query.done(error)

    def _asked(self, node: int | None) -> int:
        """Who is to answer a client that asked `node`, or anyone; Unavailable if no one can."""
        if self._stopped:
            raise Unavailable("the cluster was stopped")
        if node is None:
            node = self._leader()
        if node is None:
            raise Unavailable("no leader is known; wait for an election")
        return self._running(node)

    def _running(self, node: int) -> int:
        if self._state_of(node) is not Lifecycle.RUNNING:
            raise Unavailable(f"node {node} is {self._state_of(node).value}")
        return node

    def status(self) -> list[dict[str, Any]]:
        """Every node's status as docs/protocol.md has it."""
        with self._operating:
            return [self._status_of(node) for node in self.nodes]

    def _status_of(self, node: int) -> dict[str, Any]:
        state = self._state_of(node)
        alive, paused = state is not Lifecycle.CRASHED, state is Lifecycle.PAUSED
        fields: dict[str, Any] = dict.fromkeys(NodeStatus._fields)
        if paused:
            fields = self._paused_status[node]._asdict()
        elif alive:
            fields = self._cluster.status(node)._asdict()
        return {"id": node, "alive": alive, "paused": paused, **fields}

    def log(self, node: int, first: int, last: int) -> LogSlice:
        """A running node's log entries from `first` to `last`."""
        with self._operating:
            return self._cluster.log(self._running(node), first, last)

    def snapshot(self, node: int) -> tuple[int, int]:
        """Let a running node compact its whole log; the snapshot's index and term."""
        with self._operating:
            return self._cluster.compact(self._running(node))

    def crash(self, node: int) -> int:
        """Crash a running or paused node; when it ceased (ns)."""
        with self._operating:
            self._require(node, Lifecycle.RUNNING, Lifecycle.PAUSED)
            self._lifecycle[node] = Lifecycle.CRASHED
            ceased_ns = self._cluster.crash(node)
            with self._changed:
                self._roles.pop(node, None)
            return ceased_ns

    def restart(self, node: int) -> None:
        """Restart a crashed node."""
        with self._operating:
            self._require(node, Lifecycle.CRASHED)
            # First, as the new life may soon report that it has failed, too.
            self._lifecycle[node] = Lifecycle.RUNNING
            try:
                self._cluster.restart(node)
            except StorageError:
                self._lifecycle[node] = Lifecycle.CRASHED
                raise

    def pause(self, node: int) -> None:
        """Hang a running node."""
        with self._operating:
            self._require(node, Lifecycle.RUNNING)
            self._paused_status[node] = self._cluster.pause(node)
            self._lifecycle[node] = Lifecycle.PAUSED

    def resume(self, node: int) -> None:
        """Let a paused node go on."""
        with self._operating:
            self._require(node, Lifecycle.PAUSED)
            self._lifecycle[node] = Lifecycle.RUNNING
            self._cluster.resume(node)

    def partition(self, groups: Sequence[Sequence[int]] | None) -> None:
        """Cut the cluster into groups; None heals."""
        with self._operating:
            self._divide = partial(self._cluster.partition, groups)
            self._divide()

    def block(self, ways: Sequence[tuple[int, int]]) -> None:
        """Cut these links, each from one node to another."""
        with self._operating:
            self._divide = partial(self._cluster.block, ways)
            self._divide()

    def degrade(self, faults: Faults) -> None:
        """Give every link these faults."""
        with self._operating:
            self._faults = faults
            self._cluster.degrade(faults)

    # -- members and leadership ------------------------------------------------------

    def transfer(self, to: int) -> Completion:
        """Let the present leader hand over to a node; complete when that leads."""
        with self._operating:
            leader = self._asked(None)
            with self._changed:
                term = self._roles[leader].term
            if to == leader:
                return lambda _deadline_ns: None
            if not self._cluster.transfer(leader, to):
                raise BadRequest(f"node {to} is no voter that node {leader} can hand over to")

        def leads() -> bool:
            role = self._roles.get(to)
            return role is not None and role.role is Role.LEADER and role.term > term

        def complete(deadline_ns: int) -> None:
            if not self._wait_for(leads, deadline_ns):
                raise OutcomeUnknown(f"node {to} does not lead yet; it may still be elected")

        return complete

    def add_server(self, node: int) -> Completion:
        """Start another server; complete when it is a voter."""
        with self._operating:
            if node in self.nodes:
                raise BadRequest(f"node {node} is in the cluster already")
            leader = self._asked(None)
            status = self._cluster.status(leader)
            is_member = node in status.voters + status.learners
            self._cluster.join(node)
            self._divide()
            self._cluster.degrade(self._faults)
            with self._changed:
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
                self._end(node)
                raise
            while not self._votes(node):
                now_ns = time.monotonic_ns()
                if now_ns >= deadline_ns:
                    raise OutcomeUnknown(f"node {node} is a learner; it becomes a voter by itself")
                # Its leader looks with each heartbeat whether it keeps up.
                self._wait_for(lambda: False, now_ns + self._config.settings.heartbeat_ns)

        return complete

    def remove_server(self, node: int) -> Completion:
        """Remove a server; complete when that is committed and the server has ended."""
        if self.nodes == (node,):
            raise BadRequest(f"node {node} is the only one")
        change = self._change_members(self._asked(None), REMOVE_SERVER, node)

        def complete(deadline_ns: int) -> None:
            change(deadline_ns)
            self._end(node)

        return complete

    def _change_members(self, leader: int, operation: str, node: int) -> Completion:
        """Propose a change of membership; complete when it is committed."""
        outcomes: list[Outcome] = []

        def done(outcome: Outcome) -> None:
            with self._changed:
                outcomes.append(outcome)
                self._changed.notify_all()

        def complete(deadline_ns: int) -> None:
            if not self._wait_for(lambda: bool(outcomes), deadline_ns):
                raise OutcomeUnknown("not committed in time; it may still be")
            [outcome] = outcomes
            if isinstance(outcome, RaftError):
                raise outcome
            if outcome.result is not True:
                raise Unavailable("another change is under way, or the leader is new; try again")

        self._cluster.submit(leader, Command(operation, str(node)), done)
        return complete

    def _votes(self, node: int) -> bool:
        """Whether the leader counts a node as a voter."""
        with self._operating:
            leader = self._leader()
            return leader is not None and node in self._cluster.status(leader).voters

    def _end(self, node: int) -> None:
        """End a server that is no member."""
        with self._operating:
            if self._lifecycle.pop(node) is not Lifecycle.CRASHED and not self._stopped:
                self._cluster.crash(node)
            with self._changed:
                self._roles.pop(node, None)
                self.nodes = tuple(n for n in self.nodes if n != node)

    def _state_of(self, node: int) -> Lifecycle:
        state = self._lifecycle.get(node)
        if state is None:
            raise BadRequest(f"node {node} was removed")
        return state

    def _require(self, node: int, *states: Lifecycle) -> None:
        if self._state_of(node) not in states:
            raise BadRequest(f"node {node} is {self._state_of(node).value}")

    def _leader(self) -> int | None:
        """The running node that last said it leads, the highest term's if there are two."""
        with self._changed:
            leaders = [
                change
                for change in self._roles.values()
                if change.role is Role.LEADER
                and self._lifecycle.get(change.node) is Lifecycle.RUNNING
            ]
        return max(leaders, key=lambda change: change.term).node if leaders else None

    # -- workloads -------------------------------------------------------------------

    def replicate(self, spec: ReplicateSpec, _progress: Callable[[float], None]) -> dict[str, Any]:
        """Run *replicate* beside the leader, waiting for one if need be."""
        leader = self._await_settled(time.monotonic_ns() + ElectionSpec().cap_ns)
        if leader is None:
            raise Unavailable("the cluster did not settle on a leader")
        try:
            return self._cluster.replicate(leader, spec)
        except (NotLeader, Lost, OutcomeUnknown) as error:
            raise Unavailable(f"the leader changed or ceased during the run: {error}") from error

    def elections(self, spec: ElectionSpec, progress: Callable[[float], None]) -> dict[str, Any]:
        """Crash leader after leader and time what follows (§9.3)."""
        draw = random.Random(f"elections/{self._config.seed}")
        elections: list[dict[str, Any]] = []
        while len(elections) < spec.elections:
            leader = self._await_settled(time.monotonic_ns() + spec.cap_ns)
            if leader is None:
                raise Unavailable("the cluster did not settle before an election")
            election = self._elect(leader, draw, spec)
            if election is not None:
                elections.append(election)
                if election["leader"] is None:
                    break
                progress(len(elections) / spec.elections)
            self.restart(leader)
        return {"workload": "election", "elections": elections}

    def _elect(
        self, old_leader: int, draw: random.Random, spec: ElectionSpec
    ) -> dict[str, Any] | None:
        """Crash the leader; what followed, None if another election had begun before."""
        with self._changed:
            self._history.clear()
            old_term = self._roles[old_leader].term
        self._cluster.heartbeat(old_leader)
        moment_ns = time.monotonic_ns() + int(draw.random() * self._config.settings.heartbeat_ns)
        self._wait_for(lambda: False, moment_ns)
        crash_ns = self.crash(old_leader)
        survivors = [n for n in self.nodes if n != old_leader]

        def new_leader() -> int | None:
            return self._agreed_leader(survivors, above=old_term)

        self._wait_for(lambda: new_leader() is not None, crash_ns + spec.cap_ns)
        with self._changed:
            leader = new_leader()
            final = [self._roles[n] for n in survivors] if leader is not None else []
            history = list(self._history)
        elected = [c for c in history if c.role is Role.LEADER]
        # One server that elects itself in the very step in which it stood (§5.2).
        begun = [c for c in history if c.role is Role.CANDIDATE] or elected
        detected = [c for c in history if c.role is Role.PRE_CANDIDATE] or begun
        won = next((c for c in elected if final and c.term == final[0].term), None)
        if any(c.at_ns < crash_ns for c in detected) or (final and won is None):
            return None
        record: dict[str, Any] = {
            "crashed": old_leader,
            "term": old_term,
            "crash_ns": crash_ns,
            "candidate_ns": min((c.at_ns for c in detected), default=None),
            "leader_ns": None,
            "settled_ns": None,
            "leader": leader,
            "leader_term": None,
            "candidacies": len({(c.node, c.term) for c in begun}),
        }
        if won is not None:
            record["leader_ns"] = won.at_ns
            record["leader_term"] = won.term
            record["settled_ns"] = max(c.at_ns for c in final)
        return record

    def _agreed_leader(self, nodes: Sequence[int], above: int = -1) -> int | None:
        """The leader all `nodes` follow in one term above `above`, None while they differ."""
        views = {(c.leader, c.term) if (c := self._roles.get(n)) else (None, -1) for n in nodes}
        if len(views) != 1:
            return None
        ((leader, term),) = views
        return leader if term > above else None

    def _await_settled(self, deadline_ns: int) -> int | None:
        """The leader, once all nodes run and follow it with the same log; None at the deadline."""
        nodes = self.nodes
        heartbeat_s = self._config.settings.heartbeat_ns / 1e9
        while self._wait_for(lambda: self._agreed_leader(nodes) is not None, deadline_ns):
            leader = self._agreed_leader(nodes)
            views = self.status()
            if all(v["alive"] and not v["paused"] for v in views) and (
                len({(v["leader"], v["last_index"], v["commit_index"]) for v in views}) == 1
            ):
                return leader
            if time.monotonic_ns() >= deadline_ns:
                break
            # The next heartbeat brings the followers up to date; look again after it.
            with self._changed:
                self._changed.wait(heartbeat_s)
        return None

    def _wait_for(self, condition: Callable[[], bool], deadline_ns: int) -> bool:
        """Wait until role changes have made `condition` true; False at the deadline."""
        with self._changed:
            met = self._changed.wait_for(
                lambda: self._stopped or condition(),
                max(0.0, (deadline_ns - time.monotonic_ns()) / 1e9),
            )
            if self._stopped:
                raise Unavailable("the cluster was stopped")
            return met
