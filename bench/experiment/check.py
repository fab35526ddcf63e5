"""The check that ends every trial: no figure counts without it.

It asks the contender by the protocol, from outside, and believes nothing that it can know:

- what the result claims lies within what was asked for and seen (`claims`);
- events tell of the nodes that `start` named, and of moments of the trial; no term ever had two
  leaders, and a node's term falls only where it crashed before that was saved;
- when the cluster has settled, it has those nodes, each once, and every one has the same log,
  committed and applied to its end, and the same state;
- the log, every page of it read from a node that is drawn at random, is what the clients sent:
  each session's commands in order, with their keys and values, each exactly once, up to at least
  the last one that was acknowledged; where clients had to send a command again, because leaders
  changed, it may be there again, and is applied once. Logs and states hash to what the nodes say
  (`replay.py`). Of a cluster that had a load before, what follows that one's log is read, and all
  of it is hashed;
- where snapshots were asked for, nodes keep what those leave of the log, no more and no less; the
  rest of it is held against what was sent as above, and what is gone was as many entries as the
  clients' serials before the rest, and the leaders' no-ops. All commands are in the state, and so
  in its hash;
- after *election*, every election was decided;
- after *stability*, which may leave a cluster that cannot settle, and after an election that was
  free to stay undecided, a node's log is read as far as it is committed.
"""

from __future__ import annotations

import math
import random
import re
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import msgspec

from raftmark.bench.contenders.contender import ContenderError, EventLog, Patience
from raftmark.bench.design.specification import Cell
from raftmark.bench.experiment.claims import Role, Witness, asked_for, contradicted
from raftmark.bench.experiment.pages import Asked, Ends, read_log
from raftmark.bench.experiment.replay import MOST_PROBLEMS, Replay
from raftmark.bench.runs.forms import CheckOutcome, NodeHost
from raftmark.bench.runs.results import (
    CatchUpResult,
    ElectionResult,
    FailoverResult,
    ReplicateResult,
    Result,
    ServiceResult,
    StabilityResult,
)

_LONGEST_PAUSE_S = 0.5
# Where logs are short each look is cheap, and what is waited for in vain is lost to every trial.
_LONGEST_PAUSE_WHILE_SHORT_S = 0.01
# To hash so much in vain takes longer than the heartbeat by which followers hear what is committed.
_LONG_LOG = 10_000
_HEARD_AFTER = 1.2
"""Heartbeats, until followers have heard of a commit if nothing delays them."""
# A cluster that holds elections all the time does not settle, however long one waits.
_RESTLESS_S = 0.5

_ROLES = frozenset(("follower", "pre_candidate", "candidate", "leader"))
_HASH = re.compile("[0-9a-f]{64}")
# Which nodes are read is the harness's own choice: from the run's seed a contender could know it.
_random = random.SystemRandom()


class Node(msgspec.Struct):
    """A node as `status` shows it."""

    id: int
    alive: bool
    term: int | None
    last_index: int | None
    commit_index: int | None
    applied_index: int | None
    state_hash: str | None
    log_hash: str | None
    # Who takes no snapshots keeps the whole log, and need not say so.
    first_index: int | None = 1
    role: str | None = None


class _Status(msgspec.Struct):
    nodes: list[Node]


class Checked(NamedTuple):
    """What the check found, and the log that it read, None if it did not come to that."""

    outcome: CheckOutcome
    log: Replay | None


