"""What elections claim, against the role events that the harness heard."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from raftmark.bench.design.specification import Cell
from raftmark.bench.experiment.claims.asked import Role, Witness
from raftmark.bench.experiment.claims.common import CANDIDATES, known
from raftmark.bench.runs.results import Election, ElectionResult

# A machine that is busy delays timers and threads by milliseconds: below this, timeouts say little.
_TELLING_NS = 50_000_000


def elections(
    cell: Cell, asked: dict[str, Any], result: ElectionResult, witness: Witness
) -> Iterator[str]:
    """Yield what no elections can have been like of which these events tell."""
    wanted = asked["elections"]
    if len(result.elections) > wanted:
        yield f"{len(result.elections)} elections were held where {wanted} were asked for"
    for earlier, later in pairwise(result.elections):
        if earlier.settled_ns is None or later.crash_ns <= earlier.settled_ns:
            yield "an election began before the one before it was over"
    following = [*(e.crash_ns for e in result.elections[1:]), witness.received_ns]
    for number, (election, end_ns) in enumerate(zip(result.elections, following, strict=False), 1):
        for problem in _election(asked["lagging"], election, end_ns, witness):
            yield f"election {number}: {problem}"
    yield from _too_soon(cell, result)


def _election(behind: int, election: Election, end_ns: int, witness: Witness) -> Iterator[str]:
    crashed, leader = election.crashed, election.leader
    yield from known("the crashed leader", crashed, witness)
    yield from known("the leader", leader, witness)
    if leader == crashed:
        yield "the crashed leader was elected"
    lagging = set(election.lagging)
    if len(lagging) != behind or crashed in lagging:
        yield f"nodes {election.lagging} lagged where {behind} were to"
    for node in election.lagging:
        yield from known("one that lagged", node, witness)
    if leader in lagging:
        yield f"node {leader} was elected, which lacked what was committed"
    roles = witness.roles
    if not any(
        _led(role, crashed, election.term) and role.at_ns <= election.crash_ns for role in roles
    ):
        yield f"no event tells that node {crashed} led in term {election.term} before its crash"
    begun = [r for r in roles if r.role in CANDIDATES and election.crash_ns <= r.at_ns <= end_ns]
    if election.candidate_ns is not None:
        first_ns = min((role.at_ns for role in begun), default=None)
        if first_ns != election.candidate_ns:
            yield "candidate_ns is not when the first event tells of a candidate"
    if leader is not None and not any(
        _led(role, leader, election.leader_term) and role.at_ns == election.leader_ns
        for role in roles
    ):
        yield f"no event tells that node {leader} was elected in that term at leader_ns"
    if election.settled_ns is not None and not any(
        (role.leader, role.term, role.at_ns) == (leader, election.leader_term, election.settled_ns)
        for role in roles
    ):
        yield "no event tells that a survivor heard of the leader at settled_ns"
    stood = [role for role in begun if role.role == "candidate"]
    settled_ns = election.settled_ns or election.crash_ns
    least = len({(role.node, role.term) for role in stood if role.at_ns <= settled_ns})
    most = len({(role.node, role.term) for role in stood})
    if not least <= election.candidacies <= most:
        yield f"{election.candidacies} candidacies where events tell of {least} to {most}"


def _led(role: Role, node: int, term: int | None) -> bool:
    return (role.role, role.node, role.term) == ("leader", node, term)


def _too_soon(cell: Cell, result: ElectionResult) -> Iterator[str]:
    """Yield whether followers stood for election before their timeouts can have run out.

    A heartbeat sets their timers, and the crash follows within the interval. One stall of the
    machine may put off a crash, but not most of several: so one alone accuses nobody.
    """
    low_ms, _ = cell.cluster["election_timeout_ms"]
    least_ns = int(1e6 * (low_ms - cell.cluster["heartbeat_ms"]))
    detected = [e.candidate_ns - e.crash_ns for e in result.elections if e.candidate_ns is not None]
    early = sum(ns < least_ns for ns in detected)
    if least_ns >= _TELLING_NS and early > max(1, len(detected) / 2):
        yield (
            f"in {early} of {len(detected)} elections a node stood before any timeout of "
            f"{low_ms:g} ms can have run out"
        )
