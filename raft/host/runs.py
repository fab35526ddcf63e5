"""What `run` does: each workload of docs/protocol.md, on a cluster under control."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple, TypeAlias, TypeVar

from raftmark.raft import draws
from raftmark.raft.client import Applied, Outcome, Value
from raftmark.raft.cluster import RoleChange
from raftmark.raft.draws import Draws
from raftmark.raft.errors import BadRequest, Lost, NotLeader, OutcomeUnknown, RaftError, Unavailable
from raftmark.raft.host import requests
from raftmark.raft.host.control import Control
from raftmark.raft.host.following import FollowingClients, following
from raftmark.raft.host.requests import SECOND, Check
from raftmark.raft.loads import OfferedSpec, ReplicateSpec
from raftmark.raft.messages import Command
from raftmark.raft.node import Role
from raftmark.raft.workload.closed_loop import command_sources, difference
from raftmark.raft.workload.specs import CatchUpSpec, ElectionSpec, FailoverSpec, StabilitySpec

S = TypeVar("S", ReplicateSpec, OfferedSpec)
Progress: TypeAlias = Callable[[float], None]
Result: TypeAlias = dict[str, Any]
Fields: TypeAlias = dict[str, tuple[Check, Any]]

SETTLE_NS = 30 * SECOND
SETTLE_OR_NOT_NS = 2 * SECOND
PROGRESS_S = 0.25
CATCH_UP_CLIENTS = 64
BESIDE_THE_NODES = "a thread beside the nodes is all clients"


# -- beside the leader ------------------------------------------------------------------


def replicate(control: Control, spec: ReplicateSpec, _progress: Progress) -> Result:
    """The closed loop where the leader lives."""
    return _beside_leader(control, spec, control.cluster.replicate)


def offered(control: Control, spec: OfferedSpec, _progress: Progress) -> Result:
    """The open loop where the leader lives."""
    return _beside_leader(control, spec, control.cluster.offered)


def _beside_leader(control: Control, spec: S, run: Callable[[int, S], Result]) -> Result:
    """Run it until it ends, or another node leads: one that hangs tells its clients nothing."""
    leader = _settled_leader(control)
    deadline_ns = time.monotonic_ns() + spec.warmup_ns + spec.duration_ns + SETTLE_NS
    result = control.begin(lambda: run(leader, spec))

    def succeeded() -> bool:
        now = control.leader()
        return now is not None and now.node != leader

    if not control.wait_for(lambda: result.done() or succeeded(), deadline_ns):
        raise Unavailable("the leader does not answer")
    if not result.done():
        raise Unavailable("the leader changed during the run")
    try:
        return result.result()
    except (NotLeader, Lost, OutcomeUnknown) as error:
        raise Unavailable(f"the leader changed or ceased during the run: {error}") from error


def _settled_leader(control: Control) -> int:
    leader = control.await_settled(time.monotonic_ns() + SETTLE_NS)
    if leader is None:
        raise Unavailable("the cluster did not settle on a leader")
    return leader


# -- elections --------------------------------------------------------------------------


def election(control: Control, spec: ElectionSpec, progress: Progress) -> Result:
    """Crash leader after leader and time what follows (§9.3)."""
    draw = Draws(control.seed, draws.ELECTIONS)
    elections: list[Result] = []
    while len(elections) < spec.elections:
        leader = control.await_settled(time.monotonic_ns() + spec.cap_ns)
        if leader is None:
            raise Unavailable("the cluster did not settle before an election")
        history: list[RoleChange] = []
        with control.watched(history.append):
            old = control.leader()
            if old is None or old.node != leader:
                continue
            lagging = sorted(draw.sample(_others(control, leader), spec.lagging))
            crash_ns = _crash_between_heartbeats(control, leader, draw, lagging, spec.cap_ns)
            if crash_ns is None:
                continue
            record = _elected(control, old, crash_ns, history, spec.cap_ns)
        if record is not None:
            elections.append({**record, "lagging": lagging})
            if record["leader"] is None:
                break
            progress(len(elections) / spec.elections)
        control.restart(leader)
    return {"workload": "election", "elections": elections}


def _crash_between_heartbeats(
    control: Control,
    leader: int,
    draw: Draws,
    lagging: Sequence[int] = (),
    patience_ns: int = SETTLE_NS,
) -> int | None:
    """Crash the leader at any moment between two heartbeats; when it ceased (ns).

    Those who are lagging lack the last entry then. None, and nothing was crashed, if that
    was not committed.
    """
    control.heartbeat(leader)
    next_ns = time.monotonic_ns() + control.settings.heartbeat_ns
    ways = [(leader, node) for node in lagging]
    with control.cut(ways) if ways else nullcontext():
        if ways and not _commits(control, leader, time.monotonic_ns() + patience_ns):
            return None
        now_ns = time.monotonic_ns()
        control.wait_until(now_ns + int(draw.random() * max(0, next_ns - now_ns)))
        return control.crash(leader)


def _commits(control: Control, leader: int, deadline_ns: int) -> bool:
    outcomes: list[Outcome] = []
    control.submit(leader, Command("set", "key-0", "x"), control.notified(outcomes.append))
    control.wait_for(lambda: bool(outcomes), deadline_ns)
    return bool(outcomes) and isinstance(outcomes[0], Applied)


def _elected(
    control: Control, old: RoleChange, crash_ns: int, history: list[RoleChange], cap_ns: int
) -> Result | None:
    """What followed the leader's crash, None if another election had begun before."""
    survivors = _others(control, old.node)

    def agreement() -> list[RoleChange]:
        return control.agreement(survivors, above=old.term)

    control.wait_for(lambda: bool(agreement()), crash_ns + cap_ns)
    final = agreement()
    changes = list(history)
    begun = _candidacies(changes)
    detected = [c for c in changes if c.role is Role.PRE_CANDIDATE] or begun
    won = next((c for c in changes if final and _leads(c, final[0].term)), None)
    if any(c.at_ns < crash_ns for c in detected) or (final and won is None):
        return None
    return {
        "crashed": old.node,
        "term": old.term,
        "crash_ns": crash_ns,
        "candidate_ns": min((c.at_ns for c in detected), default=None),
        "leader_ns": won and won.at_ns,
        "settled_ns": max((c.at_ns for c in final), default=None),
        "leader": won and won.node,
        "leader_term": won and won.term,
        "candidacies": len({(c.node, c.term) for c in begun}),
    }


