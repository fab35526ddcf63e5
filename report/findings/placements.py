"""The same work in both placements: what a network leaves of the differences between models.

A cell in one program has a counterpart as deployed if all else is the same. Both are measured in
the same blocks, so what a contender loses on the way is a ratio within blocks, and so is what it is
of the baseline in each placement. Each interval is by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from raftmark.bench.analysis.metrics import (
    BYTES_PER_COMMAND,
    CPU_PER_COMMAND,
    ELECTION_MEDIAN,
    LATENCY_P50,
    LATENCY_P99,
    MEMORY_IDLE,
    MESSAGES_PER_COMMAND,
    OUTAGE,
    THROUGHPUT,
    VOTING_MEDIAN,
    WAKE_UPS_PER_COMMAND,
    Metric,
)
from raftmark.bench.design.cells import NATIVE, TCP
from raftmark.bench.design.specification import Cell
from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.comparison import compare
from raftmark.report.findings.loads import besides
from raftmark.report.findings.units import readable_unit
from raftmark.report.findings.wording import outstanding, timeouts
from raftmark.report.model import Comparison, Quantity

_METRICS: Mapping[str, tuple[Metric, ...]] = {
    "replicate": (THROUGHPUT, LATENCY_P99, CPU_PER_COMMAND),
    "offered": (LATENCY_P50, LATENCY_P99),
    "election": (ELECTION_MEDIAN, VOTING_MEDIAN),
    "failover": (OUTAGE,),
}
"""What is shown of a workload that is measured in both placements; the first is drawn, too."""

USUAL_NODES, USUAL_BYTES = 3, 64
"""The cluster and the values of most loads, of which a title says nothing."""

_WAY = (MESSAGES_PER_COMMAND, BYTES_PER_COMMAND, WAKE_UPS_PER_COMMAND)


class Counterparts(NamedTuple):
    """A cell in one program, and the same as deployed."""

    native: Cell
    deployed: Cell

    @property
    def unusual(self) -> list[str]:
        """What its cluster and its values have that the usual ones have not, in few words."""
        cluster, payload = self.native.cluster, self.native.workload.get("payload", USUAL_BYTES)
        return [
            *([f"{payload:,} bytes"] if payload != USUAL_BYTES else []),
            *([f"{cluster['nodes']} nodes"] if cluster["nodes"] != USUAL_NODES else []),
            *(["on disk"] if cluster["storage"] == "disk" else []),
        ]

    @property
    def title(self) -> str:
        """What both are, in few words."""
        workload = self.native.workload
        match workload["name"]:
            case "replicate":
                said = outstanding(int(workload["outstanding"]))
                return ", ".join([said, *self.unusual])
            case "offered":
                return f"{workload['rate']:,} commands/s offered"
            case "failover":
                return f"Failover, {timeouts(self.native)}"
            case _:
                return f"Election, {timeouts(self.native)}"


@dataclass(frozen=True, slots=True)
class Row:
    """A contender in both placements, in a unit of that `symbol` and size.

    `change` is as deployed over in one program; None where one of them has no figure.
    """

    contender: str
    condition: str
    what: str
    symbol: str
    size: float
    native: Quantity | None
    deployed: Quantity | None
    change: Comparison


@dataclass(frozen=True, slots=True)
class Way:
    """What a contender's messages cost in one placement: figures in the order of `_WAY`."""

    contender: str
    condition: str
    placement: str
    figures: tuple[Quantity | None, ...]


@dataclass(frozen=True, slots=True)
class Memory:
    """What a program of one node holds before any load, as deployed, in bytes."""

    contender: str
    condition: str
    node: Quantity


def counterparts(analysis: Analysis) -> list[Counterparts]:
    """Return the cells that were measured in both placements."""
    cells = [c for c in analysis.evidence.cells if c.followers is None and c.links is None]
    deployed = {_but_where(cell): cell for cell in cells if cell.transport == TCP}
    pairs = [
        Counterparts(cell, deployed[_but_where(cell)])
        for cell in cells
        if cell.transport == NATIVE and _but_where(cell) in deployed
    ]
    known = [pair for pair in pairs if pair.native.workload["name"] in _METRICS]
    return sorted(known, key=_place)


def _place(pair: Counterparts) -> tuple[int, list[str]]:
    """Order by workload, the usual cluster first, and else as they come."""
    return list(_METRICS).index(pair.native.workload["name"]), pair.unusual


def _but_where(cell: Cell) -> str:
    return besides(cell, "transport")


def main_metric(pair: Counterparts) -> Metric:
    """Return the metric in which two counterparts are drawn."""
    return _METRICS[pair.native.workload["name"]][0]


def rows(analysis: Analysis, pairs: list[Counterparts]) -> Iterator[Row]:
    """Yield all figures of both placements, beside each other."""
    for pair in pairs:
        for metric in _METRICS[pair.native.workload["name"]]:
            native, deployed = (analysis.estimates.quantities(cell, metric) for cell in pair)
            values = [q.value for found in (native, deployed) for q in found.values()]
            if not values:
                continue
            symbol, size = readable_unit(metric.unit, values)
            samples = [analysis.evidence.samples(cell, metric) for cell in pair]
            for name in analysis.shown:
                if name in native or name in deployed:
                    yield Row(
                        name,
                        pair.title,
                        metric.title,
                        symbol,
                        size,
                        native.get(name),
                        deployed.get(name),
                        compare(
                            samples[1].get(name, {}),
                            samples[0].get(name, {}),
                            higher_is_better=metric.higher_is_better,
                        ),
                    )


def way(analysis: Analysis, pairs: list[Counterparts]) -> Iterator[Way]:
    """Yield what messages cost under each load of the closed loop, in both placements."""
    for pair in pairs:
        if pair.native.workload["name"] != "replicate":
            continue
        for placement, cell in (("one program", pair.native), ("deployed", pair.deployed)):
            for name in analysis.shown:
                figures = tuple(analysis.estimates.quantities(cell, m).get(name) for m in _WAY)
                if any(figure is not None for figure in figures):
                    yield Way(name, pair.title, placement, figures)


def memory(analysis: Analysis, pairs: list[Counterparts]) -> Iterator[Memory]:
    """Yield what a node's program holds: of the first load that has it, which all have alike."""
    for pair in pairs:
        found = analysis.estimates.quantities(pair.deployed, MEMORY_IDLE)
        if pair.native.workload["name"] == "replicate" and found:
            nodes = int(pair.deployed.cluster["nodes"])
            for name in analysis.shown:
                if name in found:
                    yield Memory(name, pair.title, _share(found[name], nodes))
            return


def _share(whole: Quantity, parts: int) -> Quantity:
    interval = whole.interval and (whole.interval[0] / parts, whole.interval[1] / parts)
    return Quantity(whole.value / parts, interval, whole.blocks)


def better(analysis: Analysis, cell: Cell, metric: Metric, name: str) -> Comparison | None:
    """Return how many times as good as a contender the baseline is there; None for itself."""
    if analysis.baseline is None or name == analysis.baseline:
        return None
    samples = analysis.evidence.samples(cell, metric)
    ends = samples.get(analysis.baseline, {}), samples.get(name, {})
    one, other = ends if metric.higher_is_better else ends[::-1]
    return compare(one, other, higher_is_better=True)
