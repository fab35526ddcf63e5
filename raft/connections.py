"""What every model's network has in common: its sockets, and patience. Nothing here waits."""

import contextlib
import random
import resource
import socket
import threading
import time
from collections.abc import Callable

from raftmark.raft.client_port import Port
from raftmark.raft.cluster import Refusal
from raftmark.raft.deployed import Address, Site
from raftmark.raft.errors import BadRequest, Unavailable
from raftmark.raft.handshake import Identity

READ_SIZE = 1 << 16
FIRST_BACKOFF_S, LAST_BACKOFF_S = 0.01, 1.0
BACKLOG = 128
CLIENTS_BACKLOG = 4096
MOST_ACCEPTED = 64
"""So many clients are accepted at once by a loop, before the others have their turn again."""
MOST_A_TURN = 512
"""So many commands a loop gives its node in a turn: more have to wait, and its peers have not."""
CLIENT_READ_SIZE = 1 << 14
CLIENT_BUFFER = 1 << 16
"""Bytes that the system keeps for a client, either way."""
UNANSWERED_MS = 5_000
REFUSALS_A_SECOND = 16


def identity_of(site: Site) -> Identity:
    """Who a node is in its handshakes."""
    return Identity(site.node, site.cluster, site.secret or b"")


def open_listener(site: Site, backlog: int = BACKLOG) -> socket.socket:
    """A socket that listens where the site says, for so many who wait to be accepted.

    BadRequest if that is beyond this machine and there is no secret; Unavailable where it
    cannot be listened.
    """
    address = site.address
    try:
        [(family, _, _, _, where), *_] = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
        )
    except OSError as error:
        raise BadRequest(f"no address to listen at: {address}") from error
    if not site.secret and not is_loopback(address.host):
        raise BadRequest(
            f"to listen at {address}, which others reach, a secret is wanted: "
            "--secret-file, or RAFTMARK_SECRET"
        )
    try:
        return socket.create_server(where[:2], family=family, backlog=backlog)
    except OSError as error:
        raise Unavailable(f"cannot listen at {address}: {error.strerror}") from error


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a numeric address."""
    return host == "::1" or host.startswith("127.")


def address_of(listener: socket.socket) -> Address:
    """Where a socket listens."""
    host, port, *_ = listener.getsockname()
    return Address(host, port)


def prepare_client(connection: socket.socket) -> None:
    """Set the options of a client's connection; one that does not read for long is still one."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # The system would let them grow to megabytes, for each who sends or does not read.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, CLIENT_BUFFER)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, CLIENT_BUFFER)


def prepare(connection: socket.socket) -> None:
    """Set the options of a connection between nodes."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # The system would try the same connection for minutes, ever more seldom.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNANSWERED_MS)


def open_socket(address: Address) -> tuple[socket.socket, tuple[str, int]]:
    """A socket that may be connected to an address, and how the socket calls that. OSError."""
    [(family, kind, protocol, _, where), *_] = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)
    return socket.socket(family, kind, protocol), (str(where[0]), int(where[1]))


def open_client_port(site: Site, address: Address) -> socket.socket:
    """A socket that listens for clients, as `open_listener`, and files for as many as may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):  # Some systems have a lower limit in fact.
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return open_listener(site._replace(address=address), CLIENTS_BACKLOG)


def port_of(site: Site) -> Port:
    """A node's client port, as its clients are to know it."""
    return Port(site.node, site.secret or b"", {})


class Backoff:
    """For how long to wait before a peer is dialled again: twice as long each time, about."""

    def __init__(self, seed: int, node: int, peer: int) -> None:
        self._draw = random.Random(f"dial/{seed}/{node}/{peer}")
        self._next_s = FIRST_BACKOFF_S

    def next_s(self) -> float:
        """How long now (seconds)."""
        wait_s, self._next_s = self._next_s, min(2 * self._next_s, LAST_BACKOFF_S)
        return wait_s * (0.5 + self._draw.random() / 2)

    def reset(self) -> None:
        """The peer was reached."""
        self._next_s = FIRST_BACKOFF_S


class Refusals:
    """Tells of refused connections, from any thread: of each reason once a second, and of few."""

    def __init__(self, node: int, refused: Callable[[Refusal], None]) -> None:
        self._node = node
        self._refused = refused
        self._lock = threading.Lock()
        self._told_ns: dict[tuple[int | None, str], int] = {}

    def tell(self, peer: int | None, reason: str) -> None:
        """A connection was refused or thrown away; `peer` as far as it is known."""
        now_ns = time.monotonic_ns()
        with self._lock:
            while self._told_ns:
                first = next(iter(self._told_ns))
                if now_ns - self._told_ns[first] < 1_000_000_000:
                    break
                del self._told_ns[first]
            if (peer, reason) in self._told_ns or len(self._told_ns) >= REFUSALS_A_SECOND:
                return
            self._told_ns[peer, reason] = now_ns
        self._refused(Refusal(self._node, peer, reason, now_ns))
