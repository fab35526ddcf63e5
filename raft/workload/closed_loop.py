"""The closed loop of docs/protocol.md, *replicate*, and the commands that every load sends."""

import itertools
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import repeat
from operator import mod
from typing import Any

from raftmark.raft.client import Done, Outcome, Proposal, proposal_of
from raftmark.raft.cluster import Counters
from raftmark.raft.errors import RaftError
from raftmark.raft.loads import ReplicateSpec
from raftmark.raft.messages import Command

GRAIN_BITS = 5
"""Latencies are kept to 32 ns: no coarser than their buckets from 4 microseconds on."""
MOST_GRAINS = 16_384
"""So many different latencies are counted each on its own, before buckets take them in."""


class CommandSource:
    """One client session's commands, in order."""

    def __init__(
        self, client: int, clients: int, session: str, keys: Sequence[str], value: str
    ) -> None:
        self.serial = 0
        numbers = map(mod, itertools.count(client + clients, clients), repeat(len(keys)))
        own = map(keys.__getitem__, numbers)
        op, values, expect = repeat("set"), repeat(value), repeat(None)
        names, serials = repeat(f"{session}-{client}"), itertools.count(1)
        fields = zip(op, own, values, expect, names, serials, strict=False)
        # What `Command(...)` does, without a call of Python's for each.
        self._commands = map(partial(tuple.__new__, Command), fields)

    def next(self) -> Command:
        """The session's next command."""
        self.serial += 1
        return next(self._commands)


def command_sources(clients: int, session: str, keys: int, payload: int) -> list[CommandSource]:
    """The sources of so many clients, who share the keys."""
    names = [f"key-{m}" for m in range(keys)]
    value = "x" * payload
    return [CommandSource(client, clients, session, names, value) for client in range(clients)]


class Latencies:
    """How often each latency (ns) was seen, in memory that does not grow with their number."""

    def __init__(self) -> None:
        self._grains: Counter[int] = Counter()
        self._buckets: Counter[int] = Counter()

    def count(self, latencies: Iterable[int]) -> None:
        """Count some more."""
        self._grains.update([latency >> GRAIN_BITS for latency in latencies])
        if len(self._grains) > MOST_GRAINS:
            self._fold()

    def _fold(self) -> None:
        """Let the buckets take in the grains: in a long run hardly two latencies are the same."""
        for bucket, count in histogram(
            {grain << GRAIN_BITS: count for grain, count in self._grains.items()}
        ):
            self._buckets[bucket] += count
        self._grains.clear()

    def histogram(self) -> list[list[int]]:
        """All that were counted, as `histogram` returns them."""
        self._fold()
        return histogram(self._buckets)

    def __len__(self) -> int:
        """How many counts are kept: what the memory is in proportion to."""
        return len(self._grains) + len(self._buckets)


