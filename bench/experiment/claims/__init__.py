"""What a result claims, against what was asked for and what the harness saw itself.

A result is made by the contender, by its own clock. But CLOCK_MONOTONIC is the machine's, so its
times lie between the moment when the harness sent `run` and the one when the reply came; what was
asked for says how far apart they are, and how many of everything there must be; and the role events
say when who stood for election and who led. Nothing here is a matter of taste: each rule follows
from docs/protocol.md for every contender that keeps it, however slow or busy the machine is.
"""

from __future__ import annotations

from collections.abc import Iterator

from raftmark.bench.design.specification import Cell
from raftmark.bench.experiment.claims import beside, elections, loads
from raftmark.bench.experiment.claims.asked import Role, Witness, asked_for
from raftmark.bench.experiment.claims.common import outside
from raftmark.bench.runs.results import (
    CatchUpResult,
    ElectionResult,
    FailoverResult,
    OfferedResult,
    ReplicateResult,
    Result,
    ServiceResult,
    StabilityResult,
    contradictions,
)

__all__ = ["Role", "Witness", "asked_for", "contradicted"]


def contradicted(cell: Cell, result: Result, witness: Witness) -> Iterator[str]:
    """Yield what a result claims that cannot be."""
    yield from (f"the result {problem}" for problem in contradictions(result))
    yield from outside(result, witness)
    asked = asked_for(cell)
    match result:
        case ReplicateResult():
            yield from loads.replicate(asked, result, witness)
        case OfferedResult():
            yield from loads.offered(asked, result, witness)
        case ElectionResult():
            yield from elections.elections(cell, asked, result, witness)
        case FailoverResult():
            yield from beside.failover(asked, result, witness)
        case CatchUpResult():
            yield from beside.catch_up(asked, result, witness)
        case StabilityResult():
            yield from beside.stability(asked, result, witness)
        case ServiceResult():
            yield from beside.service(asked, result, witness)
