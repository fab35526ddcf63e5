"""The *replicate* client on threads: each answer is a callback in the leader's thread."""

from concurrent.futures import Future
from typing import Any

from impl_threading.node import NodeThread
from raft.errors import RaftError
from raft.workload import CallbackClients, ReplicateSpec


def replicate(leader: NodeThread, spec: ReplicateSpec) -> dict[str, Any]:
    """Run the closed loop in the leader's thread; its raw result, or the first error."""
    outcome: Future[dict[str, Any]] = Future()

    def finished(result: dict[str, Any] | RaftError) -> None:
        if isinstance(result, RaftError):
            outcome.set_exception(result)
        else:
            outcome.set_result(result)

    def start() -> None:
        label = "a callback in the leader's thread sends the client's next command"
        clients = CallbackClients(leader.id, label, spec, leader.counters, leader.submit, finished)
        clients.start()

    leader.call(start)
    return outcome.result()
