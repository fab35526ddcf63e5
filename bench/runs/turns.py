"""What a contender did in its turns, while the other of its pair was stopped.

The contender counts in short slices, each with its end by the clock that all processes of a machine
share; the harness knows when it let the contender run. A slice that lies wholly within a turn, and
not right at its beginning, is the contender's at its own pace, with the machine to itself. What
lies across the end of a turn is nobody's.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
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
    return _sum(by_turn(result, turns))


def by_turn(result: ReplicateResult, turns: Sequence[Turn]) -> list[Counted]:
    """Return what was counted within each of the turns, once the contender had found its pace."""
    settled = [(start + SETTLING_NS, end) for start, end in turns]
    counted: list[list[Counted]] = [[] for _ in turns]
    for count, place in _within(result, settled):
        if place is not None:
            counted[place].append(count)
    return [_sum(counts) for counts in counted]


def typical_ratio(
    base: tuple[ReplicateResult, Sequence[Turn]], head: tuple[ReplicateResult, Sequence[Turn]]
) -> float | None:
    """Return the median of `head`'s pace over `base`'s in the same pairs of turns, None without.

    A machine changes its pace by tens of per cent within a second, and a pair of turns less often
    than not: so the middle of their ratios says more than the ratio of the sums, of which the pairs
    that were torn so make most of the scatter. What a contender does in a few of its turns only,
    this does not see.
    """
    pairs = zip(by_turn(*base), by_turn(*head), strict=False)
    ratios = [
        (after.commands / after.ns) / (before.commands / before.ns)
        for before, after in pairs
        if before.commands and after.commands
    ]
    return statistics.median(ratios) if ratios else None


def between_turns(result: ReplicateResult, turns: Sequence[Turn]) -> Counted:
    """Return what was counted while the contender was stopped, which is to be nothing."""
    stops = [(end, start) for (_, end), (start, _) in pairwise(turns)]
    return _sum(count for count, place in _within(result, stops) if place is not None)


def _within(result: ReplicateResult, spans: Sequence[Turn]) -> Iterator[tuple[Counted, int | None]]:
    """Yield each slice, and in which of these spans (in order) it lies wholly."""
    place = 0
    begin = result.started_ns
    for end_ns, commands in result.slices:
        end = result.started_ns + end_ns
        while place < len(spans) and spans[place][1] < end:
            place += 1
        inside = place < len(spans) and spans[place][0] <= begin
        yield Counted(commands, end - begin), place if inside else None
        begin = end


def _sum(counts: Iterable[Counted]) -> Counted:
    found = list(counts)
    return Counted(sum(each.commands for each in found), sum(each.ns for each in found))
