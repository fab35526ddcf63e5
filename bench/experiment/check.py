"""The safety check that ends every trial: no figure counts without it.

It asks the contender by the protocol, from outside:

- when the cluster has settled, every node has the same log, committed and applied to its end, and
  the same state; logs are compared where they begin at the same index, since a snapshot cuts them;
- no term ever had two leaders, by the events of the whole trial;
- where clients sent commands, a node that kept its whole log has each session's serials in order,
  each exactly once, up to at least the last one that was acknowledged; where clients had to send
  a command again, because leaders changed, it may be there again, and is applied once;
- after *election*, every election was decided;
- after *stability*, which may leave a cluster that cannot settle, and after an election that was
  free to stay undecided, only what holds at any time.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from raftmark.bench.contenders.contender import Contender, Patience
from raftmark.bench.design.specification import Cell
from raftmark.bench.runs.forms import CheckOutcome
from raftmark.bench.runs.results import (
    CatchUpResult,
    ElectionResult,
    FailoverResult,
    Result,
    StabilityResult,
)

# A page of the log must fit a line of 1 MiB: an entry has its value and less than this besides.
_ENTRY_OVERHEAD = 256
_PAGE_BYTES = 2**20
_LARGEST_PAGE = 5000
_LONGEST_PAUSE_S = 0.1
_MOST_PROBLEMS = 10


class _Node(msgspec.Struct):
    id: int
    alive: bool
    last_index: int | None
    commit_index: int | None
    applied_index: int | None
    state_hash: str | None
    log_hash: str | None
    # Who takes no snapshots keeps the whole log, and need not say so.
    first_index: int | None = 1


class _Status(msgspec.Struct):
    nodes: list[_Node]


class _Role(msgspec.Struct):
    node: int
    role: str
    term: int


class _Command(msgspec.Struct):
    client: str | None = None
    serial: int | None = None


class _Entry(msgspec.Struct):
    index: int
    term: int
    command: _Command


class _Page(msgspec.Struct):
    entries: list[_Entry]
    last_index: int


def check(contender: Contender, cell: Cell, result: Result, patience: Patience) -> CheckOutcome:
    """Check a cluster after its workload.

    Raises `ContenderFailed` when the contender does not answer in time, and
    `msgspec.ValidationError` when its events are not what the protocol says.
    """
    problems = _leaders(contender.events.all())
    if isinstance(result, StabilityResult):
        return _outcome(problems)
    if isinstance(result, ElectionResult):
        # A cluster without a leader does not settle, so there is nothing to wait for.
        undecided = _undecided(result, cell.workload["elections"])
        if undecided and cell.may_stay_undecided:
            return _outcome(problems)
        problems += undecided
        if not problems:
            problems += _differences(settle(contender, patience))
        return _outcome(problems)
    nodes = settle(contender, patience)
    problems += _differences(nodes)
    if problems:
        return _outcome(problems)
    whole = min(nodes, key=lambda node: node.first_index or 0)
    page = min(_LARGEST_PAGE, _PAGE_BYTES // (cell.workload["payload"] + _ENTRY_OVERHEAD))
    found, entries = check_log(
        _read_log(contender, whole.id, max(1, page), patience),
        cell.workload.get("session", "client"),
        result.acknowledged,
        repeated=isinstance(result, FailoverResult | CatchUpResult),
    )
    return _outcome(problems + found, entries)


def _outcome(problems: list[str], entries: int = 0) -> CheckOutcome:
    return CheckOutcome(passed=not problems, problems=problems[:_MOST_PROBLEMS], entries=entries)


def check_log(
    pages: Iterator[list[_Entry]], session: str, acknowledged: list[int], *, repeated: bool = False
) -> tuple[list[str], int]:
    """Check a whole log, page by page, against the last acknowledged serial of each client.

    A client's serials must be in the log in order, each once; or with `repeated`, which a client
    needs that outlives a leader, the first time in order. Returns the problems and the number of
    entries.
    """
    problems: list[str] = []
    following = {f"{session}-{client}": 1 for client in range(len(acknowledged))}
    index = term = 0
    for entries in pages:
        for entry in entries:
            index += 1
            if entry.index != index or entry.term < term:
                problems.append(
                    f"the log has index {entry.index}, term {entry.term} "
                    f"where index {index} and at least term {term} belong"
                )
                return problems, index
            term = entry.term
            client, serial = entry.command.client, entry.command.serial
            if client is None:
                continue
            expected = following.get(client)
            if expected is not None and serial == expected:
                following[client] = expected + 1
            elif not (repeated and expected is not None and serial and serial < expected):
                problems.append(
                    f"index {index} has serial {serial} of {client} "
                    + ("that nobody sent" if expected is None else f"where {expected} belongs")
                )
                if len(problems) == _MOST_PROBLEMS:
                    return problems, index
    for number, last in enumerate(acknowledged):
        name = f"{session}-{number}"
        if following[name] <= last:
            problems.append(
                f"{name} had serial {last} acknowledged, but the log has {following[name] - 1}"
            )
    return problems, index


def _read_log(
    contender: Contender, node: int, size: int, patience: Patience
) -> Iterator[list[_Entry]]:
    """Yield a node's whole log; the next page is on its way while one is looked at."""

    def ask(start: int) -> Callable[[], _Page]:
        fields = {"node": node, "from": start, "to": start + size - 1}
        reply = contender.send_as(_Page, "log", **fields)
        return lambda: contender.wait_for(reply, "log", patience)

    start, answer = 1, ask(1)
    while (page := answer()).entries:
        start += len(page.entries)
        answer = ask(start)
        yield page.entries


def settle(contender: Contender, patience: Patience) -> list[_Node]:
    """Wait until every node has applied the same log, and return them, settled or not."""
    pause = 0.002
    while True:
        reply = contender.send_as(_Status, "status")
        nodes = contender.wait_for(reply, "status", patience).nodes
        if _have_settled(nodes) or patience.left_s < pause:
            return nodes
        # Followers hear what is committed by the next heartbeat, so looking again soon is enough.
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_S)


def _have_settled(nodes: list[_Node]) -> bool:
    indices = {i for n in nodes for i in (n.last_index, n.commit_index, n.applied_index)}
    return all(n.alive for n in nodes) and len(indices) == 1


def _differences(nodes: list[_Node]) -> list[str]:
    if not _have_settled(nodes):
        indices = ", ".join(
            f"node {n.id}: {n.last_index}/{n.commit_index}/{n.applied_index}" for n in nodes
        )
        return [f"the nodes do not settle (last/commit/applied index): {indices}"]
    problems = []
    # A hash is of what a log keeps, and a snapshot lets nodes keep logs from different indices on.
    logs = {(node.first_index, node.log_hash) for node in nodes}
    if len(logs) > len({first for first, _ in logs}):
        problems.append("the nodes have different logs: log_hash differs")
    if len({node.state_hash for node in nodes}) > 1:
        problems.append("the nodes have different states: state_hash differs")
    return problems


def _leaders(events: list[dict[str, Any]]) -> list[str]:
    roles = msgspec.convert([e for e in events if e["event"] == "role"], list[_Role])
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
