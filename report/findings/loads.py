"""Which cells differ in their load alone, and so may stand on one line."""

from __future__ import annotations

import json
from typing import Any

from raftmark.bench.design.specification import Cell
from raftmark.report.findings.evidence import Evidence

# What makes a measured time longer or shorter, but not what is measured.
_DURATIONS = ("warmup_s", "duration_s")


def plain_loads(evidence: Evidence) -> list[Cell]:
    """Return the cells that differ in their load alone, of the specification's first cluster."""
    cells = evidence.cells_of("replicate")
    alike = [c for c in cells if besides(c, "outstanding") == besides(cells[0], "outstanding")]
    return sorted(alike, key=lambda cell: int(cell.workload["outstanding"]))


def besides(cell: Cell, *keys: str) -> str:
    """Return all that a cell is besides some of its fields, and besides how long it takes."""

    def kept(fields: dict[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in fields.items() if k not in keys and k not in _DURATIONS}

    return json.dumps([kept(cell.workload), kept(cell.cluster)], sort_keys=True)
