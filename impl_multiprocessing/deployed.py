"""One node whose peers are programs of their own: its program is its process.

The node waits in one thread for its orders, its peers and its timer, as it does in a process that
a contender has started, and the program gives it orders through a pipe as a contender does.
"""

import multiprocessing
import socket
import threading
from collections.abc import Callable, Mapping
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from raftmark.impl_multiprocessing.cluster import ProcessCluster
from raftmark.impl_multiprocessing.handle import NodeHandle
from raftmark.impl_multiprocessing.network import Network
from raftmark.impl_multiprocessing.process import NodeProcess
from raftmark.impl_multiprocessing.service import Service
from raftmark.raft.client import Proposal
from raftmark.raft.cluster import ClusterConfig, Events, Refusal
from raftmark.raft.connections import (
    Refusals,
    address_of,
    identity_of,
    open_client_port,
    open_listener,
)
from raftmark.raft.deployed import Address, DeployedNode, Site
from raftmark.raft.errors import Unavailable


class NodeLoop(NodeProcess):
    """The node through all its lives, with a listener and connections."""

    def __init__(
        self, config: ClusterConfig, control: Connection, listener: socket.socket, site: Site
    ) -> None:
        connect = partial(Network, listener, identity_of(site), config.seed, self._refused)
        super().__init__(site.node, config, control, connect)
        assert isinstance(self._transport, Network)
        self._site = site
        self._service: Service | None = None
        self._orders["introduce"] = self._transport.introduce
        self._orders["open_service"] = self._open_service
        self._orders["tell_services"] = self._tell_services

    def _refused(self, refusal: Refusal) -> None:
        self._send(("refused", refusal))

    # -- clients -------------------------------------------------------------------------

    def _open_service(self, address: Address) -> Address:
        listener = open_client_port(self._site, address)
        refusals = Refusals(self.id, self._refused)
        self._service = Service(self._site, listener, self._selector, self._propose, refusals)
        return address_of(listener)

    def _tell_services(self, addresses: Mapping[int, str]) -> None:
        if self._service is not None:
            self._service.port.tell(addresses)

    def _propose(self, proposal: Proposal) -> None:
        if self._life is not None:
            self._life.submit(proposal)
        else:
            proposal.done(Unavailable(f"node {self.id} is down"))

    def _may_wait_s(self) -> float | None:
        waits_s = [super()._may_wait_s()]
        if self._service is not None:
            waits_s.append(self._service.may_wait_s())
        return min((wait_s for wait_s in waits_s if wait_s is not None), default=None)

    def _step(self) -> None:
        super()._step()
        if self._service is not None:
            self._service.be_on_time()
            self._service.flush()

    def _close(self) -> None:
        if self._service is not None:
            self._service.close()
        super()._close()


class LoopHandle(NodeHandle):
    """A node in a thread of this program. RuntimeError where the machine has no more threads."""

    def __init__(
        self,
        config: ClusterConfig,
        listener: socket.socket,
        site: Site,
        heard: Callable[[NodeHandle, tuple[Any, ...]], None],
        ended: Callable[[NodeHandle, int | None], None],
    ) -> None:
        connection, theirs = multiprocessing.Pipe()
        super().__init__(site.node, connection, heard, ended)
        self._loop = threading.Thread(
            target=NodeLoop(config, theirs, listener, site).run, name=f"node-{site.node}"
        )
        try:
            self._loop.start()
        except RuntimeError:
            connection.close()
            theirs.close()
            raise
        self._receiver.start()

    def end(self) -> None:
        """Wait for the threads."""
        self._loop.join()
        self._receiver.join()
        self._connection.close()

    def kill(self) -> None:
        """Wait: it does what it is told as soon as it can."""
        self.call("crash", patiently=True)

    def _give_up(self) -> None:
        """There is no need: its pipe waits for it."""

    def _await_end(self) -> int | None:
        self._loop.join()
        return None


class ProcessNode(DeployedNode, ProcessCluster):
    """The node in this program, which is its process."""

    def __init__(self, config: ClusterConfig, events: Events, site: Site) -> None:
        super().__init__(config, events)
        self.site = site

    def listen(self) -> Address:
        """Start the thread of the node; who connects waits until it knows its peers."""
        listener = open_listener(self.site)
        address = address_of(listener)
        try:
            node = LoopHandle(self._config, listener, self.site, self._heard, self._ended)
        except (OSError, RuntimeError) as error:
            listener.close()
            raise Unavailable(f"the machine has nothing to listen with: {error}") from error
        self._nodes[self.site.node] = node
        return address

    def _provide(self, node_id: int) -> None:
        raise Unavailable(f"the thread of node {node_id} has ended: its program is of no more use")

    def introduce(self, peers: Mapping[int, Address]) -> None:
        """Tell the node's thread."""
        self._nodes[self.site.node].call("introduce", dict(peers), patiently=True)

    def open_service(self, address: Address) -> Address:
        """Tell the node's thread."""
        listening: Address = self._nodes[self.site.node].call(
            "open_service", address, patiently=True
        )
        return listening

    def tell_services(self, addresses: Mapping[int, str]) -> None:
        """Tell the node's thread."""
        self._nodes[self.site.node].call("tell_services", dict(addresses), patiently=True)