def check(
    contender: Asked,
    cell: Cell,
    result: Result,
    witness: Witness,
    patience: Patience,
    earlier: Replay | None = None,
    *,
    by_columns: bool,
) -> Checked:
    """Check a cluster after its workload; its log is read `by_columns`, or by entries.

    Where it had a load before, `earlier` is the log as it was then.

    Raises `ContenderFailed` when the contender does not answer in time, and
    `msgspec.ValidationError` when its replies are not what the protocol says.
    """
    problems = [*contradicted(cell, result, witness), *_leaders(witness.roles)]
    restless = isinstance(result, StabilityResult)
    if isinstance(result, ElectionResult):
        undecided = _undecided(result, asked_for(cell)["elections"])
        # A cluster without a leader does not settle, so there is nothing to wait for.
        restless = bool(undecided) and cell.may_stay_undecided
        problems += [] if restless else undecided
    if problems:
        return _found(problems)
    length = _commands(result) + (0 if earlier is None else earlier.index)
    if length >= _LONG_LOG:
        _await_commit(contender, cell, witness, patience)
    # What has to settle may use up half of the patience; what may not, little of it.
    nodes = settle(contender, patience, _RESTLESS_S if restless else patience.left_s / 2)
    settled = _have_settled(nodes)
    problems += _strangers(nodes, witness)
    problems += _differences(nodes) if settled or not restless else []
    if problems:
        return _found(problems)
    alive = [node for node in nodes if node.alive]
    if not alive:
        return _found(["no node is alive"])
    return _read_again(contender, cell, result, alive, settled, patience, earlier, by_columns)


def _found(problems: Sequence[str], log: Replay | None = None) -> Checked:
    entries = 0 if log is None else log.taken
    return Checked(CheckOutcome(not problems, list(problems[:MOST_PROBLEMS]), entries), log)


# -- events -----------------------------------------------------------------------------


def read_roles(
    events: EventLog,
    nodes: Sequence[int],
    launched_ns: int,
    before: int = 0,
    clocks_ns: int = 0,
    result: Result | None = None,
) -> tuple[list[Role], list[str]]:
    """Return the role events of a trial whose contender was launched then, and what is wrong.

    So many events `before` were of other clusters; by `clocks_ns` the clocks of hosts may be off.
    The `result` says who crashed.

    Raises `msgspec.ValidationError` for an event that is none.
    """
    roles, problems = [], []
    latest: dict[int, Role] = {}
    for event, received_ns in events.timed()[before:]:
        if event["event"] != "role":
            continue
        role = msgspec.convert(event, Role)
        roles.append(role)
        if role.node not in nodes:
            problems.append(f"an event tells of node {role.node}, which 'start' did not name")
        if role.role not in _ROLES:
            problems.append(f"an event tells of a role '{role.role[:20]}'")
        if role.at_ns < launched_ns:
            early_s = (launched_ns - role.at_ns) / 1e9
            problems.append(f"an event is {early_s:.3g} s older than the contender")
        if role.at_ns > received_ns + clocks_ns:
            late_s = (role.at_ns - received_ns) / 1e9
            problems.append(f"an event tells of what is {late_s:.3g} s after it came")
        earlier = latest.get(role.node, Role(role.node, "follower", 0, launched_ns))
        if role.term < earlier.term and not _may_forget(earlier, role, clocks_ns, result):
            problems.append(f"node {role.node}'s term fell from {earlier.term} to {role.term}")
        latest[role.node] = role
    return roles, problems


def _may_forget(earlier: Role, role: Role, clocks_ns: int, result: Result | None) -> bool:
    """Return whether a node crashed between, before the term that it had told of was saved."""
    node: int | None = None
    at_ns: int | None = None
    match result:
        case ElectionResult():
            # One before whose crash another had begun is not counted, so its crash is not told of.
            return (role.role, role.leader) == ("follower", None)
        case FailoverResult() | ServiceResult():
            node, at_ns = result.crashed, result.crash_ns
        case CatchUpResult():
            # It ceased before, and told of nothing until it was restarted.
            node, at_ns = result.node, result.restart_ns
    if node != role.node or at_ns is None:
        return False
    return earlier.at_ns - clocks_ns <= at_ns <= role.at_ns + clocks_ns


def read_hosts(events: EventLog, before: int = 0) -> list[NodeHost]:
    """Return where a trial's nodes run that have hosts of their own, by what is told of clocks.

    Raises `msgspec.ValidationError` for an event that is none.
    """
    told = [event for event in events.all()[before:] if event["event"] == "clock"]
    hosts: dict[int, NodeHost] = {}
    for each in msgspec.convert(told, list[NodeHost]):
        known = hosts.get(each.node)
        # What is told of a clock at the end of a cluster covers all of its time.
        if known is None or known.uncertainty_ns < each.uncertainty_ns:
            hosts[each.node] = each
    return [hosts[node] for node in sorted(hosts)]


