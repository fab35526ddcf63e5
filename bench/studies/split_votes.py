"""How long Figure 16 takes by the rules alone: `python -m raftmark.bench.studies.split_votes`.

Four servers have lost their leader; two of them lack an entry and cannot be elected. Time passes
only in timers and messages, each message taking the same. It shows what part of an election's time
is Raft's own, and which delay fits what the Raft paper reports.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import math
import random
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from raftmark.bench.design.cells import PAPERS_DELAY_MS, PAPERS_LAGGING
from raftmark.bench.design.specification import paper

SURVIVORS = range(4)
"""The servers of five that are left, those that lag last."""

MAJORITY = 3
# What no two messages and no two timers have in common.
_JITTER_MS = 0.1


@dataclass
class Server:
    """A survivor's part in the election; of its timers only the last one that was set counts."""

    term: int = 1
    voted_for: int | None = None
    votes: int = 0
    timers: int = 0


class Election:
    """One election; what happens is due at a time in ms from the leader's crash."""

    def __init__(
        self,
        timeout_ms: tuple[float, float],
        delay_ms: float,
        cap_ms: float,
        chance: random.Random,
    ) -> None:
        self._timeout_ms = timeout_ms
        self._delay_ms = delay_ms
        self._cap_ms = cap_ms
        self._chance = chance
        self._servers = [Server() for _ in SURVIVORS]
        self._number = itertools.count()
        self._due: list[tuple[float, int, Callable[[float], None]]] = []

    def duration_ms(self) -> float:
        """Return the time from the crash to the next leader, infinite if there is none by the cap.

        The crash comes at any moment between two heartbeats, which are half of the lowest timeout
        apart.
        """
        last_heartbeat = -self._chance.uniform(0, self._timeout_ms[0] / 2)
        for who in SURVIVORS:
            self._set_timer(who, last_heartbeat + self._delay_ms)
        while True:
            now, _, happen = heapq.heappop(self._due)
            if now > self._cap_ms:
                return math.inf
            happen(now)
            if any(server.votes == MAJORITY for server in self._servers):
                return now

    def _after(self, now: float, wait: float, happen: Callable[[float], None]) -> None:
        moment = now + wait + abs(self._chance.gauss(0, _JITTER_MS))
        heapq.heappush(self._due, (moment, next(self._number), happen))

    def _set_timer(self, who: int, now: float) -> None:
        server = self._servers[who]
        server.timers += 1
        self._after(
            now, self._chance.uniform(*self._timeout_ms), partial(self._stand, who, server.timers)
        )

    def _stand(self, who: int, timer: int, now: float) -> None:
        server = self._servers[who]
        if timer != server.timers:
            return
        server.term, server.voted_for, server.votes = server.term + 1, who, 1
        self._set_timer(who, now)
        for voter in SURVIVORS:
            if voter != who:
                self._after(now, self._delay_ms, partial(self._vote, voter, who, server.term))

    def _vote(self, who: int, candidate: int, term: int, now: float) -> None:
        server = self._servers[who]
        if term > server.term:
            server.term, server.voted_for, server.votes = term, None, 0
        if term == server.term and server.voted_for is None and _may_follow(who, candidate):
            server.voted_for = candidate
            self._set_timer(who, now)
            self._after(now, self._delay_ms, partial(self._count, candidate, term))

    def _count(self, candidate: int, term: int, _now: float) -> None:
        server = self._servers[candidate]
        if term == server.term and server.voted_for == candidate:
            server.votes += 1


def _may_follow(voter: int, candidate: int) -> bool:
    """Whether the candidate's log is as good as the voter's (Raft paper, section 5.4.1)."""
    complete = len(SURVIVORS) - PAPERS_LAGGING
    return candidate < complete or voter >= complete


def sample(
    timeout_ms: tuple[float, float], delay_ms: float, elections: int, cap_ms: float = 10_000
) -> list[float]:
    """Return the times of so many elections (ms), in order; the same for the same arguments.

    One that is undecided after `cap_ms` is given up, and infinite.
    """
    chance = random.Random(f"{timeout_ms}/{delay_ms}")
    return sorted(
        Election(timeout_ms, delay_ms, cap_ms, chance).duration_ms() for _ in range(elections)
    )


def _rows(delay_ms: float, elections: int) -> Iterator[str]:
    yield f"{'timeouts, ms':>12} {'median':>8} {'mean':>8} {'worst':>8}"
    for cell in paper().cells:
        low, high = cell.cluster["election_timeout_ms"]
        cap_ms = 1000 * cell.workload["cap_s"]
        times = sample((low, high), delay_ms, elections if low < high else elections // 10, cap_ms)
        figures = (statistics.median(times), statistics.fmean(times), times[-1])
        shown = (f"{figure:8.0f}" if math.isfinite(figure) else "   never" for figure in figures)
        yield f"{f'{low}-{high}':>12} {' '.join(shown)}"


def _main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m raftmark.bench.studies.split_votes",
        description="Simulate the elections of Figure 16.",
    )
    parser.add_argument(
        "--delay", type=float, default=PAPERS_DELAY_MS, metavar="MS", help="what a message takes"
    )
    parser.add_argument("--elections", type=int, default=1000, metavar="N", help="in each range")
    asked = parser.parse_args()
    for row in _rows(asked.delay, asked.elections):
        print(row)


if __name__ == "__main__":
    _main()
