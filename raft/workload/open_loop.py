"""The open loop of docs/protocol.md, *offered*: commands that are due, come what may.

A closed loop asks less of a slow cluster, and so hides how slow it was (G. Tene's
"coordinated omission"). Here the time at which a command is due depends on its number
alone, and its latency runs from then.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
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
    """The load beside one leader; a model's own means of waiting bring it what a sender sent.

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
        self.total = math.ceil((spec.warmup_ns + spec.duration_ns) / self._interval_ns)
        """How many commands are due at all."""
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
        self._lateness = Latencies()
        self._slices = [0] * math.ceil(spec.duration_ns / SLICE_NS)
        self._start_ns: int | None = None

    def _due_ns(self, number: int) -> int:
        assert self._start_ns is not None
        return self._start_ns + math.ceil(number * self._interval_ns)

    def take(self, moments: Sequence[int]) -> bool:
        """Take what the sender wrote: its start, once, and when it sent each command.

        Nothing means that the measured time is over. Whether there is more to come.
        """
        if self._start_ns is None and moments:
            self._begin(moments[0])
            moments = moments[1:]
            if not moments:
                return True
        late_ns = []
        for sent_ns in moments:
            number = self._sent
            if self._failure is not None or number - self._answered >= self._spec.limit:
                break
            if number >= self._first:
                late_ns.append(max(0, sent_ns - self._due_ns(number)))
            self._send(number, sent_ns)
        self._lateness.count(late_ns)
        if moments and not self._given_up():
            return True
        self._all_sent = True
        self._look_whether_ended()
        return False

    def _begin(self, start_ns: int) -> None:
        self._start_ns = start_ns
        self._started_ns = start_ns + self._spec.warmup_ns
        self._ended_ns = self._started_ns + self._spec.duration_ns

    def _given_up(self) -> bool:
        if self._failure is not None:
            return True
        self._saturated = self._due() - self._answered > self._spec.limit
        return self._saturated

    def _due(self) -> int:
        """How many commands are due by now."""
        assert self._start_ns is not None
        since_ns = time.monotonic_ns() - self._start_ns
        return min(self.total, int(since_ns / self._interval_ns) + 1)

    def _send(self, number: int, sent_ns: int) -> None:
        if number == self._first:
            self._before = self._counters()
        command = self._sources[number % len(self._sources)].next()
        self._sent += 1
        self._outstanding_ns.append(sent_ns)
        self._submit(Proposal(command, self._answer))

    def _answer(self, outcome: Outcome) -> None:
        if isinstance(outcome, RaftError):
            self._failure = outcome
            self._all_sent = True
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

    def result(self, node: int, client: str, sender_cpu_ns: int) -> dict[str, Any]:
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
            "lateness_ns": self._lateness.histogram(),
            "sender_cpu_ns": sender_cpu_ns,
            "slices": [
                [min(number * SLICE_NS, duration_ns), count]
                for number, count in enumerate(self._slices, 1)
            ],
            "acknowledged": [source.serial for source in self._sources],
            "counters": difference(self._before or after, after),
        }
