"""A node's process: the sockets, the storage, and the orders that its contender gives.

An order is (token, name, arguments), and its answer ("answer", token, value) with a
value that may be an exception. Besides, the process sends ("role", change),
("members", membership), ("entries_lost", entries), ("failed", exception) and, for a
trace, ("sent", events). What threads and tasks do by a call takes a pipe here,
and this module and the contender's half of it in `cluster` are what that costs.
"""

import gc
import selectors
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import msgspec

from raftmark.impl_multiprocessing.node import NodeLife
from raftmark.impl_multiprocessing.transport import Transport
from raftmark.impl_multiprocessing.workload import Offered, replicate
from raftmark.raft.client import Proposal, Query
from raftmark.raft.cluster import ClusterConfig, Events, LogSlice, Replica
from raftmark.raft.draws import Draws, node_timeouts
from raftmark.raft.errors import Unavailable
from raftmark.raft.links import Links
from raftmark.raft.loads import OfferedSpec, ReplicateSpec
from raftmark.raft.messages import Command, Message
from raftmark.raft.server import Server
from raftmark.raft.storage import open_storage

# A log is long, and its entries as pickles would take ten times as long.
encode_slice = msgspec.msgpack.Encoder().encode
decode_slice = msgspec.msgpack.Decoder(LogSlice).decode

Connect = Callable[[Links, selectors.BaseSelector, Callable[[int, Message], None]], Transport]


def run_node(
    node_id: int,
    config: ClusterConfig,
    control: Connection,
    sockets: Mapping[int, socket.socket],
) -> None:
    """Be a node until the contender says stop, or is gone."""
    gc.disable()  # as in the contender itself, see raft.host.service.run
    # What a terminal sends reaches the whole group; it is the contender that ends its nodes.
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    NodeProcess(node_id, config, control, partial(Transport, sockets)).run()


class ContenderGone(Exception):
    """Nobody is at the other end of the pipe any more, in the middle of a word perhaps."""


