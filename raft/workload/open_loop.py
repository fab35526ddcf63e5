"""The open loop of docs/protocol.md, *offered*: commands that are due, come what may.

A closed loop asks less of a slow cluster, and so hides how slow it was (G. Tene's
"coordinated omission"). Here the time at which a command is due depends on its number
alone, and its latency runs from then.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from raftmark.raft.client import Outcome, Proposal
from raftmark.raft.cluster import Counters
from raftmark.raft.errors import RaftError
from raftmark.raft.loads import OfferedSpec
from raftmark.raft.workload.closed_loop import Latencies, command_sources, difference

SECOND_NS = 1_000_000_000
SLICE_NS = 100_000_000
TURN = 1024


class OpenLoop:
    """The load beside one leader; a model's sender goes through `pace`, waiting as it says.

    The answers come in the order of the commands, as a leader applies them, so that the
    number of a command need not go with it. They may come in another thread than the
    sender's. `ended` is called when the measured time is over or the load given up, and all
    are answered, twice if two threads find that at the same moment.
    """

    def __init__(
        self,
        spec: OfferedSpec,
        counters: Callable[[], Counters],
        submit: Callable[[Proposal], None],
        ended: Callable[[], None],
    ) -> None:
        self._spec = spec
        self._counters = counters
        self._submit = submit
        self._ended = ended
        self._sources = command_sources(spec.sessions, spec.session, spec.keys, spec.payload)
        self._interval_ns = SECOND_NS / spec.rate
        self._first = math.ceil(spec.warmup_ns / self._interval_ns)
        self._total = math.ceil((spec.warmup_ns + spec.duration_ns) / self._interval_ns)
        self._failure: RaftError | None = None
        self._saturated = False
        self._before: Counters | None = None
        self._sent = 0
        self._all_sent = False
        self._outstanding_ns: deque[int] = deque()
        self._answered = 0
        self._latencies_ns: list[int] = []
        self._services_ns: list[int] = []
        self._latencies = Latencies()
        self._services = Latencies()
        self._slices = [0] * math.ceil(spec.duration_ns / SLICE_NS)
        self._start_ns = time.monotonic_ns()
        self._started_ns = self._start_ns + spec.warmup_ns
        self._ended_ns = self._started_ns + spec.duration_ns

    def _due_ns(self, number: int) -> int:
        return self._start_ns + math.ceil(number * self._interval_ns)

    def pace(self) -> Iterator[float]:
        """Send what is due, and yield the seconds until more is; over with the measured time.

        After `TURN` commands at a time it yields all the same, so that a leader in the same
        thread gets its turn. What is due meanwhile waits here, and is charged for it.
        """
        while self._failure is None:
            due = self._due_by(time.monotonic_ns())
            room = self._spec.limit - len(self._outstanding_ns)
            for number in range(self._sent, min(due, self._sent + min(room, TURN))):
                self._send(number)
            if self._sent == self._total:
                yield from self._rest()
                break
            if due - self._answered > self._spec.limit:
                self._saturated = True
                break
            early_ns = self._due_ns(self._sent) - time.monotonic_ns()
            yield max(0, early_ns) / SECOND_NS
        self._all_sent = True
        self._look_whether_ended()

    def _rest(self) -> Iterator[float]:
        """Let the time after the last command pass, which may be as long as an interval."""
        while self._failure is None and (left_ns := self._ended_ns - time.monotonic_ns()) > 0:
            yield left_ns / SECOND_NS

    def _due_by(self, now_ns: int) -> int:
        """How many commands are due by then."""
        return min(self._total, int((now_ns - self._start_ns) / self._interval_ns) + 1)

    def _send(self, number: int) -> None:
        if number == self._first:
            self._before = self._counters()
        command = self._sources[number % len(self._sources)].next()
        self._sent += 1
        self._outstanding_ns.append(time.monotonic_ns())
        self._submit(Proposal(command, self._answer))

    def _answer(self, outcome: Outcome) -> None:
        if isinstance(outcome, RaftError):
            self._failure = outcome
        else:
            self._record(time.monotonic_ns())
        self._outstanding_ns.popleft()
        self._look_whether_ended()

    def _record(self, now_ns: int) -> None:
        number, self._answered = self._answered, self._answered + 1
        if number >= self._first:
            self._latencies_ns.append(now_ns - self._due_ns(number))
            self._services_ns.append(now_ns - self._outstanding_ns[0])
            if len(self._latencies_ns) == TURN:
                self._count()
        if self._started_ns <= now_ns < self._ended_ns:
            self._slices[(now_ns - self._started_ns) // SLICE_NS] += 1

    def _count(self) -> None:
        self._latencies.count(self._latencies_ns)
        self._latencies_ns.clear()
        self._services.count(self._services_ns)
        self._services_ns.clear()

    def _look_whether_ended(self) -> None:
        if self._all_sent and not self._outstanding_ns:
            self._ended()

    def result(self, node: int, client: str) -> dict[str, Any]:
        """The raw result of docs/protocol.md once the load has ended. RaftError if it failed."""
        if self._failure is not None:
            raise self._failure
        after = self._counters()
        self._count()
        duration_ns = self._spec.duration_ns
        return {
            "workload": "offered",
            "node": node,
            "client": client,
            "started_ns": self._started_ns,
            "ended_ns": self._ended_ns,
            "rate": self._spec.rate,
            "sent": max(0, self._sent - self._first),
            "commands": max(0, self._answered - self._first),
            "saturated": self._saturated,
            "latency_ns": self._latencies.histogram(),
            "service_ns": self._services.histogram(),
            "slices": [
                [min(number * SLICE_NS, duration_ns), count]
                for number, count in enumerate(self._slices, 1)
            ],
            "acknowledged": [source.serial for source in self._sources],
            "counters": difference(self._before or after, after),
        }
