"""A cluster from its start on: made ready for what is measured, by one load after the other.

As a rule it has one. Where a run lets a load have the cluster of another, it finds that as the
check of the one before has left it: settled, led, and with a log that was read to its end. Each
load's clients are sessions of their own, so that no command is taken for one of before.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from raftmark.bench.contenders.contender import Contender, ContenderFailed, Patience
from raftmark.bench.design.cells import LEADS
from raftmark.bench.design.specification import Cell
from raftmark.bench.experiment.check import settle
from raftmark.bench.experiment.pages import Asked
from raftmark.bench.experiment.replay import Replay

# As deployed each node has an interpreter: a cluster gives them a minute to listen, and then says
# itself which one has not.
START_TIMEOUT_S = 90.0
# So long a cluster may take to settle before a load, which then begins all the same.
_SETTLING_S = 10.0
_STAGGER_S = 0.02
_BESIDE_LEADER = ("replicate", "offered", "service")


class _Started(msgspec.Struct):
    nodes: list[int]


@dataclass
class Standing:
    """A cluster that runs: its nodes, and how many `events` its contender had sent before.

    `log` is what the check has read of it so far, None before the first.
    """

    nodes: list[int]
    events_before: int
    log: Replay | None = None
    loads: int = 1

    def another(self, cell: Cell) -> Cell:
        """Return a load as it is asked for after others, by clients of other names."""
        self.loads += 1
        session = f"load-{self.loads}"
        return msgspec.structs.replace(cell, workload={**cell.workload, "session": session})


def start(
    contender: Asked, cluster: Mapping[str, Any], patience_s: float = START_TIMEOUT_S
) -> list[int]:
    """Start a cluster, and return its nodes' ids.

    Raises `ContenderFailed` when they are not those that were asked for.
    """
    reply = contender.send_as(_Started, "start", **cluster)
    nodes = contender.wait_for(reply, "start", patience_s).nodes
    if nodes != list(range(1, cluster["nodes"] + 1)):
        raise ContenderFailed(f"started nodes {nodes[:10]} where {cluster['nodes']} were asked for")
    return nodes


def make_ready(contender: Contender, cell: Cell) -> None:
    """Let a cluster that was just started become what its workload is to find."""
    if cell.links is not None:
        # The first leader is elected on perfect links: how long that takes is not measured.
        _stagger(contender, cell.cluster["nodes"])
        settle(contender, Patience(_SETTLING_S, "start"), led=True)
        contender.call("links", reply_timeout=START_TIMEOUT_S, **cell.links)
    if cell.followers is not None:
        _hand_over(contender)
    if cell.workload["name"] in _BESIDE_LEADER or cell.turns_ms is not None:
        # What the cluster holds when idle is read of one that has settled, as the run awaits; and
        # who waits for a leader still must not be stopped time and again meanwhile.
        settle(contender, Patience(_SETTLING_S, "start"), led=True)


def _hand_over(contender: Contender) -> None:
    """Let the node lead whose program is the contender's own, whoever was elected."""
    settle(contender, Patience(_SETTLING_S, "start"), led=True)
    contender.call("transfer", reply_timeout=START_TIMEOUT_S, node=LEADS)


def _stagger(contender: Contender, nodes: int) -> None:
    """Let the nodes' timers run out one after the other, so that the first vote is not split.

    Where no timeout is random and one event loop starts all nodes, it would be split for ever.
    """
    for node in range(2, nodes + 1):
        contender.call("crash", reply_timeout=START_TIMEOUT_S, node=node)
        time.sleep(_STAGGER_S)
        contender.call("restart", reply_timeout=START_TIMEOUT_S, node=node)
