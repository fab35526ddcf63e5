"""The clients beside the leader on threads: each answer is a callback in its thread."""

import threading
from concurrent.futures import Future
from typing import Any

from raftmark.impl_threading.node import NodeThread
from raftmark.raft.errors import RaftError
from raftmark.raft.loads import OfferedSpec, ReplicateSpec
from raftmark.raft.server import Server
from raftmark.raft.workload.closed_loop import CallbackClients
from raftmark.raft.workload.open_loop import OpenLoop
from raftmark.raft.workload.pacing import Sender


def replicate(leader: NodeThread, spec: ReplicateSpec) -> dict[str, Any]:
    """Run the closed loop in the leader's thread; its raw result, or the first error."""
    outcome: Future[dict[str, Any]] = Future()

    def finished(result: dict[str, Any] | RaftError) -> None:
        if isinstance(result, RaftError):
            outcome.set_exception(result)
        else:
            outcome.set_result(result)

    def start(server: Server) -> None:
        label = "a callback in the leader's thread sends the client's next command"
        submit = server.propose
        CallbackClients(leader.id, label, spec, leader.counters, submit, finished).start()

    leader.call(start)
    return outcome.result()


def offered(leader: NodeThread, spec: OfferedSpec) -> dict[str, Any]:
    """Run the open loop from the calling thread; its raw result, or the first error."""
    ended = threading.Event()
    load = OpenLoop(spec, leader.counters, leader.submit, ended.set)
    sender = Sender(spec.rate, load.total, spec.warmup_ns + spec.duration_ns)
    try:
        while load.take(sender.read()):
            pass
        ended.wait()
    finally:
        sender_cpu_ns = sender.end()
    label = "a thread reads from the sender's pipe, and puts each command into the mailbox"
    return load.result(leader.id, label, sender_cpu_ns)
