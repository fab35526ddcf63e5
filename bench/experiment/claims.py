"""What a result claims, against what was asked for and what the harness saw itself.

A result is made by the contender, by its own clock. But CLOCK_MONOTONIC is the machine's, so its
times lie between the moment when the harness sent `run` and the one when the reply came; what was
asked for says how far apart they are, and how many of everything there must be; and the role events
say when who stood for election and who led. Nothing here is a matter of taste: each rule follows
from docs/protocol.md for every contender that keeps it, however slow or busy the machine is.

**Little's law.** A client of the closed loop sends its next command when its last one is answered,
so its latencies fill the time. Of T measured nanoseconds a client's counted latencies miss only
what was under way at the end, and exceed T only by what was under way at the beginning. What was
under way at the beginning is counted itself, so it is no longer than the longest counted latency,
L. What was under way at the end was sent after the command that ended the measured time, which is
counted too, since a leader answers in the order of its log; so it is no longer than L either. The
sum of the latencies of W clients therefore lies within W x T +- W x L. Each latency is known to
within its bucket, and to 32 ns where a contender keeps no more. One latency as long as T would
make this say nothing, so what may be missing is never more than half of what was asked for, and
what the measured time was longer than that. A contender that is stopped in turns with another is no
exception: its clients' latencies fill the time in which it stood, too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec

from raftmark.bench.design.specification import Cell
from raftmark.bench.runs.forms import Turn
from raftmark.bench.runs.results import (
    CatchUpResult,
    Election,
    ElectionResult,
    FailoverResult,
    OfferedResult,
    Pieces,
    ReplicateResult,
    Result,
    StabilityResult,
    contradictions,
)
from raftmark.bench.runs.turns import between_turns

SHORTEST_COMMIT_NS = 100
"""About one access to main memory, of which to commit a command on several nodes takes many."""

CATCH_UP_CLIENTS = 64

_CLIENTS = {"payload": 64, "keys": 1000, "session": "client"}
_TIMED = {"warmup_s": 0.5, "duration_s": 2}
DEFAULTS: dict[str, dict[str, Any]] = {
    "replicate": {**_CLIENTS, **_TIMED, "outstanding": 64},
    "offered": {**_CLIENTS, **_TIMED, "rate": 1000, "sessions": 64},
    "election": {"elections": 10, "lagging": 0},
    "failover": {**_CLIENTS, "outstanding": 16, "before_s": 1, "after_s": 3},
    "catch_up": {**_CLIENTS, "entries": 10_000, "by": "entries", "cap_s": 30},
    "stability": {**_CLIENTS, "outstanding": 0, "duration_s": 2},
}
"""What docs/protocol.md says of the fields that a cell leaves out."""

# A measured time ends no earlier than asked. But a clock may count microseconds, so that each of
# its two moments is as much as one off; seconds asked for, a decimal fraction, lose less than that.
_ROUNDING_NS = 2_000
_GRAIN_NS = 32
_LONGEST_TEXT = 500
_CANDIDATES = ("candidate", "pre_candidate")
# Two looks at the clock of which each stands for one moment, with a turn of others in between.
_TURN_NS = 50_000_000
# A machine that is busy delays timers and threads by milliseconds: below this, timeouts say little.
_TELLING_NS = 50_000_000
# What happens at the very end of a run may be heard of after it.
_HEARING_NS = 200_000_000


class Role(msgspec.Struct, frozen=True):
    """A role event, as docs/protocol.md has it."""

    node: int
    role: str
    term: int
    at_ns: int
    leader: int | None = None


class Witness(NamedTuple):
    """What the harness knows by itself of a `run`.

    `nodes`: the ids that `start` answered. `sent_ns`, `received_ns`: when the request was sent and
    when its reply was there. `roles`: the role events of the trial, in the order of arrival.
    `turns`: when the contender was let run, if it was stopped between.
    """

    nodes: Sequence[int]
    sent_ns: int
    received_ns: int
    roles: Sequence[Role]
    turns: Sequence[Turn] | None = None


def contradicted(cell: Cell, result: Result, witness: Witness) -> Iterator[str]:
    """Yield what a result claims that cannot be."""
    yield from (f"the result {problem}" for problem in contradictions(result))
    yield from _outside(result, witness)
    asked = asked_for(cell)
    match result:
        case ReplicateResult():
            yield from _replicate(asked, result, witness)
        case OfferedResult():
            yield from _offered(asked, result, witness)
        case ElectionResult():
            yield from _elections(cell, asked, result, witness)
        case FailoverResult():
            yield from _failover(asked, result, witness)
        case CatchUpResult():
            yield from _catch_up(asked, result, witness)
        case StabilityResult():
            yield from _stability(asked, result, witness)


def asked_for(cell: Cell) -> dict[str, Any]:
    """Return every field of the workload that a contender was asked for."""
    return {**DEFAULTS[cell.workload["name"]], **cell.workload}


# -- any workload -----------------------------------------------------------------------


def _outside(result: Result, witness: Witness) -> Iterator[str]:
    """Yield what happened before the workload was asked for, or after its end was told."""
    if isinstance(result, ElectionResult):
        moments = [
            (f"election {number}: {name}", ns)
            for number, election in enumerate(result.elections, 1)
            for name, ns in _moments(election)
        ]
    else:
        moments = _moments(result)
    # A load that is given up is over before its time, which the result tells all the same.
    given_up = isinstance(result, OfferedResult) and result.saturated
    for name, ns in moments:
        if ns < witness.sent_ns:
            early_s = (witness.sent_ns - ns) / 1e9
            yield f"{name} is {early_s:.3g} s before 'run' was sent"
        elif ns > witness.received_ns and not given_up:
            late_s = (ns - witness.received_ns) / 1e9
            yield f"{name} is {late_s:.3g} s after the reply to 'run' came"


_DURATIONS = ("latency_ns", "service_ns", "lateness_ns", "sender_cpu_ns")


def _moments(part: Any) -> list[tuple[str, int]]:
    fields = ((name, getattr(part, name)) for name in part.__struct_fields__)
    return [
        (name, value)
        for name, value in fields
        if name.endswith("_ns") and name not in _DURATIONS and value is not None
    ]


def _length(what: str, length_ns: int, asked_s: float, slack_ns: int = 0) -> Iterator[str]:
    if length_ns < asked_s * 1e9 - _ROUNDING_NS - slack_ns:
        yield f"{what} for {length_ns / 1e9:.6g} s where {asked_s:g} s were asked for"


def _clients(acknowledged: Sequence[int], asked: int) -> Iterator[str]:
    if len(acknowledged) != asked:
        yield f"{len(acknowledged)} clients have acknowledged serials where {asked} were asked for"


def _known(name: str, node: int | None, witness: Witness) -> Iterator[str]:
    if node is not None and node not in witness.nodes:
        yield f"{name} is node {node}, which 'start' did not name"


def _counted(counters: dict[str, int | None], appended: int, witness: Witness) -> Iterator[str]:
    """Yield what is wrong with the counters of a leader that appended so many entries at most."""
    took_ns = witness.received_ns - witness.sent_ns
    for name in ("messages", "saves", "save_ns", "entries"):
        if counters.get(name) is None:
            yield f"the counters lack {name}"
            return
    if "bytes" not in counters:
        yield "the counters lack bytes"
    messages, saves, save_ns, entries = (
        counters[name] or 0 for name in ("messages", "saves", "save_ns", "entries")
    )
    if entries > appended:
        yield f"the counters have {entries} entries where the clients sent {appended}"
    if entries and not (saves and (messages or len(witness.nodes) == 1)):
        yield f"the counters have {entries} entries, {messages} messages and {saves} saves"
    if save_ns > took_ns:
        yield f"the counters have {save_ns / 1e9:.3g} s of saves in {took_ns / 1e9:.3g} s"


def _possible(name: str, histogram: Pieces, longest_ns: int) -> Iterator[str]:
    if histogram and histogram[0][0] < SHORTEST_COMMIT_NS:
        yield f"{name} has commands that took {histogram[0][0]} ns, which is less than any can"
    if histogram and histogram[-1][0] > longest_ns:
        late_s, all_s = histogram[-1][0] / 1e9, longest_ns / 1e9
        yield f"{name} has a command that took {late_s:.3g} s in the {all_s:.3g} s of the run"


def _bounds(histogram: Pieces) -> tuple[int, int]:
    """Return the least and the most that latencies can add up to."""
    least = sum(value * count for value, count in histogram)
    return least, sum(_highest(value) * count for value, count in histogram)


def _highest(lowest: int) -> int:
    """Return the highest value of the bucket that begins with `lowest`."""
    return lowest + max(_GRAIN_NS, 1 << max(0, lowest.bit_length() - 8))


# -- replicate and offered --------------------------------------------------------------


def _replicate(asked: dict[str, Any], result: ReplicateResult, witness: Witness) -> Iterator[str]:
    warmup_s, duration_s = asked["warmup_s"], asked["duration_s"]
    length_ns = result.ended_ns - result.started_ns
    yield from _known("the leader", result.node, witness)
    yield from _length("measured", length_ns, duration_s)
    yield from _length("warmed up", result.started_ns - witness.sent_ns, warmup_s)
    yield from _clients(result.acknowledged, asked["outstanding"])
    took_ns = witness.received_ns - witness.sent_ns
    yield from _possible("latency_ns", result.latency_ns, took_ns)
    yield from _counted(result.counters, sum(result.acknowledged), witness)
    yield from _littles_law(result, asked["outstanding"], length_ns, duration_s * 1e9)
    if witness.turns is not None:
        yield from _stopped(result, witness.turns)


def _stopped(result: ReplicateResult, turns: Sequence[Turn]) -> Iterator[str]:
    """Yield whether a contender went on that was stopped: its turns would say nothing.

    One that is not stopped at all does nearly half of its work there, and one that is stopped next
    to nothing, however busy the machine is.
    """
    stopped = between_turns(result, turns)
    if 3 * stopped.commands > result.commands:
        yield f"{stopped.commands} of {result.commands} commands were acknowledged while it stood"


def _littles_law(
    result: ReplicateResult, clients: int, length_ns: int, asked_ns: float
) -> Iterator[str]:
    """See the derivation above."""
    if not result.latency_ns:
        return
    least, most = _bounds(result.latency_ns)
    full = clients * length_ns
    under_way = clients * _highest(result.latency_ns[-1][0])
    missing = min(under_way, clients * (length_ns - asked_ns / 2))
    if most < full - missing or least > full + under_way:
        yield (
            f"latencies of {clients} clients add up to {(least + most) / 2e9:.3g} s "
            f"where {full / 1e9:.3g} s belong (Little's law)"
        )


def _offered(asked: dict[str, Any], result: OfferedResult, witness: Witness) -> Iterator[str]:
    rate, sessions = asked["rate"], asked["sessions"]
    warmup_s, duration_s = asked["warmup_s"], asked["duration_s"]
    length_ns = result.ended_ns - result.started_ns
    yield from _known("the leader", result.node, witness)
    yield from _length("measured", length_ns, duration_s)
    yield from _length("warmed up", result.started_ns - witness.sent_ns, warmup_s)
    if length_ns > duration_s * 1e9 + _ROUNDING_NS:
        yield f"measured for {length_ns / 1e9:.6g} s where {duration_s:g} s were asked for"
    if result.rate != rate:
        yield f"offered {result.rate:g} commands a second where {rate:g} were asked for"
    yield from _clients(result.acknowledged, sessions)
    took_ns = witness.received_ns - witness.sent_ns
    yield from _possible("latency_ns", result.latency_ns, took_ns)
    yield from _possible("service_ns", result.service_ns, took_ns)
    if result.sent:
        yield from _counted(result.counters, sum(result.acknowledged), witness)
    if sum(count for _, count in result.slices) > sum(result.acknowledged):
        yield "the slices have more commands than were acknowledged"
    if sum(count for _, count in result.service_ns) != result.commands:
        yield "service_ns has not as many commands as were acknowledged"
    elif _bounds(result.service_ns)[0] > _bounds(result.latency_ns)[1]:
        yield "commands took longer from when they were sent than from when they were due"
    yield from _lateness(result, took_ns)
    # How many are due follows from the rate; where a product is rounded, one may be more or less.
    due = math.ceil((warmup_s + duration_s) * rate)
    counting = due - math.ceil(warmup_s * rate)
    sent = sum(result.acknowledged)
    if result.commands != result.sent:
        yield f"{result.commands} commands were answered of {result.sent} that were sent"
    if result.sent > counting + 1 or sent > due + 1:
        yield f"{result.sent} commands were sent where {counting} were due"
    if not result.saturated and (result.sent < counting - 1 or sent < due - 1):
        yield f"{result.sent} commands were sent where {counting} were due, and none given up"
    in_turn = [sent // sessions + (number < sent % sessions) for number in range(sessions)]
    if result.acknowledged != in_turn:
        yield "the sessions did not send in turn"


def _lateness(result: OfferedResult, took_ns: int) -> Iterator[str]:
    """A latency is how late its command was sent, and how long that was served."""
    if result.lateness_ns is not None:
        if sum(count for _, count in result.lateness_ns) != result.sent:
            yield "lateness_ns has not as many commands as were sent"
        elif result.commands == result.sent:
            late, served, all_of_it = map(
                _bounds, (result.lateness_ns, result.service_ns, result.latency_ns)
            )
            if late[0] + served[0] > all_of_it[1] or late[1] + served[1] < all_of_it[0]:
                yield "latencies are not what the sender was late and what the leader took"
    if (result.sender_cpu_ns or 0) > took_ns:
        yield f"the sender used {(result.sender_cpu_ns or 0) / 1e9:.3g} s in {took_ns / 1e9:.3g} s"


# -- elections --------------------------------------------------------------------------


def _elections(
    cell: Cell, asked: dict[str, Any], result: ElectionResult, witness: Witness
) -> Iterator[str]:
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
    yield from _known("the crashed leader", crashed, witness)
    yield from _known("the leader", leader, witness)
    if leader == crashed:
        yield "the crashed leader was elected"
    lagging = set(election.lagging)
    if len(lagging) != behind or crashed in lagging:
        yield f"nodes {election.lagging} lagged where {behind} were to"
    for node in election.lagging:
        yield from _known("one that lagged", node, witness)
    if leader in lagging:
        yield f"node {leader} was elected, which lacked what was committed"
    roles = witness.roles
    if not any(
        _led(role, crashed, election.term) and role.at_ns <= election.crash_ns for role in roles
    ):
        yield f"no event tells that node {crashed} led in term {election.term} before its crash"
    begun = [r for r in roles if r.role in _CANDIDATES and election.crash_ns <= r.at_ns <= end_ns]
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
    machine may put off a crash, but not most of them.
    """
    low_ms, _ = cell.cluster["election_timeout_ms"]
    least_ns = int(1e6 * (low_ms - cell.cluster["heartbeat_ms"]))
    detected = [e.candidate_ns - e.crash_ns for e in result.elections if e.candidate_ns is not None]
    early = sum(ns < least_ns for ns in detected)
    if least_ns >= _TELLING_NS and 2 * early > len(detected):
        yield (
            f"in {early} of {len(detected)} elections a node stood before any timeout of "
            f"{low_ms:g} ms can have run out"
        )