def _leaders(roles: Sequence[Role]) -> list[str]:
    leaders: defaultdict[int, set[int]] = defaultdict(set)
    for event in roles:
        if event.role == "leader":
            leaders[event.term].add(event.node)
    return [
        f"term {term} had several leaders: nodes {', '.join(map(str, sorted(nodes)))}"
        for term, nodes in sorted(leaders.items())
        if len(nodes) > 1
    ]


def _undecided(result: ElectionResult, wanted: int) -> list[str]:
    decided = sum(election.decided for election in result.elections)
    return [] if decided == wanted else [f"{decided} of {wanted} elections were decided"]


# -- nodes ------------------------------------------------------------------------------


def settle(
    contender: Asked, patience: Patience, within_s: float = math.inf, *, led: bool = False
) -> list[Node]:
    """Wait until every node has applied the same log, and return them, settled or not.

    They have as long as they are waited for: all the patience, or less. The empty logs of a cluster
    that has just begun are the same: if it is to be `led`, one of them has to lead, too.
    """
    deadline = time.monotonic() + within_s
    pause = 0.002
    while True:
        reply = contender.send_as(_Status, "status")
        nodes = contender.wait_for(reply, "status", patience).nodes
        left_s = min(patience.left_s, deadline - time.monotonic())
        is_led = not led or any(node.role == "leader" for node in nodes)
        if (is_led and _have_settled(nodes)) or left_s < pause:
            return nodes
        # Followers hear what is committed by the next heartbeat, so looking again soon is enough.
        time.sleep(pause)
        is_long = any((node.last_index or 0) >= _LONG_LOG for node in nodes)
        pause = min(2 * pause, _LONGEST_PAUSE_S if is_long else _LONGEST_PAUSE_WHILE_SHORT_S)


def _await_commit(contender: Asked, cell: Cell, witness: Witness, patience: Patience) -> None:
    """Wait until followers have heard how far a long log is committed, no longer than that takes.

    Whoever asks for their status sooner has the whole log hashed on every node, and once more.
    """
    deadline = time.monotonic() + _HEARD_AFTER * cell.cluster["heartbeat_ms"] / 1000
    first = {"from": 1, "to": 1}
    while time.monotonic() < deadline:
        replies = [contender.send_as(Ends, "log", node=n, **first) for n in witness.nodes]
        # Who does not answer has no log at this time: the status will tell.
        with suppress(ContenderError):
            ends = [contender.wait_for(reply, "log", patience) for reply in replies]
            if len({index for end in ends for index in msgspec.structs.astuple(end)}) == 1:
                return
        time.sleep(_LONGEST_PAUSE_WHILE_SHORT_S)


def _have_settled(nodes: Sequence[Node]) -> bool:
    indices = {i for n in nodes for i in (n.last_index, n.commit_index, n.applied_index)}
    return all(n.alive for n in nodes) and len(indices) == 1 and None not in indices


def _strangers(nodes: Sequence[Node], witness: Witness) -> list[str]:
    found, named = sorted(node.id for node in nodes), sorted(witness.nodes)
    return [] if found == named else [f"'status' has nodes {found} where 'start' named {named}"]


def _differences(nodes: Sequence[Node]) -> list[str]:
    if not _have_settled(nodes):
        indices = ", ".join(
            f"node {n.id}: {n.last_index}/{n.commit_index}/{n.applied_index}" for n in nodes
        )
        return [f"the nodes do not settle (last/commit/applied index): {indices}"]
    problems = [
        f"node {node.id} has a {name} that is no SHA-256"
        for node in nodes
        for name in ("log_hash", "state_hash")
        if not _HASH.fullmatch(getattr(node, name) or "")
    ]
    # A hash is of what a log keeps, and a snapshot lets nodes keep logs from different indices on.
    logs = {(node.first_index, node.log_hash) for node in nodes}
    if len(logs) > len({first for first, _ in logs}):
        problems.append("the nodes have different logs: log_hash differs")
    if len({node.state_hash for node in nodes}) > 1:
        problems.append("the nodes have different states: state_hash differs")
    return problems