def _others(control: Control, node: int) -> list[int]:
    return [n for n in control.nodes if n != node]


def _leads(change: RoleChange, term: int) -> bool:
    return change.role is Role.LEADER and change.term == term


def _candidacies(changes: Iterable[RoleChange]) -> list[RoleChange]:
    """The elections begun; one server elects itself in the very step in which it stands (§5.2)."""
    changes = list(changes)
    stood = [c for c in changes if c.role is Role.CANDIDATE]
    return stood or [c for c in changes if c.role is Role.LEADER]


# -- beside the nodes -------------------------------------------------------------------


def failover(control: Control, spec: FailoverSpec, progress: Progress) -> Result:
    """Crash the leader under the load of clients that look for the next one."""
    _settled_leader(control)
    draw = Draws(control.seed, draws.FAILOVER)
    sources = command_sources(spec.outstanding, spec.session, spec.keys, spec.payload)
    history: list[RoleChange] = []
    share = spec.before_ns / (spec.before_ns + spec.after_ns)
    with control.watched(history.append), following(control, sources) as clients:
        _let_pass(control, spec.before_ns, lambda done: progress(share * done))
        history.clear()
        old = control.leader()
        if old is None:
            raise Unavailable("there was no leader to crash; an election came before")
        crash_ns = _crash_between_heartbeats(control, old.node, draw)
        assert crash_ns is not None
        try:
            control.await_told()
            if any(c.at_ns < crash_ns for c in history):
                raise Unavailable("another election began before the crash")
            _let_pass(control, spec.after_ns, lambda done: progress(share + (1 - share) * done))
            clients.end()
        finally:
            control.restart(old.node)
    first = next((f for f in clients.firsts if f.term > old.term), None)
    won = next((c for c in history if first and _leads(c, first.term)), None)
    stood = [c.at_ns for c in history if c.role in (Role.PRE_CANDIDATE, Role.CANDIDATE)]
    return {
        "workload": "failover",
        "client": BESIDE_THE_NODES,
        "crashed": old.node,
        "leader": won and won.node,
        "started_ns": clients.started_ns,
        "crash_ns": crash_ns,
        "candidate_ns": min(stood) if won else None,
        "leader_ns": won and won.at_ns,
        "first_ns": first and first.at_ns,
        "ended_ns": clients.ended_ns,
        "commands": clients.commands,
        "retries": clients.retries,
        "slices": clients.slices(),
        "acknowledged": clients.acknowledged(),
    }


