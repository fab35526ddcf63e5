"""The open loop: what is due is due, and a stall is charged to all that it delays."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftmark.raft.client import Applied, Proposal
from raftmark.raft.cluster import Counters
from raftmark.raft.errors import Lost, RaftError
from raftmark.raft.loads import OfferedSpec
from raftmark.raft.workload.closed_loop import MOST_GRAINS, histogram
from raftmark.raft.workload.open_loop import OpenLoop
from tests.raft.clock import MILLISECOND, SECOND, Clock

COMMITTED = Applied(1, 1, None)


class Load:
    """An open loop whose sender and leader are the test."""

    def __init__(
        self, clock: Clock, rate: float, *, warmup_ms: int = 0, duration_ms: int = 1000, **spec: Any
    ) -> None:
        self.clock = clock
        self.start_ns = clock.now_ns
        self.waiting: list[Proposal] = []
        self.sent: list[Proposal] = []
        self.ended = 0
        self.loop = OpenLoop(
            OfferedSpec(
                rate,
                warmup_ns=warmup_ms * MILLISECOND,
                duration_ns=duration_ms * MILLISECOND,
                **spec,
            ),
            clock.counters,
            self._submit,
            self._end,
        )
        self._interval_ns = Fraction(SECOND) / Fraction(rate)
        self._end_ns = self.start_ns + (warmup_ms + duration_ms) * MILLISECOND
        self._number = 0
        assert self.loop.take([self.start_ns])

    def _submit(self, proposal: Proposal) -> None:
        self.sent.append(proposal)
        self.waiting.append(proposal)

    def _end(self) -> None:
        self.ended += 1

    def send(self) -> int | None:
        """Let the sender look; for how long it would wait (ns), None when it is done."""
        now_ns = self.clock.now_ns
        due = int((now_ns - self.start_ns) / self._interval_ns) + 1
        moments = [now_ns] * (min(self.loop.total, due) - self._number)
        self._number += len(moments)
        if moments and not self.loop.take(moments):
            return None
        if self._number == self.loop.total and now_ns >= self._end_ns:
            assert not self.loop.take([])
            return None
        next_ns = self.start_ns + math.ceil(self._number * self._interval_ns)
        return (next_ns if self._number < self.loop.total else self._end_ns) - now_ns

    def answer(self, outcome: Applied | RaftError = COMMITTED) -> None:
        """Answer all that wait."""
        waiting, self.waiting = self.waiting, []
        for proposal in waiting:
            proposal.done(outcome)

    def run(self, until_ms: float = math.inf, step: Callable[[], None] | None = None) -> None:
        """Send whatever is due when it is, with an answer at once, until then."""
        step = step or self.answer
        until_ns = self.start_ns + until_ms * MILLISECOND
        while (pause_ns := self.send()) is not None:
            step()
            if self.clock.now_ns + pause_ns > until_ns:
                return
            self.clock.now_ns += pause_ns
        step()

    def result(self) -> dict[str, Any]:
        """The result of a load that has ended."""
        assert self.ended == 1
        return self.loop.result(2, "how", 7)


def test_commands_are_due_by_their_number(clock: Clock) -> None:
    load = Load(clock, 100, duration_ms=50, keys=5, payload=2, sessions=3, session="s")
    pauses = []
    while (pause_ns := load.send()) is not None:
        pauses.append(pause_ns)
        clock.now_ns += pause_ns
    assert pauses == [10 * MILLISECOND] * 5
    commands = [proposal.command for proposal in load.sent]
    assert [(c.client, c.serial) for c in commands] == [
        ("s-0", 1), ("s-1", 1), ("s-2", 1), ("s-0", 2), ("s-1", 2),
    ]  # fmt: skip
    # docs/protocol.md, replicate: m = (c + serial * clients) mod keys.
    assert [c.key for c in commands] == [
        f"key-{(c + serial * 3) % 5}" for c, serial in [(0, 1), (1, 1), (2, 1), (0, 2), (1, 2)]
    ]
    assert {c.value for c in commands} == {"xx"}
    assert load.ended == 0
    load.answer()
    assert load.result()["acknowledged"] == [2, 2, 1]


def test_a_run_lasts_as_long_as_was_asked_for(clock: Clock) -> None:
    """Its last command is due an interval before, and may be answered at once."""
    load = Load(clock, 10, warmup_ms=100, duration_ms=350)
    load.run(until_ms=400)
    assert clock.now_ns == load.start_ns + 400 * MILLISECOND
    assert len(load.sent) == 5
    clock.now_ns += 1
    assert load.send() == 50 * MILLISECOND - 1
    clock.now_ns += 50 * MILLISECOND - 2  # A timer may fire a little early.
    assert load.send() == 1
    assert load.ended == 0
    clock.now_ns += 1
    assert load.send() is None
    assert load.result()["ended_ns"] == clock.now_ns


def test_an_error_ends_the_load_before_its_time(clock: Clock) -> None:
    load = Load(clock, 10, duration_ms=100)
    assert load.send() == 100 * MILLISECOND
    load.answer(Lost("lost"))
    assert load.ended == 1


def test_a_prompt_leader_has_no_latency(clock: Clock) -> None:
    load = Load(clock, 1000, duration_ms=250)
    load.run()
    assert load.result() == {
        "workload": "offered",
        "node": 2,
        "client": "how",
        "started_ns": load.start_ns,
        "ended_ns": load.start_ns + 250 * MILLISECOND,
        "rate": 1000,
        "sent": 250,
        "commands": 250,
        "saturated": False,
        "latency_ns": [[0, 250]],
        "service_ns": [[0, 250]],
        "lateness_ns": [[0, 250]],
        "sender_cpu_ns": 7,
        "slices": [[100 * MILLISECOND, 100], [200 * MILLISECOND, 100], [250 * MILLISECOND, 50]],
        "acknowledged": [4] * 58 + [3] * 6,
        "counters": {
            "messages": 250_000,
            "bytes": None,
            "saves": 500_000,
            "save_ns": 1_000_000,
            "entries": 750_000,
        },
    }


def test_a_stall_of_the_leader_is_charged_to_every_command_that_was_due(clock: Clock) -> None:
    load = Load(clock, 1000, duration_ms=500)
    load.run(until_ms=199)
    clock.now_ns = load.start_ns + 200 * MILLISECOND
    load.run(until_ms=299, step=lambda: None)
    clock.now_ns = load.start_ns + 300 * MILLISECOND
    load.run()
    result = load.result()
    late_ns = {ms * MILLISECOND: 1 for ms in range(1, 101)}
    assert result["latency_ns"] == histogram({0: 400, **grained(late_ns)})
    assert result["service_ns"] == result["latency_ns"], "each was sent when it was due"
    assert result["slices"][2] == [300 * MILLISECOND, 0]


def test_a_sender_that_wakes_late_sends_all_that_is_due_and_is_charged_for_it(
    clock: Clock,
) -> None:
    """Coordinated omission: from when they were sent, nothing would be seen of the stall."""
    load = Load(clock, 1000, duration_ms=500)
    load.run(until_ms=199)
    clock.now_ns = load.start_ns + 300 * MILLISECOND
    sent = len(load.sent)
    load.send()
    assert len(load.sent) - sent == 101
    load.run()
    result = load.result()
    late_ns = {ms * MILLISECOND: 1 for ms in range(1, 101)}
    assert result["latency_ns"] == histogram({0: 400, **grained(late_ns)})
    assert result["service_ns"] == [[0, 500]]
    assert result["lateness_ns"] == result["latency_ns"], "all of its latency is the sender's"


def test_lateness_is_of_what_counts_alone(clock: Clock) -> None:
    """Sent less due, for each command of the measured time, whatever becomes of it."""
    load = Load(clock, 1000, warmup_ms=2, duration_ms=3)
    start_ns = load.start_ns
    late_ns = (5, 7, 64, 0, 3200)
    moments = [start_ns + n * MILLISECOND + late for n, late in enumerate(late_ns)]
    clock.now_ns = start_ns + 4 * MILLISECOND
    assert load.loop.take(moments[:2])
    assert load.loop.take(moments[2:])
    clock.now_ns = start_ns + 5 * MILLISECOND
    load.answer()
    assert not load.loop.take([])
    result = load.result()
    assert result["lateness_ns"] == [[0, 1], [64, 1], [3200, 1]]
    # Latency is lateness and service time, for each alone and so in their sums.
    sums = {name: sum(ns * count for ns, count in result[name]) for name in TIMES}
    assert sums["latency_ns"] == pytest.approx(sums["lateness_ns"] + sums["service_ns"], rel=0.01)


TIMES = ("latency_ns", "service_ns", "lateness_ns")


def grained(values: dict[int, int]) -> dict[int, int]:
    """The values to 32 ns."""
    return {value >> 5 << 5: count for value, count in values.items()}


def test_what_was_due_in_the_warm_up_does_not_count(clock: Clock) -> None:
    load = Load(clock, 1000, warmup_ms=100, duration_ms=100)
    load.run(until_ms=99, step=lambda: None)
    clock.now_ns = load.start_ns + 150 * MILLISECOND
    load.run()
    result = load.result()
    assert result["started_ns"] == load.start_ns + 100 * MILLISECOND
    assert (result["sent"], result["commands"]) == (100, 100)
    assert result["latency_ns"][-1][0] <= 50 * MILLISECOND
    # The backlog of the warm-up was answered in the measured time.
    assert result["slices"] == [[100 * MILLISECOND, 200]]
    assert sum(result["acknowledged"]) == 200


def test_the_load_is_given_up_when_too_much_is_outstanding(clock: Clock) -> None:
    load = Load(clock, 1000, limit=20)
    load.run(step=lambda: None)
    assert len(load.waiting) == 20
    load.answer()
    result = load.result()
    assert result["saturated"]
    assert (result["sent"], result["commands"]) == (20, 20)
    assert result["ended_ns"] - result["started_ns"] == SECOND


def test_a_load_that_is_given_up_in_the_warm_up_has_nothing_that_counts(clock: Clock) -> None:
    load = Load(clock, 1000, limit=20, warmup_ms=500)
    load.run(step=lambda: None)
    load.answer()
    result = load.result()
    assert result["saturated"]
    assert (result["sent"], result["commands"], result["latency_ns"]) == (0, 0, [])
    assert set(result["counters"].values()) == {0, None}


def test_an_error_ends_the_load_once_all_have_been_answered(clock: Clock) -> None:
    load = Load(clock, 1000)
    load.run(until_ms=10, step=lambda: None)
    load.waiting.pop(3).done(Lost("lost"))
    clock.now_ns += 10 * MILLISECOND
    assert load.send() is None
    assert load.ended == 0
    load.answer()
    assert load.ended == 1
    with pytest.raises(Lost):
        load.result()


@given(st.floats(1, 1e7), st.integers(0, 10**10))
def test_no_rate_drifts(rate: float, number: int) -> None:
    spec = OfferedSpec(rate, sessions=1, keys=1, duration_ns=1)
    loop = OpenLoop(spec, lambda: Counters(0, None, 0, 0, 0), lambda _: None, lambda: None)
    exact_ns = Fraction(number * SECOND) / Fraction(rate)
    loop.take([0])
    assert abs(loop._due_ns(number) - exact_ns) <= max(1, exact_ns / 10**15)


def test_a_long_load_needs_no_more_memory(clock: Clock) -> None:
    """Though no two of its latencies are the same; and none of them is lost."""
    load = Load(clock, 1000, duration_ms=40_000)
    latencies: list[int] = []
    most = 0
    while (pause_ns := load.send()) is not None:
        sent_ns = clock.now_ns
        latencies.append(len(latencies) << 5)
        clock.now_ns += latencies[-1]
        load.answer()
        clock.now_ns = sent_ns + pause_ns
        most = max(most, len(load.loop._latencies), len(load.loop._services))
    assert load.result()["latency_ns"] == histogram(Counter(latencies))
    assert most < MOST_GRAINS + 2_000
