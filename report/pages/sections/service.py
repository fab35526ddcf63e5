"""As a service: what many clients of a deployed cluster get, each with a connection of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from raftmark.bench.analysis.metrics import (
    ACCEPTED,
    CPU_A_CONNECTION,
    CPU_PER_COMMAND,
    LATENCY_P50,
    LATENCY_P99,
    LEAST_SHARE,
    LONGEST_P50,
    LONGEST_WORST,
    MEMORY_A_CONNECTION,
    SWITCHES_A_CONNECTION,
    SWITCHES_PER_COMMAND,
    THROUGHPUT,
    TURNOVER,
    Metric,
)
from raftmark.bench.design.specification import Cell
from raftmark.report.drawing.charts import Axis, Chart, Panel, chart, scales, shifted
from raftmark.report.drawing.series import FEWEST_JOINED, over_cells
from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.connections import of_connections, of_disturbers, of_each
from raftmark.report.findings.takeaways import of_times
from raftmark.report.findings.wording import listed, setting
from raftmark.report.model import Quantity, Section

COLUMNS: tuple[tuple[str, Metric, float], ...] = (
    ("Commands/s", THROUGHPUT, 1.0),
    ("Median latency, µs", LATENCY_P50, 1e3),
    ("99th percentile, µs", LATENCY_P99, 1e3),
    ("CPU per command, µs", CPU_PER_COMMAND, 1e-6),
    ("Context switches per command", SWITCHES_PER_COMMAND, 1.0),
    ("Memory of a connection, KiB", MEMORY_A_CONNECTION, 1024.0),
    ("CPU to take one, µs", CPU_A_CONNECTION, 1e-6),
    ("Context switches to take one", SWITCHES_A_CONNECTION, 1.0),
    ("Connections taken, 1/s", ACCEPTED, 1.0),
    ("Least share", LEAST_SHARE, 1.0),
)
OTHERS: tuple[tuple[str, Metric, float], ...] = (
    ("Commands/s", THROUGHPUT, 1.0),
    ("99th percentile, µs", LATENCY_P99, 1e3),
    ("Longest wait of a client, median, ms", LONGEST_P50, 1e6),
    ("Of any client, ms", LONGEST_WORST, 1e6),
    ("Connected anew, 1/s", TURNOVER, 1.0),
)
_KINDS = {
    "slow": "who never read",
    "flood": "who do not wait for answers",
    "come": "who connect for each command",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A contender's figures in a cell, which `what` says in words; each with its unit's size."""

    contender: str
    what: str
    order: float
    figures: tuple[tuple[Quantity | None, float], ...]


def section(analysis: Analysis) -> Section | None:
    """Return the section, if clients were connected to anyone."""
    cells = sorted(analysis.evidence.cells_of("service"), key=_connections)
    plain = [cell for cell in cells if _told(cell) is None]
    rows = list(_rows(analysis, plain, COLUMNS))
    others = list(_rows(analysis, [cell for cell in cells if _told(cell) is not None], OTHERS))
    if not (rows or others):
        return None
    facts: dict[str, object] = {
        "titles": [title for title, _, _ in COLUMNS],
        "rows": rows,
        "other_titles": [title for title, _, _ in OTHERS],
        "others": others,
        "disturbed": _of_disturbers(analysis, cells, plain),
        "crash": _of_crashes(analysis, cells),
        "setting": setting(cells[0]),
    }
    if rows:
        facts |= {
            "chart": _chart(analysis, plain),
            "joined": len(plain) >= FEWEST_JOINED,
            "takeaway": of_connections(analysis, plain),
            "each": of_each(analysis, plain[-1]),
        }
    return Section("service", "As a service", facts, ("service",))


def _of_disturbers(analysis: Analysis, cells: list[Cell], plain: list[Cell]) -> str:
    """Say what those who disturb cost the clients, where as many were measured without them."""
    alone = {_connections(cell): cell for cell in plain}
    parts = [
        of_disturbers(analysis, f"beside {count} {who}", cell, alone[_connections(cell)])
        for cell in cells
        for kind, who in _KINDS.items()
        if (count := cell.workload.get(kind)) and _connections(cell) in alone
    ]
    if not any(parts):
        return ""
    told = listed([part for part in parts if part])
    return f"The 99th percentile, to that of as many clients without the others: {told}."


def _of_crashes(analysis: Analysis, cells: list[Cell]) -> str:
    """Say how long clients waited whose leader crashed."""
    longest = [
        (f"with {_connections(cell):,} clients", analysis.estimates.quantities(cell, LONGEST_WORST))
        for cell in cells
        if cell.workload.get("crash_s") is not None
    ]
    what = "The longest that any client waited whose leader crashed"
    return of_times(analysis, what, longest, "ms")


def _chart(analysis: Analysis, cells: list[Cell]) -> Chart:
    panels = (
        ("Commands per second", THROUGHPUT, ("commands/s", 1.0)),
        ("99th percentile of latency, ms", LATENCY_P99, ("ms", 1e6)),
    )
    ticks: list[int] = []
    for connections in sorted({_connections(cell) for cell in cells}):
        # Closer ones would run into each other where the page is narrow.
        if not ticks or connections >= 8 * ticks[-1]:
            ticks.append(connections)

    def drawn(log: bool) -> list[Panel]:
        found = []
        for title, metric, unit in panels:
            series = over_cells(analysis, cells, metric, x=_connections, said=_clients, unit=unit)
            axis = Axis("connections", log, ticks=ticks if log else None)
            found.append(Panel(title, axis, Axis(log=log), shifted(series) if log else series))
        return found

    return chart(
        "service",
        "Throughput and latency by the number of clients that are connected. "
        "The table below has the figures.",
        analysis.contenders,
        scales(drawn),
    )


def _rows(
    analysis: Analysis, cells: list[Cell], columns: tuple[tuple[str, Metric, float], ...]
) -> Iterator[Row]:
    for cell in cells:
        for name in analysis.shown:
            figures = tuple(
                (analysis.estimates.quantities(cell, metric).get(name), size)
                for _, metric, size in columns
            )
            if any(quantity is not None for quantity, _ in figures):
                what = f"{_connections(cell):,}" if _told(cell) is None else _told(cell) or ""
                yield Row(name, what, _connections(cell), figures)


def _told(cell: Cell) -> str | None:
    """What is asked of a cell besides its connections; None where that is all."""
    workload, clients = cell.workload, f"{_connections(cell):,} clients"
    if workload.get("crash_s") is not None:
        return f"{clients}, whose leader crashes"
    if rate := workload.get("rate"):
        return f"{clients} at {rate:,} commands/s"
    for kind, who in _KINDS.items():
        if count := workload.get(kind):
            return f"{clients} beside {count} {who}"
    return None


def _connections(cell: Cell) -> int:
    return int(cell.workload["connections"])


def _clients(cell: Cell) -> str:
    return f"{_connections(cell):,} connected"