def catch_up(control: Control, spec: CatchUpSpec, progress: Progress) -> Result:
    """Let a follower miss entries, and time its return."""
    leader = _settled_leader(control)
    [node] = Draws(control.seed, draws.CATCH_UP).sample(_others(control, leader), 1)
    control.crash(node)
    try:
        clients = _commit_all(control, spec, progress)
        leader = _leader(control)
        if spec.by == "snapshot":
            control.snapshot(leader)
        before = control.counters(leader)
    finally:
        restart_ns = time.monotonic_ns()
        control.restart(node)
        running_ns = time.monotonic_ns()
    caught_up_ns = _applied_ns(control, node, clients.last_index, restart_ns + spec.cap_ns)
    return {
        "workload": "catch_up",
        "node": node,
        "leader": leader,
        "entries": spec.entries,
        "by": spec.by,
        "restart_ns": restart_ns,
        "running_ns": running_ns,
        "caught_up_ns": caught_up_ns,
        "acknowledged": clients.acknowledged(),
        "counters": difference(before, control.counters(leader)),
    }


def _commit_all(control: Control, spec: CatchUpSpec, progress: Progress) -> FollowingClients:
    """Let clients have all the commands committed. Unavailable if they get no further."""
    sources = command_sources(CATCH_UP_CLIENTS, spec.session, spec.keys, spec.payload)
    with following(control, sources, spec.entries) as clients:
        committed, deadline_ns = 0, time.monotonic_ns() + SETTLE_NS
        while not clients.finished(PROGRESS_S):
            now_ns = time.monotonic_ns()
            if clients.commands > committed:
                committed, deadline_ns = clients.commands, now_ns + SETTLE_NS
            if now_ns > deadline_ns:
                raise Unavailable("the clients' commands are not committed any more")
            control.wait_until(now_ns)
            progress(committed / spec.entries)
    return clients


def _leader(control: Control) -> int:
    control.wait_for(lambda: control.leader() is not None, time.monotonic_ns() + SETTLE_NS)
    leader = control.leader()
    if leader is None:
        raise Unavailable("there is no leader any more")
    return leader.node


def _applied_ns(control: Control, node: int, index: int, deadline_ns: int) -> int | None:
    """When a node has applied an entry (ns), None if not before the deadline."""
    outcomes: list[tuple[Value | RaftError, int]] = []
    done = control.notified(outcomes.append)
    control.when_applied(node, index, lambda value: done((value, time.monotonic_ns())))
    control.wait_for(lambda: bool(outcomes), deadline_ns)
    if not outcomes:
        return None
    [(outcome, at_ns)] = outcomes
    if isinstance(outcome, RaftError):
        raise outcome
    return at_ns


def stability(control: Control, spec: StabilitySpec, progress: Progress) -> Result:
    """Leave the cluster alone, and count the elections that it holds all the same."""
    control.await_settled(time.monotonic_ns() + SETTLE_OR_NOT_NS)
    sources = command_sources(spec.outstanding, spec.session, spec.keys, spec.payload)
    history: list[RoleChange] = []
    with control.watched(history.append), following(control, sources) as clients:
        _let_pass(control, spec.duration_ns, progress)
        clients.end()
        control.await_told()
    begun = _candidacies(
        change for change in history if clients.started_ns <= change.at_ns <= clients.ended_ns
    )
    return {
        "workload": "stability",
        "started_ns": clients.started_ns,
        "ended_ns": clients.ended_ns,
        "candidacies": len({(c.node, c.term) for c in begun}),
        "terms": len({c.term for c in begun}),
        "commands": clients.commands,
        "acknowledged": clients.acknowledged(),
    }


def _let_pass(control: Control, duration_ns: int, progress: Progress) -> None:
    """Wait, and tell how much of it is over. Unavailable once the cluster is stopped."""
    start_ns = now_ns = time.monotonic_ns()
    end_ns = start_ns + duration_ns
    while now_ns < end_ns:
        control.wait_until(min(now_ns + int(PROGRESS_S * SECOND), end_ns))
        now_ns = time.monotonic_ns()
        progress(min(1.0, (now_ns - start_ns) / duration_ns))