# -- the log ----------------------------------------------------------------------------


def _read_again(
    contender: Asked,
    cell: Cell,
    result: Result,
    alive: Sequence[Node],
    settled: bool,
    patience: Patience,
    earlier: Replay | None,
    by_columns: bool,
) -> Checked:
    """Read the log and compare it: all of it, or of one that has not settled what is committed.

    Where snapshots were asked for, all that is left of it; where an `earlier` part of it was read
    after another load, what follows that.
    """
    every = cell.cluster.get("snapshot_entries", 0)
    snapshots = bool(every) and isinstance(result, ReplicateResult) and settled
    if snapshots and (problems := _kept_otherwise(alive, every)):
        return _found(problems)
    start = min(node.first_index or 1 for node in alive) if snapshots else 1
    whole = [node for node in alive if node.first_index == start]
    if not whole or (earlier is not None and len(whole) < len(alive)):
        who = "no node keeps its whole log" if not whole else "a node does not keep its whole log"
        return _found([who])
    readable = whole if settled else [_random.choice(whole)]
    end = readable[0].commit_index or 0
    if earlier is None:
        first_indices = [node.first_index or 1 for node in alive] if settled else [1]
        log = replay(cell, result, first_indices, start)
    else:
        log = earlier.gone_on_with(asked_for(cell), _clients(result))
    nodes, start = [node.id for node in readable], log.index + 1
    payload = asked_for(cell).get("payload", 0)
    pages = read_log(contender, nodes, end, payload, patience, start=start, by_columns=by_columns)
    for page in pages if end >= start else ():
        log.take_page(page)
        if log.stopped:
            break
    problems = log.problems
    if not problems and log.index != end:
        problems.append(f"the log ends at index {log.index} where 'status' said {end}")
    latest = max(node.term or 0 for node in alive)
    if not problems and log.term > latest:
        problems.append(f"the log has term {log.term} where the nodes are in term {latest}")
    if not problems and settled:
        log.end([] if isinstance(result, ElectionResult) else result.acknowledged)
        problems += _misstated(log, alive)
    return _found(problems, log)


def _kept_otherwise(nodes: Sequence[Node], every: int) -> list[str]:
    """Return whether nodes keep other logs than their snapshots leave (docs/protocol.md).

    So they have taken them as often as was asked, and nobody saves what the others pay for. One
    that lagged so far that its leader sent it a snapshot keeps less; that is not most of them.
    """
    applied = max(node.applied_index or 0 for node in nodes)
    kept = max(1, applied // every * every - every // 4 + 1)
    firsts = [node.first_index or 0 for node in nodes]
    if min(firsts) == kept and 2 * firsts.count(kept) > len(firsts):
        return []
    return [
        f"the nodes keep their logs from {', '.join(map(str, firsts))} on, where a snapshot every "
        f"{every} entries leaves them from {kept} on"
    ]


def replay(cell: Cell, result: Result, first_indices: Sequence[int], start: int = 1) -> Replay:
    """Return what a log after this workload is compared with, before any of it is taken."""
    asked = asked_for(cell)
    again = isinstance(result, ServiceResult) and result.retries > 0
    return Replay(
        asked,
        _clients(result),
        repeated=again or isinstance(result, FailoverResult | CatchUpResult | StabilityResult),
        lone=bool(asked.get("lagging")),
        first_indices=first_indices,
        start=start,
    )


def _clients(result: Result) -> int:
    return 0 if isinstance(result, ElectionResult) else len(result.acknowledged)


def _commands(result: Result) -> int:
    return 0 if isinstance(result, ElectionResult) else sum(result.acknowledged)


def _misstated(log: Replay, nodes: Sequence[Node]) -> list[str]:
    """Return which hashes are not those of what was read."""
    state = log.state_hash()
    return [
        f"node {node.id}'s {name} is not that of the log that was read"
        for node in nodes
        for name, said, right in (
            ("log_hash", node.log_hash, log.log_hash(node.first_index or 1)),
            ("state_hash", node.state_hash, state),
        )
        if said != right
    ]
