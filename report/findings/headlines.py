"""What the contenders are compared in on the first screen, and at which cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from raftmark.bench.analysis.metrics import (
    CPU_PER_COMMAND,
    ELECTION_MEDIAN,
    LATENCY_P50,
    LATENCY_P99,
    MEMORY_PER_COMMAND,
    THROUGHPUT,
    Metric,
)
from raftmark.bench.codemetrics import SourceMetrics
from raftmark.bench.design.specification import Cell
from raftmark.report.findings.comparison import counted_headline, measured_headline
from raftmark.report.findings.evidence import Evidence
from raftmark.report.findings.wording import outstanding, setting, timeouts
from raftmark.report.model import Code, Headline

OUTSTANDING = 64
"""Outstanding commands at which the contenders are compared under load, or the nearest."""

TIMEOUT_MS = [150, 300]
"""Election timeouts at which elections are compared, if measured: the Raft paper's advice."""


class _Kind(NamedTuple):
    """A headline: the metric, and the title that a column has room for."""

    key: str
    metric: Metric
    title: str


_BUSY = (
    _Kind("throughput", THROUGHPUT, "Throughput"),
    _Kind("tail", LATENCY_P99, "p99 latency"),
)
_ALONE = (_Kind("latency", LATENCY_P50, "Median latency"),)
_ELECTION = (_Kind("election", ELECTION_MEDIAN, "Election"),)
_COST = (
    _Kind("cpu", CPU_PER_COMMAND, "CPU / command"),
    _Kind("memory", MEMORY_PER_COMMAND, "Memory / command"),
)


def of_trials(
    evidence: Evidence, baseline: str | None, twins: Mapping[str, str]
) -> Iterator[Headline]:
    """Compare the contenders in what was measured; `twins` are those that are another again."""

    def at(cell: Cell, condition: str, kinds: tuple[_Kind, ...]) -> Iterator[Headline]:
        for key, metric, title in kinds:
            yield measured_headline(
                key,
                title,
                condition,
                metric.unit,
                setting=setting(cell),
                samples=evidence.samples(cell, metric),
                higher_is_better=metric.higher_is_better,
                baseline=baseline,
                twins=twins,
            )

    # Of several cells with as many outstanding commands, the specification's first is compared.
    loads = {c.workload["outstanding"]: c for c in reversed(evidence.cells_of("replicate"))}
    elections = evidence.cells_of("election")
    if loads:
        busy = min(loads, key=lambda commands: abs(commands - OUTSTANDING))
        alone = min(loads)
        yield from at(loads[busy], outstanding(busy), _BUSY)
        yield from at(loads[alone], outstanding(alone), _ALONE)
    if elections:
        advised = (c for c in elections if c.cluster["election_timeout_ms"] == TIMEOUT_MS)
        cell = next(advised, elections[0])
        yield from at(cell, timeouts(cell), _ELECTION)
    if loads:
        yield from at(loads[busy], outstanding(busy), _COST)


def of_code(code: Mapping[str, Code | str], baseline: str | None) -> Iterator[Headline]:
    """Compare the contenders in what was counted."""

    def counts(of: Callable[[SourceMetrics], int]) -> dict[str, int | None]:
        return {
            name: None if isinstance(measured, str) else of(measured.runtime_total)
            for name, measured in code.items()
        }

    yield counted_headline(
        "tokens",
        "Code",
        "tokens, runtime",
        counts=counts(lambda metrics: metrics.tokens),
        baseline=baseline,
    )
    yield counted_headline(
        "complexity",
        "Complexity",
        "cyclomatic, runtime",
        counts=counts(lambda metrics: metrics.complexity),
        baseline=baseline,
    )
