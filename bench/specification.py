"""What a run measures: its cells, and the profiles that choose them.

A *cell* is one workload on one kind of cluster. Every contender is measured in every cell once a
block. `Cell.workload` and `Cell.cluster` are what the contender is asked with: the fields of the
protocol's `run` and `start`.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import product
from typing import Any

import msgspec


class SpecificationError(Exception):
    """No run can be made of what was asked for; the message says why."""


class Cell(msgspec.Struct, frozen=True):
    """A workload, the cluster that it runs on, and the seconds after which `run` has hung."""

    id: str
    workload: dict[str, Any]
    cluster: dict[str, Any]
    timeout_s: float


class Specification(msgspec.Struct, frozen=True):
    """The cells of a run, how many blocks of them, and two limits in seconds.

    `budget_s`: no trial starts later than this after the start of the measuring; None is without
    end. `patience_s`: how much time a contender may lose to failed trials before the rest of its
    trials fail without being tried, so that one that hangs cannot use up the time of the others.
    """

    blocks: int
    cells: list[Cell]
    budget_s: float | None = None
    patience_s: float = 60.0


# The Raft paper's election timeouts (section 9.3): what it recommends, and the lowest it tried.
_RECOMMENDED_MS = (150, 300)
_LOWEST_MS = (12, 24)


def quick() -> Specification:
    """Return the profile for a first answer within five minutes on two slow cores."""
    return Specification(
        blocks=6,
        cells=[
            *(
                replicate_cell(outstanding, warmup_s=0.15, duration_s=0.4)
                for outstanding in (1, 16, 64, 256)
            ),
            _election(_RECOMMENDED_MS, heartbeat_ms=50, elections=5),
            _election(_LOWEST_MS, heartbeat_ms=6, elections=10),
        ],
        budget_s=240,
        patience_s=30,
    )


def full() -> Specification:
    """Return the profile for a report to cite: more loads, cluster sizes, disks and blocks."""
    loads = [1, 4, 16, 64, 256, 1024]
    return Specification(
        blocks=20,
        cells=[
            *(replicate_cell(outstanding) for outstanding in loads),
            *(
                replicate_cell(outstanding, nodes=nodes)
                for nodes, outstanding in product((5, 7), (1, 64, 256))
            ),
            *(replicate_cell(outstanding, storage="disk") for outstanding in (1, 64, 256)),
            _election(_RECOMMENDED_MS, heartbeat_ms=50, elections=20),
            _election((150, 155), heartbeat_ms=50, elections=10),
            _election((50, 100), heartbeat_ms=15, elections=20),
            _election(_LOWEST_MS, heartbeat_ms=6, elections=50),
        ],
        patience_s=600,
    )


PROFILES = {"quick": quick, "full": full}


def narrow(
    specification: Specification, *, workloads: Collection[str] = (), blocks: int | None = None
) -> Specification:
    """Keep only the cells of some workloads, all if none is named, and set the number of blocks.

    A run that was given its own number of blocks is not cut short by the profile's budget. Raises
    `SpecificationError` for a workload that no cell has.
    """
    known = {cell.workload["name"] for cell in specification.cells}
    unknown = sorted(set(workloads) - known)
    if unknown:
        raise SpecificationError(
            f"no such workload: {', '.join(unknown)}; choose from {', '.join(sorted(known))}"
        )
    return Specification(
        blocks=specification.blocks if blocks is None else blocks,
        cells=[c for c in specification.cells if not workloads or c.workload["name"] in workloads],
        budget_s=specification.budget_s if blocks is None else None,
        patience_s=specification.patience_s,
    )


def replicate_cell(
    outstanding: int,
    *,
    nodes: int = 3,
    storage: str = "memory",
    warmup_s: float = 0.5,
    duration_s: float = 2.0,
) -> Cell:
    """Return the closed loop with 64-byte values on one kind of cluster."""
    variants = [f"n{nodes}"] * (nodes != 3) + [storage] * (storage != "memory")
    return Cell(
        id="-".join(["replicate", f"w{outstanding}", *variants]),
        workload={
            "name": "replicate",
            "outstanding": outstanding,
            "payload": 64,
            "warmup_s": warmup_s,
            "duration_s": duration_s,
        },
        cluster={
            "nodes": nodes,
            "storage": storage,
            "election_timeout_ms": list(_RECOMMENDED_MS),
            "heartbeat_ms": 50,
            # The check that ends the trial reads the whole log.
            "snapshot_entries": 0,
        },
        timeout_s=10 + 5 * (warmup_s + duration_s),
    )


def _election(timeout_ms: tuple[int, int], *, heartbeat_ms: float, elections: int) -> Cell:
    low, high = timeout_ms
    # Settling, detection and a few split votes, each about a timeout long, and then ten times that.
    usual_s = elections * (0.1 + 5 * high / 1000)
    return Cell(
        id=f"election-{low}-{high}",
        workload={"name": "election", "elections": elections, "cap_s": 10},
        cluster={
            "nodes": 5,
            "storage": "memory",
            "election_timeout_ms": [low, high],
            "heartbeat_ms": heartbeat_ms,
        },
        timeout_s=15 + usual_s,
    )
