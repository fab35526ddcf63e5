"""How long Figure 16's elections take by the rules alone: `python -m bench.split_votes`.

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
from collections.abc import Iterator
from dataclasses import dataclass

from bench.cells import PAPERS_DELAY_MS, PAPERS_LAGGING
from bench.specification import FIGURE_16_MS

SURVIVORS = range(4)
"""The servers of five that are left, those that lag last."""

MAJORITY = 3
CAP_MS = 10_000.0
# What no two messages and no two timers have in common.
_JITTER_MS = 0.1


@dataclass
class Server:
    """A survivor's part in the election: its timer counts if it is the last that was set."""

    term: int = 1
    voted_for: int | None = None
    votes: int = 0
    timers: int = 0


def election_ms(timeout_ms: tuple[float, float], delay_ms: float, chance: random.Random) -> float:
    """Return the time from the leader's crash to the next leader, infinite after `CAP_MS`.

    The crash comes at any moment between two heartbeats, which are half of the lowest timeout
    apart.
    """
    low, high = timeout_ms
    servers = [Server() for _ in SURVIVORS]
    number = itertools.count()
    due: list[tuple[float, int, str, int, int, int]] = []

    def after(now: float, wait: float, what: str, who: int, whom: int, term: int) -> None:
        moment = now + wait + abs(chance.gauss(0, _JITTER_MS))
        heapq.heappush(due, (moment, next(number), what, who, whom, term))

    def set_timer(who: int, now: float) -> None:
        servers[who].timers += 1
        after(now, chance.uniform(low, high), "timeout", who, servers[who].timers, 0)

    last_heartbeat = -chance.uniform(0, low / 2)
    for who in SURVIVORS:
        set_timer(who, last_heartbeat + delay_ms)
    while due:
        now, _, what, who, whom, term = heapq.heappop(due)
        if now > CAP_MS:
            break
        server = servers[who]
        match what:
            case "timeout" if whom == server.timers:
                server.term, server.voted_for, server.votes = server.term + 1, who, 1
                set_timer(who, now)
                for other in SURVIVORS:
                    if other != who:
                        after(now, delay_ms, "request", other, who, server.term)
            case "request":
                if term > server.term:
                    server.term, server.voted_for, server.votes = term, None, 0
                if term == server.term and server.voted_for is None and _may_follow(who, whom):
                    server.voted_for = whom
                    set_timer(who, now)
                    after(now, delay_ms, "vote", whom, who, term)
            case "vote" if term == server.term and server.voted_for == who:
                server.votes += 1
                if server.votes == MAJORITY:
                    return now
    return math.inf


def _may_follow(voter: int, candidate: int) -> bool:
    """Whether the candidate's log is as good as the voter's (Raft paper, section 5.4.1)."""
    complete = len(SURVIVORS) - PAPERS_LAGGING
    return candidate < complete or voter >= complete


def sample(timeout_ms: tuple[float, float], delay_ms: float, elections: int) -> list[float]:
    """Return the times of so many elections (ms), in order; the same for the same arguments."""
    chance = random.Random(f"{timeout_ms}/{delay_ms}")
    return sorted(election_ms(timeout_ms, delay_ms, chance) for _ in range(elections))


def _rows(delay_ms: float, elections: int) -> Iterator[str]:
    yield f"{'timeouts, ms':>12} {'median':>8} {'mean':>8} {'worst':>8}"
    for low, high in FIGURE_16_MS:
        times = sample((low, high), delay_ms, elections if low < high else elections // 10)
        figures = (statistics.median(times), statistics.fmean(times), times[-1])
        shown = (f"{figure:8.0f}" if math.isfinite(figure) else "   never" for figure in figures)
        yield f"{f'{low}-{high}':>12} {' '.join(shown)}"


def _main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.split_votes", description="Simulate the elections of Figure 16."
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
