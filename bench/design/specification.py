"""What a run measures: its cells, how often, and the profiles that choose them.

Every contender is measured in every cell once a block.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Collection
from itertools import product

import msgspec

from raftmark.bench.design.cells import (
    LOWEST_MS,
    RECOMMENDED_MS,
    SERVICE_CONNECTIONS,
    SHORTER_MS,
    Cell,
    catch_up_cell,
    deployed,
    election_cell,
    failover_cell,
    mixture_cell,
    offered_cell,
    replicate_cell,
    service_cell,
    stability_cell,
    with_snapshots,
)

__all__ = [
    "CONTROLLED",
    "PROFILES",
    "Cell",
    "Specification",
    "SpecificationError",
    "full",
    "narrow",
    "paper",
    "peers",
    "quick",
    "replicate_cell",
]


class SpecificationError(Exception):
    """No run can be made of what was asked for; the message says why."""


class Specification(msgspec.Struct, frozen=True):
    """The cells of a run, how many blocks of them, and two limits in seconds.

    `budget_s`: no trial starts later than this after the start of the measuring; None is without
    end. `patience_s`: how much time a contender may lose to failed trials before the rest of its
    trials fail without being tried, so that one that hangs cannot use up the time of the others.
    `precision`: how far, relatively, the figures' intervals were to reach when a pilot chose the
    blocks and how long they last; None where they were set by hand. `one_process`: a contender's
    trials of a block are clusters of one process, one after the other, in the order of the cells.
    `one_cluster`: of these, a load that follows another one of few commands has its cluster, too.
    """

    blocks: int
    cells: list[Cell]
    budget_s: float | None = None
    patience_s: float = 60.0
    precision: float | None = None
    one_process: bool = False
    one_cluster: bool = False


FIGURE_16_MS = (
    *((150, 150), (150, 151), (150, 155), (150, 175), (150, 200), RECOMMENDED_MS),
    *(LOWEST_MS, (25, 50), (50, 100), SHORTER_MS),
)
"""The election timeouts of the Raft paper's Figure 16: upper graph, then lower."""

OFFERED_RATES = (
    *(digit * 10**power for power in (3, 4, 5) for digit in (1, 2, 5)),
    10**6,
)
"""Commands a second, in steps of about two: the slowest contender saturates well before the end.

Every contender is asked for every rate in every block, those too at which it saturates: blocks stay
complete, a load that is given up is soon over, and where each contender gives up is the result.
"""

DEPLOYED_RATES = (1_000, 10_000, 100_000)
"""The same for clusters of node programs, where the models are closer to each other."""

FOLLOWERS = ("threading", "asyncio", "multiprocessing", "go")
"""Whose programs follow in the mixtures of `full`, as far as they take part."""

STABILITY_MS = ((2, 4), (4, 8), (6, 12), LOWEST_MS, (25, 50), (50, 100), RECOMMENDED_MS)
"""Election timeouts, of which some contender holds the lowest only when idle, or not at all."""


def quick() -> Specification:
    """Return the profile for a first answer within five minutes on two slow cores.

    Ten blocks let a difference show that holds when all are taken together. So that they fit, a
    contender's trials share a process, as far as they are of one placement, and one load has the
    cluster of a shorter one before it, few elections are waited for, and no load lasts longer than
    it has to: its first half differs from the whole by less than two processes do. Of one election
    alone the check could not tell a stall of the machine from a lie. The first load lasts for the
    eight slices that a steady state is judged by, and is the one of which memory is read.
    """
    return Specification(
        blocks=10,
        cells=[
            replicate_cell(64, warmup_s=0.1, duration_s=0.8),
            election_cell(SHORTER_MS, elections=2),
            offered_cell(10_000, warmup_s=0.05, duration_s=0.25),
            replicate_cell(1, warmup_s=0.05, duration_s=0.2),
            deployed(replicate_cell(64, warmup_s=0.1, duration_s=0.25)),
            deployed(replicate_cell(1, warmup_s=0.05, duration_s=0.2)),
        ],
        budget_s=280,
        patience_s=30,
        one_process=True,
        one_cluster=True,
    )


