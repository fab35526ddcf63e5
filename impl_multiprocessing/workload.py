"""The clients beside the leader on processes: each answer is a callback in its process."""

from collections.abc import Callable
from selectors import EVENT_READ, BaseSelector
from typing import Any

from raftmark.impl_multiprocessing.node import NodeLife
from raftmark.raft.errors import RaftError
from raftmark.raft.loads import OfferedSpec, ReplicateSpec
from raftmark.raft.workload.closed_loop import CallbackClients
from raftmark.raft.workload.open_loop import OpenLoop
from raftmark.raft.workload.pacing import Sender

Finished = Callable[[dict[str, Any] | RaftError], None]


def replicate(leader: NodeLife, spec: ReplicateSpec, finished: Finished) -> None:
    """Begin the closed loop in the leader's process; `finished` hears how it ended."""
    label = "a callback in the leader's process sends the client's next command"
    CallbackClients(leader.id, label, spec, leader.counters, leader.submit, finished).start()


class Offered:
    """The open loop in the leader's process, from its making on; `finished` hears how it ended."""

    def __init__(
        self, leader: NodeLife, spec: OfferedSpec, selector: BaseSelector, finished: Finished
    ) -> None:
        self._leader = leader
        self._selector = selector
        self._finished = finished
        self._load = OpenLoop(spec, leader.counters, leader.submit, self._end)
        self._sender = Sender(spec.rate, self._load.total, spec.warmup_ns + spec.duration_ns)
        self._ended = False
        self._listening = True
        selector.register(self._sender, EVENT_READ, self._readable)

    def _readable(self, _mask: int) -> None:
        # An order may have ended it in the same look at all that is readable.
        if self._listening and not self._load.take(self._sender.read()):
            self._listen_no_more()

    def _listen_no_more(self) -> None:
        if self._listening:
            self._listening = False
            self._selector.unregister(self._sender)

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        self._listen_no_more()
        label = "the leader's process waits for the sender's pipe as for its sockets"
        try:
            self._finished(self._load.result(self._leader.id, label, self._sender.end()))
        except RaftError as error:
            self._finished(error)
