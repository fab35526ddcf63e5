"""The order of a run's trials: randomised complete blocks.

A block has every contender in every cell once, in an order of its own, so that a drift of the
machine hits all contenders alike and no contender always runs after the same one (Abedi and Brecht,
"Conducting repeatable experiments in highly variable cloud computing environments", ICPE 2017).
Where a contender's trials share a process (`Specification.one_process`), a block has every
contender once, in random order, with all cells in theirs: what a process did before is then the
same for all. After a load of few commands another one may have its cluster, too (`one_cluster`).
The order follows from the run's seed, so a resumed run goes on as if it had never stopped.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import NamedTuple

from raftmark.bench.design.specification import Cell, Specification


class Planned(NamedTuple):
    """One trial to be run: `order` is its position within its block, from 0."""

    cell: Cell
    block: int
    order: int
    contender: str

    @property
    def id(self) -> str:
        """The trial's name, unique within its run."""
        return f"{self.cell.id}/{self.block}/{self.contender}"

    def cluster_seed(self, run_seed: int, *, twin: bool = False) -> int:
        """Return the seed of the trial's cluster: the same for every contender of the block.

        So they draw the same timeouts, and what differs is theirs. A twin draws others: what it
        differs by from its base shows how much two runs of one program do, draws included.
        """
        again = "/twin" if twin else ""
        return random.Random(f"{run_seed}/{self.cell.id}/{self.block}{again}").getrandbits(63)


class Left(IntEnum):
    """What a trial leaves to the next one: the later members have the earlier ones in them."""

    NOTHING = 0
    PROCESS = 1
    CLUSTER = 2


def left(specification: Specification, planned: Planned, following: Planned | None) -> Left:
    """Return what a trial leaves to the one that follows it on its host, by what is specified.

    A process is for one contender, in one placement and block.
    """
    if following is None or not specification.one_process:
        return Left.NOTHING
    if _process(planned) != _process(following):
        return Left.NOTHING
    alike = planned.cell.cluster == following.cell.cluster and following.cell.is_plain
    if specification.one_cluster and alike and planned.cell.leaves_its_cluster:
        return Left.CLUSTER
    return Left.PROCESS


def _process(planned: Planned) -> tuple[int, str, str, str | None]:
    cell = planned.cell
    return planned.block, planned.contender, cell.transport, cell.followers


def schedule(
    specification: Specification, contenders: Sequence[str], seed: int
) -> Iterator[Planned]:
    """Yield every trial of a run in the order in which they are to be run."""
    for block in range(specification.blocks):
        if specification.one_process:
            drawn = random.Random(f"{seed}/{block}").sample(contenders, len(contenders))
            pairs = [(cell, contender) for contender in drawn for cell in specification.cells]
            yield from (Planned(c, block, n, name) for n, (c, name) in enumerate(pairs))
            continue
        pairs = [(cell, contender) for cell in specification.cells for contender in contenders]
        random.Random(f"{seed}/{block}").shuffle(pairs)
        for order, (cell, contender) in enumerate(pairs):
            yield Planned(cell, block, order, contender)
