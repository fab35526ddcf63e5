"""What the workloads measure: sessions of commands, latencies in buckets, slices of time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftmark.raft import Command
from raftmark.raft.client import Applied, Proposal
from raftmark.raft.cluster import Counters
from raftmark.raft.errors import Lost, OutcomeUnknown, RaftError
from raftmark.raft.loads import ReplicateSpec
from raftmark.raft.workload.closed_loop import (
    MOST_GRAINS,
    CallbackClients,
    Recorder,
    command_sources,
    difference,
    histogram,
)
from tests.raft.clock import MILLISECOND, SECOND, Clock

# -- the histogram ----------------------------------------------------------------------------


def test_buckets_are_those_of_the_protocol() -> None:
    """docs/protocol.md, replicate: a value of b bits falls in (v >> (b - 8)) << (b - 8)."""
    values = [0, 255, 255, 256, 257, 258, 511, 512, 515, 1_000_000, 2**40 + 1]
    assert histogram(Counter(values)) == [
        [0, 1],
        [255, 2],
        [256, 2],
        [258, 1],
        [510, 1],
        [512, 2],
        [999_424, 1],
        [2**40, 1],
    ]
    assert histogram({}) == []


@given(st.lists(st.integers(0, 2**63)))
def test_a_bucket_loses_no_value_and_less_than_8_in_a_thousand_of_each(values: list[int]) -> None:
    buckets = histogram(Counter(values))
    assert sum(count for _, count in buckets) == len(values)
    assert buckets == sorted(buckets)
    lowest = [low for low, count in buckets for _ in range(count)]
    for low, value in zip(lowest, sorted(values), strict=True):
        assert low <= value
        assert value - low <= 0.008 * value
        assert value >= 256 or low == value


def test_the_difference_of_counters() -> None:
    before, after = Counters(1, 10, 2, 30, 3), Counters(5, 50, 7, 70, 9)
    assert difference(before, after) == {
        "messages": 4,
        "bytes": 40,
        "saves": 5,
        "save_ns": 40,
        "entries": 6,
    }
    assert difference(before._replace(bytes=None), after._replace(bytes=None))["bytes"] is None


# -- the commands -----------------------------------------------------------------------------


def test_each_client_is_a_session_of_its_own_that_sets_the_keys_in_turn() -> None:
    """docs/protocol.md, replicate: m = (c + n * outstanding) mod keys."""
    sources = command_sources(3, "s", keys=5, payload=2)
    commands = [[source.next() for _ in range(4)] for source in sources]
    assert commands[2][0] == Command("set", "key-0", "xx", None, "s-2", 1)
    for c, session in enumerate(commands):
        assert [command.serial for command in session] == [1, 2, 3, 4]
        assert {command.client for command in session} == {f"s-{c}"}
        assert [command.key for command in session] == [
            f"key-{(c + n * 3) % 5}" for n in range(1, 5)
        ]
    assert [source.serial for source in sources] == [4, 4, 4]


# -- the recorder -----------------------------------------------------------------------------


def test_only_what_was_acknowledged_in_the_measured_time_counts(clock: Clock) -> None:
    start_ns = clock.now_ns
    spec = ReplicateSpec(warmup_ns=50 * MILLISECOND, duration_ns=250 * MILLISECOND)
    recorder = Recorder(spec, clock.counters)
    for n in range(1, 36):  # An acknowledgement each 10 ms; the latency tells which it was.
        clock.now_ns = start_ns + n * 10 * MILLISECOND
        recorder.record(clock.now_ns - (n << 13), clock.now_ns)
    result = recorder.result(2, "how", [7, 8])
    assert result == {
        "workload": "replicate",
        "node": 2,
        "client": "how",
        "started_ns": start_ns + 50 * MILLISECOND,
        "ended_ns": start_ns + 300 * MILLISECOND,
        "commands": 25,
        "latency_ns": [[n << 13, 1] for n in range(6, 31)],
        "slices": [[100 * MILLISECOND, 10], [200 * MILLISECOND, 10], [250 * MILLISECOND, 5]],
        "acknowledged": [7, 8],
        "counters": {
            "messages": 250_000,
            "bytes": None,
            "saves": 500_000,
            "save_ns": 1_000_000,
            "entries": 750_000,
        },
    }


def test_a_stall_makes_one_long_slice(clock: Clock) -> None:
    start_ns = clock.now_ns
    recorder = Recorder(ReplicateSpec(warmup_ns=0, duration_ns=SECOND), clock.counters)
    for ms in (0, 10, 700, 710, 1100):
        clock.now_ns = start_ns + ms * MILLISECOND
        recorder.record(start_ns, clock.now_ns)
    result = recorder.result(1, "", [])
    assert result["slices"] == [[700 * MILLISECOND, 2], [1100 * MILLISECOND, 2]]
    assert result["commands"] == 4


def test_slices_are_as_short_as_they_are_asked_to_be(clock: Clock) -> None:
    start_ns = clock.now_ns
    spec = ReplicateSpec(warmup_ns=0, duration_ns=30 * MILLISECOND, slice_ns=5 * MILLISECOND)
    recorder = Recorder(spec, clock.counters)
    for ms in (0, 2, 4, 6, 21, 26, 30):  # It was stopped from 6 to 21.
        clock.now_ns = start_ns + ms * MILLISECOND
        recorder.record(start_ns, clock.now_ns)
    slices = recorder.result(1, "", [])["slices"]
    ends = [(end // MILLISECOND, count) for end, count in slices]
    assert ends == [(6, 3), (21, 1), (26, 1), (30, 1)]


def test_a_long_run_needs_no_more_memory(clock: Clock) -> None:
    """Though hardly two of its latencies are the same; and none of them is lost."""
    spec = ReplicateSpec(warmup_ns=0, duration_ns=60 * SECOND)
    recorder = Recorder(spec, clock.counters)
    recorder.record(clock.now_ns, clock.now_ns)
    latencies = [number << 9 for number in range(50_000)]
    most = 0
    for latency in latencies:
        clock.now_ns += 2 * MILLISECOND
        recorder.record(clock.now_ns - latency, clock.now_ns)
        most = max(most, len(recorder._counted))
    assert recorder.result(1, "", [])["latency_ns"] == histogram(Counter(latencies[:30_000]))
    assert most < MOST_GRAINS + 2_000


def test_the_measured_time_is_never_shorter_than_the_duration(clock: Clock) -> None:
    start_ns = clock.now_ns
    spec = ReplicateSpec(warmup_ns=100 * MILLISECOND, duration_ns=SECOND)
    recorder = Recorder(spec, clock.counters)
    for ms in (50, 600, 1150, 1599, 1700):  # A stall over the end of the warm-up.
        clock.now_ns = start_ns + ms * MILLISECOND
        recorder.record(start_ns, clock.now_ns)
    result = recorder.result(1, "", [])
    assert result["started_ns"] == start_ns + 600 * MILLISECOND
    assert result["ended_ns"] == start_ns + 1700 * MILLISECOND
    assert result["commands"] == 3


# -- the closed loop --------------------------------------------------------------------------


class Loop:
    """A closed loop whose leader is the test."""

    def __init__(self, clock: Clock, outstanding: int) -> None:
        self.clock = clock
        self.waiting: list[Proposal] = []
        self.results: list[dict[str, Any] | RaftError] = []
        spec = ReplicateSpec(outstanding, warmup_ns=0, duration_ns=SECOND)
        self.clients = CallbackClients(
            1, "how", spec, clock.counters, self.waiting.append, self.results.append
        )
        self.clients.start()

    def answer(self, after_ns: int, outcome: Callable[[Proposal], Applied | RaftError]) -> None:
        """Answer all that wait now, some time later."""
        self.clock.now_ns += after_ns
        waiting, self.waiting[:] = list(self.waiting), []
        for proposal in waiting:
            proposal.done(outcome(proposal))


def committed(_proposal: Proposal) -> Applied:
    """A command was applied."""
    return Applied(1, 1, None)


def test_each_client_has_one_command_outstanding(clock: Clock) -> None:
    loop = Loop(clock, outstanding=3)
    for n in range(1, 6):
        assert [p.command.client for p in loop.waiting] == ["client-0", "client-1", "client-2"]
        assert {p.command.serial for p in loop.waiting} == {n}
        loop.answer(100 * MILLISECOND, committed)
    assert loop.results == []


def test_the_loop_ends_after_the_deadline_with_all_answers_in(clock: Clock) -> None:
    loop = Loop(clock, outstanding=3)
    loop.answer(MILLISECOND, committed)
    loop.answer(SECOND, committed)
    [result] = loop.results
    assert isinstance(result, dict)
    assert result["acknowledged"] == [2, 2, 2]
    assert loop.waiting == []


@pytest.mark.parametrize("error", [Lost("lost"), OutcomeUnknown("ceased")])
def test_an_error_ends_the_loop_once_all_have_been_answered(clock: Clock, error: RaftError) -> None:
    loop = Loop(clock, outstanding=3)
    loop.answer(MILLISECOND, lambda p: error if p.command.client == "client-1" else committed(p))
    assert [p.command.client for p in loop.waiting] == ["client-0"]
    assert loop.results == []
    loop.answer(MILLISECOND, committed)
    assert loop.results == [error]


def test_a_loop_whose_first_answer_comes_late_is_measured_from_then_on(clock: Clock) -> None:
    loop = Loop(clock, outstanding=2)
    for after_ns in (2 * SECOND, SECOND // 2, SECOND // 2):
        assert loop.results == []
        loop.answer(after_ns, committed)
    [result] = loop.results
    assert isinstance(result, dict)
    assert result["ended_ns"] - result["started_ns"] == SECOND
    assert result["acknowledged"] == [3, 3]
