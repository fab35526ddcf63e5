"""What no result may claim, whatever its workload."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from raftmark.bench.experiment.claims.asked import Witness
from raftmark.bench.runs.results import ElectionResult, OfferedResult, Pieces, Result

SHORTEST_COMMIT_NS = 100
"""About one access to main memory, of which to commit a command on several nodes takes many."""

# A measured time ends no earlier than asked. But a clock may count microseconds, so that each of
# its two moments is as much as one off; seconds asked for, a decimal fraction, lose less than that.
ROUNDING_NS = 2_000
# Two looks at the clock of which each stands for one moment, with a turn of others in between.
TURN_NS = 50_000_000
CANDIDATES = ("candidate", "pre_candidate")
_GRAIN_NS = 32


def outside(result: Result, witness: Witness) -> Iterator[str]:
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
        if ns < witness.sent_ns - witness.clocks_ns:
            early_s = (witness.sent_ns - ns) / 1e9
            yield f"{name} is {early_s:.3g} s before 'run' was sent"
        elif ns > witness.received_ns + witness.clocks_ns and not given_up:
            late_s = (ns - witness.received_ns) / 1e9
            yield f"{name} is {late_s:.3g} s after the reply to 'run' came"


_DURATIONS = (
    *("latency_ns", "service_ns", "lateness_ns", "longest_ns", "connected_ns"),
    *("sender_cpu_ns", "generator_cpu_ns", "connecting_cpu_ns"),
)


def _moments(part: Any) -> list[tuple[str, int]]:
    fields = ((name, getattr(part, name)) for name in part.__struct_fields__)
    return [
        (name, value)
        for name, value in fields
        if name.endswith("_ns") and name not in _DURATIONS and value is not None
    ]


def length(what: str, length_ns: int, asked_s: float, slack_ns: int = 0) -> Iterator[str]:
    """Yield whether something took less than the seconds that were asked for."""
    if length_ns < asked_s * 1e9 - ROUNDING_NS - slack_ns:
        yield f"{what} for {length_ns / 1e9:.6g} s where {asked_s:g} s were asked for"


def clients(acknowledged: Sequence[int], asked: int) -> Iterator[str]:
    """Yield whether there were more clients than asked for, or fewer."""
    if len(acknowledged) != asked:
        yield f"{len(acknowledged)} clients have acknowledged serials where {asked} were asked for"


def known(name: str, node: int | None, witness: Witness) -> Iterator[str]:
    """Yield whether a node is none of those that were started."""
    if node is not None and node not in witness.nodes:
        yield f"{name} is node {node}, which 'start' did not name"


def counted(counters: dict[str, int | None], appended: int, witness: Witness) -> Iterator[str]:
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


def possible(name: str, histogram: Pieces, longest_ns: int) -> Iterator[str]:
    """Yield latencies that no command can have, or none in a run of that length."""
    if histogram and histogram[0][0] < SHORTEST_COMMIT_NS:
        yield f"{name} has commands that took {histogram[0][0]} ns, which is less than any can"
    if histogram and histogram[-1][0] > longest_ns:
        late_s, all_s = histogram[-1][0] / 1e9, longest_ns / 1e9
        yield f"{name} has a command that took {late_s:.3g} s in the {all_s:.3g} s of the run"


def bounds(histogram: Pieces) -> tuple[int, int]:
    """Return the least and the most that latencies can add up to."""
    least = sum(value * count for value, count in histogram)
    return least, sum(highest(value) * count for value, count in histogram)


def highest(lowest: int) -> int:
    """Return the highest value of the bucket that begins with `lowest`."""
    return lowest + max(_GRAIN_NS, 1 << max(0, lowest.bit_length() - 8))


def all_counted(commands: int, acknowledged: Sequence[int]) -> Iterator[str]:
    """Yield whether more was acknowledged, or less, than what was counted and was under way.

    All that was counted was acknowledged. The counting begins before anything is sent, and once it
    has ended nothing more is: so of what was acknowledged it lacks no more than what was under way
    at its end, which is one command of each client.
    """
    if not commands <= sum(acknowledged) <= commands + len(acknowledged):
        yield f"{commands} commands were counted where {sum(acknowledged)} were acknowledged"