# -- beside the nodes -------------------------------------------------------------------


def _failover(asked: dict[str, Any], result: FailoverResult, witness: Witness) -> Iterator[str]:
    before_ns = result.crash_ns - result.started_ns
    yield from _length("under load before the crash", before_ns, asked["before_s"], _TURN_NS)
    after_ns = result.ended_ns - result.crash_ns
    yield from _length("under load after the crash", after_ns, asked["after_s"], _TURN_NS)
    yield from _clients(result.acknowledged, asked["outstanding"])
    yield from _all_counted(result.commands, result.acknowledged)
    yield from _known("the crashed leader", result.crashed, witness)
    yield from _known("the leader", result.leader, witness)
    if result.leader == result.crashed:
        yield "the crashed leader was elected"
    roles = witness.roles
    if not any(
        r.role == "leader" and r.node == result.crashed and r.at_ns <= result.crash_ns
        for r in roles
    ):
        yield f"no event tells that node {result.crashed} led before its crash"
    if result.leader_ns is not None and not any(
        (role.role, role.node, role.at_ns) == ("leader", result.leader, result.leader_ns)
        for role in roles
    ):
        yield f"no event tells that node {result.leader} was elected at leader_ns"
    if result.candidate_ns is not None and not any(
        role.role in _CANDIDATES and role.at_ns == result.candidate_ns for role in roles
    ):
        yield "no event tells of a candidate at candidate_ns"


