"""The clients beside the leader on processes: each answer is a callback in its process."""

from collections.abc import Callable, Iterator
from typing import Any

from raftmark.impl_multiprocessing.node import NodeLife
from raftmark.raft.errors import RaftError
from raftmark.raft.loads import OfferedSpec, ReplicateSpec
from raftmark.raft.workload.closed_loop import CallbackClients
from raftmark.raft.workload.open_loop import OpenLoop

Finished = Callable[[dict[str, Any] | RaftError], None]


def replicate(leader: NodeLife, spec: ReplicateSpec, finished: Finished) -> None:
    """Begin the closed loop in the leader's process; `finished` hears how it ended."""
    label = "a callback in the leader's process sends the client's next command"
    CallbackClients(leader.id, label, spec, leader.counters, leader.submit, finished).start()


def offered(leader: NodeLife, spec: OfferedSpec, finished: Finished) -> Iterator[float]:
    """Begin the open loop in the leader's process; `finished` hears how it ended.

    Each turn of what this returns sends what is due, and tells how long the process may wait.
    """

    def ended() -> None:
        label = "the leader's process waits no longer than until the next command is due"
        try:
            finished(load.result(leader.id, label))
        except RaftError as error:
            finished(error)

    load = OpenLoop(spec, leader.counters, leader.submit, ended)
    return load.pace()
