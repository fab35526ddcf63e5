"""One node of a cluster whose nodes are programs of their own, and speak TCP.

The node program knows its node by this alone: it is a cluster of which one node lives here, and
the others wherever their addresses say.
"""

import ipaddress
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

from raftmark.raft.cluster import Cluster, ClusterConfig, Events


class Address(NamedTuple):
    """Where a node listens. Port 0 is one of the system's choice."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> "Address":
        """An address from its text. ValueError unless it is an IP address and a port."""
        host, colon, port = text.rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            host = str(ipaddress.IPv6Address(host[1:-1]))
        else:
            host = str(ipaddress.IPv4Address(host))
        digits = port.isascii() and port.isdecimal() and len(port) < 6
        if not (colon and digits and int(port) < 1 << 16):
            raise ValueError(f"{port!r:.40} is no port")
        return cls(host, int(port))


LOOPBACK = Address("127.0.0.1", 0)


class Site(NamedTuple):
    """Who a node is among others, where it listens, and what it must know to speak to them."""

    node: int
    cluster: str
    address: Address = LOOPBACK
    secret: bytes | None = None


class DeployedNode(Cluster):
    """A node's listener, connections, storage and links, which outlast its lives.

    `site.node` is the only node that its config has to be started. `restart` begins a life, the
    first one too, and `crash` ends it; meanwhile the listener goes on, and what comes is dropped.
    """

    site: Site

    def start(self) -> None:
        """Listen, and begin a life."""
        self.listen()
        try:
            self.restart(self.site.node)
        except BaseException:
            self.stop()
            raise

    @abstractmethod
    def listen(self) -> Address:
        """Listen, without a life yet; where. Unavailable where that cannot be."""

    @abstractmethod
    def introduce(self, peers: Mapping[int, Address]) -> None:
        """Know these peers from now on, and no others: dial them, and leave those that are gone.

        Called again, also while the node lives, whenever one has another address.
        """

    @abstractmethod
    def open_service(self, address: Address) -> Address:
        """Listen for clients too; where. Once.

        BadRequest if others reach the address and there is no secret; Unavailable where that
        cannot be.
        """

    @abstractmethod
    def tell_services(self, addresses: Mapping[int, str]) -> None:
        """Say where clients reach each node, so that this one can send them to the leader."""


DeployedFactory: TypeAlias = Callable[[ClusterConfig, Events, Site], DeployedNode]