def _all_counted(commands: int, acknowledged: Sequence[int]) -> Iterator[str]:
    """Yield whether more was acknowledged, or less, than what was counted and was under way.

    All that was counted was acknowledged. The counting begins before anything is sent, and once it
    has ended nothing more is: so of what was acknowledged it lacks no more than what was under way
    at its end, which is one command of each client.
    """
    if not commands <= sum(acknowledged) <= commands + len(acknowledged):
        yield f"{commands} commands were counted where {sum(acknowledged)} were acknowledged"


def _catch_up(asked: dict[str, Any], result: CatchUpResult, witness: Witness) -> Iterator[str]:
    yield from _known("the follower", result.node, witness)
    yield from _known("the leader", result.leader, witness)
    if result.node == result.leader:
        yield "the follower that was crashed is the leader"
    if (result.entries, result.by) != (asked["entries"], asked["by"]):
        yield (
            f"caught up with {result.entries} entries by {result.by} "
            f"where {asked['entries']} by {asked['by']} were asked for"
        )
    yield from _clients(result.acknowledged, CATCH_UP_CLIENTS)
    if sum(result.acknowledged) != asked["entries"]:
        yield (
            f"{sum(result.acknowledged)} commands were acknowledged "
            f"where {asked['entries']} were asked for"
        )
    end_ns = result.caught_up_ns or witness.received_ns
    if not any(
        r.node == result.node and result.restart_ns <= r.at_ns <= end_ns for r in witness.roles
    ):
        yield f"no event tells that node {result.node} was restarted"
    if result.caught_up_ns is None:
        waited_ns = witness.received_ns - result.restart_ns
        yield from _length("waited for the follower", waited_ns, asked["cap_s"])
    yield from _counted(result.counters, sum(result.acknowledged), witness)


