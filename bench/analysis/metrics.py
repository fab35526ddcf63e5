"""What is read off one trial: every figure that the harness compares, exports or tracks.

A trial gives one value of each metric, and a process has one trial of a cell. Times are in
nanoseconds, CPU time in seconds, memory in bytes; what is counted per command is divided by the
commands of the measured time. Everything downstream, from the summary to the report, the exports
and the gate, takes its values from here, so that a figure means the same everywhere.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import NamedTuple

from raftmark.bench.analysis.statistics import quantile_of_histogram
from raftmark.bench.design.specification import Cell
from raftmark.bench.runs.forms import Cost, Trial
from raftmark.bench.runs.results import (
    CatchUpResult,
    ElectionResult,
    FailoverResult,
    OfferedResult,
    ReplicateResult,
    Result,
    ServiceResult,
    StabilityResult,
    parse_result,
)
from raftmark.bench.runs.turns import in_turns


class Metric(NamedTuple):
    """One figure of a trial: what it is called, its unit, and which way is better.

    `exact` ones are counted: the same program gives the same value, up to batching.
    """

    key: str
    title: str
    unit: str
    higher_is_better: bool = False
    exact: bool = False


THROUGHPUT = Metric("throughput", "throughput", "commands/s", higher_is_better=True)
LATENCY_P50 = Metric("latency_p50", "median latency", "ns")
LATENCY_P99 = Metric("latency_p99", "latency, 99th percentile", "ns")
LATENCY_P999 = Metric("latency_p999", "latency, 99.9th percentile", "ns")
ELECTION_MEDIAN = Metric("election_median", "election, median", "ns")
ELECTION_WORST = Metric("election_worst", "election, worst", "ns")
UNDECIDED = Metric("undecided", "share of elections that stayed undecided", "")
SPLIT_VOTES = Metric("split_votes", "share of elections with more than one term", "")
VOTING_MEDIAN = Metric("voting_median", "from candidacy to leader, median", "ns")
OUTAGE = Metric("outage", "outage after a leader's crash", "ns")
CATCH_UP = Metric("catch_up", "time to catch up", "ns")
CANDIDACIES = Metric("candidacies", "needless elections", "")
CPU_PER_COMMAND = Metric("cpu_per_command", "CPU time per command", "s")
PEAK_MEMORY = Metric("peak_memory", "peak memory", "bytes")
SWITCHES_PER_COMMAND = Metric("switches_per_command", "context switches per command", "")
WAKE_UPS_PER_COMMAND = Metric("wake_ups_per_command", "waits that ended, per command", "")
MESSAGES_PER_COMMAND = Metric("messages_per_command", "messages per command", "")
BYTES_PER_COMMAND = Metric("bytes_per_command", "bytes sent per command", "bytes")
MEMORY_IDLE = Metric("memory_idle", "memory before the load", "bytes")
MEMORY_PER_ENTRY = Metric("memory_per_entry", "memory added per log entry", "bytes")
ENTRIES_PER_SAVE = Metric("entries_per_save", "log entries per save", "", higher_is_better=True)
SAVE_TIME = Metric("save_time", "time of a save, mean", "ns")
SERVICE_P50 = Metric("service_p50", "median service time", "ns")
SERVICE_P99 = Metric("service_p99", "service time, 99th percentile", "ns")
LATENESS_P50 = Metric("lateness_p50", "how late commands were sent, median", "ns")
LATENESS_P99 = Metric("lateness_p99", "how late commands were sent, 99th percentile", "ns")
LATE = Metric("late", "whether the sender's lateness is a visible part of latency", "")
SENDER_CPU = Metric("sender_cpu_per_command", "CPU time of the sender per command", "s")
SATURATED = Metric("saturated", "whether the load was given up", "")
SAVES_PER_COMMAND = Metric("saves_per_command", "saves per command", "")
MEMORY_A_CONNECTION = Metric("memory_a_connection", "memory of a connection", "bytes")
CPU_A_CONNECTION = Metric("cpu_a_connection", "CPU time to take a connection", "s")
SWITCHES_A_CONNECTION = Metric("switches_a_connection", "context switches to take a connection", "")
TURNOVER = Metric(
    "turnover",
    "clients served who connect for each command",
    "connections/s",
    higher_is_better=True,
)
ACCEPTED = Metric("accepted", "connections taken", "connections/s", higher_is_better=True)
LEAST_SHARE = Metric(
    "least_share", "least of any client's commands to the median", "", higher_is_better=True
)
LONGEST_P50 = Metric("longest_p50", "longest wait of a client, median of clients", "ns")
LONGEST_WORST = Metric("longest_worst", "longest wait of any client", "ns")

HEADLINES = {
    "replicate": THROUGHPUT,
    "election": ELECTION_MEDIAN,
    "offered": LATENCY_P999,
    "failover": OUTAGE,
    "catch_up": CATCH_UP,
    "stability": CANDIDACIES,
    "service": THROUGHPUT,
}
"""The one metric by which each workload is summed up."""

Values = dict[Metric, float]


def values(cell: Cell, trial: Trial) -> Values:
    """Return every metric that a trial gives, none if it failed.

    Raises `msgspec.ValidationError` when the trial's result is not one of its workload.
    """
    if trial.status != "ok" or trial.result is None:
        return {}
    result = parse_result(cell.workload["name"], trial.result)
    found = _READERS[type(result)](result, cell)
    if trial.turns is not None and isinstance(result, ReplicateResult):
        # Of the measured time only its turns are the contender's own.
        del found[THROUGHPUT]
        if (counted := in_turns(result, trial.turns)).commands:
            found[THROUGHPUT] = counted.commands / (counted.ns / 1e9)
    if trial.cost is not None:
        sender_ns = result.sender_cpu_ns if isinstance(result, OfferedResult) else None
        found |= _costs(trial.cost, _all_commands(result), sender_ns or 0)
        if isinstance(result, ReplicateResult | OfferedResult) and trial.check is not None:
            found |= _memory(trial.cost, trial.check.entries)
    return found


def _costs(cost: Cost, commands: int, sender_ns: int) -> Values:
    """Return what a trial cost, as far as its system tells; the sender's part is none of it."""
    found: Values = {}
    if cost.peak_rss_bytes is not None:
        found[PEAK_MEMORY] = float(cost.peak_rss_bytes)
    if not commands:
        return found
    sender_s = min(cost.cpu_s, sender_ns / 1e9)
    found[CPU_PER_COMMAND] = (cost.cpu_s - sender_s) / commands
    if sender_ns:
        found[SENDER_CPU] = sender_s / commands
    if cost.voluntary_switches is not None:
        # Who gives up a processor of its own accord waits, and is woken.
        found[WAKE_UPS_PER_COMMAND] = cost.voluntary_switches / commands
    if cost.voluntary_switches is not None and cost.involuntary_switches is not None:
        switches = cost.voluntary_switches + cost.involuntary_switches
        found[SWITCHES_PER_COMMAND] = switches / commands
    return found


