"""What a contender did in its turns, while the other of its pair was stopped.

The contender counts in short slices, each with its end by the clock that all processes of a machine
share; the harness knows when it let the contender run. A slice that lies wholly within a turn, and
not right at its beginning, is the contender's at its own pace, with the machine to itself. What
lies across the end of a turn is nobody's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from raftmark.bench.runs.forms import Turn
from raftmark.bench.runs.results import ReplicateResult

SETTLING_NS = 5_000_000
"""How long a contender that went on is let find its pace: its caches are cold, its timers due."""


class Counted(NamedTuple):
    """Commands, and the nanoseconds in which they were acknowledged."""

    commands: int
    ns: int


def in_turns(result: ReplicateResult, turns: Sequence[Turn]) -> Counted:
    """Return what was counted within the turns, once the contender had found its pace."""
    settled = [(start + SETTLING_NS, end) for start, end in turns]
    return _sum(count for count, inside in _within(result, settled) if inside)


def between_turns(result: ReplicateResult, turns: Sequence[Turn]) -> Counted:
    """Return what was counted while the contender was stopped, which is to be nothing."""
    stops = [(end, start) for (_, end), (start, _) in pairwise(turns)]
    return _sum(count for count, inside in _within(result, stops) if inside)


def _within(result: ReplicateResult, spans: Sequence[Turn]) -> Iterator[tuple[Counted, bool]]:
    """Yield each slice, and whether it lies wholly within one of these spans (in order)."""
    waiting = iter(spans)
    span = next(waiting, None)
    begin = result.started_ns
    for end_ns, commands in result.slices:
        end = result.started_ns + end_ns
        while span is not None and span[1] < end:
            span = next(waiting, None)
        yield Counted(commands, end - begin), span is not None and span[0] <= begin
        begin = end


def _sum(counts: Iterator[Counted]) -> Counted:
    found = list(counts)
    return Counted(sum(each.commands for each in found), sum(each.ns for each in found))