def full() -> Specification:
    """Return the profile for a report to cite: every workload, and what shapes it."""
    return Specification(
        blocks=20,
        cells=[
            *(replicate_cell(outstanding) for outstanding in (1, 4, 16, 64, 256, 1024, 4096)),
            *(
                replicate_cell(outstanding, nodes=nodes)
                for nodes, outstanding in product((5, 7, 9), (1, 64, 256))
            ),
            *(replicate_cell(outstanding, storage="disk") for outstanding in (1, 64, 256)),
            *(
                deployed(replicate_cell(outstanding, storage=storage))
                for storage, outstanding in product(("memory", "disk"), (1, 64, 256))
            ),
            *(
                mixture_cell(followers, outstanding)
                for outstanding, followers in product((1, 64), FOLLOWERS)
            ),
            *(with_snapshots(replicate_cell(outstanding)) for outstanding in (1, 64)),
            replicate_cell(64, payload=16),
            replicate_cell(64, payload=1024, warmup_s=0.2, duration_s=0.5),
            # The check reads every value back, so it is the larger the shorter.
            replicate_cell(1, payload=16_384, warmup_s=0.1, duration_s=0.4),
            replicate_cell(64, payload=16_384, warmup_s=0.1, duration_s=0.2),
            replicate_cell(1, payload=65_536, warmup_s=0.1, duration_s=0.2),
            *(offered_cell(rate) for rate in OFFERED_RATES),
            *(deployed(offered_cell(rate)) for rate in DEPLOYED_RATES),
            *(
                election_cell(timeout_ms, elections=20)
                for timeout_ms in (RECOMMENDED_MS, (50, 100), LOWEST_MS, (6, 12), (4, 8))
            ),
            deployed(election_cell(RECOMMENDED_MS, elections=20)),
            deployed(election_cell(LOWEST_MS, elections=20)),
            election_cell(RECOMMENDED_MS, elections=10, as_in_paper=True),
            election_cell((150, 155), elections=10, cap_s=30, as_in_paper=True),
            election_cell(LOWEST_MS, elections=20, as_in_paper=True),
            failover_cell(),
            failover_cell(LOWEST_MS),
            failover_cell(nodes=5),
            deployed(failover_cell()),
            deployed(failover_cell(LOWEST_MS)),
            *(service_cell(connections) for connections in SERVICE_CONNECTIONS),
            service_cell(128, rate=5_000),
            *(service_cell(128, others={kind: 8}) for kind in ("slow", "flood", "come")),
            service_cell(128, crash_s=1.0, duration_s=6.0),
            catch_up_cell(10_000, "entries"),
            catch_up_cell(100_000, "entries"),
            catch_up_cell(100_000, "snapshot"),
            *(
                stability_cell(timeout_ms, outstanding)
                for outstanding, timeout_ms in product((0, 64), STABILITY_MS)
            ),
        ],
        patience_s=600,
    )


def paper() -> Specification:
    """Return the Raft paper's Figure 16: 1000 elections a range, 100 where nothing is random.

    They come ten to a process, so that a hundred independent processes stand behind each curve;
    without randomness, where an election that stays undecided ends the process, one by one. The
    others have so long that hardly any is cut off: with 1 ms of randomness many take half a minute.
    """
    return Specification(
        blocks=100,
        cells=[
            election_cell((low, high), elections=1, cap_s=10, as_in_paper=True)
            if low == high
            else election_cell((low, high), elections=10, cap_s=120, as_in_paper=True)
            for low, high in FIGURE_16_MS
        ],
        patience_s=3600,
    )


def peers() -> Specification:
    """Return the profile that holds what is deployed against other people's Rafts.

    Twelve blocks, so that the hundred and more comparisons can hold together. Timeouts are the
    recommended ones: libraries do not let one go as low as one likes.
    """
    return Specification(
        blocks=12,
        cells=[
            *(
                deployed(replicate_cell(outstanding, storage=storage, warmup_s=0.3, duration_s=1.0))
                for storage, outstanding in product(("memory", "disk"), (1, 64, 256))
            ),
            deployed(election_cell(RECOMMENDED_MS, elections=5)),
            deployed(failover_cell(after_s=2.0)),
        ],
        patience_s=300,
    )


PROFILES = {"quick": quick, "full": full, "paper": paper, "peers": peers}

AGAINST_PEERS = ("peers",)
"""The profiles whose contenders are those of the peers' table, where no table is named."""

CONTROLLED = ("full",)
"""The profiles whose runs have the controls, where no contenders are named."""


def narrow(
    specification: Specification,
    *,
    workloads: Collection[str] = (),
    cells: Collection[str] = (),
    blocks: int | None = None,
) -> Specification:
    """Keep only the cells of some workloads and those whose ids fit a pattern of the shell's kind.

    All are kept if none is named. A run that was given its own number of blocks is not cut short by
    the profile's budget. Raises `SpecificationError` for what no cell has.
    """
    known = {cell.workload["name"] for cell in specification.cells}
    if unknown := sorted(set(workloads) - known):
        raise SpecificationError(
            f"no such workload: {', '.join(unknown)}; choose from {', '.join(sorted(known))}"
        )
    kept = [c for c in specification.cells if not workloads or c.workload["name"] in workloads]
    ids = [cell.id for cell in kept]
    if unknown := [pattern for pattern in cells if not fnmatch.filter(ids, pattern)]:
        raise SpecificationError(
            f"no such cell: {', '.join(unknown)}; choose from {', '.join(ids)}"
        )
    return Specification(
        blocks=specification.blocks if blocks is None else blocks,
        cells=[c for c in kept if not cells or any(fnmatch.fnmatch(c.id, p) for p in cells)],
        budget_s=specification.budget_s if blocks is None else None,
        patience_s=specification.patience_s,
        one_process=specification.one_process,
        one_cluster=specification.one_cluster,
    )