def _memory(cost: Cost, entries: int) -> Values:
    """Return what a load added to an idle cluster, for each entry of the log that the check read.

    The peak is no measure of that: it has the interpreter, and a program of fewer commands for as
    long would have less of it.
    """
    if cost.idle_memory_bytes is None or cost.end_memory_bytes is None or not entries:
        return {}
    added = max(0, cost.end_memory_bytes - cost.idle_memory_bytes)
    return {MEMORY_IDLE: float(cost.idle_memory_bytes), MEMORY_PER_ENTRY: added / entries}


def headline(cell: Cell, trial: Trial) -> float | None:
    """Return the metric of `HEADLINES`, None where the trial has none."""
    return values(cell, trial).get(HEADLINES[cell.workload["name"]])


def _all_commands(result: Result) -> int:
    """How many commands the whole `run` committed, its warm-up included, as its cost is."""
    return 0 if isinstance(result, ElectionResult) else sum(result.acknowledged)


def _replicate(result: ReplicateResult, _: Cell) -> Values:
    return {
        THROUGHPUT: result.throughput,
        **_latencies(result.latency_ns),
        **_per_command(result.counters, result.commands),
    }


def _offered(result: OfferedResult, _: Cell) -> Values:
    # Latencies of a load that was given up are bounds, and must not pass for figures.
    if result.saturated or not result.commands:
        return {SATURATED: 1.0}
    return {
        SATURATED: 0.0,
        THROUGHPUT: result.throughput,
        **_latencies(result.latency_ns),
        SERVICE_P50: quantile_of_histogram(result.service_ns, 0.5),
        SERVICE_P99: quantile_of_histogram(result.service_ns, 0.99),
        **_lateness(result),
        **_per_command(result.counters, result.commands),
    }


_VISIBLE = 0.1
"""So much of a latency as lateness shows in it."""