# -- requests ---------------------------------------------------------------------------


class Workload(NamedTuple):
    """A workload as `run` is asked for it: its fields are those of `spec`, in that order."""

    run: Callable[[Control, Any, Progress], Result]
    spec: Callable[..., Any]
    fields: Fields
    least_nodes: int = 1


PAYLOAD = (requests.integer(0, 65536), 64)
KEYS = (requests.integer(1, 1_000_000), 1000)
SESSION = (requests.string(64, min_bytes=1), "client")
WARMUP = (requests.duration_ns(0, 3600, SECOND), SECOND // 2)
DURATION = (requests.duration_ns(1e-3, 3600, SECOND), 2 * SECOND)
CAP = (requests.duration_ns(1e-3, 3600, SECOND), 30 * SECOND)
SLICE = (requests.duration_ns(1, 1000, requests.MILLISECOND), 100 * requests.MILLISECOND)
STRETCH = requests.duration_ns(0.1, 3600, SECOND)

WORKLOADS = {
    "replicate": Workload(
        replicate,
        ReplicateSpec,
        {
            "outstanding": (requests.integer(1, 4096), 64),
            "payload": PAYLOAD,
            "keys": KEYS,
            "warmup_s": WARMUP,
            "duration_s": DURATION,
            "session": SESSION,
            "slice_ms": SLICE,
        },
    ),
    "election": Workload(
        election,
        ElectionSpec,
        {
            "elections": (requests.integer(1, 100_000), 10),
            "lagging": (requests.integer(0, 4), 0),
            "cap_s": CAP,
        },
        least_nodes=3,
    ),
    "offered": Workload(
        offered,
        OfferedSpec,
        {
            "rate": (requests.number(1, 10_000_000), 1000.0),
            "payload": PAYLOAD,
            "keys": KEYS,
            "sessions": (requests.integer(1, 4096), 64),
            "session": SESSION,
            "limit": (requests.integer(1, 1_000_000), 65536),
            "warmup_s": WARMUP,
            "duration_s": DURATION,
        },
    ),
    "failover": Workload(
        failover,
        FailoverSpec,
        {
            "outstanding": (requests.integer(1, 4096), 16),
            "payload": PAYLOAD,
            "keys": KEYS,
            "session": SESSION,
            "before_s": (STRETCH, SECOND),
            "after_s": (STRETCH, 3 * SECOND),
        },
        least_nodes=3,
    ),
    "catch_up": Workload(
        catch_up,
        CatchUpSpec,
        {
            "entries": (requests.integer(1, 1_000_000), 10_000),
            "payload": PAYLOAD,
            "keys": KEYS,
            "session": SESSION,
            "by": (requests.choice("entries", "snapshot"), "entries"),
            "cap_s": CAP,
        },
        least_nodes=3,
    ),
    "stability": Workload(
        stability,
        StabilitySpec,
        {
            "outstanding": (requests.integer(0, 4096), 0),
            "payload": PAYLOAD,
            "keys": KEYS,
            "session": SESSION,
            "duration_s": (STRETCH, 2 * SECOND),
        },
    ),
}


def specified(fields: dict[str, Any]) -> Any:
    """What a request's `workload` asks for, whatever cluster it is for: one of the specs.

    BadRequest for anything else.
    """
    fields = dict(fields)
    name = requests.choice(*WORKLOADS)("name", fields.pop("name", None))
    workload = WORKLOADS[name]
    return workload.spec(*requests.read(fields, workload.fields).values())


def requested(nodes: int, fields: dict[str, Any]) -> Callable[[Control, Progress], Result]:
    """What a request's `workload` asks of a cluster of so many nodes, to be run.

    BadRequest for anything else.
    """
    spec = specified(fields)
    name: str = fields["name"]
    workload = WORKLOADS[name]
    if nodes < workload.least_nodes:
        raise BadRequest(f"{name} needs a majority of survivors: at least 3 nodes")
    minority = (nodes - 1) // 2
    if isinstance(spec, ElectionSpec) and spec.lagging > minority:
        raise BadRequest(f"lagging: of {nodes} nodes, {minority} may lack what a majority has")
    return lambda control, progress: workload.run(control, spec, progress)
