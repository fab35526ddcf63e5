"""What the loads beside a leader claim: the closed loop, and the open one.

**Little's law.** A client of the closed loop sends its next command when its last one is answered,
so its latencies fill the time. Of T measured nanoseconds a client's counted latencies miss only
what was under way at the end, and exceed T only by what was under way at the beginning. What was
under way at the beginning is counted itself, so it is no longer than the longest counted latency,
L. What was under way at the end was sent after the command that ended the measured time, which is
counted too, since a leader answers in the order of its log; so it is no longer than L either. The
sum of the latencies of W clients therefore lies within W x T +- W x L. Each latency is known to
within its bucket, and to 32 ns where a contender keeps no more. One latency as long as T would
make this say nothing, so what a client may miss is never more than half of what was asked for, and
what the measured time was longer than that, unless it had no answer in all that time: so many may
have had none as there are more clients than commands. A contender that is stopped in turns with
another is no exception: its clients' latencies fill the time in which it stood, too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from raftmark.bench.experiment.claims.asked import Witness
from raftmark.bench.experiment.claims.common import (
    ROUNDING_NS,
    bounds,
    clients,
    counted,
    highest,
    known,
    length,
    possible,
)
from raftmark.bench.runs.forms import Turn
from raftmark.bench.runs.results import OfferedResult, ReplicateResult
from raftmark.bench.runs.turns import between_turns


def replicate(asked: dict[str, Any], result: ReplicateResult, witness: Witness) -> Iterator[str]:
    """Yield what the closed loop cannot have been like."""
    warmup_s, duration_s = asked["warmup_s"], asked["duration_s"]
    length_ns = result.ended_ns - result.started_ns
    yield from known("the leader", result.node, witness)
    yield from length("measured", length_ns, duration_s)
    warm_ns = result.started_ns - witness.sent_ns
    yield from length("warmed up", warm_ns, warmup_s, witness.clocks_ns)
    yield from clients(result.acknowledged, asked["outstanding"])
    took_ns = witness.received_ns - witness.sent_ns
    yield from possible("latency_ns", result.latency_ns, took_ns)
    yield from counted(result.counters, sum(result.acknowledged), witness)
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
    least, most = bounds(result.latency_ns)
    full = clients * length_ns
    under_way = clients * highest(result.latency_ns[-1][0])
    unserved = max(0, clients - result.commands)
    missing = min(under_way, clients * length_ns - (clients - unserved) * asked_ns / 2)
    if most < full - missing or least > full + under_way:
        yield (
            f"latencies of {clients} clients add up to {(least + most) / 2e9:.3g} s "
            f"where {full / 1e9:.3g} s belong (Little's law)"
        )


def offered(asked: dict[str, Any], result: OfferedResult, witness: Witness) -> Iterator[str]:
    """Yield what the open loop cannot have been like."""
    rate, sessions = asked["rate"], asked["sessions"]
    warmup_s, duration_s = asked["warmup_s"], asked["duration_s"]
    length_ns = result.ended_ns - result.started_ns
    yield from known("the leader", result.node, witness)
    yield from length("measured", length_ns, duration_s)
    warm_ns = result.started_ns - witness.sent_ns
    yield from length("warmed up", warm_ns, warmup_s, witness.clocks_ns)
    if length_ns > duration_s * 1e9 + ROUNDING_NS:
        yield f"measured for {length_ns / 1e9:.6g} s where {duration_s:g} s were asked for"
    if result.rate != rate:
        yield f"offered {result.rate:g} commands a second where {rate:g} were asked for"
    yield from clients(result.acknowledged, sessions)
    took_ns = witness.received_ns - witness.sent_ns
    yield from possible("latency_ns", result.latency_ns, took_ns)
    yield from possible("service_ns", result.service_ns, took_ns)
    if result.sent:
        yield from counted(result.counters, sum(result.acknowledged), witness)
    if sum(count for _, count in result.slices) > sum(result.acknowledged):
        yield "the slices have more commands than were acknowledged"
    if sum(count for _, count in result.service_ns) != result.commands:
        yield "service_ns has not as many commands as were acknowledged"
    elif bounds(result.service_ns)[0] > bounds(result.latency_ns)[1]:
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
                bounds, (result.lateness_ns, result.service_ns, result.latency_ns)
            )
            if late[0] + served[0] > all_of_it[1] or late[1] + served[1] < all_of_it[0]:
                yield "latencies are not what the sender was late and what the leader took"
    if (result.sender_cpu_ns or 0) > took_ns:
        yield f"the sender used {(result.sender_cpu_ns or 0) / 1e9:.3g} s in {took_ns / 1e9:.3g} s"