def _lateness(result: OfferedResult) -> Values:
    """Return how late the sender was, and whether that shows in the median or the tail."""
    if not result.lateness_ns:
        return {}
    late, whole = (
        [quantile_of_histogram(histogram, q) for q in (0.5, 0.99)]
        for histogram in (result.lateness_ns, result.latency_ns)
    )
    shows = any(part > _VISIBLE * all_of_it for part, all_of_it in zip(late, whole, strict=True))
    return {LATENESS_P50: late[0], LATENESS_P99: late[1], LATE: float(shows)}


def _latencies(histogram: list[tuple[int, int]]) -> Values:
    return {
        LATENCY_P50: quantile_of_histogram(histogram, 0.5),
        LATENCY_P99: quantile_of_histogram(histogram, 0.99),
        LATENCY_P999: quantile_of_histogram(histogram, 0.999),
    }


def _per_command(counters: dict[str, int | None], commands: int) -> Values:
    counted = {
        MESSAGES_PER_COMMAND: counters.get("messages"),
        BYTES_PER_COMMAND: counters.get("bytes"),
        SAVES_PER_COMMAND: counters.get("saves"),
    }
    found = {metric: n / commands for metric, n in counted.items() if n is not None}
    if saves := counters.get("saves"):
        for metric, counter in ((ENTRIES_PER_SAVE, "entries"), (SAVE_TIME, "save_ns")):
            if (n := counters.get(counter)) is not None:
                found[metric] = n / saves
    return found


def _service(result: ServiceResult, cell: Cell) -> Values:
    found: Values = {
        ACCEPTED: result.connections / (result.connected_ns / 1e9),
        LEAST_SHARE: result.shares[0] / max(1, result.shares[len(result.shares) // 2]),
    }
    if (memory := result.memory_a_connection) is not None:
        found[MEMORY_A_CONNECTION] = memory
    if result.connecting_cpu_ns is not None:
        found[CPU_A_CONNECTION] = result.connecting_cpu_ns / 1e9 / result.connections
    if result.connecting_switches is not None:
        found[SWITCHES_A_CONNECTION] = result.connecting_switches / result.connections
    if cell.workload.get("come"):
        stayed = sum(cell.workload.get(kind, 0) for kind in ("connections", "slow", "flood"))
        seconds = cell.workload["warmup_s"] + cell.workload["duration_s"]
        found[TURNOVER] = max(0, result.connects - stayed) / seconds
    if result.saturated or not result.commands:
        return {**found, SATURATED: 1.0}
    return {
        **found,
        SATURATED: 0.0,
        THROUGHPUT: result.throughput,
        **_latencies(result.latency_ns),
        LONGEST_P50: quantile_of_histogram(result.longest_ns, 0.5),
        LONGEST_WORST: quantile_of_histogram(result.longest_ns, 1.0),
    }


def _election(result: ElectionResult, cell: Cell) -> Values:
    elections = result.elections
    if not elections:
        return {}
    # An undecided election lasted at least to its cap. That bound is enough for a median, unless
    # half of the elections were undecided, and `UNDECIDED` stands beside it.
    cap_ns = 1e9 * cell.workload["cap_s"]
    times = [cap_ns if e.leader_ns is None else e.leader_ns - e.crash_ns for e in elections]
    voting = [
        cap_ns if e.leader_ns is None or e.candidate_ns is None else e.leader_ns - e.candidate_ns
        for e in elections
    ]
    split = [e.leader_term is None or e.leader_term - e.term > 1 for e in elections]
    return {
        ELECTION_MEDIAN: float(statistics.median(times)),
        ELECTION_WORST: float(max(times)),
        VOTING_MEDIAN: float(statistics.median(voting)),
        UNDECIDED: sum(e.leader_ns is None for e in elections) / len(elections),
        SPLIT_VOTES: sum(split) / len(elections),
    }


def _failover(result: FailoverResult, _: Cell) -> Values:
    return {} if result.outage_ns is None else {OUTAGE: float(result.outage_ns)}


def _catch_up(result: CatchUpResult, _: Cell) -> Values:
    if result.caught_up_ns is None:
        return {}
    return {CATCH_UP: float(result.caught_up_ns - result.restart_ns)}


def _stability(result: StabilityResult, _: Cell) -> Values:
    return {CANDIDACIES: float(result.candidacies)}


_READERS: dict[type, Callable[..., Values]] = {
    ReplicateResult: _replicate,
    ElectionResult: _election,
    OfferedResult: _offered,
    FailoverResult: _failover,
    CatchUpResult: _catch_up,
    StabilityResult: _stability,
    ServiceResult: _service,
}
