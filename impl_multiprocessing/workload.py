"""The *replicate* client on processes: each answer is a callback in the leader's process."""

from collections.abc import Callable
from typing import Any

from impl_multiprocessing.node import NodeLife
from raft.errors import RaftError
from raft.workload import CallbackClients, ReplicateSpec


def replicate(
    leader: NodeLife, spec: ReplicateSpec, finished: Callable[[dict[str, Any] | RaftError], None]
) -> None:
    """Begin the closed loop in the leader's process; `finished` hears how it ended."""
    label = "a callback in the leader's process sends the client's next command"
    CallbackClients(leader.id, label, spec, leader.counters, leader.submit, finished).start()