class NodeProcess:
    """A node through all its lives. `connect` makes what it has to its peers.

    A crash drops everything but the storage and the sockets; the process goes on, so
    that memory storage survives.
    """

    def __init__(
        self,
        node_id: int,
        config: ClusterConfig,
        control: Connection,
        connect: Connect,
    ) -> None:
        self.id = node_id
        self._config = config
        self._control = control
        self._answering = threading.Lock()
        self._storage = open_storage(config.storage, config.data_dir, node_id)
        self._draws = Draws(config.seed, node_timeouts(node_id))
        self._links = Links(node_id, config.seed)
        # select() waits to the microsecond, epoll to the millisecond; the sockets are few.
        self._selector = selectors.SelectSelector()
        self._selector.register(control, selectors.EVENT_READ, lambda _mask: self._take_order())
        self._transport = connect(self._links, self._selector, self._deliver)
        self._events = Events(
            role_changed=lambda change: self._send(("role", change)),
            failed=lambda _node, error: self._send(("failed", error)),
            sent=(lambda messages: self._send(("sent", messages))) if config.trace else None,
            entries_lost=lambda lost: self._send(("entries_lost", lost)),
            members_committed=lambda membership: self._send(("members", membership)),
        )
        self._life: NodeLife | None = None
        self._paused = False
        self._stopping = False
        self._orders: dict[str, Callable[..., Any]] = {
            "start": self._start,
            "crash": self._crash,
            "pause": self._pause,
            "resume": self._resume,
            "stop": self._stop,
            "partition": self._links.partition,
            "block": self._links.block,
            "degrade": self._links.degrade,
            "connect": self._connect,
            "counters": lambda: self._alive().counters(),
            "status": partial(self._call, Server.replica),
            "log": lambda first, last: encode_slice(self._call(Server.log, first, last)),
            "transfer": partial(self._call, Server.transfer),
            "compact": partial(self._call, Server.compact),
            "heartbeat": partial(self._call, Server.heartbeat),
        }

    def run(self) -> None:
        """Obey orders and live, until an order to stop or the end of the pipe."""
        try:
            while not self._stopping:
                if self._paused:
                    self._take_order()
                else:
                    self._wait(self._may_wait_s())
                    self._transport.be_on_time()
                    self._step()
        except ContenderGone:
            self._stopping = True
        finally:
            self._end_life()
            self._close()

    def _close(self) -> None:
        self._transport.close()
        self._selector.close()
        self._control.close()

    def _may_wait_s(self) -> float | None:
        """How long nothing is to be done unless something arrives: seconds, or None for ever."""
        waits_s = [
            self._transport.may_wait_s(),
            None if self._life is None else self._life.may_wait_s(),
        ]
        return min((wait_s for wait_s in waits_s if wait_s is not None), default=None)

    def _wait(self, timeout_s: float | None) -> None:
        for key, mask in self._selector.select(timeout_s):
            key.data(mask)

    def _step(self) -> None:
        if self._life is None or self._paused:
            return
        try:
            self._life.step()
        except Exception as error:  # noqa: BLE001 (a node that fails is reported, as a crash)
            self._fail(error)

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Let the server do something between two steps. Unavailable if it is down by then."""
        life = self._alive()
        try:
            return life.call(function, *arguments)
        except Exception as error:
            self._fail(error)
            raise Unavailable(f"node {self.id} is down") from error

    def _fail(self, error: Exception) -> None:
        self._end_life()
        self._events.failed(self.id, error)

    def _deliver(self, delay_ns: int, message: Message) -> None:
        if self._life is not None:
            self._life.deliver(delay_ns, message)

    # -- orders --------------------------------------------------------------------------

    def _take_order(self) -> None:
        try:
            token, name, arguments = self._control.recv()
        except (EOFError, OSError) as error:
            raise ContenderGone from error
        try:
            if name == "submit":
                self._submit(token, *arguments)
            elif name == "read":
                self._read(token, *arguments)
            elif name == "when_applied":
                self._when_applied(token, *arguments)
            elif name == "replicate":
                self._replicate(token, *arguments)
            elif name == "offered":
                self._offered(token, *arguments)
            else:
                self._answer(token, self._orders[name](*arguments))
        except Exception as error:  # noqa: BLE001 (whoever gave the order hears of it)
            self._answer(token, error)

    def _answer(self, token: int, value: Any) -> None:
        if isinstance(value, Replica):
            # Hashing a long log takes longer than an election timeout.
            target = lambda: self._send(("answer", token, value.status()))  # noqa: E731
            threading.Thread(target=target, name="hashing").start()
        else:
            self._send(("answer", token, value))

    def _send(self, value: tuple[Any, ...]) -> None:
        try:
            with self._answering:
                self._control.send(value)
        except OSError as error:
            raise ContenderGone from error

    def _submit(self, token: int, command: Command) -> None:
        self._alive().submit(Proposal(command, lambda outcome: self._answer(token, outcome)))

    def _read(self, token: int, key: str) -> None:
        self._alive().read(Query(key, lambda outcome: self._answer(token, outcome)))

    def _when_applied(self, token: int, index: int) -> None:
        self._call(Server.await_applied, index, lambda outcome: self._answer(token, outcome))

    def _replicate(self, token: int, spec: ReplicateSpec) -> None:
        replicate(self._alive(), spec, lambda outcome: self._answer(token, outcome))

    def _offered(self, token: int, spec: OfferedSpec) -> None:
        finished = lambda outcome: self._answer(token, outcome)  # noqa: E731
        Offered(self._alive(), spec, self._selector, finished)

    def _start(self, joins: bool) -> None:
        self._life = NodeLife(
            self.id,
            self._config,
            self._storage,
            self._transport,
            self._draws,
            self._events,
            joins=joins,
        )

    def _crash(self) -> int:
        ceased_ns = time.monotonic_ns()
        self._end_life()
        self._paused = False
        return ceased_ns

    def _pause(self) -> Replica:
        replica: Replica = self._call(Server.replica)
        self._paused = True
        return replica

    def _resume(self) -> None:
        self._paused = False

    def _connect(self, peer: int) -> None:
        """Take the socket to a new node, which follows the order in the pipe."""
        self._transport.connect(peer, passed_socket(self._control))

    def _stop(self) -> None:
        self._stopping = True

    def _alive(self) -> NodeLife:
        if self._life is None:
            raise Unavailable(f"node {self.id} is down")
        return self._life

    def _end_life(self) -> None:
        if self._life is not None:
            self._life.cease()
            self._life = None


def pass_socket(pipe: Connection, passing: socket.socket) -> None:
    """Send a socket through a pipe."""
    # Not by multiprocessing.reduction: on macOS that has it acknowledged through the same pipe,
    # from which a thread of the contender's reads.
    with socket.fromfd(pipe.fileno(), socket.AF_UNIX, socket.SOCK_STREAM) as end:
        socket.send_fds(end, [b"s"], [passing.fileno()])


def passed_socket(pipe: Connection) -> socket.socket:
    """The socket that comes next in a pipe."""
    with socket.fromfd(pipe.fileno(), socket.AF_UNIX, socket.SOCK_STREAM) as end:
        _, [descriptor], _, _ = socket.recv_fds(end, 1, 1)
    return socket.socket(fileno=descriptor)