class Recorder:
    """Latencies as they come, counted in slices of about `slice_ns`; one thread's own.

    What is done for each command is kept to an append and a comparison. Each slice is
    folded into the counts when it ends, so that a run of any length needs no more memory.
    """

    def __init__(self, spec: ReplicateSpec, counters: Callable[[], Counters]) -> None:
        self._counters = counters
        self._latencies: list[int] = []
        start = time.monotonic_ns()
        self._warm_ns = start + spec.warmup_ns
        self._duration_ns = spec.duration_ns
        self._slice_ns = spec.slice_ns
        # Until the measured time begins: with the first acknowledgement after the warm-up.
        self.deadline_ns: float = math.inf
        self._next_mark_ns: float = min(start + spec.slice_ns, self._warm_ns)
        self._started_ns = self._ended_ns = 0
        self._before: Counters | None = None
        self._after: Counters | None = None
        self._counted = Latencies()
        self._slices: list[list[int]] = []

    def record(self, sent_ns: int, now_ns: int) -> None:
        """A command that was sent at `sent_ns` was acknowledged at `now_ns`."""
        self._latencies.append(now_ns - sent_ns)
        if now_ns >= self._next_mark_ns:
            self._mark(now_ns)

    def _mark(self, now_ns: int) -> None:
        """End a slice: what was before the first mark after the warm-up does not count."""
        latencies, self._latencies = self._latencies, []
        if self._after is not None:
            return
        if self._before is not None:
            self._counted.count(latencies)
            self._slices.append([now_ns - self._started_ns, len(latencies)])
            self._ended_ns = now_ns
        elif now_ns >= self._warm_ns:
            self._started_ns = now_ns
            self.deadline_ns = now_ns + self._duration_ns
            self._before = self._counters()
        if now_ns >= self.deadline_ns:
            self._after = self._counters()
            return
        end_ns = self._warm_ns if self._before is None else self.deadline_ns
        self._next_mark_ns = min(now_ns + self._slice_ns, end_ns)

    def result(self, node: int, client: str, acknowledged: Sequence[int]) -> dict[str, Any]:
        """The raw result of docs/protocol.md, when every client has passed the deadline."""
        assert self._before is not None
        assert self._after is not None
        return {
            "workload": "replicate",
            "node": node,
            "client": client,
            "started_ns": self._started_ns,
            "ended_ns": self._ended_ns,
            "commands": sum(count for _, count in self._slices),
            "latency_ns": self._counted.histogram(),
            "slices": self._slices,
            "acknowledged": list(acknowledged),
            "counters": difference(self._before, self._after),
        }


def histogram(values: Mapping[int, int]) -> list[list[int]]:
    """Values (ns) and their counts in log-linear buckets of 128 to the octave.

    A bucket is [its lowest value, count].
    """
    counts: Counter[int] = Counter()
    for value, count in values.items():
        shift = max(0, value.bit_length() - 8)
        counts[value >> shift << shift] += count
    return [[bucket, counts[bucket]] for bucket in sorted(counts)]


def difference(before: Counters, after: Counters) -> dict[str, int | None]:
    """What was counted between two readings."""
    return {
        "messages": after.messages - before.messages,
        "bytes": None
        if after.bytes is None or before.bytes is None
        else after.bytes - before.bytes,
        "saves": after.saves - before.saves,
        "save_ns": after.save_ns - before.save_ns,
        "entries": after.entries - before.entries,
    }


class CallbackClients:
    """The closed loop where the answer to a command is a callback in the leader's thread.

    Each client sends its next command from within the answer to its last one. `finished`
    is called once, when every client has heard its last answer, with the result or the
    first error.
    """

    def __init__(
        self,
        node: int,
        client: str,
        spec: ReplicateSpec,
        counters: Callable[[], Counters],
        submit: Callable[[Proposal], None],
        finished: Callable[[dict[str, Any] | RaftError], None],
    ) -> None:
        self._node = node
        self._client = client
        self._submit = submit
        self._finished = finished
        self._running = spec.outstanding
        self._failure: RaftError | None = None
        self._sources = command_sources(spec.outstanding, spec.session, spec.keys, spec.payload)
        self._recorder = Recorder(spec, counters)

    def start(self) -> None:
        """Send every client's first command."""
        for source in self._sources:
            self._submit(Proposal(source.next(), self._of(source, time.monotonic_ns())))

    def _of(self, source: CommandSource, sent_ns: int) -> Done:
        """What hears all answers to a client whose first command was sent at `sent_ns`."""

        def done(outcome: Outcome) -> None:
            nonlocal sent_ns
            now_ns = time.monotonic_ns()
            if isinstance(outcome, RaftError):
                self._failure = outcome
            else:
                self._recorder.record(sent_ns, now_ns)
            if self._failure is None and now_ns < self._recorder.deadline_ns:
                sent_ns = now_ns
                self._submit(proposal_of((source.next(), done)))
            else:
                self._end_one()

        return done

    def _end_one(self) -> None:
        self._running -= 1
        if self._running:
            return
        if self._failure is not None:
            self._finished(self._failure)
            return
        acknowledged = [source.serial for source in self._sources]
        self._finished(self._recorder.result(self._node, self._client, acknowledged))