def _stability(asked: dict[str, Any], result: StabilityResult, witness: Witness) -> Iterator[str]:
    yield from _length("left alone", result.ended_ns - result.started_ns, asked["duration_s"])
    yield from _clients(result.acknowledged, asked.get("outstanding", 0))
    yield from _all_counted(result.commands, result.acknowledged)
    started_ns, ended_ns = result.started_ns, result.ended_ns
    sure = _held(witness.roles, started_ns, ended_ns - _HEARING_NS, ("candidate",))
    most = _held(witness.roles, started_ns - _TURN_NS, ended_ns, ("candidate",))
    # Who was elected in that time, but had stood before it, may count where nobody else stood.
    most |= _held(witness.roles, started_ns, ended_ns, ("leader",))
    if not len(sure) <= result.candidacies <= len(most):
        yield (f"{result.candidacies} candidacies where events tell of {len(sure)} to {len(most)}")
    if not min(1, result.candidacies) <= result.terms <= result.candidacies:
        yield f"{result.candidacies} candidacies in {result.terms} terms"


def _held(
    roles: Sequence[Role], from_ns: int, to_ns: int, beginnings: Sequence[str]
) -> set[tuple[int, int]]:
    meanwhile = [role for role in roles if from_ns <= role.at_ns <= to_ns]
    return {(role.node, role.term) for role in meanwhile if role.role in beginnings}
