"""Stability: the lowest election timeouts at which a model holds no needless election."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from raftmark.bench.design.specification import Cell
from raftmark.bench.runs.results import StabilityResult
from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.wording import timeouts
from raftmark.report.model import Section


@dataclass(frozen=True, slots=True)
class Held:
    """How a contender fared in a cell: the elections begun, and in how many of its trials."""

    elections: int
    unrestful: int
    trials: int


@dataclass(frozen=True, slots=True)
class Row:
    """A cell: its timeouts, its load, and what each contender did."""

    timeouts: str
    load: str
    held: Mapping[str, Held]


@dataclass(frozen=True, slots=True)
class Lowest:
    """Under one load, each contender's lowest timeouts without a needless election, if any."""

    load: str
    timeouts: Mapping[str, str | None]


def section(analysis: Analysis) -> Section | None:
    """Return the section, if a cluster was ever left alone."""
    cells = sorted(
        analysis.evidence.cells_of("stability"),
        key=lambda c: (c.workload.get("outstanding", 0), c.cluster["election_timeout_ms"]),
    )
    rows = [_row(analysis, cell) for cell in cells]
    rows = [row for row in rows if row.held]
    if not rows:
        return None
    lowest = [_lowest([row for row in rows if row.load == load]) for load in _loads(rows)]
    return Section("stability", "Stability", {"rows": rows, "lowest": lowest}, ("stability",))


def _loads(rows: list[Row]) -> list[str]:
    return list(dict.fromkeys(row.load for row in rows))


def _row(analysis: Analysis, cell: Cell) -> Row:
    clients = cell.workload.get("outstanding", 0)
    held = {}
    for name in analysis.shown:
        results = [
            trial.result
            for trial in analysis.evidence.of(cell, name)
            if isinstance(trial.result, StabilityResult)
        ]
        if results:
            held[name] = Held(
                sum(result.candidacies for result in results),
                sum(result.candidacies > 0 for result in results),
                len(results),
            )
    return Row(timeouts(cell), f"{clients} clients" if clients else "idle", held)


def _lowest(rows: list[Row]) -> Lowest:
    """Find each contender's lowest range from which on, upwards, no trial held an election."""
    found: dict[str, str | None] = {}
    for name in dict.fromkeys(name for row in rows for name in row.held):
        found[name] = None
        for row in reversed(rows):  # from the highest timeouts down
            held = row.held.get(name)
            if held is None or held.elections:
                break
            found[name] = row.timeouts
    return Lowest(rows[0].load, found)
